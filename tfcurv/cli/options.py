"""Flags that several programs share, and how a program is run."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
import re
import sys

from absl import flags

from tfcurv import errors
from tfcurv import startup
from tfcurv.cli import choices

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
    """Writes a line for the user.

    Raises:
        OSError: Standard output is closed, or takes no more.
    """
    if sys.stdout is None:  # The process was started with it closed.
        raise OSError("Standard output is closed: nothing can be shown.")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _SuggestingParser(flags.EnumParser):
    """Names what was meant by a value that is not allowed."""

    def parse(self, argument: str) -> str:
        try:
            return super().parse(argument)
        except ValueError as error:
            meant = errors.did_you_mean(argument, self.enum_values)
            raise ValueError(f"{error}.{meant}") from error


def enum_flag(
    name: str,
    default: str | None,
    allowed: Iterable[str],
    text: str,
    values: flags.FlagValues,
) -> flags.FlagHolder:
    """Defines a flag of a few values."""
    holder = flags.DEFINE_enum(
        name, default, list(allowed), text, flag_values=values
    )
    values[name].parser = _SuggestingParser(list(allowed))
    return holder


def quiet_flag(values: flags.FlagValues) -> flags.FlagHolder:
    """Defines --quiet."""
    return flags.DEFINE_bool(
        "quiet",
        False,
        "No progress and no notes; results and errors alone.",
        flag_values=values,
    )


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
    return enum_flag(
        "dataset",
        default,
        choices.DATASETS,
        "Data set; its test split is certified, pixels in [0, 1].",
        values,
    )


def epsilons_flag(
    values: flags.FlagValues, default: Sequence[str] | None, text: str = ""
) -> flags.FlagHolder:
    """Defines --epsilons, of which `text` says what the default is if None."""
    return flags.DEFINE_list(
        "epsilons",
        None if default is None else list(default),
        "Radii of the table, comma-separated, in the units of the input."
        + text,
        flag_values=values,
    )


def activation_flag(values: flags.FlagValues) -> flags.FlagHolder:
    """Defines --activation."""
    return enum_flag(
        "activation",
        "softplus",
        choices.ACTIVATIONS,
        "Activation between the dense layers of an .npz file.",
        values,
    )


def batch_size_flag(values: flags.FlagValues) -> flags.FlagHolder:
    """Defines --batch_size."""
    return flags.DEFINE_integer(
        "batch_size",
        choices.BATCH_SIZE,
        "Images at a time; memory grows with it.",
        lower_bound=1,
        flag_values=values,
    )


def numbers(name: str, texts: Sequence[str]) -> tuple[float, ...]:
    """Returns the numbers of a list flag.

    Args:
        name: Of the flag.
        texts: What it holds.

    Raises:
        ValueError: One is no number.
    """
    try:
        return tuple(float(text) for text in texts)
    except ValueError as error:
        raise ValueError(
            "A list of numbers is separated by commas. Received: "
            f"--{name}={','.join(texts)}. Allowed: such as --{name}=0.6,0.85."
        ) from error


def radii(texts: Sequence[str]) -> tuple[float, ...]:
    """Returns the radii of a list flag.

    Raises:
        ValueError: There are none, or one is no positive, finite number.
    """
    # Imported by who parses: it needs TensorFlow, which flags must not.
    from tfcurv import certificates

    received = f"Received: --epsilons={','.join(texts)}."
    try:
        found = certificates.check_epsilons([float(text) for text in texts])
    except ValueError as error:
        raise ValueError(
            "The radii must be positive, finite numbers, separated by commas. "
            f"{received} Allowed: such as --epsilons=0.5,1.58."
        ) from error
    if not found:
        raise ValueError(
            "There must be at least one radius. "
            f"{received} Allowed: such as --epsilons=0.5,1.58."
        )
    return found


def run(
    name: str,
    usage: str,
    values: flags.FlagValues,
    program: Callable[[Sequence[str]], int | None],
    arguments: Sequence[str],
) -> int:
    """Parses flags, runs a program and returns the exit status.

    Args:
        name: Name of the program, for its messages.
        usage: What --help says before the flags.
        values: The program's flags.
        program: Called with the arguments that are no flags; may return a
            status of its own.
        arguments: The command line after the program's name.
    """

    def parse_and_run() -> int | None:
        if {"--help", "-h", "-help"} & set(arguments):
            lines = values.get_help(include_special_flags=False)
            write(f"{usage}\n\nFlags:\n{lines}")
            return None
        values.unparse_flags()  # A second run in one process starts afresh.
        rest = values([name, *arguments], known_only=False)[1:]
        if sys.stdout is None:
            write("")  # Now, and not after the work.
        startup.load_tensorflow()
        return program(rest)

    return status_of(name, parse_and_run)


def status_of(name: str, program: Callable[[], int | None]) -> int:
    """Runs a program; says in one line what is wrong, if something is.

    Args:
        name: Its name, for the messages.
        program: The program; may return a status of its own.

    Returns:
        The exit status.
    """
    try:
        status = program()
    except KeyboardInterrupt as error:
        _complain(
            name, f"interrupted. {error}" if str(error) else "interrupted"
        )
        return EXIT_INTERRUPTED
    except errors.FalseCertificateError as error:
        _complain(name, error)
        return EXIT_FALSE_CERTIFICATE
    except BrokenPipeError:
        _complain(name, "standard output was closed before all was written")
        _forget_stdout()
        return EXIT_BAD_INPUT
    except _FOR_THE_USER as error:
        _complain(name, error)
        return EXIT_BAD_INPUT
    return status or 0


def _complain(name: str, message: object) -> None:
    if sys.stderr is not None:
        line = re.sub(r"\s*\n\s*", " ", str(message))
        sys.stderr.write(f"{name}: {line}\n")


def _forget_stdout() -> None:
    """Or Python flushes it once more at its end, and complains itself."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def going_on(text: str) -> Iterator[None]:
    """Gives an interruption the text that says how to go on.

    Args:
        text: What is kept, and where.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(text) from error
