"""Tests of ONNX models as models of Keras: against onnxruntime."""

import functools
import pathlib
from unittest import mock

from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf

import onnx_toys
import tfcurv
from tfcurv import errors
from tfcurv import nn
from tfcurv.nn.onnx import activations
from tfcurv.nn.onnx import agreement
from tfcurv.nn.onnx import optional
from tfcurv.nn.onnx import reading
from tfcurv.nn.onnx import shapes

_TOYS = {toy.__name__: toy for toy in onnx_toys.TOYS}


def _named(toys):
    return [(name, toy) for name, toy in toys.items()]


def _inputs(shape, count=3):
    random = np.random.default_rng(7)
    return random.uniform(-1.0, 1.0, (count, *shape)).astype(np.float32)


def _expected(path, x, fixed):
    if not fixed:
        return onnx_toys.run(path, x)
    return np.concatenate([onnx_toys.run(path, row[None]) for row in x])


def _relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


class _ReadingTest(tf.test.TestCase, parameterized.TestCase):
    def export(self, toy, **settings):
        return toy.save(self.create_tempdir().full_path, **settings)

    def toy(self, name):
        toy = _TOYS[name](np.random.default_rng(1))
        return toy, self.export(toy)

    def grown(self, shape, kind, *inputs, opset=17, **settings):
        """An export of one node behind the input, and numbers."""
        toy = onnx_toys.Export(shape, np.random.default_rng(2), opset=opset)
        stored = [
            each if isinstance(each, str) else toy.store(*each)
            for each in inputs
        ]
        toy.add(kind, *(stored or [toy.last]), **settings)
        return toy


class AgreementTest(_ReadingTest):
    @parameterized.named_parameters(_named(_TOYS))
    def test_computes_what_onnxruntime_does(self, build):
        toy, path = self.toy(build.__name__)
        x = _inputs(toy.shape)
        expected = _expected(path, x, toy.batch == 1)
        model = tfcurv.from_onnx(path)
        self.assertEqual(model.input_shape[1:], toy.shape)
        self.assertLess(_relative(model(x).numpy(), expected), 1e-5)
        self.assertEmpty(tfcurv.check(model))

    @parameterized.parameters("convolution", "residual", "average_pooled")
    def test_takes_images_of_keras_where_that_is_asked_for(self, name):
        toy, path = self.toy(name)
        x = _inputs(toy.shape)
        model = nn.read_model(path)
        found = model(x.transpose(0, 2, 3, 1)).numpy()
        expected = _expected(path, x, toy.batch == 1)
        self.assertLess(_relative(found, expected), 1e-5)

    def test_is_saved_and_trained_as_models_of_keras_are(self):
        toy, path = self.toy("residual")
        x = _inputs(toy.shape)
        model = tfcurv.from_onnx(path)
        saved = self.create_tempdir().full_path + "/model.keras"
        model.save(saved)
        expected = model(x).numpy()
        self.assertAllEqual(nn.read_model(saved)(x), expected)
        trained = tfcurv.from_keras(model)
        self.assertAllClose(trained(x), expected, rtol=1e-5)
        self.assertLen(trained.trainable_variables, 8)

    def test_has_the_certificates_of_the_same_keras_model(self):
        toy, path = self.toy("convolution")
        model = tfcurv.from_onnx(path)
        kernel, bias, dense, last = model.get_weights()
        by_hand = keras.Sequential(
            [
                keras.Input((6, 5, 3)),
                keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(4),
            ]
        )
        # ONNX flattens channels first.
        moved = dense.reshape(4, 6, 5, 4).transpose(1, 2, 0, 3)
        by_hand.set_weights([kernel, bias, moved.reshape(dense.shape), last])
        x = _inputs(toy.shape)
        labels = np.argmax(model(x), axis=-1)
        radii = [
            tfcurv.certify(
                each, (rows, labels), method="ibp", norm="linf", verbose=0
            ).radii
            for each, rows in (
                (model, x),
                (by_hand, x.transpose(0, 2, 3, 1)),
            )
        ]
        self.assertAllClose(*radii, rtol=1e-6)
        self.assertAllGreater(radii[0], 0.0)

    @parameterized.parameters(
        ("LeakyRelu", {}),
        ("Elu", {"alpha": 0.5}),
        ("Selu", {}),
        ("HardSigmoid", {"alpha": 1.0 / 6.0}),
        ("HardSwish", {}),
        ("Softsign", {}),
        ("Abs", {}),
        ("Neg", {}),
    )
    def test_applies_functions_to_each_element(self, kind, settings):
        self.assert_reads(self.grown((5,), kind, **settings))

    @parameterized.parameters((0.0, 6.0), (0.0, 2.5), (-1.0, 1.0))
    def test_clips(self, low, high):
        ends = (np.array(low),), (np.array(high),)
        self.assert_reads(self.grown((5,), "Clip", "input", *ends))

    def test_computes_gelu_and_one_slope_for_all(self):
        self.assert_reads(self.grown((5,), "Gelu", opset=20))
        self.assert_reads(
            self.grown((5,), "PRelu", "input", (np.array([0.3]),))
        )

    @parameterized.parameters(
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"pads": [0, 1, 2, 0]},
        {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
        {"strides": [2, 1]},
    )
    def test_convolves_with_any_padding(self, **settings):
        toy = onnx_toys.Export((2, 7, 6), np.random.default_rng(3))
        toy.conv(2, 4, (3, 2), group=2, **settings)
        toy.add("Flatten")
        self.assert_reads(toy)

    def test_convolves_and_pools_sequences(self):
        toy = onnx_toys.Export((2, 9), np.random.default_rng(3))
        toy.conv(2, 4, (3,), pads=[1, 1])
        toy.add("MaxPool", kernel_shape=[2], strides=[2])
        toy.conv(4, 4, (2,), group=4)
        toy.add("ReduceMean", axes=[2], keepdims=0)
        self.assert_reads(toy)

    def test_multiplies_by_gemm_as_it_is_told_to(self):
        weights = ((5, 4),), (np.array(0.25),)
        settings = {"alpha": 2.0, "beta": 4.0}
        self.assert_reads(
            self.grown((5,), "Gemm", "input", *weights, **settings)
        )

    def test_reads_sums_and_differences_of_tensors(self):
        toy = onnx_toys.Export((3,), np.random.default_rng(4))
        x = toy.gemm(3, 3)
        y = toy.add("Tanh")
        toy.add("Sub", x, y)
        toy.add("Sum", toy.last, y, x)
        self.assert_reads(toy)

    def assert_reads(self, toy):
        path = self.export(toy)
        x = 3.0 * _inputs(toy.shape)
        found = tfcurv.from_onnx(path)(x).numpy()
        self.assertLess(_relative(found, onnx_toys.run(path, x)), 1e-5)


