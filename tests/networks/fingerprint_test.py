"""Tests of tfcurv.networks.fingerprint: nothing that decides is left out."""

import dataclasses
import functools
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv import solvers

_RNG = np.random.default_rng(0)
_KERNELS = _RNG.normal(size=(3, 4)), _RNG.normal(size=(4, 2))
_BIASES = _RNG.normal(size=4), _RNG.normal(size=2)


def _activation(beta=1.0, **changes):
    found = networks.Activation(
        name="scaled",
        value=lambda z: tf.math.softplus(beta * z) / beta,
        slope=lambda z: tf.sigmoid(beta * z),
        curvature=lambda z: beta * tf.sigmoid(beta * z) * tf.sigmoid(-beta * z),
        curvature_critical=(0.0,),
    )
    return dataclasses.replace(found, **changes)


def _network(*, first=None, fn="tanh", **changes):
    first = first or networks.Affine(kernel=_KERNELS[0], bias=_BIASES[0])
    fn = networks.activation(fn) if isinstance(fn, str) else fn
    last = networks.Affine(kernel=_KERNELS[1], bias=_BIASES[1])
    return networks.Network([first, last], [fn], **changes)


def _affine(**changes):
    given = {"kernel": _KERNELS[0], "bias": _BIASES[0]} | changes
    return _network(first=networks.Affine(**given))


def _convolution(kernel, **changes):
    linear = networks.Convolution(kernel=kernel, input_shape=(3, 1), **changes)
    bias = np.zeros(linear.outputs)
    last = networks.Affine(
        kernel=np.ones((linear.outputs, 2)), bias=np.zeros(2)
    )
    first = networks.Affine(linear=linear, bias=bias)
    return networks.Network([first, last], [networks.activation("tanh")])


class _Tripled:
    factor = 3.0

    def slope(self, z):
        return tf.sigmoid(self.factor * z)


class _Gap:
    """Alike but between the points that are looked at."""

    def __init__(self, size):
        self.size = size

    def __call__(self, z):
        return tf.sigmoid(z) + self.size * tf.exp(-4.0 * (z - 61.0) ** 2)


def _execution(scale):
    stages = [
        networks.Scaling(scale=np.full(3, scale), offset=np.zeros(3)),
        networks.Affine(kernel=_KERNELS[0], bias=_BIASES[0]),
        networks.activation("tanh"),
        networks.Affine(kernel=_KERNELS[1], bias=_BIASES[1]),
    ]
    return _network(execution=networks.Execution(stages))


_TINY = 2.0**-60
_ONE, _SWAPPED = np.eye(4)[:3], np.eye(4)[[1, 0, 2]]
_VARIANTS = {
    "plain": _network(),
    "another_activation": _network(fn="sigmoid"),
    "weight": _affine(kernel=_KERNELS[0] + np.eye(3, 4) * _TINY * 2**12),
    "bias": _affine(bias=_BIASES[0] + 2.0**-40),
    "kernel_error": _affine(kernel_error=_TINY),
    "bias_error": _affine(bias_error=_TINY),
    "rigor": _network(rigor=solvers.Rigor.FLOAT64),
    "execution": _execution(1.0),
    "another_execution": _execution(1.0 + 2.0**-30),
    "a_function_of_a_known_name": _network(fn=_activation(name="tanh")),
    "functions": _network(fn=_activation()),
    "another_parameter": _network(fn=_activation(1.0 + 2.0**-50)),
    "critical_points": _network(fn=_activation(curvature_critical=(0.0, 1.0))),
    "limits": _network(fn=_activation(slope_limits=(0.0, 1.5))),
    "jump": _network(fn=_activation(curvature_jump=(0.0, 1.0))),
    "a_method": _network(fn=_activation(slope=_Tripled().slope)),
    "an_object": _network(fn=_activation(slope=_Gap(1.0))),
    "another_object": _network(fn=_activation(slope=_Gap(2.0))),
    "a_compiled_function": _network(
        fn=_activation(slope=tf.function(lambda z: tf.sigmoid(z) * 1.0))
    ),
    "a_partial": _network(fn=_activation(slope=functools.partial(tf.nn.elu))),
    # Alike but between the points that are looked at.
    "code": _network(
        fn=_activation(
            slope=lambda z: tf.where(z == 0.123456789, 2.0, tf.sigmoid(z))
        )
    ),
    "blocks": _network(
        fn=networks.Blocks(
            [
                networks.Block(networks.activation("tanh"), 1),
                networks.Block(networks.activation("tanh"), 3),
            ]
        )
    ),
    "other_blocks": _network(
        fn=networks.Blocks(
            [
                networks.Block(networks.activation("tanh"), 3),
                networks.Block(networks.activation("tanh"), 1),
            ]
        )
    ),
    "a_matrix": _affine(kernel=_ONE),
    "another_matrix": _affine(kernel=_SWAPPED),
    "operator": _convolution(np.ones((1, 1, 1))),
    "operator_with_padding": _convolution(np.ones((1, 1, 1)), padding="same"),
    "stretched_operator": _convolution(np.ones((2, 1, 1)), padding="same"),
    "dilated_operator": _convolution(
        np.ones((2, 1, 1)), padding="same", dilations=2
    ),
}


