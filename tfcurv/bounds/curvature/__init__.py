"""Bounds on the curvature of margins."""
