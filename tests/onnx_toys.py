"""Small ONNX models in the manner of PyTorch's exporter."""

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper
import onnxruntime


class Export:
    """A graph that grows node by node, each reading the last by default."""

    def __init__(self, shape, random, *, batch="batch", opset=17):
        self.random, self.last, self.opset = random, "input", opset
        self.shape, self.batch = shape, batch
        self._nodes, self._stored, self._count = [], [], 0

    def store(self, array, dtype="float32"):
        """Stores an array, or random weights of a shape."""
        if isinstance(array, tuple):
            array = 0.5 * self.random.standard_normal(array)
        name = f"weight_{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def add(self, kind, *inputs, outputs=1, domain="", **attributes):
        """Adds a node; returns the name of its output."""
        self._count += 1
        names = [f"{kind.lower()}_{self._count}_{i}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(
                kind,
                inputs or (self.last,),
                names,
                name=f"/{kind}_{self._count}",
                domain=domain,
                **attributes,
            )
        )
        self.last = names[0]
        return self.last

    def gemm(self, inputs, outputs):
        weights = self.store((outputs, inputs)), self.store((outputs,))
        return self.add("Gemm", self.last, *weights, transB=1)

    def conv(self, inputs, outputs, window, *, group=1, **attributes):
        kernel = self.store((outputs, inputs // group, *window))
        bias = self.store((outputs,))
        return self.add(
            "Conv",
            self.last,
            kernel,
            bias,
            kernel_shape=window,
            group=group,
            **attributes,
        )

    def model(self, double=False):
        kind = onnx.TensorProto.DOUBLE if double else onnx.TensorProto.FLOAT
        source = helper.make_tensor_value_info(
            "input", kind, [self.batch, *self.shape]
        )
        target = helper.make_tensor_value_info(
            self.last, kind, ["rows", "classes"]
        )
        graph = helper.make_graph(
            self._nodes, "toy", [source], [target], self._stored
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=8,
        )

    def save(self, folder, **settings):
        path = f"{folder}/toy.onnx"
        onnx.save(self.model(**settings), path)
        return path


def run(path, x):
    """What onnxruntime computes."""
    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"input": x})[0]


def dense_relu(random):
    toy = Export((1, 1, 6), random)
    toy.add("Flatten")
    toy.gemm(6, 7)
    toy.add("Relu")
    toy.gemm(7, 3)
    return toy


def convolution(random):
    toy = Export((3, 6, 5), random, batch=1)
    toy.conv(3, 4, (3, 3), pads=[1, 1, 1, 1], strides=[1, 1])
    toy.add("Relu")
    toy.add("Flatten", axis=1)
    toy.gemm(120, 4)
    return toy


