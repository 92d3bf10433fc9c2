"""Fixtures that several modules of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

import report_fixture
from reportgen.report.assemble import assemble
from sample_build import draw


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
