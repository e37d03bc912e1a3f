"""Tests of different activations side by side against each by itself."""

from absl.testing import absltest
import numpy as np
import tensorflow as tf

from tfcurv import networks

_FNS = (
    networks.activation("gelu"),
    networks.activation("linear"),
    networks.piecewise_linear("leaky_relu", negative_slope=-3.0),
)


class RangesTest(absltest.TestCase):
    def test_each_block_has_the_ranges_of_its_activation(self):
        blocks = networks.Blocks([networks.Block(fn, 2) for fn in _FNS])
        low = np.random.default_rng(0).standard_normal((5, 6)) - 0.5
        high = low + 1.0
        parts = [
            (
                fn,
                tf.constant(low[:, i : i + 2]),
                tf.constant(high[:, i : i + 2]),
            )
            for fn, i in zip(_FNS, (0, 2, 4))
        ]
        for name in ("value_range_on", "slope_range_on"):
            found = getattr(blocks, name)(tf.constant(low), tf.constant(high))
            each = [getattr(fn, name)(*ends) for fn, *ends in parts]
            for end, ends in zip(found, zip(*each)):
                np.testing.assert_array_equal(end, np.hstack(ends))
        steepest = blocks.steepest_on(tf.constant(low), tf.constant(high))
        each = [fn.steepest_on(*ends) for fn, *ends in parts]
        np.testing.assert_array_equal(steepest, np.max(each, axis=0))
        self.assertGreater(np.min(steepest), 1.0 - 1e-12)


if __name__ == "__main__":
    absltest.main()
