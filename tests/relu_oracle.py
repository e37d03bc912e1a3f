"""Least margins of small ReLU networks, by mixed-integer programming."""

import numpy as np
from scipy import optimize

from tfcurv import networks


def layers(sizes, seed=0, scale=1.5):
    """Returns kernels `[inputs, outputs]` and biases of a random network."""
    random = np.random.default_rng(seed)
    return [
        (
            scale * random.normal(size=(a, b)) / np.sqrt(a),
            0.3 * random.normal(size=b),
        )
        for a, b in zip(sizes, sizes[1:])
    ]


def graph(weights):
    """Returns the graph of these layers, with ReLU between them."""
    shape = (len(weights[0][0]),)
    nodes = [networks.Node(networks.Kind.INPUT, (), shape)]
    for i, (kernel, bias) in enumerate(weights):
        if i:
            shape = nodes[-1].shape
            nodes.append(
                networks.Node(
                    networks.Kind.ACTIVATION,
                    (len(nodes) - 1,),
                    shape,
                    activation=networks.RELU,
                )
            )
        step = networks.LinearStep(networks.Dense(kernel=kernel), bias, 0, 0.0)
        nodes.append(
            networks.Node(
                networks.Kind.LINEAR,
                (len(nodes) - 1,),
                (len(bias),),
                step=step,
            )
        )
    return networks.Graph(nodes=tuple(nodes))


def evaluate(weights, x):
    """Returns the pre-activations of hidden layers, and the logits."""
    found = []
    for kernel, bias in weights:
        x = x @ kernel + bias
        found.append(x)
        x = np.maximum(x, 0.0)
    return found


def least_margin(weights, x, y, t, epsilon, domain=None):
    """Returns the least z_y - z_t within epsilon in linf, to the solver's 1e-6.

    Variables are the input, and of each hidden neuron what it gives and
    whether it is on.
    """
    low, high = x - epsilon, x + epsilon
    if domain is not None:
        low, high = np.maximum(low, domain[0]), np.minimum(high, domain[1])
    hidden = [len(bias) for _, bias in weights[:-1]]
    total = len(x) + 2 * sum(hidden)
    rows, least, most = [], [], []
    bounds_low, bounds_high = [*low], [*high]
    start, before = 0, (low, high)
    at = len(x)
    for kernel, bias in weights[:-1]:
        count = len(bias)
        middle = (before[0] + before[1]) / 2 @ kernel + bias
        half = (before[1] - before[0]) / 2 @ np.abs(kernel)
        lower, upper = middle - half - 1e-3, middle + half + 1e-3
        for j in range(count):
            z = np.zeros(total)
            z[start : start + len(kernel)] = kernel[:, j]
            value, switch = at + j, at + count + j
            # value >= z, value <= z - l (1 - switch), value <= u switch.
            above = -z
            above[value] += 1.0
            rows.append(above)
            least.append(bias[j])
            most.append(np.inf)
            under = -z
            under[value] += 1.0
            under[switch] -= min(lower[j], 0.0)
            rows.append(under)
            least.append(-np.inf)
            most.append(bias[j] - min(lower[j], 0.0))
            off = np.zeros(total)
            off[value], off[switch] = 1.0, -max(upper[j], 0.0)
            rows.append(off)
            least.append(-np.inf)
            most.append(0.0)
        bounds_low += [0.0] * (2 * count)
        bounds_high += [*np.maximum(upper, 0.0), *([1.0] * count)]
        start, at = at, at + 2 * count
        before = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
    kernel, bias = weights[-1]
    cost = np.zeros(total)
    cost[start : start + len(kernel)] = kernel[:, y] - kernel[:, t]
    integral = np.zeros(total)
    at = len(x)
    for count in hidden:
        integral[at + count : at + 2 * count] = 1
        at += 2 * count
    found = optimize.milp(
        cost,
        constraints=optimize.LinearConstraint(np.array(rows), least, most),
        bounds=optimize.Bounds(bounds_low, bounds_high),
        integrality=integral,
    )
    assert found.success, found.message
    return found.fun + bias[y] - bias[t]
