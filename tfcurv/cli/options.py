"""Flags that several programs share, and how a program is run."""

from collections.abc import Callable
from collections.abc import Sequence
import sys

from absl import flags

from tfcurv import bounds
from tfcurv import data
from tfcurv import errors

#: What a program answers when its input is at fault, as other tools do.
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

#: A certificate is false: neither the input is at fault nor a crash.
EXIT_FALSE_CERTIFICATE = 3

#: Errors whose text is meant for the user; any other is a bug and shows where.
_FOR_THE_USER = (
    errors.TfcurvError,
    ImportError,
    OSError,
    ValueError,
    flags.Error,
)


def write(text: str) -> None:
    """Writes a line for the user."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def dataset_flag(
    values: flags.FlagValues, default: str | None
) -> flags.FlagHolder:
    """Defines --dataset and --data_dir."""
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of tensorflow-datasets; default: TFDS_DATA_DIR, else its own.",
        flag_values=values,
    )
    return flags.DEFINE_enum(
        "dataset",
        default,
        sorted(data.DATASETS),
        "Data set; its test split is certified, pixels in [0, 1].",
        flag_values=values,
    )


def epsilons_flag(
    values: flags.FlagValues, default: Sequence[str]
) -> flags.FlagHolder:
    """Defines --epsilons."""
    return flags.DEFINE_list(
        "epsilons",
        list(default),
        "l2 radii of the table, comma-separated, in units of [0, 1] pixels.",
        flag_values=values,
    )


def activation_flag(values: flags.FlagValues) -> flags.FlagHolder:
    """Defines --activation."""
    return flags.DEFINE_enum(
        "activation",
        "softplus",
        sorted(bounds.ACTIVATIONS),
        "Activation between the dense layers of an .npz file.",
        flag_values=values,
    )


def batch_size_flag(values: flags.FlagValues) -> flags.FlagHolder:
    """Defines --batch_size."""
    return flags.DEFINE_integer(
        "batch_size",
        data.DEFAULT_BATCH_SIZE,
        "Images at a time; memory grows with it.",
        lower_bound=1,
        flag_values=values,
    )


def numbers(texts: Sequence[str]) -> tuple[float, ...]:
    """Returns the numbers of a list flag.

    Raises:
        ValueError: One of the texts is no number.
    """
    try:
        return tuple(float(text) for text in texts)
    except ValueError as error:
        raise ValueError(
            "The radii must be numbers, separated by commas. "
            f"Received: --epsilons={','.join(texts)}."
        ) from error


def run(
    name: str,
    usage: str,
    values: flags.FlagValues,
    program: Callable[[Sequence[str]], None],
    arguments: Sequence[str],
) -> int:
    """Parses flags, runs a program and returns the exit status.

    Args:
        name: Name of the program, for its messages.
        usage: What --help says before the flags.
        values: The program's flags.
        program: Called with the arguments that are no flags.
        arguments: The command line after the program's name.
    """
    if {"--help", "-h", "-help"} & set(arguments):
        write(
            f"{usage}\n\nFlags:\n{values.get_help(include_special_flags=False)}"
        )
        return 0
    values.unparse_flags()  # A second run in one process starts afresh.
    try:
        rest = values([name, *arguments], known_only=False)[1:]
        program(rest)
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return EXIT_INTERRUPTED
    except errors.FalseCertificateError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return EXIT_FALSE_CERTIFICATE
    except _FOR_THE_USER as error:
        sys.stderr.write(f"{name}: {error}\n")
        return EXIT_BAD_INPUT
    return 0
