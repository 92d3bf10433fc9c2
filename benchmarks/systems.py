"""Our qualities and the keras.io recipe on one layer, run in a process of their own like the peers in `peers/`.

    python benchmarks/systems.py SYSTEM --network FILE.keras --layer PATH --filters 0,1 --size 128 --output FILE.npz

SYSTEM is `keras-io` or one of our qualities.
"""

from __future__ import annotations

from dataclasses import replace

from reportgen.network.backend import fused, tf  # first, so that TensorFlow keeps quiet

import numpy as np

from peers.protocol import Memory, Result, now, parser, versions
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.shared import Shared
from reportgen.compute.patterns.recipe import QUALITIES
from reportgen.network.loading.load import load
from reportgen.network.network import Network
from reportgen.compute.planning.prepare import batch_for
from reportgen.core.settings import Settings

KERAS_IO = "keras-io"
WATCHED = 4  # filters whose pictures are kept at every step


def keras_io(network: Network, layer_call, size: int, filters: list[int]) -> Result:
    """The recipe of the keras.io example "Visualizing what convnets learn", one filter at a time, in the model's own input range.

    Grey noise, the mean activation without 2 border cells, 30 steps of 10 (at a range of 2) along the l2-normalised gradient, standard
    deviation .15.
    """
    steps, trim, spread, contrast = 30, 2, 0.125, 0.15
    rate = 10.0 * size / 180 / 2  # the article's 10 at 180 pixels in a range of 2, in pictures of range 1

    @tf.function(autograph=False)
    def step(picture, number):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            ((_, maps),) = network.units(network.feed(picture * 255.0), [layer_call])
            value = tf.reduce_mean(maps[:, trim:-trim, trim:-trim, number])
        return picture + rate * tf.math.l2_normalize(tape.gradient(value, picture))

    random = np.random.default_rng(0)
    started = now()
    step(tf.zeros((1, size, size, 3)), tf.constant(0))
    start_up = (now() - started)[0]
    images = []
    started = now()
    for number in filters:
        picture = tf.constant(0.5 + (random.random((1, size, size, 3), np.float32) - 0.5) * spread)
        for _ in range(steps):
            picture = step(picture, tf.constant(number))
        values = picture.numpy()[0]
        values = (values - values.mean()) / (values.std() + 1e-5) * contrast + 0.5
        images.append(np.clip(values * 255, 0, 255).astype(np.uint8))
    return Result("keras.io recipe", filters, np.stack(images), start_up, *(now() - started))


def ours(network: Network, layer_call, size: int, filters: list[int], quality: str) -> Result:
    """One of our qualities, all filters. The only place in the benchmarks that knows our kernel."""
    side = (size, size)
    batch = batch_for(network, layer_call, side, Settings(), len(filters))
    started = now()
    ascent = Ascent(Shared(network, QUALITIES[quality], 0), layer_call, side, batch, "auto")
    ascent.find(filters[:1])  # the first run of a graph still optimizes it
    start_up = (now() - started)[0]
    started = now()
    images = ascent.find(filters).images
    result = Result(f"reportgen {quality} ({ascent.gradient.precision})", filters, images, start_up, *(now() - started))
    return with_way(result, ascent, batch, filters)


def with_way(result: Result, ascent: Ascent, batch: int, filters: list[int]) -> Result:
    """`result` with what the steps see of some filters' pictures, from another ascent of one batch of them."""
    places = np.linspace(0, len(filters) - 1, min(WATCHED, batch, len(filters))).round().astype(int)
    watched = [filters[place] for place in places]
    original, seen_by, moments = ascent.gradient.function, [], []

    def function(canvas, *rest, **named):
        by_seen = original(canvas, *rest, **named)

        def compute(seen, numbers):
            if canvas.is_whole and len(numbers) == batch:
                moments.append(now())
                seen_by.append(np.asarray(seen)[: len(watched)])
            return by_seen(seen, numbers)

        return compute

    ascent.gradient.function = function
    started = now()
    ascent.find(watched)
    ascent.gradient.function = original
    seconds = (np.array(moments) - started) / batch
    return replace(result, way=np.array(seen_by), way_filters=np.array(watched), way_seconds=seconds)


def main() -> None:
    """Answer one task."""
    arguments = parser()
    arguments.add_argument("system", choices=[KERAS_IO, *QUALITIES])
    task = arguments.parse_args()
    settings = Settings(preprocess="caffe")
    network = Network(load(str(task.network), settings), settings)
    layer_call = next(layer_call for layer_call in network.layer_calls if layer_call.path == task.layer)
    memory = Memory()
    if task.system == KERAS_IO:
        with fused():  # TensorFlow's own default
            result = keras_io(network, layer_call, task.size, task.filters)
    else:
        result = ours(network, layer_call, task.size, task.filters, task.system)
    replace(result, memory=memory.above(), versions=versions(["tensorflow", "keras"])).write(task.output)


if __name__ == "__main__":
    main()
