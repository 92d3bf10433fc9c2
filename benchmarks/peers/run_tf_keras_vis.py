"""Runs tf-keras-vis as its guide to convolution filters does: the layer made linear, its default steps, modifiers and regularizers.

All filters are one batch, started from uniform noise in the full range, as its guide does for several pictures.
"""

from __future__ import annotations


import tensorflow as tf
from keras_vgg16 import build
from protocol import Memory, Result, difference, eight_bit, now, parser, photograph, versions
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

WHITE = 255.0  # its input_range is (0, 255)


def main() -> None:
    """Answer one task."""
    task = parser().parse_args()
    tf.keras.utils.set_random_seed(0)
    model = build(task.network, task.layer, task.size, WHITE)
    memory = Memory()
    started = now()
    maximize = ActivationMaximization(model, model_modifier=ReplaceToLinear())
    score = CategoricalScore(task.filters)
    noise = tf.random.uniform((len(task.filters), task.size, task.size, 3), 0, WHITE)
    maximize(score, seed_input=noise, steps=1)
    start_up = (now() - started)[0]
    started = now()
    pictures = maximize(score, seed_input=noise)
    seconds, cpu = now() - started
    Result(
        "tf-keras-vis",
        task.filters,
        eight_bit(pictures, WHITE),
        start_up,
        seconds,
        cpu,
        memory.above(),
        versions(["tf-keras-vis", "tensorflow", "keras"]),
        difference(task.reference, model(photograph(task.reference, WHITE)).numpy()),
    ).write(task.output)


if __name__ == "__main__":
    main()
