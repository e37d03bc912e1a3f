"""Trains a network that can be certified: `tfcurv train` as a script.

python examples/train_crt.py --dataset=mnist --epochs=20 --output=run
"""

import sys

from tfcurv import cli

if __name__ == "__main__":
    sys.exit(cli.main(["train", *sys.argv[1:]]))