class CheckTest(_ReadingTest):
    """What is read is compared with what was given."""

    def test_finds_a_function_that_is_another(self):
        _, path = self.toy("dense_relu")
        wrong = {"Relu": activations.READERS["Softplus"]}
        with mock.patch.dict(reading._READERS, wrong):
            with self.assertRaisesRegex(errors.UnsupportedModelError, "apart"):
                tfcurv.from_onnx(path)

    def test_finds_it_without_onnxruntime(self):
        _, path = self.toy("convolution")
        without = mock.patch.object(
            optional, "import_onnxruntime", return_value=None
        )
        wrong = {"Relu": activations.READERS["Tanh"]}
        with without:
            tfcurv.from_onnx(path)
            with mock.patch.dict(reading._READERS, wrong):
                with self.assertRaisesRegex(
                    errors.UnsupportedModelError, "does not compute"
                ):
                    tfcurv.from_onnx(path)

    def test_finds_a_flatten_in_another_order(self):
        _, path = self.toy("convolution")

        def as_keras(node):
            tensor = node.value(0).with_channels_last
            return shapes.values.in_order(keras.layers.Flatten()(tensor))

        with mock.patch.dict(reading._READERS, {"Flatten": as_keras}):
            with self.assertRaisesRegex(errors.UnsupportedModelError, "apart"):
                tfcurv.from_onnx(path)

    def test_a_number_that_is_none_differs(self):
        toy, path = self.toy("dense_relu")
        model = tfcurv.from_onnx(path)
        weights = model.get_weights()
        model.set_weights([*weights[:-1], np.full(3, np.nan)])
        with self.assertRaisesRegex(errors.UnsupportedModelError, "apart"):
            agreement.check(toy.model(), model, False, path)


