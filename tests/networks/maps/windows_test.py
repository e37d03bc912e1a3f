"""Tests of tfcurv.networks.maps.windows: the same as with whole layers."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from tfcurv import networks
from tfcurv.networks.maps import windows

_SAMPLE = (14, 12, 4)


def _convolution(height, width, inputs=4, shape=_SAMPLE, **settings):
    kernel = np.random.default_rng(height * width).normal(
        size=(height, width, inputs, 3)
    )
    return networks.Convolution(kernel=kernel, input_shape=shape, **settings)


_MAPS = {
    "same": _convolution(3, 3, padding="same"),
    "strided": _convolution(3, 3, strides=2, padding=((1, 0), (2, 1))),
    "uneven": _convolution(5, 4, strides=(2, 3)),
    "gaps": _convolution(2, 2, strides=3),
    "mean": networks.AveragePooling(input_shape=_SAMPLE, pool_size=(2, 3)),
    "pad": networks.Selection.zero_pad(_SAMPLE, ((1, 2), (0, 3), (0, 0))),
    "crop": networks.Selection.crop(_SAMPLE, ((1, 2), (0, 3), (0, 0))),
    "scale": networks.Diagonal(
        scale=np.array([1.0, -2.0, 0.5, 3.0]), input_shape=_SAMPLE
    ),
    "all_alike": networks.Diagonal(scale=np.array(0.3), input_shape=_SAMPLE),
    "several": networks.Composition(
        maps=(
            networks.Diagonal(scale=np.array(0.3), input_shape=_SAMPLE),
            networks.Selection.zero_pad(_SAMPLE, ((2, 1), (1, 1), (0, 0))),
            _convolution(3, 3, shape=(17, 14, 4), strides=2),
        )
    ),
}

_UNKNOWN = {
    "groups": _convolution(3, 3, 1, (8, 8, 3), groups=3),
    "dilated": _convolution(2, 2, dilations=2),
    "one_axis": networks.Convolution(
        kernel=np.ones((3, 2, 3)), input_shape=(8, 2)
    ),
    "places": networks.Diagonal(
        scale=np.arange(1.0, 169.0).reshape(14, 12, 1), input_shape=_SAMPLE
    ),
    "overlapping": networks.AveragePooling(
        input_shape=_SAMPLE, pool_size=3, strides=1
    ),
    "uncounted": networks.AveragePooling(
        input_shape=_SAMPLE, pool_size=5, padding="same"
    ),
    "turned": networks.Selection.permute((5, 5, 2), (1, 0, 2)),
    "dense": networks.Dense(kernel=np.ones((3, 2))),
}


def _windows(shape, extents, count=24):
    """Windows at random places, many across the border."""
    random = np.random.default_rng(0)
    origin = [
        random.integers(1 - extent, size, count)
        for extent, size in zip(extents, shape)
    ]
    values = random.normal(size=(count, *extents, shape[-1]))
    window = windows.Window(
        tf.constant(np.stack(origin, axis=-1), tf.int32), tf.constant(values)
    )
    return windows.cut(window, shape)


class WindowsTest(parameterized.TestCase):
    @parameterized.product(name=tuple(_MAPS), extents=((1, 1), (2, 3), (4, 4)))
    def test_pull_back_as_whole_layers_do(self, name, extents):
        linear = _MAPS[name]
        window = _windows(linear.output_shape, extents)
        found = windows.pulled_back(linear, window)
        np.testing.assert_allclose(
            windows.whole(found, linear.input_shape),
            linear.transpose(windows.whole(window, linear.output_shape)),
            rtol=1e-12,
            atol=1e-12,
        )
        # Outside of the layer they are zero, and not only left out.
        again = windows.cut(found, linear.input_shape)
        np.testing.assert_array_equal(again.values, found.values)

    @parameterized.parameters(*_UNKNOWN)
    def test_say_where_they_cannot(self, name):
        linear = _UNKNOWN[name]
        shape = linear.output_shape
        shape = shape if len(shape) == 3 else (4, 4, 3)
        window = _windows(shape, (2, 2))
        self.assertIsNone(windows.pulled_back(linear, window))

    def test_whole_is_what_loops_write(self):
        window = _windows((5, 6, 2), (3, 4))
        expected = np.zeros((24, 5, 6, 2))
        for row, (top, left) in enumerate(window.origin.numpy()):
            for i in range(3):
                for j in range(4):
                    if 0 <= top + i < 5 and 0 <= left + j < 6:
                        place = row, top + i, left + j
                        expected[place] = window.values[row, i, j]
        found = windows.whole(window, (5, 6, 2)).numpy()
        np.testing.assert_array_equal(found, expected.reshape(24, -1))

    def test_entries_are_windows_of_one_place(self):
        entry, sizes = tf.range(60), tf.range(1.0, 61.0)
        window = windows.window_of_entry(entry, sizes, (5, 6, 2))
        np.testing.assert_array_equal(
            windows.whole(window, (5, 6, 2)), np.diag(sizes)
        )


if __name__ == "__main__":
    absltest.main()
