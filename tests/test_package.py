"""What is published is what is tested: wheel and source distribution, each installed where there is nothing but what it asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from reportgen.core import DISTRIBUTION, __version__

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_models"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = ("requirements.lock", "requirements-dev.lock")


def pins(name: str) -> dict[str, set[Version]]:
    """The versions of a lock file by name: several where they differ with the version of Python."""
    found: dict[str, set[Version]] = {}
    text = (ROOT / name).read_text(encoding="utf-8")
    for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


def test_the_distribution_has_the_name_that_messages_and_lock_files_state() -> None:
    assert PROJECT["project"]["name"] == DISTRIBUTION != "reportgen"
    assert f"# via {DISTRIBUTION} (pyproject.toml)" in re.sub(
        r"# via\n +#   ", "# via ", (ROOT / "requirements.lock").read_text()
    )


@pytest.mark.parametrize("name", PINS)
def test_a_lock_file_has_what_the_project_asks_for(name: str) -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    if "dev" in name:
        wanted += PROJECT["dependency-groups"]["dev"]
    locked = pins(name)
    for requirement in map(Requirement, wanted):
        versions = locked[canonicalize_name(requirement.name)]
        assert all(version in requirement.specifier for version in versions), f"stale: make lock ({requirement})"


def test_both_lock_files_pin_the_same_versions() -> None:
    run, development = map(pins, PINS)
    assert {name: development[name] for name in run} == run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of this checkout, its source distribution, and the wheel that is built from that."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    subprocess.run([*build, "--sdist", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    subprocess.run([*build, "--wheel", "--outdir", folder / "second", unpacked], check=True, capture_output=True)
    wheels = {"wheel": folder.glob("*.whl"), "from the source": (folder / "second").glob("*.whl")}
    return {"source": source, "unpacked": unpacked, **{name: next(found) for name, found in wheels.items()}}


@pytest.mark.slow
def test_the_wheel_holds_the_templates_the_schema_and_the_types(built: dict[str, Path]) -> None:
    names = zipfile.ZipFile(built["wheel"]).namelist()
    assert "reportgen/py.typed" in names
    assert "reportgen/report/report.schema.json" in names
    for path in (ROOT / "templates").rglob("*"):
        if path.is_file():
            assert f"reportgen/templates/{path.relative_to(ROOT / 'templates').as_posix()}" in names


@pytest.mark.slow
def test_the_source_distribution_has_what_the_first_commands_need(built: dict[str, Path]) -> None:
    for name in ("Makefile", *PINS, "LICENSE", "CITATION.cff", "README.md", "sample_models/galaxies.keras"):
        assert (built["unpacked"] / name).is_file(), name
    assert not [path for path in built["unpacked"].rglob("*") if path.name in (".venv", "__pycache__", "reports")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "from the source"])
def test_metadata_of_what_is_published_is_valid(built: dict[str, Path], kind: str) -> None:
    with zipfile.ZipFile(built[kind]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        stated = archive.read(name)
    metadata = Metadata.from_email(stated, validate=True)  # raises where an index would refuse it
    assert (metadata.name, metadata.version) == (DISTRIBUTION, Version(__version__))
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")
    assert stated == (built["unpacked"] / "PKG-INFO").read_bytes()
    assert {one.name for one in metadata.requires_dist or []} >= {"tensorflow", "keras", "distributed"}


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """What a plain installation of `requirements` brings, of what is installed here."""
    found: dict[str, Distribution] = {}
    left = [Requirement(one) for one in requirements]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        extras = ["", *wanted.extras]
        if name in found or not (
            wanted.marker is None or any(wanted.marker.evaluate({"extra": one}) for one in extras)
        ):
            continue
        found[name] = distribution(name)
        left += [
            one
            for one in map(Requirement, found[name].requires or [])
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return found


def empty_environment(folder: Path) -> Path:
    """An environment that has, as links, what the project asks for and nothing else of what is installed here; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for one in closure(PROJECT["project"]["dependencies"]).values():
        for top in {file.parts[0] for file in one.files or [] if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(one.locate_file(top))))
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "from the source"])
def test_what_is_published_makes_the_first_report_in_an_empty_environment(
    built: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    python = empty_environment(tmp_path / "environment")
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python]
    subprocess.run([*pip, "install", "--no-index", built[kind]], check=True, capture_output=True)  # nothing is lacking
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    (tmp_path / "empty").mkdir()
    command = [python.parent / "reportgen", "build", SAMPLES / "galaxies.keras", "-i", SAMPLES / "galaxies"]
    done = subprocess.run(
        [*command, "--filters", "2", "--steps", "2", "--layers", "conv1"],
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path("reports") / "galaxies" / "index.html")
    assert (tmp_path / "empty" / done.stdout.strip()).is_file()
    where = subprocess.run(
        [
            python,
            "-c",
            "import reportgen, importlib.util; print(reportgen.__file__, importlib.util.find_spec('pytest'))",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
        env=environment,
    )
    assert (
        where.stdout == f"{next(python.parent.parent.glob('lib/python*/site-packages'))}/reportgen/__init__.py None\n"
    )
