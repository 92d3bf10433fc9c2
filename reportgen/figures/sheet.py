"""A sheet of paper of a stated width: pixels, letters and lines at exact places, which become one Matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath
from numpy.typing import NDArray

from reportgen.figures.style import DARK, HAIRLINE, OUTLINE, OUTLINE_POINTS

MM_PER_INCH = 25.4
POINTS_PER_INCH = 72
GRAY_AXES = 2  # of a gray picture; one in color has a third
ELLIPSIS = "…"
FONT = ("font.family", "font.sans-serif", "font.serif", "font.monospace", "font.weight", "font.style")


class PaperFigure(Figure):
    """A Matplotlib figure that is saved with the fonts and the exact pixels of a figure for a paper, whatever the user's settings."""

    parameters: dict[str, Any]

    def savefig(self, fname: Any, **arguments: Any) -> None:
        """Save the figure as Matplotlib does; the arguments are its own."""
        with mpl.rc_context(self.parameters):
            super().savefig(fname, **arguments)

    def _repr_png_(self) -> bytes:
        """The figure as notebooks show it."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi / 2)
        return buffer.getvalue()


class Sheet:
    """A sheet measured in pixels of `dpi`, from its top left corner; it is as high as what stands on it.

    It is drawn on while its parameters are those of Matplotlib (`matplotlib.rc_context`).

    Attributes:
        width: in pixels.
        dpi: pixels to the inch: what a pixel of a picture is enlarged to is a whole number of them.
        parameters: of Matplotlib.
    """

    def __init__(self, width_mm: float, dpi: int, parameters: dict[str, Any]) -> None:
        self.dpi, self.parameters = dpi, parameters
        self.width = self.mm(width_mm)
        self.figure = PaperFigure(dpi=dpi)
        FigureCanvasAgg(self.figure)
        self.figure.parameters = parameters
        self.paper: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.paper.set_axis_off()
        self._font = repr([parameters[name] for name in FONT])
        self.small, self.size = parameters["xtick.labelsize"], parameters["font.size"]
        self._inner: list[tuple[Axes, tuple[float, float, float, float]]] = []

    def mm(self, length: float) -> int:
        """Return millimeters as whole pixels."""
        return round(length / MM_PER_INCH * self.dpi)

    def pt(self, length: float) -> float:
        """Return points as pixels."""
        return length / POINTS_PER_INCH * self.dpi

    def picture(
        self,
        x: float,
        y: float,
        pixels: NDArray[np.uint8],
        scale: float,
        down: float | None = None,
        *,
        frame: bool = False,
    ) -> None:
        """Place a picture, embedded once with its own pixels.

        Args:
            x: of its left edge.
            y: of its top edge.
            pixels: uint8 (height, width) gray or (height, width, 3) RGB.
            scale: pixels of the sheet that one of the picture is enlarged to.
            down: the same from top to bottom, where that is another number.
            frame: whether it has a thin outline.
        """
        height, width = pixels.shape[:2]
        across, down = width * scale, height * (scale if down is None else down)
        colored = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == GRAY_AXES else pixels
        image = AxesImage(
            self.paper,
            interpolation="none",
            origin="lower",  # rows from below, so that the file has them from above
            extent=(x, x + across, -y - down, -y),
        )
        image.set_data(np.ascontiguousarray(colored[::-1]))
        self.paper.add_image(image)
        image.set_clip_on(False)
        if frame:
            self.box(x, y, across, down, edge=DARK)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str | None = None,
        edge: str | None = None,
        hatch: str | None = None,
        line: float = HAIRLINE,
    ) -> None:
        """Place a rectangle; its edge is `line` points wide."""
        patch = Rectangle((x, -y - height), width, height, linewidth=line if edge else 0, hatch=hatch)
        patch.set_facecolor("none" if fill is None else fill)
        patch.set_edgecolor("none" if edge is None else edge)
        self._keep(patch)

    def outline(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a faint line around a picture that may be as white as the paper, outside of its pixels."""
        off = self.pt(OUTLINE_POINTS)
        corner = x - off, -y - height - off
        behind = -1  # Matplotlib's order: a line above would change the outermost pixels
        self._keep(Rectangle(corner, width + 2 * off, height + 2 * off, linewidth=0, facecolor=OUTLINE, zorder=behind))

    def line(self, xs: Sequence[float], ys: Sequence[float], *, color: str = DARK, width: float = HAIRLINE) -> None:
        """Place a line through points; it is `width` points wide."""
        self._keep(
            Line2D(
                list(xs),
                [-y for y in ys],
                color=color,
                linewidth=width,
                solid_capstyle="butt",
                solid_joinstyle="miter",
            )
        )

    def place(self, artist: Any) -> None:
        """Place an artist of Matplotlib, whose coordinates are pixels to the right and, negative, down."""
        self._keep(artist)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float | None = None,
        across: str = "left",
        down: str = "baseline",
        color: str = "black",
        bold: bool = False,
        rotation: float = 0,
    ) -> None:
        """Place letters at a point, of `size` points; `across` and `down` are Matplotlib's alignments."""
        self.paper.text(
            x,
            -y,
            words,
            fontsize=self.small if size is None else size,
            ha=across,
            va=down,
            color=color,
            fontweight="bold" if bold else "normal",
            rotation=rotation,
            rotation_mode="anchor",
        )

    def text_width(self, words: str, size: float | None = None) -> float:
        """Return how wide letters are, in pixels."""
        return self.pt(_text_width(words, self.small if size is None else size, self._font))

    def fitted(self, words: str, width: float, size: float | None = None) -> str:
        """Return a text, without what of its middle does not fit into `width` pixels."""
        if self.text_width(words, size) <= width:
            return words
        for kept in range(len(words) - 1, 1, -1):
            shorter = words[: (kept + 1) // 2] + ELLIPSIS + words[len(words) - kept // 2 :]
            if self.text_width(shorter, size) <= width:
                return shorter
        return ELLIPSIS

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Return axes at a place, for a chart."""
        made = self.figure.add_axes((0, 0, 1, 1))
        self._inner.append((made, (x, y, width, height)))
        return made

    def finish(self, height: float, width: float | None = None, left: float = 0) -> PaperFigure:
        """Return the figure, cut below `height` pixels; what is only `width` pixels wide, from `left` on, stands in its middle."""
        rows = max(1, round(height))
        margin = 0 if width is None else max(0, int((self.width - width) / 2)) - round(left)
        self.figure.set_size_inches(self.width / self.dpi, rows / self.dpi)
        self.paper.set_xlim(-margin, self.width - margin)
        self.paper.set_ylim(-rows, 0)
        for axes, (x, y, across, down) in self._inner:
            axes.set_position(((x + margin) / self.width, 1 - (y + down) / rows, across / self.width, down / rows))
        return self.figure

    def _keep(self, artist: Any) -> None:
        artist.set_clip_on(False)
        self.paper.add_artist(artist)


@lru_cache(maxsize=4096)
def _text_width(words: str, size: float, key: str) -> float:
    """The width in points with the font of Matplotlib's parameters; `key` stands for them."""
    font = FontProperties(size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(words, font, ismath=False)
    return float(width)
