"""Clauses, sentences and settings as text for pages; numbers are formatted by `render.text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.core.records import InputContract
from reportgen.render.text import NOUNS, OF_IMAGES, Nouns, count, dimensions, plural

HASH_SHOWN = 12  # hexadecimal digits that distinguish files at a glance; report.json has the whole hash
MODEL_OUTPUTS = "Model outputs"  # heading of the page of the model's outputs
DANGLING = " .:;,"  # what a message of another program may end in and a clause may not

PICTURE_FITS = {
    "crop": "resized (bicubic) and center-cropped to {}",
    "pad": "resized to fit (bicubic) and padded with black to {}",
    "stretch": "resized (bicubic) to {} without preserving the aspect ratio",
}
ARRAY_FITS = {
    "crop": "cut to their central {}, or zero-padded to it",
    "pad": "cut to their central {}, or zero-padded to it",
    "stretch": "resampled linearly to {}",
}


def clause(text: str) -> str:
    """Return `text` on one line without the punctuation at its end, to be built into a sentence."""
    return " ".join(text.split()).rstrip(DANGLING)


def sentence(text: str) -> str:
    """Return `text` with a first capital and a full stop; not for text that starts with a name, which keeps its case."""
    return stopped(text[:1].upper() + text[1:])


def stopped(text: str) -> str:
    """Return `text` with one full stop at the end."""
    bare = clause(text)
    return bare if bare.endswith(("!", "?", "…")) else f"{bare}."


def unquoted(text: str) -> str:
    """Return a message of the command line without the backticks around names, which a page does not need."""
    return text.replace("`", "")


def not_finite(lost: int, total: int, noun: str) -> str | None:
    """Return `3 of 54 kernel weights are not finite`; None where all are."""
    if not lost:
        return None
    return f"{count(lost)} of {plural(total, noun)} {'is' if lost == 1 else 'are'} not finite"


def owner_words(is_output: bool) -> tuple[str, str]:
    """Return what a channel is called, one and many: a filter of a layer, or a class of the model's outputs."""
    return ("class", "classes") if is_output else ("filter", "filters")


def compared_inputs(inputs: int, images: int, nouns: Nouns = OF_IMAGES, dataset: int = 0) -> str:
    """Return what natural maxima were measured on: `78 inputs (3 images and 25 crops of each)`.

    Args:
        inputs: of all images together; each image gives itself and equally many crops.
        images: number of images; at least 1 unless there is a data set.
        nouns: of what the model is fed.
        dataset: images of the data set.
    """
    beyond = f"{plural(dataset, nouns.one)} of the data set" if dataset else ""
    if images == 0 or inputs == 0:
        return beyond
    crops = inputs // images - 1
    parts = f" and {plural(crops, nouns.part)} of {'it' if images == 1 else 'each'}" if crops > 0 else ""
    named = f"{plural(inputs, 'input')} ({plural(images, nouns.one)}{parts})"
    return f"{named} and {beyond}" if beyond else named


def flattened(values: Mapping[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return settings as (name, value) rows in the order of names; nested names are joined by a dot."""
    rows: list[tuple[str, str]] = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Mapping):
            rows += flattened(value, f"{prefix}{name}.") if value else [(prefix + name, "none")]
        else:
            rows.append((prefix + name, setting(value)))
    return tuple(rows)


def setting(value: Any) -> str:
    """Return a resolved setting as it would be typed."""
    if value is None or value == "" or value == () or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value)


def reasoned(clauses: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """Return clauses with their reasons; clauses with the same reasons are joined, so that each reason is stated once.

    Args:
        clauses: (clause, reasons).

    Returns:
        `A, and B: reason`, one for each set of reasons in the order met; clauses without a reason at the end.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for text, reasons in clauses:
        groups.setdefault(tuple(dict.fromkeys(clause(reason) for reason in reasons if clause(reason))), []).append(text)
    bare = groups.pop((), [])
    return (*(f"{', and '.join(texts)}: {'; '.join(reasons)}" for reasons, texts in groups.items()), *bare)


def resizing(contract: InputContract) -> str:
    """Return how the user's files are brought to the size of the input: `images are resized (bicubic) to 64 × 64 pixels …`."""
    fits = PICTURE_FITS if contract.is_picture else ARRAY_FITS
    return f"{NOUNS[contract.rank].one}s are {fits[contract.fit].format(dimensions(contract.size))}"
