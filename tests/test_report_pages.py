"""The pages of a stored run, read as a parser reads them: links, names, pictures, policy, words."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import struct
from pathlib import Path
from urllib.parse import urlsplit

import html5lib
import msgspec
import numpy as np
import pytest
from PIL import Image

import report_fixture
from page_parser import Page, parse
from reportgen.artefacts.feature_maps import zeros
from reportgen.core.store import Store
from reportgen.render.text import number
from reportgen.report.assemble import assemble
from reportgen.report.index_page import search_effort

RESOURCES = {("img", "src"), ("image", "href"), ("link", "href"), ("script", "src"), ("use", "href"), ("source", "src")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report_fixture.make(folder)
    assemble(folder)
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[Path, Page]:
    paths = [folder / "index.html", *sorted((folder / "layers").iterdir())]
    return {path: parse(path) for path in paths}


def test_there_is_a_page_for_each_layer_that_is_not_skipped(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "layers").iterdir()) == ["colour.html", "deep.html", "point.html"]


def test_every_tag_closes_in_the_order_it_opened(pages: dict[Path, Page]) -> None:
    assert {path.name: page.unbalanced for path, page in pages.items() if page.unbalanced} == {}


def test_a_strict_parser_of_the_standard_finds_no_error_in_any_page(pages: dict[Path, Page]) -> None:
    for path in pages:
        html5lib.HTMLParser(strict=True).parse(path.read_bytes(), transport_encoding="utf-8")


def test_every_link_leads_to_a_file_and_every_anchor_to_an_element(pages: dict[Path, Page], folder: Path) -> None:
    checked = 0
    for path, page in pages.items():
        for link in page.attributes("href", "src"):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / parts.path).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            assert target.is_relative_to(folder.resolve()), f"{path.name}: {link}"
            if parts.fragment:
                assert parts.fragment in pages[folder / target.relative_to(folder.resolve())].attributes("id")
            checked += 1
        for reference in page.attributes("aria-labelledby"):
            assert reference in page.attributes("id")
        for fill in page.attributes("fill"):
            if fill.startswith("url("):
                assert fill[5:-1] in page.attributes("id")
    assert checked > 100


def test_no_resource_comes_from_a_network(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        for element in page.elements:
            for name, value in element.attributes.items():
                if (element.tag, name) in RESOURCES:
                    assert not urlsplit(value).scheme
                    assert not urlsplit(value).netloc
                assert name not in ("srcset", "action", "formaction", "background", "poster", "ping")


def test_style_sheet_fetches_nothing(folder: Path) -> None:
    (style,) = (folder / "assets").glob("style-*.css")
    assert "url(" not in style.read_text()
    assert "@import" not in style.read_text()


def test_policy_forbids_everything_that_is_not_needed_and_the_pages_obey(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        (policy,) = [
            item for item in page.all("meta") if item.attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        rules = policy.attributes["content"]
        assert rules.startswith("default-src 'none'")
        assert "unsafe" not in rules
        assert not page.all("style", "iframe", "object", "embed", "form", "base")
        (script,) = page.all("script")
        assert set(script.attributes) == {"src", "defer"}
        for element in page.elements:
            assert "style" not in element.attributes
            assert not [name for name in element.attributes if name.startswith("on")]
            assert not element.attributes.get("href", "").lower().startswith(("javascript:", "data:"))


def test_no_id_stands_twice_on_a_page(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        ids = page.attributes("id")
        assert len(ids) == len(set(ids))


def test_every_picture_states_its_size_and_loads_late(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        assert page.all("img")
        for picture in page.all("img"):
            assert "alt" in picture.attributes
            assert int(picture.attributes["width"]) > 0
            assert int(picture.attributes["height"]) > 0
            assert picture.attributes["loading"] == "lazy"
            assert picture.attributes["decoding"] == "async"


def test_every_mosaic_states_the_size_of_its_file_and_figures_in_words(pages: dict[Path, Page]) -> None:
    seen = 0
    for path, page in pages.items():
        for picture in page.all("img"):
            source = (path.parent / picture.attributes["src"]).resolve()
            small = source.name == "strip.png" or source.parent.name == "overview"
            if source.parent.parent.name in ("figures", "colour", "deep", "point") and not small:
                width, height = struct.unpack(">II", source.read_bytes()[16:24])
                assert (picture.attributes["width"], picture.attributes["height"]) == (str(width), str(height))
                assert any(letter.isdigit() for letter in picture.attributes["alt"])
                seen += 1
    assert seen >= 3 * (2 + 2)


def test_a_picture_that_is_shown_larger_than_it_is_repeats_its_pixels(pages: dict[Path, Page]) -> None:
    seen = 0
    for path, page in pages.items():
        for picture in page.all("img"):
            with Image.open(path.parent / picture.attributes["src"]) as file:
                enlarged = int(picture.attributes["width"]) > file.width
            assert (picture.attributes.get("class") == "pixelated") is enlarged
            seen += enlarged
    assert seen > 8


def test_only_a_picture_that_its_neighbour_names_has_an_empty_text(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        for picture in page.all("img"):
            if not picture.attributes["alt"]:
                assert "assets/images/" in picture.attributes["src"]


def test_hostile_names_are_text_and_nothing_else(pages: dict[Path, Page], folder: Path) -> None:
    index = pages[folder / "index.html"]
    assert report_fixture.HOSTILE_PATH in index.words
    assert report_fixture.HOSTILE_IMAGE in index.words
    colour = pages[folder / "layers" / "colour.html"]
    assert report_fixture.HOSTILE_PATH in colour.words
    assert "cat <i>" in index.words
    for path in pages:
        assert "<script>" not in path.read_text()
        assert "<b>dog" not in path.read_text()
        assert "cat <i>" not in path.read_text()


def test_each_page_has_one_heading_one_main_part_and_a_way_past_the_navigation(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        assert len(page.all("h1")) == len(page.all("main")) == 1
        assert page.elements[0].tag == "html"
        assert page.elements[0].attributes["lang"] == "en"
        first_link = page.all("a")[0]
        assert first_link.attributes["href"] == "#content"
        levels = [int(item.tag[1]) for item in page.all("h1", "h2", "h3", "h4")]
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), levels


def test_every_table_has_a_caption_and_scoped_headers(pages: dict[Path, Page], folder: Path) -> None:
    for page in pages.values():
        assert len(page.all("caption")) == len(page.all("table"))
        assert all("scope" in header.attributes for header in page.all("th"))
    assert len(pages[folder / "index.html"].all("table")) >= 4


def test_each_shown_filter_has_one_card_with_its_anchor(pages: dict[Path, Page], folder: Path) -> None:
    deep = pages[folder / "layers" / "deep.html"]
    cards = [item.attributes["id"] for item in deep.all("li") if item.attributes.get("class") == "card"]
    assert cards == [f"f{index:03d}" for index in range(0, 70, 5)]


def test_cards_cut_their_pictures_out_of_the_mosaics(pages: dict[Path, Page], folder: Path) -> None:
    colour = pages[folder / "layers" / "colour.html"]
    cuts = [item.attributes for item in colour.all("svg") if "cut" in item.attributes.get("class", "").split()]
    assert len(cuts) == 6 * (1 + 1 + 2) + 1  # a pattern, a kernel and two maps each; one strongest picture
    for attributes in cuts:
        x, y, width, height = (int(number) for number in attributes["viewbox"].split())
        assert min(x, y) >= 0
        assert min(width, height) > 0
        if attributes.get("aria-hidden") != "true":  # the words beside it say what it is, once
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    sheets = {item.attributes["href"] for item in colour.all("image")}
    assert sheets == {
        "../figures/colour/patterns.png",
        "../figures/colour/strongest.png",
        "../figures/colour/weights.png",
        "../figures/colour/feature_maps/cat.png",
        "../figures/colour/feature_maps/plain.png",
    }


def test_each_card_shows_the_pattern_and_the_map_of_its_own_filter(pages: dict[Path, Page], folder: Path) -> None:
    store = Store(folder)
    patterns, _ = store.load("pp-deep-early")
    maps = np.asarray(Image.open(folder / "figures/deep/feature_maps/plain.png").convert("RGB"))
    grid = np.asarray(Image.open(folder / "figures/deep/patterns.png"))
    windows = {
        label: [int(number) for number in item.attributes["viewbox"].split()]
        for item in pages[folder / "layers" / "deep.html"].all("svg")
        for label in [item.attributes.get("aria-label") or item.attributes.get("data-title")]
        if "viewbox" in item.attributes and label is not None
    }
    for image, index in zip(patterns["images"], patterns["indices"].tolist(), strict=True):
        x, y, width, height = windows[f"Pattern of filter {index}"]
        scale = width // image.shape[1]
        shown = np.full_like(image, 128) if ("deep", index) == report_fixture.SILENT else image  # never shown as noise
        np.testing.assert_array_equal(grid[y : y + height : scale, x : x + width : scale], shown)
    x, y, width, height = windows["Map of filter 40 on plain.png"]
    tile = maps[y : y + height, x : x + width]
    stored, _ = store.load("fm-deep-plain")
    scale = width // stored["maps"].shape[1]
    lowest = tile[::scale, ::scale][stored["maps"][..., 40] == 0]
    assert len(lowest) > 5
    assert len(np.unique(lowest, axis=0)) == 1  # every zero has one colour, which no value above zero has
    assert not (tile[::scale, ::scale][stored["maps"][..., 40] > 0.1] == lowest[0]).all(axis=-1).any()


def test_a_card_states_the_scores_behind_its_verdict(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "layers" / "colour.html"].words
    first = f"Natural maximum 1.000 {report_fixture.HOSTILE_IMAGE} 6.000 {report_fixture.HOSTILE_IMAGE}"
    found = "Share of the strongest response 100 % of 3.000, by sign ascent Left after small warps 75.0 % Found by sign ascent"
    scores = "Scores Mean Peak Initial image 0 0 Pattern 3.000 6.000"
    basis = "Its mean is above the natural maximum, its peak is not."
    assert (
        f"Filter 0 exceeds your images {basis} {found} {scores} {first} Pattern / natural 3.000× 1.000× Kernel" in words
    )
    nothing = "Scores Mean Peak Initial image 0 0 Pattern 0 0 Natural maximum 0"
    nearest = "The highest pre-activation at any position of any input that was tried: −0.1250."
    assert (
        "Filter 1 proven inactive It is proven that no input activates the filter above zero, or that its activation is the same for every "
        "input. Left after small warps 75.0 % Found by sign ascent "
        f"{nearest} {nothing} plain.png 0 plain.png Kernel"
    ) in words
    assert words.count(nearest) == 1
    silent = pages[folder / "layers" / "deep.html"].words
    assert (
        "Filter 10 never active No input that was tried activates the filter above zero at any position; that none can is not proven. "
    ) in silent
    assert f"{nearest} {nothing}" in silent
    assert "Filter 2 exceeds your images" in words
    assert "Filter 3 NaN or Inf" in words


def test_a_pattern_that_is_far_from_the_strongest_response_is_shown_beside_it(
    pages: dict[Path, Page], folder: Path
) -> None:
    page = pages[folder / "layers" / "colour.html"]
    share = "Share of the strongest response 33.3 % of 9.000, by sign patches Left after small warps 75.0 % Found by sign ascent"
    note = "Mean 9.000, peak 11.00, found by sign patches without warps."
    assert f"{share} Scores" in page.words
    assert f"Pattern / natural 1.667× 0.8824× Strongest response {note} Kernel" in page.words
    assert page.words.count("Strongest response") == 1
    (window,) = [
        item.attributes["viewbox"]
        for item in page.all("svg")
        if item.attributes.get("aria-label") == "Image of the strongest response of filter 4"
    ]
    x, y, width, height = (int(number) for number in window.split())
    picture = np.asarray(Image.open(folder / "figures/colour/strongest.png"))
    stored, _ = Store(folder).load("pp-colour-late")
    scale = width // stored["strongest_images"].shape[2]
    np.testing.assert_array_equal(picture[y : y + height : scale, x : x + width : scale], stored["strongest_images"][0])
    for slug in ("deep", "point"):
        assert "Strongest response" not in pages[folder / "layers" / f"{slug}.html"].words
        assert not (folder / "figures" / slug / "strongest.png").exists()


def test_a_pattern_that_small_warps_destroy_is_said_to_be_so(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "layers" / "colour.html"].words
    assert "Left after small warps 5.0 % responds only to pixel-exact images Found by sign ascent Scores" in words
    assert words.count("pixel-exact") == 1


def test_an_ok_by_its_peak_alone_says_so(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-colour-early")
    for name, value in (("activation", 0.5), ("peak", 9), ("strongest_activation", 0.5), ("strongest_peak", 9)):
        arrays[name][0] = value
    store.save("pp-colour-early", arrays, facts)
    assemble(tmp_path)
    words = parse(tmp_path / "layers" / "colour.html").words
    assert "Filter 0 exceeds your images Its peak is above the natural maximum, its mean is not." in words
    assert "Pattern 0.5000 9.000" in words
    assert "Pattern / natural 0.5000× 1.500×" in words


def test_there_is_no_ratio_to_next_to_nothing(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, facts = store.load("na-colour")
    arrays["maximum"][[0, 4, 5]] = 0.003, 0.0031, -1  # the largest mean of the layer is 3
    store.save("na-colour", arrays, facts)
    assemble(tmp_path)
    page = parse(tmp_path / "layers" / "colour.html")
    assert "Pattern / natural n/a natural score almost 0 1.000×" in page.words
    assert "Pattern / natural 967.7× 0.8824×" in page.words
    assert "Pattern / natural n/a natural score below 0 0.8571×" in page.words
    gains = [item.attributes.get("data-gain") for item in page.all("li") if "data-index" in item.attributes]
    assert [None if gain is None else round(float(gain), 3) for gain in gains] == [2.997, 0, 0.1, None, 2.997, 4]


def test_verdicts_are_words_and_signs_and_not_colour_alone(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        chips = [item for item in page.all("span") if re.search(r"\bis-", item.attributes.get("class", ""))]
        signs = [item for item in page.all("use") if item.attributes["href"].startswith("#sign-")]
        assert len(chips) == len(signs) > 0


def test_what_is_missing_is_named_on_the_first_page_and_on_the_layers_own(
    pages: dict[Path, Page], folder: Path
) -> None:
    sentence = "patterns of 7 of 14 filters are not computed"
    assert f"deep: {sentence}." in pages[folder / "index.html"].words
    assert sentence in pages[folder / "layers" / "deep.html"].words.lower()
    assert "Not computed: 7 filters (35, 40, 45, 50, 55, 60, 65)." in pages[folder / "layers" / "deep.html"].words
    assert (
        pages[folder / "layers" / "deep.html"].words.count("the pattern was requested but has not been computed") == 7
    )
    assert "torn.jpg: left out, it is cut short." in pages[folder / "index.html"].words


def test_first_page_says_why_layers_are_left_out_and_every_setting(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "index.html"].words
    assert "head Dense It is no convolution." in words
    assert "nested.deep yes" in words
    assert "It was guessed." in words
    assert "Borowski" in words
    assert "Geirhos" in words


def test_first_page_counts_layers_filters_images_and_verdicts(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "index.html"].words
    assert "Convolution layers 3 1 not covered Filters visualized 24 of 80 Input images 3" in words
    assert (
        "images 3 11 exceed your images 1 does not exceed your images 1 never active 2 proven inactive 2 NaN or Inf "
        "7 pattern not computed of 24 visualized"
    ) in words
    assert "Feature maps are shown for 2 of 3 images" in words
    assert "75.0 %" in words


def test_first_page_says_what_calling_a_filter_silent_or_dead_rests_on(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "index.html"].words
    assert (
        "“Never active” means that 64 gradient-ascent steps and at most 16 steps on single positions found no activation above zero: more "
        "steps may activate some of these filters (--quality paper takes the most). “Proven inactive” is stated only where it is proven."
    ) in words


def test_first_page_says_nothing_of_the_effort_where_no_filter_is_silent() -> None:
    assert search_effort(report_fixture.RECIPE, silent=0) is None
    assert search_effort(report_fixture.RECIPE, silent=1) is not None


def test_first_page_says_nothing_of_a_search_for_silent_filters_where_there_was_none() -> None:
    words = search_effort({**report_fixture.RECIPE, "retry_steps": 0}, silent=1)
    assert words is not None
    assert "64 gradient-ascent steps found no activation" in words


def test_first_page_explains_the_words_in_the_order_in_which_they_are_given(
    pages: dict[Path, Page], folder: Path
) -> None:
    words = pages[folder / "index.html"].words.partition("The status is the first of these that applies: ")[2]
    meanings = [
        "no pattern no pattern was computed",
        "NaN or Inf a score of the pattern is infinite or not a number",
        "proven inactive it is proven that no input activates the filter above zero, or that its activation is the same for every input",
        "never active no input that was tried activates the filter above zero at any position; that none can is not proven",
        "exceeds your images the pattern activates the filter more than any of the images does, by its mean or at its highest position",
        "does not exceed your images the pattern exceeds what the images reach neither by its mean nor at its highest position",
    ]
    assert words.startswith(" ".join(meanings))


def test_neighbours_are_linked_both_ways(pages: dict[Path, Page], folder: Path) -> None:
    def relations(slug: str) -> set[tuple[str, str]]:
        page = pages[folder / "layers" / f"{slug}.html"]
        return {(item.attributes["rel"], item.attributes["href"]) for item in page.all("a") if "rel" in item.attributes}

    assert relations("colour") == {("next", "deep.html")}
    assert relations("deep") == {("prev", "colour.html"), ("next", "point.html")}
    assert relations("point") == {("prev", "deep.html")}


def test_a_report_without_images_says_so_and_compares_with_the_start(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False, missing=False)
    result = assemble(tmp_path)
    index, layer = parse(tmp_path / "index.html"), parse(tmp_path / "layers" / "point.html")
    assert "No images were given" in index.words
    assert "the image that the ascent started from" in index.words
    assert (
        "Filter 0 exceeds the start clearly Its mean activation is clearly above that of the initial image."
        in layer.words
    )
    assert "Natural maximum" not in layer.words
    assert len(result.problems) == 2  # filter 3 of the two layers that show it is not finite


def test_a_report_in_which_nothing_failed_says_so(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path, missing=False)
    words = parse(assemble(tmp_path).index).words
    assert "Build complete" not in words
    kept = tuple(task for task in plan.tasks if task.kind in ("weights", "image"))
    report_fixture.replan(tmp_path, plan, tasks=kept, images_left_out=())
    result = assemble(tmp_path)
    assert result.problems == ()
    assert "Build complete without errors; 1 layer cannot be shown, for the reasons below." in parse(result.index).words
    asked = tuple(msgspec.structs.replace(layer, by_request=layer.status == "skipped") for layer in plan.layers)
    report_fixture.replan(tmp_path, plan, tasks=kept, images_left_out=(), layers=asked)
    assert "Build complete: all 3 layers processed without errors." in parse(assemble(tmp_path).index).words


def test_a_layer_without_natural_maxima_explains_its_verdicts_by_the_start(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False)
    store = Store(tmp_path)
    (store.folder / "na" / "na-point.npz").unlink()
    arrays, facts = store.load("pp-point-early")
    store.save("pp-point-early", {**arrays, "activation_start": np.full(2, 2.9, np.float32)}, facts)  # so it is weak
    index = parse(assemble(tmp_path).index).words
    point = parse(tmp_path / "layers" / "point.html").words
    assert (
        "does not exceed the start clearly Its mean activation is not clearly above that of the initial image." in point
    )
    assert "what the images reach" not in point
    assert "each compared with its initial image" in point
    other = "at its highest position; in a layer without natural maxima, the pattern"
    assert f"more than any of the images does, by its mean or {other} activates the filter clearly more" in index
    assert f"exceeds what the images reach neither by its mean nor {other} does not activate" in index
    assert "is compared with the natural maximum" in index
    assert "Where a layer's natural maxima are not computed, it is compared with the image that the ascent" in index

    for slug in ("colour", "deep"):
        (store.folder / "na" / f"na-{slug}.npz").unlink()
    index = parse(assemble(tmp_path).index).words
    assert "than any of the images does" not in index
    assert "Natural maxima are not computed, so it is compared with the image that the ascent started from" in index


def test_a_layer_with_natural_maxima_explains_its_verdicts_by_the_images(pages: dict[Path, Page], folder: Path) -> None:
    words = pages[folder / "layers" / "colour.html"].words
    index = pages[folder / "index.html"].words
    assert "exceeds what the images reach neither by its mean nor at its highest position" in index
    assert "Its peak, the largest value of the filter’s map, is compared with the natural peak" in index
    assert "each compared with 78 inputs (3 images and 25 crops of each)." in words
    assert "without natural maxima" not in pages[folder / "index.html"].words


def test_an_image_without_predictions_says_why_on_the_first_page(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    arrays, _ = store.load("im-cat")
    store.save("im-cat", arrays, {"predictions": None, "reason": "the model's predictions are not finite numbers"})
    words = parse(assemble(tmp_path).index).words
    assert "The model's predictions are not finite numbers." in words
    assert f"{report_fixture.HOSTILE_IMAGE}: the model's predictions are not finite numbers." in words
    assert (
        "No predictions: the model's output is not a vector of class probabilities." in words
    )  # of the other image, which is no problem


@pytest.mark.parametrize(
    ("count", "bands", "note"),
    [
        (1, None, None),
        (1, [0, 0, 0], None),
        (3, None, None),
        (2, None, "the 2 channels, row by row, each in gray"),
        (5, None, "the 5 channels, row by row, each in gray"),
        (5, [3, 2, 1], "channels 3, 2 and 1 of 0 to 4 as red, green and blue"),
        (3, [2, 1, 0], "channels 2, 1 and 0 of 0 to 2 as red, green and blue"),
    ],
)
def test_images_patterns_and_cards_say_how_their_bands_are_shown(
    tmp_path: Path, count: int, bands: list[int] | None, note: str | None
) -> None:
    plan = report_fixture.make(tmp_path, missing=False, negative=True)
    report_fixture.replan(tmp_path, plan, settings={**plan.settings, "bands": bands})
    store = Store(tmp_path)
    for task in plan.tasks:
        if task.kind in ("image", "patterns", "minimal_patterns"):
            arrays, facts = store.load(task.key)
            pixels = "picture" if task.kind == "image" else "images"
            for name in (pixels,) if task.kind == "image" else (pixels, "strongest_images", "highest_images"):
                arrays[name] = np.repeat(arrays[name][..., :1], count, axis=-1)
            store.save(task.key, arrays, facts)
    index, colour = parse(assemble(tmp_path).index), parse(tmp_path / "layers" / "colour.html")
    picture, *_ = [item for item in index.all("img") if item.attributes["src"] == "assets/images/plain.png"]
    part = "" if note is None else f" ({note})"
    assert picture.attributes["alt"] == f"plain.png as the model receives it{part}, 24 × 20 pixels"
    assert (f"32 × 32 pixels, displayed: {note}" in index.words) == (note is not None)
    (strip,) = [item for item in index.all("img") if item.attributes["src"] == "figures/colour/strip.png"]
    assert strip.attributes["alt"].endswith(", small" if note is None else f", small: {note}")
    of = None if note is None else note.replace("channels,", "channels of one {},")
    for file, noun in (("patterns", "pattern"), ("minimal_patterns", "minimal pattern")):
        (grid,) = [item for item in colour.all("img") if item.attributes["src"].endswith(f"/{file}.png")]
        assert (of is None) == ("each tile shows" not in grid.attributes["alt"])
        assert of is None or f"each tile shows {of.format(noun)}" in grid.attributes["alt"]
        assert of is None or f"each tile shows {of.format(noun)}" in colour.words
        label = f"{noun.capitalize()} of filter 0" + ("" if note is None else f": {note}")
        assert label in colour.attributes("aria-label")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with minimal patterns, of the model's outputs too."""
    folder = tmp_path_factory.mktemp("full")
    report_fixture.make(folder, negative=True, outputs=True)
    store = Store(folder)
    for name in ("early", "late"):
        arrays, facts = store.load(f"pp-colour-{name}")
        arrays |= {
            "restart_similarity": np.array([0.87, np.nan, 1], np.float32),
            "redirected_relu": np.array([False, False, True]),
        }
        store.save(f"pp-colour-{name}", arrays, {**facts, "recipe": {**facts["recipe"], "restarts": 3}})
    assemble(folder)
    return folder


