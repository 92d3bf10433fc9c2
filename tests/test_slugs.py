"""Slugs are safe in files, addresses and anchors whatever the names are."""

from __future__ import annotations

import re

from reportgen.core.slugs import unique_slugs

SAFE = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
HOSTILE = [
    "backbone/block1_conv1", "backbone_block1_conv1", "backbone-block1_conv1", "backbone-block1_conv1-2", "conv@2",
    "conv-2", "conv", "conv", "conv", "conv/3", "Conv", "../../etc/passwd", "..\\..\\x", "<script>alert(1)</script>",
    "🙂", "🙃", "", "-", "---a", "a---", "unnamed", "unnamed-2", "é", "e", "日本", "a b", "a\tb", "a\x00b", "a\u202eb",
    "x" * 300, "x" * 301, "x" * 64, "x" * 62 + "-2", "y/" * 150, "con", "CON", "aux", "aux-2", "nul", "lpt1", "%2e%2e",
]  # fmt: skip


def test_hostile_names_get_safe_slugs_no_two_the_same() -> None:
    slugs = unique_slugs(HOSTILE)
    assert len(slugs) == len(HOSTILE)
    assert len(set(slugs)) == len(slugs)
    assert [slug for slug in slugs if not SAFE.fullmatch(slug)] == []


def test_no_slug_is_a_windows_device() -> None:
    assert not {"con", "prn", "aux", "nul", "com1", "lpt9"} & set(unique_slugs([*HOSTILE, "com1", "lpt9", "prn"]))


def test_a_name_that_already_looks_suffixed_keeps_its_slug() -> None:
    assert unique_slugs(["a/b", "a-b", "a-b-2", "a.b"]) == ["a-b", "a-b-3", "a-b-2", "a-b-4"]


def test_ordinary_paths_stay_readable() -> None:
    assert unique_slugs(["backbone/block1_conv1", "head@2", "Émile"]) == ["backbone-block1_conv1", "head-2", "emile"]


def test_the_end_of_a_long_path_is_kept() -> None:
    assert unique_slugs(["stage/" * 40 + "conv7"])[0].endswith("-stage-conv7")


def test_thousands_of_equal_names_stay_unique_within_the_length() -> None:
    slugs = unique_slugs(["z" * 80] * 3000)
    assert len(set(slugs)) == 3000
    assert max(map(len, slugs)) == 64


def test_no_names_give_no_slugs() -> None:
    assert unique_slugs([]) == []
