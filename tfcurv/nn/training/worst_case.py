"""Certified training: the loss of the worst logits near each example."""

import collections
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfcurv import certificates
from tfcurv import networks
from tfcurv.bounds.propagation import ball_box
from tfcurv.bounds.propagation import margins
from tfcurv.bounds.propagation.backward_lines import BackwardLines
from tfcurv.bounds.propagation.margin_lines import MarginLines
from tfcurv.networks import Kind
from tfcurv.nn.training.trained_graph import TrainedGraph
from tfcurv.nn.training.worst_logits import Logits
from tfcurv.nn.training.worst_logits import WorstLogits


class Bound(NamedTuple):
    """How worst logits are bounded.

    Attributes:
        rules: What is carried through the network.
        lines: Whether linear bounds lead back from the logits, too.
        parallel: Whether these are of equal slope above and below.
        refines: Whether intervals of neurons are bounded by them.
    """

    rules: ball_box.Rules
    lines: bool = False
    parallel: bool = False
    refines: bool = False


_BOXES = ball_box.Rules(ball=False, careful=False)

#: By the name of the method.
BOUNDS: Mapping[str, Bound] = {
    "bcp": Bound(ball_box.Rules(careful=False)),
    "ibp": Bound(_BOXES),
    "lipschitz": Bound(ball_box.Rules(box=False, careful=False)),
    "crown-ibp": Bound(_BOXES, lines=True),
    "coap": Bound(_BOXES, lines=True, parallel=True, refines=True),
}

_NORMS = ("l2", "linf")


