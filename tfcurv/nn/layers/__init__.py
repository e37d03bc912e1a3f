"""Keras layers that carry what certified training needs."""

from tfcurv.nn.layers.absolute import absolute as absolute
from tfcurv.nn.layers.tracked import Conv1D as Conv1D
from tfcurv.nn.layers.tracked import Conv2D as Conv2D
from tfcurv.nn.layers.tracked import Dense as Dense
from tfcurv.nn.layers.tracked import DepthwiseConv2D as DepthwiseConv2D