@pytest.fixture(scope="module")
def full_pages(full: Path) -> dict[Path, Page]:
    return {path: parse(path) for path in [full / "index.html", *sorted((full / "layers").iterdir())]}


def test_pages_with_minimal_patterns_and_outputs_keep_the_same_rules(full_pages: dict[Path, Page], full: Path) -> None:
    assert len(full_pages) == 5
    test_every_tag_closes_in_the_order_it_opened(full_pages)
    test_every_link_leads_to_a_file_and_every_anchor_to_an_element(full_pages, full)
    test_no_id_stands_twice_on_a_page(full_pages)
    test_every_picture_states_its_size_and_loads_late(full_pages)
    test_each_page_has_one_heading_one_main_part_and_a_way_past_the_navigation(full_pages)
    test_policy_forbids_everything_that_is_not_needed_and_the_pages_obey(full_pages)
    test_every_table_has_a_caption_and_scoped_headers(full_pages, full)
    assert not [path for path in full_pages if "cat <i>" in path.read_text()]


def test_minimal_patterns_have_a_section_that_says_what_they_are(full_pages: dict[Path, Page], full: Path) -> None:
    index = full_pages[full / "index.html"].words
    assert "A minimal pattern is an input optimized to minimize the pre-activation of one filter" in index
    assert "It is compared with the lowest pre-activation on any of the images." in index
    assert "what suppresses it" not in index
    colour, deep = (full_pages[full / "layers" / f"{slug}.html"] for slug in ("colour", "deep"))
    assert "minimal-patterns" in colour.attributes("id")
    assert "#minimal-patterns" in colour.attributes("href")
    how = "optimized like the patterns, but by gradient descent and on the plain mean; compared with the lowest on 78 inputs"
    assert (
        f"The image with the lowest mean pre-activation found for each filter: {how} (3 images and 25 crops of each)"
        in colour.words
    )
    below = "3 of 5 go below the lowest pre-activation on the images."
    assert (
        f"Optimized to minimize each filter's pre-activation. {below} 6 minimal patterns of 16 × 12 pixels"
        in colour.words
    )
    assert "Optimization without effect, gray: 1 filter (1)." in colour.words
    assert "Not computed: 7 filters (35, 40, 45, 50, 55, 60, 65)." in deep.words.partition("Minimal patterns The")[2]


