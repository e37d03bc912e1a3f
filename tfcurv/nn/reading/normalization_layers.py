"""Reads the Keras layers that scale and shift: Rescaling, normalisations."""

import keras
import numpy as np

from tfcurv import networks
from tfcurv import numerics
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading.linear_step import LinearStep

# A scale of at most a sum, a root and a division; the exact one lies within
# gamma_3 of it, whichever of the two is taken as the reference.
_SCALE_ROUNDINGS = 4

# The scale, a product and a difference.
_BIAS_ROUNDINGS = 6


# What Keras takes where nobody has set another.
_EPSILON = 1e-7


def read_rescaling(layer, shape: tuple[int, ...]) -> LinearStep:
    """Returns x -> scale x + offset of a `Rescaling` layer.

    Args:
        layer: The layer.
        shape: Of one sample that it is used on.
    """
    first = keras.config.image_data_format() == "channels_first"
    if first and np.ndim(layer.scale) > 0:
        raise refusals.unsupported(
            layer,
            "image_data_format() is 'channels_first'",
            "keras.config.set_image_data_format('channels_last')",
        )
    scale = _fitted(layer, _as_used(layer, layer.scale), shape)
    offset = _fitted(layer, _as_used(layer, layer.offset), shape)
    return _step(layer, shape, scale, offset)


def _as_used(layer, value):
    """Returns a number of a Rescaling as the layer computes with it.

    In float64 that is its float32, through which Keras takes Python's numbers;
    in float32 the rounding is the execution's, as of all else.
    """
    if layer.compute_dtype != "float64":
        return value
    return layer.backend.cast(value, "float64")


def read_normalization(layer, shape: tuple[int, ...]) -> LinearStep:
    """Returns x -> (x - mean) / max(root of variance, epsilon), or its inverse.

    Args:
        layer: A `Normalization` layer.
        shape: Of one sample that it is used on.
    """
    if not layer.built or layer.mean is None:
        raise refusals.unsupported(
            layer, "it has no statistics yet", "adapt it to the data"
        )
    _check_saved(layer, shape)
    mean = _fitted(layer, layer.mean, shape)
    with np.errstate(invalid="ignore"):  # Refused below, by name.
        root = np.sqrt(_fitted(layer, layer.variance, shape))
    epsilon = keras.config.epsilon()
    if epsilon != _EPSILON and np.any(root < max(epsilon, _EPSILON)):
        raise refusals.unsupported(
            layer,
            f"it divides by keras.config.epsilon(), {epsilon!r}, which is not "
            "saved with the model",
            f"keras.config.set_epsilon({_EPSILON!r}), Keras' own, or leave out "
            "entries without variance",
        )
    deviation = np.maximum(root, epsilon)
    if layer.invert:
        return _step(layer, shape, deviation, mean, roundings=1)
    return _centred(layer, shape, 1.0 / deviation, mean, np.zeros(()))


def _check_saved(layer, shape: tuple[int, ...]) -> None:
    """Refuses statistics that are not those that a saved layer would have."""
    saved = type(layer).from_config(layer.get_config())
    saved.build((None, *shape))
    if layer.input_mean is None:
        saved.set_weights(layer.get_weights())
        saved.finalize_state()
    for name in ("mean", "variance"):
        ours, theirs = (np.asarray(getattr(x, name)) for x in (layer, saved))
        if not np.array_equal(ours.ravel(), theirs.ravel(), equal_nan=True):
            raise refusals.unsupported(
                layer,
                f"its `{name}` is not what a saved copy of the model would use",
                "adapt it, or call `finalize_state()` after its weights were "
                "set",
            )


def read_batch_normalization(layer, shape: tuple[int, ...]) -> LinearStep:
    """Returns x -> gamma (x - mean) / root of (variance + epsilon) + beta.

    With the moving statistics: what the layer does in inference.

    Args:
        layer: A `BatchNormalization` layer.
        shape: Of one sample that it is used on.
    """
    rank = len(shape)
    axis = layer.axis + rank if layer.axis < 0 else layer.axis - 1
    if not 0 <= axis < rank:
        raise refusals.unsupported(
            layer,
            f"axis={layer.axis} of an input of shape {shape}",
            "normalise an axis of one sample",
        )
    trailing = (1,) * (rank - 1 - axis)

    def along_axis(weight):
        weight = np.asarray(weight, np.float64)
        if weight.shape != shape[axis : axis + 1]:
            raise refusals.unsupported(
                layer,
                f"it was built for another shape than {shape}",
                "do not change a layer once the model is built",
            )
        return _finite(layer, weight).reshape(-1, *trailing)

    gamma = along_axis(layer.gamma) if layer.scale else np.ones(())
    beta = along_axis(layer.beta) if layer.center else np.zeros(())
    with np.errstate(all="ignore"):  # Refused below, by name.
        spread = along_axis(layer.moving_variance) + layer.epsilon
        scale = gamma / np.sqrt(spread)
    if np.any((np.abs(scale) < numerics.PRODUCT_UNDERFLOW) & (gamma != 0.0)):
        raise refusals.unsupported(
            layer, "its scale underflows", "train it anew, without underflow"
        )
    return _centred(layer, shape, scale, along_axis(layer.moving_mean), beta)


def _centred(layer, shape, scale, mean, beta) -> LinearStep:
    """Returns x -> scale (x - mean) + beta, for a rounded scale."""
    with np.errstate(all="ignore"):  # Refused below, by name.
        shift = mean * scale
    _finite(layer, shift)
    size = np.broadcast_to(np.abs(shift) + np.abs(beta), shape).ravel()
    error = numerics.gamma(_BIAS_ROUNDINGS) * np.linalg.norm(size)
    return _step(
        layer,
        shape,
        scale,
        beta - shift,
        roundings=_SCALE_ROUNDINGS,
        bias_error=numerics.round_up(float(error), size.size + 8)
        + numerics.PRODUCT_UNDERFLOW * size.size,
    )


def _step(layer, shape, scale, bias, **errors) -> LinearStep:
    scale = _finite(layer, np.asarray(scale))
    bias = np.broadcast_to(_finite(layer, bias), shape).ravel()
    linear = networks.Diagonal(scale=scale, input_shape=shape)
    return LinearStep(linear, bias, **errors)


def _finite(layer, array: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(array)):
        raise refusals.not_finite(layer)
    return array


def _fitted(layer, value, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a scale or an offset without the batch axis it may have."""
    array = _finite(layer, np.asarray(value, np.float64))
    whole = (1, *shape)
    sizes = zip(array.shape[::-1], whole[::-1])
    if array.ndim > len(whole) or any(n not in (1, m) for n, m in sizes):
        raise refusals.unsupported(
            layer,
            f"its scale of shape {array.shape} does not fit {shape}",
            "use a scale of the shape of one sample, without the batch",
        )
    return array[0] if array.ndim == len(whole) else array
