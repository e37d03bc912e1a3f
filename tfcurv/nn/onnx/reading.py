"""Reads a feed-forward ONNX model as a model of Keras."""

from collections.abc import Callable
import pathlib
from typing import Any

import keras
import numpy as np

from tfcurv import errors
from tfcurv.nn.onnx import activations
from tfcurv.nn.onnx import affine
from tfcurv.nn.onnx import agreement
from tfcurv.nn.onnx import gates
from tfcurv.nn.onnx import optional
from tfcurv.nn.onnx import shapes
from tfcurv.nn.onnx import values
from tfcurv.nn.onnx import windows
from tfcurv.nn.onnx.nodes import Node
from tfcurv.nn.onnx.values import Value

_READERS: dict[str, Callable[[Node], Value]] = {
    **affine.READERS,
    **windows.READERS,
    **shapes.READERS,
    **activations.READERS,
}

# What is evaluated where all its inputs are constants: nothing random.
_FOLDED = (
    "Add Cast Concat Constant ConstantOfShape Div Expand Gather Identity Mul "
    "Neg Reciprocal Reshape Shape Slice Sqrt Squeeze Sub Transpose Unsqueeze"
).split()

# Before it, broadcasting was another.
_OLDEST = 7

_REMEDIES = {
    "Softmax": "export the model without it: certificates compare logits",
    "LogSoftmax": "export the model without it: certificates compare logits",
    "Shape": "export with fixed sizes, or use Flatten",
}


