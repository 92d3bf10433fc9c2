"""The first page answers first: counts, a gallery by a stated rule, charts over depth, one row per reason; and the same in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import report_fixture
from page_parser import Page, parse
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.telling_patterns import TellingPattern, is_blank
from reportgen.cli.main import main
from reportgen.core.settings import Settings
from reportgen.core.store import Store
from reportgen.core.verdicts import Word
from reportgen.render.text import elapsed
from reportgen.report.assemble import assemble
from reportgen.report.counts import counts
from reportgen.report.depth_charts import depth_view
from reportgen.report.document import ReportDocument
from reportgen.report.gallery import gallery
from reportgen.report.layer_rows import EXCLUDED, left_out
from reportgen.report.settings_rows import all_settings, chosen_settings

BOOKKEEPING = ("run.json", ".store/lock", ".store/written.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "report"
    report_fixture.make(folder, whole=True)
    assemble(folder)
    return folder


@pytest.fixture(scope="module")
def document(folder: Path) -> ReportDocument:
    return msgspec.json.decode((folder / "report.json").read_bytes(), type=ReportDocument)


@pytest.fixture(scope="module")
def index(folder: Path) -> Page:
    return parse(folder / "index.html")


def copies(document: ReportDocument, count: int, *, excess: float = 0.5) -> list[LayerEntry]:
    """Convolution layers with two telling patterns each, of which the first stands out more the deeper its layer is."""
    layer = next(layer for layer in document.layers if layer.slug == "colour")
    return [
        msgspec.structs.replace(
            layer,
            path=f"block/layer{number}",
            slug=f"layer{number}",
            telling_patterns=tuple(
                TellingPattern(index=index, excess=excess + number / 1000 - index / 10, verdict=Word.OK, blank=False)
                for index in (0, 1)
            ),
        )
        for number in range(count)
    ]


def test_the_gallery_shows_only_filters_that_show_something_each_linked_to_its_filter(
    document: ReportDocument, index: Page
) -> None:
    verdicts = {
        (layer.slug, item.index): item.verdict
        for layer in document.layers
        if layer.patterns is not None
        for item in layer.patterns.filters
    }
    chosen = [(entry.slug, entry.index) for entry in document.gallery]
    assert len(chosen) == len(set(chosen)) == 6  # two of each of three layers
    assert [verdicts[key] for key in chosen] == ["ok"] * 5 + ["weak"]  # the other two of the last layer show nothing
    links = [item.attributes["href"] for item in index.all("a") if "#f0" in item.attributes["href"]]
    assert links[-len(chosen) :] == [f"layers/{slug}.html#f{number:03d}" for slug, number in chosen]
    assert f"Pattern of filter {chosen[-1][1]} of {chosen[-1][0]}" in index.attributes("aria-label")


def test_the_gallery_takes_equally_many_of_early_middle_and_deep_layers(document: ReportDocument) -> None:
    found = gallery(copies(document, 13))
    assert [(entry.depth, entry.slug) for entry in found] == [
        *(("early", f"layer{number}") for number in (0, 1, 2, 3)),
        *(
            ("middle", f"layer{number}") for number in (5, 6, 7, 8)
        ),  # of five the deepest, which have the largest excess here
        *(("deep", f"layer{number}") for number in (9, 10, 11, 12)),
    ]
    assert [entry.depth for entry in gallery(copies(document, 1))] == ["all"] * 2
    assert [entry.depth for entry in gallery(copies(document, 2))] == ["early"] * 2 + ["deep"] * 2
    assert gallery([]) == gallery([msgspec.structs.replace(copies(document, 1)[0], telling_patterns=())]) == ()


def test_what_warps_destroy_is_less_telling_and_a_blank_pattern_comes_last(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-colour-late")  # filters 3, 4 and 5, of which 3 is not finite
    arrays["activation"][1:], arrays["survives_warps"][1:] = 4, (0.95, 0.05)
    store.save("pp-colour-late", arrays, facts)
    assemble(tmp_path)

    def telling() -> list[int]:
        layers = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=ReportDocument).layers
        return [item.index for item in layers[0].telling_patterns]

    assert telling() == [4, 0]
    arrays["images"][1] = 255
    store.save("pp-colour-late", arrays, facts)
    assemble(tmp_path)
    assert 4 not in telling()


def test_a_pattern_of_one_value_is_blank_and_noise_is_not() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    framed = noise.copy()
    framed[2:-2, 2:-2] = (255, 0, 255)
    assert is_blank(framed)
    assert not is_blank(noise)
    assert is_blank(np.zeros((50, 2), np.float32))
    assert not is_blank(np.sin(np.arange(100, dtype=np.float32)).reshape(50, 2))


def test_a_report_without_patterns_or_with_one_layer_has_a_first_page_all_the_same(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    kept = tuple(task for task in plan.tasks if task.kind in ("weights", "image", "feature_maps"))
    report_fixture.replan(tmp_path, plan, tasks=kept)
    assert "gallery" not in parse(assemble(tmp_path).index).attributes("id")
    report_fixture.replan(tmp_path, plan, layers=plan.layers[:1])
    page = parse(assemble(tmp_path).index)
    assert "gallery" in page.attributes("id")
    assert "depth" not in page.attributes("id")


def test_charts_over_depth_say_what_the_records_say(document: ReportDocument, folder: Path, index: Page) -> None:
    view = depth_view(document.layers, "image")
    assert view is not None
    layers = [layer for layer in document.layers if layer.kind == "convolution" and layer.status != "skipped"]
    assert [row.path for row in view.rows] == [layer.path for layer in layers]
    values = {chart.title: [row.values[place] for row in view.rows] for place, chart in enumerate(view.charts)}
    assert values["Silent filters"] == [
        "20.0 %",
        "14.3 %",
        "33.3 %",
    ]  # 1 of 5, 1 of 7, 1 of 3 with finite scores: those of model health
    norms = []
    for layer in layers:
        with np.load(folder / "data" / layer.slug / "weights.npz") as arrays:
            norms.append(np.sqrt(np.square(arrays["kernel"]).sum(dtype=np.float64) / layer.filters_total))
    assert [float(value) for value in values["Weight norm"]] == pytest.approx(norms, rel=1e-3)
    assert "Weight change" in values
    for chart in view.charts:
        assert len(chart.drawn.bars) <= len(layers)
        assert chart.constant is not None or chart.alt in index.attributes("aria-label")
    assert "lowest 14.3 % in deep" in view.charts[0].alt


def test_the_navigation_has_the_headings_of_the_page_in_its_order(index: Page) -> None:
    headings = {item.attributes["href"] for item in index.all("a") if item.attributes["href"].startswith("#")}
    anchors = [item.attributes["id"] for item in index.all("h2") if f"#{item.attributes['id']}" in headings]
    links = [link[1:] for link in index.attributes("href") if link.startswith("#") and link[1:] in anchors]
    assert links == anchors
    assert len(links) == 9
    for title in ("Input images and predictions", "Over depth", "Architecture", "How to interpret this report"):
        assert index.words.count(title) == 2


def test_layers_that_the_options_exclude_share_one_row(document: ReportDocument) -> None:
    layers = [
        msgspec.structs.replace(
            layer, status="skipped", by_request=True, reason="left out: no --layers pattern names it"
        )
        for layer in copies(document, 10)
    ]
    excluded, other = left_out([*layers, *document.layers])
    assert (excluded.title, excluded.reason, len(excluded.paths)) == ("10 layers", EXCLUDED, 10)
    assert (other.title, other.reason) == ("head", "It is no convolution.")
    counted = counts([*layers, *document.layers], 3, "image")
    assert (counted.facts[0].value, counted.facts[0].note) == ("3", "of 13, + 1 pooling, 1 not covered")


def test_only_options_that_are_not_the_default_stand_open_and_what_was_not_given_is_no_none() -> None:
    settings = {**Settings(quality="draft", preprocess="none", layers=("a*",)).describe(), "recipe": {"steps": 8}}
    assert chosen_settings(settings) == (("--preprocess", "none"), ("--layers", "a*"), ("--quality", "draft"))
    rows = dict(all_settings(settings))
    assert (rows["css"], rows["preprocess"], rows["recipe.steps"]) == ("not given", "none", "8")


@pytest.mark.parametrize("one_file", [False, True])
def test_the_size_stated_is_that_of_the_folder_with_its_store(tmp_path: Path, one_file: bool) -> None:
    report_fixture.make(tmp_path, missing=False)
    assemble(tmp_path, drawing={"single_file": one_file})
    sizes = {
        name: path.stat().st_size
        for path in tmp_path.rglob("*")
        if path.is_file() and (name := path.relative_to(tmp_path).as_posix()) not in BOOKKEEPING
    }
    stored = sum(size for name, size in sizes.items() if name.startswith(".store/"))
    stated = re.search(
        r"Report size: (\d+) files, ([\d.]+) kB, of which \.store, the cache for later builds, has ([\d.]+) kB\.",
        parse(tmp_path / "index.html").words,
    )
    assert stated is not None
    assert int(stated[1]) == len(sizes)
    assert float(stated[2]) * 1000 == pytest.approx(
        sum(sizes.values()), abs=60
    )  # rounded; no more than one digit of its own size
    assert float(stated[3]) * 1000 == pytest.approx(stored, abs=60)


def test_the_terminal_states_the_counts_of_the_first_page_the_size_and_what_to_open(folder: Path, index: Page) -> None:
    result = CliRunner().invoke(main, ["assemble", str(folder)])
    lines = result.stderr.splitlines()[-3:]
    first = "reportgen: 24 of 80 filters visualized in 3 convolution layers: 11 exceed your images, 1 does not exceed your images, 1 never"
    assert lines[0].startswith(first)
    assert lines[0].endswith(" problems, named above.")
    size = index.words.partition("Report size: ")[2].partition(". ")[0]
    assert re.fullmatch(rf"reportgen: \d+ s; {re.escape(size)}\.", lines[1])
    assert lines[2] == f"reportgen: open {folder / 'index.html'} in a browser."
    assert result.stdout == f"{folder / 'index.html'}\n"
    quiet = CliRunner().invoke(main, ["assemble", "-q", str(folder)])
    assert "visualized" not in quiet.stderr
    assert "in a browser" not in quiet.stderr
    assert quiet.stdout == result.stdout


def test_a_duration_has_at_most_two_units() -> None:
    assert [elapsed(seconds) for seconds in (0.1, 59.6, 192, 7500)] == ["1 s", "1 min 0 s", "3 min 12 s", "2 h 5 min"]
