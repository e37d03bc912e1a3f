"""Where logits can be, against networks that were sampled."""

import functools

from absl.testing import absltest
import keras
import numpy as np

from tfcurv import training

_EPSILON = 0.3
_SEEN = 4000


@functools.cache
def _model():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((3, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(9, activation="relu"),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(4),
        ]
    )


def _image():
    return np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)


@functools.cache
def _outlines():
    return training.logit_plane(_model(), _image(), 2, 0, _EPSILON)


@functools.cache
def _samples():
    """Returns deviations of two logits within epsilon."""
    steps = np.random.default_rng(1).normal(size=(_SEEN, 6))
    steps *= _EPSILON / np.linalg.norm(steps, axis=-1, keepdims=True)
    points = _image() + steps.reshape(_SEEN, 3, 2)
    logits = _model().predict(points, batch_size=_SEEN, verbose=0)
    centre = _model().predict(_image()[np.newaxis], verbose=0)
    return (logits - centre)[:, [2, 0]]


def _reach(corners, directions):
    return np.max(corners @ directions.T, axis=0)


class LogitPlaneTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        angles = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
        self.directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def test_every_outline_holds_what_was_sampled(self):
        sampled = _reach(_samples(), self.directions)
        for name, corners in _outlines().items():
            with self.subTest(name):
                reach = _reach(corners, self.directions)
                self.assertTrue(np.all(reach >= sampled - 1e-5))
                # And no more than such bounds do: not all of the plane.
                self.assertLess(np.max(reach), 30.0 * np.max(sampled))

    def test_both_together_lie_in_each_alone(self):
        reach = {
            name: _reach(corners, self.directions)
            for name, corners in _outlines().items()
        }
        for name in ("lmt", "ibp"):
            self.assertTrue(np.all(reach["bcp"] <= reach[name] + 1e-6), name)
        self.assertLess(np.min(reach["bcp"] / reach["lmt"]), 0.95)

    def test_the_ball_alone_is_the_ellipse_of_the_norms(self):
        *hidden, last = [
            np.asarray(layer.kernel, np.float64)
            for layer in _model().layers
            if layer.weights
        ]
        radius = _EPSILON * np.prod([np.linalg.norm(w, 2) for w in hidden])
        both = last[:, [2, 0]] @ self.directions.T
        expected = radius * np.linalg.norm(both, axis=0)
        reach = _reach(_outlines()["lmt"], self.directions)
        # The corners of 96 tangents stand out by this much, at most.
        np.testing.assert_array_less(expected * (1.0 - 1e-6), reach)
        np.testing.assert_array_less(reach, 1.02 * np.max(expected))
        np.testing.assert_allclose(reach, expected, rtol=0.05)


class MeanTranslationsTest(absltest.TestCase):
    def test_is_the_mean_of_the_largest_rises_over_pairs(self):
        found = training.mean_translations(
            _model(), np.stack([_image(), -_image()]), _EPSILON
        )
        *hidden, last = [
            np.asarray(layer.kernel, np.float64)
            for layer in _model().layers
            if layer.weights
        ]
        radius = _EPSILON * np.prod([np.linalg.norm(w, 2) for w in hidden])
        lengths = [
            np.linalg.norm(last[:, t] - last[:, y])
            for y in range(4)
            for t in range(4)
            if t != y
        ]
        expected = radius * np.mean(lengths)
        # Outward: each step rounds up by a millionth.
        np.testing.assert_allclose(found["lmt"], [expected] * 2, rtol=1e-5)
        self.assertTrue(np.all(found["lmt"] >= expected))
        self.assertTrue(np.all(found["bcp"] < found["lmt"]))
        self.assertTrue(np.all(found["bcp"] <= found["ibp"] + 1e-9))
        self.assertTrue(np.all(found["bcp"] > 0.0))


if __name__ == "__main__":
    absltest.main()
