"""The pictures of filters side by side: their patterns, old and new, and the slices of their kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.compare import matching
from reportgen.compare.compare import Examination
from reportgen.compare.groups import Member
from reportgen.compare.records import FilterComparison
from reportgen.compare.unit_weights import UnitWeights
from reportgen.core.axes import RGB_CHANNELS, ChannelOrder
from reportgen.core.records import RelativePath
from reportgen.render import kernel_pairs
from reportgen.render import patterns as pattern_grid
from reportgen.render.figure import Figure, Picture
from reportgen.render.picture import Bands
from reportgen.report.opened import Report

OLD_PATTERNS, NEW_PATTERNS, KERNELS = "old-patterns.png", "new-patterns.png", "kernels.png"
SLICES = 6  # of a kernel: those of the input channels that changed most


@dataclass(frozen=True)
class PairFigures:
    """The pictures of some filters of a layer.

    Attributes:
        files: by name.
        old: place of each old filter in its figure of patterns, by the new filter's number; likewise `new`, and `kernels` by pairs.
        channels: input channels, numbered as in the new model, whose slices each pair shows.
        limits: the end of each pair's scale.
    """

    files: dict[str, Figure]
    old: dict[int, int]
    new: dict[int, int]
    kernels: dict[int, int]
    channels: dict[int, tuple[int, ...]]
    limits: dict[int, float]

    def picture(self, name: str, slug: str) -> Picture | None:
        """A figure as the file that it becomes; None where it was not drawn."""
        figure = self.files.get(name)
        if figure is None:
            return None
        return Picture(figure_path(slug, name), figure.tiles, figure.caption, figure.alt, figure.legend)


def figure_path(slug: str, name: str) -> RelativePath:
    """Return where a figure of a layer lies, relative to the comparison."""
    return f"figures/{slug}/{name}"


def draw_pairs(found: Examination, member: Member, filters: Sequence[FilterComparison]) -> PairFigures:
    """Draw the patterns and kernels of some filters of a layer that both models have."""
    files: dict[str, Figure] = {}
    old = _draw_patterns(
        files, OLD_PATTERNS, found.old, member.old.path, [(item.index, item.old_index) for item in filters]
    )
    new = _draw_patterns(
        files, NEW_PATTERNS, found.new, member.new.path, [(item.index, item.index) for item in filters]
    )
    kernels, channels, pairs, colors = _kernels(member, filters)
    if pairs:
        files[KERNELS] = kernel_pairs.draw(np.stack(pairs), colors)
    limits = dict(zip(kernels, kernel_pairs.limits(np.stack(pairs)), strict=True)) if pairs else {}
    return PairFigures(files, old, new, kernels, channels, limits)


def _draw_patterns(
    files: dict[str, Figure], name: str, report: Report, path: str, numbers: Sequence[tuple[int, int | None]]
) -> dict[int, int]:
    """Draw the patterns of some filters; their places in the figure, by the new filters' numbers."""
    layer = report[path]
    kept = [
        (new, number, layer[number].pattern)
        for new, number in numbers
        if number is not None and number in layer.record.filters_shown
    ]
    pictures = [(new, number, picture) for new, number, picture in kept if picture is not None]
    if layer.record.patterns is None or not pictures:
        return {}
    files[name] = pattern_grid.draw(
        np.stack([picture for *_, picture in pictures]),
        [number for _, number, _ in pictures],
        crop=layer.record.patterns.crop,
        bands=_bands(report),
    )
    return {new: place for place, (new, *_) in enumerate(pictures)}


def _bands(report: Report) -> Bands | None:
    chosen = report.document.settings.get("bands")
    return None if chosen is None else (chosen[0], chosen[1], chosen[2])


def _kernels(
    member: Member, filters: Sequence[FilterComparison]
) -> tuple[dict[int, int], dict[int, tuple[int, ...]], list[NDArray[np.float64]], ChannelOrder | None]:
    """Places of the pairs in the figure of kernels, the input channels that each shows, the pairs, and their colors."""
    loaded = member.weights()
    shape = member.new.kernel_shape
    if loaded is None or shape is None or not all(each.is_finite for each in loaded):
        return {}, {}, [], None
    old, new = loaded
    taps = tuple(int(length or 1) for length in shape[:-2])
    order = np.arange(new.inputs) if member.inputs is None else member.inputs.order
    blocks = matching.blocks(old, new, order)
    if blocks is None:
        return {}, {}, [], None
    known = np.flatnonzero(order >= 0)
    pairs: list[NDArray[np.float64]] = []
    places, channels = dict[int, int](), dict[int, tuple[int, ...]]()
    colored = member.new.kernel_bands if len(known) == new.kernel.shape[1] == RGB_CHANNELS else None
    size = int(np.prod(taps))
    for item in filters:
        block = next((each for each in blocks if item.index in each.new.tolist()), None)
        if item.old_index is None or block is None or item.old_index not in block.old.tolist():
            continue
        rows = (
            block.old_rows[block.old.tolist().index(item.old_index)] * _scale(old, item.old_index),
            block.new_rows[block.new.tolist().index(item.index)] * _scale(new, item.index),
        )
        both = np.stack([row.reshape(-1, size) for row in rows])
        first = 0 if new.groups == 1 else (item.index // (new.filters // new.groups)) * new.kernel.shape[1]
        own = [int(channel) for channel in known if first <= channel < first + new.kernel.shape[1]]
        change = np.linalg.norm(both[1] - both[0], axis=-1)
        most = np.arange(len(change)) if colored else np.sort(np.argsort(-change, kind="stable")[:SLICES])
        if pairs and pairs[0].shape[1] != len(most):
            continue  # a group of channels of which fewer are left
        places[item.index] = len(pairs)
        channels[item.index] = tuple(own[at] for at in most.tolist())
        pairs.append(both[:, most].reshape(2, len(most), *taps))
    return places, channels, pairs, colored


def _scale(weights: UnitWeights, index: int) -> float:
    """The factor that the normalizations that follow give a kernel."""
    return 1.0 if weights.folded is None else float(weights.folded[0][index])
