"""A look of the user's own, as docs/look.md describes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import report_fixture
from page_parser import parse
from reportgen.cli.main import main
from reportgen.report.theme import templates_folder

LOOK = Path(__file__).parent.parent / "docs" / "look.md"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report_fixture.make(folder, missing=False)
    return folder


def example(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", LOOK.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


def assembled(report: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["assemble", str(report), *options])


@pytest.mark.parametrize("form", ["--no-single-file", "--single-file"])
def test_the_examples_of_the_documentation_change_the_pages(report: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "house.css").write_text(example("css"))
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "base.html").write_text(example("html"))
    result = assembled(report, form, "--css", str(tmp_path / "house.css"), "--template", str(tmp_path / "house"))
    assert result.exit_code == 3, result.output  # the fixture has patterns that are not finite
    page = parse(report / "index.html")
    assert "Filed by the imaging group. Made by reportgen" in page.words
    (styled,) = (report / "assets").glob("*.css") if form == "--no-single-file" else [report / "index.html"]
    assert "--accent: #7a1f5c" in styled.read_text()
    assert "--accent: #1c4e89" in styled.read_text(), "ours is still there"
    assert "css house.css" in page.words
    assert "template house" in page.words


def test_without_the_options_the_look_is_ours_again(report: Path, tmp_path: Path) -> None:
    (tmp_path / "house.css").write_text("body { color: red; }")
    assembled(report)
    before = (report / "index.html").read_bytes()
    assembled(report, "--css", str(tmp_path / "house.css"))
    assert (report / "index.html").read_bytes() != before
    assembled(report)
    assert (report / "index.html").read_bytes() == before


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"layer.html": "{% if %}"}, "the template layer.html, line 1 cannot be used"),
        ({"index.html": "{{ view.nothing }}"}, "the template index.html cannot be used: .*nothing"),
        ({"index.html": "{% extends 'missing.html' %}"}, "missing.html"),
        ({"pages.html": "a"}, "holds no template of a report; the names are assets/report.js, .*base.html"),
        ({}, "holds no template"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_sentence(
    report: Path, tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    result = assembled(report, "--template", str(tmp_path))
    assert result.exit_code == 2
    assert re.search(words, result.stderr)
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_style_or_a_folder_that_is_not_there_is_one_sentence(report: Path, tmp_path: Path) -> None:
    for option in ("--css", "--template"):
        result = assembled(report, option, str(tmp_path / "nowhere"))
        assert result.exit_code == 2
        assert option in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{% endif %}", "the template layer.html, line 1"),
        (
            "{% if view.cards %}{{ view.nothing }}{% endif %}",
            "the template layer.html cannot be used: a page has no view.nothing.",
        ),
        ("{{ page.nothing.more }}", "a page has no page.nothing."),
    ],
)
def test_a_bad_template_is_told_before_anything_is_computed(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "layer.html").write_text(text)
    output = tmp_path / "out"
    command = ["build", "no.keras", "--template", str(tmp_path), "-o", str(output)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not output.exists()


def test_a_template_may_ask_whether_a_field_is_there(report: Path, tmp_path: Path) -> None:
    text = "{% for view in [] %}{{ view.mine }}{% endfor %}"
    (tmp_path / "index.html").write_text("{% if view.later is defined %}later{% else %}now{% endif %}")
    (tmp_path / "macros.html").write_text((templates_folder() / "macros.html").read_text() + text)
    assert assembled(report, "--template", str(tmp_path)).exit_code == 3
    assert parse(report / "index.html").words == "now"
