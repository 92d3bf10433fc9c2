"""What every filter does on every image of the data set: one pass through the model, of which only small arrays come out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import padded
from reportgen.core.axes import inner_slices
from reportgen.core.records import InputContract
from reportgen.inputs.dataset import Dataset, Decoded
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.survey.selection import EXEMPLARS, largest_distinct
from reportgen.survey.values import half

LARGEST_BATCH = 32  # images at once: more gains nothing on processors, and a part is a multiple of it
# Bytes of a layer's maps of all images at once, on a processor: of more, caches keep less, and ResNet50 takes longer.
LARGEST_MAPS = 2**27
SAMPLED_POSITIONS = (
    2  # of each map, for the histogram of positions: chosen by the image's hash, so that no order matters
)
AHEAD = 2  # batches that are decoded while one is computed
NOT_PREDICTED = -1
MOST_CLASSES = 5  # of which each image keeps the probabilities
PIXEL_HASH = 16  # bytes of SHA-256 that tell images with the same pixels: far beyond any chance of two being equal
MOST_UINT8 = 255
PACKED = 8  # numbers of 8 bits in one of 64
UINT16_POSITIONS = 2**16
NON_NEGATIVE = frozenset({"relu", "relu6"})  # names of activation functions that return no number below 0


@dataclass(frozen=True)
class Batch:
    """Images that are computed at once. `decoded` has all, `pictures` (n, *size, channels) those of them that could be decoded."""

    decoded: tuple[Decoded, ...]
    pictures: np.ndarray


def batches(dataset: Dataset, positions: Sequence[int], contract: InputContract, size: int) -> Iterator[Batch]:
    """Yield images in batches, of which the next are decoded while one is computed.

    Args:
        dataset: the images.
        positions: of those that are wanted.
        contract: of the model's input.
        size: of the batches; bad images leave them smaller.
    """
    starts = iter(range(0, len(positions), size))

    def decode(start: int) -> Batch:
        decoded = tuple(dataset.decoded(positions[start : start + size], contract))
        usable = [each.pixels for each in decoded if each.pixels is not None]
        shape = (0, *contract.size, contract.bands)
        return Batch(decoded, np.stack(usable).astype(np.float32) if usable else np.zeros(shape, np.float32))

    with ThreadPoolExecutor(1) as beside:  # one: decoders set limits that are Pillow's own, for the whole process
        waiting: list[Future[Batch]] = [beside.submit(decode, start) for start in islice(starts, AHEAD)]
        while waiting:
            batch = waiting.pop(0).result()
            waiting += [beside.submit(decode, start) for start in islice(starts, 1)]
            yield batch


@dataclass(frozen=True)
class Reduced:
    """One layer's units on a batch.

    Attributes:
        activation: float32 (n, channels), the mean over trimmed positions.
        peak: float32 (n, channels), the largest position.
        position: int32 (n, channels), where that is: the first, counted row by row.
        silent: int32 (n, channels), positions of exactly 0.
        minimum: float32 (channels,), of the batch.
        sample: float32 (n, SAMPLED_POSITIONS, channels).
    """

    activation: np.ndarray
    peak: np.ndarray
    position: np.ndarray
    silent: np.ndarray
    minimum: np.ndarray
    sample: np.ndarray


class Observer:
    """Runs batches of one shape through the model, and reduces every unit's maps where they are computed."""

    def __init__(self, network: Network, layer_calls: Sequence[LayerCall], batch: int, predicts: bool) -> None:
        """Prepare the pass.

        Args:
            network: the model.
            layer_calls: with a unit each.
            batch: images at once.
            predicts: whether the model's outputs are wanted too.
        """
        self.batch, self.traces = batch, 0

        def observe(pictures: Any, count: Any, seeds: Any) -> Any:
            self.traces += 1
            units, outputs = network.observed(network.fed(pictures), layer_calls, predicts)
            return [
                _reduced(after, layer_call, count, seeds)
                for layer_call, (_, after) in zip(layer_calls, units, strict=True)
            ], outputs

        shape = (batch, *network.contract.size, network.contract.bands)
        self._observe = tf.function(
            observe,
            input_signature=[
                tf.TensorSpec(shape, tf.float32),
                tf.TensorSpec((), tf.int32),
                tf.TensorSpec((batch, SAMPLED_POSITIONS), tf.int32),
            ],
            autograph=False,
        )

    def __call__(self, pictures: np.ndarray, seeds: np.ndarray) -> tuple[list[Reduced], list[np.ndarray]]:
        """Return what each layer did, and the model's outputs.

        Args:
            pictures: float32 (n, *size, channels), 1 to `batch` of them.
            seeds: int32 (n, SAMPLED_POSITIONS), not negative, from which the sampled positions follow.
        """
        count = len(pictures)
        layers, outputs = self._observe(padded(pictures, self.batch), count, padded(seeds, self.batch))
        reduced = []
        for activation, peak, position, silent, minimum, sample in layers:
            mean, top, where, zeros, some = (
                np.asarray(value)[:count] for value in (activation, peak, position, silent, sample)
            )
            reduced.append(Reduced(mean, top, where, zeros, np.asarray(minimum), some))
        return reduced, [np.asarray(output, np.float32)[:count] for output in outputs]


