"""The errors that a caller may want to catch. Floor 0: imports nothing."""


class TfcurvError(Exception):
    """Base of every error that tfcurv defines."""


class UnsupportedModelError(TfcurvError, ValueError):
    """The model is of a form that cannot be certified."""


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
