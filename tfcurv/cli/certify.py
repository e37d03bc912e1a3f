"""`tfcurv certify`: certificates of a saved model."""

from collections.abc import Sequence

from absl import flags

from tfcurv import certificates
from tfcurv import nn
from tfcurv import report
from tfcurv import solvers
from tfcurv.cli import options

USAGE = """Usage: tfcurv certify MODEL --dataset=NAME [flags]

Proves for each test image how far it can be moved before its class can change.
MODEL is a .keras file of a supported model that ends in logits, or an .npz
file with arrays kernel_0, bias_0, kernel_1, ... of dense layers."""

FLAGS = flags.FlagValues()

_DATASET = options.dataset_flag(FLAGS, None)
_EPSILONS = options.epsilons_flag(
    FLAGS, [str(epsilon) for epsilon in nn.DEFAULT_EPSILONS]
)
_REPORT = flags.DEFINE_string(
    "report",
    None,
    "Folder to make for result.json, result.npz and report.html.",
    flag_values=FLAGS,
)
_PLOT = flags.DEFINE_string(
    "plot", None, "File for the curve: .png, .svg or .pdf.", flag_values=FLAGS
)
_TARGETS = flags.DEFINE_enum(
    "targets",
    "all",
    ["all", "runner-up"],
    "Classes to certify against. 'runner-up' is the protocol of published "
    "tables and certifies nothing.",
    flag_values=FLAGS,
)
_GUARD = flags.DEFINE_enum(
    "guard",
    None,
    ["float32"],
    "'float32' certifies the network as Keras executes it, too; default: the "
    "real-valued function with the stored weights.",
    flag_values=FLAGS,
)
_RIGOR = flags.DEFINE_enum(
    "rigor",
    "verified",
    [level.value for level in solvers.Rigor],
    "How norms are bounded; 'float64' trusts LAPACK, and is slower.",
    flag_values=FLAGS,
)
_CURVATURE = flags.DEFINE_enum(
    "curvature",
    "global",
    [scope.value for scope in certificates.Curvature],
    "Bounds on the curvature: one a pair of classes, or one around each image "
    "too; 'auto' does so where an adversarial example is not met.",
    flag_values=FLAGS,
)
_RADII = flags.DEFINE_bool(
    "radii",
    True,
    "Whether to refine radii; --noradii only decides at the epsilons.",
    flag_values=FLAGS,
)
_FALSIFY = flags.DEFINE_bool(
    "falsify",
    False,
    "Attack every certified point inside its radius.",
    flag_values=FLAGS,
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Folder that keeps what is done, for a run that may be killed.",
    flag_values=FLAGS,
)
_ACTIVATION = options.activation_flag(FLAGS)
_BATCH_SIZE = options.batch_size_flag(FLAGS)
_LIMIT = flags.DEFINE_integer(
    "limit",
    None,
    "Most images to certify, from the first on; default: all.",
    lower_bound=1,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Certifies and prints, as the parsed flags say.

    Args:
        arguments: What the command line holds besides flags: the model.
    """
    if len(arguments) != 1 or not _DATASET.value:
        raise ValueError(
            "tfcurv certify needs one model file and --dataset. "
            f"Received: {list(arguments)}, --dataset={_DATASET.value!r}."
        )
    if _REPORT.value:
        certificates.check_new_folder(_REPORT.value)
    if _PLOT.value:
        report.drawing_kind(_PLOT.value)  # Refuses what cannot be drawn.
    result = nn.certify(
        nn.read_model(arguments[0], activation=_ACTIVATION.value),
        _DATASET.value,
        epsilons=options.numbers(_EPSILONS.value),
        targets=_TARGETS.value,
        guard=_GUARD.value,
        rigor=_RIGOR.value,
        curvature=_CURVATURE.value,
        radii=_RADII.value,
        falsify=_FALSIFY.value,
        checkpoint=_CHECKPOINT.value,
        batch_size=_BATCH_SIZE.value,
        limit=_LIMIT.value,
        data_dir=FLAGS["data_dir"].value,
    )
    options.write(f"\n{result}")
    if _REPORT.value:
        result.save(_REPORT.value)
        options.write(f"\nreport: {_REPORT.value}/report.html")
    if _PLOT.value:
        result.plot(_PLOT.value)


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv certify", USAGE, FLAGS, run, arguments)
