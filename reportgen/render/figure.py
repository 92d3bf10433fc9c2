"""A figure: a picture with caption, alt text and legend, and where the tiles of a mosaic lie in it."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_SHOWN = 140  # CSS pixels along a tile: an eighth of a page, more shows nothing new


@dataclass(frozen=True)
class Tiles:
    """Where the tiles of a mosaic lie, in picture pixels.

    Attributes:
        count: number of tiles.
        columns: tiles per row; the last row is padded.
        tile_height: of a tile in array cells, like `tile_width`.
        scale: each cell is drawn as scale x scale pixels.
        gap: pixels around and between tiles.
        group: number of tiles of a row that belong together, with two more gaps to the next ones; 0 where none do.
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
        """Return (x, y, width, height) of one tile in picture pixels."""
        row, column = divmod(index, self.columns)
        tile_width, tile_height = self.tile_width * self.scale, self.tile_height * self.scale
        return (
            self.gap + column * (tile_width + self.gap) + (2 * self.gap * (column // self.group) if self.group else 0),
            self.gap + row * (tile_height + self.gap),
            tile_width,
            tile_height,
        )


@dataclass(frozen=True)
class Numbering:
    """The numbers that a page prints beside the rows and above the columns of a mosaic.

    Attributes:
        rows: one for each row; none where only the columns have numbers.
        columns: one for every `column_tiles` tiles, or none; what a tile shows has the number of its row plus that of its column, or
            the two number different things.
        column_tiles: tiles that share a column number.
        largest: CSS pixels along a tile's width at most; None for tiles that are not enlarged on a page.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    column_tiles: int = 1
    largest: int | None = LARGEST_SHOWN


@dataclass(frozen=True)
class Figure:
    """A picture with its texts.

    Attributes:
        png: the file's bytes.
        tiles: layout of the mosaic.
        caption: sentences that state the scale with numbers, and what is shown of what.
        alt: the same for readers who do not see it.
        legend: the color bar as (low, high, palette name), its ends as numbers or words; None where the picture shows its own colors.
        numbering: of its rows and columns; None where they have none.
    """

    png: bytes
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None
    numbering: Numbering | None = None


@dataclass(frozen=True)
class Picture:
    """A figure that was written: a file at `path` (relative to the report) with its texts."""

    path: str
    tiles: Tiles
    caption: str
    alt: str
    legend: tuple[float | str, float | str, str] | None
    numbering: Numbering | None = None
