"""The precision of an ascent: bfloat16 where it pays and gives the objectives of a few filters as float32 does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns import reductions
from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import Recipe
from reportgen.core.choices import FLOAT_BYTES, Measure, Precision
from reportgen.network.backend import keras, tf
from reportgen.network.contract import as_shown
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import bfloat16, has_bfloat16

# Multiplications of a picture's forward pass: below, making the pictures takes longer than the network.
BFLOAT16_PAYS = 2e8
# Multiplications for each value that the gradient needs: below, reading and writing values takes longer than convolutions do.
INTENSITY = 100
BY_CHANNEL = (
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
AGREEMENT = 0.01  # of the largest objective: what bfloat16 may differ by in the middle of the probed filters
PROBES = 4  # filters of a layer, and pictures, that the two precisions are compared on
PROBE_CONTRAST = 30.0  # starts are too faint to tell two precisions apart: the probe sees pictures of strong contrast
BOTH = (Precision.FLOAT32, Precision.BFLOAT16)


def pays(network: Network, layer_call: LayerCall, size: tuple[int, ...]) -> bool:
    """Return whether pictures of this size would climb faster in bfloat16.

    Grouped and depthwise convolutions are slower in it: with 40 to 130 multiplications for each value kept, networks that have them took
    1.1 to 1.6 times as long, others with 120 and more .2 to .7 times (benchmarks/README.md).
    """
    macs, values = layer_call.costs.macs, max(1, layer_call.costs.kept_bytes // FLOAT_BYTES)
    if not has_bfloat16() or macs * prod(size) / prod(network.contract.size) < BFLOAT16_PAYS:
        return False
    return macs >= INTENSITY * values and not any(_is_grouped(layer) for layer in network.layers)


def agreements(
    network: Network,
    layer_calls: Sequence[LayerCall],
    size: tuple[int, ...],
    recipe: Recipe,
    parameters: Parameterization,
    seed: int,
) -> dict[str, bool]:
    """Compare the precisions for many layers, by one trace of the network in each.

    Args:
        network: the model.
        layer_calls: those to compare.
        size: of their pictures.
        recipe: of the ascents.
        parameters: of pictures of this size.
        seed: of the pictures.

    Returns:
        By path, whether bfloat16 agrees; layers are missing that have to be asked alone (`agrees`).
    """
    measure = recipe.objective.own_measure
    together = {each.path: each for each in layer_calls if network.has_entry(each)}
    if recipe.objective.own is None or not together:
        return {}
    activated = measure is Measure.ACTIVATION
    filters = {path: _filters(each) for path, each in together.items()}
    failed: list[str] = []  # layers that the network gets as far as in float32 alone

    def entries(pictures: Any, precision: Precision) -> dict[str, Any]:
        with bfloat16(network.layers) if precision is Precision.BFLOAT16 else nullcontext():
            fed = network.feed(as_shown(network.contract, pictures))
            return network.entries(fed, list(together.values()), activated)

    def objective(entry: Any, layer_call: LayerCall, chosen: Any) -> Any:
        maps = network.own_channels_at(entry, layer_call, chosen, activated)[..., None]
        assert layer_call.unit is not None
        return reductions.own(measure, maps, recipe.trim, rectified=layer_call.unit.rectified, times=layer_call.times)

    def objectives(noise: Any, chosen: dict[str, Any]) -> dict[str, list[Any]]:
        pictures = parameters.to_pictures(noise)
        exact, fast = (entries(pictures, precision) for precision in BOTH)
        failed.extend(path for path in exact if path not in fast)
        return {
            path: [objective(entry[path], together[path], chosen[path]) for entry in (exact, fast)]
            for path in exact
            if path in fast
        }

    compare = tf.function(objectives, autograph=False)
    found: dict[str, list[Any]] = {path: [] for path in together}
    try:
        for number, noise in enumerate(
            _noise(parameters, seed, "")
        ):  # one at a time, since all of the network computes
            own = {path: tf.constant(numbers[number : number + 1]) for path, numbers in filters.items()}
            for path, values in compare(tf.constant(noise[None]), own).items():
                found[path].append(np.concatenate([np.asarray(value) for value in values]))
    except Exception:  # something cannot compute in bfloat16 at all
        return {}
    agreed = {path: _near(*np.stack(values, axis=1)) for path, values in found.items() if values}
    return agreed | dict.fromkeys(failed, False)


def agrees(
    layer_call: LayerCall,
    parameters: Parameterization,
    objective: Callable[[Any, Any, str], Any],
    seed: int,
) -> bool:
    """Compare the precisions for one layer, by traces of its own.

    Always the same few filters in one batch, whichever are asked for: the decision must follow from layer and seed alone.

    Args:
        layer_call: the layer.
        parameters: of its pictures.
        objective: of pictures (n, *size, bands) and filters (n,) in a precision; called inside a trace.
        seed: of the pictures.
    """
    noise = tf.constant(np.stack(_noise(parameters, seed, layer_call.path)))

    def both(some: Any) -> list[Any]:
        pictures = parameters.to_pictures(some)
        return [objective(pictures, _filters(layer_call), precision) for precision in BOTH]

    try:
        return _near(*(np.asarray(values) for values in tf.function(both, autograph=False)(noise)))
    except Exception:  # a layer that cannot compute in bfloat16: then the model is left at its own precision
        return False


def _is_grouped(layer: Any) -> bool:
    return isinstance(layer, BY_CHANNEL) or (isinstance(layer, CONVOLUTIONS) and layer.groups > 1)


def _filters(layer_call: LayerCall) -> np.ndarray:
    """The numbers of the compared filters, int32 (PROBES,)."""
    return np.linspace(0, layer_call.channels - 1, PROBES).astype(np.int32)


def _noise(parameters: Parameterization, seed: int, path: str) -> list[np.ndarray]:
    """Coefficients of PROBES pictures of natural contrast."""
    seeds = [derived_seed(seed, path, number, "probe") for number in range(PROBES)]
    return [parameters.start(each) * np.float32(PROBE_CONTRAST) for each in seeds]


def _near(exact: np.ndarray, fast: np.ndarray) -> bool:
    """Whether objectives (PROBES,) are within AGREEMENT of the largest, in the middle of them."""
    scale = np.abs(exact[np.isfinite(exact)]).max(initial=0)
    difference = np.abs(fast - exact)
    return bool(scale > 0 and np.median(difference[np.isfinite(difference)]) <= AGREEMENT * scale)
