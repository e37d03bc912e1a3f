"""The former name of `tfcurv.nn.model_files`, kept for what imports it."""

from tfcurv.nn.model_files import read_model as read_model
