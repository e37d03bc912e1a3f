"""Properties of outputs over boxes of inputs, as VNN-LIB files state them."""
