"""Training runs as frozen settings and one call. Knows no flags."""

from tfcurv import nn  # noqa: F401  First: it refuses other backends.
from tfcurv.training.architectures import ARCHITECTURES as ARCHITECTURES
from tfcurv.training.architectures import (
    architecture_layers as architecture_layers,
)
from tfcurv.training.architectures import parameter_count as parameter_count
from tfcurv.training.architectures import (
    start_as_published as start_as_published,
)
from tfcurv.training.config import KINKED as KINKED
from tfcurv.training.config import NORMS as NORMS
from tfcurv.training.config import ConvolutionSettings as ConvolutionSettings
from tfcurv.training.config import TrainConfig as TrainConfig
from tfcurv.training.defaults import default_config as default_config
from tfcurv.training.folder import MODEL as MODEL
from tfcurv.training.folder import (
    check_training_folder as check_training_folder,
)
from tfcurv.training.folder import machine as machine
from tfcurv.training.folder import train_in_folder as train_in_folder
from tfcurv.training.layerwise import Stages as Stages
from tfcurv.training.layerwise import fit_layerwise as fit_layerwise
from tfcurv.training.objectives import ATTACKS as ATTACKS
from tfcurv.training.objectives import OBJECTIVES as OBJECTIVES
from tfcurv.training.objectives import Objective as Objective
from tfcurv.training.objectives import check_certifiable as check_certifiable
from tfcurv.training.outer_bounds import logit_plane as logit_plane
from tfcurv.training.outer_bounds import mean_translations as mean_translations
from tfcurv.training.pretrained import PRETRAINED as PRETRAINED
from tfcurv.training.pretrained import Shipped as Shipped
from tfcurv.training.pretrained import pretrained as pretrained
from tfcurv.training.recipes import RECIPES as RECIPES
from tfcurv.training.recipes import recipe as recipe
from tfcurv.training.trainer import TrainReport as TrainReport
from tfcurv.training.trainer import build_model as build_model
from tfcurv.training.trainer import compile_model as compile_model
from tfcurv.training.trainer import train as train
