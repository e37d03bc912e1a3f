"""The `tfcurv` command, and its commands. Their flags live here."""

from collections.abc import Sequence
import importlib
import sys

from tfcurv import errors
from tfcurv import startup
from tfcurv import version
from tfcurv.cli import options

_USAGE = """Usage: tfcurv COMMAND [arguments] [flags]

Commands:
  demo      train a plain and a robust network on digits and certify both
  train     train a network so that it can be certified, and certify it
  certify   certify a saved model
  verify    decide whether a saved model has a property
  falsify   attack the certified points of a saved result

'tfcurv COMMAND --help' tells more. 'tfcurv --version' prints the version."""

_COMMANDS = ("demo", "train", "certify", "verify", "falsify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the command line names.

    Args:
        arguments: The command line after `tfcurv`. Default: the process's.

    Returns:
        The exit status: 0, 2 where the input is at fault, or what a command
        says of its verdict.
    """
    rest = list(sys.argv[1:] if arguments is None else arguments)
    name = rest[0] if rest else "--help"
    if name in _COMMANDS:
        if name == "train":  # Its flags say what the library's settings are.
            startup.load_tensorflow()
        # Each command has flags of its own; only those of one are read.
        return importlib.import_module(f"tfcurv.cli.{name}").main(rest[1:])
    return options.status_of("tfcurv", lambda: _answer(name))


def _answer(name: str) -> None:
    """Answers a command line that names no command."""
    if name in ("--help", "-h", "help"):
        options.write(_USAGE)
    elif name == "--version":
        options.write(f"tfcurv {version.__version__}")
    else:
        raise ValueError(
            f"There is no command {name!r}."
            f"{errors.did_you_mean(name, _COMMANDS)} "
            f"Allowed: {', '.join(_COMMANDS)}; see 'tfcurv --help'."
        )
