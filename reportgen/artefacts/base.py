"""What the store holds of one layer, and in words what it does not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.core.errors import StoreError, few
from reportgen.core.records import ImageRecord, LayerRecord, Plan, Task
from reportgen.core.store import Store
from reportgen.core.verdicts import prefers_strongest
from reportgen.render.text import NOUNS, Nouns, plural
from reportgen.render.wording import owner_words, reasoned

FIGURES = (
    "activation",
    "activation_start",
    "pre_activation",
    "pre_activation_start",
    "peak",
    "peak_start",
    "survives_warps",
    "best_pre_activation",
)
NATURAL_ARRAYS = ("maximum", "minimum", "pre_minimum", "best_image", "peak", "pre_peak", "peak_image")
# Pictures beside the one that is shown: of the largest activation, of the largest peak.
OTHERS = ("strongest", "highest")
OTHER_FIGURES = (
    *(f"{other}_{name}" for other in OTHERS for name in ("activation", "peak", "search")),
    "strongest_pre_activation",
)
PATTERN_ARRAYS = (
    "images",
    "indices",
    *FIGURES,
    "restart_similarity",
    "redirected_relu",
    "search",
    "dead",
    *OTHER_FIGURES,
)
OTHER_PICTURES = tuple(f"{other}_{name}" for other in OTHERS for name in ("images", "indices"))
SLUG = re.compile(r"[a-z0-9_-]{1,64}")
Entry = tuple[dict[str, np.ndarray], dict[str, Any]]
Missing = tuple[str, tuple[str, ...]]  # a clause on what is missing, and the reasons


@dataclass(frozen=True)
class ImageMaps:
    """True maps of one image, (height, width, channels); `pre` before the activation function where it differs.

    float16, or float32 where float16 cannot hold such numbers. peak: float32 (channels,), the largest value of each map.
    """

    image: ImageRecord
    maps: np.ndarray
    pre: np.ndarray | None
    facts: dict[str, Any]
    peak: np.ndarray


@dataclass(frozen=True)
class Natural:
    """The unit's figures on the images, float32 (filters_total,), and which image reached the maximum, by number.

    pre_minimum: the lowest before the activation function. peak, peak_image: the same of the largest single position, of those pictures
    and of the images as their feature maps show them. pre_peak: the largest position before the activation function.
    """

    maximum: np.ndarray
    minimum: np.ndarray
    pre_minimum: np.ndarray
    best_image: np.ndarray
    peak: np.ndarray
    pre_peak: np.ndarray
    peak_image: np.ndarray
    crops: int


@dataclass(frozen=True)
class Patterns:
    """Patterns of some filters: uint8 images (n, height, width, bands), int32 indices (n,), float32 figures (n,).

    restart_similarity: float32 (n,), how alike the pictures of several starts are to the layer, NaN for a single
    start. redirected_relu: bool
    (n,), whether the gradient had to be let through silent rectifiers. crop: pixels at each side that are not shown. search: uint8 (n,),
    what found the picture. dead: bool (n,), proven. strongest_…, highest_…: figures (n,) of the pictures of the largest activation
    and peak that any search found; those pictures themselves only where they are not shown already, (m, …), with their filters' numbers.
    """

    images: np.ndarray
    indices: np.ndarray
    activation: np.ndarray
    activation_start: np.ndarray
    pre_activation: np.ndarray
    pre_activation_start: np.ndarray
    restart_similarity: np.ndarray
    peak: np.ndarray
    peak_start: np.ndarray
    survives_warps: np.ndarray
    best_pre_activation: np.ndarray
    redirected_relu: np.ndarray
    search: np.ndarray
    dead: np.ndarray
    strongest_activation: np.ndarray
    strongest_peak: np.ndarray
    strongest_search: np.ndarray
    strongest_pre_activation: np.ndarray
    strongest_images: np.ndarray
    strongest_indices: np.ndarray
    highest_activation: np.ndarray
    highest_peak: np.ndarray
    highest_search: np.ndarray
    highest_images: np.ndarray
    highest_indices: np.ndarray
    seeds: tuple[int, ...]
    steps: int
    crop: int
    recipe: dict[str, Any]


@dataclass(frozen=True)
class StoredImage:
    """A shown image as the model was fed it, (*lengths, bands), and the model's answer; None where missing.

    problem: as a clause, why the picture or the answer is missing although it should be there.
    """

    picture: np.ndarray | None
    predictions: list[dict[str, Any]] | None
    problem: str | None
    outputs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class StoredLayer:
    """Everything of one layer that is there. missing: what the plan asks for and the store lacks, each as a clause.

    initial: the weights before training, where they were given. negatives: the pictures that filters answer least to, only
    beside patterns. planned_filters, planned_negatives: what was asked for. nouns: of what the model is fed.
    """

    layer: LayerRecord
    weights: dict[str, np.ndarray] | None
    initial: dict[str, np.ndarray] | None
    maps: tuple[ImageMaps, ...]
    natural: Natural | None
    patterns: Patterns | None
    negatives: Patterns | None
    planned_filters: tuple[int, ...]
    planned_negatives: tuple[int, ...]
    missing: tuple[str, ...]
    nouns: Nouns

    def label(self, index: int) -> str | None:
        """The name of the class `index` where this is the model's output."""
        labels = self.layer.labels
        return None if labels is None else dict(zip(self.layer.filters_shown, labels, strict=True)).get(index)


