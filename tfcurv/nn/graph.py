"""Reads a Keras model as a graph of linear maps, activations and joins."""

from collections.abc import Mapping
from typing import Any

import keras

from tfcurv import bounds
from tfcurv import errors
from tfcurv.nn import activation_layers
from tfcurv.nn import model_calls
from tfcurv.nn import reasons
from tfcurv.nn import refusals
from tfcurv.nn import training_mode
from tfcurv.nn.nodes import Assumption as Assumption
from tfcurv.nn.nodes import Graph as Graph
from tfcurv.nn.nodes import Kind as Kind
from tfcurv.nn.nodes import Node as Node
from tfcurv.nn.reader import Reader


class Survey:
    """All that has been read of a model, what cannot be certified too.

    Attributes:
        nodes: As those of a `Graph`; some may be REFUSED.
        refusals: What is wrong with the model; empty if nothing is.
    """

    def __init__(
        self,
        model: keras.Model,
        assume: Mapping[str, Assumption],
        *,
        in_training: bool = False,
    ):
        """Reads the model; see `read_graph`.

        Raises:
            UnsupportedModelError: It is neither built nor of a known kind.
            ValueError: As `read_graph`.
            TypeError: As `read_graph`.
        """
        model_calls.check_model(model)
        trained: Mapping[int, Any] = {}
        if not in_training:
            trained = training_mode.trained_when_called(model)
        reader = Reader(model, dict(assume), trained)
        last = reader.walk(model, 0)
        self.nodes = tuple(reader.nodes[: last + 1])
        self._model = model
        self._assumed = tuple(reader.assumed)
        self._assumed_in_training = tuple(reader.assumed_in_training)
        found = [node.refusal for node in reader.nodes]
        self.refusals = [each for each in found if each is not None]
        if not self.refusals:
            reader.check_assumptions()
        self._check_logits()

    def graph(self) -> Graph:
        """Returns what the model computes.

        Raises:
            UnsupportedModelError: There are refusals: about all of them.
        """
        if self.refusals:
            raise refusals.all_of(self._model, self.refusals)
        return Graph(
            nodes=self.nodes,
            assumptions=self._assumed,
            trained_assumptions=self._assumed_in_training,
        )

    def _check_logits(self) -> None:
        """Refuses a model without logits, and one that hides them."""
        bounded = not self.refusals
        if bounded and not any(node.mixes for node in self.nodes):
            self.refusals.append(
                refusals.of_model(
                    self._model,
                    "A model without a Dense layer or a convolution has no "
                    "logits to certify.",
                    f"model={self._model.name!r}",
                    "end it in Dense(classes)",
                )
            )
            return
        node = self.nodes[-1]
        while node.kind is Kind.LINEAR and not node.mixes:
            node = self.nodes[node.sources[0]]
        name = _bends(node)
        if name is not None:
            if node.refusal is not None:
                self.refusals.remove(node.refusal)
            self.refusals.append(refusals.head(node.layer, name))


def _bends(node: Node) -> str | None:
    """Returns the name of the activation that a node is, known or refused."""
    if node.activation is not None:
        return node.activation.name
    if isinstance(node.refusal, errors.UnsupportedActivationError):
        return activation_layers.name_of(node.layer)
    return None


def read_graph(
    model: keras.Model,
    *,
    with_relu: bool = False,
    in_training: bool = False,
    assume: Mapping[str, Assumption] | None = None,
) -> Graph:
    """Returns what a model computes in inference.

    A layer with an activation becomes two nodes; one that does nothing in
    inference becomes none; an inner model is walked through.

    Args:
        model: A built `keras.Sequential` or functional model, or tfcurv's own.
        with_relu: Whether the caller can do without bounded curvature.
        in_training: Whether the model is still to be trained, so that layers
            may be random when it is called.
        assume: For names of layers that are not known, what they compute in
            inference. It is believed: what is proved rests on it.

    Raises:
        UnsupportedLayerError: A layer is not known, or not used as it must.
        UnsupportedActivationError: No curvature bound is known for one.
        UnsupportedModelError: The model is neither built nor of a known kind.
        NonFiniteWeightsError: A scale or an offset is NaN or infinite. Where
            several layers are wrong, the error is of the first one's type,
            names all, and has them as its `problems`.
        ValueError: An assumption is about no layer, or one that is known.
        TypeError: An assumption is of another type.
    """
    survey = Survey(model, assume or {}, in_training=in_training)
    if not with_relu:
        survey.refusals += [
            refusals.unknown_activation(
                node.layer, "relu", reasons.FUNCTIONS["relu"]
            )
            for node in survey.nodes
            if node.activation is bounds.RELU
        ]
    return survey.graph()
