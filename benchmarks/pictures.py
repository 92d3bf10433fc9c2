"""Finished pictures of several systems side by side: a row a system, a column a filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from peers.protocol import Result

COLUMNS = 8  # pictures a row: what a page shows without scrolling
GAP, LETTER = 4, 12  # pixels
HEADER = LETTER + 2 * GAP
LABEL = 180  # pixels: room for the longest system's name
PAPER, INK = "white", "black"


def shown(results: Sequence[Result]) -> list[int]:
    """The filters in the picture: those that most systems sought come first."""
    counts = Counter(number for result in results for number in result.filters)
    return sorted(counts, key=lambda number: (-counts[number], number))[:COLUMNS]


def side_by_side(results: Sequence[Result]) -> Image.Image:
    """One picture; the place of a filter that a system did not seek stays empty."""
    size = results[0].images.shape[1]
    numbers = shown(results)
    step = size + GAP
    sheet = Image.new("RGB", (LABEL + len(numbers) * step, HEADER + len(results) * step), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LETTER)
    for column, number in enumerate(numbers):
        draw.text((LABEL + column * step, GAP), f"filter {number}", INK, font)
    for row, result in enumerate(results):
        top = HEADER + row * step
        draw.text((GAP, top + GAP), result.system, INK, font)
        draw.text((GAP, top + LETTER + 2 * GAP), f"{result.pace:.3g} s / filter", INK, font)
        for column, number in enumerate(numbers):
            if number in result.filters:
                picture = Image.fromarray(np.ascontiguousarray(result.images[result.filters.index(number)]))
                sheet.paste(picture, (LABEL + column * step, top))
    return sheet