def test_cards_show_the_minimal_pattern_with_its_pre_activations(full_pages: dict[Path, Page], full: Path) -> None:
    colour, deep = (full_pages[full / "layers" / f"{slug}.html"] for slug in ("colour", "deep"))
    heading = "Minimal pattern (pre-activation)"
    lowest, starts = "Minimum on images −1.500", "3 restarts, similarity not defined."
    below = "Below the minimum on the images."
    assert f"{heading} Initial image 0.2500 Pattern −2.000 {lowest} {below} {starts}" in colour.words
    assert (
        f"{heading} Initial image 0.2500 Pattern −1.000 {lowest} Not below the minimum on the images." in colour.words
    )
    assert "The optimization had no effect: the filter responds to it exactly as to the initial image." in colour.words
    assert f"Pattern — {lowest} One of its scores is infinite or not a number." in colour.words
    assert deep.words.count(f"{heading} Not computed.") == 7
    stored, _ = Store(full).load("nn-colour-early")
    picture = np.asarray(Image.open(full / "figures/colour/minimal_patterns.png"))
    (window,) = [
        item.attributes["viewbox"]
        for item in colour.all("svg")
        if item.attributes.get("aria-label") == "Minimal pattern of filter 2"
    ]
    x, y, width, height = (int(number) for number in window.split())
    np.testing.assert_array_equal(picture[y : y + height : 6, x : x + width : 6], stored["images"][2])


