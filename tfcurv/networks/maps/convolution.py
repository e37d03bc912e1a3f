"""Convolutions as linear maps, with TensorFlow's conventions."""

from collections.abc import Sequence
import contextlib
import dataclasses
import functools
from typing import Literal
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps import products
from tfcurv.networks.maps import strided as phases
from tfcurv.networks.maps.convolution_norms import Axis
from tfcurv.networks.maps.convolution_norms import frequency_norm_upper_bound
from tfcurv.networks.maps.convolution_norms import mixed_norm_upper_bound
from tfcurv.networks.maps.convolution_norms import mixed_work
from tfcurv.networks.maps.linear_map import GRAM_ROWS
from tfcurv.networks.maps.linear_map import Constants
from tfcurv.networks.maps.linear_map import Weighted
from tfcurv.networks.maps.linear_map import checked_shape
from tfcurv.networks.maps.linear_map import checked_weights
from tfcurv.networks.maps.linear_map import root_of

# How dear the mixed bound on a norm may be: a few seconds.
_MIXED_WORK = 2 * 10**9

#: Zeros around a sample: by name, or a pair (before, after) for each axis.
Padding: TypeAlias = (
    Literal["valid", "same", "causal"] | Sequence[tuple[int, int]]
)


def axes_of(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: int | Sequence[int],
    padding: Padding,
    dilations: int | Sequence[int] = 1,
) -> tuple[Axis, ...]:
    """Returns the geometry of a window that moves over a sample.

    "same" is TensorFlow's: ceil(size / stride) outputs, and where the zeros
    are odd in number, the one more comes after.

    Args:
        sizes: The extent of each axis.
        kernel: The extent of the window.
        strides: Its steps, one for all axes or one for each.
        padding: See `Padding`; "causal" puts all zeros before.
        dilations: The distances between neighbours in the window.

    Raises:
        ValueError: Numbers are missing or too small, or there is no output.
    """
    strides = _for_each(strides, len(sizes), "strides")
    dilations = _for_each(dilations, len(sizes), "dilations")
    if isinstance(padding, str):
        geometry = zip(sizes, kernel, strides, dilations)
        pairs = [_named_padding(padding, *each) for each in geometry]
    else:
        pairs = list(padding)
    if len(pairs) != len(sizes) or any(
        len(pair) != 2 or min(pair) < 0 for pair in pairs
    ):
        raise ValueError(
            "A pair of counts of zeros, not negative, is needed for each "
            f"axis. Received: padding={padding!r}, {len(sizes)} axes."
        )
    axes = tuple(
        Axis(size, taps, stride, before, after, dilation)
        for size, taps, stride, (before, after), dilation in zip(
            sizes, kernel, strides, pairs, dilations
        )
    )
    if any(axis.padded < axis.reach for axis in axes):
        raise ValueError(
            "The window does not fit into the padded sample. "
            f"Received: sizes={tuple(sizes)}, kernel={tuple(kernel)}, "
            f"padding={padding!r}, dilations={dilations}."
        )
    return axes