def check_slugs(plan: Plan) -> None:
    """Raises StoreError where a slug of the plan would not do as a file name: a stored plan may come from anywhere."""
    for kind, slugs in (
        ("layer", [layer.slug for layer in plan.layers if layer.status != "skipped"]),
        ("image", [image.slug for image in plan.images]),
    ):
        for slug in slugs:
            if not SLUG.fullmatch(slug):
                raise StoreError(
                    f"the stored plan names a {kind} {slug!r}, which is no file name; run `reportgen build` again."
                )
        if len(set(slugs)) != len(slugs):
            raise StoreError(f"the stored plan names two {kind}s alike; run `reportgen build` again.")


def load_image(plan: Plan, store: Store, image: ImageRecord) -> StoredImage:
    """What the store holds of an image; nothing and no problem where the plan asks for nothing."""
    for task in plan.tasks:
        if task.kind == "image" and task.image == image.slug:
            entry = _entry(store, task, ("picture",))
            if entry is not None:
                facts = entry[1]
                outputs = tuple(facts.get("outputs", ()))
                return StoredImage(entry[0]["picture"], facts.get("predictions"), facts.get("reason"), outputs)
            lost = ("its picture and predictions are not computed", _reasons(store, [task]))
            return StoredImage(None, None, reasoned([lost])[0])
    return StoredImage(None, None, None)


def load_layer(plan: Plan, store: Store, layer: LayerRecord) -> StoredLayer:
    """Read whatever the store holds of `layer`; a damaged task counts as missing."""
    missing: list[Missing] = []

    weights = _load_weights(plan, store, layer, "weights", "the weights are not computed", missing)
    initial = _load_weights(plan, store, layer, "initial", "the initial weights are not stored", missing)

    maps = _load_maps(plan, store, layer, missing)
    natural = _with_maps(_load_natural(plan, store, layer, missing), maps, plan.images)
    patterns, planned = _load_patterns(plan, store, layer, "patterns", missing)
    if patterns is not None and natural is not None:
        patterns = _above_natural(patterns, natural)
    negatives, planned_negatives = _load_patterns(plan, store, layer, "negatives", missing)
    if patterns is None and negatives is not None:
        missing.append(("negative patterns are not shown without the patterns", ()))
        negatives = None
    return StoredLayer(
        layer,
        weights,
        initial,
        maps,
        natural,
        patterns,
        negatives,
        planned,
        planned_negatives,
        reasoned(missing),
        NOUNS[plan.contract.rank],
    )


def _load_weights(
    plan: Plan, store: Store, layer: LayerRecord, kind: str, lost: str, missing: list[Missing]
) -> dict[str, np.ndarray] | None:
    weights = None
    for task in plan.layer_tasks(layer.slug, kind):
        entry = _entry(store, task, ())
        weights = entry[0] if entry is not None and any(name.endswith("kernel") for name in entry[0]) else None
        if weights is None:
            missing.append((lost, _reasons(store, [task])))
    return weights


def _load_maps(plan: Plan, store: Store, layer: LayerRecord, missing: list[Missing]) -> tuple[ImageMaps, ...]:
    images = {image.slug: image for image in plan.images}
    tasks = plan.layer_tasks(layer.slug, "feature_maps")
    found, lost = [], []
    for task in tasks:
        entry = _entry(store, task, ("maps", "peak"))
        if entry is None:
            lost.append(images[task.image].name)
        else:
            arrays, facts = entry
            maps = _unscaled(arrays["maps"], facts.get("exponent", 0))
            pre = _unscaled(arrays["pre"], facts.get("pre_exponent", 0)) if "pre" in arrays else None
            found.append(ImageMaps(images[task.image], maps, pre, facts, arrays["peak"]))
    if lost:
        share = f"feature maps of {len(lost)} of {plural(len(tasks), NOUNS[plan.contract.rank].one)} are not computed ({few(lost)})"
        missing.append((share, _reasons(store, tasks)))
    return tuple(found)


def _unscaled(maps: np.ndarray, exponent: int) -> np.ndarray:
    """`maps` times 2**exponent: float32, or untouched where the exponent is 0."""
    return maps if exponent == 0 else np.ldexp(maps.astype(np.float32), exponent)


