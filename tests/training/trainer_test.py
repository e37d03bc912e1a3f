"""Whole training runs on scikit-learn's digits."""

import contextlib
import functools
import io
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tfcurv import data
from tfcurv import nn
from tfcurv import runs
from tfcurv import training
from tfcurv.training import trainer
from untraced import untraced
from without_xla import without_xla

_QUICK = {
    "dataset": "digits",
    "layers": 2,
    "width": 32,
    "epochs": 15,
    "batch_size": 50,
    "learning_rate": 3e-3,
    "warmup_epochs": 2.0,
}


def _train(backup=None, verbose=0, **settings):
    splits = [data.load_split("digits", name) for name in ("train", "test")]
    config = training.TrainConfig(**{**_QUICK, **settings})
    trained = training.train(config, *splits, backup=backup, verbose=verbose)
    return trained, splits[1]


def _train_briefly(backup=None):
    with without_xla():
        return _train(epsilon=0.3, epochs=3, attack_steps=1, backup=backup)


@functools.cache
def _whole():
    return _train_briefly()


def _certified(objective, **settings):
    settings = {"activation": "relu", "warmup_epochs": 1.0} | settings
    with without_xla():
        return _train(objective=objective, **settings)


def _share(trained, method, epsilon, test):
    """Returns the share of images that are certified."""
    with untraced():
        return runs.certify(
            trained.model,
            test,
            method=method,
            epsilons=(epsilon,),
            radii=False,
            verbose=0,
        ).certified_accuracy(epsilon)


@functools.cache
def _plain(**shape):
    with without_xla():
        return _train(
            objective="plain", activation="relu", epsilon=0.0, **shape
        )


class AttackTest(parameterized.TestCase):
    @parameterized.parameters(
        ("pgd", nn.ProjectedGradientAttack), ("trades", nn.TradesAttack)
    )
    def test_moves_adversarial_examples_away(self, objective, kind):
        plain, test = _plain()
        robust, _ = _certified(objective, epsilon=0.4)
        self.assertIsInstance(robust.model.adversary, kind)
        self.assertIsNone(robust.model.worst_case)
        self.assertEqual(float(robust.model.adversary.epsilon.settled), 0.4)
        near, far = (
            runs.attack(
                each.model, (test.images, test.labels), limit=60, verbose=0
            ).median_distance
            for each in (plain, robust)
        )
        self.assertGreater(far, 1.2 * near)

    def test_has_the_settings_of_its_adversary(self):
        config = training.default_config(
            "trades",
            "digits",
            norm="linf",
            beta=2.5,
            attack_steps=4,
            epsilon=0.1,
        )
        model = training.build_model(config)
        training.compile_model(model, config, 10)
        found = model.adversary.get_config()
        self.assertEqual(
            [found[name] for name in ("epsilon", "norm", "beta", "num_steps")],
            [0.1, "linf", 2.5, 4],
        )


class WorstCaseTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("bcp", "bcp", "bcp", {"epsilon": 0.3}),
        ("lmt", "lmt", "lipschitz", {"epsilon": 0.3}),
        ("ibp", "ibp", "ibp", {"epsilon": 0.1, "convolutions": ((8, 4, 2),)}),
        ("last_lines", "crown-ibp", "crown-ibp", {"epsilon": 0.6}),
        ("parallel_lines", "coap", "coap", {"epsilon": 0.6}),
    )
    def test_raises_what_is_proved_by_its_own_method(
        self, objective, method, settings
    ):
        epsilon = settings["epsilon"]
        shape = {k: each for k, each in settings.items() if k != "epsilon"}
        plain, test = _plain(**shape)
        self.assertIsNone(plain.model.worst_case)
        self.assertIsNone(plain.model.adversary)
        self.assertEmpty(plain.model.curvature_regularizers)
        robust, _ = _certified(objective, rampup_epochs=8.0, **settings)
        self.assertEqual(robust.model.worst_case.method, method)
        self.assertIsNone(robust.model.adversary)
        self.assertEqual(training.OBJECTIVES[objective].method, method)
        shares = [_share(t, method, epsilon, test) for t in (plain, robust)]
        self.assertGreater(shares[1], shares[0] + 0.1)
        estimate = robust.history["val_verified_estimate"][-1]
        self.assertAlmostEqual(estimate, shares[1], delta=0.05)

    def test_goes_through_the_stages_of_layerwise_training(self):
        settings = {"epsilon": 0.1, "norm": "linf", "warmup_epochs": 0.0}
        settings |= {"stages": 2, "attack_steps": 2, "projections": 4}
        trained, test = _certified(
            "colt", epochs=6, rampup_epochs=1.0, **settings
        )
        self.assertLen(trained.history["val_attacked_estimate"], 6)
        epsilons = trained.history["epsilon"]
        self.assertAlmostEqual(epsilons[0] / epsilons[-1], 1.05, places=4)
        self.assertGreater(trained.history["val_accuracy"][-1], 0.6)
        config = trained.config
        self.assertEqual(config.domain, (0.0, 1.0))
        # The last stage is trained as it shall be after its own mixing.
        self.assertEqual(config.settling_epochs, 4.0)
        with self.assertRaisesRegex(ValueError, "adversary"):
            training.train(
                config, test, test, adversary=nn.CurvatureAttack(1.0)
            )

    def test_strengths_rise_after_the_plain_epochs(self):
        found = []

        class Watched(trainer.EpochProgress):
            def on_train_batch_begin(self, batch, logs=None):
                if not batch:
                    worst_case = self.model.worst_case
                    strengths = worst_case.epsilon, worst_case.weight
                    found.append([float(each) for each in strengths])

        with mock.patch.object(trainer, "EpochProgress", Watched):
            _certified(
                "bcp", epochs=4, epsilon=0.2, rampup_epochs=1.0, layers=2
            )
        np.testing.assert_allclose(
            found, [(0, 0), (0, 0), (0.2, 1), (0.2, 1)], atol=1e-6
        )

    def test_the_drops_of_the_learning_rate_are_settings(self):
        config = training.default_config(
            "bcp",
            "digits",
            layers=2,
            width=8,
            learning_rate_drops=(0.25, 0.5, 0.75),
            learning_rate_factor=0.5,
        )
        model = training.build_model(config)
        training.compile_model(model, config, steps_per_epoch=10)
        schedule = model.optimizer._learning_rate
        steps = (0, 149, 160, 310, 460)
        np.testing.assert_allclose(
            [float(schedule(step)) / 3e-4 for step in steps],
            [1, 1, 0.5, 0.25, 0.125],
            rtol=1e-5,
        )

    def test_moves_and_mirrors_every_image_by_itself(self):
        image = np.zeros((9, 9, 1), np.float32)
        image[4, 2] = 1.0
        split = data.Split(
            images=np.stack([image] * 64),
            labels=np.zeros(64, np.int32),
            name="a point",
        )
        config = training.TrainConfig(
            dataset="digits", augmentation=True, batch_size=64
        )
        (batch,) = trainer._batches(split, config)
        places = np.argwhere(batch[0].numpy()[..., 0] > 0.5)[:, 1:]
        self.assertGreater(len(np.unique(places, axis=0)), 20)
        rows, columns = places.T
        self.assertContainsSubset(rows, range(9))
        # Mirrored: from column 2 no shift to the left leads beyond 6.
        self.assertGreater(columns.max(), 6)


