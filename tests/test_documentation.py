"""What the documentation shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


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
