"""`tfcurv certify`: certificates of a saved model."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import pathlib
import shutil

from absl import flags

from tfcurv.cli import choices
from tfcurv.cli import options

USAGE = """Usage: tfcurv certify MODEL --dataset=NAME [flags]

Proves for each test image how far it can be moved before its class can change.
MODEL is a .keras or .onnx file of a supported model that ends in logits, or an
.npz file with arrays kernel_0, bias_0, kernel_1, ... of dense layers. With
--report or --checkpoint, the same command goes on where a killed or interrupted
one stopped."""

FLAGS = flags.FlagValues()

_DATASET = options.dataset_flag(FLAGS, None)
_EPSILONS = options.epsilons_flag(
    FLAGS, None, " Default: round ones among the radii found."
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
_TARGETS = options.enum_flag(
    "targets",
    "all",
    ["all", "runner-up"],
    "Classes to certify against. 'runner-up' is the protocol of published "
    "tables and certifies nothing.",
    FLAGS,
)
_GUARD = options.enum_flag(
    "guard",
    None,
    ["float32"],
    "'float32' certifies the network as Keras executes it, too; default: the "
    "real-valued function with the stored weights.",
    FLAGS,
)
_RIGOR = options.enum_flag(
    "rigor",
    "verified",
    choices.RIGORS,
    "How norms are bounded; 'float64' trusts LAPACK, and is slower.",
    FLAGS,
)
_METHOD = options.enum_flag(
    "method",
    choices.METHODS[0],
    choices.METHODS,
    "How to prove; 'auto' takes what fits the model, and the best of several.",
    FLAGS,
)
_NORM = options.enum_flag(
    "norm", "l2", ["l2", "linf"], "In which distances are measured.", FLAGS
)
_DOMAIN = flags.DEFINE_list(
    "domain",
    None,
    "Two numbers, such as 0,1: looks only at inputs whose entries lie between "
    "them; default: all inputs.",
    flag_values=FLAGS,
)
_CURVATURE = options.enum_flag(
    "curvature",
    "global",
    choices.CURVATURES,
    "Bounds on the curvature: one a pair of classes, or one around each image "
    "too; 'auto' does so where an adversarial example is not met.",
    FLAGS,
)
_RADII = flags.DEFINE_bool(
    "radii",
    True,
    "Whether to refine radii; --noradii only decides at the epsilons.",
    flag_values=FLAGS,
)
_BRANCHES = flags.DEFINE_integer(
    "branches",
    None,
    "Of --method=complete: how many bounds a margin may take before it is left "
    "open; default: 1,000.",
    lower_bound=1,
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
    "Folder that keeps what is done, for a run that may be killed; default "
    "with --report: REPORT.unfinished, until the report is written.",
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
_QUIET = options.quiet_flag(FLAGS)


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
    from tfcurv import nn
    from tfcurv import runs

    epsilons = _EPSILONS.value and options.radii(_EPSILONS.value)
    domain = _domain()
    _check_paths()
    with _kept() as folder:
        result = runs.certify(
            nn.read_model(arguments[0], activation=_ACTIVATION.value),
            _DATASET.value,
            method=_METHOD.value,
            norm=_NORM.value,
            domain=domain,
            epsilons=epsilons,
            targets=_TARGETS.value,
            guard=_GUARD.value,
            rigor=_RIGOR.value,
            curvature=_CURVATURE.value,
            radii=_RADII.value,
            branches=_BRANCHES.value,
            falsify=_FALSIFY.value,
            checkpoint=folder,
            batch_size=_BATCH_SIZE.value,
            limit=_LIMIT.value,
            data_dir=FLAGS["data_dir"].value,
            verbose=0 if _QUIET.value else 1,
        )
        # First of all: what is written below may meet a closed pipe.
        if _REPORT.value:
            result.save(_REPORT.value)
    if _PLOT.value:
        pathlib.Path(_PLOT.value).parent.mkdir(parents=True, exist_ok=True)
        result.plot(_PLOT.value)
    options.write(str(result))
    if _REPORT.value:
        options.write(f"\nreport: {_REPORT.value}/report.html")


def _domain() -> tuple[float, float] | None:
    """Returns the ends of the domain as numbers."""
    if _DOMAIN.value is None:
        return None
    try:
        low, high = map(float, _DOMAIN.value)
    except ValueError as error:
        raise ValueError(
            "A domain is two numbers. Received: "
            f"--domain={','.join(_DOMAIN.value)}. Allowed: such as 0,1."
        ) from error
    return low, high


def _check_paths() -> None:
    """Refuses now what could not be written at the end."""
    from tfcurv import report
    from tfcurv import results

    if _REPORT.value:
        results.check_new_folder(_REPORT.value)
    if _PLOT.value:
        report.check_drawing(_PLOT.value)
    made = pathlib.Path(_REPORT.value or "").resolve()
    for name, value in (("checkpoint", _CHECKPOINT), ("plot", _PLOT)):
        path = pathlib.Path(value.value or "").resolve()
        # A plot in the report's folder is written after it, and may be.
        is_inside = name == "checkpoint" and made in path.parents
        if _REPORT.value and value.value and (path == made or is_inside):
            raise ValueError(
                "The report is made in a new folder, all at once, which must "
                f"not hold the {name}. Received: --report={_REPORT.value}, "
                f"--{name}={value.value}. Remedy: another --{name}."
            )


@contextlib.contextmanager
def _kept() -> Iterator[str | pathlib.Path | None]:
    """Yields the folder that keeps what is done; deletes the program's own."""
    own = None
    if _REPORT.value and not _CHECKPOINT.value:
        report_folder = pathlib.Path(_REPORT.value).resolve()
        own = report_folder.with_name(f"{report_folder.name}.unfinished")
    folder = _CHECKPOINT.value or own
    how = (
        "Nothing is kept. With --report or --checkpoint the same command "
        "would go on."
    )
    if folder is not None:
        how = (
            "The same command goes on; what is done is kept in "
            f"{str(folder)!r}."
        )
    with options.going_on(how):
        yield folder
    if own is not None:
        shutil.rmtree(own, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv certify", USAGE, FLAGS, run, arguments)
