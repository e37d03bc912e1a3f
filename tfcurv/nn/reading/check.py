"""`tfcurv.check`: what stands in the way of a certificate."""

from collections.abc import Mapping

import keras

from tfcurv import certificates
from tfcurv import errors
from tfcurv.nn.reading import network as adapter
from tfcurv.nn.reading.graph import Assumption
from tfcurv.nn.reading.problems import Problem
from tfcurv.nn.reading.problems import Problems


def check(
    model: keras.Model,
    *,
    method: str = "auto",
    guard: str | None = None,
    rigor: str = "verified",
    assume: Mapping[str, Assumption] | None = None,
) -> Problems:
    """Returns every layer that cannot be certified, with a way out.

    Reads the model as `certify` does, without data, and goes on behind a layer
    that is refused.

    Args:
        model: What `certify` is to be given.
        method: See `certify`.
        guard: See `certify`.
        rigor: See `certify`.
        assume: See `certify`.

    Returns:
        `Problem`s with `layer`, `type`, `reason` and `remedy`; prints one
        line for each. Empty if and only if `certify` takes the model.

    Raises:
        ValueError: `method`, `guard` or `rigor` is unknown, or an assumption
            is about no layer or one that is known.
        TypeError: An assumption is of another type.
    """
    as_graph = certificates.needs_graph(method)
    try:
        adapter.read(
            model, guard=guard, rigor=rigor, assume=assume, as_graph=as_graph
        )
    except errors.UnsupportedModelError as error:
        return Problems(error.problems or [_of_model(model, error)])
    return Problems()


def _of_model(model, error: errors.UnsupportedModelError) -> Problem:
    """What is wrong with a model as a whole, in the error's own words."""
    return Problem(
        layer=str(getattr(model, "name", model)),
        type=type(model).__name__,
        reason=str(error).rstrip("."),
    )
