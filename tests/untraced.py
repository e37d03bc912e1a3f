"""Certificates without a trace, of networks that are certified once or twice.

To trace takes seconds, whatever the network; a few points of a small network
take a tenth of that as plain TensorFlow. It is the same code, and nothing else
is meant to run eagerly here, neither data sets nor training.
"""

from collections.abc import Iterator
import contextlib
from unittest import mock

from tfcurv import certificates
from tfcurv.certificates.curvature import method as curvature
from tfcurv.certificates.deciding import decider as deciding
from tfcurv.certificates.interval import method as interval
from tfcurv.certificates.linear import method as linear

# Where each class is looked up, and what of it is compiled.
_COMPILED = (
    (deciding, "Witness", ("look", "attack")),
    (curvature, "CurvatureProofs", ("first", "search")),
    (curvature, "LocalStage", ("find", "prove")),
    (certificates, "Falsifier", ("attack",)),
    (interval.BoxConstraintMethod, "regions", ("margins",)),
    (linear.LinearMethod, "regions", ("margins",)),
)


def plain(kind, names):
    """Returns a class that calls what the given one compiles."""

    class Plain(kind):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            for name in names:
                setattr(self, f"_{name}", getattr(self, f"_{name}_batch"))

        def trace(self):
            """There is nothing to trace."""

    return Plain


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Certifies and falsifies without a trace what is certified in here."""
    with contextlib.ExitStack() as patches:
        for module, name, parts in _COMPILED:
            stand_in = plain(getattr(module, name), parts)
            patches.enter_context(mock.patch.object(module, name, stand_in))
        yield
