"""VGG16's convolution stack for the peers that take Keras models, built from the exported weights in the peer's own TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from protocol import IMAGENET_MEAN, opens_block, weights_until


def build(weights: Path, layer: str, size: int, white: float) -> tf.keras.Model:
    """The network up to `layer`, for RGB pictures (size, size, 3) from 0 to `white`; the preprocessing is its first layer."""
    inputs = tf.keras.Input((size, size, 3))
    tensor = tf.keras.layers.Rescaling(255 / white, [-mean for mean in IMAGENET_MEAN], name="preprocessing")(inputs)
    stored = weights_until(weights, layer)
    for name, _, bias in stored:
        if opens_block(name):
            tensor = tf.keras.layers.MaxPooling2D(name=f"before_{name}")(tensor)
        tensor = tf.keras.layers.Conv2D(len(bias), 3, padding="same", activation="relu", name=name)(tensor)
    model = tf.keras.Model(inputs, tensor)
    for name, kernel, bias in stored:
        model.get_layer(name).set_weights([kernel, bias])
    return model
