"""The stored maps of a layer on one image: all of them, or what is left once they are drawn and not all are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import msgspec
import numpy as np

from reportgen.artefacts.base import Entry
from reportgen.core.kept_maps import KEPT, look, wanted_channels
from reportgen.core.numbers import plain
from reportgen.core.records import ImageRecord, LayerRecord, Plan
from reportgen.core.settings import MapStyle
from reportgen.core.stored_maps import MAPS, before
from reportgen.render.figure import Figure, Picture

PEAK, RANGES, BEFORE_RANGES = "peak", "ranges", "pre_ranges"
SILENCED, DRAWN = "silenced_fraction", "drawn"
SATURATED, POSITIONS = "saturated_fraction", "positions"
# Of activation functions by name: the bounds at which their gradient vanishes. That a ReLU is 0 is another matter, and told apart.
ACTIVATION_BOUNDS: dict[str, tuple[float, ...]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (6.0,),
}
NEAR_BOUND = (
    0.01  # so near a bound, in the unit of the larger one, the gradient of a sigmoid is below a 25th of its largest
)
Texts = Any  # of a figure: what becomes plain JSON values


@dataclass(frozen=True)
class ImageMaps:
    """The stored maps of one image.

    Attributes:
        image: whose maps they are.
        arrays: as stored: `maps` float16 (height, width, channels), divided by 2 ** `exponent`; `peak` float32 (channels,), the largest
            value of each map; those before the activation function where they differ. Once drawn: `maps` of the kept channels alone,
            `ranges` float32 (channels, 2), and the PNG files.
        facts: beside them.
    """

    image: ImageRecord
    arrays: Mapping[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def peak(self) -> np.ndarray:
        """The largest value of each map, float32 (channels,)."""
        return self.arrays[PEAK]

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Numbers of the channels in `maps`; None where it has all."""
        return tuple(self.facts[KEPT]["channels"]) if self.is_drawn else None

    @property
    def is_drawn(self) -> bool:
        """Whether only figures are left of some maps."""
        return KEPT in self.facts

    @property
    def style(self) -> MapStyle | None:
        """How the figures that are left were drawn; None where all maps are stored."""
        return MapStyle.of(self.facts[KEPT]["style"]) if self.is_drawn else None

    @cached_property
    def maps(self) -> np.ndarray:
        """(height, width, channels), float16, or float32 where float16 cannot hold such numbers."""
        return _unscaled(self.arrays[MAPS], self.facts.get("exponent", 0))

    @cached_property
    def pre(self) -> np.ndarray | None:
        """The same before the activation function, where that differs and all maps are stored."""
        found = None if self.is_drawn else before(self.arrays)
        return None if found is None else _unscaled(found, self.facts.get("pre_exponent", 0))

    @cached_property
    def ranges(self) -> np.ndarray:
        """The ends of every map's values, see `map_ranges`."""
        return self.arrays[RANGES] if self.is_drawn else map_ranges(self.maps)

    @cached_property
    def before_ranges(self) -> np.ndarray | None:
        """The same before the activation function, where that differs."""
        if self.is_drawn:
            return self.arrays.get(BEFORE_RANGES)
        return None if self.pre is None else map_ranges(self.pre)

    def range_of(self, channel: int) -> tuple[float, float]:
        """Return the ends of one map's values."""
        one = self.ranges[channel] if self.is_drawn else map_ranges(self.maps[..., channel : channel + 1])[0]
        return float(one[0]), float(one[1])

    def silenced_fraction(self, layer: LayerRecord) -> float | None:
        """Return the share of the values that the rectifier sets from below 0 to 0; None where the activation is none.

        A negative number too small for the store is a negative zero there, and still counts.
        """
        if self.is_drawn:
            found: float | None = self.facts[SILENCED]
            return found
        return (
            plain(np.mean(np.signbit(self.pre) & (self.maps == 0)))
            if self.pre is not None and layer.rectified
            else None
        )

    def saturated_fraction(self, layer: LayerRecord) -> float | None:
        """Return the share of the values that are at a bound of the activation function; None where it has none, or that is not known."""
        if self.is_drawn:
            found: float | None = self.facts.get(SATURATED)
            return found
        bounds = ACTIVATION_BOUNDS.get(layer.activation)
        if bounds is None or not self.maps.size:
            return None
        near = NEAR_BOUND * bounds[-1]
        return plain(np.mean(np.any([np.abs(self.maps - np.float32(bound)) <= near for bound in bounds], axis=0)))

    @property
    def positions(self) -> int | None:
        """The number of positions of each map; None where that is not known."""
        if self.is_drawn:
            found: int | None = self.facts.get(POSITIONS)
            return found
        return prod(self.maps.shape[:-1])

    def texts(self, name: str) -> Texts | None:
        """Return what was noted of a figure by `drawn`; None where there is none."""
        return self.facts[DRAWN].get(self.image.slug, {}).get(name)

    def figure(self, name: str) -> Figure | None:
        """Return a figure as it was drawn; None where there is none."""
        texts = self.texts(name)
        if texts is None:
            return None
        picture = msgspec.convert(texts, Picture)
        return Figure(self.png(name), picture.tiles, picture.caption, picture.alt, picture.legend, picture.numbering)

    def png(self, name: str) -> bytes:
        """Return the file of a figure."""
        return self.arrays[f"{name}.png"].tobytes()


