"""Random graphs of all kinds of nodes, and what they are exactly."""

from fractions import Fraction
import itertools

import numpy as np

from tfcurv import networks

Kind = networks.Kind
Node = networks.Node

LEAKY = networks.piecewise_linear("leaky_relu", negative_slope=0.25)
STEEP = networks.piecewise_linear("leaky_relu", negative_slope=-3.0)
CUT = networks.piecewise_linear("relu", negative_slope=0.5, max_value=1.5)


class Builder:
    """Appends nodes; each method returns the position of a node."""

    def __init__(self, shape, seed=0):
        self.nodes = [Node(Kind.INPUT, (), tuple(shape))]
        self.rng = np.random.default_rng(seed)

    def _put(self, kind, sources, shape, **more):
        self.nodes.append(Node(kind, sources, tuple(shape), **more))
        return len(self.nodes) - 1

    def linear(self, source, linear, roundings=0, bias_error=0.0):
        bias = self.rng.normal(size=linear.outputs)
        step = networks.LinearStep(linear, bias, roundings, bias_error)
        return self._put(Kind.LINEAR, (source,), linear.output_shape, step=step)

    def dense(self, source, units):
        shape = self.nodes[source].shape
        if len(shape) > 1:
            flat = (self.nodes[source].size,)
            same = networks.Identity(input_shape=shape, output_shape=flat)
            source = self.linear(source, same)
        size = self.nodes[source].size
        kernel = self.rng.normal(size=(size, units)) / np.sqrt(size)
        return self.linear(source, networks.Dense(kernel=kernel))

    def convolution(self, source, filters, window=2, **settings):
        shape = self.nodes[source].shape
        size = (window,) * (len(shape) - 1) + (shape[-1], filters)
        kernel = self.rng.normal(size=size) / window
        linear = networks.Convolution(
            kernel=kernel, input_shape=shape, **settings
        )
        return self.linear(source, linear)

    def scaled(self, source):
        shape = self.nodes[source].shape
        scale = self.rng.uniform(-2.0, 2.0, shape[-1])
        return self.linear(
            source, networks.Diagonal(scale=scale, input_shape=shape)
        )

    def activate(self, source, fn):
        shape = self.nodes[source].shape
        return self._put(Kind.ACTIVATION, (source,), shape, activation=fn)

    def pool(self, source, size, strides, padding):
        windows = networks.MaxPooling(
            input_shape=self.nodes[source].shape,
            pool_size=size,
            strides=strides,
            padding=padding,
        )
        return self._put(
            Kind.MAXIMUM, (source,), windows.output_shape, windows=windows
        )

    def add(self, *sources):
        return self._put(Kind.ADD, sources, self.nodes[sources[0]].shape)

    def join(self, *sources):
        shapes = [self.nodes[source].shape for source in sources]
        width = sum(shape[-1] for shape in shapes)
        axis = len(shapes[0]) - 1
        shape = (*shapes[0][:-1], width)
        return self._put(Kind.CONCATENATE, sources, shape, axis=axis)

    def graph(self):
        return networks.Graph(nodes=tuple(self.nodes))


def plain(seed=0, fn=networks.RELU):
    """A convolution, a normalization, a maximum with overlaps, dense layers."""
    build = Builder((5, 4, 2), seed)
    value = build.scaled(build.convolution(0, 3, padding="same"))
    value = build.pool(build.activate(value, fn), (3, 2), (2, 1), "same")
    value = build.activate(build.dense(value, 6), LEAKY)
    build.dense(value, 3)
    return build.graph()


def residual(seed=0, fn=LEAKY):
    """Two shortcuts, one of which ends in the logits, and a join."""
    build = Builder((6, 2), seed)
    inner = build.activate(build.convolution(0, 2, padding="same"), fn)
    inner = build.scaled(build.convolution(inner, 2, padding="same"))
    value = build.add(inner, 0)
    pooled = build.pool(value, (3,), (1,), "same")
    joined = build.join(pooled, value, build.activate(value, CUT))
    both = build.dense(joined, 3), build.dense(0, 3)
    build.add(*both, both[0])
    return build.graph()


def maxima(seed=0):
    """Maxima of maxima, and logits that are maxima."""
    build = Builder((7, 3), seed)
    value = build.pool(0, (3,), (2,), "valid")
    value = build.activate(build.convolution(value, 4), STEEP)
    value = build.pool(value, (2,), (1,), "valid")
    size = build.nodes[value].size
    same = networks.Identity(
        input_shape=build.nodes[value].shape, output_shape=(1, size)
    )
    build.pool(build.linear(value, same), (1,), (1,), "valid")
    return build.graph()


ALL = {"plain": plain, "residual": residual, "maxima": maxima}


def windows_of(windows):
    """The members of each window, by brute force: numbers of inputs."""
    *sizes, channels = windows.input_shape
    places = []
    for size, width, step in zip(sizes, windows.pool_size, windows.strides):
        if windows.padding == "same":
            count = -(-size // step)
            before = max(0, (count - 1) * step + width - size) // 2
        else:
            count, before = (size - width) // step + 1, 0
        starts = [n * step - before for n in range(count)]
        places.append(
            [[p for p in range(s, s + width) if 0 <= p < size] for s in starts]
        )
    numbers = np.arange(windows.outputs * 0 + np.prod(windows.input_shape))
    numbers = numbers.reshape(windows.input_shape)
    return [
        [int(numbers[(*place, channel)]) for place in itertools.product(*each)]
        for each in itertools.product(*places)
        for channel in range(channels)
    ]


def exact_logits(graph, x):
    """The logits of a piecewise linear graph at one point, as fractions."""
    return exact_values(graph, x)[-1]


def exact_values(graph, x):
    """What each node of a piecewise linear graph gives, as fractions."""
    values = [[Fraction(float(number)) for number in x]]
    for node in graph.nodes[1:]:
        sources = [values[source] for source in node.sources]
        values.append(_exact(graph, node, sources))
    return values


def _exact(graph, node, sources):
    if node.kind is Kind.LINEAR:
        kernel = node.step.map.materialise()
        found = [Fraction(float(b)) for b in node.step.bias]
        for row, number in zip(kernel, *sources):
            for column in np.flatnonzero(row):
                found[column] += number * Fraction(float(row[column]))
        return found
    if node.kind is Kind.ACTIVATION:
        fn = node.activation
        slope = Fraction(fn.negative_slope)
        top = None if np.isinf(fn.max_value) else Fraction(fn.max_value)
        rise = [z if top is None else min(z, top) for z in sources[0]]
        return [r if z > 0 else slope * z for r, z in zip(rise, sources[0])]
    if node.kind is Kind.MAXIMUM:
        (source,) = sources
        return [
            max(source[n] for n in each) for each in windows_of(node.windows)
        ]
    if node.kind is Kind.ADD:
        return [sum(each) for each in zip(*sources)]
    shapes = graph.shapes(node.sources)
    arrays = [np.array(s, object).reshape(h) for s, h in zip(sources, shapes)]
    return list(np.concatenate(arrays, node.axis).ravel())
