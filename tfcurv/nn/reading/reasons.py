"""Why Keras' own layers and functions cannot be certified: a table.

Each entry is a reason, a clause about "it", and a remedy. What stands in no
table is a user's, or newer than this text.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """Why something cannot be certified, and the way out.

    Attributes:
        why: A clause about the layer.
        remedy: What to do; `{name}` is the layer's name.
    """

    why: str
    remedy: str


# Only a layer that is linear on every input can be told as a matrix.
TELL_THE_MAP = "`assume={{{name!r}: tfcurv.LinearMapSpec(map=matrix)}}`"
_SMOOTH = "use a smooth activation, such as 'softplus' or 'silu'"
_PIPELINE = "apply it to the data, before the model"
_BEHIND = (
    "certify the part of the model behind it, keras.Model(its output, logits)"
)
_KINKS = "its output has kinks, where no curvature is bounded"

#: A way out that needs no curvature.
NO_CURVATURE = "or certify with method='bcp', which needs no curvature"

_POOLING = Reason(
    _KINKS, f"use average pooling or strides instead; {NO_CURVATURE}"
)
_VOLUME_POOLING = Reason(_KINKS, "use average pooling or strides instead")
_EXTREME = Reason(_KINKS, "use Add or Concatenate instead")
_BENT = Reason(_KINKS, _SMOOTH)
_LEAKY = Reason(_KINKS, f"{_SMOOTH}; {NO_CURVATURE}")

#: Of a ReLU layer that is cut off or leaks.
RELU_WITH_SETTINGS = Reason(
    "it is no plain ReLU",
    "use a smooth activation, such as 'softplus', or ReLU() without "
    f"settings as the only activation of a model; {NO_CURVATURE}",
)
_NORM = Reason(
    "it divides by a norm of each sample, which is not linear",
    "use BatchNormalization instead",
)
_PRODUCT = Reason(
    "it multiplies what depends on the input, which is not linear",
    "use Add, Concatenate or Dense layers instead",
)
_RECURRENT = Reason(
    "it is recurrent: the same weights are used step after step, and its "
    "gates multiply what depends on the input",
    "use Conv1D layers over the steps, or Flatten and Dense",
)
_WRAPPER = Reason(
    "it wraps another layer, which it may call in any way",
    "use the inner layer by itself",
)
_INTEGERS = Reason(
    "it takes whole numbers or text, around which there is no ball of inputs",
    _BEHIND,
)
_TRANSPOSED = Reason(
    "it is linear, but transposed convolutions are not read",
    f"use UpSampling and a convolution, or say its matrix, {TELL_THE_MAP}",
)
_VOLUME = Reason(
    "layers of volumes, of rank 3, are not read",
    f"say its matrix, {TELL_THE_MAP}, if it is linear; or use the 2D layer",
)
_ADAPTIVE = Reason(
    "it is linear, but adaptive pooling is not read",
    "use AveragePooling with a window of the same size, or say its matrix, "
    f"{TELL_THE_MAP}",
)
_RANDOM = Reason(
    "it changes samples at random or by their contents, which is no fixed map",
    _PIPELINE,
)
_FOREIGN = Reason(
    "it runs code of another kind, which cannot be read",
    "rebuild the model of Keras layers",
)
_SPECTRUM = Reason(
    "it takes absolute values of a spectrum, which have kinks", _PIPELINE
)
_BASE = Reason(
    "it is a base class, which says nothing of what is computed",
    "use one of the layers that are supported",
)

_ROWS: dict[str, Reason] = {
    "MaxPooling1D MaxPooling2D GlobalMaxPooling1D GlobalMaxPooling2D": _POOLING,
    "MaxPooling3D GlobalMaxPooling3D AdaptiveMaxPooling1D "
    "AdaptiveMaxPooling2D AdaptiveMaxPooling3D": _VOLUME_POOLING,
    "Maximum Minimum": _EXTREME,
    "LeakyReLU": _LEAKY,
    "PReLU": _BENT,
    "LayerNormalization GroupNormalization RMSNormalization "
    "UnitNormalization": _NORM,
    "Multiply Dot Attention AdditiveAttention MultiHeadAttention "
    "GroupQueryAttention": _PRODUCT,
    "LSTM GRU SimpleRNN RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D LSTMCell "
    "GRUCell SimpleRNNCell StackedRNNCells": _RECURRENT,
    "Bidirectional Wrapper": _WRAPPER,
    "TimeDistributed": Reason(
        "it wraps another layer",
        "use the inner layer by itself; a Dense layer takes inputs of any rank",
    ),
    "SpectralNormalization": Reason(
        "it wraps another layer, whose kernel it divides in training",
        "put the inner layer, its attribute `layer`, in its place once the "
        "model is trained",
    ),
    "Embedding ReversibleEmbedding StringLookup IntegerLookup Hashing "
    "HashedCrossing TextVectorization CategoryEncoding": _INTEGERS,
    "Discretization": Reason(
        "it rounds to buckets, so that its output jumps", _PIPELINE
    ),
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose": _TRANSPOSED,
    "Conv3D AveragePooling3D GlobalAveragePooling3D Cropping3D UpSampling3D "
    "ZeroPadding3D SpatialDropout3D": _VOLUME,
    "AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
    "AdaptiveAveragePooling3D": _ADAPTIVE,
    "EinsumDense": Reason(
        "it is linear but for its activation, but equations are not read",
        "use Dense, with Permute and Reshape, or, without activation, say "
        f"its matrix, {TELL_THE_MAP}",
    ),
    "RepeatVector": Reason(
        "it is linear, but not read",
        "use Reshape((1, n)) and UpSampling1D(size), which do the same",
    ),
    "Masking": Reason(
        "it sets steps to zero that equal a number, so that its output jumps",
        "leave it out",
    ),
    "Resizing": Reason(
        "it is linear in exact arithmetic, but how it interpolates is not read",
        "resize the data, before the model, or say its matrix, "
        f"{TELL_THE_MAP}; for whole factors use UpSampling or AveragePooling",
    ),
    "RandAugment AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization "  # noqa: E501
    "CutMix Equalization MixUp MaxNumBoundingBoxes RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop "
    "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur "
    "RandomGrayscale RandomHue RandomInvert RandomPerspective "
    "RandomPosterization RandomRotation RandomSaturation RandomSharpness "
    "RandomShear RandomTranslation RandomZoom Pipeline": _RANDOM,
    "Solarization": Reason(
        "it inverts values above a threshold, where its output jumps",
        _PIPELINE,
    ),
    "MelSpectrogram STFTSpectrogram": _SPECTRUM,
    "FlaxLayer JaxLayer TorchModuleWrapper TFSMLayer": _FOREIGN,
    "Layer": _BASE,
}

#: By name of a layer of Keras' own.
LAYERS = {name: row for names, row in _ROWS.items() for name in names.split()}

_AS_LAYER = "it is an operation that is not read"
_OPERATION_ROWS: dict[str, Reason] = {
    "Power Square Sqrt Exp Log Sin Cos Reciprocal": Reason(
        "it is not linear, and its curvature has no known bound", _SMOOTH
    ),
    "Maximum Minimum Clip Max Min Sign HardTanh "
    "HardSigmoid HardSilu Selu Where": Reason(_KINKS, _SMOOTH),
    "FloorDivide Floor Ceil Round Mod Greater Less": Reason(
        "its output jumps", "use a smooth function, such as sigmoid, instead"
    ),
    "Softmax LogSoftmax": Reason(
        "it divides by a sum over the sample",
        "as the last step, leave it out: keras.Model(input, logits); "
        f"elsewhere, {_SMOOTH}",
    ),
    "Matmul Einsum Tensordot Dot": Reason(_AS_LAYER, "use a Dense layer"),
    "Mean Average Sum": Reason(
        _AS_LAYER, "use a pooling layer, such as GlobalAveragePooling2D"
    ),
    "Reshape Squeeze ExpandDims": Reason(_AS_LAYER, "use a Reshape layer"),
    "Transpose Swapaxes Moveaxis": Reason(_AS_LAYER, "use a Permute layer"),
    "Concatenate Stack": Reason(_AS_LAYER, "use a Concatenate layer"),
    "Pad": Reason(_AS_LAYER, "use a ZeroPadding layer"),
    "GetItem Flip Split": Reason(
        _AS_LAYER,
        f"use a Cropping layer, or say its matrix, {TELL_THE_MAP}",
    ),
    "Cast StopGradient": Reason(_AS_LAYER, "leave it out"),
}

#: By class name of an operation of Keras' own that is no layer.
OPERATIONS = {
    name: row
    for names, row in _OPERATION_ROWS.items()
    for name in names.split()
}

_NOT_IN_TABLE = "its curvature is bounded, but these bounds are not worked out"
_COUPLED = (
    "it divides by a sum over the sample, so that it is no function of one "
    "value"
)
_FUNCTION_ROWS: dict[str, Reason] = {
    "relu relu6 leaky_relu": Reason(
        "it is piecewise linear, with kinks, where no curvature is bounded",
        f"{_SMOOTH}; {NO_CURVATURE}",
    ),
    "abs absolute hard_tanh hard_sigmoid hard_silu hard_swish": Reason(
        "it is piecewise linear or has kinks, where no curvature is bounded",
        f"{_SMOOTH}; {NO_CURVATURE}",
    ),
    "soft_shrink sparse_sigmoid": Reason(
        "it is piecewise linear or has kinks, where no curvature is bounded",
        _SMOOTH,
    ),
    "hard_shrink threshold": Reason("it jumps", _SMOOTH),
    "selu": Reason(
        "its slope jumps at zero, from 1.76 to 1.05, so that no curvature is "
        "bounded there",
        "use 'elu', whose slope does not jump, or another smooth activation, "
        f"such as 'softplus'; {NO_CURVATURE}",
    ),
    "exponential": Reason(
        "its curvature has no bound on the whole line", _SMOOTH
    ),
    "celu": Reason(
        "it is read under no name of its own; with alpha=1 it is elu",
        "use 'elu', or another smooth activation, such as 'softplus'",
    ),
    "squareplus log_sigmoid tanh_shrink sparse_plus": Reason(
        _NOT_IN_TABLE, _SMOOTH
    ),
    "glu": Reason("it multiplies two halves of its input", _SMOOTH),
    "softmax log_softmax sparsemax": Reason(_COUPLED, _SMOOTH),
}

#: By name of a function of Keras' own that is used as an activation.
FUNCTIONS = {
    name: row for names, row in _FUNCTION_ROWS.items() for name in names.split()
}
FUNCTIONS["gelu"] = Reason(
    "gelu with approximate=True is another function, whose bounds are not "
    "worked out",
    "use 'gelu', which is exact, or 'silu'",
)

#: Of a function that is a user's own.
UNKNOWN_FUNCTION = Reason(
    "nothing is known of this function",
    "name one that is known, such as 'softplus'; or make it a layer of its "
    "own, Activation(function, name='mine'), and say which known one it is: "
    "`assume={'mine': tfcurv.bounds.activation('tanh')}`",
)
