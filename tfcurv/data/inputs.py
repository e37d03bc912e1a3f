"""Checks that inputs are what the network takes. Casts, never rescales."""

from collections.abc import Sequence
import math
import warnings

import numpy as np

from tfcurv.errors import DataError

# Every integer of at most this magnitude is a float32.
_LARGEST_EXACT_INTEGER = 2**24

_LARGEST_BYTE = 255

# Pixels in [0, 1] may exceed 1 a little, after augmentation; not this much.
_LARGEST_UNIT_PIXEL = 2


class PixelRangeWarning(UserWarning):
    """Pixels look like `[0, 255]` where `[0, 1]` is expected."""


def working_dtype(dtype: np.dtype) -> np.dtype:
    """Returns the float dtype in which inputs of `dtype` are handed on.

    float32 and float64 stay; narrower floats and integers become float32.

    Raises:
        DataError: `dtype` is none of these: bool, complex, text, objects.
    """
    dtype = np.dtype(dtype)
    if dtype.name == "float64":
        return np.dtype(np.float64)
    # By name: NumPy files bfloat16, which is not its own, under "void".
    narrow = dtype.name in ("float16", "bfloat16", "float32")
    if narrow or dtype.kind in "iu":
        return np.dtype(np.float32)
    raise DataError(
        "Inputs must be real numbers. "
        f"Received: dtype={dtype.name} of the inputs. "
        "Allowed: float64, float32, float16, bfloat16 and integers."
    )


def cast_inputs(inputs: np.ndarray) -> np.ndarray:
    """Casts inputs to their `working_dtype`, exactly.

    Raises:
        DataError: The dtype is not numeric, or an integer has no float32.
    """
    dtype = working_dtype(inputs.dtype)
    wide_integers = inputs.dtype.kind in "iu" and inputs.dtype.itemsize > 2
    if wide_integers and inputs.size:
        extreme = max(int(inputs.max()), -int(inputs.min()))
        if extreme > _LARGEST_EXACT_INTEGER:
            raise DataError(
                "Integer inputs are cast to float32, which cannot hold this "
                f"one. Received: an input of magnitude {extreme}. "
                f"Allowed: at most {_LARGEST_EXACT_INTEGER}, or floats."
            )
    return inputs.astype(dtype, copy=False)


def matches(
    shape: tuple[int | None, ...], input_shape: tuple[int | None, ...]
) -> bool:
    """Returns whether `shape` is an `input_shape`. None equals anything."""
    if len(shape) != len(input_shape):
        return False
    pairs = zip(shape, input_shape, strict=True)
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def require_input_shape(
    shape: tuple[int | None, ...], input_shape: tuple[int | None, ...]
) -> None:
    """Raises DataError unless a batch of this shape holds `input_shape`s."""
    if not shape or not matches(shape[1:], input_shape):
        expected = ", ".join(map(str, (None, *input_shape)))
        raise DataError(
            "The inputs have not the shape that the network takes. "
            f"Received: inputs of shape {tuple(shape)}. "
            f"Expected: ({expected}), the first axis being the batch."
        )


def fit_image_shape(
    images: np.ndarray, input_shape: tuple[int | None, ...]
) -> np.ndarray:
    """Reshapes images to `input_shape` where that moves no pixel.

    This is so where the network takes flat images, and where the shapes
    differ by axes of length one alone. Other images are returned as they
    are: `(32, 32, 3)` has as many numbers as `(3, 32, 32)`, and would be
    scrambled.
    """
    if None in input_shape:
        return images
    image_shape = images.shape[1:]
    wanted = _without_ones(input_shape)
    is_flat = len(wanted) <= 1 and math.prod(image_shape) == math.prod(wanted)
    if is_flat or wanted == _without_ones(image_shape):
        return images.reshape((len(images), *input_shape))
    return images


def _without_ones(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(size for size in shape if size is not None and size != 1)


class PixelRangeCheck:
    """Looks at the first batch it is shown, and at no other."""

    def __init__(self, enabled: bool):
        """Arms the check if `enabled`; otherwise it does nothing."""
        self._armed = enabled

    def look(self, inputs: np.ndarray) -> None:
        """Warns if `inputs`, not cast yet, look like bytes."""
        if not self._armed:
            return
        self._armed = False
        if _look_like_bytes(inputs):
            warnings.warn(
                "The pixels look like [0, 255], but the model expects [0, 1]: "
                "it has no Rescaling or Normalization layer. Received: "
                f"dtype={inputs.dtype.name}, largest value {inputs.max()} in "
                "the first batch. Remedy: divide the inputs by 255, as they "
                "were in training, or let a Rescaling(1 / 255) layer of the "
                "model do it. Radii are in the units of the inputs.",
                PixelRangeWarning,
            )


def _look_like_bytes(inputs: np.ndarray) -> bool:
    if inputs.size == 0:
        return False
    largest = inputs.max()
    if inputs.dtype.kind in "iu":
        return bool(largest > 1)
    return bool(
        inputs.min() >= 0
        and _LARGEST_UNIT_PIXEL < largest <= _LARGEST_BYTE
        and np.all(inputs == np.floor(inputs))
    )
