"""What makes a comparison of two reports unfair: seeds, settings, versions, images and preprocessing that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportgen.core.errors import few
from reportgen.core.settings import SETTINGS
from reportgen.render.text import listed, plural
from reportgen.report.document import ReportDocument

# Settings that change no number that is compared: what is shown, how it is drawn, and how a model is found.
HARMLESS = frozenset(
    {
        *(
            "title",
            "single_file",
            "normalize",
            "colormap",
            "map_range",
            "template",
            "css",
            "classes",
            "images",
            "max_images",
            "weights",
        ),
        *(
            "imports",
            "allow_unsafe",
            "initial",
            "keep_maps",
            "memory",
            "recipe",
            "layers",
            "exclude",
            "filters",
            "pooling",
            "outputs",
        ),
        *("negative", "bands"),
    }
)
OF_INPUT = frozenset({"preprocess", "input_range", "image_size", "fit", "input", "hold", "input_shape"})
OF_RUN = frozenset({"threads"})


def unfair(old: ReportDocument, new: ReportDocument) -> tuple[str, ...]:
    """Return what makes a comparison unfair, a sentence each; none where nothing does."""
    found: list[str] = []
    found += _settings(old, new)
    found += _input(old, new)
    found += _images(old, new)
    found += _environment(old, new)
    return tuple(found)


def _stated(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) if value else "none"
    return "not given" if value is None else str(value)


def _settings(old: ReportDocument, new: ReportDocument) -> list[str]:
    """Sentences on options of patterns: their pictures and scores depend on these."""
    names = [
        one.name
        for one in SETTINGS
        if one.name not in HARMLESS | OF_INPUT | OF_RUN and one.name in {*old.settings, *new.settings}
    ]
    different = [
        f"{name.replace('_', '-')} ({_stated(old.settings.get(name))} and {_stated(new.settings.get(name))})"
        for name in names
        if old.settings.get(name) != new.settings.get(name)
    ]
    sentences = []
    if different:
        sentences.append(
            f"The patterns were computed with other settings, old and new: {listed(different)}; their pictures and scores differ "
            "for that reason, too."
        )
    elif old.settings.get("recipe") != new.settings.get("recipe"):
        sentences.append(
            "The patterns were computed by different methods; their pictures and scores differ for that reason, too."
        )
    return sentences


def same_input(old: ReportDocument, new: ReportDocument) -> bool:
    """Return whether both models were fed an image in the same way, so that what they make of it can be compared."""
    return not _input(old, new)


def _input(old: ReportDocument, new: ReportDocument) -> list[str]:
    one, other = old.input, new.input
    pairs: Sequence[tuple[str, Any, Any]] = (
        ("preprocessing", one.preprocess, other.preprocess),
        ("black and white of the input", (one.low, one.high), (other.low, other.high)),
        ("size of the input", one.size, other.size),
        ("channels of the input", one.bands, other.bands),
        ("fit of the images", one.fit, other.fit),
        ("range of floating-point images", one.floats, other.floats),
        (
            "constant inputs",
            [item.sha256 for item in one.constant_inputs],
            [item.sha256 for item in other.constant_inputs],
        ),
    )
    return [
        f"The {name} differs: {_stated(before)}, and now {_stated(after)}; feature maps are not compared."
        if name != "constant inputs"
        else "The constant inputs differ; feature maps are not compared."
        for name, before, after in pairs
        if before != after
    ]


def _images(old: ReportDocument, new: ReportDocument) -> list[str]:
    before, after = ({image.sha256: image.name for image in document.images} for document in (old, new))
    if not before and not after:
        return ["Neither report has images: weights and patterns alone are compared."]
    shared = before.keys() & after.keys()
    if not shared:
        return ["The reports have no image in common: weights and patterns alone are compared."]
    sentences = []
    for names, which in ((before.keys() - after.keys(), "old"), (after.keys() - before.keys(), "new")):
        if names:
            source = before if which == "old" else after
            images = few(sorted(source[sha] for sha in names))
            sentences.append(
                f"{plural(len(names), 'image is', 'images are')} in the {which} report alone ({images}): verdicts refer to other "
                "natural maxima."
            )
    return sentences


def _environment(old: ReportDocument, new: ReportDocument) -> list[str]:
    different = [
        f"{name} ({_stated(old.environment.get(name))} and {_stated(new.environment.get(name))})"
        for name in sorted({*old.environment, *new.environment})
        if old.environment.get(name) != new.environment.get(name)
    ]
    sentences = []
    if different:
        sentences.append(
            f"The reports were computed in different environments, old and new: {listed(different)}; arithmetic may round otherwise."
        )
    if old.settings.get("threads") != new.settings.get("threads"):
        sentences.append(
            f"The reports were computed with {_stated(old.settings.get('threads'))} and {_stated(new.settings.get('threads'))} "
            "threads; arithmetic may round otherwise."
        )
    return sentences