def from_onnx(
    path: str | pathlib.Path, *, channels_last: bool = False
) -> keras.Model:
    """Returns a Keras model that computes what an ONNX model does.

    Its layers have channels last, as Keras wants them, and what is flattened
    is flattened in ONNX' order. It takes inputs of the shape that the ONNX
    model takes, so that data, epsilon and domain are those of, say, PyTorch.
    Before it is returned it is compared with onnxruntime, or where that is not
    installed with onnx's own evaluator, at zeros and random inputs: any
    difference beyond what float32 explains is an error. It is a stock
    functional model: `tfcurv.from_keras` makes one of it that can be trained.

    Args:
        path: The .onnx file: of one input, whose first axis is the batch, and
            one output. `tfcurv.nn.onnx.nodes.SUPPORTED` lists the operators.
        channels_last: Whether the model returned takes images [N, H, W, C]
            where ONNX takes [N, C, H, W]; for data that are prepared so.

    Raises:
        UnsupportedLayerError: A node is not supported; names it.
        UnsupportedModelError: The file is damaged, has several inputs or
            outputs, or the two models differ.
        FileNotFoundError: There is no such file.
        ImportError: onnx is missing: pip install tfcurv[onnx].
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model file of this name. Received: {str(path)!r}."
        )
    onnx = optional.import_onnx()
    try:
        found = onnx.load(path)
        onnx.checker.check_model(found)
    # Of a broken file, protobuf and onnx make all kinds of errors.
    except Exception as error:
        raise errors.UnsupportedModelError(
            f"This is no valid ONNX model: {error!s:.400} "
            f"({type(error).__name__}). Received: {str(path)!r}. "
            "Remedy: export it anew."
        ) from error
    model = _Builder(onnx, found, str(path)).build(channels_last, path.stem)
    agreement.check(found, model, channels_last, str(path))
    return model


class _Builder:
    """Builds one model, node by node."""

    def __init__(self, onnx: Any, model: Any, path: str):
        self._onnx, self._model, self._path = onnx, model, path
        self._constants = {
            each.name: onnx.numpy_helper.to_array(each)
            for each in model.graph.initializer
        }
        self._values: dict[str, Value] = {}
        self._kinds: dict[str, str] = {}
        self._labels: set[str] = set()

    def build(self, channels_last: bool, name: str) -> keras.Model:
        """Returns the model.

        Args:
            channels_last: See `from_onnx`.
            name: What to call it.
        """
        self._check_version()
        source, target = self._ends()
        steps = [self._step(node) for node in self._model.graph.node]
        for node in self._model.graph.node:
            if node.op_type == "Constant" and not node.domain:
                self._fold(node)
        steps = gates.gathered(steps, self._constants, target)
        self._check_known(steps)
        entry = self._entry(source, channels_last)
        self._values[source.name] = entry
        for step in steps:
            self._take(step)
        if target not in self._values:
            raise self._refusal("its output does not depend on its input")
        output = self._values[target].in_order
        clean = "".join(c if c.isalnum() else "_" for c in name)
        return keras.Model(entry.tensor, output, name=clean or "onnx")

    def _refusal(self, why: str) -> errors.UnsupportedModelError:
        return errors.UnsupportedModelError(
            f"This ONNX model cannot be read: {why}. "
            f"Received: {self._path!r}. Allowed: one input of floats whose "
            "first axis is the batch and whose other sizes are known, one "
            f"output that depends on it, operators of version {_OLDEST} on."
        )

    def _check_version(self) -> None:
        for each in self._model.opset_import:
            if each.domain in ("", "ai.onnx") and each.version < _OLDEST:
                raise self._refusal(f"its operators have {each.version}")

    def _ends(self) -> tuple[Any, str]:
        """Returns the description of the input, and the output's name."""
        graph = self._model.graph
        inputs = [x for x in graph.input if x.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise self._refusal(
                f"it has {len(inputs)} inputs and {len(graph.output)} outputs"
            )
        return inputs[0], graph.output[0].name

    def _entry(self, source: Any, channels_last: bool) -> Value:
        """Returns the input."""
        kind = source.type.tensor_type
        sizes = [size.dim_value for size in kind.shape.dim]
        floats = (self._onnx.TensorProto.FLOAT, self._onnx.TensorProto.DOUBLE)
        if len(sizes) < 2 or min(sizes[1:]) < 1 or kind.elem_type not in floats:
            raise self._refusal(
                f"its input has the sizes {sizes}, of type {kind.elem_type}"
            )
        axes = tuple(range(len(sizes)))
        if channels_last and len(sizes) == 4:
            axes = values.channels_last(4)
        tensor = keras.Input([sizes[axis] for axis in axes[1:]])
        return Value(tensor, axes)

    def _step(self, node: Any) -> gates.Step:
        read = self._onnx.helper.get_attribute_value
        found = {each.name: read(each) for each in node.attribute}
        return gates.Step(
            label=node.name or (node.output[0] if node.output else "?"),
            kind=node.op_type,
            domain="" if node.domain == "ai.onnx" else node.domain,
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            attributes={
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in found.items()
            },
        )

    def _check_known(self, steps: list[gates.Step]) -> None:
        """Refuses operators of which nothing is known, before all else."""
        known = {*_READERS, *_FOLDED}
        bad = [step for step in steps if step.domain or step.kind not in known]
        if bad:
            kinds = sorted({f"{s.domain}.{s.kind}".strip(".") for s in bad})
            first = bad[0]
            raise self._node(first, ()).refusal(
                "nothing is known about this operator, nor about others of "
                f"{kinds}"
                if len(kinds) > 1
                else "nothing is known about this operator",
                _REMEDIES.get(
                    first.kind, "use one that is supported in its place"
                ),
            )

    def _node(self, step: gates.Step, inputs: tuple) -> Node:
        label = step.label
        while label in self._labels:
            label += "_"
        self._labels.add(label)
        first = step.inputs[0] if step.inputs else ""
        return Node(
            label=label,
            kind=step.kind,
            inputs=inputs,
            attributes=step.attributes,
            is_nonnegative=self._kinds.get(first) in activations.NONNEGATIVE,
        )

    def _take(self, step: gates.Step) -> None:
        """Evaluates or reads a step."""
        inputs = tuple(map(self._known, step.inputs))
        if all(not isinstance(each, Value) for each in inputs):
            return self._evaluate(step)
        if step.kind == "Shape":
            return self._look(step)
        node = self._node(step, inputs)
        reader = _READERS.get(step.kind)
        if reader is None:
            raise node.refusal(
                "it is known of constants alone",
                _REMEDIES.get(step.kind, "use a supported operator"),
            )
        try:
            found = reader(node)
        except errors.TfcurvError:
            raise
        # Keras has its own words for what it refuses.
        except (TypeError, ValueError) as error:
            raise node.refusal(
                f"Keras does not build it ({error!s:.300})",
                "use settings that Keras' layer of this kind takes",
            ) from error
        self._values[step.outputs[0]] = found
        self._kinds[step.outputs[0]] = step.kind

    def _known(self, name: str) -> Value | np.ndarray | None:
        if not name:
            return None
        found = self._values.get(name)
        return self._constants.get(name) if found is None else found

    def _look(self, step: gates.Step) -> None:
        """Keeps the shape of a tensor, with 0, "as it was", for a batch."""
        value = self._values[step.inputs[0]]
        start = step.attributes.get("start", 0)
        end = step.attributes.get("end", value.rank)
        sizes = [size or 0 for size in value.shape][start:end]
        self._constants[step.outputs[0]] = np.array(sizes, np.int64)

    def _evaluate(self, step: gates.Step) -> None:
        """Evaluates a step of constants alone."""
        if step.outputs[0] in self._constants:
            return
        node = next(
            each
            for each in self._model.graph.node
            if step.outputs[0] in each.output
        )
        if step.kind not in _FOLDED:
            raise self._node(step, ()).refusal(
                "all its inputs are constants",
                "fold constants when the model is exported",
            )
        self._fold(node)

    def _fold(self, node: Any) -> None:
        helper = self._onnx.helper
        given = {name: self._constants[name] for name in node.input if name}
        graph = helper.make_graph(
            [node],
            "constant",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(each.dtype), None
                )
                for name, each in given.items()
            ],
            [helper.make_empty_tensor_value_info(node.output[0])],
        )
        model = helper.make_model(graph, opset_imports=self._model.opset_import)
        evaluator = self._onnx.reference.ReferenceEvaluator(model)
        (found,) = evaluator.run(None, given)
        self._constants[node.output[0]] = np.asarray(found)
