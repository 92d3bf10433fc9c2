"""Pooling layers: every channel before and after pooling; they have no kernel, no filters of their own and no patterns."""

from __future__ import annotations

from reportgen.artefacts.base import Artefact, LayerPage, LayerReader, Section
from reportgen.artefacts.feature_maps import FEATURE_MAPS, before_figure, maps_section, without_maps
from reportgen.artefacts.views import Fact
from reportgen.core.records import LayerRecord
from reportgen.render.text import NONE, count, dimensions, plural, shape


class Pooling(Artefact[None, None]):
    """What a pooling layer does to the maps that it is given; the maps themselves are stored as feature maps."""

    name = "pooling"

    def load(self, reader: LayerReader) -> None:
        """Read nothing."""

    def section(self, page: LayerPage, record: None) -> Section | None:
        """Return the section of the maps before and after pooling; None for other layers."""
        if not page.layer.is_pooling:
            return None
        return maps_section(page, FEATURE_MAPS.record(page.contents), without_maps(page) or _note(page))


POOLING = Pooling()


def _note(page: LayerPage) -> str:
    """What the maps are of."""
    noun, found = page.contents.nouns.one, page.contents[FEATURE_MAPS] or ()
    if found and before_figure(found[0].image.slug) in page.pictures:
        return (
            f"Every channel on {plural(len(found), noun)}, one tile per channel. Before pooling and after pooling, each "
            "with its own scale."
        )
    return f"Every channel after pooling on {plural(len(found), noun)}, one tile per channel."


def pooling_facts(layer: LayerRecord) -> tuple[Fact, ...]:
    """Return what is known of a pooling layer before anything is computed."""
    field = NONE if layer.receptive_field is None else dimensions(layer.receptive_field)
    return (
        Fact("Type", layer.layer_class, code=True),
        Fact("Window", shape(layer.window), note="the whole map" if layer.window is None else None),
        Fact("Strides", shape(layer.strides)),
        Fact("Padding", NONE if layer.padding is None else layer.padding),
        Fact("Output", shape(layer.output_shape)),
        Fact("Receptive field", field, note=layer.receptive_field_note),
        Fact("Channels", count(layer.filters_total), note="pooled per channel; no weights, no patterns"),
    )
