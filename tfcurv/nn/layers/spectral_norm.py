"""Spectral norms that follow dense and convolution kernels in training."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
import tensorflow as tf

# A step that lengthens the estimate by more than this share, or turns a vector
# to a cosine below the other, finds a kernel that it has not followed: new, or
# assigned. In training the one is below 0.02, from random vectors 0.4; growth
# alone misses small kernels, of which a random vector sees much at once.
_COLD = 0.1
_TURNED = 0.9
# Where a cold tracker is taken to have arrived, and how far it may go.
_ARRIVED = 1e-4
_MOST_STEPS = 200
# By how much an evaluation shakes u: on another singular vector than the first
# no step would move it, however small its value.
_SHAKE = 0.1


@keras.saving.register_keras_serializable(package="tfcurv")
class SpectralNormTracker(keras.layers.Layer):
    """Estimates the spectral norm of a kernel by persistent power iteration.

    Keeps unit vectors u `[inputs]` and v `[outputs]` as non-trainable
    weights, saved with the model. One step a training batch,

        v <- K^T u / ||K^T u||,   u <- K v / ||K v||,

    follows a slowly changing kernel. A kernel that it has not followed, which
    one step tells, is followed until the estimate grows no more. The estimate
    u^T K v approaches the norm from below and its gradient is u v^T: it may
    train, and never certifies.

    In float32 at least, whatever the precision of the kernel: sums of squares
    leave the range of float16. Replicas of a model step their own copies, from
    the same kernel to the same vectors.
    """

    def __init__(self, **kwargs: Any):
        """Takes the arguments of any Keras layer.

        Args:
            **kwargs: A dtype of less than 32 bits is taken for float32.
        """
        policy = keras.dtype_policies.get(kwargs.pop("dtype", None))
        is_double = "float64" in (policy.variable_dtype, policy.compute_dtype)
        dtype = "float64" if is_double else "float32"
        super().__init__(dtype=dtype, **kwargs)

    def build(self, kernel_shape: tuple[int, int]) -> None:
        """Makes u and v for kernels of this shape."""
        inputs, outputs = kernel_shape
        self._make_vectors((inputs,), (outputs,))

    def _make_vectors(
        self, input_shape: Sequence[int], output_shape: Sequence[int]
    ) -> None:
        self.u = self._unit_vector(input_shape, "u", seed=1)
        self.v = self._unit_vector(output_shape, "v", seed=2)
        self.built = True

    def _unit_vector(
        self, shape: Sequence[int], name: str, seed: int
    ) -> keras.Variable:
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=lambda shape, dtype: _random_unit(shape, dtype, seed),
            trainable=False,
        )

    def step(self, kernel: Any, *, power_iterations: int = 1) -> None:
        """Takes steps of power iteration on a kernel, more if it is new.

        Args:
            kernel: That of the layer.
            power_iterations: Steps on a kernel that is not new.
        """
        kernel = ops.stop_gradient(self._cast(kernel))
        u, v = ops.convert_to_tensor(self.u), ops.convert_to_tensor(self.v)
        start, growth = (u, v), 0.0
        for _ in range(power_iterations):
            u, v, growth = self._stepped(u, v, kernel)
        turned = ops.minimum(_cosine(u, start[0]), _cosine(v, start[1]))
        is_cold = (growth > _COLD) | (turned < _TURNED)
        u, v = self._followed(u, v, kernel, is_cold)
        self.v.assign(v)
        self.u.assign(u)

    def converged(self, kernel: Any) -> Any:
        """Returns u^T K v where steps end, without taking them.

        Args:
            kernel: That of the layer.
        """
        kernel = self._cast(kernel)
        u, v = ops.convert_to_tensor(self.u), ops.convert_to_tensor(self.v)
        shaken = u + _SHAKE * _random_unit(u.shape, self.compute_dtype, seed=3)
        shaken, _ = _normalised(shaken, u)
        u, v = self._followed(shaken, v, ops.stop_gradient(kernel), True)
        # Both are from below.
        return ops.maximum(self(kernel), self._product(u, v, kernel))

    def call(self, kernel: Any) -> Any:
        """Returns u^T K v, a scalar, without taking a step."""
        u, v = ops.stop_gradient(self.u), ops.stop_gradient(self.v)
        return self._product(u, v, self._cast(kernel))

    def _cast(self, kernel):
        return ops.cast(kernel, self.compute_dtype)

    def _followed(self, u, v, kernel, is_cold):
        """Returns u and v, if cold after steps until one grows no more."""
        u, v, _ = tf.while_loop(
            lambda u, v, growth: is_cold & (growth > _ARRIVED),
            lambda u, v, growth: self._stepped(u, v, kernel),
            (u, v, ops.full((), float("inf"), self.compute_dtype)),
            maximum_iterations=_MOST_STEPS,
        )
        return u, v

    def _stepped(self, u, v, kernel):
        """Returns the next u and v, and by what share ||K v|| > ||K^T u||."""
        v, before = _normalised(self._forward(u, kernel), v)
        u, after = _normalised(self._adjoint(v, kernel), u)
        return u, v, ops.where(before > 0.0, after / before - 1.0, 0.0)

    def _forward(self, u, kernel):
        return ops.matmul(u, kernel)

    def _adjoint(self, v, kernel):
        return ops.matmul(kernel, v)

    def _product(self, u, v, kernel):
        return ops.sum(u * self._adjoint(v, kernel))


class ConvolutionNormTracker(SpectralNormTracker):
    """The same for a convolution as a map of whole samples.

    Its u has the shape of a sample before the convolution, its v that of one
    after it. The norm of the kernel flattened to a matrix may be too small by
    a factor of the root of the number of taps; this one is that of the map
    itself, borders, strides and padding included.
    """

    def __init__(self, convolution: "Convolve", **kwargs: Any):
        """Keeps the map.

        Args:
            convolution: What is done with samples and a kernel.
            **kwargs: The arguments of any Keras layer.
        """
        super().__init__(**kwargs)
        self.convolution = convolution

    # A layer that is called on kernels is built with whatever it is made for.
    def build(  # type: ignore[override]
        self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]
    ) -> None:
        """Makes u and v, in the shapes of samples without the batch."""
        self._make_vectors(input_shape, output_shape)

    def _forward(self, u, kernel):
        return self.convolution(u[None], kernel)[0]

    def _adjoint(self, v, kernel):
        return self.convolution.adjoint(v[None], kernel, self.u.shape)[0]

    def _product(self, u, v, kernel):
        # Forward: its gradient is one pass, that of the adjoint another kind.
        return ops.sum(self._forward(u, kernel) * v)


class Convolve:
    """x, K -> x * K: what a convolution layer does but for bias, activation."""

    def __init__(self, layer: keras.layers.Layer):
        """Notes the geometry.

        Args:
            layer: A Conv1D, Conv2D or DepthwiseConv2D.
        """
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        self._operation = ops.depthwise_conv if is_depthwise else ops.conv
        # Not the layer itself: it holds the tracker that holds this.
        self._settings = {
            "strides": tuple(layer.strides),
            "padding": layer.padding,
            "dilation_rate": tuple(layer.dilation_rate),
            "data_format": layer.data_format,
        }

    def __call__(self, x: Any, kernel: Any) -> Any:
        """Returns the convolution of samples `[batch, ...]`."""
        settings = self._settings
        if settings["padding"] == "causal":
            settings = {**settings, "padding": "valid"}
            reach = (kernel.shape[0] - 1) * settings["dilation_rate"][0]
            around = [[0, 0], [0, 0], [0, 0]]
            is_last = settings["data_format"] == "channels_last"
            around[1 if is_last else 2] = [reach, 0]
            x = ops.pad(x, around)
        return self._operation(x, kernel, **settings)

    def adjoint(self, v: Any, kernel: Any, shape: Sequence[int]) -> Any:
        """Returns the adjoint applied to v, differentiable in both.

        Args:
            v: `[batch, ...]` as the convolution gives them.
            kernel: That of the layer, or one like it.
            shape: Of one sample before the convolution.
        """
        # A linear map's gradient is its adjoint, at zero as anywhere: so it
        # is right whatever the geometry.
        x = tf.zeros([tf.shape(v)[0], *shape], v.dtype)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = self(x, kernel)
        return tape.gradient(y, x, output_gradients=v)


def _random_unit(shape: Sequence[int], dtype: str, seed: int) -> Any:
    normal = ops.convert_to_tensor(
        keras.random.normal(shape, dtype=dtype, seed=seed)
    )
    return normal / ops.sqrt(ops.sum(ops.square(normal)))


def _cosine(one: Any, other: Any) -> Any:
    return ops.sum(one * other)


def _normalised(vector: Any, previous: Any) -> tuple[Any, Any]:
    """Returns direction and length; the previous one and 0 if there is none."""
    # Scaled first, because the squares of 1e-23 and of 1e20 are no float32
    # numbers. A zero vector, kept, would stay zero for every later kernel.
    largest = ops.max(ops.abs(vector))
    usable = ops.logical_and(largest > 0.0, ops.isfinite(largest))
    scaled = vector / ops.where(usable, largest, ops.ones_like(largest))
    length = ops.sqrt(ops.sum(ops.square(scaled)))
    length = ops.where(usable, length, ops.ones_like(largest))
    direction = ops.where(usable, scaled / length, previous)
    return direction, ops.where(usable, length * largest, 0.0)
