"""A report of one file: everything is in it, every link leads somewhere in it, and nothing stands in it twice."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import html5lib
import pytest

import report_fixture
from page_parser import Page, parse
from reportgen.report import single_file
from reportgen.report.assemble import assemble


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    report_fixture.make(folder, negative=True, outputs=True)
    assemble(folder)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    report_fixture.make(folder, negative=True, outputs=True)
    assemble(folder, drawing={"single_file": True})
    return folder


@pytest.fixture(scope="module")
def page(one: Path) -> Page:
    return parse(one / "index.html")


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".store" not in path.parts
    }


def test_one_file_holds_what_the_folder_has_in_pages_pictures_style_and_script(one: Path, folder: Path) -> None:
    beside = {name for name in files(folder) if not name.startswith(("layers/", "figures/", "assets/"))}
    assert files(one) == beside
    assert any(name.startswith("data/") for name in beside)


def test_it_says_every_word_that_the_folders_pages_say(page: Page, folder: Path) -> None:
    words = set(page.words.split())
    for path in (folder / "layers").iterdir():
        assert set(parse(path).words.split()) - {"–"} <= words  # the dash stands in the page's own title


def test_ids_are_unique_and_every_link_reference_and_picture_resolves(page: Page) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    for names in (("aria-labelledby", "for", "data-list"),):
        for value in page.attributes(*names):
            assert set(value.split()) <= set(ids)
    links = page.attributes("href", "src")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert {link.split(":")[0] for link in links if not link.startswith("#")} == {"data", "https"}
    assert "layers/deep/f015" in ids
    for value in page.attributes("fill"):
        if value.startswith("url("):
            assert value[5:-1] in ids


def test_no_picture_stands_in_it_twice_and_none_is_missing(page: Page, folder: Path) -> None:
    inside = [link for link in page.attributes("href", "src") if link.startswith("data:")]
    assert len(inside) == len(set(inside))
    shown = {"data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() for path in folder.rglob("*.png")}
    assert set(inside) == shown


def test_its_policy_names_its_style_and_script_by_their_hashes(one: Path, page: Page) -> None:
    (policy,) = [item.attributes["content"] for item in page.all("meta") if "http-equiv" in item.attributes]
    text = (one / "index.html").read_text()
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{rule} 'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}';" in policy
    assert "img-src data:;" in policy
    assert "unsafe" not in policy


def test_a_strict_parser_finds_no_error_in_it(one: Path) -> None:
    html5lib.HTMLParser(strict=True).parse((one / "index.html").read_bytes(), transport_encoding="utf-8")


def test_the_same_store_gives_the_same_bytes(one: Path) -> None:
    before = (one / "index.html").read_bytes()
    assemble(one, drawing={"single_file": True})
    assert (one / "index.html").read_bytes() == before


def test_a_folder_becomes_one_file_and_a_folder_again_without_leftovers(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    pages = files(tmp_path)
    assemble(tmp_path, drawing={"single_file": True})
    assert not (tmp_path / "layers").exists()
    assert not (tmp_path / "figures").exists()
    assemble(tmp_path, drawing={"single_file": False})
    assert files(tmp_path) == pages


def test_a_large_file_is_said_to_be_so_with_the_way_out() -> None:
    assert single_file.notes(single_file.LARGE) == ()
    (sentence,) = single_file.notes(26_200_000)
    assert "26.2 MB" in sentence
    assert "25.0 MB" in sentence
    assert "--no-single-file" in sentence
