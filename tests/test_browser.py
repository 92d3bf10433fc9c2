"""The pages in a real browser: what they load, what can be done with them, and who can use them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

import report_fixture
from browser import SCREENS, chromium, opened
from reportgen.artefacts import patterns
from reportgen.report.assemble import assemble

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = ("index", "colour", "pool", "deep", "point", "logits", "one")  # `one`: the report of one file
EXPECTED = {  # what a page has for certain, so that no check runs without it
    "index": (".diagram svg a", "table.overview td img"),
    "pool": (".beside h3", "#ranges td"),
    "deep": ("[alt^='Initial weights']", ".beside h3", "#ranges td", "#minimal-patterns"),
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report_fixture.make(folder, negative=True, outputs=True, whole=True)
    assemble(folder)
    report_fixture.make(folder / "one", negative=True, outputs=True, whole=True)
    assemble(folder / "one", drawing={"single_file": True})
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def page_of(folder: Path, name: str) -> Path:
    own = {"index": folder / "index.html", "one": folder / "one" / "index.html"}
    return own.get(name, folder / "layers" / f"{name}.html")


def shown(page: Page, selector: str) -> list[str]:
    """Anchors or paths of the items in a list that are not filtered out, in order."""
    return page.locator(selector).evaluate_all("all => all.filter(x => !x.hidden).map(x => x.id || x.dataset.path)")


def no_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_loads_without_a_message_and_without_the_network(
    browser: Browser, folder: Path, name: str, scripts: bool
) -> None:
    with opened(browser, page_of(folder, name), java_script_enabled=scripts) as (page, seen):
        page.mouse.wheel(0, 20_000)  # what loads late
        assert seen.messages == []
        assert seen.requests
        assert seen.from_network == []
        if name != "pool":  # a page without cards has nothing to be found or ordered
            assert page.locator(".controls").first.is_visible() is scripts


def violations(page: Page, context: str | None = None, **options: Any) -> dict[str, list[str]]:
    """What axe-core finds wrong: the elements by rule."""
    options["resultTypes"] = ["violations"]  # describing what passes takes four times as long as the checks
    found = Axe().run(page, context, options).response["violations"]
    return {item["id"]: [node["html"] for node in item["nodes"]] for item in found}


@pytest.mark.parametrize("name", ["index", "pool", "deep", "logits", "one"])
def test_nothing_stands_in_the_way_of_people_who_use_a_page_otherwise(
    browser: Browser, folder: Path, name: str
) -> None:
    with opened(browser, page_of(folder, name)) as (page, _):
        for part in EXPECTED.get(name, ()):
            assert page.locator(part).count() > 0, f"the page has no {part}"
        page.locator("details").evaluate_all("all => all.forEach(x => x.open = true)")
        contrast = {"color-contrast": {"enabled": name != "one"}}  # slow, and of colours that the pages above have
        assert violations(page, runOnly=RULES, rules=contrast) == {}
        if name == "logits":
            page.get_by_role("button", name="Open viewer").click()
            assert violations(page, "dialog", runOnly=RULES) == {}


@pytest.mark.parametrize("name", ["index", "deep"])
def test_text_has_contrast_in_the_dark_too(browser: Browser, folder: Path, name: str) -> None:
    with opened(browser, page_of(folder, name), color_scheme="dark") as (page, _):
        page.locator("details").evaluate_all("all => all.forEach(x => x.open = true)")
        assert violations(page, runOnly=["color-contrast"]) == {}


@pytest.mark.parametrize("name", ["index", "pool", "deep", "logits"])
def test_a_page_is_never_wider_than_its_window(browser: Browser, folder: Path, name: str) -> None:
    with opened(browser, page_of(folder, name)) as (page, _):
        for details in ("as they were", "open"):
            if details == "open":
                page.locator("details").evaluate_all("all => all.forEach(x => x.open = true)")
            for width in (320, 360, 1280, 3840):
                page.set_viewport_size({"width": width, "height": 800})
                assert no_wider_than_its_window(page), f"{width} pixels, details {details}"
                if details == "open" and width in (360, 1280):
                    SCREENS.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=SCREENS / f"{name}-{width}.png", full_page=True)


def test_predictions_are_not_cut_off_and_statuses_do_not_cover_their_meanings(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "index")) as (page, _):
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.locator(".predictions").count()
            assert page.evaluate(
                "[...document.querySelectorAll('.images li > div')].every(x => x.scrollWidth <= x.clientWidth)"
            ), width
            assert page.locator(".meanings dt").count()
            assert page.evaluate(
                "[...document.querySelectorAll('.meanings > div')].every(x => {"
                " const pill = x.querySelector('dt > *').getBoundingClientRect(), text = x.querySelector('dd').getBoundingClientRect();"
                " return pill.right <= text.left || pill.bottom <= text.top })"
            ), width


@pytest.mark.parametrize("name", ["index", "deep"])
def test_on_paper_a_page_is_light_and_nothing_is_cut_off(browser: Browser, folder: Path, name: str) -> None:
    with opened(browser, page_of(folder, name), color_scheme="dark", reduced_motion="reduce") as (page, _):
        printed = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "12mm"))
        page.emulate_media(media="print", color_scheme="dark")
        for width in (703, 725):  # of A4 and Letter less their margins
            page.set_viewport_size({"width": width, "height": 900})
            assert no_wider_than_its_window(page)
        assert not page.locator(".controls, .steps, .skip, .pagebar, .sheet").first.is_visible()
        assert not page.locator(".recipe p, .card").first.is_visible()
    with warnings.catch_warnings():
        document = pypdfium2.PdfDocument(printed)
    SCREENS.mkdir(parents=True, exist_ok=True)
    words = ""
    for number in range(len(document)):
        sheet = document[number]
        picture = sheet.render(scale=1).to_pil().convert("L")
        picture.save(SCREENS / f"{name}-A4-{number + 1}.png")
        assert picture.getpixel((2, 2)) == 255
        words += sheet.get_textpage().get_text_range()
    assert ("Reproducibility" if name == "index" else "65") in words
    if name == "deep":
        assert "mean 3.000 (1.000)" in " ".join(words.split())
    document.close()


def test_a_header_orders_the_layers_up_down_and_back_by_keyboard(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "index.html") as (page, _):
        rows, head = "#layer-rows > tr", page.locator("th[data-order=kernel]")
        own = shown(page, rows)
        assert head.get_attribute("aria-sort") == "none"
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert shown(page, rows) == [own[0], "point", "deep", "pool"]  # 162, 280, 3780 weights and none
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert shown(page, rows) == ["deep", "point", own[0], "pool"]
        assert head.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Enter")
        assert shown(page, rows) == own
        assert page.evaluate("document.activeElement.closest('th').dataset.order") == "kernel"


def test_what_is_unknown_comes_last_in_either_direction(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "index.html") as (page, _):
        button = page.locator("th[data-order=field] button")
        for _ in range(2):
            button.click()
            assert shown(page, "#layer-rows > tr")[-1] == "point"


def test_layers_are_found_by_words_and_by_verdict_with_a_live_count(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "index.html") as (page, _):
        rows, controls = "#layer-rows > tr", page.locator(".controls")
        count = controls.locator("output")
        assert count.text_content() == "4 of 4 shown"
        assert count.get_attribute("aria-live") == "polite"
        controls.get_by_label("Search layer name or type").fill("CONV2D deep")
        assert shown(page, rows) == ["deep"]
        assert count.text_content() == "1 of 4 shown"
        controls.get_by_label("Search layer name or type").fill("nowhere")
        assert shown(page, rows) == []
        controls.get_by_role("button", name="Show all").click()
        assert len(shown(page, rows)) == 4
        controls.get_by_label("Status").select_option("not-computed")
        assert shown(page, rows) == ["deep"]


def numbers(page: Page) -> list[str]:
    """Numbers of the filters in the grid that are not filtered out, in order."""
    return page.locator(".tiles > li").evaluate_all("all => all.filter(x => !x.hidden).map(x => x.dataset.index)")


def seen_cards(page: Page) -> list[str]:
    """Ids of the cards that are displayed."""
    return page.locator(".card").evaluate_all("all => all.filter(x => x.checkVisibility()).map(x => x.id)")


def chosen(page: Page) -> str | None:
    """Number of the tile that is marked as current, which alone is a stop of the Tab key."""
    (tile,) = page.locator(".tiles a[tabindex='0']").all()
    assert tile.get_attribute("aria-current") == "true"
    return tile.locator("xpath=..").get_attribute("data-index")


def test_filters_are_filtered_by_verdict_and_ordered_by_activation(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "point")) as (page, _):
        controls = page.locator(".controls")
        assert numbers(page) == ["0", "1", "2", "3"]
        controls.get_by_label("Sort by").select_option("activation up")
        assert numbers(page) == ["1", "2", "0", "3"]  # 0, 1.5, 3 and not a number
        controls.get_by_label("Sort by").select_option("activation down")
        assert numbers(page) == ["0", "2", "1", "3"]
        controls.get_by_label("Sort by").select_option("gain up")
        assert numbers(page) == ["2", "1", "0", "3"]
        controls.get_by_label("Status").select_option("weak")
        assert numbers(page) == ["2"]
        assert seen_cards(page) == ["f002"], "the details are of what is shown"
        page.evaluate("location.hash = '#f000'")
        page.locator("#f000").wait_for(state="visible")
        assert len(numbers(page)) == 4, "a link to what is filtered out shows it"
        assert seen_cards(page) == ["f000"]


def test_one_filter_is_chosen_by_address_by_click_and_by_keyboard(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep"), fragment="#f005") as (page, seen):
        assert (seen_cards(page), chosen(page)) == (["f005"], "5")
        page.locator(".tiles a").nth(3).click()
        assert (seen_cards(page), chosen(page)) == (["f015"], "15")
        assert page.url.endswith("#f015")
        for key, number in (("ArrowRight", "20"), ("ArrowLeft", "15"), ("End", "65"), ("Home", "0")):
            page.keyboard.press(key)
            assert chosen(page) == number
            assert page.url.endswith(f"#f{int(number):03d}")
            assert page.evaluate("document.activeElement.hash") == f"#f{int(number):03d}"
        row = page.locator(".tiles > li").evaluate_all(
            "all => all.filter(x => x.offsetTop === all[0].offsetTop).length"
        )
        page.keyboard.press("ArrowDown")
        assert chosen(page) == str(5 * row)
        page.keyboard.press("ArrowUp")
        assert chosen(page) == "0"
        page.keyboard.press("ArrowLeft")
        assert chosen(page) == "0", "there is none before the first"
        assert seen.messages == []


def test_keys_that_a_field_or_the_page_needs_are_left_to_it(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep"), fragment="#f005") as (page, _):
        field = page.locator(".controls input")
        field.fill("5")
        for key in ("ArrowLeft", "ArrowRight", "Home", "End"):
            field.press(key)
        assert page.evaluate("document.activeElement.tagName") == "INPUT"
        assert chosen(page) == "5"
        page.locator("#f005 h3 a").focus()
        page.keyboard.press("End")
        assert chosen(page) == "5"
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.closest('.card').id") == "f015", (
            "the next that is found: of 5, 15, 25"
        )


def test_next_and_previous_pass_over_what_is_filtered_out_and_show_all_lists_the_rest(
    browser: Browser, folder: Path
) -> None:
    with opened(browser, page_of(folder, "point")) as (page, _):
        steps = page.get_by_role("group", name="Details")
        assert steps.get_by_role("button", name="Previous").is_disabled()
        steps.get_by_role("button", name="Next").click()
        assert chosen(page) == "1"
        page.locator(".controls select").first.select_option("ok")
        assert chosen(page) == "0"
        assert steps.get_by_role("button", name="Next").is_disabled()
        page.locator(".controls select").first.select_option("")
        page.locator(".controls select").last.select_option("activation up")
        steps.get_by_role("button", name="Show all").click()
        assert seen_cards(page) == ["f001", "f002", "f000", "f003"]
        page.locator(".controls select").first.select_option("weak")
        assert seen_cards(page) == ["f002"]
        steps.get_by_role("button", name="Show all").click()
        assert seen_cards(page) == ["f002"]


def test_of_thousands_of_filters_one_card_at_a_time_becomes_elements(
    browser: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_TILES", 3)
    monkeypatch.setattr(patterns, "SHEET_PATTERNS", 2)
    report_fixture.make(folder / "many", whole=True)
    assemble(folder / "many")
    path = page_of(folder / "many", "point")
    with opened(browser, path, fragment="#f002") as (page, seen):
        assert [card.get_attribute("id") for card in page.locator(".card").all()] == ["f002"]
        assert page.locator("#f002 image").first.get_attribute("href").endswith("patterns-2.png")
        page.keyboard.press("ArrowRight")
        assert [card.get_attribute("id") for card in page.locator(".card").all()] == ["f003"]
        page.get_by_role("button", name="Show all").click()
        assert seen_cards(page) == ["f000", "f001", "f002", "f003"]
        page.get_by_role("button", name="Show all").click()
        assert [card.get_attribute("id") for card in page.locator(".card").all()] == ["f003"]
        assert seen.messages == []
        assert violations(page, runOnly=RULES) == {}
    with opened(browser, path, java_script_enabled=False) as (page, _):
        assert seen_cards(page) == ["f000", "f001", "f002", "f003"]


def test_without_scripts_every_card_is_there_and_its_tile_leads_to_it(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep"), java_script_enabled=False) as (page, _):
        assert len(seen_cards(page)) == 14
        page.locator(".tiles a").nth(2).click()
        assert page.url.endswith("#f010")
        assert page.locator(".card:target").get_attribute("id") == "f010"


def test_targets_are_at_least_24_pixels_and_text_at_least_11(browser: Browser, folder: Path) -> None:
    for width in (360, 1280):
        with opened(browser, page_of(folder, "deep"), viewport={"width": width, "height": 800}) as (page, _):
            page.get_by_role("button", name="Show all").click()
            small = page.locator(".pagebar a, .tiles a, .steps button, .controls :is(input, select)").evaluate_all(
                "all => all.map(x => x.getBoundingClientRect()).filter(x => Math.min(x.width, x.height) < 24).length"
            )
            assert small == 0
            sizes = page.locator("main :is(p, small, span, td, th, dt, dd, h4, b)").evaluate_all(
                "all => all.filter(x => x.checkVisibility()).map(x => parseFloat(getComputedStyle(x).fontSize))"
            )
            assert min(sizes) >= 11


def test_a_picture_is_enlarged_by_keyboard_in_whole_steps_and_never_blurred(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep")) as (page, _):
        page.locator(".sheet summary").press("Enter")
        link = page.locator(".sheet .plate > a").first
        link.focus()
        page.keyboard.press("Enter")
        picture = page.locator(".zoom-stage > img")
        natural, before = picture.evaluate("x => x.naturalWidth"), picture.bounding_box()["width"]
        page.keyboard.press("+")
        after = picture.bounding_box()["width"]
        assert after > before
        assert after % natural == 0
        assert picture.evaluate("x => getComputedStyle(x).imageRendering") == "pixelated"
        assert "7 patterns" in page.locator("#zoom-title").text_content()
        assert "per row" in page.locator("#zoom-title").text_content(), "the caption"
        page.keyboard.press("Escape")
        assert not page.locator("#zoom").is_visible()
        assert link.evaluate("x => x === document.activeElement"), "the focus returns to where it was"


def test_all_pictures_of_a_card_are_reached_from_one_button(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep"), has_touch=True) as (page, _):
        page.locator(".tiles a").nth(1).tap()
        page.get_by_role("button", name="Open viewer").tap()
        titles = [page.locator("#zoom-title").text_content()]
        while page.locator("#zoom [data-zoom=next]").is_enabled():
            page.locator("#zoom [data-zoom=next]").tap()
            titles.append(page.locator("#zoom-title").text_content())
        assert titles[0] == "Pattern of filter 5"
        assert titles[1] == "Minimal pattern of filter 5"
        assert titles[-1] == "Map of filter 5 on plain.png"
        page.keyboard.press("PageUp")
        assert page.locator("#zoom-title").text_content() == titles[-2]
        page.locator("#zoom").get_by_role("button", name="Close").tap()
        assert not page.locator("#zoom").is_visible()


def test_in_one_file_links_between_pages_cards_and_pictures_work(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "one")) as (page, seen):
        page.locator("#layer-rows a", has_text="deep").first.click()
        assert page.url.endswith("#layers/deep")
        page.evaluate("location.hash = '#layers/deep/f005'")
        page.locator("[id='layers/deep/f005']").wait_for(state="visible")
        assert [card for card in seen_cards(page) if card.startswith("layers/deep/")] == ["layers/deep/f005"]
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.hash") == "#layers/deep/f010"
        page.locator("[id='layers/deep/patterns'] ~ .sheet summary").click()
        plate = page.locator("[id='layers/deep/patterns'] ~ .sheet .plate > a").first
        plate.focus()
        page.keyboard.press("Enter")
        picture = page.locator(".zoom-stage > svg")
        assert picture.bounding_box()["width"] > 100
        assert "7 patterns" in page.locator("#zoom-title").text_content()
        assert seen.messages == []


def test_without_scripts_a_picture_leads_to_its_file(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "deep"), java_script_enabled=False) as (page, _):
        page.locator(".sheet summary").press("Enter")
        page.locator(".sheet .plate > a").first.click()
        page.wait_for_url("**/figures/deep/patterns.png")


def test_a_page_remembers_nothing(browser: Browser, folder: Path) -> None:
    with opened(browser, page_of(folder, "point")) as (page, _):
        page.locator(".controls select").first.select_option("ok")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        assert len(numbers(page)) == 4


def test_bars_of_charts_are_on_paper_too(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "index.html") as (page, _):
        page.emulate_media(media="print")
        bars = page.locator(".depth rect.bar, .predictions rect.bar")
        assert bars.count() > 5
        assert all(bar.bounding_box() is not None for bar in bars.all())
