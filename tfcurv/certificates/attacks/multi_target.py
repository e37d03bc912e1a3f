"""The nearest adversarial examples, of attacks towards several classes."""

import dataclasses

import tensorflow as tf

from tfcurv import networks
from tfcurv import numerics
from tfcurv import tracing
from tfcurv.certificates.attacks.boundary import Adversarial
from tfcurv.certificates.attacks.boundary import approach_boundary
from tfcurv.certificates.attacks.boundary import cross_boundary
from tfcurv.certificates.attacks.boundary import others
from tfcurv.certificates.attacks.threat import Threat
from tfcurv.certificates.margins.search import search_problem

# Of the distance of the best example, where a nearer one is looked for; and of
# the distance at which a linear margin would vanish, where there is none.
_NEARER, _FAR = 0.95, 4.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """How hard to try.

    Attributes:
        targets: Classes to move towards, the likeliest others first.
        restarts: Starts for each of them: the point itself, then random ones.
        steps: Gradient evaluations of each start.
        seed: Of the random starts.

    Raises:
        ValueError: A number is not positive.
    """

    targets: int = 9
    restarts: int = 3
    steps: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("targets", "restarts", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"An attack needs {name}. "
                    f"Received: {name}={getattr(self, name)!r}. Allowed: >= 1."
                )


class MultiTargetAttack:
    """Looks for the nearest adversarial examples of one network.

    For each target t the HL-RF iteration to where z_y - z_t first vanishes,
    seen from the point, see `approach_boundary`; then, from random starts,
    projected steps down the same margin in a ball a little smaller than where
    the best example so far is. Each ends with the ray through where it led, to
    where any other class wins, see `cross_boundary`.
    """

    def __init__(
        self,
        network: networks.Network,
        options: AttackOptions = AttackOptions(),
        threat: Threat = Threat(),
    ):
        """Builds the compiled function; nothing is traced yet.

        Args:
            network: The network.
            options: How hard to try.
            threat: Which examples count, and how far they are.
        """
        self._network = network
        self._options = options
        self._threat = threat
        points = tf.TensorSpec([None, network.input_dim], numerics.PROOF_DTYPE)
        self._attack = tracing.Traced(
            self._attack_batch, [points, tf.TensorSpec([None], tf.int32)]
        )

    def __call__(self, x: tf.Tensor, y: tf.Tensor) -> Adversarial:
        """Returns the nearest points found that are of another class.

        Args:
            x: `[batch, dim]` float64 points.
            y: `[batch]` int32 labels.

        Returns:
            Points that are misclassified beyond rounding, in the domain, and
            proved upper bounds on their distances.
        """
        return self._attack(x, y)

    def _attack_batch(self, x, y) -> Adversarial:
        options, classes = self._options, self._network.num_classes
        targets = min(options.targets, classes - 1)
        rivals = others(self._network.logits(x), y)
        _, order = tf.math.top_k(rivals, targets)

        # One loop, so that an attack is traced once and not for every start.
        def attempt(run, best):
            t = tf.gather(order, run // options.restarts, axis=1)
            point = tf.cond(
                run % options.restarts > 0,
                lambda: self._descend(x, y, t, best, run),
                lambda: self._approach(x, y, t),
            )
            found = cross_boundary(
                self._network, x, y, point, threat=self._threat
            )
            nearer = found.distance < best.distance
            return run + 1, Adversarial(
                tf.where(nearer[:, tf.newaxis], found.point, best.point),
                tf.where(nearer, found.distance, best.distance),
            )

        nothing = tf.fill(tf.shape(y), tf.constant(float("inf"), x.dtype))
        _, best = tf.while_loop(
            lambda run, _: run < targets * options.restarts,
            attempt,
            (tf.constant(0), Adversarial(x, nothing)),
        )
        return best

    def _approach(self, x, y, t) -> tf.Tensor:
        """Returns where the margin first vanishes, or nearly, from x on."""
        nothing = tf.zeros_like(x[:, 0])
        problem = search_problem(self._network, x, y, t, nothing, nothing)
        return approach_boundary(
            self._network,
            problem,
            tf.cast(x, numerics.SEARCH_DTYPE),
            self._options.steps,
            self._threat,
        )

    def _descend(self, x, y, t, best: Adversarial, run) -> tf.Tensor:
        """Returns points of a ball at which the margin is small.

        Of a ball a little smaller than where the best example is; of a large
        one where there is none.
        """
        dtype = numerics.SEARCH_DTYPE
        weights, bias = self._network.pair(y, t, dtype)
        centre = tf.cast(x, dtype)
        f, g = self._network.evaluate(centre, weights, bias)
        steep = tf.reduce_sum(g * self._threat.unit(g), axis=-1)
        guess = _FAR * tf.abs(tf.math.divide_no_nan(f, steep))
        known = tf.math.is_finite(best.distance)
        nearer = tf.cast(_NEARER * best.distance, dtype)
        radius = tf.where(known, nearer, guess)
        seed = tf.stack([self._options.seed, run])
        noise = tf.random.stateless_normal(tf.shape(x), seed, dtype=dtype)
        away = 0.5 * radius[:, tf.newaxis] * self._threat.unit(noise)
        start = self._threat.into(centre, radius, centre + away)

        def advance(step, point):
            _, g = self._network.evaluate(point, weights, bias)
            share = 1.0 - tf.cast(step, dtype) / self._options.steps
            length = radius * share
            point -= length[:, tf.newaxis] * self._threat.unit(g)
            return step + 1, self._threat.into(centre, radius, point)

        _, point = tf.while_loop(
            lambda step, _: step < self._options.steps, advance, (0, start)
        )
        finite = tf.reduce_all(tf.math.is_finite(point), axis=-1)
        return tf.where(finite[:, tf.newaxis], point, centre)
