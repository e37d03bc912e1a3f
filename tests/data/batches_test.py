"""Tests of tfcurv.data.batches and tfcurv.data.stream."""

import dataclasses
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from tfcurv import data
from tfcurv.errors import DataError
from tfcurv.errors import UnknownDatasetError

_NUM_CLASSES = 5
_INPUTS = np.arange(66, dtype=np.float32).reshape(11, 2, 3)
_LABELS = np.arange(11) % _NUM_CLASSES


def _batches(source, **changes):
    arguments = {
        "input_shape": (2, 3),
        "num_classes": _NUM_CLASSES,
        "batch_size": 4,
    }
    return data.batches(source, **(arguments | changes))


def _dataset(inputs=_INPUTS, labels=_LABELS, size=3, **options):
    examples = tf.data.Dataset.from_tensor_slices((inputs, labels))
    return examples.batch(size, **options)


def _uneven_dataset(pairs, shape=(None, 2, 3)):
    return tf.data.Dataset.from_generator(
        lambda: pairs,
        output_signature=(
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec([None], tf.int64),
        ),
    )


def _always(inputs, labels):
    return tf.size(labels) >= 0


def _never(inputs, labels):
    return tf.size(labels) < 0


_EMPTY_FIRST = [(_INPUTS[:0], _LABELS[:0]), (_INPUTS, _LABELS)]


def _all_of(source):
    parts = list(source)
    return (
        np.concatenate([batch.inputs for batch in parts]),
        np.concatenate([batch.labels for batch in parts]),
    )


_SPLIT = data.Split(
    images=np.linspace(0, 1, 66, dtype=np.float32).reshape(11, 2, 3, 1),
    labels=_LABELS.astype(np.int32),
    name="toys/test",
)


class FormsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("arrays", (_INPUTS, _LABELS)),
        ("a_list_of_lists", [_INPUTS.tolist(), _LABELS.tolist()]),
        ("tensors", (tf.constant(_INPUTS), tf.constant(_LABELS))),
        ("a_dataset", _dataset()),
        ("a_dataset_of_columns", _dataset(labels=_LABELS[:, np.newaxis])),
        ("a_dataset_of_one_hot", _dataset(labels=np.eye(5)[_LABELS])),
    )
    def test_yields_what_it_was_given(self, form):
        source = _batches(form)
        for _ in range(2):  # A source starts afresh at each iteration.
            sizes = [len(batch.labels) for batch in source]
            self.assertEqual(sizes, [4, 4, 3])
            inputs, labels = _all_of(source)
            np.testing.assert_array_equal(inputs, _INPUTS)
            np.testing.assert_array_equal(labels, _LABELS)
            self.assertEqual(labels.dtype, np.int32)

    def test_yields_a_split_in_the_shape_of_the_network(self):
        for shape in ((2, 3, 1), (6,), (2, 3), (None, None, 1)):
            source = _batches(_SPLIT, input_shape=shape)
            inputs, labels = _all_of(source)
            np.testing.assert_array_equal(inputs.ravel(), _SPLIT.images.ravel())
            np.testing.assert_array_equal(labels, _SPLIT.labels)
            self.assertLen(inputs.shape, 1 + len(shape))
        self.assertEqual(source.name, "toys/test")

    def test_yields_the_test_split_of_a_name(self):
        source = _batches("digits", input_shape=(64,), num_classes=10, limit=10)
        expected = data.load_split("digits", "test", limit=10)
        inputs, labels = _all_of(source)
        np.testing.assert_array_equal(inputs, expected.images.reshape(10, 64))
        np.testing.assert_array_equal(labels, expected.labels)
        self.assertEqual(source.name, "digits/test")
        self.assertEqual(source.num_examples, 10)

    def test_knows_the_names(self):
        with self.assertRaisesRegex(UnknownDatasetError, "'digitz'"):
            _batches("digitz")

    @parameterized.named_parameters(
        ("one_array", _INPUTS),
        ("a_triple", (_INPUTS, _LABELS, _LABELS)),
        ("a_dictionary", {"x": _INPUTS, "y": _LABELS}),
        ("nothing", None),
    )
    def test_refuses_other_forms(self, form):
        with self.assertRaisesRegex(DataError, "Received: data of type"):
            _batches(form)

    @parameterized.parameters(np.float32, np.float64)
    def test_keeps_the_float_dtype(self, dtype):
        for form in (
            (_INPUTS.astype(dtype), _LABELS),
            _dataset(_INPUTS.astype(dtype)),
        ):
            inputs, _ = _all_of(_batches(form))
            self.assertEqual(inputs.dtype, dtype)

    def test_casts_integers_and_rescales_nothing(self):
        for form in (
            (_INPUTS.astype(np.uint8), _LABELS),
            _dataset(_INPUTS.astype(np.uint8)),
        ):
            inputs, _ = _all_of(_batches(form))
            self.assertEqual(inputs.dtype, np.float32)
            np.testing.assert_array_equal(inputs, _INPUTS)

    def test_passes_what_is_not_finite(self):
        inputs = np.full((2, 2, 3), np.nan, np.float32)
        inputs[1] = np.inf
        passed, _ = _all_of(_batches((inputs, _LABELS[:2])))
        np.testing.assert_array_equal(passed, inputs)

    def test_a_source_is_frozen(self):
        with self.assertRaises(dataclasses.FrozenInstanceError):
            _batches((_INPUTS, _LABELS)).name = "other"


