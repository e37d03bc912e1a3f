"""Variables that are there before a training step is traced.

TensorFlow traces a function that makes variables twice, and to trace a step of
curvature-based training takes seconds.
"""

from typing import Any

import keras


def build_optimizer(model: keras.Model) -> None:
    """Makes the variables that the first step would make.

    Args:
        model: Any model; without an optimizer, or variables, nothing is done.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or optimizer.built or not model.built:
        return
    if model.trainable_variables:
        with model.distribute_strategy.scope():
            optimizer.build(model.trainable_variables)


def build_metrics(model: keras.Model, x: Any, y: Any) -> None:
    """Makes those of the metrics that `compile` was given.

    Args:
        model: A compiled model.
        x: An input or a few.
        y: Their labels.
    """
    model.compute_metrics(x, y, model(x, training=False))
    model.reset_metrics()
