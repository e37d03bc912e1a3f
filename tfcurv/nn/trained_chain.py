"""What curvature-based training needs to know of a Keras model."""

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import chain
from tfcurv.nn import layers as tfcurv_layers


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

    def pair_weights(self, y: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, n]` w = W_L[y] - W_L[t]."""
        columns = tf.transpose(tf.convert_to_tensor(self._dense[-1].kernel))
        return tf.gather(columns, y) - tf.gather(columns, t)

    def curvature_estimate(self, y: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """Returns K(W, y, t) `[batch]` of Theorem 4 with tracked norms."""
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
        return bounds.theorem4_estimate(layers, self.pair_weights(y, t))