class SizesTest(parameterized.TestCase):
    @hypothesis.settings(deadline=None, max_examples=25)
    @hypothesis.given(
        st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any),
        st.integers(1, 12),
        st.none() | st.integers(1, 30),
    )
    def test_the_cut_of_a_dataset_changes_nothing(self, cut, size, limit):
        total = sum(cut)
        inputs = np.arange(6 * total, dtype=np.float32).reshape(total, 2, 3)
        labels = np.arange(total) % _NUM_CLASSES
        ends = np.cumsum(cut)[:-1]
        pairs = [
            *zip(np.split(inputs, ends), np.split(labels, ends), strict=True)
        ]
        source = _batches(_uneven_dataset(pairs), batch_size=size, limit=limit)
        sizes = [len(batch.labels) for batch in source]
        expected = total if limit is None else min(total, limit)
        self.assertEqual(sum(sizes), expected)
        self.assertEqual(set(sizes[:-1]) - {size}, set())
        self.assertBetween(sizes[-1], 1, size)
        received = _all_of(source)
        np.testing.assert_array_equal(received[0], inputs[:expected])
        np.testing.assert_array_equal(received[1], labels[:expected])

    @parameterized.named_parameters(
        ("arrays", (_INPUTS, _LABELS), None, 11),
        ("arrays_and_a_limit", (_INPUTS, _LABELS), 7, 7),
        ("arrays_and_a_large_limit", (_INPUTS, _LABELS), 70, 11),
        ("a_split", _SPLIT, None, 11),
        ("a_dataset_of_equal_batches", _dataset(drop_remainder=True), None, 9),
        ("the_same_and_a_limit", _dataset(drop_remainder=True), 5, 5),
        ("a_dataset", _dataset(), None, None),
        ("a_dataset_of_unknown_length", _dataset().filter(_always), None, None),
        ("a_dataset_without_end", _dataset().repeat(), 25, 25),
    )
    def test_knows_the_number_of_examples(self, form, limit, expected):
        shape = (2, 3, 1) if form is _SPLIT else (2, 3)
        source = _batches(form, limit=limit, input_shape=shape)
        self.assertEqual(source.num_examples, expected)
        if expected is not None:
            self.assertLen(_all_of(source)[1], expected)

    def test_reads_no_further_than_the_limit(self):
        def pairs():
            yield _INPUTS[:5], _LABELS[:5]
            raise RuntimeError("read too far")

        examples = tf.data.Dataset.from_generator(
            pairs,
            output_signature=(
                tf.TensorSpec([None, 2, 3], tf.float32),
                tf.TensorSpec([None], tf.int64),
            ),
        )
        inputs, _ = _all_of(_batches(examples, limit=5))
        np.testing.assert_array_equal(inputs, _INPUTS[:5])

    def test_streams_a_dataset_without_holding_it(self):
        # Four terabytes, if it were held.
        large = tf.data.Dataset.range(20_000).map(
            lambda i: (tf.ones([64, 512, 512, 3]), tf.zeros([64], tf.int64))
        )
        source = _batches(large, input_shape=(512, 512, 3), batch_size=48)
        first = next(iter(source))
        self.assertLen(first.labels, 48)
        self.assertEqual(source.num_examples, 1_280_000)

    def test_refuses_a_dataset_without_end(self):
        with self.assertRaisesRegex(DataError, "never ends"):
            _batches(_dataset().repeat())

    @parameterized.parameters("batch_size", "limit", "num_classes")
    def test_refuses_sizes_that_are_not_positive(self, name):
        for value in (0, -1, 2.0):
            with self.assertRaisesRegex(ValueError, f"{name}={value}"):
                _batches((_INPUTS, _LABELS), **{name: value})


class ErrorsTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("integer_labels", _LABELS),
        ("one_hot_labels", np.eye(5)[_LABELS]),
    )
    def test_asks_for_batches_of_a_dataset(self, labels):
        examples = tf.data.Dataset.from_tensor_slices((_INPUTS, labels))
        with self.assertRaisesRegex(DataError, r"\.batch\(size\)"):
            _batches(examples)

    def test_asks_for_batches_of_a_dataset_of_unknown_shape(self):
        examples = tf.data.Dataset.from_generator(
            lambda: zip(_INPUTS, _LABELS, strict=True),
            output_types=(tf.float32, tf.int64),
        )
        with self.assertRaisesRegex(DataError, r"\.batch\(size\)"):
            list(_batches(examples))

    @parameterized.named_parameters(
        ("inputs_alone", lambda x, y: x),
        ("sample_weights", lambda x, y: (x, y, y)),
        ("a_dictionary", lambda x, y: {"image": x, "label": y}),
        ("two_inputs", lambda x, y: ((x, x), y)),
        ("sparse_labels", lambda x, y: (x, tf.sparse.from_dense(y))),
    )
    def test_refuses_elements_that_are_no_pairs(self, element):
        with self.assertRaisesRegex(DataError, "element_spec="):
            _batches(_dataset().map(element))

    @parameterized.named_parameters(
        ("arrays", (_INPUTS, _LABELS)),
        ("a_dataset", _dataset()),
        ("a_split", _SPLIT),
    )
    def test_names_the_received_and_the_expected_shape(self, form):
        message = r"Received: .*, 2, 3.*Expected: \(None, 3, 2\)"
        with self.assertRaisesRegex(DataError, message):
            _batches(form, input_shape=(3, 2))

    def test_does_not_reshape_what_is_not_known_to_be_an_image(self):
        with self.assertRaisesRegex(DataError, r"Expected: \(None, 6\)"):
            _batches((_INPUTS, _LABELS), input_shape=(6,))

    def test_checks_shapes_that_only_the_data_tell(self):
        pairs = [(np.zeros((2, 3, 2), np.float32), _LABELS[:2])]
        unknown = _uneven_dataset(pairs, shape=None)
        with self.assertRaisesRegex(DataError, r"Received: .*\(2, 3, 2\)"):
            list(_batches(unknown))

    def test_refuses_inputs_of_differing_shapes(self):
        pairs = [
            (np.zeros((2, side, side), np.float32), _LABELS[:2])
            for side in (4, 5)
        ]
        dataset = _uneven_dataset(pairs, shape=(None, None, None))
        with self.assertRaisesRegex(DataError, r"Received: .*\(2, 5, 5\)"):
            list(_batches(dataset, input_shape=(None, None)))

    @parameterized.named_parameters(
        ("arrays", (_INPUTS, _LABELS[:10])),
        ("arrays_and_a_limit", (_INPUTS, _LABELS[:10]), 3),
        ("a_dataset", _uneven_dataset([(_INPUTS, _LABELS[:10])])),
    )
    def test_refuses_differing_lengths(self, form, limit=None):
        message = r"len\(x\)=11, len\(y\)=10"
        with self.assertRaisesRegex(DataError, message):
            list(_batches(form, limit=limit))

    @parameterized.named_parameters(
        ("arrays", (_INPUTS[:0], _LABELS[:0])),
        ("lists", ([], [])),
        ("a_dataset", _dataset().take(0)),
        ("a_dataset_that_turns_out_empty", _dataset().filter(_never)),
        ("an_empty_batch", _uneven_dataset([(_INPUTS[:0], _LABELS[:0])])),
    )
    def test_refuses_to_yield_nothing(self, form):
        with self.assertRaisesRegex(DataError, "no data"):
            list(_batches(form))

    def test_says_so_at_once_where_the_data_are_known_to_be_empty(self):
        for form in (([], []), _dataset().take(0)):
            with self.assertRaisesRegex(DataError, "no data"):
                _batches(form)

    @parameterized.named_parameters(
        ("ragged", ([[1.0], [1.0, 2.0]], [0, 1]), "x is not an array"),
        ("a_scalar", (_INPUTS, 3), "y has no axis"),
    )
    def test_refuses_what_is_no_array(self, form, message):
        with self.assertRaisesRegex(DataError, message):
            _batches(form)

    @parameterized.parameters(bool, np.complex64)
    def test_refuses_inputs_that_are_no_real_numbers(self, dtype):
        inputs = _INPUTS.astype(dtype)
        for form in ((inputs, _LABELS), _dataset(inputs)):
            with self.assertRaisesRegex(DataError, "Received: dtype="):
                _batches(form)

    def test_names_the_index_of_a_label_in_the_whole_of_the_data(self):
        labels = np.where(np.arange(11) == 8, 5, _LABELS)
        for form in ((_INPUTS, labels), _dataset(labels=labels)):
            with self.assertRaisesRegex(DataError, "label=5 at index 8"):
                list(_batches(form))


class PixelRangeTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ("arrays", (_INPUTS, _LABELS)),
        ("bytes", (_INPUTS.astype(np.uint8), _LABELS)),
        ("a_dataset", _dataset()),
        ("a_dataset_that_starts_empty", _uneven_dataset(_EMPTY_FIRST)),
    )
    def test_warns_once_of_unscaled_pixels(self, form):
        source = _batches(form, expects_unit_range=True)
        with self.assertWarns(data.PixelRangeWarning):
            list(source)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list(source)

    def test_is_silent_where_the_model_rescales(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list(_batches((_INPUTS, _LABELS)))

    def test_is_silent_about_named_data(self):
        source = _batches(
            "digits",
            input_shape=(8, 8, 1),
            num_classes=10,
            expects_unit_range=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list(source)


if __name__ == "__main__":
    absltest.main()
