"""That Keras runs on TensorFlow, which all else here rests on."""

import os

_REMEDY = (
    "tfcurv needs Keras on its TensorFlow backend. Received: backend={!r}. "
    "Remedy: set the environment variable KERAS_BACKEND=tensorflow, or "
    '"backend": "tensorflow" in ~/.keras/keras.json, before keras is first '
    "imported."
)


def check_backend() -> None:
    """Refuses any other backend.

    Raises:
        ImportError: Keras runs on another one, or cannot import it.
    """
    try:
        import keras
    except ImportError as error:
        asked = os.environ.get("KERAS_BACKEND", "tensorflow")
        if asked == "tensorflow":
            raise
        raise ImportError(_REMEDY.format(asked)) from error
    if (found := keras.config.backend()) != "tensorflow":
        raise ImportError(_REMEDY.format(found))


check_backend()