def normalised(random):
    """The operations of the layerwise trained network on MNIST."""
    toy = Export((1, 8, 8), random)
    mean, deviation = (toy.store(x) for x in _statistics(random, 1))
    toy.add("Sub", toy.last, mean)
    toy.add("Div", toy.last, deviation)
    toy.conv(1, 3, (4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    toy.add("Relu")
    toy.conv(3, 4, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    toy.add("Relu")
    toy.add("Flatten")
    toy.gemm(16, 5)
    toy.add("Relu")
    toy.gemm(5, 3)
    return toy


def _statistics(random, channels):
    shape = (1, channels, 1, 1)
    return random.uniform(0.1, 0.5, shape), random.uniform(0.2, 0.4, shape)


def residual(random):
    toy = Export((2, 4, 4), random)
    mean, deviation = (toy.store(x) for x in _statistics(random, 2))
    toy.add("Sub", toy.last, mean)
    toy.add("Div", toy.last, deviation)
    start = toy.conv(2, 3, (1, 1))
    toy.conv(3, 3, (3, 3), pads=[1, 1, 1, 1])
    toy.add("LeakyRelu", alpha=0.1)
    inner = toy.conv(3, 3, (3, 3), auto_pad="SAME_UPPER")
    toy.add("Add", start, inner)
    toy.add("GlobalAveragePool")
    toy.add("Flatten")
    toy.gemm(3, 2)
    return toy


def normalised_batch(random):
    toy = Export((2, 5, 5), random)
    toy.conv(2, 4, (2, 2), group=2, dilations=[2, 2])
    weights = [
        toy.store(random.uniform(0.5, 2.0, 4)),
        toy.store((4,)),
        toy.store((4,)),
        toy.store(random.uniform(0.5, 2.0, 4)),
    ]
    toy.add("BatchNormalization", toy.last, *weights, epsilon=1e-3)
    toy.add("Elu")
    toy.conv(4, 4, (2, 2), group=4)
    toy.add("Dropout")
    toy.add("Reshape", toy.last, toy.store(_shape(-1, 16), "int64"))
    toy.gemm(16, 3)
    return toy


def _shape(*sizes):
    return np.array(sizes)


def max_pooled(random):
    toy = Export((2, 6, 6), random)
    toy.conv(2, 3, (3, 3), pads=[1, 1, 1, 1])
    toy.add("Relu")
    toy.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    toy.add("Flatten")
    toy.gemm(27, 3)
    return toy


def average_pooled(random):
    toy = Export((2, 6, 6), random)
    toy.add(
        "Pad",
        toy.last,
        toy.store(_shape(0, 0, 1, 0, 0, 0, 0, 1), "int64"),
    )
    toy.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    toy.add(
        "AveragePool",
        kernel_shape=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    )
    toy.add("Softplus")
    toy.add("Transpose", perm=[0, 2, 3, 1])
    toy.add("Flatten")
    toy.gemm(32, 3)
    return toy


def curved(random):
    toy = Export((5,), random)
    toy.gemm(5, 6)
    toy.add("Sigmoid")
    toy.gemm(6, 6)
    x = toy.add("Tanh")
    gate = toy.add("Sigmoid", x)
    toy.add("Mul", x, gate)
    x = toy.gemm(6, 6)
    toy.add("Div", x, toy.store(_number(2**0.5)))
    toy.add("Erf")
    toy.add("Add", toy.last, toy.store(_number(1.0)))
    toy.add("Mul", x, toy.last)
    toy.add("Mul", toy.last, toy.store(_number(0.5)))
    toy.gemm(6, 3)
    return toy


def _number(value):
    return np.array(value)


def concatenated(random):
    toy = Export((2, 4, 4), random)
    first = toy.conv(2, 2, (2, 2), strides=[2, 2])
    toy.last = "input"
    second = toy.conv(2, 3, (2, 2), strides=[2, 2])
    toy.add("Concat", first, second, axis=1)
    toy.add("Relu")
    # As `x.view(x.size(0), -1)`.
    x = toy.last
    toy.add("Shape")
    toy.add("Gather", toy.last, toy.store(_number(0), "int64"), axis=0)
    size = toy.add("Unsqueeze", toy.last, toy.store(_shape(0), "int64"))
    toy.add("Concat", size, toy.store(_shape(-1), "int64"), axis=0)
    toy.add("Reshape", x, toy.last)
    toy.gemm(20, 3)
    return toy


def multiplied(random):
    toy = Export((1, 4), random)
    toy.add("MatMul", toy.last, toy.store((4, 5)))
    toy.add("Add", toy.store((5,)), toy.last)
    toy.add("Relu")
    toy.add("Squeeze", toy.last, toy.store(_shape(1), "int64"))
    toy.add("MatMul", toy.last, toy.store((5, 3)))
    toy.add("Mul", toy.last, toy.store(_number(2.0)))
    toy.add("Add", toy.last, toy.store((1, 3)))
    toy.add("Sub", toy.store((3,)), toy.last)
    return toy


TOYS = (
    dense_relu,
    convolution,
    normalised,
    residual,
    normalised_batch,
    max_pooled,
    average_pooled,
    curved,
    concatenated,
    multiplied,
)
