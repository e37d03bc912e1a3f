"""`python -m tfcurv.cli`, the same as `tfcurv`."""

import sys

from tfcurv import cli

if __name__ == "__main__":
    sys.exit(cli.main())