def test_a_minimal_pattern_that_is_no_lower_than_its_start_is_said_to_be_so(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False, negative=True)
    store = Store(tmp_path)
    arrays, facts = store.load("nn-point-early")
    store.save("nn-point-early", {**arrays, "pre_activation": np.array([0.5, 0.25], np.float32)}, facts)
    assemble(tmp_path)
    words = parse(tmp_path / "layers" / "point.html").words
    assert "No decrease from the initial image was found. Not below the minimum on the images." in words
    assert words.count("No decrease from the initial image was found.") == 1


def test_without_images_minimal_patterns_have_no_reference(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False, missing=False, negative=True)
    index, colour = parse(assemble(tmp_path).index), parse(tmp_path / "layers" / "colour.html")
    assert (
        "lowest mean pre-activation found for each filter: optimized like the patterns, but by gradient descent and on the plain mean."
        in colour.words
    )
    assert "inimum on" not in colour.words
    assert "go below" not in colour.words
    assert "compared with the lowest" not in index.words


def test_cards_say_how_alike_the_starts_were_and_where_redirected_gradients_were_used(
    full_pages: dict[Path, Page], full: Path
) -> None:
    colour, deep = (full_pages[full / "layers" / f"{slug}.html"].words for slug in ("colour", "deep"))
    assert "Found by sign ascent 3 restarts, similarity 0.8700." in colour
    assert "any input that was tried: −0.1250. 3 restarts, similarity not defined." in colour
    assert "Found by sign ascent 3 restarts, similarity 1.000. The gradient was zero at first, so ReLUs" in colour
    assert colour.count("The gradient was zero at first") == 2
    assert (
        "The similarity between restarts is the mean cosine similarity of the activations of the layer's other filters"
        in colour
    )
    assert "best of 3 starts" in colour
    for words in ("restart_similarity", "imilarity", "The gradient was zero"):
        assert words not in deep


