"""Tests of tfcurv.nn.training.projected_gradient."""

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import tfcurv
from tfcurv import nn
from tfcurv.nn.training import targets

_L = keras.layers
_NORMS = {"l2": 2, "linf": np.inf}


def _linear(kernel):
    model = keras.Sequential(
        [keras.Input((2, 2)), _L.Flatten(), _L.Dense(len(kernel[0]))]
    )
    kernel = np.array(kernel, np.float32)
    model.layers[-1].set_weights([kernel, np.zeros(kernel.shape[1])])
    return model


def _features(count=120):
    """One feature that can be relied upon, and many that small moves turn."""
    random = np.random.default_rng(0)
    y = random.integers(2, size=count)
    sign = 2.0 * y[:, np.newaxis] - 1.0
    many = 0.1 * sign + 0.15 * random.normal(size=(count, 30))
    x = np.hstack([sign + 0.4 * random.normal(size=(count, 1)), many])
    return x.astype(np.float32), y


def _trained(adversary):
    keras.utils.set_random_seed(3)
    model = tfcurv.Sequential(
        [
            keras.Input((31,)),
            _L.Dense(24, activation="relu"),
            _L.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(0.02),
        loss,
        adversary=adversary,
        jit_compile=False,
    )
    model.fit(*_features(), batch_size=40, epochs=25, verbose=0)
    return model


class PerturbTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.kernel = random.normal(size=(4, 2))
        self.model = _linear(self.kernel)
        self.x = random.uniform(size=(30, 2, 2)).astype(np.float32)
        self.y = np.argmax(self.model(self.x), axis=-1).astype(np.int32)

    def _perturbed(self, y=None, **settings):
        keras.utils.set_random_seed(0)
        attack = nn.ProjectedGradientAttack(0.3, **settings)
        y = self.y if y is None else y
        found = attack.perturb(
            self.model, None, tf.constant(self.x), tf.constant(y)
        )
        return found.numpy()

    @parameterized.product(norm=("l2", "linf"), random_start=(True, False))
    def test_of_a_linear_model_finds_the_worst_point(self, norm, random_start):
        found = self._perturbed(
            norm=norm, random_start=random_start, num_steps=10
        )
        slope = self.kernel.T[1 - self.y] - self.kernel.T[self.y]
        if norm == "l2":
            way = slope / np.linalg.norm(slope, axis=-1, keepdims=True)
        else:
            way = np.sign(slope)
        most = 0.3 * np.sum(slope * way, axis=-1)
        gained = np.sum(slope * (found - self.x).reshape(30, 4), axis=-1)
        # The way back from a random start is long.
        share = 0.95 if random_start else 1.0 - 1e-5
        self.assertTrue(np.all(gained >= share * most))
        self.assertTrue(np.all(gained <= most * (1.0 + 1e-5)))

    @parameterized.product(norm=("l2", "linf"), num_steps=(1, 5))
    def test_stays_within_epsilon_and_domain(self, norm, num_steps):
        found = self._perturbed(
            norm=norm, num_steps=num_steps, step_size=3.0, domain=(0.0, 1.0)
        )
        away = (found - self.x).reshape(30, 4)
        sizes = np.linalg.norm(away, _NORMS[norm], axis=-1)
        self.assertTrue(np.all(sizes <= 0.3 * (1.0 + 1e-5)))
        self.assertTrue(np.all((found >= 0.0) & (found <= 1.0)))
        self.assertGreater(sizes.mean(), 0.1)

    def test_points_outside_of_the_domain_stay_where_they_may(self):
        self.x[0, 0, 0] = 1.7
        found = self._perturbed(norm="linf", domain=(0.0, 1.0))
        self.assertLessEqual(abs(found[0, 0, 0] - 1.7), 0.3 * (1.0 + 1e-5))

    def test_what_has_no_class_or_no_slope_stays(self):
        y = self.y.copy()
        y[3] = targets.NO_CLASS
        found = self._perturbed(y)
        np.testing.assert_array_equal(found[3], self.x[3])
        self.x[5] = np.nan
        found = self._perturbed(random_start=False)
        self.assertTrue(np.all(np.isfinite(found[:5])))

    def test_sees_slopes_whose_squares_vanish(self):
        self.model = _linear(150.0 * self.kernel)
        found = self._perturbed(random_start=False)
        moved = np.linalg.norm((found - self.x).reshape(30, 4), axis=-1)
        logits = self.model(self.x).numpy()
        gap = np.abs(logits[:, 0] - logits[:, 1])
        # The softmax itself is 1 to the last digit beyond some gap.
        self.assertTrue(np.all(moved[gap < 80.0] > 0.29))
        self.assertGreater(np.sum((gap > 40.0) & (gap < 80.0)), 2)

    def test_random_starts_differ_and_follow_the_seed(self):
        settings = {"num_steps": 1, "step_size": 1e-3}
        first, again = (self._perturbed(**settings) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        self.assertGreater(np.std((first - self.x)[:, 0, 0]), 0.01)

    @parameterized.parameters(
        ({"epsilon": 0.0}, "epsilon=0.0"),
        ({"epsilon": 0.1, "norm": "l1"}, "norm='l1'"),
        ({"epsilon": 0.1, "num_steps": 0}, "num_steps=0"),
        ({"epsilon": 0.1, "step_size": -1.0}, "step_size=-1.0"),
        ({"epsilon": 0.1, "domain": (1.0, 0.0)}, "domain=.1.0, 0.0"),
    )
    def test_refuses(self, settings, message):
        with self.assertRaisesRegex(ValueError, message):
            nn.ProjectedGradientAttack(**settings)


class TrainingTest(absltest.TestCase):
    def test_moves_adversarial_examples_away(self):
        plain = _trained(None)
        attack = nn.ProjectedGradientAttack(0.2, norm="linf", num_steps=4)
        near, far = (
            tfcurv.attack(model, _features(), norm="linf", verbose=0)
            for model in (plain, _trained(attack))
        )
        self.assertGreater(far.clean_accuracy, 0.95)
        self.assertGreater(far.median_distance, 1.5 * near.median_distance)

    def test_is_saved_and_loaded(self):
        model = _trained(
            nn.ProjectedGradientAttack(0.2, norm="linf", domain=(-3.0, 3.0))
        )
        path = self.create_tempdir().full_path + "/model.keras"
        model.save(path)
        adversary = keras.models.load_model(path).adversary
        self.assertIsInstance(adversary, nn.ProjectedGradientAttack)
        self.assertEqual(adversary.get_config(), model.adversary.get_config())


if __name__ == "__main__":
    absltest.main()
