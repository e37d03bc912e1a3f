"""`tfcurv demo`: plain against robust training on real digits, in minutes."""

from collections.abc import Sequence

from absl import flags

from tfcurv.cli import options

USAGE = """Usage: tfcurv demo [--output=FOLDER]

Trains one network plainly and one with curvature-based robust training (CRT)
on scikit-learn's bundled digits, certifies both on test images against every
class, prints the results side by side and writes FOLDER/report.html. FOLDER
keeps each network as soon as it is trained, and a run that was killed or
interrupted goes on by the same command."""

FLAGS = flags.FlagValues()

_OUTPUT = flags.DEFINE_string(
    "output",
    "tfcurv_demo",
    "Folder to make, or that of the same run, to go on with it.",
    flag_values=FLAGS,
)
_EPSILONS = options.epsilons_flag(FLAGS, ("0.25", "0.5", "0.75", "1.0"))
_EPOCHS = flags.DEFINE_integer(
    "epochs",
    60,
    "Passes over the training images, for each network.",
    lower_bound=1,
    flag_values=FLAGS,
)

_QUIET = options.quiet_flag(FLAGS)


def run(arguments: Sequence[str]) -> None:
    """Runs the demonstration.

    Args:
        arguments: What the command line holds besides flags: nothing.
    """
    if arguments:
        raise ValueError(
            f"tfcurv demo takes flags only. Received: {list(arguments)}."
        )
    from tfcurv.cli import demonstration

    demonstration.demonstrate(
        _OUTPUT.value,
        options.radii(_EPSILONS.value),
        epochs=_EPOCHS.value,
        quiet=_QUIET.value,
    )


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv demo", USAGE, FLAGS, run, arguments)
