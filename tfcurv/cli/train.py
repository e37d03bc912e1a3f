"""`tfcurv train`: training for certificates, then certification."""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
from typing import Any

from absl import flags

from tfcurv import certificates
from tfcurv import data
from tfcurv import networks
from tfcurv import training
from tfcurv.cli import options
from tfcurv.cli import run_folder

USAGE = """Usage: tfcurv train --output=FOLDER [flags]

Trains a network so that it can be certified, and certifies it on the test
split. --objective says how: crt, curvature-based robust training of a smooth
network; bcp, ibp, lmt, crown-ibp or coap, the loss of the worst logits within
--epsilon, as box constraint propagation, interval bound propagation, Lipschitz-
margin training or linear bounds bound them; colt, an adversary between layers,
stage by stage; pgd or trades, one at the input; or plain. Flags that are not
given have the value that fits objective and data set. The certificate is that
of the objective, unless --method names another.

Writes FOLDER/model.keras and FOLDER/training.json as soon as it
is trained, and FOLDER/certificates/, the report, at the end. A run that was
killed or interrupted goes on by the same command: from the last epoch, which
FOLDER/unfinished/ keeps, or from the last batch that was certified.
FOLDER/best_val_accuracy.keras is the network of the epoch, after the warm-up,
that was right most often on clean validation images, and
best_val_verified_estimate.keras, where there are worst logits, that which was
right most often on them; model.keras is the last one, and the one that is
certified."""

FLAGS = flags.FlagValues()
_DEFAULTS = training.TrainConfig()

# What a named network leaves no room for.
_OF_NETWORKS = ("convolutions", "layers", "width")

_OF_STAGES = ("stages", "projections", "stability", "l1")

# By the field of `TrainConfig`: flags that are None unless they are given.
_SETTINGS: dict[str, flags.FlagHolder] = {}


def _defaults(name: str) -> str:
    """Returns the values that a setting has where it is not given."""
    objectives: dict[str, list[str]] = {}
    for objective in training.OBJECTIVES:
        values: dict[Any, list[str]] = {}
        for dataset in sorted(data.DATASETS):
            config = training.default_config(objective, dataset)
            values.setdefault(getattr(config, name), []).append(dataset)
        usual = max(values, key=lambda value: len(values[value]))
        others = [
            f"{', '.join(names)}: {_shown(value)}"
            for value, names in values.items()
            if value != usual
        ]
        text = _shown(usual) + (f" ({'; '.join(others)})" if others else "")
        objectives.setdefault(text, []).append(objective)
    if len(objectives) == 1:
        return f" Default: {next(iter(objectives))}."
    parts = [
        f"{', '.join(names)}: {text}" for text, names in objectives.items()
    ]
    return f" Default: {'; '.join(parts)}."


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else str(value)


def _setting(name: str, define: Callable, text: str, **options: Any) -> None:
    _SETTINGS[name] = define(
        name, None, text + _defaults(name), flag_values=FLAGS, **options
    )


def _choice(name: str, allowed: Sequence[str], text: str) -> None:
    _SETTINGS[name] = options.enum_flag(
        name, None, allowed, text + _defaults(name), FLAGS
    )


