"""Graphs of Keras models, computed node by node and compared with them."""

import keras
import numpy as np
import tensorflow as tf

from tfcurv.nn.reading import graph

_Kind = graph.Kind


def sequential(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers])


def names(model, **settings):
    """The nodes after the input in short: activations by name."""
    return [
        node.activation.name if node.activation else node.kind.value
        for node in graph.read_graph(model, **settings).nodes[1:]
    ]


def in_float64(test):
    for setting in (keras.config.set_floatx, keras.config.set_dtype_policy):
        setting("float64")
        test.addCleanup(setting, "float32")


def evaluate(read, x):
    """What the nodes of a graph give for samples `x`."""
    values = [tf.reshape(x, [len(x), -1])]
    for position, node in enumerate(read.nodes[1:], start=1):
        assert all(source < position for source in node.sources)
        sources = [values[source] for source in node.sources]
        if node.kind is _Kind.LINEAR:
            value = node.step.map.apply(*sources) + node.step.bias
        elif node.kind is _Kind.ACTIVATION:
            value = node.activation.value(*sources)
        elif node.kind is _Kind.MAXIMUM:
            value = node.windows.apply(*sources)
        elif node.kind is _Kind.ADD:
            value = tf.add_n(sources)
        else:
            samples = [
                tf.reshape(each, [len(x), *read.nodes[source].shape])
                for each, source in zip(sources, node.sources)
            ]
            value = tf.concat(samples, node.axis + 1)
            assert tuple(value.shape[1:]) == node.shape
            value = tf.reshape(value, [len(x), -1])
        assert value.shape[1] == np.prod(node.shape)
        values.append(value)
    return values[-1]


def assert_agrees(model, tolerance=1e-12, **settings):
    """Compares the graph of a model with random weights to the model."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype.startswith("float"):
            value = random.normal(size=weight.shape)
            positive = "variance" in weight.path
            weight.assign(np.abs(value) + 0.1 if positive else value)
    read = graph.read_graph(model, **settings)
    x = random.normal(size=(5, *model.input_shape[1:]))
    expected = model(tf.constant(x), training=False).numpy()
    size = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(
        evaluate(read, x), expected, atol=tolerance * size, rtol=0
    )
    return read
