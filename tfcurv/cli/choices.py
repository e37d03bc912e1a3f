"""What flags may say and say by default, known before TensorFlow is imported.

The library has each list where it is used; tests/startup_test.py holds these to
those.
"""

ACTIVATIONS = (
    "elu",
    "gelu",
    "linear",
    "mish",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)
BATCH_SIZE = 1024
CURVATURES = ("global", "local", "auto")
DATASETS = ("cifar10", "digits", "fashion_mnist", "mnist")
FALSIFIER_RESTARTS = 2
FALSIFIER_STEPS = 12
METHODS = (
    "auto",
    "curvature",
    "quadratic",
    "bcp",
    "crown",
    "lipschitz",
    "ibp",
    "crown-ibp",
    "coap",
    "zonotope",
    "complete",
)
RIGORS = ("verified", "float64")
