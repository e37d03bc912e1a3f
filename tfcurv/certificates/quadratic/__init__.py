"""The method of quadratic minorants of two-layer ReLU."""
