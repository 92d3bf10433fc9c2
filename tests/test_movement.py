"""How far training moved each filter, against plain arithmetic on the stored arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import report_fixture
from page_parser import parse
from reportgen.artefacts.initial_weights import filter_rows
from reportgen.core.records import Task
from reportgen.core.store import Store
from reportgen.report.assemble import assemble


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("plain", (3, 2, 4, 5)), ("plain", (3, 4, 5)), ("plain", (2, 2, 2, 4, 5)), ("transposed", (3, 2, 5, 4))],
)
def test_a_filters_row_is_its_own_slice_of_the_kernel(kind: str, shape: tuple[int, ...]) -> None:
    kernel = np.random.default_rng(1).normal(size=shape)
    rows = filter_rows({"kernel": kernel}, report_fixture.layer("l", kernel_kind=kind, filters_total=5))
    for index in range(5):
        own = kernel[..., index, :] if kind == "transposed" else kernel[..., index]
        assert sorted(rows[index]) == sorted(own.ravel())


def test_a_depthwise_filter_is_a_channel_and_a_multiple_of_it() -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 3, 4, 2))
    rows = filter_rows(
        {"depthwise_kernel": kernel, "kernel": kernel}, report_fixture.layer("l", kernel_kind="depthwise")
    )
    np.testing.assert_array_equal(rows[2 * 3 + 1], kernel[:, :, 3, 1].ravel())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose initial weights are the trained ones, some of them changed in a known way."""
    folder = tmp_path_factory.mktemp("report")
    plan = report_fixture.make(folder)
    store, tasks = Store(folder), []
    for layer in plan.layers:
        if layer.status == "rendered":
            arrays = {name: array.copy() for name, array in store.load(f"ww-{layer.slug}")[0].items()}
            arrays["kernel"][..., 0] *= 2  # halved by training: moved by half its length, along itself
            arrays["kernel"][..., 2] *= -1  # turned round
            arrays["kernel"][..., 3] = 0  # came from nothing
            store.save(f"in-{layer.slug}", arrays, {})
            tasks.append(Task("initial", f"in-{layer.slug}", layer.slug, "", (), 0.0))
    report_fixture.replan(folder, plan, tasks=(*plan.tasks, *tasks))
    assemble(folder)
    return folder


def test_distance_and_cosine_are_those_of_plain_arithmetic(folder: Path) -> None:
    layer = json.loads((folder / "report.json").read_bytes())["layers"][0]
    filters = layer["initial_weights"]["filters"]
    assert filters[0]["relative_change"] == pytest.approx(0.5, rel=1e-6)
    assert filters[0]["cosine_similarity"] == pytest.approx(1, rel=1e-6)
    assert (filters[2]["relative_change"], filters[2]["cosine_similarity"]) == (pytest.approx(2), pytest.approx(-1))
    assert (filters[3]["relative_change"], filters[3]["cosine_similarity"]) == (None, None)
    assert (filters[1]["relative_change"], filters[1]["cosine_similarity"]) == (
        None,
        None,
    )  # nothing but zeros before and after
    assert (filters[4]["relative_change"], filters[4]["cosine_similarity"]) == (0, pytest.approx(1))
    trained = np.load(folder / "data" / "colour" / "weights.npz")["kernel"].astype(np.float64)
    initial = np.load(folder / layer["initial_weights"]["array"])["kernel"].astype(np.float64)
    assert layer["initial_weights"]["relative_change"] == pytest.approx(
        np.linalg.norm(trained - initial) / np.linalg.norm(initial)
    )
    assert layer["initial_weights"]["relative_change_median"] == pytest.approx(0.25)
    assert (
        layer["initial_weights"]["relative_change_minimum"],
        layer["initial_weights"]["relative_change_maximum"],
    ) == (0, pytest.approx(2))


def test_both_kernels_are_drawn_on_one_scale(folder: Path) -> None:
    folder = folder / "figures" / "colour"
    trained, initial = (
        np.asarray(Image.open(folder / name)).astype(float) for name in ("weights.png", "initial_weights.png")
    )
    tile = np.s_[1:13, 1:13]  # filter 0, that training halved
    far = np.abs(initial[tile] - 127.5) > 20
    assert far.any()
    np.testing.assert_allclose((trained[tile] - 127.5)[far] * 2, (initial[tile] - 127.5)[far], atol=2)


def test_page_and_cards_state_how_far_filters_moved(folder: Path) -> None:
    page = parse(folder / "layers" / "colour.html")
    assert page.unbalanced == []
    assert "Most changed filters, largest change first: 2 , 0 , 4 , 5 ." in page.words
    assert {"#f002", "#f000"} <= set(page.attributes("href"))
    assert "Relative weight change per filter, 6 filters, from 0 to 2.000; 2 not defined." in page.words
    assert "Weight change 0.5000 cosine 1.000" in page.words
    assert (
        "the largest magnitude of the initial and the trained weights; both figures have the same scale" in page.words
    )
    assert "../data/colour/initial_weights.npz" in page.attributes("href")


def test_without_initial_weights_nothing_is_said_of_them(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    assert json.loads((tmp_path / "report.json").read_bytes())["layers"][0]["initial_weights"] is None
    assert "training" not in parse(tmp_path / "layers" / "colour.html").words
