"""What a hostile .keras file cannot do to whoever reads it."""

import json
import os
import pathlib
from unittest import mock
import warnings
import zipfile

from absl.testing import absltest
from absl.testing import parameterized
import h5py
import keras
import numpy as np

from tfcurv import errors
from tfcurv import nn
from tfcurv.nn.files import keras_archive

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def _model():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="softplus", name="dense")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


def _members(model, folder):
    """Returns the members of the file that Keras makes of a model."""
    path = pathlib.Path(folder) / "original.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _function(module, name, *args):
    """Returns a "layer" whose making calls a function on import path."""
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
        "name": "evil",
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }


def _layer(class_name, module="keras.layers", **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "evil", **config},
        "registered_name": None,
        "name": "evil",
        "inbound_nodes": [],
    }


class _FileTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)
        self.path = self.folder / "model.keras"
        self.marker = self.folder / "marker"

    def write(self, members):
        """Writes an archive, from a dictionary or from pairs."""
        pairs = members.items() if isinstance(members, dict) else members
        with zipfile.ZipFile(self.path, "w") as archive:
            for name, content in pairs:
                archive.writestr(name, content)

    def assert_refused(self, pattern=""):
        """Returns the message."""
        with self.assertRaisesRegex(
            errors.UnsupportedModelError, pattern
        ) as caught:
            nn.read_model(self.path)
        self.assertFalse(self.marker.exists(), "The file ran code.")
        self.assertIn(str(self.path), str(caught.exception))
        return str(caught.exception)


class ListTest(_FileTest):
    def test_holds_layers_of_keras_only(self):
        for name in keras_archive._KERAS_CLASSES["keras.layers"]:
            with self.subTest(name):
                kind = getattr(keras.layers, name)
                self.assertTrue(issubclass(kind, keras.layers.Layer))

    def test_holds_what_operators_between_tensors_are(self):
        x = keras.Input((4,))
        value = (x / 255.0 - 0.5) * np.array([1.0, 2.0, 3.0, 4.0], "float32")
        value = -keras.ops.tanh(value) + keras.activations.gelu(value)
        model = keras.Model(x, keras.layers.Dense(3)(value - x))
        model.save(self.path)
        points = np.random.default_rng(0).normal(0.0, 200.0, (5, 4))
        np.testing.assert_array_equal(
            nn.read_model(self.path)(points), model(points)
        )

    def test_holds_nothing_that_takes_functions_or_paths(self):
        dangerous = set(
            "arguments call_endpoint file filepath fn function module path url "
            "vocabulary".split()
        )
        for name in keras_archive._KERAS_CLASSES["keras.layers"]:
            with self.subTest(name):
                code = getattr(keras.layers, name).__init__.__code__
                count = code.co_argcount + code.co_kwonlyargcount
                taken = set(code.co_varnames[:count])
                self.assertEmpty(taken & dangerous)

    @parameterized.parameters("initializers", "regularizers", "constraints")
    def test_reads_every_listed_class_of_numbers(self, module):
        own = keras_archive._KERAS_CLASSES[f"keras.{module}"]
        key = f"kernel_{module.removesuffix('s')}"
        model = keras.Sequential([keras.Input((4,))])
        for name in sorted(own):
            model.add(
                keras.layers.Dense(
                    4, **{key: getattr(getattr(keras, module), name)()}
                )
            )
        model.save(self.path)
        read = nn.read_model(self.path)
        kinds = {type(getattr(each, key)).__name__ for each in read.layers}
        self.assertLen(kinds, len(own))


