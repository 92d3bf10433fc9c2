"""The most telling patterns of a layer: those furthest above the user's images that small warps do not destroy, drawn for the gallery."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from reportgen.artefacts.base import Appearance, Artefact, Figures, LayerContents
from reportgen.artefacts.patterns import COMPARED, PATTERNS, PatternRecord, layer_scale
from reportgen.core.records import CONVOLUTION, Count, LayerFacts, LayerStatus
from reportgen.core.verdicts import OK, WEAK, Word
from reportgen.render import mosaic, palette, png
from reportgen.render.figure import Figure
from reportgen.render.picture import WHITE, seen

FIGURE = "telling.png"
TILE_PIXELS = 160  # longer side of a pattern: more than a page shows, so that it is sharp on dense screens
MANY_LAYERS, SEVERAL_LAYERS = 12, 3  # from so many on, one and two patterns of a layer are enough to fill the gallery
MOST = 4  # of one layer
BLANK = 0.01  # of the range of values: a smaller deviation from the median is not seen
LayerT = TypeVar("LayerT", bound=LayerFacts)


def in_depth(layers: Iterable[LayerT]) -> list[LayerT]:
    """Return the convolution layers that a report covers, from input to output; their positions are the layers' numbers."""
    return [
        layer
        for layer in layers
        if layer.status != LayerStatus.SKIPPED and layer.kind == CONVOLUTION and layer.labels is None
    ]


def most_of_a_layer(layers: int) -> int:
    """Return how many patterns of one layer the gallery may show in a report of so many convolution layers."""
    return 1 if layers >= MANY_LAYERS else 2 if layers >= SEVERAL_LAYERS else MOST


def excess(item: PatternRecord, scale: float) -> float | None:
    """Return how far a pattern is above what it is compared with once small warps have taken their share.

    Args:
        item: the pattern; without images it is compared with its start.
        scale: the layer's largest score, `layer_scale` of `COMPARED`.

    Returns:
        The difference on that scale: at most 1, or 2 where the reference is negative. None of a pattern that shows nothing: silent,
        dead, not finite.
    """
    reference = item.activation_start if item.natural_maximum is None else item.natural_maximum
    if item.verdict not in (OK, WEAK) or item.activation is None or reference is None or scale <= 0:
        return None
    kept = 0.0 if item.survives_warps is None else min(1.0, item.survives_warps)
    return (item.activation * kept - reference) / scale


def is_blank(image: np.ndarray) -> bool:
    """Return whether more than half of a pattern has (nearly) one value in every channel, so that there is little to see.

    Args:
        image: uint8 (height, width, channels), float32 (steps, channels) or (depth, height, width, channels).
    """
    values = image.reshape(-1, image.shape[-1]).astype(np.float64)
    extent = WHITE if image.dtype == np.uint8 else float(np.ptp(values))
    return bool(np.median(np.abs(values - np.median(values, axis=0)), axis=0).max() <= BLANK * extent)


class TellingPattern(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern that stands for its layer."""

    index: Count
    excess: Annotated[
        float,
        Meta(
            le=2,
            description="activation that is left after small warps, above the natural maximum (without images: above the start), over "
            "the largest score of the layer",
        ),
    ]
    verdict: Word
    blank: Annotated[bool, Meta(description="more than half of it has one value")]

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What patterns are ordered by, the most telling first."""
        return self.verdict != OK, self.blank, -self.excess


class TellingPatterns(Artefact[None, tuple[TellingPattern, ...]]):
    """A layer's most telling patterns in one figure, which the first page takes its gallery from."""

    name = "telling_patterns"
    comes_late = True

    def record(self, contents: LayerContents) -> tuple[TellingPattern, ...]:
        """Return the most telling patterns of a convolution layer, the first ones first; those with `ok` before the others."""
        found, patterns = contents[PATTERNS], PATTERNS.record(contents)
        if found is None or patterns is None or contents.layer.is_output:
            return ()
        scale = layer_scale(patterns, COMPARED)
        places = {int(index): place for place, index in enumerate(found.indices)}
        known = [
            TellingPattern(
                index=item.index,
                excess=above,
                verdict=item.verdict,
                blank=is_blank(found.images[places[item.index]]),
            )
            for item in patterns.filters
            if (above := excess(item, scale)) is not None
        ]
        most = most_of_a_layer(len(in_depth(contents.plan.layers)))
        return tuple(sorted(known, key=lambda one: (one.rank, one.index))[:most])

    def draw(
        self, contents: LayerContents, record: tuple[TellingPattern, ...] | None, appearance: Appearance
    ) -> Figures:
        """Yield the patterns in a row, in the order of the record."""
        found = contents[PATTERNS]
        if found is None or not record:
            return
        rows = [int(np.flatnonzero(found.indices == item.index)[0]) for item in record]
        view = seen(found.images[rows], appearance.bands, crop=found.crop, width=TILE_PIXELS)
        small = np.stack([mosaic.shrunk(pixels, TILE_PIXELS) for pixels in view.pixels])
        tiles = mosaic.choose_tiles(len(rows), *small.shape[1:3], columns=len(rows))
        names = ", ".join(str(item.index) for item in record)
        picture = mosaic.compose(small, tiles, palette.GRAYS[palette.GAP])
        alt = f"Patterns of filters {names} of {contents.layer.path}"
        yield FIGURE, Figure(png.encode(picture), tiles, "", alt, None)


TELLING_PATTERNS = TellingPatterns()
