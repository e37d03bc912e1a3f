"""Tests of tfcurv.runs.curvature_report and of what it gives."""

import contextlib
import dataclasses
import functools
import io
import json
import math
import pathlib
import re
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import bounds_oracles as oracles
import tfcurv
from tfcurv import bounds
from tfcurv import errors
from tfcurv import networks

_L = keras.layers

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(40, 3))
_LABELS = _RANDOM.integers(0, 4, size=40).astype(np.int32)


def _report(model, data=(_X, _LABELS), **settings):
    return tfcurv.curvature_report(model, data, **{"verbose": 0} | settings)


@functools.cache
def _network():
    return oracles.random_network(3, (3, 6, 5, 4), "gelu", gain=1.5)


@functools.cache
def _studied():
    return _report(_network())


def _spectra(network, x, labels):
    """Extreme eigenvalues by pair, from dense Hessians, image by image."""
    found = {}
    for point, y in zip(x, labels.tolist()):
        at = tf.constant(point[np.newaxis])
        logits = network.logits(at).numpy()[0]
        t = max((k for k in range(4) if k != y), key=lambda k: logits[k])
        (matrix,) = bounds.hessian(network, at, y, t).numpy()
        found.setdefault((y, t), []).append(np.linalg.eigvalsh(matrix))
    return {pair: np.array(values) for pair, values in found.items()}


class EstimatesTest(parameterized.TestCase):
    def test_are_the_largest_over_the_images_of_each_pair(self):
        study = _studied()
        expected = _spectra(_network(), _X, _LABELS)
        self.assertEqual(list(map(tuple, study.pairs)), sorted(expected))
        for row, pair in enumerate(sorted(expected)):
            values = expected[pair]
            self.assertEqual(study.num_images[row], len(values))
            self.assertAlmostEqual(
                study.attained.convexity_estimate[row], np.max(values), 11
            )
            self.assertAlmostEqual(
                study.attained.concavity_estimate[row], -np.min(values), 11
            )
        self.assertEqual(np.sum(study.num_images), len(_X))

    def test_do_not_depend_on_the_batches(self):
        study = _report(_network(), batch_size=7)
        for ours, theirs in zip(study.attained, _studied().attained):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    def test_of_fewer_images_are_smaller(self):
        study = _report(_network(), limit=10)
        self.assertEqual(np.sum(study.num_images), 10)
        rows = {tuple(pair): k for k, pair in enumerate(_studied().pairs)}
        among = [rows[tuple(pair)] for pair in study.pairs]
        for ours, theirs in zip(study.attained, _studied().attained):
            self.assertTrue(np.all(ours <= theirs[among] + 1e-12))

    @parameterized.parameters(("sigmoid", 4), ("softplus", 2), ("mish", 4))
    def test_stay_below_their_bounds(self, name, depth):
        widths = (3, *[6] * (depth - 1), 4)
        # The report itself refuses what does not.
        study = _report(oracles.random_network(depth, widths, name))
        self.assertLess(study.k_lb_estimate, study.k_ub_bound)
        self.assertTrue(np.all(study.layer_ratio_estimate >= 1.0))

    def test_means_are_over_pairs_not_images(self):
        study = _studied()
        self.assertEqual(
            study.k_lb_estimate, np.mean(study.attained.convexity_estimate)
        )
        self.assertEqual(study.k_ub_bound, np.mean(study.proved.theorem4_bound))

    def test_bounds_are_those_of_the_pairs(self):
        study = _studied()
        bounder = bounds.CurvatureBounder(_network())
        for row, (y, t) in enumerate(study.pairs.tolist()):
            expected = bounder.bounds(y, t)
            self.assertEqual(study.proved.convexity_bound[row], expected.upper)
            self.assertEqual(study.proved.concavity_bound[row], -expected.lower)


class ModelsTest(parameterized.TestCase):
    def test_a_keras_model_is_what_its_network_is(self):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((3, 1)),
                _L.Flatten(),
                _L.Dense(6, activation="tanh"),
                _L.Dense(4, name="logits"),
            ],
            name="small",
        )
        data = tf.data.Dataset.from_tensor_slices((_X[:, :, None], _LABELS))
        ours = _report(model, data.batch(16))
        network = _report(tfcurv.network_from_model(model))
        self.assertEqual(ours.model_name, "small")
        self.assertEqual(ours.activations, ("tanh",))
        self.assertEqual(ours.model_hash, network.model_hash)
        for one, other in zip(ours.attained, network.attained):
            np.testing.assert_allclose(one, other, rtol=1e-9)

    def test_a_linear_model_is_flat(self):
        study = _report(oracles.random_network(0, (3, 4), ()))
        self.assertEqual((study.k_lb_estimate, study.k_ub_bound), (0.0, 0.0))
        self.assertEqual(study.layer_ratio_estimate.shape, (0,))
        self.assertIn("Hessian", str(study))
        study.save(pathlib.Path(self.create_tempdir(), "flat"))

    def test_says_how_far_it_is(self):
        out, err = io.StringIO(), io.StringIO()
        err.isatty = lambda: True
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            _report(_network(), limit=4, verbose=1)
        self.assertEqual(out.getvalue(), "")
        self.assertIn("4/4", err.getvalue())

    @parameterized.named_parameters(
        ("limit", {"limit": 0}, "limit=0"),
        ("steps", {"num_steps": 0}, "num_steps=0"),
        ("batch", {"batch_size": -1}, "batch_size=-1"),
        ("rigor", {"rigor": "none"}, "rigor='none'"),
    )
    def test_refuses_options(self, settings, message):
        with self.assertRaisesRegex(ValueError, message):
            _report(_network(), **settings)

    def test_refuses_what_certify_refuses(self):
        model = keras.Sequential(
            [keras.Input((3,)), _L.Dense(4, activation="relu"), _L.Dense(4)]
        )
        with self.assertRaises(errors.UnsupportedActivationError):
            _report(model)
        with self.assertRaises(errors.DataError):
            _report(_network(), (_X[:, :2], _LABELS))

    @parameterized.parameters(np.nan, np.inf)
    def test_names_the_input_that_is_not_finite(self, value):
        x = _X.copy()
        x[33, 1] = value
        with self.assertRaisesRegex(errors.DataError, "input 33, one of 1"):
            _report(_network(), (x, _LABELS), batch_size=16)


