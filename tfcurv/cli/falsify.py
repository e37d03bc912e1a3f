"""`tfcurv falsify`: attacks on the certified points of a saved result."""

from collections.abc import Sequence
import dataclasses

from absl import flags

from tfcurv.cli import choices
from tfcurv.cli import options

USAGE = """Usage: tfcurv falsify REPORT --model=FILE [flags]

Attacks every certified point of a result inside its radius: projected gradient
steps on three losses and a walk along the decision boundary, none of which the
certifier uses. REPORT is the folder of 'tfcurv certify --report'. If one is
false, ends with status 3 and a file that holds the counter-example."""

FLAGS = flags.FlagValues()

_DATASET = options.dataset_flag(FLAGS, None)
_MODEL = flags.DEFINE_string(
    "model",
    None,
    "The .keras, .onnx or .npz file that was certified.",
    flag_values=FLAGS,
)
_ACTIVATION = options.activation_flag(FLAGS)
_BATCH_SIZE = options.batch_size_flag(FLAGS)
_STEPS = flags.DEFINE_integer(
    "steps",
    choices.FALSIFIER_STEPS,
    "Gradient steps of each attack.",
    lower_bound=1,
    flag_values=FLAGS,
)
_RESTARTS = flags.DEFINE_integer(
    "restarts",
    choices.FALSIFIER_RESTARTS,
    "Starts of each attack.",
    lower_bound=1,
    flag_values=FLAGS,
)
_OUTPUT = flags.DEFINE_string(
    "output", ".", "Folder for a counter-example.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random starts.", flag_values=FLAGS
)
_QUIET = options.quiet_flag(FLAGS)


def run(arguments: Sequence[str]) -> None:
    """Attacks and prints, as the parsed flags say.

    Args:
        arguments: What the command line holds besides flags: the result.
    """
    if len(arguments) != 1 or not _MODEL.value:
        raise ValueError(
            "tfcurv falsify needs one folder of a result and --model. "
            f"Received: {list(arguments)}, --model={_MODEL.value!r}."
        )
    from tfcurv import certificates
    from tfcurv import nn
    from tfcurv import results
    from tfcurv import runs

    result = results.load_result(arguments[0])
    with options.going_on("Nothing is kept: the attack starts anew."):
        attacked = runs.falsify(
            nn.read_model(_MODEL.value, activation=_ACTIVATION.value),
            dataclasses.replace(result, num_attacks=0),
            _DATASET.value,
            options=certificates.FalsifierOptions(
                gradient_steps=_STEPS.value,
                restarts=_RESTARTS.value,
                seed=_SEED.value,
            ),
            batch_size=_BATCH_SIZE.value,
            data_dir=FLAGS["data_dir"].value,
            folder=_OUTPUT.value,
            verbose=0 if _QUIET.value else 1,
        )
    points = int((result.radii > 0.0).sum())
    options.write(
        f"{points} certified points, {attacked.num_attacks} evaluations of "
        "the network inside their radii: no counter-example."
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv falsify", USAGE, FLAGS, run, arguments)
