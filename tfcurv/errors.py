"""The errors that a caller may want to catch. Floor 0."""

from collections.abc import Iterable
import difflib
import pathlib
from typing import Any


class TfcurvError(Exception):
    """Base of every error that tfcurv defines."""


class UnsupportedModelError(TfcurvError, ValueError):
    """The model is of a form that cannot be certified.

    Attributes:
        problems: What is wrong with which layer, a `tfcurv.nn.Problem` each.
    """

    def __init__(self, message: str, problems: Iterable[Any] = ()):
        """Says what is wrong, in words and layer by layer."""
        super().__init__(message)
        self.problems = tuple(problems)


class UnsupportedLayerError(UnsupportedModelError):
    """A layer for which no bound is known. Names the layer."""


class UnsupportedActivationError(UnsupportedModelError):
    """An activation whose second derivative is not known to be bounded."""


class NonFiniteWeightsError(UnsupportedModelError):
    """A weight is NaN or infinite. Names the layer."""


class DataError(TfcurvError, ValueError):
    """The data cannot be certified or trained on as they are."""


class UnknownDatasetError(DataError):
    """No data set has this name."""


class DatasetUnavailableError(DataError):
    """The data set is neither prepared on this machine nor reachable."""


class ResultExistsError(TfcurvError, FileExistsError):
    """The output folder already holds a result, which is never overwritten."""


class InvalidResultError(TfcurvError, ValueError):
    """A folder does not hold a complete saved result."""


class InvalidPropertyError(TfcurvError, ValueError):
    """A property file says what is not understood. Names the line."""


class InvalidCheckpointError(TfcurvError, ValueError):
    """A checkpoint is damaged, or of another run than the one resumed."""


class CheckpointInUseError(TfcurvError, BlockingIOError):
    """Another run writes to the checkpoint. Says which process."""


class FalseCertificateError(TfcurvError):
    """An attack has flipped a point inside its certified radius.

    Attributes:
        index: Number of the image in its data.
        label: Class that it was certified to keep.
        radius: The certified radius.
        distance: That of the counter-example, rounded up.
        path: File with arrays x0, point, label, radius, distance and index;
            None if it could not be written.
    """

    def __init__(
        self,
        *,
        index: int,
        label: int,
        radius: float,
        distance: float,
        path: pathlib.Path | None,
    ):
        """Says what was found and where it was saved."""
        self.index = index
        self.label = label
        self.radius = radius
        self.distance = distance
        self.path = path
        where = "which could not be saved"
        if path is not None:
            where = f"saved in {str(path)!r}"
        super().__init__(
            "A certificate is false: a point inside the certified radius is "
            f"not given the label. Received: image {index}, label {label}, "
            f"radius {radius!r}, counter-example at distance {distance!r}, "
            f"{where}. Please report this, with the file and the model; "
            "do not use the result."
        )


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Returns what belongs into a message about a name that nothing has.

    Args:
        name: What was received.
        allowed: The names that there are.

    Returns:
        " Did you mean 'certify'?", or nothing where no name is like it.
    """
    # By their small letters: CERTIFY is like no name but one.
    known = {each.lower(): each for each in allowed}
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f" Did you mean {known[close[0]]!r}?" if close else ""
