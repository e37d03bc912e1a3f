"""Tests of the linear maps that are neither convolutions nor combined."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import keras
import numpy as np
import tensorflow as tf

import linear_map_oracles as oracles
from tfcurv import networks
from tfcurv import solvers
from tfcurv.networks.maps import operator_norms


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


class DenseTest(parameterized.TestCase):
    @parameterized.parameters((5, 3), (3, 5), (1, 4), (4, 1))
    def test_is_its_kernel(self, *shape):
        kernel = _rng().standard_normal(shape)
        oracles.check(self, networks.Dense(kernel=kernel), kernel)

    @parameterized.parameters(-100, 100)
    def test_bounds_scale(self, exponent):
        kernel = _rng().standard_normal((4, 3)) * 10.0**exponent
        oracles.check_bounds(self, networks.Dense(kernel=kernel), kernel)

    @parameterized.parameters(np.nan, np.inf)
    def test_what_is_not_finite_is_not_bounded(self, bad):
        dense = networks.Dense(kernel=np.array([[1.0, bad], [0.0, 2.0]]))
        self.assertEqual(dense.norm_upper_bound(), np.inf)
        self.assertEqual(dense.frobenius_norm_upper_bound(), np.inf)
        self.assertEqual(dense.column_norms[1], np.inf)

    def test_a_norm_is_proved_once_for_each_rigor(self):
        dense = networks.Dense(kernel=_rng().standard_normal((6, 4)))
        proved = dense.norm_upper_bound()
        trusted = dense.norm_upper_bound(solvers.Rigor.FLOAT64)
        self.assertAlmostEqual(proved, trusted, delta=1e-7)
        self.assertEqual(dense.norm_upper_bound(), proved)

    def test_refuses_what_is_no_float64_matrix(self):
        with self.assertRaisesRegex(TypeError, "float64.*list"):
            networks.Dense(kernel=[[1.0]])
        with self.assertRaisesRegex(ValueError, r"kernel\.shape=\(3,\)"):
            networks.Dense(kernel=np.ones(3))
        with self.assertRaisesRegex(ValueError, r"kernel\.shape=\(3, 0\)"):
            networks.Dense(kernel=np.ones((3, 0)))
        with self.assertRaisesRegex(TypeError, "int32"):
            dense = networks.Dense(kernel=np.ones((2, 2)))
            dense.apply(tf.ones([1, 2], tf.int32))


class DiagonalTest(parameterized.TestCase):
    @parameterized.parameters((), (3,), (1, 1), (2, 1), (4, 2, 3), (4, 1, 1))
    def test_broadcasts_as_arrays_do(self, *shape):
        scale = np.asarray(_rng().standard_normal(shape))
        diagonal = networks.Diagonal(scale=scale, input_shape=(4, 2, 3))
        whole = np.broadcast_to(scale, (4, 2, 3)).ravel()
        oracles.check(self, diagonal, np.diag(whole))

    def test_is_a_normalisation(self):
        layer = keras.layers.BatchNormalization(dtype="float64")
        layer.build((None, 3, 2, 4))
        rng = _rng()
        layer.set_weights([rng.uniform(0.5, 2.0, 4) for _ in range(4)])
        gamma, beta, mean, variance = layer.get_weights()
        scale = gamma / np.sqrt(variance + layer.epsilon)
        diagonal = networks.Diagonal(scale=scale, input_shape=(3, 2, 4))
        x = rng.standard_normal((5, 24))
        expected = np.asarray(layer(x.reshape(5, 3, 2, 4), training=False))
        shift = np.tile(beta - mean * scale, 6)
        np.testing.assert_allclose(
            diagonal.apply(x) + shift, expected.reshape(5, 24), atol=1e-12
        )

    @parameterized.parameters(np.nan, -np.inf)
    def test_what_is_not_finite_is_not_bounded(self, bad):
        diagonal = networks.Diagonal(
            scale=np.array([1.0, bad]), input_shape=(3, 2)
        )
        self.assertEqual(diagonal.norm_upper_bound(), np.inf)
        self.assertEqual(diagonal.frobenius_norm_upper_bound(), np.inf)

    @parameterized.parameters((2,), (3, 1), (2, 4, 2, 3))
    def test_refuses_what_does_not_broadcast(self, *shape):
        with self.assertRaisesRegex(ValueError, "scale.shape"):
            networks.Diagonal(scale=np.ones(shape), input_shape=(4, 2, 3))


def _moved(layer, shape) -> np.ndarray:
    """Returns the matrix of a layer of Keras."""
    inputs = int(np.prod(shape))
    rows = np.eye(inputs).reshape(inputs, *shape)
    return np.asarray(layer(rows)).reshape(inputs, -1)


class SelectionTest(parameterized.TestCase):
    def test_cropping(self):
        layer = keras.layers.Cropping2D(((1, 2), (0, 1)), dtype="float64")
        selection = networks.Selection.crop((5, 4, 2), [(1, 2), (0, 1), (0, 0)])
        self.assertEqual(selection.output_shape, (2, 3, 2))
        oracles.check(self, selection, _moved(layer, (5, 4, 2)))

    def test_zero_padding(self):
        layer = keras.layers.ZeroPadding2D(((1, 2), (0, 1)), dtype="float64")
        selection = networks.Selection.zero_pad(
            (2, 3, 2), [(1, 2), (0, 1), (0, 0)]
        )
        self.assertEqual(selection.output_shape, (5, 4, 2))
        oracles.check(self, selection, _moved(layer, (2, 3, 2)))

    def test_permutation(self):
        layer = keras.layers.Permute((3, 1, 2), dtype="float64")
        selection = networks.Selection.permute((2, 3, 4), (2, 0, 1))
        self.assertEqual(selection.output_shape, (4, 2, 3))
        oracles.check(self, selection, _moved(layer, (2, 3, 4)))

    def test_padding_is_the_transpose_of_cropping(self):
        pairs = [(1, 0), (2, 1)]
        pad = networks.Selection.zero_pad((3, 2), pairs)
        crop = networks.Selection.crop(pad.output_shape, pairs)
        v = tf.constant(_rng().standard_normal((2, pad.outputs)))
        np.testing.assert_array_equal(pad.transpose(v), crop.apply(v))

    def test_what_is_left_out_may_be_infinite(self):
        selection = networks.Selection.crop((3,), [(1, 0)])
        found = selection.apply(np.array([[np.inf, 1.0, 2.0]]))
        np.testing.assert_array_equal(found, [[1.0, 2.0]])
        back = selection.transpose(np.array([[1.0, 2.0]]))
        np.testing.assert_array_equal(back, [[0.0, 1.0, 2.0]])

    def test_nothing_selected_has_norm_zero(self):
        selection = networks.Selection(
            index=np.array([-1, -1]), input_shape=(3,), output_shape=(2,)
        )
        self.assertEqual(selection.norm_upper_bound(), 0.0)

    @parameterized.parameters(
        ([0, 0],), ([0, 3],), ([-2, 0],), ([0, 1, 2],), ([0.0, 1.0],)
    )
    def test_refuses_what_is_no_selection(self, index):
        with self.assertRaisesRegex(ValueError, "index"):
            networks.Selection(
                index=np.array(index), input_shape=(3,), output_shape=(2,)
            )

    def test_refuses_wrong_arguments(self):
        with self.assertRaisesRegex(ValueError, r"pairs=\(\(1, 1\),\)"):
            networks.Selection.crop((3, 3), [(1, 1)])
        with self.assertRaisesRegex(ValueError, "pairs"):
            networks.Selection.zero_pad((3,), [(-1, 1)])
        with self.assertRaisesRegex(ValueError, "output_shape"):
            networks.Selection.crop((5,), [(0, 7)])
        with self.assertRaisesRegex(ValueError, r"axes=\(1, 2\)"):
            networks.Selection.permute((3, 3), (1, 2))


class IdentityTest(absltest.TestCase):
    def test_is_the_identity(self):
        identity = networks.Identity(input_shape=(2, 3), output_shape=(6,))
        oracles.check(self, identity, np.eye(6))
        self.assertEqual(identity.norm_upper_bound(), 1.0)

    def test_refuses_another_size(self):
        with self.assertRaisesRegex(ValueError, r"output_shape=\(5,\)"):
            networks.Identity(input_shape=(2, 3), output_shape=(5,))


_NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def _matrices(draw):
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    size = shape[0] * shape[1]
    numbers = draw(st.lists(_NUMBERS, min_size=size, max_size=size))
    return np.asarray(numbers).reshape(shape)


class OperatorNormsTest(absltest.TestCase):
    @hypothesis.settings(max_examples=60)
    @hypothesis.given(_matrices())
    def test_bounds_from_products_alone(self, kernel):
        dense = networks.Dense(kernel=kernel)
        exact = oracles.norm(kernel)
        size = float(np.abs(kernel).max())
        schur = operator_norms.schur_norm_upper_bound(dense)
        self.assertGreaterEqual(
            schur, oracles.norm(np.abs(kernel)) * (1 - 1e-14)
        )
        gram = operator_norms.gram_norm_upper_bound(dense)
        self.assertGreaterEqual(gram, exact * (1.0 - 1e-14))
        self.assertLessEqual(gram, exact * (1.0 + 1e-7) + 1e-7 * size + 1e-60)
        columns = operator_norms.column_norms_upper_bound(dense)
        self.assertTrue(
            np.all(columns >= np.linalg.norm(kernel, axis=0) * (1 - 1e-15))
        )

    def test_a_gram_matrix_is_made_in_chunks(self):
        kernel = _rng().standard_normal((7, 9))
        dense = networks.Dense(kernel=kernel)
        chunk, operator_norms._CHUNK = operator_norms._CHUNK, 18
        try:
            found = operator_norms.gram_norm_upper_bound(dense)
        finally:
            operator_norms._CHUNK = chunk
        self.assertAlmostEqual(found, oracles.norm(kernel), delta=1e-7)

    def test_least_ignores_what_is_nan(self):
        self.assertEqual(operator_norms.least(np.nan, 2.0, 3.0), 2.0)
        self.assertEqual(operator_norms.least(np.nan), np.inf)

    def test_products_neither_vanish_nor_turn_to_nan(self):
        self.assertGreater(operator_norms.product([1e-200, 1e-200]), 0.0)
        self.assertEqual(operator_norms.product([1e200, 1e200]), np.inf)
        self.assertEqual(operator_norms.product([0.0, 1e200, 1e200]), 0.0)
        self.assertEqual(operator_norms.product([0.0, np.inf]), np.inf)

    def test_scaling_back_rounds_up(self):
        self.assertGreaterEqual(operator_norms.scaled_back(1.0, -1074), 5e-324)
        self.assertGreater(operator_norms.scaled_back(1.0, -1080), 0.0)
        self.assertEqual(operator_norms.scaled_back(1.0, 1030), np.inf)
        self.assertEqual(operator_norms.scaled_back(0.0, 1030), 0.0)


if __name__ == "__main__":
    absltest.main()
