"""How the files beside this one were made: `python make.py` where `tf_keras` (Keras 2, Apache-2.0) is installed.

Each has what Keras 3 no longer reads as it stands; the .npz beside it has pictures and what Keras 2 itself answered to them. All weights
are random numbers.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras

layers = tf_keras.layers


def randomised(model):
    random = np.random.default_rng(0)
    drawn = []
    for variable in model.weights:
        low, high = (0.5, 1.5) if "variance" in variable.name else (-0.5, 0.5)
        drawn.append(random.uniform(low, high, variable.shape).astype("float32"))
    model.set_weights(drawn)
    return model


def sequential():
    """Input shape inside the first layer, a slash in names, arguments without effect, another hard_sigmoid, a policy of mixed precision."""
    mixed = tf_keras.mixed_precision.Policy("mixed_float16")
    stack = [
        layers.Conv2D(4, 3, activation="relu", input_shape=(10, 10, 3), name="block1/conv"),
        layers.BatchNormalization(name="block1_conv"),
        layers.LeakyReLU(0.1),
        layers.DepthwiseConv2D(3, name="depthwise"),
        layers.SeparableConv2D(5, 3, name="separable"),
        layers.Conv2DTranspose(3, 3, name="transposed", dtype=mixed),
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(3, activation="hard_sigmoid", dtype="float32"),
    ]
    return tf_keras.Sequential(stack)


def functional():
    """An inner model, a layer called twice, an activation that is a layer, losses that no longer import, a random layer."""
    entry = tf_keras.Input((10, 10, 3))
    tensor = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255.0)(entry))
    stack = [
        layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", kernel_initializer="he_normal", name="within"),
        layers.ReLU(max_value=6.0),
    ]
    inner = tf_keras.Sequential(stack, name="inner")
    shared = layers.Conv2D(4, 3, padding="same", name="shared", activation=layers.LeakyReLU(0.2))
    both = layers.Add()([inner(tensor), layers.Conv2D(4, 1, name="beside")(tensor)])
    both = layers.Concatenate()([shared(shared(both)), tensor])
    both = layers.PReLU(shared_axes=[1, 2])(layers.UpSampling2D(2, interpolation="bilinear")(both))
    answer = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(both))
    model = tf_keras.Model(entry, answer)

    def own_loss(truth, found):
        return truth - found

    model.compile(optimizer=tf_keras.optimizers.legacy.Adam(1e-3), loss=own_loss, metrics=["accuracy"])
    return model


def operations():
    """TensorFlow's functions between layers, as tutorials write them."""
    entry = tf_keras.Input((10, 10, 3))
    tensor = tf.cast(entry, tf.float32) / 127.5 - 1.0
    tensor = tf.nn.bias_add(tensor[..., ::-1], tf.constant([0.1, 0.2, 0.3]))
    one = tf.nn.relu6(layers.Conv2D(4, 3, name="first")(tensor))
    other = tf.nn.relu(layers.Conv2D(4, 3, name="second")(tensor) + 1.0)
    inner_entry = tf_keras.Input((8, 8, 8))
    inner = tf_keras.Model(inner_entry, layers.Conv2D(2, 3, name="third")(inner_entry), name="inner")
    tensor = inner(tf.concat([one * other, other - one], axis=-1), training=False)
    return tf_keras.Model(entry, tf.reduce_mean(tensor, axis=[1, 2]))


for make, suffix in ((sequential, "h5"), (functional, "keras"), (functional, "h5"), (operations, "h5")):
    tf_keras.backend.clear_session()
    model = randomised(make())
    pictures = np.random.default_rng(1).integers(0, 256, (2, *model.input_shape[1:])).astype("float32")
    model.save(f"{make.__name__}.{suffix}")
    np.savez(
        f"{make.__name__}.npz",
        pictures=pictures.astype("uint8"),
        answers=np.asarray(model(pictures, training=False), "float32"),
    )
