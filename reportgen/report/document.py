"""report.json as one typed record: every fact on the pages, the contract with other programs.

Numbers that were float32 are written as the shortest decimal that reads back as the same float32; one that is not finite is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from reportgen.artefacts.dataset import DatasetEntry
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.misclassified import ExplainedImage
from reportgen.artefacts.overview import OverviewRecord
from reportgen.artefacts.predictions import NO_PROBABILITIES, ImageEntry
from reportgen.core.records import SLUG_PATTERN, DiagramNode, InputContract, LayerStatus, ModelRecord, Plan
from reportgen.core.store import json_bytes
from reportgen.core.verdicts import NOT_FINITE
from reportgen.render.text import named, plural
from reportgen.render.wording import clause, owner_words, sentence, stopped
from reportgen.report.gallery import GalleryEntry, gallery
from reportgen.report.health.checks import health_records
from reportgen.report.health.record import HealthRecord

SCHEMA: Literal["reportgen/2"] = "reportgen/2"


RENDERED = {"properties": {"status": {"const": LayerStatus.RENDERED}}}
SKIPPED = {"properties": {"status": {"const": LayerStatus.SKIPPED}}}
# What types cannot express about a layer: one that is not rendered states why, and one that has a page has a file name.
LAYER_RULES = {
    "allOf": [
        {"if": RENDERED, "else": {"properties": {"reason": {"type": "string", "minLength": 1}}}},
        {"if": SKIPPED, "else": {"properties": {"slug": {"pattern": SLUG_PATTERN}}}},
    ]
}


class ReportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Every fact on the pages of a report. A number that is not finite is null; keys may be added, those required stay."""

    schema: Literal["reportgen/2"] = SCHEMA
    title: str
    model: ModelRecord
    input: Annotated[InputContract, Meta(description="what the model expects, and how an image becomes that")]
    settings: Annotated[dict[str, Any], Meta(description="every resolved setting")]
    environment: Annotated[dict[str, Any], Meta(description="versions and the device")]
    images: tuple[ImageEntry, ...]
    images_left_out: tuple[dict[str, str], ...]
    dataset: Annotated[DatasetEntry | None, Meta(description="many images, of `--dataset`; null without them")] = None
    layers: tuple[Annotated[LayerEntry, Meta(extra_json_schema=LAYER_RULES)], ...]
    overview: OverviewRecord | None
    gallery: Annotated[
        tuple[GalleryEntry, ...],
        Meta(description="the patterns on the first page, from early to deep layers; of each at most a few"),
    ]
    diagram: Annotated[
        tuple[DiagramNode, ...],
        Meta(
            description="how data flows through the network, in the order in which it meets the nodes; empty where not known"
        ),
    ]
    health: Annotated[tuple[HealthRecord, ...], Meta(description="what each check of the whole network found")]
    misclassified: Annotated[
        tuple[ExplainedImage, ...],
        Meta(
            description="images of the data set that have a page: those that the model is wrong about with most confidence"
        ),
    ] = ()
    notes: tuple[str, ...]
    problems: Annotated[tuple[str, ...], Meta(description="one sentence for each thing that failed or was left out")]

    def to_json(self) -> bytes:
        """Return the bytes of report.json."""
        return json_bytes(msgspec.to_builtins(self))


def make_document(
    plan: Plan,
    images: tuple[ImageEntry, ...],
    layers: tuple[LayerEntry, ...],
    overview: OverviewRecord | None,
    dataset: DatasetEntry | None = None,
    misclassified: tuple[ExplainedImage, ...] = (),
    lost: Sequence[str] = (),
) -> ReportDocument:
    """Return the whole document, put together from its parts; `lost` says, in clauses, what is missing of misclassified images."""
    return ReportDocument(
        title=report_title(plan),
        model=plan.model,
        input=plan.contract,
        settings=plan.settings,
        environment=plan.environment,
        images=images,
        images_left_out=plan.images_left_out,
        dataset=dataset,
        layers=layers,
        overview=overview,
        gallery=gallery(layers),
        diagram=plan.diagram,
        health=health_records(plan, images, layers, dataset),
        misclassified=misclassified,
        notes=plan.notes,
        problems=(*problems(plan, images, layers), *_unread(dataset), *map(sentence, lost)),
    )


def report_title(plan: Plan) -> str:
    """Return the title of a report: the user's, or the model's name."""
    return str(plan.settings.get("title") or plan.model.name)


def problems(plan: Plan, images: Iterable[ImageEntry], layers: Iterable[LayerEntry]) -> tuple[str, ...]:
    """Return one sentence for each thing that failed or was left out: exit code 3 where there is any."""
    sentences = list(plan.problems)
    sentences += [_left_out(item.get("name", "an image"), item.get("reason", "")) for item in plan.images_left_out]
    for image in images:
        if image.predictions_note not in (None, NO_PROBABILITIES):
            sentences.append(stopped(f"{image.name}: {image.predictions_note}"))
        if image.attribution_note is not None:
            sentences.append(stopped(f"{image.name}: {image.attribution_note}"))
    for layer in layers:
        if layer.status == LayerStatus.FAILED:
            sentences.append(stopped(f"{layer.path}: {layer.reason or 'failed'}"))
        sentences += _broken_patterns(layer)
    return tuple(sentences)


def _unread(dataset: DatasetEntry | None) -> tuple[str, ...]:
    """A sentence on the images of the data set that could not be read, of which the first is named."""
    if dataset is None or not dataset.left_out:
        return ()
    first, total = dataset.left_out[0], len(dataset.left_out)
    others = f"; and {plural(total - 1, 'other')}" if total > 1 else ""
    fact = clause(first.reason).removeprefix(f"{first.name.rpartition('/')[2]} ")  # the name is stated once
    verb = "is" if total == 1 else "are"
    return (stopped(f"{plural(total, 'image')} of the data set {verb} left out: {first.name} {fact}{others}"),)


def _broken_patterns(layer: LayerEntry) -> list[str]:
    """A sentence on the patterns of a layer with scores that are not finite, and one on the minimal patterns."""
    patterns = () if layer.patterns is None else layer.patterns.filters
    minimal = () if layer.minimal_patterns is None else layer.minimal_patterns.filters
    sentences = []
    for what, wrong in (
        ("pattern", [item.index for item in patterns if item.verdict == NOT_FINITE]),
        ("minimal pattern", [item.index for item in minimal if item.is_broken]),
    ):
        if wrong:
            share = f"{len(wrong)} of {plural(len(layer.filters_shown), what)}"
            owner, owners = owner_words(layer.is_output)
            verb, noun = ("is", owner) if len(wrong) == 1 else ("are", owners)
            sentences.append(f"{layer.path}: {share} {verb} not finite ({noun} {named(wrong)}).")
    return sentences


def _left_out(name: str, reason: str) -> str:
    """The sentence on an image that was left out; the reason may begin with the image's name, which is stated once."""
    bare = clause(reason)
    fact = f"it {bare.removeprefix(f'{name} ')}" if bare.startswith(f"{name} ") else bare
    return stopped(f"{name}: left out, {fact or 'it cannot be read'}")
