"""Fixtures that several modules of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

import report_fixture
from reportgen.report.assemble import assemble
from sample_build import draw

LONGEST = (  # modules that take most of a minute and more: first, so that at the end no process is left alone with one
    "test_real_network",
    "test_ascent",
    "test_browser",
    "test_package",
    "test_applications",
    "test_build",
    "test_archive",
    "test_survival",
    "test_executors",
    "test_recipes",
    "test_first_layers",
    "test_planted_patterns",
    "test_callback",
    "test_composition",
    "test_build_models",
    "test_report_size",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An image file of its own for each test."""
    return draw(tmp_path / "picture.png")


@pytest.fixture(scope="session")
def whole_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every artefact, of which two chunks of patterns are missing; to be read, not changed."""
    folder = tmp_path_factory.mktemp("whole") / "report"
    report_fixture.make(folder, negative=True, outputs=True, whole=True)
    assemble(folder)
    return folder
