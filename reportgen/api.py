"""Reports and patterns from Python: what the command line writes, and the same pictures as arrays and records."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reportgen.artefacts.natural_maxima import ARRAYS, Natural
from reportgen.artefacts.patterns import Patterns, above_natural, joined_patterns, pattern_records
from reportgen.compute.activation_scores import Meter
from reportgen.compute.natural_maxima import natural_maxima
from reportgen.compute.opening import open_network
from reportgen.compute.patterns import colour
from reportgen.compute.patterns.ascent import Ascent
from reportgen.compute.patterns.objectives import Direction, Objective
from reportgen.compute.patterns.parameterization import Fourier, Pixels
from reportgen.compute.patterns.recipe import choose, display_crop
from reportgen.compute.patterns.shared import MEASURED_AT_ONCE, Shared
from reportgen.compute.patterns.transforms import Transform
from reportgen.compute.planning.pattern_sizes import fitted
from reportgen.compute.planning.plan import crop_grid, pattern_size
from reportgen.compute.planning.prepare import batch_for, limit_patterns
from reportgen.compute.workspace import proven_dead
from reportgen.core.choices import FilterChoice
from reportgen.core.errors import UsageError, few
from reportgen.core.execution import Execution
from reportgen.core.progress import Progress
from reportgen.core.records import InputContract
from reportgen.core.settings import DEFAULT_FILTERS, Settings, from_call
from reportgen.inputs import signals
from reportgen.inputs.images import fit, natural_crops, read
from reportgen.inputs.samples import scaled
from reportgen.network.backend import fix_threads
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.pipeline import Built
from reportgen.pipeline import build as build_report

ImageLike = str | Path | np.ndarray


@dataclass(frozen=True)
class LayerPatterns:
    """The patterns of n filters of one layer.

    Attributes:
        layer: its path.
        images: uint8 (n, height, width, channels), RGB or the model's own channels, exactly the pixels measured.
        strongest_images: of the strongest response that any search found for each filter, like `images`.
        records: one a filter, in the same order, with the keys and digits that report.json has in `patterns.filters`
            (`PatternRecord`), of which `label`, `natural_image` and `natural_peak_image` are None, since only a report knows what
            classes and images are called. Of minimal patterns the verdict is None. Numbers that are not finite are None.
        recipe: how they were made, every number.
    """

    layer: str
    images: np.ndarray
    strongest_images: np.ndarray
    records: tuple[dict[str, Any], ...]
    recipe: dict[str, Any]


def build(
    model: Any,
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    output: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
    progress: bool | None = False,
    say: Callable[[str], None] = lambda sentence: None,
    jobs: int | str | None = None,
    executor: str | None = None,
    scheduler: str | None = None,
    **settings: Any,
) -> Built:
    """Write the report of a model, as `reportgen build` does; the same settings give the same files.

    Args:
        model: A live Keras model, which stays as it is, or whatever `reportgen build` takes.
        images: Files and folders, one or many.
        output: The report's folder, `reports/<model name>` by default; one that holds something else is refused without `force`.
        force: Whether to write into a folder that is not a report.
        progress: Whether to show a bar on stderr; None for one where stderr is a terminal.
        say: Receives notes and warnings, one sentence each.
        jobs: Processes that compute at once; None or `auto` for several in a long run. A live model is computed on in this one only.
        executor: `in-process`, `processes` (where there are several jobs) or `dask`.
        scheduler: Address of a Dask scheduler; None for workers on this machine.
        settings: Options of `reportgen build` by their names with underscores (`size=128, quality="draft", imports=["my.layers"]`).

    Returns:
        `index`, the path of the first page, for which the result can stand wherever a path is taken, and `problems`: one sentence for
        each thing that failed in the report, none where all is well (the command line's exit codes 3 and 0).

    Raises:
        ReportgenError: There is nothing to report, and nothing is written.
    """
    folder = None if output is None else Path(output)
    given = Settings(**_known({**settings, "images": images}))
    execution = Execution.stated(executor, jobs, scheduler)
    return build_report(model, given, folder, force=force, progress=Progress(progress), say=say, execution=execution)


def patterns(
    model: Any,
    layer: str,
    filters: str | int | Sequence[int] = DEFAULT_FILTERS,
    *,
    images: Sequence[ImageLike] = (),
    objective: str | Objective | None = None,
    parameterization: str | Fourier | Pixels | None = None,
    transforms: bool | Sequence[Transform] | None = None,
    optimizer: Any = None,
    on_step: Callable[[], None] = lambda: None,
    **settings: Any,
) -> LayerPatterns:
    """Return the pattern of each filter of a layer (with `negative=True` its minimal pattern), many of them at once.

    The same settings give the same pictures as a report.

    Args:
        model: A live Keras model, or whatever `reportgen build` takes.
        layer: Its path as `reportgen layers` prints it, or `logits` for the model's classes.
        filters: `all`, a count, a list such as `0-15,40`, or a sequence of numbers.
        images: Files, or arrays (height, width, channels) as a `.npy` file may hold: natural pictures that the patterns are compared with.
        objective: A name as `--objective` takes it, or a value such as `channel(3) - 0.1 * total_variation()` of `reportgen.recipes`.
        parameterization: A name as `--parameterization` takes it, or `fourier(decay=1.0)` or `pixels()`.
        transforms: Whether there are the usual ones, or a list such as `[jitter(8), rotate(5), scale(0.9, 1.1)]`; none if it is empty.
        optimizer: A name, or a Keras optimizer, whose learning rate counts unless `learning_rate` is stated; itself it stays as it is.
        on_step: Called after every step of the ascent.
        settings: Options of `reportgen build` by their names with underscores (`size=128, quality="draft", preprocess="caffe"`).

    Returns:
        The pictures and what is known of them.

    Raises:
        ReportgenError: ModelError, UsageError or ImageError.
    """
    values = {
        "objective": objective,
        "parameterization": parameterization,
        "transforms": transforms,
        "optimizer": optimizer,
    }
    words = {name: value for name, value in values.items() if isinstance(value, str | bool)}
    pieces = {name: value for name, value in values.items() if name not in words}
    given = _settings(filters, {**settings, **words})
    photographs: list[np.ndarray] = []

    def collected(contract: InputContract) -> list[tuple[int, ...]]:
        photographs.extend(_pixels(item, contract) for item in images)
        return [picture.shape[:-1] for picture in photographs]

    fix_threads(given.threads)
    network = open_network(model, given, collected)
    layer_call = _layer_call(network, layer)
    bands = network.contract.bands
    limit_patterns(network, given, photographs)
    numbers = FilterChoice.parse(given.filters).of(layer_call.channels)
    if not numbers:
        raise UsageError(f"{layer} has {layer_call.channels} filters, and none of {given.filters}.")
    wanted = pattern_size(network.contract, layer_call.receptive_field, given)
    size = fitted(network, {layer_call.path: wanted}, given)[layer_call.path]
    recipe = choose(given, bands, bool(photographs), **pieces)
    mixing = None
    if recipe.decorrelation == "images":
        mixing = colour.estimated(fit(picture, network.contract.size, network.contract.fit) for picture in photographs)
    batch = batch_for(network, layer_call, size, given, len(numbers))
    direction = Direction.MINIMIZE if given.negative else Direction.MAXIMIZE
    dead = proven_dead(network, [layer_call]).get(layer_call.path, np.zeros(layer_call.channels, bool))
    shared = Shared(network, recipe, given.seed, mixing)
    ascent = Ascent(shared, layer_call, size, batch, given.precision, [direction], dead)
    found = ascent.find(numbers, on_step, direction)
    natural = _natural(network, layer_call, size, photographs, given.max_images)
    arrays = {**found.arrays(), "dead": dead[found.indices]}
    crop = display_crop(recipe, size)
    facts = {"seeds": found.seeds, "steps": recipe.steps, "crop": crop, "recipe": ascent.describe()}
    shown = joined_patterns([(arrays, facts)])
    if natural is not None and not given.negative and recipe.objective.own is not None:
        shown = above_natural(shown, natural)
    return LayerPatterns(
        layer=layer_call.path,
        images=shown.images,
        strongest_images=found.strongest_images,
        records=_records(shown, natural, layer_call, given.negative),
        recipe=shown.recipe,
    )


def _settings(filters: str | int | Sequence[int], settings: dict[str, Any]) -> Settings:
    text = str(filters) if isinstance(filters, str | int) else ",".join(f"{number}-{number}" for number in filters)
    return Settings(**_known({**settings, "filters": text}))


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(Settings)}
    for name in settings:
        if name not in known:
            raise UsageError(f"there is no setting `{name}`; the settings are the options of `reportgen build`.")
    return from_call(settings)


def _layer_call(network: Network, path: str) -> LayerCall:
    layer_calls = network.by_path
    if path not in layer_calls:
        raise UsageError(f"the model has no convolution layer {path}; there are {few(list(layer_calls))}.")
    if layer_calls[path].unit is None:
        raise UsageError(f"{path} cannot be shown: {layer_calls[path].reason}.")
    return layer_calls[path]


def _pixels(item: ImageLike, contract: InputContract) -> np.ndarray:
    bands = contract.bands
    if not isinstance(item, np.ndarray):
        return read(item, bands, contract.rank, contract.floats)
    fits = item.ndim == contract.rank + 1 and item.shape[-1] == bands and item.size > 0
    if contract.is_picture and fits and (item.dtype == np.uint8 or item.dtype == np.uint16 or item.dtype.kind == "f"):
        return scaled("an image", item, contract.floats)
    if not contract.is_picture and fits and item.dtype.kind in "fiu":
        return item.astype(np.float32)
    needed = (
        f"uint8, uint16 or floating-point numbers (height, width, {bands})"
        if contract.is_picture
        else signals.AXES[contract.rank].format(bands=bands)
    )
    raise UsageError(f"an image of {item.dtype} {item.shape} was given; {needed} is needed.")


def _natural(
    network: Network, layer_call: LayerCall, size: tuple[int, ...], photographs: Sequence[np.ndarray], most_shown: int
) -> Natural | None:
    """What the user's images reach, their peaks also as a report's feature maps show them."""
    if not photographs:
        return None
    grid = crop_grid(len(photographs))
    crops = ((number, natural_crops(picture, size, grid)) for number, picture in enumerate(photographs))
    meter = Meter(network, [layer_call], size, MEASURED_AT_ONCE)
    ((arrays, facts),) = natural_maxima(meter, crops, lambda number: None)
    shown = Meter(network, [layer_call], network.contract.size, 1)
    for picture in photographs[:most_shown]:
        (seen,) = shown.scores(fit(picture, network.contract.size, network.contract.fit)[None])
        arrays["peak"] = np.maximum(arrays["peak"], seen.peak[0])
    named: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
    return Natural(**named, crops=facts["crops"])


def _records(
    shown: Patterns, natural: Natural | None, layer_call: LayerCall, minimal: bool
) -> tuple[dict[str, Any], ...]:
    """The records that a report states, as plain dictionaries; a minimal pattern has no verdict."""
    assert layer_call.unit is not None
    records = [msgspec.to_builtins(one) for one in pattern_records(shown, natural, rectified=layer_call.unit.rectified)]
    if minimal:
        return tuple({**one, "verdict": None, "above": []} for one in records)
    return tuple({**one, "above": list(one["above"])} for one in records)