class CurvatureReportTest(parameterized.TestCase):
    def test_prints_what_it_holds(self):
        study = _studied()
        text = str(study)
        for value in (study.k_lb_estimate, study.k_ub_bound):
            self.assertIn(f"{value:.4g}", text)
        for word in ("1 gelu", "2 gelu", "sum", "Hessian", "40 images"):
            self.assertIn(word, text)
        y, t = study.pairs[np.argmax(study.spectral_radius_bound)]
        first = text[text.index("pair ") :].splitlines()[2]
        self.assertStartsWith(first, f"{y} over {t}")

    def test_the_parts_of_a_layer_table_add_up(self):
        study = _studied()
        *layers, total, whole = study.layer_rows()
        self.assertLen(layers, 2)
        for column in 1, 2, 4, 5:
            parts = [float(row[column]) for row in layers]
            np.testing.assert_allclose(
                float(total[column]), sum(parts), rtol=2e-3
            )
            # Parts of both signs attain more than what is left of them.
            self.assertGreaterEqual(float(total[column]), float(whole[column]))

    def test_shows_ten_pairs_and_keeps_all(self):
        # One image of each of the 20 ordered pairs of five classes.
        axes = np.eye(5)
        x = np.array([2 * a + b for a in axes for b in axes if a is not b])
        x = np.array([r for r in x if r.max() == 2.0])
        kernels = np.eye(5), np.eye(5)
        network = networks.Network(
            [networks.Affine(kernel=k, bias=np.zeros(5)) for k in kernels],
            [networks.activation("tanh")],
        )
        study = _report(network, (x, np.argmax(x, axis=1)))
        self.assertLen(study.pairs, 20)
        self.assertLen(study.pair_rows(), 20)
        self.assertLen(re.findall(r"\d over \d", str(study)), 10)
        self.assertIn("10 largest of 20 pairs", str(study))
        self.assertLen(study.as_dict()["pairs"], 20)

    def test_is_plain_json(self):
        found = json.loads(json.dumps(_studied().as_dict(), allow_nan=False))
        self.assertEqual(found["k_lb_estimate"], _studied().k_lb_estimate)
        self.assertEqual(found["activations"], ["gelu", "gelu"])
        np.testing.assert_array_equal(
            found["layer_concavity_bound"],
            _studied().proved.layer_concavity_bound,
        )

    def test_infinity_and_nan_are_json_too(self):
        proved = _studied().proved
        infinite = np.full_like(proved.theorem4_bound, np.inf)
        study = dataclasses.replace(
            _studied(),
            proved=proved._replace(theorem4_bound=infinite),
            seconds=math.nan,
        )
        found = json.loads(json.dumps(study.as_dict(), allow_nan=False))
        self.assertEqual(found["k_ub_bound"], "inf")
        self.assertIsNone(found["seconds"])
        self.assertIn("inf", str(study))

    def test_saves_whole_and_overwrites_nothing(self):
        folder = pathlib.Path(self.create_tempdir(), "study")
        _studied().save(folder)
        found = json.loads((folder / "curvature.json").read_text())
        self.assertEqual(found, _studied().as_dict())
        page = (folder / "curvature.html").read_text()
        self.assertIn("data:image/png", page)
        self.assertIn("Hidden layers", page)
        with self.assertRaises(errors.ResultExistsError):
            _studied().save(folder)

    def test_draws_and_saves_without_a_drawing(self):
        folder = pathlib.Path(self.create_tempdir())
        _studied().plot(folder / "study.svg")
        self.assertIn("<svg", (folder / "study.svg").read_text())
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            _studied().save(folder / "plain")
            with self.assertRaisesRegex(ImportError, "pip install"):
                _studied().plot(folder / "other.png")
        page = (folder / "plain" / "curvature.html").read_text()
        self.assertIn("pip install", page)

    def test_nobody_can_change_it(self):
        study = _studied()
        with self.assertRaises(dataclasses.FrozenInstanceError):
            study.seconds = 0.0
        for array in (study.pairs, study.num_images, *study.attained):
            with self.assertRaises(ValueError):
                array[...] = 0

    @parameterized.parameters(
        "convexity", "concavity", "layer_convexity", "layer_concavity"
    )
    def test_refuses_what_would_prove_a_bound_false(self, side):
        study = _studied()
        bound = getattr(study.proved, f"{side}_bound")
        for value in (bound * 1.001 + 1e-3, np.full_like(bound, np.nan)):
            changed = study.attained._replace(**{f"{side}_estimate": value})
            with self.assertRaisesRegex(ValueError, f"{side}_estimate"):
                dataclasses.replace(study, attained=changed)

    @parameterized.named_parameters(
        ("images", {"num_images": [1]}, "num_images.shape"),
        ("layers", {"activations": ("tanh",)}, "layer_.*shape"),
    )
    def test_refuses_shapes(self, changes, message):
        with self.assertRaisesRegex(ValueError, message):
            dataclasses.replace(_studied(), **changes)


if __name__ == "__main__":
    absltest.main()