class FingerprintTest(parameterized.TestCase):
    def test_differs_between_all_that_differ(self):
        found = {name: networks.fingerprint(n) for name, n in _VARIANTS.items()}
        same = [
            (a, b)
            for a in found
            for b in found
            if a < b and found[a] == found[b]
        ]
        self.assertEmpty(same)

    def test_is_the_same_of_what_is_made_again(self):
        self.assertEqual(
            networks.fingerprint(_network()), networks.fingerprint(_network())
        )
        ours, theirs = _network(fn=_activation()), _network(fn=_activation())
        self.assertEqual(
            networks.fingerprint(ours), networks.fingerprint(theirs)
        )

    def test_is_the_same_in_another_process(self):
        text = (
            "import fingerprint_test as t; from tfcurv import networks;"
            "print(*(networks.fingerprint(t._VARIANTS[n]) for n in "
            "('functions', 'code', 'a_method', 'operator')))"
        )
        path = [str(pathlib.Path(__file__).parent), *sys.path]
        found = subprocess.run(
            [sys.executable, "-c", text],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(path), "PYTHONHASHSEED": "7"},
        )
        names = "functions", "code", "a_method", "operator"
        self.assertEqual(
            found.stdout.split(),
            [networks.fingerprint(_VARIANTS[name]) for name in names],
        )

    def test_refuses_what_it_does_not_know(self):
        affine = networks.Affine(
            kernel=_KERNELS[0], bias=_BIASES[0], kernel_error=object()
        )
        network = _network()
        network.affines = (affine, network.affines[1])
        with self.assertRaisesRegex(TypeError, "fingerprint.*object"):
            networks.fingerprint(network)


class NameTest(absltest.TestCase):
    """What is called linear need not be."""

    def test_an_activation_is_not_linear_by_its_name(self):
        fn = _activation(4.0, name="linear")
        self.assertFalse(fn.is_linear)
        self.assertGreater(fn.curvature_range.magnitude, 0.9)
        self.assertLess(fn.slope_range.lower, 0.1)
        blocks = networks.Blocks([networks.Block(fn, 2)])
        self.assertTrue(np.all(blocks.is_bent))
        flow = networks.Flow(3)
        value = flow.linear(
            flow.input, networks.Dense(kernel=_KERNELS[0]), _BIASES[0]
        )
        last = networks.Dense(kernel=_KERNELS[1])
        value = flow.linear(flow.activate(value, fn), last, _BIASES[1])
        self.assertLen(flow.network(value).activations, 1)

    def test_linear_itself_is(self):
        linear = networks.activation("linear")
        self.assertTrue(linear.is_linear)
        self.assertEqual(linear.slope_range.lower, 1.0)
        self.assertEqual(linear.slope_range.upper, 1.0)
        self.assertEqual(linear.curvature_range.magnitude, 0.0)


if __name__ == "__main__":
    absltest.main()