_OBJECTIVE = options.enum_flag(
    "objective",
    _DEFAULTS.objective,
    training.OBJECTIVES,
    "What to train for: "
    + ", ".join(f"{k}, {o.text}" for k, o in training.OBJECTIVES.items())
    + ".",
    FLAGS,
)
_DATASET = options.dataset_flag(FLAGS, _DEFAULTS.dataset)
_EPSILONS = options.epsilons_flag(
    FLAGS, None, " Default: 0.5,1.58; of worst logits --epsilon."
)
_METHOD = options.enum_flag(
    "method",
    None,
    [certificates.AUTO, *certificates.METHODS],
    "How to prove, see tfcurv certify. Default: "
    + ", ".join(f"{k}: {o.method}" for k, o in training.OBJECTIVES.items())
    + ".",
    FLAGS,
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Folder to make, or that of the same run, to go on with it.",
    flag_values=FLAGS,
)
_choice(
    "architecture",
    list(training.ARCHITECTURES),
    "A network of published tables, in place of --convolutions, --layers and "
    "--width.",
)
_setting(
    "convolutions",
    flags.DEFINE_list,
    "Convolutions before the dense layers, FILTERS:KERNEL:STRIDES each, such "
    "as 32:5:2,64:3:2.",
)
_setting(
    "layers",
    flags.DEFINE_integer,
    "Dense layers, the logits' layer included.",
    lower_bound=1,
)
_setting(
    "width",
    flags.DEFINE_integer,
    "Units of each hidden dense layer.",
    lower_bound=1,
)
_choice(
    "activation",
    sorted({*networks.ACTIVATIONS, *training.KINKED}),
    "Activation of the hidden layers; crt takes the smooth ones.",
)
_setting(
    "epsilon",
    flags.DEFINE_float,
    "Radius of the adversary, or of the worst logits, in units of [0, 1] "
    "pixels; 0 trains crt without an adversary.",
    lower_bound=0.0,
)
_choice(
    "norm", training.NORMS, "Norm of --epsilon of worst logits, pgd and trades."
)
_setting(
    "gamma",
    flags.DEFINE_float,
    "Strength of the curvature penalty of crt; 0 for none.",
    lower_bound=0.0,
)
_setting(
    "epochs",
    flags.DEFINE_integer,
    "Passes over the training images; ramps that are not given, of worst "
    "logits, keep their share of them.",
    lower_bound=1,
)
_setting(
    "batch_size",
    flags.DEFINE_integer,
    "Images a training step.",
    lower_bound=1,
)
_setting(
    "learning_rate",
    flags.DEFINE_float,
    "First learning rate of Adam.",
)
_setting(
    "learning_rate_drops",
    flags.DEFINE_list,
    "Shares of the epochs after which the learning rate drops.",
)
_setting(
    "learning_rate_factor",
    flags.DEFINE_float,
    "What each drop multiplies the learning rate by.",
)
_setting(
    "warmup_epochs",
    flags.DEFINE_float,
    "Of adversaries, epochs over which epsilon and gamma rise from 0; of worst "
    "logits, plain epochs before epsilon and weight of the worst logits rise.",
    lower_bound=0.0,
)
_setting(
    "rampup_epochs",
    flags.DEFINE_float,
    "Epochs over which epsilon and weight of the worst logits rise from 0.",
    lower_bound=0.0,
)
_setting(
    "augmentation",
    flags.DEFINE_bool,
    "Whether to shift training images by up to 4 pixels and to mirror them.",
)
_setting(
    "attack_steps",
    flags.DEFINE_integer,
    "Gradient evaluations of the adversary a step.",
    lower_bound=1,
)
_setting(
    "beta",
    flags.DEFINE_float,
    "Of trades: weight of how far the adversary moves the output.",
)
_setting(
    "stages",
    flags.DEFINE_integer,
    "Of colt: adversarial training at the input, then one with the first "
    "activation replaced by what encloses it, and so on.",
    lower_bound=1,
)
_setting(
    "projections",
    flags.DEFINE_integer,
    "Of colt: random numbers that estimate the interval of each neuron.",
    lower_bound=1,
)
_setting(
    "stability",
    flags.DEFINE_float,
    "Of colt: weight of the intervals of neurons around zero.",
    lower_bound=0.0,
)
_setting(
    "l1",
    flags.DEFINE_float,
    "Of colt: weight of the absolute values of kernels.",
    lower_bound=0.0,
)
_choice(
    "constraint",
    ["dual", "sphere"],
    "Attack the dual optimum, which may lie inside the ball, or the sphere.",
)
_SEED = flags.DEFINE_integer(
    "seed",
    _DEFAULTS.seed,
    "Of the weights and of the order of the images.",
    flag_values=FLAGS,
)
_QUIET = options.quiet_flag(FLAGS)


