"""Reads a Keras model as a graph of linear maps, activations and joins."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tfcurv import errors
from tfcurv import networks
from tfcurv.networks import Kind as Kind
from tfcurv.networks import LinearStep
from tfcurv.networks import Node as Node
from tfcurv.nn.reading import activation_layers
from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import pooling_layers
from tfcurv.nn.reading import reasons
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading import training_mode
from tfcurv.nn.reading.nodes import Assumption as Assumption
from tfcurv.nn.reading.nodes import Reading as Reading
from tfcurv.nn.reading.nodes import Refused as Refused
from tfcurv.nn.reading.reader import Reader

_KINKED_LAYERS = {keras.layers.LeakyReLU, *pooling_layers.READERS}


class Survey:
    """All that has been read of a model, what cannot be certified too.

    Attributes:
        nodes: As those of a graph; some may be `Refused`.
        layers: The Keras layer or operation of each.
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
        self.layers = tuple(reader.layers[: last + 1])
        self._model = model
        self._assumed = tuple(reader.assumed)
        self._assumed_in_training = tuple(reader.assumed_in_training)
        self._assumed_of_users = tuple(reader.assumed_of_users)
        # By the position of what is wrong, so that all are told in order.
        self._refusals = [
            (position, node.error)
            for position, node in enumerate(reader.nodes)
            if isinstance(node, Refused) and node.error is not None
        ]
        if not self._refusals:
            reader.check_assumptions()
        self._check_logits()

    def refuse(
        self, error: errors.UnsupportedModelError, at: int | None = None
    ):
        """Adds to what is wrong with the model.

        Args:
            error: What is wrong.
            at: Position of the node; None for the model as a whole.
        """
        self._refusals.append((len(self.nodes) if at is None else at, error))

    def reading(self) -> Reading:
        """Returns what the model computes.

        Raises:
            UnsupportedModelError: Something is wrong with it: about all of it.
        """
        if self._refusals:
            found = sorted(self._refusals, key=lambda each: each[0])
            raise refusals.all_of(self._model, [error for _, error in found])
        if self._assumed_in_training and self._assumed_of_users:
            raise self._uncomparable()
        return Reading(
            graph=networks.Graph(nodes=self.nodes),
            layers=self.layers,
            assumptions=self._assumed,
            trained_assumptions=self._assumed_in_training,
        )

    def _uncomparable(self) -> errors.UnsupportedModelError:
        """What is random when called hides what a user's layer hands on."""
        return refusals.of_model(
            self._model,
            "The model as it is called cannot be compared with its layers: one "
            "that is vouched for is random then, and what another one, of a "
            "user's class, does to the layers behind it would not be seen.",
            f"{self._assumed_in_training} and {self._assumed_of_users} of "
            f"model={self._model.name!r}",
            "build the first with training=False",
        )

    def _check_logits(self) -> None:
        """Refuses a model without logits, and one that hides them."""
        bounded = not self._refusals
        if bounded and not any(node.mixes for node in self.nodes):
            self.refuse(
                refusals.of_model(
                    self._model,
                    "A model without a Dense layer or a convolution has no "
                    "logits to certify.",
                    f"model={self._model.name!r}",
                    "end it in Dense(classes)",
                )
            )
            return
        place = len(self.nodes) - 1
        while self.nodes[place].kind is Kind.LINEAR:
            if not _keeps_order(self.nodes[place].step):
                return
            (place,) = self.nodes[place].sources
        name = self._bends(place)
        if name is not None:
            self._refusals = [
                each for each in self._refusals if each[0] != place
            ]
            self.refuse(refusals.head(self.layers[place], name), place)

    def _bends(self, place: int) -> str | None:
        """Returns the name of the activation at a node, known or refused."""
        node = self.nodes[place]
        if node.kind is Kind.ACTIVATION:
            return node.activation.name
        refused = isinstance(node, Refused) and node.error
        if isinstance(refused, errors.UnsupportedActivationError):
            return activation_layers.name_of(self.layers[place])
        return None


def _keeps_order(step: LinearStep) -> bool:
    """Whether the largest entry stays the largest: one scale, one offset."""
    if type(step.map) is networks.Diagonal:
        scale = np.ravel(step.map.scale)
    elif type(step.map) is networks.Identity:
        scale = np.ones(1)
    else:
        return False
    return bool(
        np.all(scale == scale[0])
        and scale[0] > 0.0
        and np.all(step.bias == step.bias[0])
    )


def refuse_kinks(
    survey: Survey, relu: reasons.Reason | None = reasons.FUNCTIONS["relu"]
) -> None:
    """Refuses what has no bounded curvature, for methods that need it.

    Args:
        survey: What was read of a model, which may be certified otherwise.
        relu: Why plain ReLU is refused, too; None where it may stand.
    """
    for place, (node, layer) in enumerate(zip(survey.nodes, survey.layers)):
        fn = getattr(node, "activation", None)
        if node.kind is Kind.MAXIMUM or _stands_behind_refused(node, layer):
            survey.refuse(refusals.unknown(layer, 1), place)
        elif fn is networks.RELU and relu is not None:
            # Last: it depends on the rest whether it may stand.
            survey.refuse(refusals.unknown_activation(layer, "relu", relu))
        elif fn is not None and fn.is_kinked and fn is not networks.RELU:
            applied = activation_layers.applied_by(layer)
            survey.refuse(refusals.kinked(layer, fn.name, applied), place)


def _stands_behind_refused(node: Node | Refused, layer) -> bool:
    """Whether a layer, known for its kinks, could not be read for its input."""
    is_open = isinstance(node, Refused) and node.error is None
    return is_open and type(layer) in _KINKED_LAYERS


def read_graph(
    model: keras.Model,
    *,
    with_kinks: bool = False,
    in_training: bool = False,
    assume: Mapping[str, Assumption] | None = None,
) -> Reading:
    """Returns what a model computes in inference.

    A layer with an activation becomes two nodes; one that does nothing in
    inference becomes none; an inner model is walked through.

    Args:
        model: A built `keras.Sequential` or functional model, or tfcurv's own.
        with_kinks: Whether the caller can do without bounded curvature, so
            that maxima and piecewise linear activations are read too.
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
    if not with_kinks:
        refuse_kinks(survey)
    return survey.reading()
