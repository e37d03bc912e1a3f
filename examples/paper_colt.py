"""What [BV20] printed: tables as rows of figures, in percent.

[BV20]: Balunovic and Vechev, "Adversarial Training and Provable Defenses:
Bridging the Gap", ICLR 2020: Tables 1 and 2 of its first version, for the first
1,000 test images. Its text has no row for MNIST: 97.1 certified is what its
authors' repository says of the network that they released.
"""

from collections.abc import Mapping

from published import Row
from published import Table
from published import rows_of

_FIGURES = ("clean", "certified")

# The others are not trained yet: their seeds come with their figures.
_MEASURED: tuple[str, ...] = ("mnist-relu-2C2F-colt",)


def _rows(*rows: tuple) -> tuple[Row, ...]:
    return rows_of(_FIGURES, *rows, measured=_MEASURED)


#: By the name that `reproduce.py --table` takes.
TABLES: Mapping[str, Table] = {
    "colt-mnist": Table(
        title="COLT: MNIST at 0.1 (linf, in [0, 1])",
        epsilon=0.1,
        parts=("first_steps",),
        rows=_rows(
            ("mnist-relu-2C2F-colt", "COLT"),
            ("mnist-relu-2C2F-crown-ibp", "CROWN-IBP"),
            ("mnist-relu-2C2F-ibp", "IBP"),
            ("mnist-relu-2C2F-pgd", "PGD"),
        ),
    ),
    "colt1": Table(
        title="COLT, Table 1: CIFAR-10 at 2/255 (linf, in [0, 1])",
        epsilon=2 / 255,
        parts=("first_steps",),
        rows=_rows(
            ("cifar10-relu-2C2F-wide-colt", "COLT", 74.8, 55.9),
            ("cifar10-relu-2C2F-wide-crown-ibp", "CROWN-IBP", 59.9, 46.1),
            ("cifar10-relu-2C2F-wide-ibp", "IBP", 70.1, 50.0),
            ("cifar10-relu-2C2F-wide-pgd", "PGD"),
        ),
    ),
    "colt2": Table(
        title="COLT, Table 2: CIFAR-10 at 8/255 (linf, in [0, 1])",
        epsilon=8 / 255,
        parts=("first_steps",),
        rows=_rows(
            ("cifar10-relu-2C2F-wide-colt-at8_255", "COLT", 46.2, 24.4),
        ),
    ),
}