def config_from_flags() -> training.TrainConfig:
    """Returns the settings that the flags describe.

    Raises:
        ValueError: A flag is out of range, or without effect.
    """
    given = {
        name: holder.value
        for name, holder in _SETTINGS.items()
        if holder.value is not None
    }
    _check_effect(given)
    if "convolutions" in given:
        given["convolutions"] = tuple(
            map(training.ConvolutionSettings.parse, given["convolutions"])
        )
    if "learning_rate_drops" in given:
        texts = given["learning_rate_drops"]
        given["learning_rate_drops"] = options.numbers(
            "learning_rate_drops", texts
        )
    return training.default_config(
        _OBJECTIVE.value, _DATASET.value, seed=_SEED.value, **given
    )


def _check_effect(given: dict[str, Any]) -> None:
    """Refuses flags that the objective or the network has no use for."""
    objective = _OBJECTIVE.value
    idle = _idle(objective)
    what = f"--objective={objective}"
    if "architecture" in given:
        named = [name for name in _OF_NETWORKS if name in given]
        idle, what = (named, "--architecture") if named else (idle, what)
    for name in idle:
        if name in given:
            raise ValueError(
                f"A flag has no effect beside {what}. "
                f"Received: --{name}={_shown(given[name])}. "
                "Remedy: leave one of them out."
            )


def _idle(objective: str) -> list[str]:
    """Returns the settings that an objective does not have."""
    aim = training.OBJECTIVES[objective]
    is_attacked, has_worst = aim.adversary is not None, aim.worst_case
    has = {
        "gamma": objective == "crt",
        "constraint": objective == "crt",
        "attack_steps": is_attacked or aim.is_layerwise,
        "beta": objective == "trades",
        "norm": has_worst or objective in training.ATTACKS,
        "rampup_epochs": has_worst,
        "epsilon": has_worst or is_attacked,
        "warmup_epochs": (has_worst and not aim.is_layerwise) or is_attacked,
    }
    has |= dict.fromkeys(_OF_STAGES, aim.is_layerwise)
    return [name for name, found in has.items() if not found]


def run(arguments: Sequence[str]) -> None:
    """Trains, certifies and writes, as the parsed flags say.

    Args:
        arguments: What the command line holds besides flags: nothing.
    """
    if arguments or not _OUTPUT.value:
        raise ValueError(
            "tfcurv train needs --output and takes flags only. "
            f"Received: {list(arguments)}, --output={_OUTPUT.value!r}."
        )
    config = config_from_flags()
    epsilons = _radii(config)
    folder = pathlib.Path(_OUTPUT.value)
    data_dir = FLAGS["data_dir"].value
    run_folder.refuse_finished(folder / run_folder.CERTIFICATES, folder)
    run_folder.check(config, folder, data_dir, _METHOD.value)
    if not _QUIET.value:
        _write_notes(config)
    result, facts = run_folder.train_and_certify(
        config,
        folder,
        epsilons,
        method=_METHOD.value,
        data_dir=data_dir,
        quiet=_QUIET.value,
    )
    options.write(f"{result}\n\ntrained in {facts['seconds']:.0f} s")
    options.write(f"model and report: {_OUTPUT.value}")


def _radii(config: training.TrainConfig) -> tuple[float, ...]:
    if _EPSILONS.value is not None:
        return options.radii(_EPSILONS.value)
    return (0.5, 1.58) if config.worst_case is None else (config.epsilon,)


def _write_notes(config: training.TrainConfig) -> None:
    rises = config.objective != "plain"
    if rises and config.settling_epochs >= config.epochs:
        raised = "gamma" if config.worst_case is None else "weight"
        options.write(
            f"note: in {config.epochs} epochs of training, a warm-up of "
            f"{config.settling_epochs:g} epochs never reaches the final "
            f"epsilon and {raised}"
        )


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv train", USAGE, FLAGS, run, arguments)
