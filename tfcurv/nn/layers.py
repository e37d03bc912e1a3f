"""Keras layers that carry what curvature-based training needs."""

from typing import Any

import keras

from tfcurv.nn.spectral_norm import SpectralNormTracker


@keras.saving.register_keras_serializable(package="tfcurv")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense` with a `SpectralNormTracker` on its kernel.

    The same arguments, the same output. The tracker's vectors are saved as
    non-trainable weights.

    Input shape: `[batch, inputs]`. Output shape: `[batch, units]`.
    """

    def __init__(self, units: int, *args: Any, **kwargs: Any):
        """Takes the arguments of `keras.layers.Dense`."""
        super().__init__(units, *args, **kwargs)
        self.spectral_norm = SpectralNormTracker(
            name="spectral_norm", dtype=self.dtype_policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes kernel, bias and the tracker's vectors."""
        super().build(input_shape)
        self.spectral_norm.build(tuple(self.kernel.shape))
