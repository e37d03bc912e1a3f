"""Tests of tfcurv.runs.integer_programs: verdicts of a solver."""

import functools
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import data
from tfcurv import errors
from tfcurv import runs
from tfcurv.certificates.integer import program
from tfcurv.certificates.integer.program import Answer
from tfcurv.results import solver_result

_EPSILON = 0.07
_L = keras.layers


@functools.cache
def _trained():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            _L.Conv2D(4, 3, strides=2, activation="relu"),
            _L.Flatten(),
            _L.Dense(16, activation="relu"),
            _L.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss, jit_compile=False)
    train = data.load_split("digits", "train")
    model.fit(train.images, train.labels, epochs=8, verbose=0)
    return model


def _images(count=40):
    test = data.load_split("digits", "test")
    return test.images[:count], test.labels[:count]


@functools.cache
def _solved():
    return runs.solve_integer_programs(
        _trained(),
        _images(),
        epsilon=_EPSILON,
        domain=(0.0, 1.0),
        time_limit=30.0,
        verbose=0,
    )


class SolveTest(parameterized.TestCase):
    def test_agrees_with_what_is_decided_by_branches(self):
        found = tfcurv.certify(
            _trained(),
            _images(),
            method="complete",
            norm="linf",
            domain=(0.0, 1.0),
            epsilons=(_EPSILON,),
            radii=False,
            verbose=0,
        )
        solved = _solved()
        proved = found.radii > _EPSILON
        refuted = found.correct & (found.upper_bounds <= _EPSILON)
        positive = solved.verdicts == solver_result.POSITIVE
        falsified = solved.verdicts == solver_result.FALSIFIED
        self.assertGreater(np.sum(proved), 10)
        self.assertGreater(np.sum(refuted), 3)
        np.testing.assert_array_equal(proved | positive, positive)
        np.testing.assert_array_equal(refuted | falsified, falsified)
        np.testing.assert_array_equal(
            solved.verdicts == solver_result.WRONG, ~found.correct
        )

    def test_examples_are_some(self):
        images, labels = _images()
        solved = _solved()
        falsified = solved.verdicts == solver_result.FALSIFIED
        apart = np.abs(solved.examples - images).reshape(len(images), -1)
        self.assertLessEqual(np.max(apart), _EPSILON + 1e-9)
        np.testing.assert_array_equal(np.max(apart[~falsified], initial=0), 0)
        self.assertTrue(np.all(np.abs(solved.examples - 0.5) <= 0.5))
        logits = _trained().predict(solved.examples, verbose=0)
        # In float32, at points that a solver has put on the boundary.
        own = np.take_along_axis(logits, labels[:, np.newaxis], axis=-1)[:, 0]
        others = np.where(np.arange(10) == labels[:, np.newaxis], -9e9, logits)
        self.assertTrue(np.all((own - others.max(-1))[falsified] < 1e-4))

    def test_says_that_it_certifies_nothing(self):
        solved = _solved()
        self.assertIn("not certified", str(solved))
        shares = [
            solved.share(verdict)
            for verdict in (
                solver_result.POSITIVE,
                solver_result.FALSIFIED,
                solver_result.OPEN,
                solver_result.WRONG,
            )
        ]
        self.assertAlmostEqual(sum(shares), 1.0)
        self.assertFalse(hasattr(solved, "certified_accuracy"))

    def test_a_margin_that_only_touches_zero_is_open(self):
        images, labels = _images(1)

        class Touched:
            """Finds a point on the boundary, and none below it."""

            def __init__(self, *args):
                del args

            def ask(self, y, t, time_limit, *, relaxed=False, at_most=0.0):
                del y, t, time_limit, relaxed
                if at_most < 0.0:
                    return program.Solved(Answer.POSITIVE)
                return program.Solved(Answer.POINT, np.ravel(images[0]))

        with mock.patch.object(program, "IntegerProgram", Touched):
            solved = runs.solve_integer_programs(
                _trained(), (images, labels), epsilon=_EPSILON, verbose=0
            )
        self.assertTrue(solved.correct[0])
        self.assertEqual(solved.verdicts[0], solver_result.OPEN)

    def test_without_time_all_is_open(self):
        solved = runs.solve_integer_programs(
            *(_trained(), _images(3)),
            epsilon=_EPSILON,
            time_limit=1e-6,
            verbose=0,
        )
        right = solved.verdicts[solved.correct]
        np.testing.assert_array_equal(right, solver_result.OPEN)

    @parameterized.parameters({"time_limit": 0.0}, {"epsilon": -1.0})
    def test_numbers_out_of_range_are_refused(self, **given):
        usual = {"epsilon": 0.1}
        with self.assertRaisesRegex(ValueError, next(iter(given))):
            runs.solve_integer_programs(_trained(), _images(1), **usual | given)

    def test_other_bends_are_refused(self):
        model = keras.Sequential(
            [keras.Input((4,)), _L.Dense(3, "tanh"), _L.Dense(2)]
        )
        with self.assertRaisesRegex(errors.UnsupportedModelError, "tanh"):
            runs.solve_integer_programs(
                model, (np.zeros((1, 4)), np.zeros(1, int)), epsilon=0.1
            )


if __name__ == "__main__":
    absltest.main()
