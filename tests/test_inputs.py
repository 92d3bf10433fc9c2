"""Class names are read from every form that they commonly come in, and must be as many as the model's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from reportgen.core.errors import UsageError
from reportgen.inputs.classes_file import read_classes


@pytest.mark.parametrize(
    "text",
    [
        "cat\n dog \n\nhen\n",
        '["cat", "dog", "hen"]',
        '{"2": "hen", "0": "cat", "1": "dog"}',
        '{"0": ["n01", "cat"], "1": ["n02", "dog"], "2": ["n03", "hen"]}',
        '{"dog": 1, "cat": 0, "hen": 2}',
    ],
    ids=["lines", "list", "numbers", "imagenet", "generator"],
)
def test_names_are_read_in_the_order_of_their_classes(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text)
    assert read_classes(str(tmp_path / "names"), 3) == ("cat", "dog", "hen")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"1": "cat", "2": "dog"}', "has no class 0; its classes must be numbered from 0 to 1"),
        ('{"cat": 0, "dog": 2}', "has no class 1"),
        ('{"0": 1.5, "1": "dog"}', "contains something other than names"),
        ('{"0": [], "1": "dog"}', "contains something other than names"),
        ('["cat", 3]', "contains something other than names"),
        ('{"0": "cat"', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("cat\ndog\nhen", "names 3 classes, the model has 2"),
        ('{"0": "cat"}', "names 1 class, the model has 2"),
    ],
)
def test_names_that_do_not_fit_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(UsageError, match=f"^--classes names.json {words}") as caught:
        read_classes(str(tmp_path / "names.json"), 2)
    assert "\n" not in str(caught.value)
