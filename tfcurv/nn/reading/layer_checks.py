"""Whether a Keras layer does what its class says, and is used so."""

import keras

from tfcurv.nn.reading import model_calls
from tfcurv.nn.reading import refusals
from tfcurv.nn.reading import training_mode

#: What does nothing in inference; `type is`, for a subclass may do something.
IDENTITIES = (
    keras.layers.Identity,
    keras.layers.ActivityRegularization,
    *training_mode.RANDOM,
)

# Keras itself replaces these two, in every layer.
_WRAPPED_BY_KERAS = ("build", "quantize")


def check_call(call: model_calls.Call) -> None:
    """Refuses uses of a layer other than on tensors.

    Raises:
        UnsupportedLayerError: It is given constants.
    """
    layer = call.operation
    if not call.only_tensors:
        raise refusals.unsupported(
            layer, "it was called on more than tensors of the model"
        )


def check_single(layer, sources: tuple[int, ...]) -> None:
    """Refuses a layer that reads several tensors, a mask among them.

    Raises:
        UnsupportedLayerError: It does.
    """
    if len(sources) != 1:
        raise refusals.unsupported(
            layer,
            "it joins several branches",
            "call it on one tensor, without a mask",
        )


def check_precision(layer: keras.layers.Layer) -> None:
    """Refuses a layer that rounds to a type of low precision.

    Raises:
        UnsupportedLayerError: It does.
    """
    policy = layer.dtype_policy
    if policy.compute_dtype not in model_calls.PRECISIONS or (
        policy.compute_dtype != policy.variable_dtype
    ):
        raise refusals.unsupported(
            layer,
            f"its dtype policy is {policy.name!r}",
            "build the model with keras.config.set_dtype_policy('float32') "
            "and move the weights with set_weights",
        )


def check_stock(layer: keras.Operation) -> None:
    """Refuses low precision, methods that were replaced, channels first.

    Args:
        layer: A layer, or an operation without one.

    Raises:
        UnsupportedLayerError: The layer has one of these.
    """
    if isinstance(layer, keras.layers.Layer):
        check_precision(layer)
    for name, value in vars(layer).items():
        stock = getattr(type(layer), name, None)
        if callable(value) and callable(stock):
            if name not in _WRAPPED_BY_KERAS:
                raise refusals.unsupported(
                    layer,
                    f"its `{name}` has been replaced",
                    "use the layer as it is, or a layer of your own with "
                    "`assume`",
                )
    if getattr(layer, "data_format", None) == "channels_first":
        raise refusals.unsupported(
            layer, "channels_first reorders its input", "use channels_last"
        )
