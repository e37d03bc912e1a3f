"""Models as files, and as models of Keras."""