def test_the_recipe_is_stated_in_words_on_every_page(full_pages: dict[Path, Page], full: Path) -> None:
    start = "Feature visualization by optimization: Fourier parameterization, initialized from the best of 21 random pictures;"
    short = "Method. Feature visualization by optimization: 64 steps with Adam; Fourier parameterization, initialized from the best of 21"
    assert f"{short} random pictures. {start}" in full_pages[full / "layers" / "deep.html"].words
    assert f"Method. {start}" in full_pages[full / "index.html"].words
    peaked = "objective: mean activation plus 0.1 × the softmax-weighted mean of the pre-activation, excluding a 2-cell border"
    assert peaked in full_pages[full / "layers" / "deep.html"].words
    assert "objective: mean pre-activation, excluding" in full_pages[full / "layers" / "point.html"].words
    assert "objective: the class logit" in full_pages[full / "layers" / "logits.html"].words
    assert "recipe" not in [item.lower() for item in full_pages[full / "index.html"].attributes("aria-label")]


def test_where_memory_ran_out_on_the_way_the_page_says_so(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, missing=False, negative=True)
    store = Store(tmp_path)
    for key, batch in (("pp-point-early", 8), ("pp-point-late", 4), ("nn-point-early", 8), ("nn-point-late", 2)):
        arrays, facts = store.load(key)
        recipe = {**facts["recipe"], "batch": batch, "planned_batch": 8}
        store.save(key, arrays, {**facts, "recipe": recipe})
    assemble(tmp_path)
    words = parse(tmp_path / "layers" / "point.html").words
    assert "computed in float32; batch reduced from 8 to 4 (out of memory)." in words
    assert "Batch reduced from 8 to 2 (out of memory)." in words
    assert "memory" not in parse(tmp_path / "layers" / "deep.html").words


