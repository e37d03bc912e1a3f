"""Convolutions written down entry by entry, and checks against matrices."""

import itertools

import numpy as np


def convolution_matrix(kernel, sizes, strides, pairs, dilations, groups):
    """Returns `[inputs, outputs]` of a 2-d convolution, by its definition."""
    height, width, inputs, outputs = kernel.shape
    extents = [
        (size + sum(pair) - (taps - 1) * d - 1) // stride + 1
        for size, taps, stride, pair, d in zip(
            sizes, (height, width), strides, pairs, dilations
        )
    ]
    shape = (*sizes, groups, inputs, *extents, groups, outputs // groups)
    matrix = np.zeros(shape)
    split = kernel.reshape(height, width, inputs, groups, -1)
    for place in itertools.product(*map(range, extents)):
        for tap in itertools.product(range(height), range(width)):
            at = [
                o * s + t * d - pair[0]
                for o, s, t, d, pair in zip(
                    place, strides, tap, dilations, pairs
                )
            ]
            if all(0 <= a < size for a, size in zip(at, sizes)):
                for g in range(groups):
                    matrix[(*at, g, slice(None), *place, g)] = split[tap][:, g]
    return matrix.reshape(np.prod(shape[:4]), -1)


def norm(matrix) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False)[0])


def check(test, linear_map, matrix, *, is_simple=True, slack=1e-6):
    """Checks everything that a linear map says of itself.

    Args:
        test: The test case.
        linear_map: What is tested.
        matrix: `[inputs, outputs]` what it is.
        is_simple: Whether absolute values are exact.
        slack: How loose the norm may be, relative.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, matrix.shape[0]))
    v = rng.standard_normal((2, matrix.shape[1]))
    test.assertEqual((linear_map.inputs, linear_map.outputs), matrix.shape)
    close = {"rtol": 1e-12, "atol": 1e-12 * max(1.0, np.abs(matrix).max())}
    np.testing.assert_allclose(linear_map.apply(x), x @ matrix, **close)
    np.testing.assert_allclose(linear_map.transpose(v), v @ matrix.T, **close)
    np.testing.assert_allclose(linear_map.materialise(), matrix, **close)
    size = np.abs(matrix)
    there = linear_map.absolute(np.abs(x)).numpy()
    back = linear_map.absolute_transpose(np.abs(v)).numpy()
    if is_simple:
        np.testing.assert_allclose(there, np.abs(x) @ size, **close)
        np.testing.assert_allclose(back, np.abs(v) @ size.T, **close)
    test.assertTrue(np.all(there >= np.abs(x) @ size - 1e-12))
    test.assertTrue(np.all(back >= np.abs(v) @ size.T - 1e-12))
    single = linear_map.apply(x.astype(np.float32))
    test.assertEqual(single.dtype.name, "float32")
    np.testing.assert_allclose(single, x @ matrix, rtol=1e-3, atol=1e-3)
    check_bounds(test, linear_map, matrix, slack=slack)


def check_bounds(test, linear_map, matrix, *, slack=1e-6):
    """Checks the bounds on the norms of a linear map."""
    exact = norm(matrix)
    bound = linear_map.norm_upper_bound()
    test.assertGreaterEqual(bound, exact * (1.0 - 1e-14))
    test.assertLessEqual(bound, exact * (1.0 + slack) + 1e-60)
    columns = np.linalg.norm(matrix, axis=0)
    test.assertTrue(np.all(linear_map.column_norms >= columns * (1 - 1e-15)))
    test.assertTrue(
        np.all(linear_map.column_norms <= columns * (1 + slack) + 1e-60)
    )
    frobenius = linear_map.frobenius_norm_upper_bound()
    test.assertGreaterEqual(frobenius, np.linalg.norm(matrix) * (1 - 1e-14))
    test.assertLessEqual(
        frobenius, np.linalg.norm(matrix) * (1 + slack) + 1e-60
    )
