"""What is installed is what is tested: the built wheel makes a report in an empty folder, far from this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_models"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_templates_the_schema_and_the_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "reportgen/py.typed" in names
    assert "reportgen/report/report.schema.json" in names
    for path in (ROOT / "templates").rglob("*"):
        if path.is_file():
            assert f"reportgen/templates/{path.relative_to(ROOT / 'templates').as_posix()}" in names


@pytest.mark.slow
def test_the_installed_wheel_makes_a_report_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(installed)
    where = [sys.executable, "-c", "import reportgen; print(reportgen.__file__)"]
    found = subprocess.run(where, check=True, capture_output=True, text=True, cwd=empty, env=environment).stdout
    assert Path(found.strip()).is_relative_to(installed)
    build = [
        sys.executable,
        "-m",
        "reportgen",
        "build",
        str(SAMPLES / "galaxies.keras"),
        "--filters",
        "2",
        "--steps",
        "2",
    ]
    done = subprocess.run(build, capture_output=True, text=True, cwd=empty, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path("reports") / "galaxies" / "index.html")
    assert (empty / done.stdout.strip()).is_file()
