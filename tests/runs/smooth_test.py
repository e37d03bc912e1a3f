"""Tests of tfcurv.smooth: statistics that hold as often as they say."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import scipy.stats

import tfcurv
from tfcurv import errors
from tfcurv import results
from tfcurv.certificates import smoothing

_L = keras.layers


def _linear(kernel, bias) -> keras.Model:
    kernel = np.asarray(kernel, np.float32)
    model = keras.Sequential(
        [keras.Input((len(kernel),)), _L.Dense(kernel.shape[1])]
    )
    model.layers[-1].set_weights([kernel, np.asarray(bias, np.float32)])
    return model


class ProbabilityTest(parameterized.TestCase):
    @parameterized.product(draws=(1, 30, 1000, 100_000), alpha=(0.001, 0.2))
    def test_is_the_quantile_of_clopper_and_pearson(self, draws, alpha):
        hits = np.unique(np.linspace(0, draws, 25).astype(int))
        found = smoothing.probability_lower_bound(hits, draws, alpha)
        some = hits[hits > 0]
        exact = scipy.stats.beta.ppf(alpha, some, draws - some + 1)
        np.testing.assert_allclose(found[hits > 0], exact, rtol=1e-7)
        self.assertTrue(np.all(found[hits > 0] <= exact * (1.0 + 1e-12)))
        np.testing.assert_array_equal(found[hits == 0], 0.0)

    @parameterized.product(p=(0.02, 0.5, 0.51, 0.97), draws=(20, 200))
    def test_is_too_large_no_more_often_than_it_says(self, p, draws):
        alpha = 0.05
        hits = np.arange(draws + 1)
        bound = smoothing.probability_lower_bound(hits, draws, alpha)
        # Summed over all that can happen, not drawn.
        often = scipy.stats.binom.pmf(hits, draws, p)[bound > p].sum()
        self.assertLessEqual(often, alpha)
        # And is no smaller than it has to be, where one draw more is little.
        if draws == 200:
            self.assertGreater(often, 0.1 * alpha)

    def test_radius_is_that_of_the_theorem(self):
        p = np.array([0.0, 0.3, 0.5, 0.6, 0.99, 1.0, np.nan])
        found = smoothing.smoothed_radius(p, 0.25)
        exact = 0.25 * scipy.stats.norm.ppf(p[3:5])
        np.testing.assert_allclose(found[3:5], exact, rtol=1e-8)
        self.assertTrue(np.all(found[3:5] <= exact))
        # Nothing is certain of what is no majority, or of no number.
        np.testing.assert_array_equal(found[[0, 1, 2, 5, 6]], 0.0)


class SmoothTest(parameterized.TestCase):
    def test_of_a_plane_the_radius_is_the_distance(self):
        kernel = np.array([[1.0, -1.0], [2.0, 0.5], [-1.0, 1.0]])
        model = _linear(kernel, [0.1, 0.0])
        x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
        logits = x @ kernel + [0.1, 0.0]
        y = logits.argmax(-1)
        away = np.linalg.norm(kernel[:, 0] - kernel[:, 1])
        exact = np.abs(logits[:, 0] - logits[:, 1]) / away
        found = tfcurv.smooth(model, (x, y), sigma=0.5, samples=4000, verbose=0)
        known = found.predictions != results.ABSTAINED
        self.assertGreater(np.sum(known), 14)
        np.testing.assert_array_equal(found.predictions[known], y[known])
        self.assertTrue(np.all(found.radii <= exact))
        near = exact < 1.0
        self.assertTrue(
            np.all(found.radii[near & known] > 0.5 * exact[near & known] - 0.06)
        )
        np.testing.assert_array_equal(found.radii[~known], 0.0)
        share = np.mean(found.radii > 0.5)
        self.assertEqual(found.accuracy_with_confidence(0.5), share)
        self.assertIn("not of the model", str(found))

    def test_abstains_where_no_class_has_a_majority(self):
        model = _linear(np.eye(3), np.zeros(3))
        x, y = np.zeros((4, 3), np.float32), np.zeros(4, np.int32)
        found = tfcurv.smooth(model, (x, y), sigma=1.0, samples=500, verbose=0)
        self.assertEqual(found.abstained, 1.0)
        self.assertEqual(found.smoothed_accuracy, 0.0)

    def test_a_wrong_majority_has_a_radius_and_is_not_right(self):
        model = _linear(np.eye(2), [5.0, 0.0])
        x, y = np.zeros((3, 2), np.float32), np.ones(3, np.int32)
        found = tfcurv.smooth(model, (x, y), sigma=0.5, samples=500, verbose=0)
        np.testing.assert_array_equal(found.predictions, 0)
        self.assertTrue(np.all(found.radii > 0.1))
        self.assertEqual(found.accuracy_with_confidence(0.1), 0.0)

    def test_rests_on_the_seed_and_the_place_alone(self):
        model = _linear(np.eye(3), [0.4, 0.0, 0.0])
        x = np.zeros((6, 3), np.float32)
        y = np.zeros(6, np.int32)

        def radii(**options):
            options = {"sigma": 0.4, "samples": 300, **options}
            return tfcurv.smooth(model, (x, y), verbose=0, **options).radii

        whole = radii()
        np.testing.assert_array_equal(radii(limit=3), whole[:3])
        self.assertFalse(np.array_equal(radii(seed=1), whole))
        # The same input at another place has other noise.
        self.assertGreater(len(np.unique(whole)), 2)

    def test_what_chooses_is_not_what_is_counted(self):
        # Of classes that are all alike one leads by chance: those draws say
        # nothing, and new ones find it as rare as the others.
        model = _linear(np.eye(8), np.zeros(8))
        x, y = np.zeros((60, 8), np.float32), np.zeros(60, np.int32)
        found = tfcurv.smooth(
            model,
            (x, y),
            sigma=1.0,
            samples=1,
            selection_samples=1,
            failure_probability=0.6,
            verbose=0,
        )
        # One hit of one is a bound of 0.6: an eighth of them, not all.
        self.assertBetween(np.sum(found.radii > 0.0), 1, 25)

    def test_what_is_no_number_is_of_no_class(self):
        model = _linear(np.eye(2), [5.0, 0.0])
        x = np.array([[np.nan, 0.0], [np.inf, 0.0]], np.float32)
        found = tfcurv.smooth(
            model, (x, [0, 0]), sigma=0.5, samples=100, verbose=0
        )
        np.testing.assert_array_equal(found.predictions, results.ABSTAINED)
        np.testing.assert_array_equal(found.radii, 0.0)

    def test_refuses_by_name(self):
        model, data = _linear(np.eye(2), [0.0, 0.0]), (np.ones((1, 2)), [0])
        for options, message in (
            ({"sigma": 0.0}, "sigma=0.0"),
            ({"sigma": float("nan")}, "sigma=nan"),
            ({"sigma": 1.0, "failure_probability": 1.0}, "probability=1.0"),
            ({"sigma": 1.0, "samples": 0}, "samples"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                tfcurv.smooth(model, data, **options)
        single = _linear(np.ones((2, 1)), [0.0])
        with self.assertRaisesRegex(errors.UnsupportedModelError, "classes"):
            tfcurv.smooth(single, data, sigma=1.0)


if __name__ == "__main__":
    absltest.main()
