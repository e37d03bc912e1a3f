"""Certifies a .keras model or an .npz of weights: `tfcurv certify`.

    python examples/certify_checkpoint.py model.keras --dataset=mnist
    python examples/certify_checkpoint.py weights.npz --dataset=mnist \
        --activation=softplus --epsilons=0.5,1.58
"""

import sys

from tfcurv import cli

if __name__ == "__main__":
    sys.exit(cli.main(["certify", *sys.argv[1:]]))
