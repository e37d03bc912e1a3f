"""COLT: an adversary inside of the network, between its layers."""

from collections.abc import Mapping
import math
from typing import Any

import keras
import tensorflow as tf

from tfcurv import certificates
from tfcurv import networks
from tfcurv.bounds.propagation import zonotopes
from tfcurv.networks import Kind
from tfcurv.nn.training.strength import Strength
from tfcurv.nn.training.trained_graph import TrainedGraph
from tfcurv.nn.training.worst_logits import Logits
from tfcurv.nn.training.worst_logits import WorstLogits


@keras.saving.register_keras_serializable(package="tfcurv")
class LayerwiseAdversary(WorstLogits):
    r"""Trains on the worst latent points that projected gradients find.

    In stage k the first k activations and maxima are replaced by what encloses
    them: the values behind them then lie in a zonotope { a + A e : |e| <= 1 }
    that holds all that inputs within epsilon can reach, and points that none
    reaches (see `tfcurv.bounds.propagation.zonotopes`). An adversary looks for
    the worst of its points by steps on the coefficients,

        e <- clip(e + step_size sign(slope of the loss), -1, 1),

    and the layers behind are trained against what it finds, while those before
    stay as they are. Stage 0 is adversarial training at the input. In each the
    loss is

        (1 - weight) loss(stage before) + weight loss(this stage)
        + weight stability mean sum max(-l, 0) max(u, 0) + l1 sum |W|,

    with [l, u] of what the first bend reads that is not replaced, if it has a
    kink, and W the kernels that are trained. A `WarmUp` raises the weight.
    Proofs are then easy by the same enclosures: `tfcurv.certify(method=
    "complete")`. Nothing of the training is a proof: the intervals of neurons
    are estimates, and an adversary may overlook the worst.

        model.compile("adam", loss, worst_case=tfcurv.nn.LayerwiseAdversary(
            0.1, domain=(0.0, 1.0)))

    trains stage 0; `tfcurv.training.fit_layerwise` goes through all stages.
    Of another stage, `frozen_layers` are not to be trained: what is replaced
    is a constant to the slopes of the loss.

    Source: Balunovic and Vechev, "Adversarial Training and Provable Defenses:
    Bridging the Gap", ICLR 2020, and its published code.
    """

    metric = "attacked_estimate"
    replaces = True

    def __init__(
        self,
        epsilon: float,
        *,
        domain: tuple[float, float] | None = None,
        stage: int = 0,
        num_steps: int = 8,
        step_size: float = 0.25,
        projections: int = 50,
        stability: float = 0.0,
        l1: float = 0.0,
        weight: float = 1.0,
    ):
        """Stores the settings.

        Args:
            epsilon: linf distance, in units of the model's input, non-negative.
            domain: Interval that every entry of an input lies in; None for all
                inputs.
            stage: How many activations and maxima are replaced.
            num_steps: Of the adversary.
            step_size: Of each, in coefficients, which reach from -1 to 1.
            projections: Random numbers that estimate each interval, at least
                two; off by a share of pi / (2 sqrt(projections)).
            stability: Weight of the product of the ends of intervals around 0.
            l1: Weight of the absolute values of the kernels that are trained.
            weight: Of the loss of this stage, in [0, 1].

        Raises:
            ValueError: A number is out of range.
        """
        super().__init__(epsilon, weight)
        threat = certificates.Threat(norm="linf", domain=domain)
        self._config: dict[str, Any] = {
            "num_steps": num_steps,
            "step_size": step_size,
            "projections": projections,
            "stability": stability,
            "l1": l1,
        }
        counts = stage, num_steps, projections
        is_whole = all(isinstance(each, int) for each in counts)
        is_whole &= stage >= 0 and num_steps >= 1 and projections >= 2
        is_real = all(0.0 <= each < math.inf for each in (stability, l1))
        if not (is_whole and is_real and 0.0 < step_size <= 2.0):
            raise ValueError(
                "A setting of the adversary is out of range. Received: "
                f"stage={stage!r}, {self._config}. Allowed: no negative "
                "number, whole numbers of stages, of steps, at least one, and "
                "of projections, at least two; step_size in (0, 2]."
            )
        self.domain = threat.domain
        self.stage = stage

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """The weight: what was trained before was for all of epsilon."""
        return (self.weight,)

    def at(self, stage: int, **changes: Any) -> "LayerwiseAdversary":
        """Returns one with the settings of this, of another stage.

        Args:
            stage: Its number.
            **changes: Of the constructor's other arguments.
        """
        return LayerwiseAdversary(
            **{**self.get_config(), "stage": stage, **changes}
        )

    def replaced(self, graph: TrainedGraph) -> list[int]:
        """Returns the positions of what is replaced.

        Args:
            graph: Of the model.

        Raises:
            ValueError: There is not so much.
        """
        bends = zonotopes.bends(graph.graph)
        if self.stage > len(bends):
            raise ValueError(
                "A stage replaces one activation or maximum more than the one "
                f"before. Received: stage={self.stage!r} for a model of "
                f"{len(bends)}. Allowed: 0 to {len(bends)}."
            )
        return bends[: self.stage]

    def frozen_layers(self, graph: TrainedGraph) -> list[keras.layers.Layer]:
        """Returns the layers before what is replaced, which are not trained.

        Args:
            graph: Of the model.

        Raises:
            ValueError: As `replaced`.
        """
        waiting, found = self.replaced(graph), set()
        while waiting:
            position = waiting.pop()
            if position not in found:
                found.add(position)
                waiting += graph.graph.nodes[position].sources
        return [
            graph.layer(position)
            for position in sorted(found)
            if graph.graph.nodes[position].kind is Kind.LINEAR
            and isinstance(graph.layer(position), keras.layers.Layer)
        ]

    def _logits(self, graph, x, y) -> Logits:
        self.replaced(graph)
        epsilon = tf.cast(self.epsilon, x.dtype)
        start = zonotopes.box_around(x, epsilon, self.domain)
        linear = _linear_of(graph)
        relaxed = zonotopes.relax(
            *(graph.graph, linear, start),
            count=self.stage,
            projections=self._config["projections"],
        )
        weight = tf.cast(self.weight, x.dtype)
        worst = self._attacked(graph, start, relaxed.slabs, y)
        # Of this stage alone nothing of the last is needed.
        usual = tf.cond(
            weight < 1.0,
            lambda: self._before(graph, x, start, relaxed.slabs, y),
            lambda: worst,
        )
        penalties = self._penalties(graph, relaxed.ends, x)
        return Logits(usual, worst, penalties)

    def _before(self, graph, x, start, slabs: Mapping, y) -> tf.Tensor:
        """Returns the logits of the stage before; first, those of x."""
        if not self.stage:
            zero = tf.zeros_like(x)
            at_x, linear = zonotopes.Box(x, zero), _linear_of(graph)
            return zonotopes.point(graph.graph, linear, at_x, {}, {0: zero})
        last = max(slabs)
        fewer = {i: slab for i, slab in slabs.items() if i != last}
        return self._attacked(graph, start, fewer, y)

    def _attacked(self, graph, start, slabs: Mapping, y) -> tf.Tensor:
        """Returns logits of the worst point that was found."""
        linear = _linear_of(graph)
        halves = {0: start.half} | {i: s.half for i, s in slabs.items()}
        order = sorted(halves)

        def logits_at(numbers):
            return zonotopes.point(
                graph.graph, linear, start, slabs, dict(zip(order, numbers))
            )

        numbers = [
            tf.random.uniform(tf.shape(halves[i]), -1.0, 1.0, halves[i].dtype)
            for i in order
        ]
        for _ in range(self._config["num_steps"]):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(numbers)
                loss = _lead(logits_at(numbers), y)
            slopes = tape.gradient(loss, numbers)
            step = self._config["step_size"]
            numbers = [
                # Neither NaN nor what is not read moves anything.
                each
                if slope is None
                else tf.clip_by_value(
                    each + step * tf.sign(tf.where(slope == slope, slope, 0.0)),
                    -1.0,
                    1.0,
                )
                for each, slope in zip(numbers, slopes)
            ]
        return logits_at([tf.stop_gradient(each) for each in numbers])

    def _penalties(self, graph, ends, x) -> tf.Tensor | None:
        """Returns `[batch]` what is added to the losses; None for nothing."""
        config, found = self._config, []
        if config["stability"] and self._kinks_next(graph.graph):
            areas = tf.nn.relu(-ends.lower) * tf.nn.relu(ends.upper)
            share = config["stability"] * tf.cast(self.weight, x.dtype)
            found.append(share * tf.reduce_sum(areas, axis=-1))
        if config["l1"]:
            sizes = [tf.reduce_sum(tf.abs(each)) for each in graph.kernels]
            size = tf.add_n(sizes) if sizes else tf.zeros([], x.dtype)
            found.append(tf.fill(tf.shape(x)[:1], config["l1"] * size))
        return tf.add_n(found) if found else None

    def _kinks_next(self, graph: networks.Graph) -> bool:
        """Whether the first bend that is not replaced is a kink."""
        left = zonotopes.bends(graph)[self.stage :]
        if not left or graph.nodes[left[0]].kind is not Kind.ACTIVATION:
            return False
        return graph.nodes[left[0]].activation.is_kinked

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the numbers as they are now."""
        return {
            "epsilon": self.epsilon.settled,
            "domain": self.domain,
            "stage": self.stage,
            "weight": self.weight.settled,
            **self._config,
        }


def _lead(logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns log sum exp(z_t - z_y) over t != y, `[batch]`.

    Cross entropy rises with it and has its direction; rounding does not take
    its slope away where the label is sure.
    """
    own = tf.one_hot(y, logits.shape[-1], dtype=logits.dtype)
    least = tf.constant(-1e30, logits.dtype)
    others = tf.where(own > 0.0, least, logits)
    return tf.reduce_logsumexp(others, -1) - tf.reduce_sum(own * logits, -1)


def _linear_of(graph: TrainedGraph):
    """Returns what maps positions to what LINEAR nodes compute."""

    def linear(position: int) -> zonotopes.Linear:
        return zonotopes.Linear(
            graph.linear_map(position), graph.bias(position)
        )

    return linear
