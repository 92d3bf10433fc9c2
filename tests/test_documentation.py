"""What the documentation shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.cli.reference import reference
from reportgen.core.settings import OPTIONS

ROOT = Path(__file__).parent.parent


OTHERS = {"--help", "--help-all", "--version", "--accent"}  # click's own, and a variable of the style
OF_SCHEDULERS = {
    *("--array", "--cpus-per-task", "--dependency", "--parsable", "--wrap", "--cores"),
    *("--nthreads", "--port", "--lifetime", "--lifetime-stagger"),
}
DOCUMENTS = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_list_of_options_is_that_of_the_table() -> None:
    stored = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert stored == reference(), "stale: python -m reportgen.cli.reference > docs/cli.md"


def test_every_option_and_exit_code_has_a_line_in_the_list() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for one in OPTIONS:
        assert len(re.findall(rf"^\|.*`{one.flag}[ `].*\|.*{re.escape(one.help)}", text, re.MULTILINE)) == 1, one.flag
    for code in (0, 1, 2, 3, 130):
        assert f"\n| {code} | " in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_an_option_that_is_not_there(name: str) -> None:
    known = (
        {one.flag for one in OPTIONS}
        | {f"--no-{one.flag[2:]}" for one in OPTIONS if one.negatable}
        | OTHERS
        | OF_SCHEDULERS
    )
    text = (ROOT / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known


def test_the_example_of_the_first_page_writes_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    (example,) = examples("README.md")
    assert 'quality="draft"' in example
    exec(example.replace('quality="draft"', 'quality="draft", steps=2, layers="conv1"'), {})
    assert (tmp_path / "report" / "index.html").is_file()
    assert capsys.readouterr().out == "report/index.html ()\n"


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
