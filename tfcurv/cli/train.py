"""`tfcurv train`: curvature-based robust training, then certification."""

from collections.abc import Sequence
import pathlib

from absl import flags

from tfcurv import networks
from tfcurv import training
from tfcurv.cli import options
from tfcurv.cli import run_folder

USAGE = """Usage: tfcurv train --output=FOLDER [flags]

Trains a smooth network so that it can be certified, and certifies it on
the test split. Writes FOLDER/model.keras and FOLDER/training.json as soon as it
is trained, and FOLDER/certificates/, the report, at the end. A run that was
killed or interrupted goes on by the same command: from the last epoch, which
FOLDER/unfinished/ keeps, or from the last batch that was certified.
FOLDER/best_val_accuracy.keras is the network of the epoch, after the warm-up,
that was right most often on clean validation images; model.keras is the last
one, and the one that is certified."""

FLAGS = flags.FlagValues()
_DEFAULTS = training.TrainConfig()

_DATASET = options.dataset_flag(FLAGS, _DEFAULTS.dataset)
_EPSILONS = options.epsilons_flag(FLAGS, ("0.5", "1.58"))
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Folder to make, or that of the same run, to go on with it.",
    flag_values=FLAGS,
)
_CONVOLUTIONS = flags.DEFINE_list(
    "convolutions",
    [],
    "Convolutions before the dense layers, FILTERS:KERNEL:STRIDES each, such "
    "as 32:5:2,64:3:2.",
    flag_values=FLAGS,
)
_LAYERS = flags.DEFINE_integer(
    "layers",
    _DEFAULTS.layers,
    "Dense layers, the logits' layer included.",
    lower_bound=1,
    flag_values=FLAGS,
)
_WIDTH = flags.DEFINE_integer(
    "width",
    _DEFAULTS.width,
    "Units of each hidden dense layer.",
    lower_bound=1,
    flag_values=FLAGS,
)
_ACTIVATION = options.enum_flag(
    "activation",
    _DEFAULTS.activation,
    sorted(networks.ACTIVATIONS),
    "Activation of the hidden layers.",
    FLAGS,
)
_EPSILON = flags.DEFINE_float(
    "epsilon",
    _DEFAULTS.epsilon,
    "l2 radius of the adversary in training, in units of [0, 1] pixels; "
    "0 trains without one.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
_GAMMA = flags.DEFINE_float(
    "gamma",
    _DEFAULTS.gamma,
    "Strength of the curvature penalty; 0 for none.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
_EPOCHS = flags.DEFINE_integer(
    "epochs",
    _DEFAULTS.epochs,
    "Passes over the training images.",
    lower_bound=1,
    flag_values=FLAGS,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    _DEFAULTS.batch_size,
    "Images a training step.",
    lower_bound=1,
    flag_values=FLAGS,
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    _DEFAULTS.learning_rate,
    "First learning rate of Adam; drops by ten at 60 % and 85 %.",
    flag_values=FLAGS,
)
_WARMUP = flags.DEFINE_float(
    "warmup_epochs",
    _DEFAULTS.warmup_epochs,
    "Epochs over which epsilon and gamma rise from 0.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
_ATTACK_STEPS = flags.DEFINE_integer(
    "attack_steps",
    _DEFAULTS.attack_steps,
    "Gradient evaluations of the adversary a step.",
    lower_bound=1,
    flag_values=FLAGS,
)
_CONSTRAINT = options.enum_flag(
    "constraint",
    _DEFAULTS.constraint,
    ["dual", "sphere"],
    "Attack the dual optimum, which may lie inside the ball, or the sphere.",
    FLAGS,
)
_SEED = flags.DEFINE_integer(
    "seed",
    _DEFAULTS.seed,
    "Of the weights and of the order of the images.",
    flag_values=FLAGS,
)
_QUIET = options.quiet_flag(FLAGS)


def config_from_flags() -> training.TrainConfig:
    """Returns the settings that the flags describe."""
    return training.TrainConfig(
        dataset=_DATASET.value,
        convolutions=tuple(
            training.ConvolutionSettings.parse(text)
            for text in _CONVOLUTIONS.value
        ),
        layers=_LAYERS.value,
        width=_WIDTH.value,
        activation=_ACTIVATION.value,
        epsilon=_EPSILON.value,
        gamma=_GAMMA.value,
        epochs=_EPOCHS.value,
        batch_size=_BATCH_SIZE.value,
        learning_rate=_LEARNING_RATE.value,
        warmup_epochs=_WARMUP.value,
        attack_steps=_ATTACK_STEPS.value,
        constraint=_CONSTRAINT.value,
        seed=_SEED.value,
    )


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
    epsilons = options.radii(_EPSILONS.value)
    folder = pathlib.Path(_OUTPUT.value)
    data_dir = FLAGS["data_dir"].value
    run_folder.refuse_finished(folder / run_folder.CERTIFICATES, folder)
    run_folder.check(config, folder, data_dir)
    if config.warmup_epochs >= config.epochs and not _QUIET.value:
        options.write(
            f"note: in {config.epochs} epochs of training, a warm-up of "
            f"{config.warmup_epochs:g} epochs never reaches the final epsilon "
            "and gamma"
        )
    result, facts = run_folder.train_and_certify(
        config, folder, epsilons, data_dir=data_dir, quiet=_QUIET.value
    )
    options.write(f"{result}\n\ntrained in {facts['seconds']:.0f} s")
    options.write(f"model and report: {_OUTPUT.value}")


def main(arguments: Sequence[str]) -> int:
    """Runs the program on a command line and returns its exit status."""
    return options.run("tfcurv train", USAGE, FLAGS, run, arguments)
