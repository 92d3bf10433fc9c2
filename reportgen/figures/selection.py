"""Which figures are drawn and how, from the options of the command line or of a Python call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.core.choices import FilterChoice
from reportgen.core.paper import FigureKind, parse_width, parse_words
from reportgen.core.run_options import FigureOptions
from reportgen.figures.style import style


@dataclass(frozen=True)
class Selection:
    """What is to be drawn and how.

    Attributes:
        kinds: of figures.
        layers: globs of paths; all layers where there are none.
        exclude: globs of paths.
        filters: None for as many as fit a figure.
        images: names or slugs; the first ones where there are none.
        width: of the figures in millimeters.
        dpi: dots per inch.
        parameters: of Matplotlib.
    """

    kinds: tuple[FigureKind, ...]
    layers: tuple[str, ...]
    exclude: tuple[str, ...]
    filters: FilterChoice | None
    images: tuple[str, ...]
    width: float
    dpi: int
    parameters: dict[str, Any]


def selected(options: FigureOptions, layers: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> Selection:
    """Return what options come to.

    Args:
        options: of figures.
        layers: globs of paths to draw; all where there are none.
        exclude: globs of paths not to draw.

    Raises:
        UsageError: the style file cannot be read.
    """
    return Selection(
        kinds=tuple(FigureKind(word) for word in parse_words("--what", options.what, FigureKind)),
        layers=layers,
        exclude=exclude,
        filters=None if options.figure_filters is None else FilterChoice.parse(options.figure_filters),
        images=tuple(options.figure_images),
        width=parse_width(options.width),
        dpi=options.dpi,
        parameters=style(None if options.style is None else Path(options.style)),
    )
