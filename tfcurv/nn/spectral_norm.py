"""A spectral norm that follows a kernel through training."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfcurv")
class SpectralNormTracker(keras.layers.Layer):
    """Estimates the spectral norm of a kernel by persistent power iteration.

    Keeps unit vectors u `[inputs]` and v `[outputs]` as non-trainable
    weights, saved with the model. One step a training batch,

        v <- K^T u / ||K^T u||,   u <- K v / ||K v||,

    follows a slowly changing kernel. The estimate u^T K v approaches the norm
    from below and its gradient is u v^T: it may train, and never certifies.
    """

    def __init__(self, **kwargs: Any):
        """Takes the arguments of any Keras layer."""
        super().__init__(**kwargs)

    def build(self, kernel_shape: tuple[int, int]) -> None:
        """Makes u and v for kernels of this shape."""
        inputs, outputs = kernel_shape
        self.u = self._unit_vector(inputs, "u", seed=1)
        self.v = self._unit_vector(outputs, "v", seed=2)
        self.built = True

    def _unit_vector(self, size: int, name: str, seed: int) -> keras.Variable:
        # Normal entries with deviation 1 / sqrt(size) have norm about 1.
        return self.add_weight(
            shape=(size,),
            name=name,
            initializer=keras.initializers.RandomNormal(
                stddev=size**-0.5, seed=seed
            ),
            trainable=False,
        )

    def step(self, kernel: Any) -> None:
        """Takes one step of power iteration on a kernel."""
        kernel = ops.stop_gradient(ops.convert_to_tensor(kernel))
        v = _normalised(ops.matmul(self.u, kernel), self.v)
        self.v.assign(v)
        self.u.assign(_normalised(ops.matmul(kernel, v), self.u))

    def call(self, kernel: Any) -> Any:
        """Returns u^T K v, a scalar, without taking a step."""
        u, v = ops.stop_gradient(self.u), ops.stop_gradient(self.v)
        return ops.sum(u * ops.matmul(kernel, v))


def _normalised(vector: Any, previous: Any) -> Any:
    """Returns the direction of `vector`, the previous one if it has none."""
    # Scaled first, because the squares of 1e-23 and of 1e20 are no float32
    # numbers. A zero vector, kept, would stay zero for every later kernel.
    largest = ops.max(ops.abs(vector))
    usable = ops.logical_and(largest > 0.0, ops.isfinite(largest))
    scaled = vector / ops.where(usable, largest, ops.ones_like(largest))
    length = ops.where(usable, ops.norm(scaled), ops.ones_like(largest))
    return ops.where(usable, scaled / length, previous)
