"""Clauses, sentences and settings as a reader wants them set; numbers are formatted by `render.text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.render.text import OF_IMAGES, Nouns, count, plural

HASH_SHOWN = 12  # hexadecimal digits that tell files apart at a glance; the whole hash stands beside it
MODEL_OUTPUTS = "Model outputs"  # what the page of the model's own outputs is called, which is no layer's
DANGLING = " .:;,"  # what another program's message may end in and a clause of ours may not


def clause(text: str) -> str:
    """`text` on one line without the punctuation at its end, to be built into a sentence."""
    return " ".join(text.split()).rstrip(DANGLING)


def sentence(text: str) -> str:
    """A first capital and a full stop. Not for text that starts with a name: names keep their case."""
    return stopped(text[:1].upper() + text[1:])


def stopped(text: str) -> str:
    """One full stop at the end, whatever stood there."""
    bare = clause(text)
    return bare if bare.endswith(("!", "?", "…")) else f"{bare}."


def not_finite(lost: int, total: int, noun: str) -> str | None:
    """`3 of 54 kernel weights are not finite`; None where all are."""
    if not lost:
        return None
    return f"{count(lost)} of {plural(total, noun)} {'is' if lost == 1 else 'are'} not finite"


def owner_words(is_output: bool) -> tuple[str, str]:
    """What a channel is called, one and many: a filter of a layer, or a class of the model's own outputs."""
    return ("class", "classes") if is_output else ("filter", "filters")


def compared_pictures(pictures: int, images: int, nouns: Nouns = OF_IMAGES) -> str:
    """What natural maxima were measured on: `78 pictures: each image whole and 25 crops of it`.

    pictures: of all `images` >= 1 together; each image gives itself and equally many crops.
    """
    crops = pictures // images - 1
    whole = f"the {nouns.one}" if images == 1 else f"each {nouns.one}"
    return f"{plural(pictures, nouns.made)}: {whole} whole" + (
        f" and {plural(crops, nouns.part)} of it" if crops > 0 else ""
    )


def flattened(values: Mapping[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Settings as (name, value) rows in the order of names; nested names joined by a dot."""
    rows: list[tuple[str, str]] = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Mapping):
            rows += flattened(value, f"{prefix}{name}.") if value else [(prefix + name, "none")]
        else:
            rows.append((prefix + name, setting(value)))
    return tuple(rows)


def setting(value: Any) -> str:
    """One resolved setting as it would be typed."""
    if value is None or value == "" or value == () or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value)


def reasoned(clauses: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """Clauses with their reasons, those of the same reasons joined so that each reason stands once.

    clauses: (clause, reasons). Returns `A, and B: reason`, one for each set of reasons in the order met; clauses
    without a reason stand by themselves, at the end, where no reason seems to be theirs.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for text, reasons in clauses:
        groups.setdefault(tuple(dict.fromkeys(clause(reason) for reason in reasons if clause(reason))), []).append(text)
    bare = groups.pop((), [])
    return (*(f"{', and '.join(texts)}: {'; '.join(reasons)}" for reasons, texts in groups.items()), *bare)