def read(image: ImageRecord, entry: Entry | None) -> ImageMaps | None:
    """Return the maps of an image as a task has them; None where it lacks any."""
    if entry is None or PEAK not in entry[0] or not (MAPS in entry[0] or KEPT in entry[1]):
        return None
    return ImageMaps(image, *entry)


def drawn(
    plan: Plan,
    layer: LayerRecord,
    found: Mapping[str, list[ImageMaps]],
    texts: Mapping[str, Mapping[str, tuple[str, Texts]]],
    content: Callable[[str], bytes],
) -> dict[str, Entry]:
    """Return what is stored of a layer's maps, now that they are drawn, where the plan does not keep all.

    Args:
        plan: says which are kept.
        layer: whose maps they are.
        found: its maps by task; a task has those of equal images.
        texts: of the figures: path of the file, and what a page states of it, by the name under which `ImageMaps.figure` returns it, for
            each image by slug.
        content: returns a file of the report.

    Returns:
        Arrays and facts by task; only of those that change.
    """
    wanted = wanted_channels(plan, layer)
    if wanted is None:
        return {}
    made: dict[str, Entry] = {}
    for key, images in found.items():
        maps = images[0]
        stored = maps.channels
        if stored is not None and (stored == wanted or not set(wanted) <= set(stored)):
            continue
        arrays = {name: array for name, array in maps.arrays.items() if name == PEAK or name.endswith(".png")}
        if wanted:
            places = list(wanted) if stored is None else [stored.index(channel) for channel in wanted]
            arrays[MAPS] = np.asfortranarray(maps.arrays[MAPS][..., places])
        arrays[RANGES] = maps.ranges
        if maps.before_ranges is not None:
            arrays[BEFORE_RANGES] = maps.before_ranges
        facts = {
            **maps.facts,
            SILENCED: maps.silenced_fraction(layer),
            SATURATED: maps.saturated_fraction(layer),
            POSITIONS: maps.positions,
        }
        if stored is not None:
            facts[KEPT] = {**maps.facts[KEPT], "channels": list(wanted)}
        else:
            facts[KEPT] = {
                "channels": list(wanted),
                "look": look(plan),
                "style": msgspec.to_builtins(MapStyle.of(plan.settings)),
            }
            facts[DRAWN] = {}
            for each in images:
                named = texts.get(each.image.slug, {})
                facts[DRAWN][each.image.slug] = {
                    name: msgspec.to_builtins(stated) for name, (_, stated) in named.items()
                }
                for name, (path, _) in named.items():
                    arrays[f"{name}.png"] = np.frombuffer(content(path), np.uint8)
        made[key] = arrays, facts
    return made


def map_ranges(maps: np.ndarray) -> np.ndarray:
    """Return the ends of every map's values.

    Args:
        maps: (height, width, channels), or with any other number of spatial axes.

    Returns:
        float32 (channels, 2): the smallest and largest finite value of each map, NaN without any.
    """
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float32)
    finite = np.isfinite(flat)
    low = np.min(flat, axis=0, initial=np.inf, where=finite)
    high = np.max(flat, axis=0, initial=-np.inf, where=finite)
    ranges = np.stack([low, high], axis=1)
    return np.where(np.isfinite(ranges), ranges, np.nan)


def _unscaled(maps: np.ndarray, exponent: int) -> np.ndarray:
    """`maps` times 2**exponent: float32, or untouched where the exponent is 0."""
    return maps if exponent == 0 else np.ldexp(maps.astype(np.float32), exponent)
