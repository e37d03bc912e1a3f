"""Models of Keras as graphs, or refused."""
