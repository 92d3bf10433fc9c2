"""Where a value stands among those of a data set, in words: on cards and beside mosaics of feature maps."""

from __future__ import annotations

import numpy as np
import pytest

from reportgen.artefacts.data_records import StoredData
from reportgen.artefacts.data_view import peak_words, places
from reportgen.survey.values import half

IMAGES = 4000


@pytest.fixture
def stored() -> StoredData:
    """Three filters: one whose peaks are 0, 1, 2 …, one that is always 5, and one that is not finite once."""
    peaks = np.stack([np.arange(IMAGES) / 2, np.full(IMAGES, 5), np.ones(IMAGES)], axis=1).astype(np.float32)
    peaks[7, 2] = np.nan
    kept, exponent = half(peaks)
    return StoredData(
        {"peaks": kept, "activations": kept}, {"peaks_exponent": exponent, "activations_exponent": 0}, None
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (500.0, "above 25.0 % of images"),
        (5000.0, "above all 4,000 images"),
        (0.5, "above 1 of 4,000 images"),
        (-1.0, "above 0 % of images"),
        (None, None),
    ],
)
def test_a_score_says_its_place(stored: StoredData, value: float | None, words: str | None) -> None:
    assert places(stored, 0, "image")["peak"](value) == words


def test_a_mosaic_says_which_of_its_peaks_are_high(stored: StoredData) -> None:
    words = peak_words(stored, np.array([500.0, 6.0, 3.0]), ("filter", "filters"), "image")
    assert words == (
        "Peaks compared with those of the data set’s 4,000 images: filter 1 above all, filter 0 above 25.0 %; "
        "1 of 3 filters above 99 %."
    )
    assert peak_words(stored, np.array([-1.0, np.nan, 3.0]), ("filter", "filters"), "image") == (
        "Peaks compared with those of the data set’s 4,000 images: 0 of 3 filters above 99 %."
    )
    assert peak_words(None, np.zeros(3), ("filter", "filters"), "image") is None
