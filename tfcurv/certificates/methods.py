"""The methods that there are, and the choice among them."""

import dataclasses
from typing import Any

from tfcurv import errors
from tfcurv import networks
from tfcurv.certificates.complete.method import CompleteMethod
from tfcurv.certificates.curvature.method import CurvatureMethod
from tfcurv.certificates.deciding.contract import CertifierOptions
from tfcurv.certificates.deciding.contract import Curvature
from tfcurv.certificates.deciding.contract import Method
from tfcurv.certificates.deciding.contract import Threat
from tfcurv.certificates.interval.method import BoxConstraintMethod
from tfcurv.certificates.interval.method import IntervalMethod
from tfcurv.certificates.linear.method import LastLinesMethod
from tfcurv.certificates.linear.method import LinearMethod
from tfcurv.certificates.linear.method import ParallelLinesMethod
from tfcurv.certificates.linear.method import ZonotopeMethod
from tfcurv.certificates.lipschitz.method import LipschitzMethod
from tfcurv.certificates.portfolio import Portfolio
from tfcurv.certificates.quadratic.method import QuadraticMethod

#: What stands for the first method that can do what is asked, and others.
AUTO = "auto"

#: Every method by its name; of those that can do it, the first is preferred.
METHODS: dict[str, type[Method]] = {
    kind.name: kind
    for kind in (
        CurvatureMethod,
        QuadraticMethod,
        BoxConstraintMethod,
        LinearMethod,
        LipschitzMethod,
        IntervalMethod,
        LastLinesMethod,
        ParallelLinesMethod,
        ZonotopeMethod,
        CompleteMethod,
    )
}


def check_method(name: str) -> str:
    """Returns the name of a method, or "auto".

    Raises:
        ValueError: No method has this name.
    """
    allowed = (AUTO, *METHODS)
    if name not in allowed:
        raise ValueError(
            f"Unknown method. Received: method={name!r}. Allowed: {allowed}."
            + errors.did_you_mean(str(name), allowed)
        )
    return name


def needs_graph(name: str, threat: Threat = Threat()) -> bool | None:
    """Whether a method takes a model as a graph; None where either will do.

    Args:
        name: Of the method, or "auto".
        threat: What the radii are to hold against: chains are for l2 balls of
            all inputs alone.

    Raises:
        ValueError: No method has this name.
    """
    if check_method(name) == AUTO:
        return None if threat == Threat() else True
    return METHODS[name].needs_graph


def choose(
    name: str,
    network: networks.Network | networks.GraphNetwork,
    threat: Threat = Threat(),
    options: CertifierOptions = CertifierOptions(),
    graph: networks.GraphNetwork | None = None,
) -> Method:
    """Returns a method for a network, of those that can do what is asked.

    Args:
        name: Of the method, or "auto" for the first that does not refuse,
            and those that are worth asking where it leaves a gap.
        network: The network.
        threat: What the radii are to hold against.
        options: What is asked of the method.
        graph: The same network as a graph, for "auto"; None where it is none.

    Raises:
        UnsupportedModelError: The method refuses, or all do; the message says
            why each does.
        ValueError: No method has this name.
    """
    if check_method(name) != AUTO:
        return _first([METHODS[name]], name, network, threat, options)
    first = _first(METHODS.values(), name, network, threat, options)
    if isinstance(network, networks.GraphNetwork):
        graph = network
    found = [first]
    for kind in METHODS.values():
        if graph is None or kind is type(first):
            continue
        if kind.follows(first, graph.graph):
            asked = dataclasses.replace(options, curvature=Curvature.GLOBAL)
            if kind.refusal(graph, threat, asked) is None:
                found.append(_made(kind, graph, threat, asked))
    return first if len(found) == 1 else Portfolio(found)


def _first(kinds, name: str, network, threat, options) -> Method:
    """Returns the first method that does not refuse."""
    refusals = {}
    for kind in kinds:
        refusal = _wrong_form(kind, network)
        refusal = refusal or kind.refusal(network, threat, options)
        if refusal is None:
            return _made(kind, network, threat, options)
        refusals[kind.name] = refusal
    reasons = " ".join(f"{name}: {why}" for name, why in refusals.items())
    raise errors.UnsupportedModelError(
        f"No method can certify this. Received: method={name!r}. {reasons}"
    )


def _made(kind: type[Method], network, threat, options) -> Method:
    method = kind(network, options)
    method.threat = threat
    return method


def _wrong_form(kind: type[Method], network: Any) -> str | None:
    """Returns why a method cannot take a network, whatever it computes."""
    is_graph = isinstance(network, networks.GraphNetwork)
    if is_graph == kind.needs_graph:
        return None
    allowed = (
        "networks.GraphNetwork" if kind.needs_graph else "networks.Network"
    )
    return (
        "A method takes a network in one form. Received: a "
        f"{type(network).__name__}. Allowed: a {allowed}, or a Keras model."
    )
