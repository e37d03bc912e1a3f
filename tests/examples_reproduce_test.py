"""The reproduction of the published tables, on small networks."""

import contextlib
import dataclasses
import io
import itertools
import json
import os
import pathlib
import re
import sys
from unittest import mock

from absl.testing import absltest
import keras
import numpy as np

from tfcurv import certificates
from tfcurv import data
from tfcurv import runs
from tfcurv import training
from tfcurv.cli import options
from untraced import untraced
from without_xla import without_xla

_EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"
sys.path.insert(0, os.fspath(_EXAMPLES))

import measurements  # noqa: E402
import paper  # noqa: E402
import reproduce  # noqa: E402
import results_page  # noqa: E402
import trained  # noqa: E402

_EPSILON = 0.3
_IMAGES = 200


class TablesTest(absltest.TestCase):
    def test_every_row_has_a_recipe_and_every_part_a_measurement(self):
        for name, table in paper.TABLES.items():
            with self.subTest(name):
                self.assertContainsSubset(table.parts, measurements.PARTS)
                for row in table.rows:
                    config = training.recipe(row.recipe)
                    if config.epsilon and "both" not in table.parts:
                        self.assertEqual(config.epsilon, table.epsilon)

    def test_every_recipe_is_used(self):
        used = {r.recipe for t in paper.TABLES.values() for r in t.rows}
        self.assertEqual(used, set(training.RECIPES))

    def test_a_recipe_of_another_seed_differs_in_the_seed_alone(self):
        name = "mnist-softplus-2-crt0.01"
        self.assertEqual(training.recipe(name), training.RECIPES[name])
        other = training.recipe(name, seed=3)
        self.assertEqual(other.seed, 3)
        self.assertEqual(other.gamma, training.RECIPES[name].gamma)

    def test_an_unknown_recipe_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "'resnet'.*mnist-softplus-2"):
            training.recipe("resnet")


class PageTest(absltest.TestCase):
    def _page(self, *measured):
        folder = pathlib.Path(self.create_tempdir().full_path)
        for run in measured:
            path = folder / f"{run['recipe']}-seed{run['seed']}.json"
            path.write_text(json.dumps(run))
        results_page.write(folder, folder / "page.md")
        return (folder / "page.md").read_text()

    def _run(self, seed, certified):
        part = {"found": {"certified": certified}, "machine": "a machine"}
        return {
            "recipe": "mnist-softplus-2-crt0.01",
            "seed": seed,
            "training": {"seconds": 60.0},
            "parts": {"all": part},
        }

    def test_shows_figures_beside_the_paper_and_gaps_as_gaps(self):
        row = next(
            line
            for line in self._page(self._run(0, 0.7125)).splitlines()
            if line.startswith("| 2x1024 softplus | CRT, 0.01 | 98.68")
        )
        self.assertIn("| 71.25 |", row)
        self.assertIn("| - |", row)

    def test_shows_mean_and_spread_of_seeds(self):
        page = self._page(self._run(0, 0.70), self._run(1, 0.72))
        self.assertIn("| 71.00 [70.00, 72.00] |", page)

    def test_is_the_page_of_the_numbers_that_are_kept(self):
        docs = _EXAMPLES.parent / "docs"
        folder = pathlib.Path(self.create_tempdir().full_path)
        results_page.write(docs / "results", folder / "results.md")
        found = (folder / "results.md").read_text()
        self.assertEqual(found, (docs / "results.md").read_text())

    def test_is_written_without_any_run(self):
        self.assertIn("53.19", self._page())