def _load_natural(plan: Plan, store: Store, layer: LayerRecord, missing: list[Missing]) -> Natural | None:
    for task in plan.layer_tasks(layer.slug, "natural"):
        entry = _entry(store, task, NATURAL_ARRAYS)
        if entry is not None and len(entry[0]["maximum"]) == layer.filters_total:
            arrays, facts = entry
            return Natural(**{name: arrays[name] for name in NATURAL_ARRAYS}, crops=int(facts.get("crops", 0)))
        lost = "natural maxima are not computed, so patterns are compared with their start"
        missing.append((lost, _reasons(store, [task])))
    return None


def _with_maps(natural: Natural | None, maps: Sequence[ImageMaps], images: Sequence[ImageRecord]) -> Natural | None:
    """`natural` with the peaks of the images as their feature maps show them: no verdict may contradict a number beside it."""
    numbers = {image.slug: number for number, image in enumerate(images)}
    for item in maps:
        if natural is not None and item.peak.shape == natural.peak.shape:
            higher = item.peak > natural.peak
            image = np.where(higher, numbers[item.image.slug], natural.peak_image)
            natural = replace(natural, peak=np.where(higher, item.peak, natural.peak), peak_image=image)
    return natural


def _above_natural(patterns: Patterns, natural: Natural) -> Patterns:
    """`patterns`, of which those that stay below the images give way to the strongest picture where that one does not."""
    chosen = prefers_strongest(
        patterns.activation,
        patterns.peak,
        patterns.strongest_activation,
        patterns.strongest_peak,
        natural.maximum[patterns.indices],
        natural.peak[patterns.indices],
    )
    if not chosen.any():
        return patterns
    changed: dict[str, Any] = {
        name: np.where(chosen, getattr(patterns, f"strongest_{name}"), getattr(patterns, name))
        for name in ("activation", "pre_activation", "peak", "search")
    }
    unknown = np.float32(np.nan)  # how it stands warps was measured of the readable picture alone
    changed["survives_warps"] = np.where(chosen, unknown, patterns.survives_warps)
    images, places = patterns.images.copy(), {int(number): at for at, number in enumerate(patterns.strongest_indices)}
    for row in np.flatnonzero(chosen):
        place = places.get(int(patterns.indices[row]))
        if place is not None:  # else the strongest picture is the one that is shown, measured again within rounding
            images[row] = patterns.strongest_images[place]
    kept = [at for number, at in places.items() if number not in set(patterns.indices[chosen].tolist())]
    for name in ("strongest_images", "strongest_indices"):
        changed[name] = getattr(patterns, name)[kept]
    return replace(patterns, images=images, **changed)


def _load_patterns(
    plan: Plan, store: Store, layer: LayerRecord, kind: str, missing: list[Missing]
) -> tuple[Patterns | None, tuple[int, ...]]:
    tasks = plan.layer_tasks(layer.slug, kind)
    names = PATTERN_ARRAYS
    entries: list[Entry] = []
    for task in tasks:
        entry = _entry(store, task, (*names, *OTHER_PICTURES))
        if entry is None or any(len(entry[0][name]) != len(entry[1].get("seeds", ())) for name in names):
            continue
        if not entries or entry[0]["images"].shape[1:] == entries[0][0]["images"].shape[1:]:
            entries.append(entry)
    planned = tuple(number for task in tasks for number in task.filters)
    computed = sum(len(arrays["indices"]) for arrays, _ in entries)
    if computed < len(planned):
        what = "patterns" if kind == "patterns" else "negative patterns"
        owners = owner_words(layer.is_output)
        share = f"{what} of {len(planned) - computed} of {plural(len(planned), *owners)} are not computed"
        missing.append((share, _reasons(store, tasks)))
    if not entries:
        return None, planned
    joined = {name: np.concatenate([arrays[name] for arrays, _ in entries]) for name in names}
    order = np.argsort(joined["indices"], kind="stable")
    seeds = [int(seed) for _, facts in entries for seed in facts["seeds"]]
    # Where memory ran out on the way the smaller batch is the one to be told.
    facts = min((facts for _, facts in entries), key=lambda facts: facts.get("recipe", {}).get("batch", 0))
    others = {name: np.concatenate([arrays[name] for arrays, _ in entries]) for name in OTHER_PICTURES}
    patterns = Patterns(
        **{name: array[order] for name, array in joined.items()},
        **others,
        seeds=tuple(seeds[position] for position in order),
        steps=int(facts.get("steps", 0)),
        crop=int(facts.get("crop", 0)),
        recipe=dict(facts.get("recipe", {})),
    )
    return patterns, planned


def _reasons(store: Store, tasks: Sequence[Task]) -> tuple[str, ...]:
    """The reasons for which `tasks` failed; none where they were only not reached."""
    return tuple(reason for task in tasks if (reason := store.failure(task.key)) is not None)


def _entry(store: Store, task: Task, names: tuple[str, ...]) -> Entry | None:
    """A stored task that holds all of `names`, or None."""
    try:
        arrays, facts = store.load(task.key)
    except StoreError:
        return None
    return (arrays, facts) if all(name in arrays for name in names) else None
