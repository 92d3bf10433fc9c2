"""A report of VGG16's size: every one of 4,224 filters, four images; pages stay small and load their pictures late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import large_store
from page_parser import parse
from reportgen.report.assemble import assemble

KIB, MIB = 2**10, 2**20
LARGEST_INDEX, LARGEST_PAGE = 300 * KIB, 3 * MIB


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only the last layer, as large as any, shows all its filters: pages do not depend on each other."""
    folder = tmp_path_factory.mktemp("large")
    large_store.make(folder, pattern_side=8, map_side=4, few=len(large_store.WIDTHS) - 1)
    assemble(folder)
    return folder


def test_the_first_page_and_the_largest_page_stay_small(folder: Path) -> None:
    assert (folder / "index.html").stat().st_size < LARGEST_INDEX
    largest = folder / "layers" / "block5_conv3.html"
    assert largest.stat().st_size < LARGEST_PAGE
    assert len([item for item in parse(largest).all("li") if item.attributes.get("class") == "card"]) == 512


def test_512_cards_with_four_images_load_the_pictures_of_the_sections_and_five_more(folder: Path) -> None:
    page = parse(folder / "layers" / "block5_conv3.html")
    inside = {item.attributes["href"] for item in page.all("image")}
    above = {item.attributes["src"] for item in page.all("img")}
    assert len(page.all("image")) > 512 * (1 + 1 + 1 + 4) - 1
    more = {f"../figures/block5_conv3/patterns-{number}.png" for number in range(1, 5)}
    more.add("../figures/block5_conv3/kernel_slices.png")
    assert inside - above == more
    (packed,) = page.all("noscript")  # so that a browser with scripts makes no elements of them
    assert page.elements.index(packed) < next(
        place for place, item in enumerate(page.elements) if item.attributes.get("id") == "f000"
    )


def test_each_of_many_patterns_is_pixel_for_pixel_in_its_sheet_and_small_in_the_figure_of_all(folder: Path) -> None:
    figures, (x, y, width, height) = folder / "figures" / "block5_conv3", pattern_window(folder, 300)
    arrays = np.load(folder / "data" / "block5_conv3" / "patterns.npz")
    with Image.open(figures / "patterns-3.png") as sheet:
        shown = np.asarray(sheet.convert("RGB"))[y : y + height, x : x + width]
    scale = width // arrays["images"].shape[2]
    np.testing.assert_array_equal(shown[::scale, ::scale], arrays["images"][300])
    with Image.open(figures / "patterns.png") as small:
        assert small.width * small.height < 512 * 70 * 70


def pattern_window(folder: Path, index: int) -> tuple[int, int, int, int]:
    """Where the card of a filter cuts its pattern out of the figure."""
    page = parse(folder / "layers" / "block5_conv3.html")
    (window,) = [
        item.attributes["viewbox"]
        for item in page.all("svg")
        if item.attributes.get("aria-label") == f"Pattern of filter {index}"
    ]
    x, y, width, height = (int(number) for number in window.split())
    return x, y, width, height


def test_the_first_page_states_how_much_there_is(folder: Path) -> None:
    bookkeeping = {"run.json", "written.json", "lock"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in bookkeeping]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    assert f"Report size: {len(files):,} files, {megabytes:.1f} MB" in parse(folder / "index.html").words
