"""What certified training needs to know of a Keras model."""

import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcurv import bounds
from tfcurv import errors
from tfcurv import networks
from tfcurv.networks import Kind
from tfcurv.networks import Node
from tfcurv.nn import layers as tfcurv_layers
from tfcurv.nn.reading import graph

# Up to this many classes there are no more pairs than rows in a batch of 64.
_FEW_CLASSES = 11

# `type is`, not isinstance: a subclass may compute something else.
_TRACKED = (
    tfcurv_layers.Dense,
    tfcurv_layers.Conv1D,
    tfcurv_layers.Conv2D,
    tfcurv_layers.DepthwiseConv2D,
)

# What has one kernel and a bias, and no tracker.
_UNTRACKED = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
)


class TrainedGraph:
    """The steps of a model, with its layers' weights and trackers.

    What the model computes in inference, as it is certified: a batch
    normalization counts with its moving statistics, also while the loss is
    taken with the batch's. K is that of the network that is deployed; in the
    first hundreds of steps, while the moving variance is on its way from one,
    it is far from that of the network in training mode.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        needs_norms: bool = True,
        with_kinks: bool = False,
    ):
        """Reads the model.

        Args:
            model: The model.
            needs_norms: Whether layers that are trained must carry trackers.
            with_kinks: Whether it may have maxima, and activations without a
                bounded curvature.

        Raises:
            UnsupportedModelError: As `read_graph`; also if a layer is to be
                trained that carries no tracker, or in half precision.
        """
        _check_precision(model)
        found = graph.read_graph(model, in_training=True, with_kinks=with_kinks)
        self.graph = found.graph
        self._nodes, self._layers = found.nodes, found.layers
        self._needs_norms = needs_norms
        self._tracked: list[keras.layers.Layer] = []
        for node, layer in zip(self._nodes, self._layers):
            if node.kind is Kind.LINEAR:
                self._check(layer)
        # The powers of norms in K leave the range of half precision.
        is_double = model.compute_dtype == "float64"
        self.dtype = tf.float64 if is_double else tf.float32

    def _check(self, layer) -> None:
        if type(layer) in _TRACKED:
            self._tracked.append(layer)
            return
        if not _is_trained(layer) or _is_normalization(layer):
            return
        if self._needs_norms or type(layer) not in _UNTRACKED:
            kinds = _TRACKED if self._needs_norms else (*_TRACKED, *_UNTRACKED)
            names = {kind.__name__ for kind in kinds}
            allowed = [f"tfcurv.layers.{name}" for name in sorted(names)]
            raise errors.UnsupportedLayerError(
                "Curvature-based training needs layers that track their "
                f"spectral norm. Received: layer {layer.name!r} of type "
                f"{type(layer).__name__}. Allowed: {', '.join(allowed)}, "
                "keras.layers.BatchNormalization, and layers without "
                "trainable weights."
            )

    @property
    def num_layers(self) -> int:
        """The number of layers that track their norm."""
        return len(self._tracked)

    def layer(self, position: int) -> Any:
        """Returns what computes a node: a layer, or an operation of Keras.

        Args:
            position: Of the node.
        """
        return self._layers[position]

    @property
    def kernels(self) -> list[tf.Tensor]:
        """Those of the layers that are trained, not normalizations."""
        layers = dict.fromkeys(each for each in self._layers if each)
        return [
            tf.cast(layer.kernel, self.dtype)
            for layer in layers
            if _is_trained(layer) and type(layer) in (*_TRACKED, *_UNTRACKED)
        ]

    def reads_as(self, other: "TrainedGraph") -> bool:
        """Returns whether both have read the same; weights may differ.

        Those that are not trained must be the same too: of them the graph
        holds values, as of a scale or the kernel of a frozen layer.
        """
        return self.dtype == other.dtype and self._facts == other._facts

    @functools.cached_property
    def _facts(self) -> list[tuple]:
        return [
            (layer, *node[:5], _constants(node, layer))
            for node, layer in zip(self._nodes, self._layers)
        ]

    def step(self, power_iterations: int = 1) -> None:
        """Takes steps of power iteration on every kernel.

        Args:
            power_iterations: Steps; a kernel that is new gets more.
        """
        for layer in self._tracked:
            layer.spectral_norm.step(
                layer.kernel, power_iterations=power_iterations
            )

    def linear_map(
        self, position: int, *, converged: bool = False
    ) -> networks.TrainedMap:
        """Returns the map of a LINEAR node, with the weights of its layer.

        Args:
            position: Of the node.
            converged: As `curvature_estimate`.
        """
        node, layer = self._nodes[position], self._layers[position]
        linear = node.step.map
        if _is_normalization(layer):
            scale, _ = _normalization(layer)
            scale = tf.cast(scale, self.dtype)
            return networks.trained(linear, scale, tf.reduce_max(tf.abs(scale)))
        if type(layer) in _TRACKED:
            kernel = tf.cast(layer.kernel, self.dtype)
            tracker = layer.spectral_norm
            norm = (tracker.converged if converged else tracker)(kernel)
            return networks.trained(linear, kernel, norm)
        if type(layer) in _UNTRACKED and _is_trained(layer):
            kernel = tf.cast(layer.kernel, self.dtype)
            infinite = tf.constant(math.inf, self.dtype)
            return networks.trained(linear, kernel, infinite)
        return networks.FixedMap(linear)

    def bias(self, position: int) -> tf.Tensor:
        """Returns what a LINEAR node adds, `[size]` or fewer, to broadcast."""
        node, layer = self._nodes[position], self._layers[position]
        if _is_normalization(layer):
            _, shift = _normalization(layer)
            axis = [1] * len(node.shape)
            axis[(layer.axis % (len(node.shape) + 1)) - 1] = -1
            whole = tf.reshape(tf.cast(shift, self.dtype), axis)
        elif type(layer) in (*_TRACKED, *_UNTRACKED):
            if layer.bias is None:
                return tf.zeros([node.size], self.dtype)
            whole = tf.cast(layer.bias, self.dtype)
        else:
            return tf.constant(node.step.bias, self.dtype)
        return tf.reshape(tf.broadcast_to(whole, node.shape), [-1])

    def curvature_estimate(
        self, y: tf.Tensor, t: tf.Tensor, *, converged: bool = False
    ) -> tf.Tensor:
        """Returns K(W, y, t) `[batch]` of Theorem 4 with tracked norms.

        K(W, y, t) = K(W, t, y), so that C classes have C (C - 1) / 2 values.
        Where these are few they are computed and looked up: for ten classes
        45 rows through the network's absolute kernels, whatever the batch.

        Args:
            y: `[batch]` int32 labels.
            t: `[batch]` int32 other classes.
            converged: Whether norms are those that power iteration from the
                trackers' vectors ends with, as an evaluation reports them,
                instead of the trackers' own.
        """
        classes = math.prod(self._nodes[-1].shape)
        if classes > _FEW_CLASSES:
            return self._estimate(y, t, converged)
        first, second = np.triu_indices(classes, 1)
        position = np.full((classes, classes), len(first))
        position[first, second] = position[second, first] = range(len(first))
        pairs = tf.constant(first), tf.constant(second)
        values = self._estimate(*pairs, converged)
        pair = tf.gather(tf.gather(position, y), t, batch_dims=1)
        # A product, so that its gradient is one. No entry of a row is on for
        # the pair of a class with itself, whose K is zero.
        chosen = tf.one_hot(pair, len(first), dtype=values.dtype)
        return tf.linalg.matvec(chosen, values)

    def _estimate(self, y, t, converged: bool) -> tf.Tensor:
        classes = math.prod(self._nodes[-1].shape)
        rows = tf.one_hot(y, classes, dtype=self.dtype)
        rows -= tf.one_hot(t, classes, dtype=self.dtype)
        steps = [
            bounds.TrainedStep(
                self._operation(position, node, converged), node.sources
            )
            for position, node in enumerate(self._nodes)
        ]
        return bounds.theorem4_estimate(steps, rows)

    def _operation(self, position: int, node: Node, converged: bool):
        if node.kind is Kind.INPUT:
            return None
        if node.kind is Kind.ACTIVATION:
            return node.activation
        if node.kind is Kind.ADD:
            return bounds.TrainedAdd()
        if node.kind is Kind.CONCATENATE:
            shapes = tuple(self.graph.shapes(node.sources))
            return bounds.TrainedConcatenate(shapes, node.axis)
        return self.linear_map(position, converged=converged)


def _is_trained(layer) -> bool:
    # An operation that no layer does has no weights.
    is_layer = isinstance(layer, keras.layers.Layer)
    return is_layer and bool(layer.trainable_variables)


def _check_precision(model: keras.Model) -> None:
    if model.compute_dtype in ("float16", "bfloat16"):
        raise errors.UnsupportedModelError(
            "What the curvature of a model bounds is the model in float32 or "
            "float64, which is the one to certify. Received: model "
            f"{model.name!r} of dtype policy {model.dtype_policy.name!r}. "
            "Remedy: keras.config.set_dtype_policy('float32') before the "
            "layers are made; or train in this precision without a penalty, "
            "with no adversary or one of constraint='sphere', and then move "
            "the weights to a float32 model."
        )


def _is_normalization(layer) -> bool:
    return type(layer) is keras.layers.BatchNormalization


def _constants(node: Node, layer) -> tuple:
    """Returns what of a node's map is no variable to the graph."""
    if node.step is None or type(layer) in _TRACKED:
        return ()
    if _is_normalization(layer):
        return (layer.epsilon, layer.scale, layer.axis)
    # Maps are the same if they map one general vector to the same values.
    with tf.init_scope():
        probe = np.random.default_rng(0).normal(size=(1, node.step.map.outputs))
        found = node.step.map.transpose(tf.constant(probe))
    return (*found.numpy().ravel(), *np.ravel(node.step.bias))


def _normalization(layer) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns gamma / sqrt(variance + epsilon) and the shift of inference."""
    variance = _at_least_single(layer.moving_variance)
    scale = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        scale *= _at_least_single(layer.gamma)
    shift = -scale * _at_least_single(layer.moving_mean)
    if layer.center:
        shift += _at_least_single(layer.beta)
    return scale, shift


def _at_least_single(variable) -> tf.Tensor:
    value = tf.convert_to_tensor(variable)
    return value if value.dtype == tf.float64 else tf.cast(value, tf.float32)
