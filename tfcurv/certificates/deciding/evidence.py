"""What a network says at points, and adversarial examples near them."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfcurv import errors
from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.certificates.attacks import boundary as adversary
from tfcurv.certificates.attacks.threat import Threat
from tfcurv.certificates.margins.search import search_problem

# Steps of an attack after which to see whether it has got near enough.
_GLANCE = 2


class Look(NamedTuple):
    """What a network says at a batch of points.

    Attributes:
        finite: `[batch]` whether all logits are.
        prediction: `[batch]` int32 class of the largest logit.
        runner_up: `[batch]` int32 class of the largest but the label's.
        margin: `[batch]` the smallest z_y - z_t over t != y.
        error: `[batch]` how far a logit may be from the exact one, and from
            the executed one where the network has an execution.
    """

    finite: np.ndarray
    prediction: np.ndarray
    runner_up: np.ndarray
    margin: np.ndarray
    error: np.ndarray


class Witness:
    """Looks at points of one network, and attacks them; compiled once."""

    def __init__(
        self,
        network: networks.Network,
        attack_steps: int,
        threat: Threat = Threat(),
    ):
        """Builds the compiled functions; nothing is traced yet.

        Args:
            network: The network.
            attack_steps: Gradient evaluations of an attack.
            threat: Which examples count, and how far they are.
        """
        self._threat = threat
        self._network = network
        self._steps = attack_steps
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        classes = tf.TensorSpec([None], tf.int32)
        self._look = tracing.Traced(self._look_batch, [points, classes])
        self._attack = tracing.Traced(
            self._attack_batch,
            [
                *(points, classes, classes, points),
                tf.TensorSpec([], tf.int32),
            ],
        )

    def trace(self) -> None:
        """Traces the compiled functions, which the first calls do otherwise."""
        self._look.trace()
        self._attack.trace()

    def look(self, x: np.ndarray, y: np.ndarray) -> Look:
        """Returns what the network says.

        Args:
            x: `[batch, dim]` float64 points, finite.
            y: `[batch]` int32 labels.
        """
        found = self._look(tf.constant(x), tf.constant(y))
        return Look(*(field.numpy() for field in found))

    def attack(
        self,
        x: np.ndarray,
        y: np.ndarray,
        t: np.ndarray,
        start: np.ndarray,
        near: float = 0.0,
    ) -> np.ndarray:
        """Returns distances `[batch]` of adversarial examples really found.

        Args:
            x: `[batch, dim]` float64 points that are given their labels.
            y: `[batch]` int32 labels.
            t: `[batch]` int32 classes to move towards; any may be met.
            start: `[batch, dim]` where to begin.
            near: Of an example so near no nearer one is looked for.

        Returns:
            Proved upper bounds; infinite where no example was found.
        """
        columns = x, y, t, start
        found, rows = np.full(len(x), np.inf), np.arange(len(x))
        glances = (_GLANCE,) if 0.0 < near and _GLANCE < self._steps else ()
        for steps in (*glances, self._steps):
            few = (tf.constant(column[rows]) for column in columns)
            distance = self._attack(*few, tf.constant(steps)).numpy()
            found[rows] = np.minimum(found[rows], distance)
            rows = rows[found[rows] > near]
            if not rows.size:
                break
        return found

    def _look_batch(self, x: tf.Tensor, y: tf.Tensor) -> Look:
        network = self._network
        forward = network.forward(x)
        logits = network.logits_of(forward)
        error = networks.logit_error(network, forward)
        if network.execution is not None:
            error += adversary.execution_error(network, x, y)
        return Look(
            finite=tf.reduce_all(tf.math.is_finite(logits), axis=-1),
            prediction=tf.argmax(logits, axis=-1, output_type=tf.int32),
            runner_up=adversary.rival(logits, y),
            margin=adversary.least_margin(logits, y),
            error=error,
        )

    def _attack_batch(self, x, y, t, start, steps) -> tf.Tensor:
        network = self._network
        nothing = tf.zeros_like(x[:, 0])
        problem = search_problem(network, x, y, t, nothing, nothing)
        start = tf.cast(start, numerics.SEARCH_DTYPE)
        point = adversary.approach_boundary(
            network, problem, start, steps, self._threat
        )
        return adversary.cross_boundary(
            network, x, y, point, threat=self._threat
        ).distance


def check_classes(
    network: networks.Network | networks.GraphNetwork,
) -> None:
    """Makes sure that there is a class to certify against, or to attack for.

    Args:
        network: A network.

    Raises:
        UnsupportedModelError: It has a single logit.
    """
    if network.num_classes < 2:
        raise errors.UnsupportedModelError(
            "A network with a single logit has no second class to certify "
            f"against. Received: num_classes={network.num_classes}. "
            "Remedy: Dense(2) in place of Dense(1); for a trained model, "
            "one whose kernel and bias have a column of zeros before the "
            "old one."
        )
