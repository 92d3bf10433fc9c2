"""The precision of an ascent: bfloat16 where it pays and a probe agrees with float32."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from reportgen.compute.patterns.parameterization import Parameterization
from reportgen.compute.patterns.randomness import derived_seed
from reportgen.compute.patterns.recipe import KERAS_IO, Recipe
from reportgen.compute.patterns.search.gradient import ObjectiveGradient
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.precision import has_bfloat16

# Multiplications of a picture's forward pass: below, making the pictures takes longer than the network.
BFLOAT16_PAYS = 2e8
AGREEMENT = 0.01  # of the largest objective: what bfloat16 may differ by in the middle of the probed filters
PROBES = 4  # filters that the two precisions are compared on
PROBE_CONTRAST = 30.0  # starts are too faint to tell two precisions apart: the probe sees pictures of strong contrast


def choose_precision(
    wanted: str,
    network: Network,
    layer_call: LayerCall,
    size: tuple[int, ...],
    recipe: Recipe,
    parameters: Parameterization,
    gradient: ObjectiveGradient,
    seed: int,
) -> str:
    """Return what was wanted, or for `auto` bfloat16 where it pays and a probe agrees with float32."""
    if wanted != "auto":
        return wanted
    if recipe.method == KERAS_IO.method:  # there to reproduce what others computed in float32
        return "float32"
    area = prod(size) / prod(network.contract.size)
    pays = has_bfloat16() and layer_call.costs.macs * area >= BFLOAT16_PAYS
    return "bfloat16" if pays and _agrees(layer_call, parameters, gradient, seed) else "float32"


def _agrees(layer_call: LayerCall, parameters: Parameterization, gradient: ObjectiveGradient, seed: int) -> bool:
    """Whether bfloat16 gives the objectives of some filters on pictures of natural contrast within AGREEMENT of float32.

    Always the same few filters in one batch, whichever are asked for: the decision must follow from layer and seed alone.
    """
    filters = np.linspace(0, layer_call.channels - 1, PROBES).astype(np.int32)
    seeds = [derived_seed(seed, layer_call.path, number, "probe") for number in range(PROBES)]
    noise = tf.constant(np.stack([parameters.start(each) for each in seeds]) * np.float32(PROBE_CONTRAST))

    def both(some: Any) -> list[Any]:
        gradient.traces += 1
        pictures = parameters.to_pictures(some)
        return [gradient.objective(pictures, filters, precision) for precision in ("float32", "bfloat16")]

    try:
        exact, fast = (np.asarray(values) for values in tf.function(both, autograph=False)(noise))
    except Exception:  # a layer that cannot compute in bfloat16: then the model is left at its own precision
        return False
    scale = np.abs(exact[np.isfinite(exact)]).max(initial=0)
    difference = np.abs(fast - exact)
    return bool(scale > 0 and np.median(difference[np.isfinite(difference)]) <= AGREEMENT * scale)
