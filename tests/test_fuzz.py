"""A fixed set of damaged files, each of which must be read or refused with one sentence; `python tests/fuzz.py` tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

import fuzz
from model_files import H5_WARNING

CASES = 40


@pytest.mark.filterwarnings(H5_WARNING)
def test_damaged_files_are_read_or_refused_with_one_sentence(tmp_path: Path) -> None:
    seeds = fuzz.make_seeds()
    outcomes = [(number, *fuzz.outcome(number, seed=5, seeds=seeds, folder=tmp_path)) for number in range(1, CASES + 1)]
    assert [line for line in outcomes if line[-1].startswith("FOUND")] == []
    assert {line[-1] for line in outcomes} == {"read", "refused"}
    assert len({line[1] for line in outcomes}) > len(seeds) / 2, "most kinds of files are among them"


def test_what_is_no_sentence_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above could not fail otherwise."""

    def broken(path: Path, whole: Path, walked: bool) -> None:
        raise KeyError(path.name)

    monkeypatch.setattr(fuzz, "hand_over", broken)
    monkeypatch.setattr(fuzz, "case", lambda number, seed, seeds: ("picture.png", "none", b"picture"))
    assert fuzz.outcome(0, 0, {"model.keras": b"model"}, tmp_path)[-1].startswith("FOUND: KeyError")
    assert fuzz._judged("two\nlines", True, tmp_path).startswith("FOUND")
    assert fuzz._judged("a sentence of another exit code.", False, tmp_path).startswith("FOUND")
    assert fuzz._judged(f"{tmp_path}/picture.png is damaged.", True, tmp_path).startswith("FOUND")
    assert fuzz._judged("picture.png is damaged.", True, tmp_path) == "refused"
