"""Is this the model of a report, and does it still give what the report states: hashes, weights, random patterns and maps compared."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.compute import machine
from reportgen.compute.opening import ModelReference
from reportgen.compute.patterns import recipe as recipes
from reportgen.compute.planning.prepare import batch_for
from reportgen.compute.tasks import carry_out
from reportgen.compute.work import Job, Work
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import StoreError, UsageError
from reportgen.core.kept_maps import KEPT
from reportgen.core.records import PATTERN_KINDS, ModelRecord, Plan, Task, TaskKind
from reportgen.core.settings import SETTINGS, Settings, from_call
from reportgen.core.store import Store
from reportgen.core.stored_maps import compact
from reportgen.inputs.image_reader import ImageReader
from reportgen.network.backend import fix_threads
from reportgen.network.graph.layer_calls import stored_weights
from reportgen.network.graph.layer_kinds import kernels
from reportgen.network.loading.hashes import file_sha256, weights_sha256
from reportgen.network.loading.load import load
from reportgen.survey.statistics import joined_images

# What may differ between two kinds of machine, of the contract.
GRAY_LEVEL = 1.0  # mean difference of two pictures, of GRAY_LEVELS; of maps and signals the same share of their range
GRAY_LEVELS = 255
SCORE_SHARE = 0.01  # of a score, or of the layer's largest where that is smaller than rounding
NEGLIGIBLE = 1e-3  # of the largest score of its kind: below it, a relative difference says nothing
Entry = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
SCORES = ("activation", "peak", "strongest_activation", "strongest_peak")
MAP_FACTS = ("minimum", "maximum", "pre_minimum", "pre_maximum")
# Files and code that a stored setting only names: they come from the user or not at all, never from an archive.
NAMED_ONLY = ("weights", "imports", "allow_unsafe", "hold", "preprocess")
NOT_NEEDED = ("images", "classes", "initial", "template", "css", "title", "single_file")


@dataclass
class Compared:
    """What was computed again.

    Attributes:
        differences: a sentence for each thing that is not within the tolerances.
        patterns: how many patterns were compared; likewise `maps`, `attributions`, images whose attribution maps were, and `weights`,
            layers whose weights were.
        identical: how many of the patterns, maps and images were the same to the byte.
        notes: what could not be compared, and why.
    """

    differences: list[str] = field(default_factory=list)
    patterns: int = 0
    maps: int = 0
    attributions: int = 0
    weights: int = 0
    identical: int = 0
    notes: list[str] = field(default_factory=list)


def settings_of(stated: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """Return the settings that a report was computed with, as far as its pixels and numbers depend on them.

    Args:
        stated: the settings in report.json.
        given: the user's own, which alone may name files and code.

    Raises:
        UsageError: the report was computed with code that the user does not name.
    """
    own = {option.name for option in SETTINGS} - {*NAMED_ONLY, *NOT_NEEDED}
    values = {name: value for name, value in stated.items() if name in own and value is not None}
    preprocess = str(stated.get("preprocess", "auto"))
    if ":" in preprocess and "preprocess" not in given:
        raise UsageError(
            f"the report was computed with --preprocess {preprocess}; give the same option to run that code."
        )
    return Settings(**{**from_call({**values, "preprocess": preprocess}), **given})


def identity_differences(specification: str, stated: ModelRecord, settings: Settings) -> Iterator[str]:
    """Yield a sentence for each hash of a model that is not the one that a report states.

    Args:
        specification: what names the model.
        stated: the model of the report.
        settings: how the model is loaded.

    Raises:
        ReportgenError: the model cannot be loaded.
    """
    loaded = load(specification, settings)
    here = file_sha256(Path(specification)) if Path(specification).is_file() else None
    if here != stated.sha256:
        yield f"{specification} has the SHA-256 {here or 'of no file'}, and the report states {stated.sha256 or 'none'}"
    own = weights_sha256(loaded.model)
    if own != stated.weights_sha256:
        yield f"{specification} has architecture and weights with the SHA-256 {own}, and the report states {stated.weights_sha256}"


def recompute(
    specification: str, settings: Settings, folder: Path, number: int, tell: Callable[[str], None]
) -> Compared:
    """Compute random patterns and maps of a report again, and the attribution maps of random images; all weights are compared, too.

    Which ones follows from the report and `number` alone, so that two people compare the same; with a larger number they are among
    those.

    Args:
        specification: what names the model, which must be the report's.
        settings: of the report.
        folder: of the report, with its stored arrays.
        number: how many patterns, how many maps, and of how many images attribution maps.
        tell: is called with what is being computed.

    Raises:
        ReportgenError: the model cannot be opened, or the stored run not be read.
    """
    store, compared = Store(folder), Compared()
    plan = store.load_plan()
    workspace = _workspace(specification, settings, plan)
    here, there = machine.versions(), plan.environment
    other = [f"{name} {here[name]}, not {there[name]}" for name in here if name in there and here[name] != there[name]]
    if other:
        compared.notes.append(f"computed with {', '.join(other)}: small differences are expected")
    for task in (task for task in plan.tasks if task.kind == TaskKind.WEIGHTS):
        _compare_weights(workspace, store, task, compared)
    _compare_patterns(workspace, store, plan, number, compared, tell)
    _compare_maps(workspace, store, plan, number, compared, tell)
    _compare_attributions(workspace, store, plan, number, compared, tell)
    return compared


def _workspace(specification: str, settings: Settings, plan: Plan) -> Workspace:
    """The report's job, open here without the user's images."""
    fix_threads(settings.threads)
    contract = plan.contract
    reference = ModelReference(
        specification,
        settings,
        tuple(image.lengths for image in plan.images),
        plan.model.weights_sha256,
        None if contract.is_picture else (contract.low, contract.high),
    )
    network = reference.network
    calls = network.by_path
    batches = {
        layer.slug: batch_for(network, calls[layer.path], layer.pattern_size, settings, len(layer.filters_shown))
        for layer in plan.layers
        if layer.status == "rendered" and layer.pattern_size is not None and layer.path in calls
    }
    recipe = recipes.choose(settings, network.contract.bands, bool(plan.images))
    return Workspace(Job(plan, reference, (), ImageReader(), recipe, batches, machine.stated()))


def _drawn(plan: Plan, candidates: Iterable[tuple[Task, int]], number: int) -> list[tuple[Task, int]]:
    """The first `number` in an order that is random and always the same for a report."""

    def place(candidate: tuple[Task, int]) -> str:
        task, index = candidate
        return hashlib.sha256(f"{plan.model.weights_sha256} {task.key} {index}".encode()).hexdigest()

    return sorted(candidates, key=place)[:number]


def _loaded(
    store: Store, task: Task, what: str, compared: Compared
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    try:
        return store.load(task.key)
    except StoreError as error:
        if store.failure(task.key) is None:
            compared.differences.append(f"{what}: {error}")
        return None


def _compare_weights(workspace: Workspace, store: Store, task: Task, compared: Compared) -> None:
    path = workspace.layers[task.layer].path
    stored = _loaded(store, task, f"{path}, weights", compared)
    if stored is None:
        return
    layer_call = workspace.layer_calls[task.layer]
    own, arrays = stored_weights(layer_call), stored[0]
    compared.weights += 1
    # An earlier version may have stored less beside the kernel and the bias.
    whole = kernels(layer_call.layer).keys() <= arrays.keys() <= own.keys()
    if not whole or not all(_same(own[name], array) for name, array in arrays.items()):
        compared.differences.append(f"{path}: the stored weights are not those of the model")


def _compare_patterns(
    workspace: Workspace, store: Store, plan: Plan, number: int, compared: Compared, tell: Callable[[str], None]
) -> None:
    if workspace.job.recipe.decorrelation == "images":
        compared.notes.append("patterns were not computed again: their colors depend on the user's images")
        return
    candidates = ((task, index) for task in plan.tasks if task.kind in PATTERN_KINDS for index in task.filters)
    chosen: defaultdict[tuple[str, TaskKind], list[tuple[Task, int]]] = defaultdict(list)
    for task, index in _drawn(plan, candidates, number):
        chosen[task.layer, task.kind].append((task, index))
    for (layer, kind), drawn in chosen.items():
        path = workspace.layers[layer].path
        tell(f"{path}: patterns of {', '.join(str(index) for _, index in drawn)}")
        wanted = Task(kind, "recomputed", layer, "", tuple(sorted(index for _, index in drawn)), 1.0)
        (result,) = carry_out(workspace, Work(kind, (wanted,)), lambda news: None)
        noun = "pattern" if kind == TaskKind.PATTERNS else "minimal pattern"
        for task, index in drawn:
            what = f"{path}, {noun} of {'class' if workspace.layers[layer].is_output else 'filter'} {index}"
            stored = _loaded(store, task, what, compared)
            if stored is None:
                continue
            compared.patterns += 1
            if result.failure is not None:
                compared.differences.append(f"{what}: it cannot be computed again: {result.failure}")
            else:
                _compare_pattern(what, index, stored[0], result.arrays, compared)


def _compare_pattern(
    what: str, index: int, stored: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray], compared: Compared
) -> None:
    old_row, new_row = (arrays["indices"].tolist().index(index) for arrays in (stored, made))
    old, new = stored["images"][old_row], made["images"][new_row]
    before = len(compared.differences)
    compared.differences += _picture_differences(what, old, new)
    for name in (*SCORES, "dead"):
        if name in stored and name in made:
            largest = float(np.nanmax(np.abs(stored[name].astype(np.float64)), initial=0))
            one, other = float(stored[name][old_row]), float(made[name][new_row])
            compared.differences += _score_differences(f"{what}, {name.replace('_', ' ')}", one, other, largest)
    same = _same(old, new) and all(
        _same(stored[name][old_row], made[name][new_row]) for name in SCORES if name in stored
    )
    compared.identical += same and len(compared.differences) == before


def _compare_maps(
    workspace: Workspace, store: Store, plan: Plan, number: int, compared: Compared, tell: Callable[[str], None]
) -> None:
    images = {task.image: task for task in plan.tasks if task.kind == TaskKind.IMAGE}
    candidates = ((task, 0) for task in plan.tasks if task.kind == TaskKind.FEATURE_MAPS)
    for task, _ in _drawn(plan, candidates, number):
        what = f"{workspace.layers[task.layer].path}, feature maps of {task.image}"
        tell(what)
        picture = _loaded(store, images[task.image], f"{task.image}, pixels", compared)
        stored = _loaded(store, task, what, compared)
        if picture is None or stored is None:
            continue
        arrays, facts = stored
        ((made, again),) = workspace.map_reader((task.layer,))(picture[0]["picture"])
        made, compared.maps, before = compact(made), compared.maps + 1, len(compared.differences)
        largest = max((abs(facts[name]) for name in MAP_FACTS if facts.get(name) is not None), default=0.0)
        for name in MAP_FACTS:
            if facts.get(name) is not None and again.get(name) is not None:
                compared.differences += _score_differences(
                    f"{what}, {name.replace('_', ' ')}", facts[name], again[name], largest
                )
        names = () if KEPT in facts else tuple(arrays)
        for name in names:
            if made.get(name) is None or made[name].shape != arrays[name].shape:
                compared.differences.append(f"{what}: {name} has another shape")
            else:
                compared.differences += _picture_differences(f"{what}, {name}", arrays[name], made[name])
        same = all(_same(arrays[name], made[name]) for name in names if name in made)
        compared.identical += bool(names) and same and len(compared.differences) == before


def _compare_attributions(
    workspace: Workspace, store: Store, plan: Plan, number: int, compared: Compared, tell: Callable[[str], None]
) -> None:
    kinds = (TaskKind.ATTRIBUTION, TaskKind.MISCLASSIFIED)
    chosen = _drawn(plan, ((task, 0) for task in plan.tasks if task.kind in kinds), number)
    found = [
        _loaded(store, task, f"images of part {(task.part or 0) + 1} of the data set", compared)
        for task in (plan.layer_tasks("", TaskKind.DATASET_IMAGES) if chosen else ())
    ]
    parts = [part for part in found if part is not None]
    if len(parts) < len(found):  # labels are in them, and rows are of all parts together
        compared.notes.append("attribution maps were not computed again: parts of the data set are missing")
        return
    arrays, names, hashes = joined_images(parts) if parts else ({}, [], [])
    classes = {sha256: int(own) for sha256, own in zip(hashes, arrays.get("class", ()), strict=False) if own >= 0}
    pictures = {task.image: task for task in plan.tasks if task.kind == TaskKind.IMAGE}
    images = {image.slug: image for image in plan.images}
    for task, _ in chosen:
        what = f"attribution maps of {task.image or f'misclassified image {(task.part or 0) + 1}'}"
        stored = _loaded(store, task, what, compared)
        if stored is None or not stored[1]["maps"]:  # there are fewer misclassified images, or no maps
            continue
        if task.kind == TaskKind.ATTRIBUTION:
            of = _loaded(store, pictures[task.image], f"{task.image}, pixels", compared)
            sha256 = images[task.image].sha256
        else:
            row = int(stored[1]["row"])
            of, sha256, what = stored, hashes[row], f"attribution maps of {names[row]}"
        if of is None:
            continue
        tell(what)
        made, facts = workspace.attributor(sha256, of[0]["picture"], lambda words: None, classes.get(sha256))
        compared.attributions += 1
        before = len(compared.differences)
        compared.differences += _attribution_differences(what, stored, (made, facts))
        same = all(_same(stored[0][name], array) for name, array in made.items() if name in stored[0])
        compared.identical += same and len(compared.differences) == before


def _attribution_differences(what: str, stored: Entry, made: Entry) -> list[str]:
    """A sentence for each map, curve or score of an image that is another one."""
    (old, facts), (new, again) = stored, made
    of = [(each["method"], each["layer"], each["output"], each["label"]) for each in facts["maps"]]
    if of != [(each["method"], each["layer"], each["output"], each["label"]) for each in again["maps"]]:
        return [f"{what}: computed again they are of other classes or layers"]
    largest = max((abs(each["score"]) for each in facts["maps"] if each["score"] is not None), default=0.0)
    found: list[str] = []
    for one, other in zip(facts["maps"], again["maps"], strict=True):
        called = f"{what}, {one['method']} of {one['label']} at {one['layer']}"
        for name, word in (("", ""), (".deletion", ", deletion"), (".insertion", ", insertion")):
            found += _picture_differences(f"{called}{word}", old[one["key"] + name], new[other["key"] + name])
        if one["score"] is not None and other["score"] is not None:
            found += _score_differences(f"{called}, score", one["score"], other["score"], largest)
    return found


def _picture_differences(what: str, old: np.ndarray, new: np.ndarray) -> Sequence[str]:
    """A sentence where two pictures, or maps, are further apart than a gray level on average."""
    if old.shape != new.shape:
        return [f"{what}: computed again it is of another size"]
    one, other = old.astype(np.float64), new.astype(np.float64)
    both = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return [f"{what}: other values are not finite"]
    if not both.any():
        return []
    span = GRAY_LEVELS if old.dtype == np.uint8 else float(one[both].max() - one[both].min())
    apart = float(np.abs(one - other)[both].mean())
    levels = 0.0 if apart == 0 else apart * GRAY_LEVELS / span if span else np.inf
    return [] if levels <= GRAY_LEVEL else [f"{what}: {levels:.3g} gray levels apart on average"]


def _score_differences(what: str, old: float, new: float, largest: float) -> Sequence[str]:
    """A sentence where two scores are further apart than the tolerance."""
    if np.isfinite(old) != np.isfinite(new):
        return [f"{what}: {new:.6g}, and the report has {old:.6g}"]
    allowed = SCORE_SHARE * max(abs(old), NEGLIGIBLE * largest)
    return (
        []
        if not np.isfinite(old) or abs(old - new) <= allowed
        else [f"{what}: {new:.6g}, and the report has {old:.6g}"]
    )


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    a, b = np.ascontiguousarray(one), np.ascontiguousarray(other)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
