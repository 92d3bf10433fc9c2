"""The figures of a report: which there are, and each drawn on a sheet of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import matplotlib as mpl

from reportgen.core.errors import UsageError, few
from reportgen.core.paper import OF_ONE_LAYER, FigureKind
from reportgen.core.run_options import FigureOptions
from reportgen.core.slugs import unique_slugs
from reportgen.figures import exemplars, histograms, maps, network, overview, patterns, weights
from reportgen.figures.labels import spaced
from reportgen.figures.selection import Selection, selected
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, LayerArrays, Request, Source

LayerDrawing = Callable[[Source, LayerArrays, Request], Drawn | None]
OF_LAYERS: dict[FigureKind, LayerDrawing] = {
    FigureKind.PATTERNS: patterns.draw,
    FigureKind.MINIMAL: patterns.draw_minimal,
    FigureKind.WEIGHTS: weights.draw,
    FigureKind.MAPS: maps.draw,
    FigureKind.EXEMPLARS: exemplars.draw,
}
MOST_TILES = 32  # pictures of a figure unless the user names filters: each can still be looked at
MOST_IMAGES = 4


@dataclass(frozen=True)
class Item:
    """A figure that can be drawn; `layer` is None where it is of the whole network."""

    kind: FigureKind
    layer: LayerArrays | None
    stem: str

    @property
    def of(self) -> str:
        """What it is of, for messages."""
        return self.kind if self.layer is None else f"{self.layer.record.path}, {self.kind}"


def items(source: Source, selection: Selection) -> list[Item]:
    """Return the figures that a selection names, those of the whole network first.

    Raises:
        UsageError: no layer fits the globs, or an image is none of the report's.
    """
    layers = chosen_layers(source, selection)
    chosen_images(source, selection)
    pairs: list[tuple[FigureKind, LayerArrays | None]] = [
        (kind, None) for kind in selection.kinds if kind not in OF_ONE_LAYER
    ]
    pairs += [(kind, layer) for layer in layers for kind in selection.kinds if kind in OF_ONE_LAYER]
    stems = unique_slugs([kind if layer is None else f"{layer.record.slug}-{kind}" for kind, layer in pairs])
    return [Item(kind, layer, stem) for (kind, layer), stem in zip(pairs, stems, strict=True)]


def draw(source: Source, item: Item, selection: Selection) -> Drawn | None:
    """Draw a figure; None where the report has nothing for it."""
    with mpl.rc_context(selection.parameters):
        return _draw(source, item, selection)


def _draw(source: Source, item: Item, selection: Selection) -> Drawn | None:
    sheet = Sheet(selection.width, selection.dpi, selection.parameters)
    images = chosen_images(source, selection)
    if item.layer is None:
        return _of_all(source, item.kind, selection, images, sheet)
    shown = item.layer.record.filters_shown
    if selection.filters is None:
        request = Request(sheet, spaced(shown, MOST_TILES), images)
    elif selection.filters.numbers is None:
        request = Request(sheet, tuple(shown[place] for place in selection.filters.of(len(shown))), images, True)
    else:
        request = Request(sheet, selection.filters.numbers, images, True)
    return OF_LAYERS[item.kind](source, item.layer, request)


def _of_all(
    source: Source, kind: FigureKind, selection: Selection, images: tuple[str, ...], sheet: Sheet
) -> Drawn | None:
    """Draw a figure of the whole network."""
    layers = chosen_layers(source, selection)
    if kind == FigureKind.HISTOGRAMS:
        return histograms.draw(layers, sheet)
    if kind == FigureKind.OVERVIEW:
        return overview.draw(source, layers, images, sheet)
    return network.draw(source.document, sheet)


def chosen_layers(source: Source, selection: Selection) -> Sequence[LayerArrays]:
    """Return the layers that fit the globs.

    Raises:
        UsageError: there are none.
    """
    found = [
        layer
        for layer in source.layers
        if (not selection.layers or any(fnmatchcase(layer.record.path, glob) for glob in selection.layers))
        and not any(fnmatchcase(layer.record.path, glob) for glob in selection.exclude)
    ]
    if not found:
        paths = few([layer.record.path for layer in source.layers])
        raise UsageError(f"no layer of the report fits --layers and --exclude; it has {paths}.")
    return found


def chosen_images(source: Source, selection: Selection) -> tuple[str, ...]:
    """Return the slugs of the images that figures show.

    Raises:
        UsageError: one is none of the report's.
    """
    shown = [image for image in source.document.images if image.shown]
    if not selection.images:
        return tuple(image.slug for image in shown[:MOST_IMAGES])
    by_name = {image.slug: image.slug for image in shown} | {image.name: image.slug for image in shown}
    for name in selection.images:
        if name not in by_name:
            raise UsageError(f"--images {name} is none of the images with feature maps: {few(list(by_name.values()))}.")
    return tuple(dict.fromkeys(by_name[name] for name in selection.images))


def one(source: Source, layer: LayerArrays | None, options: FigureOptions) -> Drawn:
    """Draw a single figure.

    Args:
        source: the report.
        layer: of the figure; None where it is of all layers.
        options: with one kind of figure.

    Raises:
        UsageError: a value cannot be meant, or the report has nothing for the figure.
    """
    selection = selected(options)
    if len(selection.kinds) != 1:
        raise UsageError(f"a figure shows one of {', '.join(FigureKind)}.")
    (kind,) = selection.kinds
    if (kind in OF_ONE_LAYER) != (layer is not None):
        needed = "one layer: name it" if layer is None else "all layers: name none"
        raise UsageError(f"a figure of {kind} is of {needed}.")
    found = draw(source, Item(kind, layer, kind), selection)
    if found is None:
        raise UsageError(f"the report has no {kind}{'' if layer is None else f' of {layer.record.path}'} to draw.")
    return found
