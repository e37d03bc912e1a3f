"""`tfcurv verify`: properties of a saved model, as VNN-LIB states them."""

from collections.abc import Sequence
import pathlib

from absl import flags

from tfcurv.cli import options

USAGE = """Usage: tfcurv verify MODEL PROPERTY [flags]

Decides whether any input of the boxes in PROPERTY, a .vnnlib file, has an
output that it calls unsafe. MODEL is an .onnx, .keras or .npz file; X_i and Y_j
are its inputs and outputs in the order of their elements, those of an .onnx
file in that of ONNX. Writes one word: holds, which is proved, violated, with
the input and the output below it, or unknown. Ends with status 0 if it holds,
10 if it is violated, 20 if that is not known, 2 if the input is at fault."""

FLAGS = flags.FlagValues()

#: Statuses of a verdict, beside those of all programs.
EXIT_STATUS = {"holds": 0, "violated": 10, "unknown": 20}

_SECONDS = flags.DEFINE_float(
    "seconds",
    60.0,
    "After which nothing more is begun.",
    lower_bound=1e-3,
    flag_values=FLAGS,
)
_COUNTEREXAMPLE = flags.DEFINE_string(
    "counterexample",
    None,
    "File to write as VNN-COMP asks for it: sat and the assignments, or unsat; "
    "none where nothing is known.",
    flag_values=FLAGS,
)
_ACTIVATION = options.activation_flag(FLAGS)


def run(arguments: Sequence[str]) -> int:
    """Decides and prints, as the parsed flags say; returns the status.

    Args:
        arguments: What the command line holds besides flags: the model and
            the property.
    """
    if len(arguments) != 2:
        raise ValueError(
            "tfcurv verify needs one model file and one property file. "
            f"Received: {list(arguments)}."
        )
    from tfcurv import nn
    from tfcurv import runs

    model, statement = map(pathlib.Path, arguments)
    if model.suffix == ".onnx":
        # In the order of ONNX, not as images of Keras.
        found = nn.from_onnx(model)
    else:
        found = nn.read_model(model, activation=_ACTIVATION.value)
    result = runs.verify_property(found, statement, seconds=_SECONDS.value)
    if _COUNTEREXAMPLE.value and result.verdict != "unknown":
        path = pathlib.Path(_COUNTEREXAMPLE.value)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.counterexample, encoding="utf-8")
    options.write(str(result).rstrip())
    return EXIT_STATUS[result.verdict]


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv verify", USAGE, FLAGS, run, arguments)
