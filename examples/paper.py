"""What [SF20] printed: tables as rows of figures, in percent and l2 radii.

[SF20]: Singla and Feizi, "Second-Order Provable Defenses against Adversarial
Attacks", ICML 2020. All certificates there are against the runner-up class
alone; mean certificates are over 150 random correctly classified images.
"""

from collections.abc import Mapping

import paper_bcp
import paper_colt
from published import Row as Row
from published import Table as Table
from published import rows_of as _rows

_CRT = ("clean", "certified")

# Of the rows of which not all are trained yet, those that are.
_MEASURED: tuple[str, ...] = (
    *("mnist-sigmoid-2-pgd", "mnist-sigmoid-2-trades"),
    *("mnist-relu-2-coap", "mnist-relu-2-crown-ibp"),
)

#: By the name that `reproduce.py --table` takes.
TABLES: Mapping[str, Table] = {
    "2": Table(
        title="Table 2: where primal and dual meet (MNIST, sigmoid)",
        epsilon=0.5,
        parts=("all", "duality", "duality_theorem4"),
        rows=_rows(
            ("clean", "attack", "certificate"),
            ("mnist-sigmoid-2-plain", "gamma 0", 98.77, 5.05, 2.24),
            ("mnist-sigmoid-2-gamma0.03", "gamma 0.03", 98.30, 100, 44.17),
            ("mnist-sigmoid-3-plain", "gamma 0", 98.52, 0.0, 0.12),
            ("mnist-sigmoid-3-gamma0.05", "gamma 0.05", 97.60, 100, 22.59),
            ("mnist-sigmoid-4-plain", "gamma 0", 98.22, 0.0, 0.01),
            ("mnist-sigmoid-4-gamma0.07", "gamma 0.07", 95.24, 100, 19.53),
        ),
    ),
    "3": Table(
        title="Table 3: certified robust accuracy on MNIST at 1.58 (softplus)",
        epsilon=1.58,
        parts=("all", "runner_up", "theorem4"),
        rows=_rows(
            _CRT,
            ("mnist-softplus-2-crt0.01", "CRT, 0.01", 98.68, 69.79),
            ("mnist-softplus-3-crt0.05", "CRT, 0.05", 97.43, 57.78),
            ("mnist-softplus-4-crt0.07", "CRT, 0.07", 95.60, 53.19),
            ("mnist-softplus-4-crt0.1", "CRT, 0.1"),
            several_seeds=(
                "mnist-softplus-2-crt0.01",
                "mnist-softplus-3-crt0.05",
            ),
        ),
    ),
    "4": Table(
        title="Table 4: certified robust accuracy on Fashion-MNIST at 1.58 "
        "(softplus)",
        epsilon=1.58,
        parts=("all", "runner_up", "theorem4"),
        rows=_rows(
            _CRT,
            ("fashion_mnist-softplus-2-crt0.01", "CRT, 0.01", 80.31, 54.39),
            ("fashion_mnist-softplus-2-crt0.08", "CRT, 0.08"),
            ("fashion_mnist-softplus-3-crt0.05", "CRT, 0.05", 78.39, 53.40),
            ("fashion_mnist-softplus-4-crt0.07", "CRT, 0.07", 75.61, 49.60),
            several_seeds=(
                "fashion_mnist-softplus-2-crt0.08",
                "fashion_mnist-softplus-3-crt0.05",
            ),
        ),
    ),
    "3-lines": Table(
        title="Table 3, the other rows: training by lines (MNIST, 1.58)",
        epsilon=1.58,
        parts=("line_rules", "auto"),
        rows=_rows(
            _CRT,
            ("mnist-softplus-2-crown-ibp", "CROWN-IBP", 88.48, 42.36),
            ("mnist-relu-2-coap", "COAP", 89.33, 44.29),
            ("mnist-relu-2-crown-ibp", "CROWN-IBP", 89.49, 44.96),
            ("mnist-softplus-3-crown-ibp", "CROWN-IBP", 86.58, 42.14),
            ("mnist-relu-3-coap", "COAP", 89.12, 44.21),
            ("mnist-relu-3-crown-ibp", "CROWN-IBP", 87.77, 44.74),
            ("mnist-softplus-4-crown-ibp", "CROWN-IBP", 82.74, 41.34),
            ("mnist-relu-4-coap", "COAP", 90.17, 44.66),
            ("mnist-relu-4-crown-ibp", "CROWN-IBP", 84.4, 43.83),
            measured=_MEASURED,
        ),
    ),
    "4-lines": Table(
        title="Table 4, the other rows: training by lines (Fashion-MNIST, "
        "1.58)",
        epsilon=1.58,
        parts=("line_rules", "auto"),
        rows=_rows(
            _CRT,
            ("fashion_mnist-softplus-2-crown-ibp", "CROWN-IBP", 69.23, 47.19),
            ("fashion_mnist-relu-2-coap", "COAP", 74.1, 46.3),
            ("fashion_mnist-relu-2-crown-ibp", "CROWN-IBP", 70.73, 48.61),
            ("fashion_mnist-softplus-3-crown-ibp", "CROWN-IBP", 68.72, 46.52),
            ("fashion_mnist-relu-3-coap", "COAP", 73.9, 46.3),
            ("fashion_mnist-relu-3-crown-ibp", "CROWN-IBP", 70.79, 48.69),
            ("fashion_mnist-softplus-4-crown-ibp", "CROWN-IBP", 68.31, 46.21),
            ("fashion_mnist-relu-4-coap", "COAP", 73.6, 45.1),
            ("fashion_mnist-relu-4-crown-ibp", "CROWN-IBP", 70.21, 48.08),
            measured=_MEASURED,
        ),
    ),
    "adversaries": Table(
        title="Empirical defences beside CRT (MNIST, sigmoid, 0.5)",
        epsilon=0.5,
        parts=("all", "runner_up", "lines"),
        rows=_rows(
            ("clean", "attacked", "certified", "crown", "radius"),
            (
                "mnist-sigmoid-2-pgd",
                "PGD",
                *(98.80, 96.26, 93.37, 0.37595, 0.82702),
            ),
            (
                "mnist-sigmoid-2-trades",
                "TRADES",
                *(98.87, 96.76, 95.13, 0.41358, 0.92300),
            ),
            (
                "mnist-sigmoid-3-pgd",
                "PGD",
                *(98.84, 96.14, 0, 0.29632, 0.07290),
            ),
            (
                "mnist-sigmoid-3-trades",
                "TRADES",
                *(98.95, 96.79, 0, 0.30576, 0.09108),
            ),
            (
                "mnist-sigmoid-4-pgd",
                "PGD",
                *(98.84, 96.26, 0, 0.25444, 0.00658),
            ),
            (
                "mnist-sigmoid-4-trades",
                "TRADES",
                *(98.76, 96.67, 0, 0.26128, 0.00625),
            ),
            measured=_MEASURED,
        ),
    ),
    "5": Table(
        title="Table 5: what the penalty and CRT do (MNIST, sigmoid, 0.5)",
        epsilon=0.5,
        parts=("all", "runner_up", "lines"),
        rows=_rows(
            ("clean", "certified", "radius", "crown"),
            ("mnist-sigmoid-2-plain", "standard", 98.37, 54.17, 0.485, 0.28395),
            (
                "mnist-sigmoid-2-gamma0.01",
                "gamma 0.01",
                *(98.08, 83.53, 0.84719, 0.32548),
            ),
            (
                "mnist-sigmoid-2-crt0.01",
                "CRT, 0.01",
                *(98.57, 95.59, 1.54673, 0.43061),
            ),
            ("mnist-sigmoid-3-plain", "standard", 98.37, 0, 0.06874, 0.24644),
            (
                "mnist-sigmoid-3-gamma0.01",
                "gamma 0.01",
                *(97.71, 88.33, 1.07842, 0.39799),
            ),
            (
                "mnist-sigmoid-3-crt0.01",
                "CRT, 0.01",
                *(97.23, 94.99, 1.24100, 0.39603),
            ),
            ("mnist-sigmoid-4-plain", "standard", 98.39, 0, 0.00454, 0.19501),
            (
                "mnist-sigmoid-4-gamma0.01",
                "gamma 0.01",
                *(97.41, 89.61, 1.05323, 0.40620),
            ),
            (
                "mnist-sigmoid-4-crt0.01",
                "CRT, 0.01",
                *(97.83, 93.41, 1.06208, 0.40327),
            ),
        ),
    ),
    "6": Table(
        title="Table 6: global and local curvature bounds (MNIST, sigmoid)",
        epsilon=0.5,
        parts=("local",),
        rows=_rows(
            ("radius", "local", "certified", "certified_local"),
            ("mnist-sigmoid-2-plain", "standard", 0.5013, 0.5847, 54.17, 58.06),
            ("mnist-sigmoid-2-crt0", "CRT, 0", 1.0011, 1.1741, 95.04, 95.31),
            ("mnist-sigmoid-2-crt0.01", "CRT, 0.01", 1.5705, 1.6047),
            ("mnist-sigmoid-2-crt0.02", "CRT, 0.02", 1.6720, 1.6831),
        ),
    ),
    "slides": Table(
        title="Slides: one hidden convolution (MNIST, tanh, 0.5)",
        epsilon=0.5,
        parts=("all", "runner_up", "lines"),
        rows=_rows(
            ("clean", "certified", "radius", "crown"),
            ("mnist-tanh-conv-plain", "gamma 0", 98.35, 0, 0.1770, 0.1503),
            (
                "mnist-tanh-conv-gamma0.01",
                "gamma 0.01",
                *(94.85, 75.26, 0.8427, 0.2135),
            ),
            (
                "mnist-tanh-conv-gamma0.02",
                "gamma 0.02",
                *(93.18, 74.42, 0.9048, 0.2378),
            ),
            (
                "mnist-tanh-conv-gamma0.03",
                "gamma 0.03",
                *(91.97, 72.89, 0.9162, 0.2547),
            ),
        ),
    ),
    "convolution": Table(
        title="Beyond the paper: a convolution as the hidden layer (MNIST)",
        epsilon=0.5,
        parts=("both",),
        rows=_rows(
            (),
            ("mnist-sigmoid-2-crt0.01", "CRT, 0.01, at 0.5"),
            ("mnist-softplus-conv-crt0.01-at0.5", "CRT, 0.01, at 0.5"),
            ("mnist-softplus-2-crt0.01", "CRT, 0.01, at 1.58"),
            ("mnist-softplus-conv-crt0.01", "CRT, 0.01, at 1.58"),
        ),
    ),
    "cifar10": Table(
        title="Beyond the paper: CIFAR-10 at 36/255, one convolution",
        epsilon=36 / 255,
        parts=("all", "runner_up"),
        rows=_rows(
            ("clean", "certified"),
            ("cifar10-softplus-conv-crt0.001-at36_255", "CRT, 0.001"),
        ),
    ),
    "figure1": Table(
        title="Figure 1: curvature at the data and its bounds (MNIST, sigmoid)",
        epsilon=0.5,
        parts=("curvature",),
        rows=_rows(
            (),
            ("mnist-sigmoid-2-plain", "gamma 0"),
            ("mnist-sigmoid-2-gamma0.01", "gamma 0.01"),
            ("mnist-sigmoid-2-gamma0.03", "gamma 0.03"),
            ("mnist-sigmoid-2-crt0", "CRT, 0"),
            ("mnist-sigmoid-3-plain", "gamma 0"),
            ("mnist-sigmoid-3-gamma0.01", "gamma 0.01"),
            ("mnist-sigmoid-3-gamma0.05", "gamma 0.05"),
            ("mnist-sigmoid-4-plain", "gamma 0"),
            ("mnist-sigmoid-4-gamma0.01", "gamma 0.01"),
            ("mnist-sigmoid-4-gamma0.07", "gamma 0.07"),
        ),
    ),
    **paper_bcp.TABLES,
    **paper_colt.TABLES,
}
