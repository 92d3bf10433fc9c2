"""The weights that training started from, loaded into a second copy of the network; the model itself is never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.core.errors import ModelError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.error_text import one_line
from reportgen.network.graph.layer_kinds import kernel_kind, kernels
from reportgen.network.graph.paths import named_layers
from reportgen.network.loading.load import load
from reportgen.network.network import Network

OPTION = "--initial"


def initial_kernels(network: Network, specification: Any, settings: Settings) -> dict[str, dict[str, np.ndarray]]:
    """Load the initial weights of every convolution that is covered.

    Args:
        network: the trained network.
        specification: what it was loaded from.
        settings: `initial` names the file of weights.

    Returns:
        The arrays of each layer as `kernels` returns them, by the path of its layer call.

    Raises:
        ModelError: `settings.initial` does not fit the network.
    """
    assert settings.initial is not None
    if isinstance(specification, keras.Model):
        specification = _copy(specification)
    try:
        other = load(specification, replace(settings, weights=settings.initial)).model
    except ModelError as error:  # the file is loaded as --weights would be, and has its own name
        raise ModelError(str(error).replace("--weights", OPTION)) from error
    layers = dict(named_layers(other).values())
    found = {}
    for layer_call in network.layer_calls:
        if kernel_kind(layer_call.layer) is None or not layer_call.layer.built:
            continue
        path = network.path_of(layer_call.layer, 1)
        own = kernels(layer_call.layer)
        start = kernels(layers[path]) if path in layers else {}
        if (wanted := _shapes(own)) != (there := _shapes(start)):
            raise ModelError(
                f"{OPTION} {settings.initial} does not fit the network: {path} has {wanted}, and in the file {there}."
            )
        found[layer_call.path] = start
    return found


def _shapes(arrays: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"a {name} of the shape {array.shape}" for name, array in arrays.items()) or "no weights"


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a layer's weights, names, shapes and types included."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(f"{name}{array.shape}{array.dtype}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _copy(model: Any) -> Any:
    try:
        return keras.models.clone_model(model)
    except Exception as error:
        raise ModelError(
            f"{OPTION} needs a second copy of the network, and this one cannot be copied ({one_line(error)})."
        ) from error
