"""Training of certified models in Keras."""
