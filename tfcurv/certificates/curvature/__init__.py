"""The method of bounded curvature."""
