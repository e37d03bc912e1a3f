"""Trains with box constraint propagation: `tfcurv train --objective=bcp`.

python examples/train_bcp.py --dataset=mnist --output=run
python examples/train_bcp.py --dataset=cifar10 --architecture=6C2F --output=run
"""

import sys

from tfcurv import cli

if __name__ == "__main__":
    # A later --objective, such as ibp or lmt, takes the place of this one.
    sys.exit(cli.main(["train", "--objective=bcp", *sys.argv[1:]]))
