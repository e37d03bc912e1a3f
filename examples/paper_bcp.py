"""What [LLP20] printed: tables as rows of figures, in percent.

[LLP20]: Lee, Lee and Park, "Lipschitz-Certifiable Training with a Tight Outer
Bound", NeurIPS 2020: Table 2 and Figures 2 to 4. It has no row of IBP and none
of plain training on MNIST, and no plain training on CIFAR-10. How much the
boxes tighten is the text's, of its own networks.
"""

from collections.abc import Mapping

from published import Row
from published import Table
from published import rows_of

_FIGURES = ("clean", "attacked", "certified")

# The others are not trained yet: their seeds come with their figures.
_MEASURED = (
    *("mnist-relu-4C3F-bcp", "mnist-relu-4C3F-lmt", "mnist-relu-4C3F-plain"),
    *("mnist-softplus-2-bcp", "mnist-relu-2-bcp"),
    *("cifar10-relu-4C3F-bcp", "cifar10-relu-4C3F-lmt"),
    "cifar10-absolute-4C3F-lmt",
)


def _rows(names: tuple[str, ...], *rows: tuple) -> tuple[Row, ...]:
    return rows_of(names, *rows, measured=_MEASURED)


_TRAINED = (
    ("mnist-relu-4C3F-bcp", "BCP"),
    ("mnist-relu-4C3F-lmt", "LMT"),
)
_ON_CIFAR10 = (
    ("cifar10-relu-4C3F-bcp", "BCP"),
    ("cifar10-relu-4C3F-lmt", "LMT"),
    ("cifar10-relu-4C3F-ibp", "IBP"),
)

#: By the name that `reproduce.py --table` takes.
TABLES: Mapping[str, Table] = {
    "bcp1": Table(
        title="BCP, Table 2: verified accuracy on MNIST at 1.58",
        epsilon=1.58,
        parts=("rules",),
        rows=_rows(
            _FIGURES,
            ("mnist-relu-4C3F-bcp", "BCP", 92.41, 64.70, 47.95),
            ("mnist-relu-4C3F-lmt", "LMT", 86.48, 53.56, 40.55),
            ("mnist-relu-4C3F-plain", "plain"),
            ("mnist-absolute-4C3F-lmt", "LMT"),
        ),
    ),
    "bcp2": Table(
        title="BCP, Table 2: verified accuracy on CIFAR-10 at 36/255",
        epsilon=36 / 255,
        parts=("rules",),
        rows=_rows(
            _FIGURES,
            ("cifar10-relu-4C3F-bcp", "BCP", 63.88, 58.75, 49.58),
            ("cifar10-relu-4C3F-lmt", "LMT", 56.49, 49.83, 37.20),
            ("cifar10-relu-4C3F-ibp", "IBP", 34.50, 31.79, 24.39),
            ("cifar10-relu-4C3F-plain", "plain"),
            ("cifar10-relu-6C2F-bcp", "BCP", 65.72, 60.78, 51.30),
            ("cifar10-absolute-4C3F-lmt", "LMT"),
        ),
    ),
    "bcp-dense": Table(
        title="Beyond the papers: one hidden layer by BCP (MNIST, 1.58)",
        epsilon=1.58,
        parts=("rules", "auto"),
        rows=_rows(
            (),
            ("mnist-softplus-2-bcp", "BCP"),
            ("mnist-relu-2-bcp", "BCP"),
        ),
    ),
    "bcp-figure2": Table(
        title="BCP, Figure 2: where two logits can be (MNIST, 1.58)",
        epsilon=1.58,
        parts=("plane",),
        rows=_rows((), *_TRAINED),
    ),
    "bcp-figure3": Table(
        title="BCP, Figure 3: how much boxes tighten the outer bound",
        epsilon=1.58,
        parts=("tightness",),
        rows=_rows(
            ("ratio",),
            ("mnist-relu-4C3F-bcp", "BCP", 44.6),
            ("mnist-relu-4C3F-lmt", "LMT"),
        ),
    ),
    "bcp-figure3-cifar10": Table(
        title="BCP, Figure 3: the same on CIFAR-10",
        epsilon=36 / 255,
        parts=("tightness",),
        rows=_rows(
            ("ratio",),
            ("cifar10-relu-4C3F-bcp", "BCP", 54.2),
            ("cifar10-relu-4C3F-lmt", "LMT"),
        ),
    ),
    "bcp-figure4": Table(
        title="BCP, Figure 4: verified accuracy by radius (MNIST)",
        epsilon=1.58,
        parts=("curve",),
        rows=_rows((), *_TRAINED),
    ),
    "bcp-figure4-cifar10": Table(
        title="BCP, Figure 4: verified accuracy by radius (CIFAR-10)",
        epsilon=36 / 255,
        parts=("curve",),
        rows=_rows((), *_ON_CIFAR10),
    ),
}