class RefusalTest(_ReadingTest):
    def assert_refuses(self, toy, *words, **settings):
        path = self.export(toy, **settings)
        with self.assertRaises(errors.UnsupportedModelError) as caught:
            tfcurv.from_onnx(path)
        for word in words:
            self.assertIn(word, str(caught.exception))

    @parameterized.parameters(
        ("Softmax", {}, "compare logits"),
        ("Sin", {}, "nothing is known"),
        ("HardSigmoid", {}, "alpha"),
        ("Transpose", {"perm": [1, 0]}, "batch"),
        ("Flatten", {"axis": 0}, "batch"),
    )
    def test_names_the_node_and_the_way_out(self, kind, settings, word):
        toy = self.grown((5,), kind, **settings)
        self.assert_refuses(
            toy, f"'/{kind}_1'", kind, word, "Remedy", "Supported"
        )

    @parameterized.parameters(
        ("Conv", {"strides": [2, 2], "dilations": [2, 2]}, "dilated"),
        ("MaxPool", {"pads": [1, 0, 0, 1]}, "negative"),
        ("AveragePool", {"pads": [1, 0, 0, 1]}, "count_include_pad"),
        ("AveragePool", {"strides": [4, 4], "ceil_mode": 1}, "ceil_mode"),
        ("Pad", {"mode": "reflect"}, "mode"),
    )
    def test_windows_that_keras_lacks(self, kind, settings, word):
        toy = onnx_toys.Export((1, 7, 7), np.random.default_rng(0))
        inputs = [toy.last]
        if kind == "Conv":
            inputs.append(toy.store((1, 1, 2, 2)))
        elif kind == "Pad":
            pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
            inputs.append(toy.store(pads, "int64"))
        else:
            settings = {"kernel_shape": [2, 2], **settings}
        toy.add(kind, *inputs, **settings)
        self.assert_refuses(toy, f"/{kind}_1", word)

    def test_products_of_two_tensors(self):
        toy = onnx_toys.Export((3,), np.random.default_rng(0))
        toy.add("Mul", "input", toy.add("Relu"))
        self.assert_refuses(toy, "/Mul_2", "sums and differences")

    def test_gelu_by_tanh_and_ranges_that_keras_lacks(self):
        toy = self.grown((3,), "Gelu", opset=20, approximate="tanh")
        self.assert_refuses(toy, "approximate")
        ends = (np.array(0.5),), (np.array(1.0),)
        self.assert_refuses(self.grown((3,), "Clip", "input", *ends), "[0.5")

    def test_constants_that_differ_between_samples(self):
        toy = onnx_toys.Export((3,), np.random.default_rng(0), batch=2)
        toy.add("Add", "input", toy.store((2, 3)))
        self.assert_refuses(toy, "and to no batch")

    def test_other_domains_and_several_ends(self):
        toy = self.grown((3,), "Relu", domain="com.example")
        path = self.create_tempdir().full_path + "/toy.onnx"
        pathlib.Path(path).write_bytes(toy.model().SerializeToString())
        with self.assertRaises(errors.UnsupportedModelError):
            tfcurv.from_onnx(path)
        toy = self.grown((3,), "Relu")
        model = toy.model()
        model.graph.output.append(model.graph.input[0])
        pathlib.Path(path).write_bytes(model.SerializeToString())
        with self.assertRaisesRegex(errors.UnsupportedModelError, "2 outputs"):
            tfcurv.from_onnx(path)

    def test_weights_that_float32_does_not_hold(self):
        def double(array):
            toy = onnx_toys.Export((2,), np.random.default_rng(0))
            weights = toy.store(array, "float64")
            toy.add("MatMul", toy.last, weights)
            return toy

        held = self.export(double(np.array([[0.5], [2.0]])), double=True)
        self.assertAllEqual(tfcurv.from_onnx(held)(np.ones((1, 2))), [[2.5]])
        self.assert_refuses(
            double(np.array([[0.1], [2.0]])), "/MatMul_1", double=True
        )

    def test_files_that_are_none(self):
        path = self.create_tempdir().full_path + "/toy.onnx"
        with self.assertRaises(FileNotFoundError):
            tfcurv.from_onnx(path)
        pathlib.Path(path).write_bytes(b"no model")
        with self.assertRaisesRegex(errors.UnsupportedModelError, "valid"):
            tfcurv.from_onnx(path)

    def test_says_which_extra_is_missing(self):
        _, path = self.toy("dense_relu")
        with mock.patch.dict("sys.modules", {"onnx": None}):
            with self.assertRaisesRegex(ImportError, r"tfcurv\[onnx\]"):
                tfcurv.from_onnx(path)


class GateTest(_ReadingTest):
    """What PyTorch exports in several nodes."""

    @parameterized.parameters("Sigmoid", "HardSigmoid", "Softplus")
    def test_reads_products_with_gates(self, kind):
        toy = onnx_toys.Export((6,), np.random.default_rng(5))
        x = toy.gemm(6, 6)
        settings = {"alpha": 1.0 / 6.0} if kind == "HardSigmoid" else {}
        gate = toy.add(kind, x, **settings)
        if kind == "Softplus":
            gate = toy.add("Tanh", gate)
        toy.add("Mul", gate, x)
        path = self.export(toy)
        x = 3.0 * _inputs(toy.shape)
        found = tfcurv.from_onnx(path)(x).numpy()
        self.assertLess(_relative(found, onnx_toys.run(path, x)), 1e-5)

    @parameterized.parameters(
        (0.5**0.5, 1.0, 0.5, True),
        (0.6, 1.0, 0.5, False),
        (0.5**0.5, 2.0, 0.5, False),
        (0.5**0.5, 1.0, 0.25, False),
    )
    def test_takes_nothing_else_for_gelu(self, scale, one, half, is_gelu):
        toy = onnx_toys.Export((6,), np.random.default_rng(5))
        number = functools.partial(_number, toy)
        toy.add("Mul", "input", number(scale))
        toy.add("Erf")
        total = toy.add("Add", number(one), toy.last)
        scaled = toy.add("Mul", "input", number(half))
        toy.add("Mul", scaled, total)
        path = self.export(toy)
        if is_gelu:
            x = 3.0 * _inputs(toy.shape)
            found = tfcurv.from_onnx(path)(x).numpy()
            self.assertLess(_relative(found, onnx_toys.run(path, x)), 1e-5)
        else:
            with self.assertRaisesRegex(errors.UnsupportedLayerError, "Erf"):
                tfcurv.from_onnx(path)


def _number(toy, value):
    return toy.store(np.array(value))


if __name__ == "__main__":
    tf.test.main()
