"""An activation that keeps the length of gradients."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfcurv")
def absolute(x: Any) -> Any:
    """Returns |x|, as `keras.ops.abs`, but can be saved with a layer.

    Its slope is 1 or -1: behind layers of norm one a gradient keeps its
    length, where ReLU loses what falls on its flat side, so that a network can
    use the whole of the Lipschitz constant that it is certified by.

        tfcurv.layers.Dense(128, activation=tfcurv.layers.absolute)

    A model with it is loaded where tfcurv is imported.

    Source: Anil, Lucas and Grosse, "Sorting Out Lipschitz Function
    Approximation", ICML 2019, of activations that preserve gradient norms.

    Args:
        x: A tensor.
    """
    return keras.ops.abs(x)
