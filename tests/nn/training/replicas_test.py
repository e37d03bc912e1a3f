"""Replicas of a model train as one, whatever each is given.

In a process of its own: devices are made before TensorFlow starts.
"""

import json
import subprocess
import sys

from absl.testing import absltest
import numpy as np

_PROGRAM = """
import json, logging
import keras, numpy as np, tensorflow as tf
logging.getLogger("tensorflow").setLevel(logging.ERROR)
cpu = tf.config.list_physical_devices("CPU")[0]
logical = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [logical] * 2)
import tfcurv

random = np.random.default_rng(0)
x = random.normal(size=(17, 4)).astype("float32")
y = np.arange(17) % 3

def build(**settings):
    keras.utils.set_random_seed(0)
    model = tfcurv.Sequential([
        keras.Input((4,)),
        tfcurv.layers.Dense(5, activation="softplus"),
        tfcurv.layers.Dense(3),
    ])
    model.add_loss(tfcurv.CurvatureRegularizer(1.0))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    attack = tfcurv.CurvatureAttack(0.3, num_steps=1)
    optimizer = keras.optimizers.SGD(0.05)
    model.compile(optimizer, loss, adversary=attack, **settings)
    return model

def run(model, count):
    batches = tf.data.Dataset.from_tensor_slices((x[:count], y[:count]))
    history = model.fit(
        batches.batch(8), epochs=2, verbose=0, shuffle=False,
        callbacks=[tfcurv.WarmUp(0.5)],
    ).history
    loss = model.evaluate(batches.batch(8), verbose=0)
    layer = model.layers[0]
    copies = model.distribute_strategy.experimental_local_results(
        layer.spectral_norm.u.value
    )
    return {
        "kernel": layer.kernel.numpy().tolist(),
        "losses": [*history["loss"], loss],
        "copies": [copy.numpy().tolist() for copy in copies],
    }

one = build(run_eagerly=True)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two = build(jit_compile=False)
print(json.dumps({
    "one": run(one, 16), "two": run(two, 16), "uneven": run(two, 17),
}))
"""


class ReplicasTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        cls.found = json.loads(done.stdout.splitlines()[-1])

    def test_two_train_the_weights_of_one(self):
        one, two = self.found["one"], self.found["two"]
        for name in ("kernel", "losses"):
            np.testing.assert_allclose(two[name], one[name], rtol=1e-5)

    def test_one_without_an_example_changes_nothing(self):
        self.assertTrue(np.all(np.isfinite(self.found["uneven"]["losses"])))
        self.assertTrue(np.all(np.isfinite(self.found["uneven"]["kernel"])))

    def test_each_follows_the_same_kernel(self):
        for name in ("two", "uneven"):
            first, second = self.found[name]["copies"]
            np.testing.assert_allclose(first, second, rtol=1e-6)


if __name__ == "__main__":
    absltest.main()