def test_the_page_of_the_outputs_is_of_classes_and_has_neither_weights_nor_maps(
    full_pages: dict[Path, Page], full: Path
) -> None:
    page = full_pages[full / "layers" / "logits.html"]
    assert (
        "Model outputs The classes of the model, each by its logit: the value before softmax or sigmoid" in page.words
    )
    assert page.words.startswith("Model outputs · tiny ")
    assert "2 exceed your images of 2 shown, of 9 classes (selected by --outputs cat <i>,dog)" in page.words
    assert "Class 0: cat <i>" in page.words
    assert "Class 4: dog" in page.words
    assert "Classes 0, 4 (2 of 9)." in page.words
    assert not {"weights", "maps"} & set(page.attributes("id"))
    assert not {"#weights", "#maps"} & set(page.attributes("href"))
    for word in ("Kernel", "Strides", "Padding", "Parameters", "filter", "Filters "):
        assert word not in page.words.replace("filter report", "")
    assert "Minimal pattern Initial image 0.2500 Pattern −2.000" in page.words
    assert "optimized like the patterns, but by gradient descent; compared with the lowest on 78 inputs" in page.words
    assert "Pattern of class 4" in page.attributes("aria-label")
    assert "Verdicts on the shown classes" in page.attributes("aria-label")