def _reduced(maps: Any, layer_call: LayerCall, count: Any, seeds: Any) -> tuple[Any, ...]:
    """Reduce maps (n, *lengths, channels), of which the first `count` are real; see `Reduced`.

    Means are matrix products map by map, so that an image's place in a batch changes no digit. Everything else is found along the last
    axis first: the second step, which also finds where peaks are, then has little left to read.
    """
    lengths, channels, batch = maps.shape[1:-1], maps.shape[-1], maps.shape[0]
    inner = np.zeros(tuple(lengths), np.float32)
    inner[inner_slices(tuple(lengths), times=layer_call.times)] = 1
    inner /= inner.sum()
    total = inner.size
    width = lengths[-1]
    non_negative = layer_call.unit is not None and layer_call.unit.name in NON_NEGATIVE
    values = tf.cast(maps, tf.float32)
    flat = tf.reshape(values, (batch, total, channels))
    rows = tf.reshape(values, (batch, total // width, width, channels))
    activation = tf.matmul(tf.constant(inner.reshape(1, 1, total)), flat)[:, 0]
    of_rows = tf.reduce_max(rows, axis=2)
    row = tf.argmax(of_rows, axis=1, output_type=tf.int32)
    peak = tf.reduce_max(of_rows, axis=1)
    position = row * width + tf.argmax(_rows_at(rows, row), axis=-1, output_type=tf.int32)
    silent = tf.reduce_sum(_zeros(rows), axis=1)
    real = tf.range(batch)[:, None] < count

    def least() -> Any:
        return tf.reduce_min(tf.where(real, tf.reduce_min(tf.reduce_min(rows, axis=2), axis=1), np.inf), axis=0)

    if non_negative:  # where every unit is 0 somewhere, the least need not be looked for
        seen = tf.reduce_any(tf.logical_and(real, silent > 0), axis=0)
        minimum = tf.cond(tf.reduce_all(seen), lambda: tf.zeros((channels,)), least)
    else:
        minimum = least()
    broken = tf.reduce_sum(0 * activation, axis=0)  # NaN where a mean is not finite
    sample = tf.gather(flat, seeds % total, axis=1, batch_dims=1)
    return activation, peak + 0 * activation, position, silent, minimum + broken, sample


def _zeros(rows: Any) -> Any:
    """Count what is exactly 0 in each row of maps (n, rows, width, channels): int32 (n, rows, channels).

    Channels are added eight at a time, as the bytes of one number of 64 bits: no sum reaches 256, so none runs over into the next.
    """
    _, _, width, channels = rows.shape
    zero = tf.equal(rows, 0)
    if width > MOST_UINT8:
        return tf.reduce_sum(tf.cast(zero, tf.int32), axis=2)
    zero = tf.cast(zero, tf.uint8)
    if channels % PACKED:
        return tf.cast(tf.reduce_sum(zero, axis=2), tf.int32)
    packed = tf.bitcast(tf.reshape(zero, (*rows.shape[:3], channels // PACKED, PACKED)), tf.int64)
    counts = tf.bitcast(tf.reduce_sum(packed, axis=2), tf.uint8)
    return tf.cast(tf.reshape(counts, (*rows.shape[:2], channels)), tf.int32)


def _rows_at(rows: Any, row: Any) -> Any:
    """Of maps (n, rows, width, channels) the row `row` (n, channels) of each channel, (n, channels, width)."""
    batch, count, width, channels = rows.shape
    kind = tf.int32 if prod(rows.shape) <= tf.int32.max else tf.int64
    images, numbers, columns = (tf.range(length, dtype=kind) for length in (batch, channels, width))
    starts = (images[:, None] * count + tf.cast(row, kind)) * (width * channels) + numbers
    return tf.gather(tf.reshape(rows, (-1,)), starts[..., None] + columns * channels)


def image_arrays(
    decoded: Sequence[Decoded],
    positions: Sequence[int],
    labels: dict[str, int],
    classes: Sequence[int | None],
    rank: int,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what is stored of a part's images, without predictions.

    Args:
        decoded: the images.
        positions: of each in the data set.
        labels: their numbers.
        classes: the class of each label; None where it stands for none.
        rank: spatial axes of an image.

    Returns:
        (arrays, facts). arrays, of the images that could be decoded: `image` int32 (n,), positions in the data set; `label` int32 (n,),
        -1 for none, and `class` likewise; `pixels` uint8 (n, PIXEL_HASH), a hash of what the model is fed; `lengths` int32 (n, axes).
        facts: their `names` and `sha256`; `left_out`, name and reason of the others.
    """
    used = [(at, each) for at, each in zip(positions, decoded, strict=True) if each.reason is None]
    label = [-1 if each.image.label is None else labels[each.image.label] for _, each in used]
    of = [None if number < 0 else classes[number] for number in label]
    arrays: dict[str, np.ndarray] = {
        "image": np.array([at for at, _ in used], np.int32),
        "label": np.array(label, np.int32),
        "class": np.array([NOT_PREDICTED if number is None else number for number in of], np.int32),
        "pixels": np.array([list(each.digest) for _, each in used], np.uint8).reshape(-1, PIXEL_HASH),
        "lengths": np.array([each.lengths for _, each in used], np.int32).reshape(len(used), rank),
    }
    facts: dict[str, Any] = {
        "names": [each.image.name for _, each in used],
        "sha256": [each.image.sha256 for _, each in used],
        "left_out": [{"name": each.image.name, "reason": each.reason} for each in decoded if each.reason is not None],
    }
    return arrays, facts


def pixel_hash(decoded: Decoded) -> bytes:
    """Return a hash of the pixels that the model is fed."""
    pixels = np.ascontiguousarray(decoded.pixels)
    return hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode() + pixels.tobytes()).digest()[:PIXEL_HASH]


def sampling_seeds(decoded: Iterable[Decoded]) -> np.ndarray:
    """Return int32 (n, SAMPLED_POSITIONS) of images, from the hashes of their files."""
    rows = [np.frombuffer(bytes.fromhex(each.image.sha256)[: 4 * SAMPLED_POSITIONS], ">u4") for each in decoded]
    return (np.array(rows, np.int64).reshape(-1, SAMPLED_POSITIONS) & 0x7FFFFFFF).astype(np.int32)


def layer_arrays(
    found: Sequence[Reduced], pixels: np.ndarray, layer_call: LayerCall
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what is stored of a layer for one part.

    Args:
        found: batch by batch, of the images that could be decoded.
        pixels: their hashes, uint8 (n, PIXEL_HASH).
        layer_call: the layer.

    Returns:
        (arrays, facts). arrays: `activations` and `peaks` float16 (n, channels), divided by 2 ** their exponents; `positions` uint16 or
        int32 (n, channels), of the peak; `samples` float16 (n * SAMPLED_POSITIONS, channels); of the part `minimum` and `maximum` float32
        (channels,) of positions, and those of activations; `sum` and `squares` float64, of activations; `silent_images` and
        `silent_positions` int64; `top_rows` int32 and `top_peaks` float32 (EXEMPLARS, channels), the largest peaks of images with
        different pixels, -1 where there are no more. facts: `images`, `positions` of a map and its `shape`, the exponents, and `reach`,
        of each axis of the input [intervals, shift, axis of the map], see `Reach`; None where it is not known.
    """
    assert layer_call.output_shape is not None
    *shape, channels = layer_call.output_shape
    positions = prod(shape)
    facts: dict[str, Any] = {"positions": positions, "shape": shape, "reach": _reach(layer_call)}
    if not found:
        return {"maximum": np.full(channels, -np.inf, np.float32)}, {**facts, "images": 0}
    activation, peak = (np.concatenate([getattr(each, name) for each in found]) for name in ("activation", "peak"))
    position = np.concatenate([each.position for each in found])
    silent = np.concatenate([each.silent for each in found])
    exact = activation.astype(np.float64)
    rows, peaks = largest_distinct(peak, pixels, EXEMPLARS)
    arrays: dict[str, np.ndarray] = {}
    facts["images"] = len(peak)
    sample = np.concatenate([each.sample for each in found]).reshape(-1, peak.shape[1])
    for name, values in (("activations", activation), ("peaks", peak), ("samples", sample)):
        arrays[name], facts[f"{name}_exponent"] = half(values)
    arrays |= {
        "positions": position.astype(np.uint16 if positions <= UINT16_POSITIONS else np.int32),
        "minimum": np.min([each.minimum for each in found], axis=0),
        "maximum": peak.max(axis=0),
        "activation_minimum": activation.min(axis=0),
        "activation_maximum": activation.max(axis=0),
        "sum": exact.sum(axis=0),
        "squares": (exact**2).sum(axis=0),
        "silent_images": (silent == positions).sum(axis=0),
        "silent_positions": silent.sum(axis=0, dtype=np.int64),
        "top_rows": rows,
        "top_peaks": peaks,
    }
    return arrays, facts


def _reach(layer_call: LayerCall) -> list[list[Any]] | None:
    """How positions of a layer's maps look at each axis of the input, as JSON; None where that is not known."""
    axes = layer_call.view.axes
    if axes is None:
        return None
    first = 2 if layer_call.channels_first else 1
    return [
        [
            [None if interval is None else list(interval) for interval in reach.intervals],
            reach.shift,
            place - first + layer_call.times if place > 0 else 0,
        ]
        for reach, place in zip(axes, layer_call.view.places, strict=True)
    ]


def prediction_arrays(probabilities: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is stored of predictions.

    Args:
        probabilities: float32 (n, classes); of one column it is that of the second of two classes.
        classes: int32 (n,), the class that each image's label stands for, -1 for none.

    Returns:
        `top_classes` int32 and `top_probabilities` float32 (n, k), the most probable first; `class_probability` float32 (n,), of the
        label's class, NaN where it stands for none.
    """
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :MOST_CLASSES]
    known = (classes >= 0) & (classes < probabilities.shape[1])
    own = probabilities[np.arange(len(probabilities)), np.where(known, classes, 0)]
    return {
        "top_classes": order.astype(np.int32),
        "top_probabilities": np.take_along_axis(probabilities, order, axis=1),
        "class_probability": np.where(known, own, np.nan).astype(np.float32),
    }
