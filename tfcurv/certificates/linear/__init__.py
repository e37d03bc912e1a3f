"""Radii by linear bounds, from the logits back to the input."""
