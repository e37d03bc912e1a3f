"""The commands, as a user runs them."""

import contextlib
import dataclasses
import io
import json
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np

import tfcurv
from tfcurv import cli
from tfcurv import nn
from tfcurv import runs
from tfcurv import training
from tfcurv.training import trainer
from untraced import untraced
from without_xla import without_xla


def _run(*arguments):
    """Returns the exit status and what was written to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(arguments)
    return status, out.getvalue(), err.getvalue()


def _save_model(folder, **kwargs):
    path = str(pathlib.Path(folder) / "small.keras")
    # Before the layers: they draw seeds when they are made.
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(6, activation=kwargs.get("hidden", "tanh")),
        keras.layers.Dense(10, activation=kwargs.get("head")),
    ]
    keras.Sequential(layers).save(path)
    return path


def _compile(model, config, steps, adversary):
    """Compiles for a few steps, which need no graph."""
    del config, steps, adversary
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)


def _result():
    """Returns certificates of one image."""
    names = ("labels", "predictions", "targets", "exact", "reasons")
    return tfcurv.CertificationResult(
        **{name: np.zeros(1, np.int32) for name in names},
        radii=np.ones(1),
        upper_bounds=np.ones(1),
        epsilons=(0.5,),
        data_name="toys",
    )


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
        (("train", "--help"), "(cifar10:"),
        (("certify", "--help"), "--targets"),
        (("falsify", "--help"), "--model"),
    )
    def test_helps(self, arguments, expected):
        status, out, _ = _run(*arguments)
        self.assertEqual(status, 0)
        self.assertIn(expected, out)

    @untraced()
    @without_xla()
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
        # Of what terminals need, nothing is in a file.
        self.assertNotRegex(out, r"[\b\r\x1b]")
        self.assertEqual(
            sorted(path.name for path in output.iterdir()),
            ["certificates", "model.keras", "training.json"],
        )
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

    @without_xla()
    def test_trains_for_an_objective_and_certifies_by_its_method(self):
        output = self.folder / "run"
        with mock.patch.object(runs, "certify", wraps=runs.certify) as certify:
            status, out, err = _run(
                "train",
                "--dataset=digits",
                "--objective=bcp",
                "--layers=2",
                "--width=16",
                "--epochs=2",
                "--warmup_epochs=0.5",
                "--rampup_epochs=0.5",
                "--learning_rate=0.01",
                "--epsilon=0.05",
                f"--output={output}",
            )
        self.assertEqual((status, err), (0, ""))
        self.assertNotIn("note", out)
        self.assertEqual(certify.call_args.kwargs.get("method"), "bcp")
        self.assertEqual(certify.call_args.kwargs["norm"], "l2")
        self.assertEqual(
            sorted(path.name for path in output.iterdir()),
            [
                "best_val_verified_estimate.keras",
                "certificates",
                "model.keras",
                "training.json",
            ],
        )
        result = tfcurv.load_result(output / "certificates")
        self.assertEqual(result.method, "bcp")
        self.assertEqual(result.epsilons, (0.05,))
        self.assertGreater(result.certified_accuracy(0.05), 0.3)
        facts = json.loads((output / "training.json").read_text())
        self.assertEqual(facts["config"]["objective"], "bcp")
        found = facts["history"]
        self.assertAlmostEqual(found["epsilon"][-1], 0.05, places=6)
        # What is proved is of test images; they are like the others.
        self.assertAlmostEqual(
            found["val_verified_estimate"][-1],
            result.certified_accuracy(0.05),
            delta=0.1,
        )

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

    @untraced()
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

    @untraced()
    def test_says_that_the_runner_up_protocol_certifies_nothing(self):
        _, out, _ = _run(
            "certify",
            _save_model(self.folder),
            "--dataset=digits",
            "--limit=5",
            "--targets=runner-up",
        )
        self.assertIn("NO CERTIFICATE", out)

    @untraced()
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
        ("exponential", {"hidden": "exponential"}, "exponential"),
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


class NothingIsLostTest(parameterized.TestCase):
    """What cannot work is said before the work, and what is done is kept."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

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
        (
            "activation",
            ("train", "--activation=relu", "--output=x"),
            "relu",
        ),
        ("objective", ("train", "--objective=bcpp"), "Did you mean 'bcp'?"),
        (
            "idle_penalty",
            ("train", "--objective=bcp", "--gamma=1", "--output=x"),
            "--gamma=1",
        ),
        (
            "idle_ramp",
            ("train", "--rampup_epochs=3", "--output=x"),
            "--rampup_epochs=3",
        ),
        (
            "idle_beta",
            ("train", "--objective=pgd", "--beta=3", "--output=x"),
            "--beta=3",
        ),
        (
            "idle_norm",
            ("train", "--objective=crt", "--norm=linf", "--output=x"),
            "--norm=linf",
        ),
        (
            "idle_attack",
            ("train", "--objective=lmt", "--attack_steps=3", "--output=x"),
            "--attack_steps=3",
        ),
        (
            "weightless",
            ("train", "--objective=trades", "--beta=0", "--output=x"),
            "beta=0",
        ),
        (
            "idle_radius",
            ("train", "--objective=plain", "--epsilon=1", "--output=x"),
            "--epsilon=1",
        ),
        (
            "two_networks",
            ("train", "--architecture=4C3F", "--layers=3", "--output=x"),
            "--layers=3",
        ),
        (
            "drops",
            ("train", "--learning_rate_drops=a", "--output=x"),
            "drops=a",
        ),
        (
            "method_of_other_networks",
            (
                "train",
                "--dataset=digits",
                "--objective=ibp",
                "--layers=3",
                "--width=4",
                "--method=curvature",
                "--output=x",
            ),
            "'relu'",
        ),
        ("stray", ("demo", "stray"), "stray"),
        ("radii", ("demo", "--epsilons=a", "--output=x"), "epsilons=a"),
        ("no_radius", ("train", "--epsilons=", "--output=x"), "--epsilons="),
        ("gap", ("train", "--epsilons=.5,,1", "--output=x"), "=.5,,1"),
        ("nan", ("train", "--epsilons=nan", "--output=x"), "=nan"),
        ("negative", ("demo", "--epsilons=-1", "--output=x"), "=-1"),
        (
            "infinite",
            ("certify", "m", "--dataset=digits", "--epsilons=inf"),
            "=inf",
        ),
        ("like_a_command", ("certfy",), "Did you mean 'certify'?"),
        ("a_command_in_capitals", ("CERTIFY",), "Did you mean 'certify'?"),
        ("like_a_flag", ("certify", "--epsilon=1"), "Did you mean: epsilons"),
        (
            "like_a_data_set",
            ("train", "--dataset=mnits"),
            "Did you mean 'mnist'?",
        ),
        (
            "like_a_choice",
            ("certify", "--targets=runnerup"),
            "Did you mean 'runner-up'?",
        ),
        (
            "wide_window",
            ("train", "--dataset=digits", "--convolutions=2:9:1", "--output=x"),
            "kernel shape",
        ),
        (
            "rate",
            ("train", "--learning_rate=inf", "--output=x"),
            "learning_rate=inf",
        ),
    )
    def test_says_in_one_line_what_is_wrong_and_exits_with_2(
        self, arguments, culprit
    ):
        with mock.patch.object(training, "train_in_folder") as train:
            status, out, err = _run(*arguments)
        train.assert_not_called()
        self.assertEqual(status, 2)
        self.assertIn(culprit, err)
        self.assertLen(err.splitlines(), 1, err)
        self.assertEqual(out, "")

    @parameterized.named_parameters(
        ("train", ("train", "--dataset=digits", "--output={}/run")),
        ("demo", ("demo", "--output={}/run")),
        ("report", ("certify", "m", "--dataset=digits", "--report={}/r")),
        ("plot", ("certify", "m", "--dataset=digits", "--plot={}/a.png")),
        ("report_is_file", ("certify", "m", "--dataset=digits", "--report={}")),
        (
            "report_around_checkpoint",
            (
                "certify",
                "m",
                "--dataset=digits",
                "--report={}_",
                "--checkpoint={}_/c",
            ),
        ),
    )
    def test_refuses_before_the_work_what_cannot_be_written(self, arguments):
        file = self.folder / "file"
        file.write_text("me")
        with (
            mock.patch.object(training, "train_in_folder") as train,
            mock.patch.object(nn, "read_model") as read,
        ):
            status, _, err = _run(*(each.format(file) for each in arguments))
        train.assert_not_called()
        read.assert_not_called()
        self.assertEqual(status, 2)
        self.assertIn("Received", err)
        self.assertLen(err.splitlines(), 1, err)

    def test_an_interrupted_command_says_how_to_go_on_and_does(self):
        output = self.folder / "run"
        command = ("train", "--dataset=digits", "--width=4", "--epochs=1")
        command += ("--warmup_epochs=0", "--gamma=0", "--epsilon=0")
        command += (f"--output={output}", "--quiet")
        with (
            mock.patch.object(runs, "certify", side_effect=KeyboardInterrupt),
            mock.patch.object(trainer, "compile_model", _compile),
        ):
            status, _, err = _run(*command)
        self.assertEqual(status, 130)
        self.assertIn("The same command goes on", err)
        self.assertIn(repr(str(output)), err)
        self.assertTrue((output / "model.keras").is_file())
        with (
            mock.patch.object(runs, "certify", return_value=_result()),
            mock.patch.object(keras.Model, "fit") as fit,
        ):
            status, out, err = _run(*command)
        fit.assert_not_called()
        self.assertEqual((status, err), (0, ""))
        self.assertIn("1 of toys", out)
        status, _, err = _run(*command)
        self.assertEqual(status, 2)
        self.assertIn("finished", err)

    @parameterized.parameters(("--report={}",), ("--checkpoint={}",), ())
    def test_an_interrupted_certification_says_what_is_kept(self, *flag):
        path = self.folder / "kept"
        with mock.patch.object(runs, "certify", side_effect=KeyboardInterrupt):
            status, _, err = _run(
                "certify",
                _save_model(self.folder),
                "--dataset=digits",
                *(each.format(path) for each in flag),
            )
        self.assertEqual(status, 130)
        self.assertIn(str(path) if flag else "Nothing is kept", err)

    def test_a_closed_pipe_is_one_line_and_loses_no_report(self):
        report = self.folder / "report"
        pipe = mock.Mock(**{"write.side_effect": BrokenPipeError})
        pipe.fileno.side_effect = io.UnsupportedOperation
        err = io.StringIO()
        with (
            mock.patch.object(runs, "certify", return_value=_result()),
            contextlib.redirect_stdout(pipe),
            contextlib.redirect_stderr(err),
        ):
            model = _save_model(self.folder)
            flags = ("--dataset=digits", f"--report={report}")
            status = cli.main(("certify", model, *flags))
        self.assertEqual(status, 2)
        self.assertLen(err.getvalue().splitlines(), 1)
        self.assertIn("closed", err.getvalue())
        self.assertLen(tfcurv.load_result(report).radii, 1)

    def test_a_closed_output_is_found_before_the_work(self):
        err = io.StringIO()
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(err):
            status = cli.main(("certify", "m.keras", "--dataset=digits"))
        self.assertEqual(status, 2)
        self.assertIn("Standard output is closed", err.getvalue())

    def test_an_interrupted_demonstration_keeps_its_first_network(self):
        output = self.folder / "demo"
        command = ("demo", "--epochs=1", f"--output={output}", "--quiet")
        train = training.train_in_folder

        def interrupted(config, *args, **settings):
            if config.epsilon:
                raise KeyboardInterrupt
            return train(config, *args, **settings)

        with (
            mock.patch.object(runs, "certify", return_value=_result()),
            mock.patch.object(trainer, "compile_model", _compile),
        ):
            with mock.patch.object(training, "train_in_folder", interrupted):
                status, _, err = _run(*command)
            self.assertEqual(status, 130)
            self.assertIn("The same command goes on", err)
            fit = keras.Model.fit
            with mock.patch.object(keras.Model, "fit", autospec=True) as fitted:
                fitted.side_effect = fit
                status, _, err = _run(*command)
        self.assertEqual((status, err), (0, ""))
        fitted.assert_called_once()
        self.assertTrue((output / "report.html").is_file())
        status, _, err = _run(*command)
        self.assertEqual(status, 2)
        self.assertIn("finished", err)


if __name__ == "__main__":
    absltest.main()
