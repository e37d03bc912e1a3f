"""Keras layers that carry what curvature-based training needs."""

from typing import TYPE_CHECKING
from typing import Any

import keras

from tfcurv import errors
from tfcurv.networks.maps import strided as phases
from tfcurv.networks.maps.convolution import axes_of
from tfcurv.nn.layers.spectral_norm import ConvolutionNormTracker
from tfcurv.nn.layers.spectral_norm import Convolve
from tfcurv.nn.layers.spectral_norm import SpectralNormTracker

# From here on a strided convolution is no slower than one by phases.
_MANY_CHANNELS = 16


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


if TYPE_CHECKING:
    from keras.layers import Conv2D as _KerasConvolution
else:  # Each class names its own.
    _KerasConvolution = object


class _TrackedConvolution(_KerasConvolution):
    """What the convolution layers add to Keras' own."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.spectral_norm = ConvolutionNormTracker(
            Convolve(self), name="spectral_norm", dtype=self.dtype_policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes kernel, bias and the tracker's vectors.

        Raises:
            UnsupportedLayerError: The shape of a sample is not known.
        """
        shape = tuple(size for size in input_shape[1:] if size is not None)
        if len(shape) < len(input_shape) - 1:
            known = (None, *(size or 28 for size in input_shape[1:]))
            raise errors.UnsupportedLayerError(
                "The norm of a convolution depends on the shape of a sample, "
                "which must be known. "
                f"Received: layer {self.name!r}, input_shape={input_shape}. "
                f"Allowed: such as {known}; give "
                "the model a keras.Input of a known shape."
            )
        super().build(input_shape)
        self.spectral_norm.build(
            shape, tuple(self.compute_output_shape(input_shape)[1:])
        )


@keras.saving.register_keras_serializable(package="tfcurv")
class Conv1D(_TrackedConvolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D` that tracks the norm of its map of samples.

    The same arguments, the same output; see `Conv2D`.

    Input shape: `[batch, steps, channels]`, `steps` known. Output shape:
    `[batch, new_steps, filters]`.
    """


@keras.saving.register_keras_serializable(package="tfcurv")
class Conv2D(_TrackedConvolution, keras.layers.Conv2D):
    """`keras.layers.Conv2D` that tracks the norm of its map of samples.

    The same arguments, the same output. Power iteration runs on the map of
    whole samples, not on the flattened kernel; its vectors, of the shapes of
    a sample before and after the layer, are saved as non-trainable weights.

    Input shape: `[batch, height, width, channels]`, all but the batch known.
    Output shape: `[batch, new_height, new_width, filters]`.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolves; strides by a way whose gradient is fast on a CPU."""
        plain = self.groups == 1 and self.dilation_rate == (1, 1)
        channels_last = self.data_format == "channels_last"
        known = None not in inputs.shape[1:]
        few = inputs.shape[-1] < _MANY_CHANNELS
        if max(self.strides) > 1 and few and plain and channels_last and known:
            sizes, window = inputs.shape[1:3], kernel.shape[:2]
            axes = axes_of(sizes, window, self.strides, self.padding)
            return phases.convolve(inputs, kernel, axes)
        return super().convolution_op(inputs, kernel)


@keras.saving.register_keras_serializable(package="tfcurv")
class DepthwiseConv2D(_TrackedConvolution, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that tracks the norm of its map.

    The same arguments, the same output; see `Conv2D`.

    Input shape: `[batch, height, width, channels]`, all but the batch known.
    Output shape: `[batch, new_height, new_width, channels * multiplier]`.
    """
