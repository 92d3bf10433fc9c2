"""The overview figure: which layers, which filters, on which scale; each cell shows its own image's maps."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import report_fixture
from page_parser import parse
from reportgen.artefacts import overview
from reportgen.core.settings import MapStyle
from reportgen.render import palette
from reportgen.render.overview import draw_column, strongest
from reportgen.report.assemble import assemble

TOP = palette.FIRST_VALUE + palette.LEVELS - 1


def indices(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def test_the_filters_are_those_that_reach_highest_away_from_the_border_over_all_images() -> None:
    first, second = np.zeros((7, 7, 6), np.float32), np.zeros((7, 7, 6), np.float32)
    first[3, 3] = [1, 5, 0, 4, 3, 0]
    second[2, 4] = [9, 5, 0, 4, 3, 0]
    first[0, 0, 2] = 100  # at the border: padding, not a response
    first[3, 2, 5], second[3, 2, 5] = np.nan, np.inf
    assert strongest([first, second]) == (0, 1, 3, 4)


def test_of_equal_filters_the_lower_numbers_are_taken() -> None:
    assert strongest([np.ones((3, 3, 9), np.float16)]) == (0, 1, 2, 3)


def test_all_cells_of_a_column_share_one_scale() -> None:
    maps = np.zeros((4, 5, 1), np.float32)
    maps[..., 0] = np.linspace(0, 1, 20).reshape(4, 5)
    column = draw_column([maps, maps * 10], MapStyle())
    assert column.scale is not None
    assert column.scale.legend == (0.0, 10.0, "viridis")
    top = [indices(cell.png).max() for cell in column.cells]
    assert top == [palette.FIRST_VALUE + round((palette.LEVELS - 1) / 10), TOP]
    assert [cell.peaks for cell in column.cells] == [(1.0,), (10.0,)]


def test_large_maps_are_averaged_and_not_thinned_out() -> None:
    maps = np.zeros((160, 160, 1), np.float32)
    maps[::2, :80:2], maps[::2, 80::2] = 4, 8  # means of two by two values: 1 on the left, 2 on the right
    column = draw_column([maps], MapStyle())
    assert column.scale is not None
    assert column.scale.legend == (0.0, 2.0, "viridis")
    inside = indices(column.cells[0].png)[4:-4, 4:-4]
    assert set(np.unique(inside)) == {palette.FIRST_VALUE + (palette.LEVELS - 1) // 2, TOP}


def test_signals_are_curves_and_of_volumes_the_middle_slice_is_shown() -> None:
    line = np.zeros((50, 1), np.float32)
    line[:, 0] = np.linspace(0, 4, 50)
    column = draw_column([line], MapStyle())
    drawn = indices(column.cells[0].png)
    x, y, width, height = column.cells[0].tiles.box(0)
    ink = np.argmin(drawn[y : y + height, x + 5 : x + width - 5], axis=0)
    assert (np.diff(ink) <= 0).all()
    assert ink[0] - ink[-1] > height / 2
    assert column.size == (50,)
    solid = np.zeros((5, 4, 6, 1), np.float32)
    solid[..., 0] = np.arange(5)[:, None, None] * np.linspace(0.5, 1, 24).reshape(4, 6)
    flat = draw_column([solid[2]], MapStyle()).cells[0]
    assert draw_column([solid], MapStyle()).cells[0].png == flat.png
    assert draw_column([solid], MapStyle()).cells[0].peaks == (4.0,)


def test_the_border_in_time_counts_like_any_other_step() -> None:
    film = np.zeros((3, 7, 7, 5), np.float32)
    film[0, 3, 3, 4] = film[1, 3, 3, :3] = film[1, 0, 0, 3] = 1
    assert strongest([film], times=1) == (0, 1, 2, 4)


def test_layers_that_cannot_be_shown_are_counted(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    tasks = [task for task in plan.tasks if (task.kind, task.layer) != ("feature_maps", "point")]
    report_fixture.replan(tmp_path, plan, tasks=tuple(tasks))
    assemble(tmp_path)
    words = parse(tmp_path / "index.html").words
    assert "2 of 3 layers from input to output" in words
    assert "1 further layer has no maps that can be drawn." in words


def test_constant_maps_are_flat_and_broken_ones_hatched() -> None:
    maps = np.ones((6, 6, 3), np.float32)
    maps[..., 0] = np.arange(36).reshape(6, 6)
    maps[1, 1, 2] = np.nan
    drawn = set(np.unique(indices(draw_column([maps], MapStyle()).cells[0].png)).tolist())
    assert {palette.FLAT, palette.BROKEN, palette.BROKEN_LINE, TOP} <= drawn


def test_many_layers_are_thinned_evenly_from_the_first_to_the_last(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    layers = tuple(report_fixture.layer(f"l{number}") for number in range(100))
    chosen = overview.selected(dataclasses.replace(plan, layers=layers))
    numbers = [int(slug[1:]) for slug in chosen]
    assert (len(numbers), numbers[0], numbers[-1]) == (20, 0, 99)
    assert set(np.diff(numbers)) <= {5, 6}


def test_the_first_page_shows_every_image_and_layer_and_states_the_scales(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    report = json.loads((tmp_path / "report.json").read_bytes())["overview"]
    assert [layer["slug"] for layer in report["layers"]] == ["colour", "deep", "point"]
    page = parse(tmp_path / "index.html")
    cells = [item for item in page.all("img") if "/overview/" in item.attributes["src"]]
    assert len(cells) == 2 * 3
    for cell in cells:
        with Image.open(tmp_path / cell.attributes["src"]) as file:
            shown = int(cell.attributes["width"]) / int(cell.attributes["height"])
            assert abs(shown - file.width / file.height) < 0.05
    maps = np.load(tmp_path / "data" / "deep" / "feature_maps.npz")
    deep = report["layers"][1]
    peaks = [np.max(maps[image][2:-2, 2:-2], axis=(0, 1)).astype(float) for image in ("cat", "plain")]
    best = np.argsort(-(peaks[0] + peaks[1]), kind="stable")[:4]
    assert deep["filters"] == sorted(best.tolist())
    words = f"scale 0 … {deep['scale'][1]:.4g}"
    assert words[: len(words) - 1] in page.words
    assert f"the same filters in every row: {overview.RULE}" in page.words


@pytest.mark.parametrize(
    ("top", "reach", "clipped", "words"),
    [
        (1.09, (0.0, 1.6953), True, "scale 0 … 1.090 (clipped; peak 1.695)"),
        (1.09, (0.0, 1.6953), False, "scale 0 … 1.090 (peak 1.695)"),  # averaging alone lowers a peak
        (1.09, (0.0, 1.09001), True, "scale 0 … 1.090"),
        (1.09, None, True, "scale 0 … 1.090"),
    ],
)
def test_the_head_of_a_column_states_clipping_and_the_peak(
    top: float, reach: tuple[float, float] | None, clipped: bool, words: str
) -> None:
    column = overview.Column(
        report_fixture.layer("l"), (2, 4), (8, 8), (0.0, top), False, {}, MapStyle(), reach, clipped
    )
    assert overview.scale_words(column) == words


def test_without_images_there_is_no_overview(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False)
    assemble(tmp_path)
    assert json.loads((tmp_path / "report.json").read_bytes())["overview"] is None
    assert "overview" not in parse(tmp_path / "index.html").attributes("id")
