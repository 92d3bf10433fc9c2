"""A figure: a picture file with what its reader must be told, and where the tiles of a mosaic lie in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tiles:
    """Where the tiles of a mosaic lie, in picture pixels.

    `count` tiles of tile_height x tile_width array cells, each cell drawn as scale x scale pixels, `columns` a row, `gap` pixels around
    and between tiles. The last row is padded. group: so many tiles of a row belong together, with two more gaps to the next; 0 where
    none do.
    """

    count: int
    columns: int
    tile_height: int
    tile_width: int
    scale: int
    gap: int
    group: int = 0

    @property
    def rows(self) -> int:
        """Number of rows, the last one padded."""
        return -(-self.count // self.columns)

    @property
    def width(self) -> int:
        """Width of the whole picture in pixels."""
        apart = (self.columns - 1) // self.group if self.group else 0
        return self.columns * (self.tile_width * self.scale + self.gap) + self.gap + 2 * self.gap * apart

    @property
    def height(self) -> int:
        """Height of the whole picture in pixels."""
        return self.rows * (self.tile_height * self.scale + self.gap) + self.gap

    def box(self, index: int) -> tuple[int, int, int, int]:
        """(x, y, width, height) of one tile in picture pixels."""
        row, column = divmod(index, self.columns)
        tile_width, tile_height = self.tile_width * self.scale, self.tile_height * self.scale
        return (
            self.gap + column * (tile_width + self.gap) + (2 * self.gap * (column // self.group) if self.group else 0),
            self.gap + row * (tile_height + self.gap),
            tile_width,
            tile_height,
        )


@dataclass(frozen=True)
class Figure:
    """A picture file and what its reader must be told.

    png: the file's bytes. tiles: the mosaic's layout. caption: one or two sentences that state the scale with numbers and what is shown
    of what. alt: the text for a reader who does not see it, with figures. legend: the colour bar as (low, high, palette name), its ends
    as numbers or in words; None where a picture shows its own colours.
    """

    png: bytes
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None


@dataclass(frozen=True)
class Picture:
    """A figure that was written: a file at `path` (relative to the report) and what its reader must be told."""

    path: str
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None
