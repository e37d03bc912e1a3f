"""Trains layer by layer, as COLT does: `tfcurv train --objective=colt`.

python examples/train_colt.py --dataset=mnist --output=run
python examples/train_colt.py --dataset=cifar10 --epochs=60 --output=run
"""

import sys

from tfcurv import cli

if __name__ == "__main__":
    sys.exit(cli.main(["train", "--objective=colt", *sys.argv[1:]]))