@keras.saving.register_keras_serializable(package="tfcurv")
class WorstCase(WorstLogits):
    """Trains on the worst logits of all inputs within epsilon.

    The loss of each example is

        (1 - weight) loss(z) + weight loss(worst z),

    with worst z the logits of the example, the others raised as far above the
    label's as a bound says that they can come:

        worst z_t = z_t + max { (w_t - w_y) . d : d in the region },  t != y,

    the region of the last features' deviations d being a ball and a box
    ("bcp", [LLP20]), a box ("ibp", [GDS18]) or a ball ("lipschitz": Lipschitz-
    margin training, [TSS18]); or, where they are nearer, by linear bounds from
    the logits to the input, on the intervals of boxes ("crown-ibp", [ZCX20]) or
    on their own, of parallel lines ("coap", [WK18]: it bounds each neuron, and
    takes networks of a few hundred in the layers behind the first). See
    `tfcurv.bounds.propagation`. Norms are those that the layers' trackers
    estimate, so that the layers are `tfcurv.layers`; only "bcp" and "lipschitz"
    need them. Nothing of it is a proof: `tfcurv.certify` has its own norms.

        model.compile("adam", loss, worst_case=tfcurv.WorstCase(epsilon=1.58))

    Both epsilon and weight begin at 0 with a `WarmUp` callback.

    Sources: [LLP20] Lee, Lee and Park, "Lipschitz-Certifiable Training with a
    Tight Outer Bound", NeurIPS 2020. [GDS18] Gowal et al., "On the
    Effectiveness of Interval Bound Propagation for Training Verifiably Robust
    Models", 2018. [TSS18] Tsuzuku, Sato and Sugiyama, "Lipschitz-Margin
    Training", NeurIPS 2018.

    """

    def __init__(
        self,
        epsilon: float,
        *,
        method: str = "bcp",
        norm: str = "l2",
        domain: tuple[float, float] | None = None,
        weight: float = 1.0,
        rounds: int = 6,
    ):
        """Stores the settings.

        Args:
            epsilon: Distance, in units of the model's input, non-negative.
            method: "bcp", "ibp", "lipschitz", "crown-ibp" or "coap".
            norm: "l2" or "linf".
            domain: Interval that every entry of an input lies in, to which
                the first box is cut; None for all inputs.
            weight: Of the loss of the worst case, in [0, 1].
            rounds: Of the search for the worst logits; see
                `worst_translation`.

        Raises:
            ValueError: A number is out of range, or a name unknown.
        """
        super().__init__(epsilon, weight)
        if method not in BOUNDS or norm not in _NORMS or rounds < 1:
            raise ValueError(
                "Unknown method or norm, or no round. Received: "
                f"method={method!r}, norm={norm!r}, rounds={rounds!r}. "
                f"Allowed: method {tuple(BOUNDS)}, norm {_NORMS}, rounds >= 1."
            )
        threat = certificates.Threat(norm=norm, domain=domain)
        self.method, self.norm = method, norm
        self.domain = threat.domain
        self._rounds = rounds

    @property
    def needs_norms(self) -> bool:
        """Whether trained layers must carry trackers."""
        return BOUNDS[self.method].rules.ball

    def _logits(self, graph, x, y) -> Logits:
        epsilon = tf.fill([tf.shape(x)[0]], tf.cast(self.epsilon, x.dtype))
        start = margins.start_region(x, epsilon, self.norm, self.domain)
        bound = BOUNDS[self.method]
        # Where balls end at the first linear step, that is all of the first.
        whole_first = not bound.rules.ball
        values, steps = _passed(graph, x, whole_first=whole_first)
        centres = {i: ball_box.Centre(value) for i, value in enumerate(values)}
        last = steps[-1]
        if last.terms is None:
            # An activation of the logits: nothing is linear behind it.
            terms = _itself(last.position, last.node)
        else:
            steps, terms = steps[:-1], last.terms
        lines = None
        if bound.lines:
            maps = _maps(graph.graph, steps) | {last.position: terms}
            lines = MarginLines(
                BackwardLines(
                    graph.graph, maps.__getitem__, parallel=bound.parallel
                ),
                centres,
                margins.ends(start, self.norm, self.domain),
            )
        known = ball_box.propagate(
            graph.graph,
            steps,
            centres,
            start,
            bound.rules,
            lines.refine if lines and bound.refines else None,
        )
        classes = graph.graph.num_classes
        rises = margins.worst_rises(
            terms, known, y, classes, rounds=self._rounds
        )
        if lines:
            by_lines = lines.rises(
                last.position, known, y, classes, at_once=True
            )
            rises = tf.minimum(rises, by_lines)
        own = tf.one_hot(y, rises.shape[-1], dtype=rises.dtype)
        return Logits(values[-1], values[-1] + (1.0 - own) * rises)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the numbers as they are now."""
        return {
            "epsilon": self.epsilon.settled,
            "method": self.method,
            "norm": self.norm,
            "domain": self.domain,
            "weight": self.weight.settled,
            "rounds": self._rounds,
        }


def _passed(graph: TrainedGraph, x: tf.Tensor, *, whole_first: bool):
    """Returns the values of all nodes, and the steps that lead to them.

    Args:
        graph: The model's layers.
        x: `[batch, dim]` inputs.
        whole_first: Whether what training does not change before the first
            layer, such as `Flatten` and `Rescaling`, is one step with it.
    """
    values, steps = [x], []
    # By position, the maps of the input to it, where all are fixed.
    fixed: dict[int, list[networks.TrainedMap]] = {0: []}
    for position, node in enumerate(graph.graph.nodes[1:], 1):
        sources = [values[source] for source in node.sources]
        terms = None
        if node.kind is Kind.LINEAR:
            linear, source = graph.linear_map(position), node.sources[0]
            terms = {source: linear}
            value = linear.apply(sources[0]) + graph.bias(position)
            if whole_first and fixed.get(source):
                terms = {0: networks.Chained([*fixed[source], linear])}
            if source in fixed and isinstance(linear, networks.FixedMap):
                fixed[position] = [*fixed[source], linear]
        elif node.kind is Kind.ADD:
            terms = {
                source: _times(count, node)
                for source, count in collections.Counter(node.sources).items()
            }
            value = tf.add_n(sources)
        else:
            value = networks.function_of(graph.graph, node, sources)
        values.append(value)
        steps.append(ball_box.Step(node, position, terms))
    return values, steps


def _maps(graph: networks.Graph, steps) -> dict[int, dict]:
    """Returns each node's value as linear maps of others, or of itself."""
    found = {i: _itself(i, node) for i, node in enumerate(graph.nodes)}
    linear = {s.position: s.terms for s in steps if s.terms is not None}
    return found | linear


def _itself(position: int, node: networks.Node) -> dict:
    """Returns a node's value as a linear map of itself."""
    same = networks.Identity(input_shape=node.shape)
    return {position: networks.FixedMap(same)}


def _times(count: int, node: networks.Node) -> networks.TrainedMap:
    """Returns the map of a source that a sum reads so many times."""
    scale = np.asarray(float(count))
    return networks.FixedMap(
        networks.Diagonal(scale=scale, input_shape=node.shape)
    )
