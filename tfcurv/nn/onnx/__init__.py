"""Feed-forward ONNX models, as models of Keras."""
