"""Tests of tfcurv.data.inputs."""

import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv.data import PixelRangeWarning
from tfcurv.data import inputs as inputs_lib
from tfcurv.errors import DataError


class CastInputsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("bytes", np.uint8, np.float32),
        ("int64", np.int64, np.float32),
        ("float16", np.float16, np.float32),
        ("bfloat16", tf.bfloat16.as_numpy_dtype, np.float32),
        ("float32", np.float32, np.float32),
        ("float64", np.float64, np.float64),
        ("float64_of_another_machine", np.dtype(">f8"), np.float64),
    )
    def test_keeps_the_values(self, dtype, expected):
        cast = inputs_lib.cast_inputs(np.array([[0, 1, 255]], dtype))
        self.assertEqual(cast.dtype, expected)
        np.testing.assert_array_equal(cast, [[0.0, 1.0, 255.0]])

    @parameterized.parameters(bool, np.complex64, object, "U3", np.longdouble)
    def test_refuses_what_is_no_number_of_float_range(self, dtype):
        with self.assertRaisesRegex(DataError, "Received: dtype="):
            inputs_lib.cast_inputs(np.zeros((1, 2), dtype))

    @parameterized.parameters(2**24 + 1, -(2**24) - 1, -(2**63))
    def test_refuses_integers_that_float32_would_round(self, value):
        with self.assertRaisesRegex(DataError, f"magnitude {abs(value)}"):
            inputs_lib.cast_inputs(np.array([value], np.int64))

    def test_takes_the_largest_exact_integers(self):
        extremes = np.array([2**24, -(2**24)])
        cast = inputs_lib.cast_inputs(extremes)
        np.testing.assert_array_equal(cast.astype(np.int64), extremes)

    def test_copies_nothing_that_is_fit_already(self):
        inputs = np.zeros((2, 3), np.float32)
        self.assertIs(inputs_lib.cast_inputs(inputs), inputs)


class FitImageShapeTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("flat", (4, 6, 3), (72,)),
        ("flat_with_a_channel", (4, 6, 3), (72, 1)),
        ("without_the_channel", (4, 6, 1), (4, 6)),
        ("channels_first_of_one", (4, 6, 1), (1, 4, 6)),
        ("unchanged", (4, 6, 3), (4, 6, 3)),
    )
    def test_keeps_the_order_of_the_pixels(self, image_shape, input_shape):
        images = np.arange(2 * np.prod(image_shape)).reshape(2, *image_shape)
        fitted = inputs_lib.fit_image_shape(images, input_shape)
        self.assertEqual(fitted.shape, (2, *input_shape))
        np.testing.assert_array_equal(fitted.ravel(), images.ravel())

    @parameterized.named_parameters(
        ("channels_first", (3, 4, 6)),
        ("transposed", (6, 4, 3)),
        ("too_few", (71,)),
        ("open_length", (None, 6, 3)),
    )
    def test_leaves_alone_what_it_would_scramble(self, input_shape):
        images = np.zeros((2, 4, 6, 3))
        fitted = inputs_lib.fit_image_shape(images, input_shape)
        self.assertIs(fitted, images)


class PixelRangeCheckTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("bytes", np.array([[0, 255]], np.uint8)),
        ("integers", np.array([[0, 2]], np.int64)),
        ("bytes_as_floats", np.array([[0.0, 254.0]], np.float32)),
    )
    def test_warns_of_pixels_that_look_like_bytes(self, inputs):
        with self.assertWarnsRegex(PixelRangeWarning, "divide .* by 255"):
            inputs_lib.PixelRangeCheck(enabled=True).look(inputs)

    @parameterized.named_parameters(
        ("unit_pixels", np.array([[0.0, 0.5, 1.0]])),
        ("black_and_white_bytes", np.array([[0, 1]], np.uint8)),
        ("standardised_pixels", np.array([[-3.0, 3.0]])),
        ("fractions", np.array([[0.0, 3.5]])),
        ("large_numbers", np.array([[0.0, 1000.0]])),
        ("infinity", np.array([[0.0, np.inf]])),
        ("not_a_number", np.array([[3.0, np.nan]])),
        ("nothing", np.zeros((0, 3))),
    )
    def test_is_silent_about_others(self, inputs):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            inputs_lib.PixelRangeCheck(enabled=True).look(inputs)

    def test_looks_only_once_and_only_if_enabled(self):
        enabled = inputs_lib.PixelRangeCheck(enabled=True)
        enabled.look(np.array([[0.5]]))
        disabled = inputs_lib.PixelRangeCheck(enabled=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            enabled.look(np.array([[255]]))
            disabled.look(np.array([[255]]))


if __name__ == "__main__":
    absltest.main()
