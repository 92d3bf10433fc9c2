"""Pictures of misclassified images of the data set, which stand beside their labels on the first page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from reportgen.artefacts.base import ImageFile, failures, stored_entry
from reportgen.core.records import Plan, TaskKind
from reportgen.core.store import Store
from reportgen.render import png
from reportgen.render.picture import Bands, visible


def load_pictures(plan: Plan, store: Store) -> tuple[Mapping[int, np.ndarray], str | None]:
    """Read the pictures of misclassified images.

    Returns:
        By row of the data set's arrays, uint8 (height, width, channels), the most confident first; and why they are missing although
        planned, as a clause.
    """
    for task in plan.layer_tasks("", TaskKind.MISCLASSIFIED_PICTURES):
        entry = stored_entry(store, task, ("rows", "pictures"))
        if entry is not None:
            return dict(zip(entry[0]["rows"].tolist(), entry[0]["pictures"], strict=True)), None
        reasons = "; ".join(failures(store, [task]))
        return {}, "the pictures of misclassified images are not cut" + (f": {reasons}" if reasons else "")
    return {}, None


def picture_path(row: int) -> str:
    """Return where the picture of an image lies, relative to the report."""
    return f"figures/images/misclassified/{row:06d}.png"


def draw_pictures(pictures: Mapping[int, np.ndarray], bands: Bands | None) -> Iterator[tuple[ImageFile, bytes]]:
    """Yield what is known of the file of each picture, and its bytes (PNG).

    Args:
        pictures: by row.
        bands: channels to show as red, green and blue.
    """
    for row, pixels in pictures.items():
        shown = visible(pixels, bands)
        yield ImageFile(picture_path(row), shown.shape[1], shown.shape[0], pixels.shape[:-1], None), png.encode(shown)
