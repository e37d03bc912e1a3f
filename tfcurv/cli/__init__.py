"""The `tfcurv` command: demo, train, certify, falsify. Its flags live here."""

from collections.abc import Sequence
import importlib
import sys

_USAGE = """Usage: tfcurv COMMAND [arguments] [flags]

Commands:
  demo      train a plain and a robust network on digits and certify both
  train     train a network so that it can be certified, and certify it
  certify   certify a saved model
  falsify   attack the certified points of a saved result

'tfcurv COMMAND --help' tells more. 'tfcurv --version' prints the version."""

_COMMANDS = ("demo", "train", "certify", "falsify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the command line names.

    Args:
        arguments: The command line after `tfcurv`. Default: the process's.

    Returns:
        The exit status: 0, or 2 where the input is at fault.
    """
    rest = list(sys.argv[1:] if arguments is None else arguments)
    name = rest[0] if rest else "--help"
    if name in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE + "\n")
        return 0
    if name == "--version":
        from tfcurv.version import __version__

        sys.stdout.write(f"tfcurv {__version__}\n")
        return 0
    if name not in _COMMANDS:
        sys.stderr.write(f"tfcurv: unknown command {name!r}\n{_USAGE}\n")
        return 2
    # Each command has flags of its own; only those of one are read.
    return importlib.import_module(f"tfcurv.cli.{name}").main(rest[1:])
