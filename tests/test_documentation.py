"""What the documentation shows works as it stands there."""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.cli.reference import reference
from reportgen.core import __version__
from reportgen.core.options import Group
from reportgen.core.run_options import OPTIONS

ROOT = Path(__file__).parent.parent


OF_SOME_LAYERS_ONLY = "Layers not covered"  # the pictures show a report of all layers
OTHERS = {"--help", "--help-all", "--version", "--accent"}  # click's own, and a variable of the style
OF_SCHEDULERS = {
    *("--array", "--cpus-per-task", "--dependency", "--parsable", "--wrap", "--cores"),
    *("--nthreads", "--port", "--lifetime", "--lifetime-stagger"),
}
OF_SIGNERS = {"--armor", "--detach-sign", "--private"}  # the last of `--private_key`
DOCUMENTS = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_list_of_options_is_that_of_the_table() -> None:
    stored = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert stored == reference(), "stale: python -m reportgen.cli.reference > docs/cli.md"


def test_every_option_and_exit_code_has_a_line_in_the_list() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for one in OPTIONS:  # some commands have an option of the same flag and sense, each with a default of its own
        rows = re.findall(rf"^\|.*`{one.flag}[ `].*\|.*{re.escape(one.help)}", text, re.MULTILINE)
        assert len(rows) == sum((other.flag, other.help) == (one.flag, one.help) for other in OPTIONS), one.flag
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert f"\n| {code} | " in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_an_option_that_is_not_there(name: str) -> None:
    known = (
        {one.flag for one in OPTIONS}
        | {f"--no-{one.flag[2:]}" for one in OPTIONS if one.negatable}
        | OTHERS
        | OF_SCHEDULERS
        | OF_SIGNERS
    )
    text = (ROOT / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report of the README's example, smaller than it stands there, and what the example prints."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    (code,) = examples("README.md")
    assert 'quality="draft"' in code
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(code.replace('quality="draft"', 'quality="draft", steps=1, method="keras-io", layers="conv[12]"'), {})
    return folder / "report", printed.getvalue()


def test_the_example_of_the_first_page_writes_a_report(example: tuple[Path, str]) -> None:
    report, printed = example
    assert (report / "index.html").is_file()
    assert printed == "report/index.html ()\n"


@pytest.mark.parametrize(("picture", "page"), [("index.png", "index.html"), ("layer.png", "layers/conv1.html")])
def test_the_pictures_of_the_first_page_show_what_a_report_is_today(
    example: tuple[Path, str], picture: str, page: str
) -> None:
    pictured = json.loads((ROOT / "docs" / "images" / "headings.json").read_text(encoding="utf-8"))[picture]
    text = (example[0] / page).read_text(encoding="utf-8")
    found = [
        " ".join(html.unescape(re.sub(r"<[^>]*>", "", heading)).split())
        for heading in re.findall(r"<h2\b.*?</h2>", text, re.DOTALL)
    ]
    assert [heading for heading in found if heading != OF_SOME_LAYERS_ONLY] == pictured, "stale: make pictures"


def test_every_picture_is_shown_somewhere_and_every_picture_shown_is_there() -> None:
    shown: set[Path] = set()
    for name in DOCUMENTS:
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            shown.add((ROOT / name).parent.joinpath(target).resolve())
    there = {path for path in (ROOT / "docs" / "images").rglob("*") if path.suffix in (".png", ".jpg")}
    assert shown == there
    assert sum(path.stat().st_size for path in there) < 1_500_000


def test_every_link_between_documents_leads_somewhere() -> None:
    for name in (*DOCUMENTS, "CONTRIBUTING.md", "docs/images/README.md", "sample_models/README.md"):
        place, text = ROOT / name, (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            file = place if not path else place.parent / path
            assert file.exists(), f"{name}: {target}"
            if anchor:
                anchors = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in anchors}
                assert anchor in slugs, f"{name}: {target}"


def test_no_text_installs_the_project_that_has_our_name_on_pypi() -> None:
    texts = [*DOCUMENTS, *(str(path.relative_to(ROOT)) for path in (ROOT / "reportgen").rglob("*.py"))]
    wrong = [
        name for name in texts if re.search(r"pip install '?reportgen\[", (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_the_options_that_the_first_page_names_as_most_used_are_those_of_help() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("Five options")[2].partition("\n\n`")[0]
    named = re.findall(r"^\| `(-\S+)", table, re.MULTILINE)
    first = [one for one in OPTIONS if one.group == Group.FIRST]
    assert {one.short or one.flag for one in first} == set(named)
    assert len(named) == 5


def test_the_citation_is_of_this_version_and_has_what_its_format_asks_for() -> None:
    cited = pytest.importorskip("yaml").safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited), "the keys that CFF 1.2.0 requires"
    assert (cited["cff-version"], cited["version"], cited["license"]) == ("1.2.0", __version__, "Apache-2.0")
    assert cited["type"] in ("software", "dataset")
    assert all(set(author) in ({"name"}, {"family-names", "given-names"}) for author in cited["authors"])


BRITISH = re.compile(
    r"\b(colour|grey|licence|labelled|behaviour|neighbour|centre|artefact|analyse|catalogue|favour"
    r"|[a-z]+(?:al|ard|im|tim|er|ter|gn|ular|nd|rit)is(?:e|ed|es|ing|ation|ations))(s|ed|ing)?\b",
    re.IGNORECASE,
)
NO_VERBS = {"exercise", "otherwise", "likewise", "precise", "noise", "raise", "rise", "wise", "advise", "promise"}
AS_IT_IS = {"docs/cli.md": {"grey"}, "docs/architecture.md": {"artefact", "artefacts"}}  # a value, and a package's name


@pytest.mark.parametrize("name", [*DOCUMENTS, "CONTRIBUTING.md", "docs/images/README.md", "sample_models/README.md"])
def test_documents_have_american_spelling(name: str) -> None:
    text = re.sub(r"https?://\S+|`[^`]*`|\]\([^)]*\)", " ", (ROOT / name).read_text(encoding="utf-8"))
    found = {match.group().lower() for match in BRITISH.finditer(text)} - NO_VERBS
    assert found <= AS_IT_IS.get(name, set())


@pytest.mark.slow
def test_the_examples_of_patterns_run_and_give_what_they_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    by_name, together, own = examples("docs/patterns.md")
    names: dict[str, Any] = {}
    exec(by_name, names)
    assert names["found"].images.shape[0] == 3
    assert names["found"].images.dtype == np.uint8
    assert [record["index"] for record in names["found"].records] == [0, 5, 7]
    assert len(capsys.readouterr().out.splitlines()) == 4
    exec(together, names)
    exec(own, names)
    for name in ("together", "smooth", "own"):
        assert names[name].images.std() > 10, "an optimized picture is no longer faint"