def _named_padding(name, size, kernel, stride, dilation) -> tuple[int, int]:
    reach = (kernel - 1) * dilation + 1
    if name == "valid":
        return 0, 0
    if name == "causal":
        return reach - 1, 0
    if name == "same":
        outputs = -(-size // stride)
        zeros = max(0, (outputs - 1) * stride + reach - size)
        return zeros // 2, zeros - zeros // 2
    raise ValueError(
        "This padding is not known. "
        f"Received: padding={name!r}. "
        "Allowed: 'valid', 'same', 'causal', or a pair for each axis."
    )


def _for_each(value, count: int, name: str) -> tuple[int, ...]:
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or any(each < 1 for each in values):
        raise ValueError(
            "One positive number is needed, or one for each axis. "
            f"Received: {name}={value!r}, {count} axes."
        )
    return tuple(map(int, values))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Weighted):
    """A convolution over one or two axes, channels last; no bias.

    A depthwise kernel `[height, width, channels, multiplier]` is the kernel
    `[height, width, 1, channels * multiplier]` of as many groups as there
    are channels.

    Attributes:
        kernel: Float64 array `[(height,) width, inputs / groups, outputs]`.
        input_shape: `([height,] width, inputs)`.
        strides: One number for all axes or one for each.
        padding: "valid", "same", "causal", or one pair for each axis.
        dilations: One number for all axes or one for each.
        groups: Into how many independent convolutions the channels fall.
    """

    kernel: np.ndarray = dataclasses.field(repr=False)
    input_shape: tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "valid"
    dilations: int | tuple[int, ...] = 1
    groups: int = 1

    def __post_init__(self) -> None:
        shape = checked_shape(self.input_shape, "input_shape")
        object.__setattr__(self, "input_shape", shape)
        checked_weights(self.kernel, "kernel", [3, 4])
        sizes = checked_shape(self.kernel.shape, "kernel.shape")
        if (
            len(sizes) != len(shape) + 1
            or self.groups < 1
            or sizes[-2] * self.groups != shape[-1]
            or sizes[-1] % self.groups
        ):
            raise ValueError(
                "The kernel must be [*window, inputs / groups, outputs], for "
                "a sample [*sizes, inputs]. Received: kernel.shape="
                f"{self.kernel.shape}, input_shape={shape}, "
                f"groups={self.groups}."
            )
        self.axes  # Raises where the geometry is impossible.

    @functools.cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """The geometry; one axis is two, the first of size one."""
        axes = axes_of(
            self.input_shape[:-1],
            self.kernel.shape[:-2],
            self.strides,
            self.padding,
            self.dilations,
        )
        *above, last = axes
        return (above[0] if above else Axis(1, 1, 1, 0, 0, 1)), last

    @functools.cached_property
    def output_shape(self) -> tuple[int, ...]:
        """`([height,] width, outputs)`."""
        sizes = tuple(axis.outputs for axis in self.axes)
        return *sizes[-len(self.input_shape) + 1 :], self.kernel.shape[-1]

    @property
    def terms(self) -> int:
        """The number of weights of an output."""
        return int(np.prod(self.kernel.shape[:-1]))

    @property
    def transposed_terms(self) -> int:
        """The most weights that an input can have."""
        taps = int(np.prod(self.kernel.shape[:-2]))
        return taps * self.kernel.shape[-1] // self.groups

    @property
    def window(self) -> np.ndarray:
        """The kernel with two axes before the channels."""
        return self.kernel if self.kernel.ndim == 4 else self.kernel[None]

    @property
    def weights(self) -> np.ndarray:
        """The kernel with two axes before the channels."""
        return self.window

    @functools.cached_property
    def _sizes(self):
        return Constants(np.abs(self.window))

    def _apply(self, x):
        return self._correlated(x, self.constants(x.dtype))

    def _transpose(self, v):
        return self._spread(v, self.constants(v.dtype))

    def _absolute(self, x):
        return self._correlated(x, self._sizes(x.dtype))

    def _absolute_transpose(self, v):
        return self._spread(v, self._sizes(v.dtype))

    @property
    def is_plain(self) -> bool:
        """Whether TensorFlow has its gradients on a CPU."""
        return self.groups == 1 and all(a.dilation == 1 for a in self.axes)

    def _correlated(self, x, kernel):
        return self._with_gradient(self._forward, self.backward, kernel)(x)

    def _spread(self, v, kernel):
        return self._with_gradient(self.backward, self._forward, kernel)(v)

    def _with_gradient(self, fn, adjoint, kernel):
        fn = functools.partial(fn, weights=kernel)
        if self.is_plain:
            return fn
        adjoint = functools.partial(adjoint, weights=kernel)
        return products.with_adjoint(fn, adjoint)

    def forward(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the convolution with another kernel, of at least one row."""
        rows, columns = self.axes
        if all(axis.is_same for axis in self.axes) and self.is_plain:
            found = tf.nn.conv2d(
                self._samples(x),
                weights,
                [rows.stride, columns.stride],
                "SAME",
            )
            return tf.reshape(found, [-1, self.outputs])
        return self._forward(x, weights, tf.nn.conv2d)

    def _samples(self, x) -> tf.Tensor:
        rows, columns = self.axes
        return tf.reshape(
            x, [-1, rows.size, columns.size, self.input_shape[-1]]
        )

    def _forward(self, x, weights, convolve=products.convolve):
        rows, columns = self.axes
        with _device_of_sums(x.dtype):
            found = convolve(
                _padded(self._samples(x), [axis[3:5] for axis in self.axes]),
                weights,
                strides=[rows.stride, columns.stride],
                padding="VALID",
                dilations=[rows.dilation, columns.dilation],
            )
        return tf.reshape(found, [-1, self.outputs])

    def backward(self, v: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the adjoint of the convolution with another kernel."""
        with _device_of_sums(v.dtype):
            return self._adjoint(v, weights)

    def column_norms_of(self, weights: tf.Tensor) -> tf.Tensor:
        """Returns the norms of another kernel, away from the borders."""
        norms = root_of(tf.reduce_sum(tf.square(weights), axis=(0, 1, 2)))
        whole = tf.broadcast_to(norms, self.output_shape)
        return tf.reshape(whole, [-1])

    def _adjoint(self, v, kernel):
        rows, columns = self.axes
        v = tf.reshape(v, [-1, rows.outputs, columns.outputs, kernel.shape[-1]])
        if self.is_plain:
            found = phases.adjoint(v, kernel, self.axes)
        else:
            around = [(a.reach - 1, _rest(a)) for a in self.axes]
            found = products.convolve(
                _padded(_stretched(v, rows.stride, columns.stride), around),
                _turned(kernel, self.groups),
                dilations=[rows.dilation, columns.dilation],
            )
        found = found[
            :,
            rows.before : rows.before + rows.size,
            columns.before : columns.before + columns.size,
        ]
        return tf.reshape(found, [-1, self.inputs])

    def _norm(self, rigor):
        unit, exponent = self._normalised()
        if not np.any(self.kernel):
            return 0.0
        schur = operator_norms.schur_norm_upper_bound(unit)
        if np.isinf(schur):  # Also where a weight is NaN.
            return schur
        frobenius = unit.frobenius_norm_upper_bound()
        sharp = unit._sharp_norm(rigor)
        bound = operator_norms.least(schur, frobenius, sharp)
        return operator_norms.scaled_back(bound, exponent)

    def _sharp_norm(self, rigor: solvers.Rigor) -> float:
        # A Gram matrix is exact; frequencies are not, at the borders.
        side = min(self.inputs, self.outputs) // self.groups
        if self.groups * side**3 <= GRAM_ROWS**3:
            return max(
                operator_norms.gram_norm_upper_bound(each)
                for each in self._independent()
            )
        geometry = self.window, self.axes, self.groups
        bound = frequency_norm_upper_bound(*geometry, rigor)
        if mixed_work(*geometry) <= _MIXED_WORK:
            mixed = mixed_norm_upper_bound(*geometry, rigor)
            bound = operator_norms.least(bound, mixed)
        return bound

    def _independent(self) -> list["Convolution"]:
        """Returns the convolutions of the single groups."""
        if self.groups == 1:
            return [self]
        return [
            dataclasses.replace(
                self,
                kernel=kernel,
                input_shape=(*self.input_shape[:-1], self.kernel.shape[-2]),
                groups=1,
            )
            for kernel in np.split(self.kernel, self.groups, axis=-1)
        ]

    def _column_norms(self):
        squares = dataclasses.replace(self, kernel=np.square(self.kernel))
        ones = np.ones((1, self.inputs))
        sums = operator_norms.on_host(squares.apply, ones)[0]
        if not np.any(self.kernel):
            return np.zeros(self.outputs)
        # What has vanished beside the largest, too.
        norms = numerics.round_up(np.sqrt(sums), self.terms + 4) + 1e-150
        return np.where(np.isfinite(norms), norms, np.inf)

    def _normalised(self):
        exponent = operator_norms.exponent_near(self.kernel)
        kernel = np.ldexp(self.kernel, -exponent)
        return dataclasses.replace(self, kernel=kernel), exponent


def _device_of_sums(dtype: tf.DType):
    """Puts proofs where a convolution is a sum of products.

    An accelerator may use Fourier transforms, of which gamma_n says nothing.
    """
    if dtype == numerics.PROOF_DTYPE:
        return tf.device("CPU:0")
    return contextlib.nullcontext()


def _rest(axis: Axis) -> int:
    """Returns how many inputs lie behind the last output's first tap."""
    return axis.padded - (axis.outputs - 1) * axis.stride - 1


def _padded(samples: tf.Tensor, pairs) -> tf.Tensor:
    if not any(sum(pair) for pair in pairs):
        return samples
    return tf.pad(samples, [(0, 0), *pairs, (0, 0)])


def _stretched(v: tf.Tensor, down: int, across: int) -> tf.Tensor:
    """Returns v with its rows and columns `down` and `across` steps apart."""
    if down == across == 1:
        return v
    _, height, width, channels = v.shape
    v = tf.reshape(v, [-1, height, 1, width, 1, channels])
    gaps = [(0, 0), (0, 0), (0, down - 1), (0, 0), (0, across - 1), (0, 0)]
    v = tf.reshape(
        tf.pad(v, gaps), [-1, height * down, width * across, channels]
    )
    return v[:, : (height - 1) * down + 1, : (width - 1) * across + 1]


def _turned(kernel: tf.Tensor, groups: int) -> tf.Tensor:
    """Returns the kernel of the adjoint: reversed, its channels swapped."""
    height, width, inputs, outputs = kernel.shape
    kernel = tf.reshape(
        tf.reverse(kernel, [0, 1]),
        [height, width, inputs, groups, outputs // groups],
    )
    kernel = tf.transpose(kernel, [0, 1, 4, 3, 2])
    return tf.reshape(
        kernel, [height, width, outputs // groups, groups * inputs]
    )
