"""How the files beside this one were made: `python make.py` where `tf_keras` (Keras 2, Apache-2.0) is installed.

Each has what Keras 3 no longer reads as it stands; the .npz beside it has pictures and the outputs of Keras 2 for them. All weights
are random numbers. report.json is that of tests/report_fixture.py as it was before keys for data sets were added.
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
    classes = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(both))
    model = tf_keras.Model(entry, classes)

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


def functions():
    """TensorFlow's functions of several outputs, on several tensors, of constants first, and on shapes."""
    entry = tf_keras.Input((8, 8, 4))
    one, other = tf.split(1.0 - entry, [1, 3], axis=-1)
    one = tf.pad(layers.Conv2D(2, 3, name="conv")(one), [[0, 0], [1, 1], [2, 0], [0, 0]], constant_values=0.5)
    other = tf.nn.leaky_relu(layers.Conv2D(2, 3, padding="same", name="beside")(other), alpha=0.3)
    both = tf.concat([one, other, tf.where(one > other, one, other * 0.1)], axis=-1)
    mean, variance = tf.nn.moments(both, axes=[1, 2], keepdims=True)
    both = (both - mean) * tf.math.rsqrt(variance + 1e-3)
    both = tf.image.resize(tf.nn.depth_to_space(tf.transpose(both, [0, 2, 1, 3])[..., :4], 2), tf.shape(entry)[1:3])
    both = tf.stack([both[:, ::2, 1:], tf.reverse(both[:, ::2, 1:], [1])], axis=1)
    return tf_keras.Model(entry, tf.reshape(both, [-1, tf.shape(both)[2] * 2, 7]))


def applications():
    """The layers that keras.applications define for themselves."""
    from tf_keras.src.applications import convnext, inception_resnet_v2

    entry = tf_keras.Input((10, 10, 3))
    tensor = layers.DepthwiseConv2D(7, padding="same", name="depthwise")(entry)
    tensor = layers.LayerNormalization(epsilon=1e-6)(tensor)
    tensor = layers.Activation("gelu")(layers.Dense(6)(tensor))
    tensor = convnext.LayerScale(1e-6, 3)(layers.Dense(3)(tensor))
    tensor = entry / 255.0 + convnext.StochasticDepth(0.2)(tensor)
    tensor = inception_resnet_v2.CustomScaleLayer(0.17)([tensor, layers.Conv2D(3, 1, name="up")(tensor)])
    return tf_keras.Model(entry, layers.GlobalAveragePooling2D()(tensor))


def arguments():
    """Arguments, layers and tensors that Keras 3 takes otherwise, or would drop without a word."""
    entry = tf_keras.Input((12, 9, 3))
    tensor = layers.RandomCrop(8, 8)(layers.RandomWidth(0.2)(layers.RandomHeight(0.2)(entry)))
    tensor = layers.UnitNormalization(axis=[1, 2])(
        layers.SpatialDropout2D(0.2)(layers.Conv2D(4, 3, name="conv")(tensor))
    )
    tensor = layers.ThresholdedReLU(0.05)(layers.LayerNormalization(axis=[1, 3])(tensor))
    series = layers.Reshape((36, 4))(layers.Softmax(axis=[1, 2])(tensor))
    series = layers.MultiHeadAttention(2, 3)(series, value=layers.Dense(4)(series), key=layers.Dense(5)(series))
    series = layers.Attention(score_mode="dot")([series, series])
    state = layers.Dense(3)(layers.GlobalAveragePooling1D()(series))
    return tf_keras.Model(entry, layers.GRU(3)(series, initial_state=state))


MADE = (
    *((sequential, "h5"), (functional, "keras"), (functional, "h5"), (operations, "h5"), (functions, "h5")),
    *((applications, "keras"), (applications, "h5"), (arguments, "keras"), (arguments, "h5")),
)
for make, suffix in MADE:
    tf_keras.backend.clear_session()
    model = randomised(make())
    pictures = np.random.default_rng(1).integers(0, 256, (2, *model.input_shape[1:])).astype("float32")
    model.save(f"{make.__name__}.{suffix}")
    np.savez(
        f"{make.__name__}.npz",
        pictures=pictures.astype("uint8"),
        answers=np.asarray(model(pictures, training=False), "float32"),
    )
