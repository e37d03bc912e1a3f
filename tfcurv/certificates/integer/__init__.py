"""Margins by mixed-integer programming: what a solver says, no proof."""
