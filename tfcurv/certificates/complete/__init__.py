"""Branch and bound: ReLU networks decided by splitting them at zero."""
