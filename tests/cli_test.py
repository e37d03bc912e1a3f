"""The commands, as a user runs them."""

import contextlib
import dataclasses
import io
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import cli


def _run(*arguments):
    """Returns the exit status and what was written to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(arguments)
    return status, out.getvalue(), err.getvalue()


def _save_model(folder, **kwargs):
    path = str(pathlib.Path(folder) / "small.keras")
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(6, activation=kwargs.get("hidden", "tanh")),
        keras.layers.Dense(10, activation=kwargs.get("head")),
    ]
    keras.utils.set_random_seed(0)
    keras.Sequential(layers).save(path)
    return path


class CommandsTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    @parameterized.parameters(
        ((), "certify"),
        (("--help",), "certify"),
        (("--version",), tfcurv.__version__),
        (("demo", "--help"), "--output"),
        (("train", "--help"), "--gamma"),
        (("certify", "--help"), "--targets"),
        (("falsify", "--help"), "--model"),
    )
    def test_helps(self, arguments, expected):
        status, out, _ = _run(*arguments)
        self.assertEqual(status, 0)
        self.assertIn(expected, out)

    def test_trains_certifies_and_writes_a_folder_that_can_be_used(self):
        output = self.folder / "run"
        status, out, err = _run(
            "train",
            "--dataset=digits",
            "--width=16",
            "--epochs=2",
            "--epsilon=0.3",
            "--epsilons=0.1,0.3",
            f"--output={output}",
        )
        self.assertEqual((status, err), (0, ""))
        result = tfcurv.load_result(output / "certificates")
        self.assertEqual(result.num_images, 497)
        self.assertEqual(result.epsilons, (0.1, 0.3))
        self.assertIn(f"{100 * result.certified_accuracy(0.1):.2f} %", out)
        settings = json.loads((output / "training.json").read_text())
        self.assertEqual(settings["config"]["epsilon"], 0.3)
        again = tfcurv.certify(
            keras.models.load_model(output / "model.keras"),
            "digits",
            epsilons=(0.1,),
            verbose=0,
        )
        np.testing.assert_array_equal(again.radii, result.radii)

    def test_certifies_a_saved_model_and_writes_report_and_plot(self):
        report, plot = self.folder / "report", self.folder / "curve.png"
        status, out, err = _run(
            "certify",
            _save_model(self.folder),
            "--dataset=digits",
            "--limit=20",
            "--epsilons=0.1",
            f"--report={report}",
            f"--plot={plot}",
        )
        self.assertEqual((status, err), (0, ""))
        self.assertIn("20 of digits/test", out)
        self.assertTrue((report / "report.html").is_file())
        self.assertEqual(plot.read_bytes()[:4], b"\x89PNG")

    def test_attacks_a_saved_result_and_exits_with_3_if_it_is_false(self):
        model = _save_model(self.folder)
        report, boast = self.folder / "report", self.folder / "boast"
        status, out, err = _run(
            "certify",
            model,
            "--dataset=digits",
            "--limit=40",
            "--guard=float32",
            f"--checkpoint={self.folder / 'run'}",
            f"--report={report}",
        )
        self.assertEqual((status, err), (0, ""))
        self.assertIn("float32", out)
        attack = ("--steps=4", "--restarts=1", f"--output={self.folder}")
        status, out, err = _run(
            "falsify", str(report), f"--model={model}", *attack
        )
        self.assertEqual((status, err), (0, ""))
        self.assertIn("no counter-example", out)
        result = tfcurv.load_result(report)
        false = np.where(result.radii > 0.0, 2.0 * result.upper_bounds, 0.0)
        dataclasses.replace(result, radii=false).save(boast)
        status, _, err = _run(
            "falsify", str(boast), f"--model={model}", *attack
        )
        self.assertEqual(status, 3)
        self.assertIn("counterexample-", err)
        self.assertLen(list(self.folder.glob("counterexample-*.npz")), 1)

    def test_says_that_the_runner_up_protocol_certifies_nothing(self):
        _, out, _ = _run(
            "certify",
            _save_model(self.folder),
            "--dataset=digits",
            "--limit=5",
            "--targets=runner-up",
        )
        self.assertIn("NO CERTIFICATE", out)

    def test_reads_arrays_and_agrees_with_the_model_they_came_from(self):
        path = _save_model(self.folder)
        model = keras.models.load_model(path)
        dense = model.layers[1:]
        arrays = self.folder / "weights.npz"
        np.savez(
            arrays,
            **{
                f"kernel_{i}": np.asarray(d.kernel) for i, d in enumerate(dense)
            },
            **{f"bias_{i}": np.asarray(d.bias) for i, d in enumerate(dense)},
        )
        reports = [self.folder / name for name in ("a", "b")]
        for source, report in zip((path, str(arrays)), reports):
            status, _, err = _run(
                "certify",
                source,
                "--dataset=digits",
                "--limit=20",
                "--activation=tanh",
                f"--report={report}",
            )
            self.assertEqual((status, err), (0, ""))
        first, second = (tfcurv.load_result(report) for report in reports)
        np.testing.assert_array_equal(first.radii, second.radii)
        self.assertEqual(first.model_hash, second.model_hash)

    @parameterized.named_parameters(
        ("command", ("prove",), "prove"),
        ("flag", ("certify", "--epsilom=1"), "epsilom"),
        ("no_model", ("certify", "--dataset=digits"), "model file"),
        ("file", ("certify", "no.keras", "--dataset=digits"), "no.keras"),
        ("curvature", ("certify", "m.keras", "--curvature=near"), "near"),
        ("dataset", ("certify", "m.keras", "--dataset=letters"), "letters"),
        ("plot", ("certify", "m", "--dataset=digits", "--plot=x.jpg"), "x.jpg"),
        ("no_result", ("falsify", "--model=m.keras"), "folder of a result"),
        ("no_output", ("train", "--dataset=digits"), "--output"),
        ("layers", ("train", "--layers=0"), "layers"),
        ("activation", ("train", "--activation=relu"), "relu"),
        ("stray", ("demo", "stray"), "stray"),
        ("radii", ("demo", "--epsilons=a", "--output=x"), "epsilons=a"),
    )
    def test_names_what_is_wrong_and_exits_with_2(self, arguments, culprit):
        status, out, err = _run(*arguments)
        self.assertEqual(status, 2)
        self.assertIn(culprit, err)
        self.assertEqual(out, "")

    @parameterized.named_parameters(
        ("selu", {"hidden": "selu"}, "selu"),
        ("softmax", {"head": "softmax"}, "from_logits"),
    )
    def test_refuses_what_cannot_be_certified(self, model, culprit):
        report = self.folder / "report"
        status, _, err = _run(
            "certify",
            _save_model(self.folder, **model),
            "--dataset=digits",
            f"--report={report}",
        )
        self.assertEqual(status, 2)
        self.assertIn(culprit, err)
        self.assertFalse(report.exists())

    def test_overwrites_no_folder_that_holds_something(self):
        (self.folder / "keep").write_text("me")
        for arguments in (
            ("train", f"--output={self.folder}"),
            ("demo", f"--output={self.folder}"),
        ):
            status, _, err = _run(*arguments)
            self.assertEqual(status, 2)
            self.assertIn(str(self.folder), err)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["keep"])


if __name__ == "__main__":
    absltest.main()
