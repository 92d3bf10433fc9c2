"""What the user should know about a plan before it is carried out: one sentence each, None where there is nothing to say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportgen.core.errors import UsageError, few
from reportgen.core.settings import Settings
from reportgen.inputs.images import SUFFIXES, Collection, colour_profile, profile_notes
from reportgen.network.contract import measured
from reportgen.network.error_text import readable_size
from reportgen.network.network import Network
from reportgen.network.outputs import fitting


def no_images(collection: Collection, settings: Settings) -> str | None:
    """Say what a report without images lacks."""
    if collection.images:
        return None
    why = "None of the images could be used" if collection.left_out else "No images were given"
    if settings.dataset is not None:
        return f"{why} with --images: there are no feature maps."
    return f"{why}: there are no feature maps, and patterns are compared only with their initial images."


def no_gradient(settings: Settings) -> str:
    """Say why there are no patterns."""
    return f"There are no patterns, because --preprocess {settings.preprocess} is not differentiable."


def pattern_range(low: float, high: float) -> str:
    """State the range of patterns that follows from the user's signals or volumes."""
    return (
        f"Pattern values are limited to {low:.4g} to {high:.4g}, the smallest and largest value of the inputs; "
        "--input-range sets another range."
    )


def constant_input_profiles(settings: Settings) -> tuple[str, ...]:
    """Name the colour profiles of pictures that are constant inputs; they are not applied."""
    files = [Path(file) for file in settings.constant_inputs.values()]
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    return profile_notes((file.name, colour_profile(file)) for file in pictures)


def ambiguous_classes(classes: Sequence[str], network: Network) -> str | None:
    """Say that names of classes fit several outputs. Raises UsageError where they fit none."""
    count = len(classes)
    if not fitting(network.heads, count):
        sizes = few([f"{name} {size}" for name, size in network.heads.items()])
        raise UsageError(
            f"--classes has {count} names, and no output of the model so many classes (they have: {sizes})."
        )
    several = fitting(network.classifying, count)
    if len(several) < 2:
        return None
    return f"The {count} names of --classes fit several outputs ({few(several)}), so predictions are numbered."


def memory(network: Network, settings: Settings) -> str | None:
    """Say that images of a size of the user's choice take more memory than `--memory` says."""
    contract = network.contract
    needed = max((layer_call.costs.tensor_bytes for layer_call in network.layer_calls), default=0)
    if None not in contract.shape[:-1] or needed <= settings.memory_bytes:
        return None
    size, noun, _ = measured(contract.size)
    return (
        f"The network needs up to {readable_size(needed)} for one {noun} of {size}, more than --memory {settings.memory}; "
        "--image-size reduces it."
    )