def test_verdicts_on_the_outputs_speak_of_classes(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, images=False, outputs=True)
    store = Store(tmp_path)
    arrays, facts = store.load("pp-logits-early")
    store.save("pp-logits-early", {**arrays, "activation_start": np.full(1, 2.9, np.float32)}, facts)  # so it is weak
    assemble(tmp_path)
    words = parse(tmp_path / "layers" / "logits.html").words
    assert "Its logit is not clearly above that of the initial image." in words


def test_the_outputs_are_linked_like_a_layer_and_counted_as_none(full_pages: dict[Path, Page], full: Path) -> None:
    index = full_pages[full / "index.html"]
    assert (
        "Convolution layers 3 1 not covered Filters visualized 24 of 80 Input images 3 11 exceed your images 1 does not"
        in index.words
    )
    assert "activation-maximizing patterns of 24 of 80 filters in 3 convolution layers." in index.words
    assert "Model outputs: 2 of 9 classes : cat <i>, dog 2 exceed your images" in index.words
    assert "layers/logits.html" in index.attributes("href")
    assert "Logits" not in index.words
    assert "convolution layer 3 of 3" in full_pages[full / "layers" / "point.html"].words
    following = [item.attributes for item in full_pages[full / "layers" / "point.html"].all("a")]
    assert {"rel": "next", "href": "logits.html"} in [
        {name: item[name] for name in ("rel", "href")} for item in following if "rel" in item
    ]
    assert "Next: Model outputs" in full_pages[full / "layers" / "point.html"].words


def test_without_them_neither_outputs_nor_minimal_patterns_are_mentioned(pages: dict[Path, Page], folder: Path) -> None:
    for page in pages.values():
        assert "Model outputs" not in page.words
        assert "inimal pattern" not in page.words
    assert "or what suppresses it" in pages[folder / "index.html"].words


