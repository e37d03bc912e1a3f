"""Several runs on one model share what takes seconds to compile."""

from collections.abc import Iterator
import contextlib
import functools
from unittest import mock

import keras

import tfcurv
from tfcurv import certificates
from tfcurv.certificates.curvature import method as certifier
from tfcurv.certificates.deciding import decider as deciding

_WITNESS = deciding.Witness
_PROOFS = certifier.CurvatureProofs
_FALSIFIER = certificates.Falsifier


@functools.cache
def _compiled(model, kind, options):
    return kind(tfcurv.network_from_model(model), options)


@contextlib.contextmanager
def compiled_once(model: keras.Model) -> Iterator[None]:
    """Compiles for a model once, whatever runs here or in its other contexts.

    What is compiled depends on the network and the options alone, and no run
    leaves anything behind in it.

    Args:
        model: What all the runs are about, without a guard; its weights must
            stay as they are.
    """
    compiled = functools.partial(_compiled, model)
    plain = certificates.Threat()

    def witness(network, steps, threat=plain):
        if threat != plain:
            return _WITNESS(network, steps, threat)
        return compiled(_WITNESS, steps)

    # What is executed besides is there for the sake of a guard.
    def falsifier(network, options, execute=None, threat=plain):
        if threat != plain:
            return _FALSIFIER(network, options, execute, threat)
        return compiled(_FALSIFIER, options)

    def proofs(_, options):
        return compiled(_PROOFS, options)

    with contextlib.ExitStack() as patches:
        for module, name, stand_in in (
            (deciding, "Witness", witness),
            (certifier, "CurvatureProofs", proofs),
            (certificates, "Falsifier", falsifier),
        ):
            patches.enter_context(mock.patch.object(module, name, stand_in))
        yield
