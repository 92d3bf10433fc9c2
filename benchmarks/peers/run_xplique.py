"""Runs Xplique's feature visualization with its defaults, at the wanted size: all filters are the channels of one objective.

It traces its step anew in every call, so its seconds contain that.
"""

from __future__ import annotations


import tensorflow as tf
from keras_vgg16 import build
from protocol import Memory, Result, difference, eight_bit, now, parser, photograph, versions
from xplique.features_visualizations import Objective, optimize

WHITE = 1.0  # its values_range is (0, 1)


def main() -> None:
    """Answer one task."""
    task = parser().parse_args()
    tf.keras.utils.set_random_seed(0)
    model = build(task.network, task.layer, task.size, WHITE)
    side = (task.size, task.size)
    memory = Memory()
    started = now()
    objective = Objective.channel(model, task.layer, task.filters)
    optimize(objective, nb_steps=1, custom_shape=side)
    start_up = (now() - started)[0]
    started = now()
    pictures, _ = optimize(objective, custom_shape=side)
    seconds, cpu = now() - started
    Result(
        "xplique",
        task.filters,
        eight_bit(pictures[-1], WHITE),
        start_up,
        seconds,
        cpu,
        memory.above(),
        versions(["xplique", "tensorflow", "keras"]),
        difference(task.reference, model(photograph(task.reference, WHITE)).numpy()),
    ).write(task.output)


if __name__ == "__main__":
    main()
