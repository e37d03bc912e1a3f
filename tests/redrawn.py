"""Weights that are the same in every run.

A layer takes its initializers' seeds when it is made: a seed that is set
afterwards, where a model is made of given layers, comes too late.
"""

import math

import keras
import numpy as np


def redrawn(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draws kernels, and biases that are not zero, from a seed.

    Args:
        model: A built model; kernels as Glorot's uniform initializer draws
            them, biases as Keras' normal one.
        seed: The seed.

    Returns:
        The model.
    """
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        if weight.name.endswith("kernel"):
            *window, inputs, outputs = weight.shape
            fans = math.prod(window) * (inputs + outputs)
            limit = math.sqrt(6.0 / fans)
            weight.assign(random.uniform(-limit, limit, weight.shape))
        elif weight.name == "bias" and np.any(np.asarray(weight)):
            weight.assign(random.normal(0.0, 0.05, weight.shape))
    return model
