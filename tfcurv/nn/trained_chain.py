"""What curvature-based training needs to know of a Keras model."""

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import chain
from tfcurv.nn import layers as tfcurv_layers

# Up to this many classes there are no more pairs than rows in a batch of 64.
_FEW_CLASSES = 11


class TrainedChain:
    """The dense layers of a model, with their trackers and activations."""

    def __init__(self, model: keras.Model):
        """Reads the model.

        Raises:
            UnsupportedModelError: As `read_chain`; also if a dense layer
                carries no tracker.
        """
        self._dense: list[tfcurv_layers.Dense] = []
        self._activations: list[bounds.Activation] = []
        self._scale = 1.0
        for link in chain.read_chain(model):
            self._append(link)
        self._activations = self._activations[: len(self._dense) - 1]

    def _append(self, link: chain.Link) -> None:
        if type(link) is chain.Scaling:
            # Where it stands between maps does not matter for the product of
            # norms, which is all that the largest factor enters.
            self._scale *= float(np.max(np.abs(link.scale)))
        elif type(link) is chain.DenseMap:
            if type(link.layer) is not tfcurv_layers.Dense:
                raise errors.UnsupportedLayerError(
                    "Curvature-based training needs layers that track their "
                    "spectral norm. Received: layer "
                    f"{link.layer.name!r} of type keras.layers.Dense. "
                    "Allowed: tfcurv.layers.Dense."
                )
            if len(self._activations) < len(self._dense):
                self._activations.append(bounds.activation("linear"))
            self._dense.append(link.layer)
        elif len(self._activations) >= len(self._dense):
            raise errors.UnsupportedLayerError(
                "Curvature-based training needs a dense layer before each "
                f"activation. Received: layer {link.layer.name!r}."
            )
        else:
            self._activations.append(link.activation)

    @property
    def num_layers(self) -> int:
        """The number of dense layers."""
        return len(self._dense)

    def step(self) -> None:
        """Takes one step of power iteration on every kernel."""
        for layer in self._dense:
            layer.spectral_norm.step(layer.kernel)

    def curvature_estimate(self, y: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """Returns K(W, y, t) `[batch]` of Theorem 4 with tracked norms.

        K(W, y, t) = K(W, t, y), so that C classes have C (C - 1) / 2 values.
        Where these are few they are computed and looked up: for ten classes
        45 rows through the network's absolute kernels, whatever the batch.

        Args:
            y: `[batch]` int32 labels.
            t: `[batch]` int32 other classes.
        """
        classes = self._dense[-1].kernel.shape[-1]
        if classes > _FEW_CLASSES:
            return self._estimate(y, t)
        first, second = np.triu_indices(classes, 1)
        position = np.full((classes, classes), len(first))
        position[first, second] = position[second, first] = range(len(first))
        values = self._estimate(tf.constant(first), tf.constant(second))
        pair = tf.gather(tf.gather(position, y), t, batch_dims=1)
        # A product, so that its gradient is one. No entry of a row is on for
        # the pair of a class with itself, whose K is zero.
        chosen = tf.one_hot(pair, len(first), dtype=values.dtype)
        return tf.linalg.matvec(chosen, values)

    def _estimate(self, y: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        followed = [*self._activations, None]
        layers = [
            bounds.TrainedLayer(
                tf.convert_to_tensor(layer.kernel),
                layer.spectral_norm(layer.kernel),
                activation,
            )
            for layer, activation in zip(self._dense, followed)
        ]
        if len(layers) > 1:
            first = layers[0]
            layers[0] = first._replace(norm=first.norm * self._scale)
        columns = tf.transpose(tf.convert_to_tensor(self._dense[-1].kernel))
        weights = tf.gather(columns, y) - tf.gather(columns, t)
        return bounds.theorem4_estimate(layers, weights)