def _curved_model():
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="tanh") for n in (12, 10)]
    layers = [keras.layers.Flatten(), *hidden, keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model.set_weights([2.0 * weight for weight in model.get_weights()])
    return model


def _with_own_labels(model, images) -> data.Split:
    """Returns images of which a model gets every one right."""
    labels = np.argmax(model(images), axis=-1)
    return data.Split(images=images, labels=labels, name="own/test")


class MeasurementsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(untraced())

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        splits = [data.load_split("digits", n) for n in ("train", "test")]
        config = training.TrainConfig(
            dataset="digits",
            width=24,
            epochs=12,
            batch_size=50,
            learning_rate=3e-3,
            epsilon=_EPSILON,
        )
        with without_xla():
            cls.model = training.train(config, *splits, verbose=0).model
        cls.split = data.Split(
            images=splits[1].images[:_IMAGES],
            labels=splits[1].labels[:_IMAGES],
            name=splits[1].name,
        )

    def test_the_runner_up_claims_no_less_than_the_certificate(self):
        every = measurements.against_all(self.model, self.split, _EPSILON)
        one = measurements.against_runner_up(self.model, self.split, _EPSILON)
        self.assertGreaterEqual(one["certified"], every["certified"])
        self.assertGreaterEqual(every["attacked"], every["certified"])
        self.assertEqual(one["clean"], every["clean"])
        self.assertGreater(one["radius_of_sample"], _EPSILON)

    def test_theorem_4_certifies_less_and_signed_bounds_what_certify_does(self):
        model = _curved_model()
        split = _with_own_labels(model, self.split.images[:60])
        found = measurements.with_theorem4(model, split, 0.1)
        every = measurements.against_all(model, split, 0.1)
        self.assertEqual(found["all, signed"], every["certified"])
        self.assertLess(found["all, theorem 4"], found["all, signed"])
        self.assertGreaterEqual(
            found["runner-up, theorem 4"], found["all, theorem 4"]
        )

    def test_local_bounds_raise_the_mean_radius(self):
        # Of the trained network all global certificates are exact already.
        model = _curved_model()
        split = _with_own_labels(model, self.split.images[:5])
        found = measurements.local_curvature(model, split, _EPSILON)
        for targets in ("runner-up", "all"):
            radii = [
                found[f"{targets}, {scope}"]["radius"]
                for scope in ("global", "local")
            ]
            self.assertGreater(radii[1], radii[0])

    def test_primal_and_dual_meet_where_two_independent_ways_say_so(self):
        found = measurements.duality(self.model, self.split, _EPSILON)
        result = runs.certify(
            self.model,
            (self.split.images, self.split.labels),
            targets="runner-up",
            verbose=0,
            options=certificates.CertifierOptions(attack_steps=40),
        )
        # The result's upper bound is of any class: what meets there is of
        # the runner-up, or another class is nearer and the certificate long.
        meets = np.isclose(result.radii, result.upper_bounds, rtol=3e-4)
        longer = result.radii > result.upper_bounds * (1.0 + 3e-4)
        low = np.mean(meets[result.correct])
        high = np.mean((meets | longer)[result.correct])
        self.assertBetween(found["certificate"], low - 0.02, high + 0.02)
        self.assertGreater(found["certificate"], 0.1)
        self.assertGreater(found["attack"], 0.1)

    def test_primal_and_dual_meet_less_often_with_theorem_4(self):
        model = _curved_model()
        split = _with_own_labels(model, self.split.images[:100])
        signed = measurements.duality(model, split, 0.02)
        published = measurements.duality_with_theorem4(model, split, 0.02)
        for share in ("attack", "certificate"):
            self.assertLessEqual(published[share], signed[share])
        self.assertLess(published["attack"], signed["attack"])


class CertifiedTrainingTest(absltest.TestCase):
    """The tables and figures of box constraint propagation."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        splits = [data.load_split("digits", n) for n in ("train", "test")]
        config = training.default_config(
            "bcp",
            "digits",
            layers=3,
            width=16,
            epochs=10,
            batch_size=50,
            learning_rate=1e-2,
            epsilon=0.1,
        )
        with without_xla():
            cls.model = training.train(config, *splits, verbose=0).model
        cls.split = data.Split(
            images=splits[1].images[:60],
            labels=splits[1].labels[:60],
            name=splits[1].name,
        )
        with untraced():
            found = {
                part: measurements.PARTS[part](cls.model, cls.split, 0.1, 0)
                for part in ("rules", "curve", "tightness", "plane")
            }
        cls.found = json.loads(json.dumps(found))

    def test_the_three_proofs_lie_below_the_attack_and_both_is_best(self):
        found = self.found["rules"]
        self.assertEqual(found["images"], 60)
        self.assertGreaterEqual(found["clean"], found["attacked"])
        for rule in ("bcp", "ibp", "lipschitz"):
            self.assertGreaterEqual(found["attacked"], found[rule])
        self.assertGreaterEqual(found["bcp"], found["ibp"])
        self.assertGreater(found["bcp"], 0.3)

    def test_the_curve_has_an_entry_an_image_and_agrees_with_the_table(self):
        found = self.found["curve"]
        self.assertLen(found["certified"], 60)
        self.assertLen(found["attacked"], 60)
        share = np.mean(np.array(found["certified"]) > 0.1)
        self.assertAlmostEqual(share, self.found["rules"]["bcp"], delta=0.02)

    def test_boxes_tighten_balls(self):
        found = self.found["tightness"]
        self.assertLess(found["bcp"], 1.0)
        self.assertLess(found["bcp, least"], found["bcp"])
        self.assertLess(found["bcp"], found["bcp, most"])

    def test_the_plane_is_around_the_logits_of_an_image_that_is_right(self):
        found = self.found["plane"]
        index = found["image"]
        self.assertEqual(found["label"], self.split.labels[index])
        image = self.split.images[index : index + 1]
        logits = self.model.predict(image, verbose=0)[0]
        self.assertEqual(np.argsort(logits)[-2], found["rival"])
        np.testing.assert_allclose(
            found["centre"],
            logits[[found["label"], found["rival"]]],
            rtol=1e-5,
        )
        for corners in found["outlines"].values():
            low, high = np.min(corners, axis=0), np.max(corners, axis=0)
            self.assertTrue(np.all(low < found["centre"]))
            self.assertTrue(np.all(high > found["centre"]))

    def test_the_page_shows_and_draws_what_was_measured(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        parts = {
            part: {"found": found, "seconds": 1.0, "machine": "a machine"}
            for part, found in self.found.items()
        }
        run = {
            "recipe": "mnist-relu-4C3F-bcp",
            "seed": 0,
            "training": {"seconds": 60.0},
            "parts": parts,
        }
        path = folder / "mnist-relu-4C3F-bcp-seed0.json"
        path.write_text(json.dumps(run))
        results_page.write(folder, folder / "page.md")
        page = (folder / "page.md").read_text()
        verified = 100.0 * self.found["rules"]["bcp"]
        row = next(
            line
            for line in page.splitlines()
            if line.startswith("| 4C3F relu | BCP | 92.41 / 64.7 / 47.95 |")
        )
        self.assertIn(f"| {verified:.2f} |", row)
        for name in ("planes.png", "bcp-figure4.png"):
            self.assertIn(f"({name})", page)
            self.assertEqual((folder / name).read_bytes()[:4], b"\x89PNG")
        self.assertFalse((folder / "bcp-figure4-cifar10.png").exists())


class PlanTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def _run(self, *flags):
        """Returns the status and what a run writes, with nothing to train."""
        out, err = io.StringIO(), io.StringIO()
        flags = (f"--networks={self.folder}", *flags)
        with (
            mock.patch.object(trained, "load_or_train") as train,
            mock.patch.object(data, "load_split"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            train.side_effect = KeyboardInterrupt
            status = options.run(
                "reproduce.py", "", reproduce.FLAGS, reproduce.run, flags
            )
        return status, out.getvalue(), err.getvalue(), train

    def test_says_that_what_it_shows_was_measured_before_and_where(self):
        page = self.folder / "results.md"
        status, out, err, train = self._run("--table=3,4", f"--page={page}")
        self.assertEqual((status, err), (0, ""))
        train.assert_not_called()
        self.assertIn("Measured by this command: 0 of 48 measurements.", out)
        self.assertRegex(
            out, r"Stored in .*, not measured now: 48, of 2026-11-21, 2 CPU"
        )
        self.assertIn("--measure", out)

    def test_measures_anew_and_says_what_and_how_long(self):
        status, _, err, train = self._run("--table=4", "--measure")
        train.assert_called_once()
        self.assertEqual(status, 130)
        announced, begun, interrupted = err.splitlines()
        # 381 + (642 + 532 + 1473) + (588 + 985 + 2928) + 1779 s of training.
        self.assertRegex(
            announced, "^8 networks to train, 24 measurements .* 3[.]. h$"
        )
        self.assertRegex(
            begun,
            "^training fashion_mnist-softplus-2-crt0.01, seed 0, network 1 of "
            "8: about 6 min",
        )
        self.assertIn("The same command goes on", interrupted)

    def test_says_of_what_nothing_is_there_and_trains_it_when_told_to(self):
        page = self.folder / "results.md"
        nothing = (f"--results={self.folder / 'none'}", f"--page={page}")
        table = paper.TABLES["bcp2"]
        unmeasured = dataclasses.replace(
            table,
            rows=tuple(dataclasses.replace(r, seeds=()) for r in table.rows),
        )
        self.enter_context(mock.patch.dict(paper.TABLES, {"bcp2": unmeasured}))
        status, out, err, train = self._run("--table=bcp2", *nothing)
        self.assertEqual((status, err), (0, ""))
        train.assert_not_called()
        self.assertIn("Nothing of this table has been measured yet", out)
        self.assertIn("Measured by this command: 0 of 0", out)
        for told in ("--measure", "--seeds=0"):
            _, _, err, train = self._run("--table=bcp2", told, *nothing)
            train.assert_called_once()
            rows = len(table.rows)
            expected = f"{rows} networks to train, {rows} measurements"
            self.assertIn(expected, err)
            # Of the others it is known from other measurements.
            self.assertRegex(err, "[0-9] of unknown time")

    def test_quiet_is_quiet(self):
        _, _, err, _ = self._run("--table=4", "--measure", "--quiet")
        self.assertLen(err.splitlines(), 1)

    def test_the_plan_shrinks_as_it_is_carried_out(self):
        recipe = "mnist-softplus-4-crt0.1"
        jobs = [
            reproduce.Job(
                recipe=recipe, seed=seed, epsilon=1.58, parts=("all",)
            )
            for seed in (0, 1)
        ]
        plan = reproduce.Plan(jobs, self.folder)
        self.assertIn("network 1 of 2", plan.training_text(jobs[0]))
        plan.is_done(jobs[0])
        self.assertIn(
            "network 2 of 2: about 48 min", plan.training_text(jobs[1])
        )
        plan.is_done(jobs[1])
        self.assertIsNone(plan.training_text(jobs[1]))
        self.assertEqual(
            plan.text(),
            "0 networks to train, 0 measurements to make: about 0 s",
        )

    def test_help_states_the_times_that_are_stored(self):
        kept = results_page.read_runs(_EXAMPLES.parent / "docs" / "results")
        for layers, word in ((3, "three"), (4, "four")):
            longest = max(
                run["training"]["seconds"]
                for run in kept
                if training.RECIPES[run["recipe"]].layers == layers
            )
            self.assertIn(
                f"{longest:,.0f} s",
                reproduce.USAGE.partition(f"of {word} layers")[2],
            )

    def test_refuses_before_the_work_what_is_not_there(self):
        for flags, culprit in (
            (("--table=9",), "--table=9"),
            (("--table=",), "--table="),
            (("--seeds=a",), "--seeds=a"),
            (("--seeds=",), "--seeds="),
            (("--page=/dev/null/a",), "/dev/null/a"),
        ):
            status, _, err, train = self._run(*flags)
            train.assert_not_called()
            self.assertEqual(status, 2)
            self.assertIn(culprit, err)


class AgreementTest(absltest.TestCase):
    """Each figure of docs/results.md is made by the command under it."""

    def setUp(self):
        super().setUp()
        folder = _EXAMPLES.parent / "docs" / "results"
        self.runs = results_page.read_runs(folder)

    def test_a_row_shows_the_seeds_that_its_command_trains(self):
        for name, table in paper.TABLES.items():
            for row in table.rows:
                for part in table.parts:
                    stored = {
                        run["seed"]
                        for run in self.runs
                        if run["recipe"] == row.recipe and part in run["parts"]
                    }
                    with self.subTest(f"{name}, {row.recipe}, {part}"):
                        self.assertEqual(stored, set(row.seeds))

    def test_the_stored_networks_have_the_settings_of_their_recipes(self):
        for run in self.runs:
            with self.subTest(run["recipe"]):
                config = training.recipe(run["recipe"], run["seed"])
                expected = json.loads(json.dumps(dataclasses.asdict(config)))
                stored = run["training"]["config"]
                self.assertEqual({**expected, **stored}, expected)

    def test_pages_give_commands_that_need_nothing_but_what_is_stored(self):
        pages = "README.md", "docs/measured.md", "docs/shell.md"
        texts = [(_EXAMPLES.parent / page).read_text() for page in pages]
        command = re.compile(r"examples/reproduce.py(.*?)[`\n]")
        commands = [*itertools.chain(*map(command.findall, texts))]
        self.assertGreaterEqual(len(commands), 3)
        for command in commands:
            with self.subTest(command):
                reproduce.FLAGS.unparse_flags()
                reproduce.FLAGS(["reproduce.py", *command.split()])
                tables = reproduce.FLAGS["table"].value
                self.assertIsNone(reproduce.FLAGS["seeds"].value)
                if not reproduce.FLAGS["measure"].value:
                    self.assertEqual(reproduce.missing(tables, None), [])


class NetworksTest(absltest.TestCase):
    def test_networks_do_not_share_their_folders(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        found = {
            trained.home(name, seed, folder)
            for name in ("crt0.01", "crt0.02")
            for seed in (0, 1)
        }
        self.assertLen(found, 4)

    def test_trains_once_and_reads_then(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        small = training.TrainConfig(
            dataset="digits", width=8, epochs=1, epsilon=0.0, gamma=0.0
        )
        with (
            mock.patch.object(training, "recipe", return_value=small),
            without_xla(),
        ):
            self.assertFalse(trained.is_trained("small", 0, folder))
            first, facts = trained.load_or_train("small", 0, folder, None, 0)
            with mock.patch.object(keras.Model, "fit") as fit:
                second, again = trained.load_or_train("small", 0, folder)
            self.assertTrue(trained.is_trained("small", 0, folder))
        fit.assert_not_called()
        self.assertEqual(facts, again)
        self.assertEqual(facts["config"]["width"], 8)
        for a, b in zip(first.weights, second.weights):
            np.testing.assert_array_equal(a, b)
        self.assertEqual([p.name for p in folder.iterdir()], ["small-seed0"])


if __name__ == "__main__":
    absltest.main()
