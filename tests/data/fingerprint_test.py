"""Tests of tfcurv.data.fingerprint."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np

from tfcurv.data import Batch
from tfcurv.data import DataFingerprint
from tfcurv.data import read_again
from tfcurv.errors import DataError

_INPUTS = np.linspace(0.0, 1.0, 42, dtype=np.float32).reshape(7, 3, 2)
_LABELS = np.array([0, 1, 2, 0, 1, 2, 0], np.int32)


def _digest(inputs=_INPUTS, labels=_LABELS, size=7):
    fingerprint = DataFingerprint()
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        fingerprint.update(Batch(inputs=inputs[rows], labels=labels[rows]))
    return fingerprint.hexdigest()


def _source(inputs=_INPUTS, labels=_LABELS, size=3):
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        yield Batch(inputs=inputs[rows], labels=labels[rows])


class DataFingerprintTest(parameterized.TestCase):
    # A fixed digest: that of a saved result must stay comparable.
    def test_is_the_same_in_every_version(self):
        self.assertEqual(
            _digest(),
            "f5fd1b1bf327384c1fd59ca23e71c0ff77f023a046e4d894479fca1ab26e3fde",
        )

    @hypothesis.settings(deadline=None)
    @hypothesis.given(st.integers(1, 8))
    def test_does_not_depend_on_the_batch_size(self, size):
        self.assertEqual(_digest(size=size), _digest())

    @parameterized.named_parameters(
        ("the_order", _INPUTS[::-1], _LABELS[::-1]),
        ("the_order_of_the_labels", _INPUTS, _LABELS[::-1]),
        ("a_label", _INPUTS, np.where(np.arange(7) == 3, 2, _LABELS)),
        ("the_last_bit", np.nextafter(_INPUTS, np.float32(2)), _LABELS),
        ("the_dtype", _INPUTS.astype(np.float64), _LABELS),
        ("the_shape", _INPUTS.reshape(7, 6), _LABELS),
        ("the_number", _INPUTS[:6], _LABELS[:6]),
        ("having_data", _INPUTS[:0], _LABELS[:0]),
    )
    def test_depends_on(self, inputs, labels):
        self.assertNotEqual(_digest(inputs, labels.astype(np.int32)), _digest())

    def test_depends_on_the_dtype_even_of_equal_bytes(self):
        zeros = np.zeros((7, 2))
        self.assertNotEqual(
            _digest(zeros), _digest(np.zeros((7, 4), np.float32))
        )

    @parameterized.named_parameters(
        ("strides", np.asfortranarray(_INPUTS)),
        ("byte_order", _INPUTS.astype(">f4")),
    )
    def test_does_not_depend_on_how_memory_holds_the_numbers(self, inputs):
        self.assertEqual(_digest(inputs), _digest())

    @parameterized.named_parameters(
        ("dtype", _INPUTS.astype(np.float64)),
        ("shape", _INPUTS.reshape(7, 6)),
    )
    def test_refuses_a_batch_of_another(self, inputs):
        fingerprint = DataFingerprint()
        fingerprint.update(Batch(inputs=_INPUTS, labels=_LABELS))
        with self.assertRaisesRegex(DataError, "Expected, as in the first"):
            fingerprint.update(Batch(inputs=inputs, labels=_LABELS))

    def test_can_be_read_before_the_end(self):
        fingerprint = DataFingerprint()
        fingerprint.update(Batch(inputs=_INPUTS[:3], labels=_LABELS[:3]))
        self.assertLen(fingerprint.hexdigest(), 64)
        fingerprint.update(Batch(inputs=_INPUTS[3:], labels=_LABELS[3:]))
        self.assertEqual(fingerprint.hexdigest(), _digest())


class ReadAgainTest(parameterized.TestCase):
    def _parts(self, size=3):
        fingerprint, parts = DataFingerprint(), []
        for batch in _source(size=size):
            fingerprint.update(batch)
            parts.append(fingerprint.hexdigest())
        return parts

    def test_gives_the_batches_of_the_first_time(self):
        found = list(read_again(_source(), self._parts()))
        np.testing.assert_array_equal(
            np.concatenate([batch.labels for batch in found]), _LABELS
        )

    @parameterized.named_parameters(
        ("order", _INPUTS[::-1], _LABELS[::-1], "batch 0 differs"),
        (
            "last_batch",
            _INPUTS
            * np.append(np.ones(6), 2.0).reshape(7, 1, 1).astype(np.float32),
            _LABELS,
            "batch 2 differs",
        ),
        ("label", _INPUTS, np.append(_LABELS[:-1], 1), "batch 2 differs"),
        ("fewer", _INPUTS[:6], _LABELS[:6], "2 batches, after 3"),
        ("more", np.tile(_INPUTS, (2, 1, 1)), np.tile(_LABELS, 2), "batch 2"),
    )
    def test_refuses_another(self, inputs, labels, message):
        source = _source(inputs.astype(np.float32), labels.astype(np.int32))
        with self.assertRaisesRegex(DataError, f"read twice.*{message}"):
            list(read_again(source, self._parts()))

    def test_refuses_a_batch_before_it_is_used(self):
        again = read_again(_source(_INPUTS[::-1], _LABELS), self._parts())
        with self.assertRaises(DataError):
            next(again)


if __name__ == "__main__":
    absltest.main()