class TrainerTest(absltest.TestCase):
    def test_the_same_settings_give_the_same_network_twice(self):
        first, test = _whole()
        second, _ = _train_briefly()
        np.testing.assert_allclose(
            first.model(test.images),
            second.model(test.images),
            rtol=1e-4,
            atol=1e-4,
        )
        self.assertEqual(list(first.history), list(second.history))

    def test_robust_training_raises_certified_accuracy(self):
        with without_xla():
            plain, test = _train(epsilon=0.0, gamma=0.0)
            robust, _ = _train(epsilon=0.5, gamma=0.01)
        with untraced():
            found = [
                runs.certify(t.model, test, epsilons=(0.5,), verbose=0)
                for t in (plain, robust)
            ]
        self.assertGreater(found[0].clean_accuracy, 0.9)
        self.assertGreater(found[1].clean_accuracy, 0.85)
        gain = found[1].certified_accuracy(0.5) - found[0].certified_accuracy(
            0.5
        )
        self.assertGreater(gain, 0.05)

    def test_a_killed_training_goes_on_with_its_epoch(self):
        folder = self.create_tempdir().full_path

        class Killed(Exception):
            pass

        class Kill(nn.WarmUp):
            def on_epoch_begin(self, epoch, logs=None):
                super().on_epoch_begin(epoch, logs)
                if epoch == 2:
                    raise Killed

        backup = f"{folder}/unfinished"
        with mock.patch.object(nn, "WarmUp", Kill):
            with self.assertRaises(Killed):
                _train_briefly(backup)
        rest, _ = _train_briefly(backup)
        whole, _ = _whole()
        self.assertLen(rest.history["loss"], 3)
        # Adam's moments went on, too: the loss does not start again.
        np.testing.assert_allclose(
            rest.history["loss"], whole.history["loss"], rtol=0.1
        )
        steps = [int(t.model.optimizer.iterations) for t in (rest, whole)]
        self.assertEqual(*steps)

    def test_says_a_line_an_epoch_on_stderr_where_it_is_asked_to(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            with without_xla():
                _train(epochs=2, epsilon=0.0, gamma=0.0, verbose=2)
        self.assertEqual(out.getvalue(), "")
        lines = err.getvalue().splitlines()
        self.assertLen(lines, 2)
        self.assertRegex(lines[1], r"epoch 2/2: .*val_accuracy 0\.\d+")

    def test_without_adversary_and_penalty_it_is_plain_training(self):
        config = training.TrainConfig(**_QUICK, epsilon=0.0, gamma=0.0)
        model = training.build_model(config)
        training.compile_model(model, config, steps_per_epoch=20)
        self.assertIsNone(model.adversary)
        self.assertEmpty(model.curvature_regularizers)

    def test_the_learning_rate_drops_twice(self):
        config = training.TrainConfig(**_QUICK)
        model = training.build_model(config)
        training.compile_model(model, config, steps_per_epoch=20)
        schedule = model.optimizer._learning_rate
        rates = [float(schedule(step)) for step in (0, 200, 299)]
        np.testing.assert_allclose(rates, [3e-3, 3e-4, 3e-5], rtol=1e-5)


if __name__ == "__main__":
    absltest.main()