class HostileConfigTest(_FileTest):
    def setUp(self):
        super().setUp()
        self.members = _members(_model(), self.folder)
        self.config = json.loads(self.members["config.json"])

    def write_config(self, config):
        config = json.dumps(config)
        self.write(self.members | {"config.json": config})

    def write_layer(self, layer):
        """Writes a functional model with one more "layer"."""
        self.config["config"]["layers"].append(layer)
        self.write_config(self.config)

    @parameterized.parameters(
        ("os", "system"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.saving", "load_model"),
        ("keras.utils", "get_file"),
        ("keras.src.utils.python_utils", "func_load"),
        ("keras.activations", "relu"),
    )
    def test_calls_no_function_by_its_path(self, module, name):
        command = f"touch {self.marker}"
        if name == "eval":
            command = f"open({str(self.marker)!r}, 'w')"
        self.write_layer(_function(module, name, command))
        message = self.assert_refused(f"module='{module}'.*config={name}")
        self.assertIn("keras.models.load_model", message)
        self.assertIn("tfcurv.certify", message)

    @parameterized.named_parameters(
        ("lambda", _layer("Lambda", function=_function("os", "system"))),
        ("graph", _layer("TFSMLayer", filepath="x", call_endpoint="serve")),
        ("pickle", _layer("TorchModuleWrapper", module="AAAA")),
        ("jax", _layer("JaxLayer", call_fn=None)),
        ("file", _layer("StringLookup", vocabulary="/etc/hostname")),
        ("text", _layer("TextVectorization", vocabulary="/etc/hostname")),
        ("private", _layer("Dense", "keras.src.layers.core.dense", units=1)),
        ("operation", _layer("Matmul", "keras.src.ops.numpy")),
        (
            "loop",
            _layer(
                "Map", "keras.src.ops.core", function=_function("os", "system")
            ),
        ),
        ("function_of_operations", _layer("add", "keras.src.ops.numpy")),
        ("unknown", _layer("Dense", "evil.layers", units=1)),
        ("no_module", {"class_name": "Dense", "config": {"units": 1}}),
    )
    def test_makes_no_class_that_is_not_listed(self, layer):
        self.write_layer(layer)
        self.assert_refused(layer["class_name"])

    @parameterized.parameters(
        "__lambda__", "__tensor__", "__typespec__", "__bytes__", "function"
    )
    def test_no_registered_name_hides_a_special_class(self, name):
        self.write_layer(
            {**_layer(name, None), "registered_name": "tfcurv>Dense"}
        )
        self.assert_refused(name)

    def test_no_listed_class_hides_another_registered_one(self):
        layer = _layer("Dense", units=1)
        self.write_layer({**layer, "registered_name": "theirs>Dense"})
        self.assert_refused("registered_name='theirs>Dense', which is not on")

    @parameterized.parameters("adversary", "curvature_regularizers", "x")
    def test_looks_into_every_corner(self, key):
        evil = _function("os", "system", f"touch {self.marker}")
        extras = {"adversary": None, "curvature_regularizers": []}
        self.config["config"]["tfcurv"] = extras | {key: [{"a": [evil]}]}
        self.write_config(self.config)
        self.assert_refused("module='os'")

    def test_runs_no_lambda_that_keras_itself_has_saved(self):
        armed = keras.layers.Lambda(
            lambda x: (os.makedirs(os.environ["MARKER"], exist_ok=True), x)[1]
        )
        with mock.patch.dict("os.environ", {"MARKER": str(self.marker)}):
            keras.Sequential([keras.Input((4,)), armed]).save(self.path)
            self.marker.rmdir()
            self.assert_refused("Lambda")
            keras.models.load_model(self.path, safe_mode=False)
        self.assertTrue(self.marker.exists())  # The file was armed.

    def test_makes_nothing_that_was_registered_elsewhere(self):
        marker = self.marker

        class Armed(keras.initializers.Zeros):
            def __init__(self):
                marker.touch()

        dense = self.config["config"]["layers"][1]["config"]
        dense["kernel_initializer"] = "theirs>Armed"
        self.write_config(self.config)
        with keras.saving.custom_object_scope({"theirs>Armed": Armed}):
            self.assert_refused("theirs>Armed")
            keras.models.load_model(self.path, compile=False)
        self.assertTrue(self.marker.exists())  # In Keras' safe mode.

    @parameterized.named_parameters(
        ("empty", b""),
        ("no_json", b"{"),
        ("no_object", b"[1, 2]"),
        ("number", b"1"),
        ("layer", json.dumps(_layer("Dense", units=2)).encode()),
        ("deep", b"[" * 100_000 + b"]" * 100_000),
        ("class_name", b'{"class_name": [], "config": {}}'),
    )
    def test_refuses_a_config_that_is_none(self, config):
        self.write(self.members | {"config.json": config})
        self.assert_refused()

    def test_refuses_a_config_of_megabytes(self):
        config = self.members["config.json"] + b" " * (16 * 2**20)
        self.write(self.members | {"config.json": config})
        self.assert_refused("bytes, more than")

    def test_refuses_a_model_deeper_than_python_can_go(self):
        # json.dumps cannot go there either.
        inner = json.dumps(self.config)
        outer = json.dumps(_layer("Sequential", "keras", layers=["@"]))
        for _ in range(2000):
            inner = outer.replace('"@"', inner)
        self.write(self.members | {"config.json": inner})
        self.assert_refused()

    def test_messages_are_short_however_long_the_config(self):
        self.write_layer(_layer("Evil", junk="x" * 100_000))
        self.assertLess(len(self.assert_refused("Evil")), 1000)


class HostileArchiveTest(_FileTest):
    def setUp(self):
        super().setUp()
        self.members = _members(_model(), self.folder)

    @parameterized.parameters(
        "../marker",
        "/marker",
        "assets/vocabulary.txt",
        "model.weights.npz",
        "..\\marker",
    )
    def test_refuses_further_members(self, name):
        self.write(self.members | {name: b"x"})
        self.assert_refused("members")
        self.assertCountEqual(
            [path.name for path in self.folder.iterdir()],
            ["model.keras", "original.keras"],
        )

    def test_refuses_members_of_the_same_name(self):
        pairs = [*self.members.items(), ("config.json", b"{}")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Duplicate name".
            self.write(pairs)
        self.assert_refused("members")

    @parameterized.parameters(*_MEMBERS)
    def test_refuses_an_archive_without(self, name):
        del self.members[name]
        self.write(self.members)
        self.assert_refused("members")

    def test_refuses_compressed_members(self):
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)
        self.assert_refused("compressed")

    def test_refuses_a_file_cut_off_anywhere(self):
        self.write(self.members)
        whole = self.path.read_bytes()
        for length in np.linspace(0, len(whole) - 1, 25).astype(int):
            with self.subTest(length):
                self.path.write_bytes(whole[:length])
                self.assert_refused()

    def test_a_damaged_file_is_read_or_refused(self):
        self.write(self.members)
        whole = np.frombuffer(self.path.read_bytes(), np.uint8)
        rng = np.random.default_rng(0)
        for _ in range(40):
            damaged = whole.copy()
            where = rng.integers(len(whole), size=3)
            damaged[where] = rng.integers(256, size=3)
            self.path.write_bytes(damaged.tobytes())
            try:
                self.assertIsInstance(nn.read_model(self.path), keras.Model)
            except errors.UnsupportedModelError:
                pass


class HostileWeightsTest(_FileTest):
    def setUp(self):
        super().setUp()
        self.members = _members(_model(), self.folder)
        self.other = self.folder / "other.h5"
        with h5py.File(self.other, "w") as file:
            file["secret"] = np.ones((4, 6), np.float32)

    def write_weights(self, change):
        """Writes the model after a change to the group of a kernel."""
        path = self.folder / "weights.h5"
        path.write_bytes(self.members["model.weights.h5"])
        with h5py.File(path, "r+") as file:
            group = file["layers/dense/vars"]
            del group["0"]
            change(group)
        self.write(self.members | {"model.weights.h5": path.read_bytes()})

    def test_follows_no_external_link(self):
        link = h5py.ExternalLink(str(self.other), "/secret")
        self.write_weights(lambda group: group.update({"0": link}))
        self.assert_refused("ExternalLink")

    def test_follows_no_external_link_to_a_group(self):
        link = h5py.ExternalLink(str(self.other), "/")
        self.write_weights(lambda group: group.file.update({"layers2": link}))
        self.assert_refused("ExternalLink")

    def test_follows_no_soft_link(self):
        link = h5py.SoftLink("/layers/dense/vars/1")
        self.write_weights(lambda group: group.update({"0": link}))
        self.assert_refused("SoftLink")

    def test_reads_no_external_storage(self):
        self.write_weights(
            lambda group: group.create_dataset(
                "0", (4, 6), np.float32, external=[(str(self.other), 0, 96)]
            )
        )
        self.assert_refused("other files")

    def test_reads_no_virtual_dataset(self):
        layout = h5py.VirtualLayout((4, 6), np.float32)
        layout[:] = h5py.VirtualSource(str(self.other), "secret", (4, 6))
        self.write_weights(
            lambda group: group.create_virtual_dataset("0", layout)
        )
        self.assert_refused("other files")

    @parameterized.named_parameters(
        ("larger_than_the_file", dict(shape=(10**6, 10**6), dtype="f4")),
        ("compressed", dict(data=np.zeros((4, 6), "f4"), compression="gzip")),
        ("chunked", dict(shape=(10**6, 10**6), dtype="f4", chunks=(4, 6))),
        ("objects", dict(data=[b"a", b"b"], dtype=h5py.string_dtype())),
    )
    def test_refuses_what_is_no_plain_array(self, options):
        self.write_weights(lambda group: group.create_dataset("0", **options))
        self.assert_refused("plain numbers")

    def test_refuses_an_array_without_a_shape(self):
        self.write_weights(lambda group: group.update({"0": h5py.Empty("f4")}))
        self.assert_refused()

    def test_refuses_weights_of_another_model(self):
        self.write_weights(
            lambda group: group.create_dataset("0", data=np.ones((3, 6), "f4"))
        )
        self.assert_refused()

    def test_a_loop_of_groups_ends(self):
        self.write_weights(
            lambda group: group.update({"0": np.ones((4, 6), "f4")})
        )
        nn.read_model(self.path)  # The change is one that leaves a model.
        self.write_weights(lambda group: group.update({"0": group.parent}))
        self.assert_refused()


if __name__ == "__main__":
    absltest.main()