def test_names_keep_their_hyphens_and_only_figures_get_minus_signs(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    layers = (msgspec.structs.replace(plan.layers[0], path="block/-5"), *plan.layers[1:])
    images = (dataclasses.replace(plan.images[0], name="photo (-5) -7.png"), *plan.images[1:])
    left_out = ({"name": "a -3.png", "reason": "it is cut short"},)
    report_fixture.replan(tmp_path, plan, layers=layers, images=images, images_left_out=left_out)
    index, colour = parse(assemble(tmp_path).index), parse(tmp_path / "layers" / "colour.html")
    texts = [*index.attributes("alt", "aria-label"), *colour.attributes("alt", "aria-label"), index.words, colour.words]
    assert not [text for text in texts if "−5" in text.replace("−5.", "") or "−7" in text or "−3.png" in text]
    assert any(text.startswith("block/-5 on photo (-5) -7.png: mosaic of 6") for text in colour.attributes("alt"))
    assert any(text.startswith("block/-5 on photo") and "pre-activation" in text for text in colour.attributes("alt"))
    assert "color scale (RdBu_r) from −" in colour.words


@pytest.mark.parametrize(
    ("power", "exponent", "shown", "halved"), [(1e7, 14, "1.000 × 10⁷", 65504), (1e-9, -40, "1.000 × 10⁻⁹", 0)]
)
def test_maps_beyond_what_half_precision_holds_are_stated_as_they_are(
    tmp_path: Path, power: float, exponent: int, shown: str, halved: float
) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    true = np.full((20, 24, 6), power, np.float32)
    true[::2] /= 2
    scaled = np.ldexp(true, -exponent).astype(np.float16)
    assert np.isfinite(scaled).all()
    facts = {"minimum": power / 2, "maximum": power, "zero_fraction": 0.0, "nonfinite_fraction": 0.0}
    facts |= {"pre_minimum": -power, "pre_maximum": -power / 2, "exponent": exponent, "pre_exponent": exponent + 1}
    arrays = {"peak": true.max(axis=(0, 1)), "maps": scaled, "pre": np.ldexp(-true, -exponent - 1).astype(np.float16)}
    store.save("fm-colour-cat", arrays, facts)
    assemble(tmp_path)
    page = parse(tmp_path / "layers" / "colour.html")
    assert f"… {shown}, 0 % zeros" in page.words
    assert f"from 0 to {shown}, the maximum." in page.words
    assert f"from −{shown} through 0 to {shown}, the largest magnitude." in page.words
    assert f"Color bar from 0 to {shown}" in page.attributes("aria-label")
    assert f"Color bar from −{shown} to {shown}" in page.attributes("aria-label")
    with np.load(tmp_path / "data/colour/feature_maps.npz", allow_pickle=False) as archive:
        assert archive["cat"].dtype == np.float16
        assert archive["cat"].max() == halved
        assert archive["plain"].max() > 1


def test_maps_that_are_not_finite_stay_so_when_they_are_scaled(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    maps = np.ones((20, 24, 6), np.float16)
    maps[0, 0, :3] = np.nan, np.inf, -np.inf
    facts = {"minimum": 1.0, "maximum": 2.0**20, "zero_fraction": 0.0, "nonfinite_fraction": 0.0, "exponent": 20}
    store.save("fm-colour-cat", {"maps": maps, "peak": maps.max(axis=(0, 1)).astype(np.float32)}, facts)
    assemble(tmp_path)
    with np.load(tmp_path / "data/colour/feature_maps.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["cat"][0, 0], [np.nan, np.inf, -np.inf, 65504, 65504, 65504])


def test_weights_that_are_not_finite_are_said_alike_on_both_pages(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    store = Store(tmp_path)
    kernel = np.ones((3, 3, 3, 6), np.float32)
    kernel[0, 0, 0, 0] = np.nan
    store.save("ww-colour", {"kernel": kernel}, {})
    index = parse(assemble(tmp_path).index).words
    assert f"{report_fixture.HOSTILE_PATH}: 1 of 162 kernel weights is not finite." in index
    words = parse(tmp_path / "layers" / "colour.html").words
    assert "1 of 162 kernel weights is not finite; the statistics are of the others." in words


def test_captions_and_facts_state_one_number_alike(pages: dict[Path, Page], folder: Path) -> None:
    page = pages[folder / "layers" / "colour.html"]
    assert not re.search(r"\d x \d", page.words)
    (_, weights) = page.words.partition("filters of 3 × 3, one per tile, in RGB")[::2]
    figures = re.findall(r"−?\d+\.\d+", weights)[:2]
    assert max(figures, key=len) in page.words.partition("Range")[2]


def test_maps_on_scales_of_their_own_have_their_ranges_in_a_table_and_the_settings_say_so(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assemble(tmp_path, drawing={"normalize": "per-map", "colormap": "magma"})
    page = parse(tmp_path / "layers" / "deep.html")
    assert page.unbalanced == []
    assert "Linear color scale (magma) for each map, from 2 standard deviations below its mean" in page.words
    stored = [Store(tmp_path).load(f"fm-deep-{image}")[0] for image in ("cat", "plain")]
    values = [arrays[kind][..., 64].astype(float) for arrays in stored for kind in ("pre", "maps")]
    row = " ".join(["64", *(f"{number(own.min())} … {number(own.max())}" for own in values)])
    table = page.words.rpartition("Range of each map")[2]
    assert row in table
    assert "on each image, pre-activation and post-activation." in table
    assert (
        f"{report_fixture.HOSTILE_IMAGE}, pre-activation {report_fixture.HOSTILE_IMAGE}, post-activation plain.png, pre-activation"
        in table
    )
    alone = parse(tmp_path / "layers" / "point.html").words.rpartition("Range of each map")[2]
    assert "on each image, post-activation. Filter" in alone
    assert "pre-activation" not in alone.partition("Filters")[0]
    settings = json.loads((tmp_path / "report.json").read_bytes())["settings"]
    assert (settings["normalize"], settings["colormap"]) == ("per-map", "magma")
    assemble(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("zero", "silenced", "words"),
    [
        (0.5, None, "50.0 % zeros"),
        (0.5, 0.5, "50.0 % zeros (all from ReLU)"),
        (0.5, 0.25, "50.0 % zeros (25.0 % of the values from ReLU)"),
        (0.0, 0.0, "0 % zeros (0 % of the values from ReLU)"),
    ],
)
def test_what_is_zero_and_what_was_silenced_is_told_once_where_it_is_the_same(
    zero: float, silenced: float | None, words: str
) -> None:
    assert zeros(zero, silenced) == words
