"""The recipes of the documentation run as they stand there, as far as they can without the service that they are for."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import report_fixture
import reportgen
from reportgen.cli.main import main
from reportgen.core.commands import Command
from reportgen.core.errors import EXIT_GATE
from reportgen.core.store import Store
from reportgen.gates.judging import read_gates
from reportgen.report.assemble import assemble

ROOT = Path(__file__).parent.parent
RECIPES = (ROOT / "docs" / "recipes.md").read_text("utf-8")
SETTINGS = '[tool.reportgen]\nquality = "draft"\nfilters = "2"\nsteps = 1\nlayers = ["conv1"]\n'


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", RECIPES, re.DOTALL)


def documents() -> tuple[Any, Any, Any]:
    """The workflow of GitHub, the pipeline of GitLab, and the stage of DVC."""
    yaml = pytest.importorskip("yaml")
    github, gitlab, dvc = (yaml.safe_load(block) for block in blocks("yaml")[:3])
    return github, gitlab, dvc


def lines() -> dict[str, list[str]]:
    """The commands of each recipe."""
    github, gitlab, dvc = documents()
    steps = [step.get("run", "") for step in github["jobs"]["report"]["steps"]]
    (rule,) = blocks("make")
    return {
        "github": [line for step in steps for line in step.splitlines()],
        "gitlab": gitlab["report"]["script"],
        "dvc": dvc["stages"]["report"]["cmd"],
        "make": [line.replace("$@", "report.zip").strip() for line in rule.splitlines()[1:]],
    }


def ours(recipe: str) -> list[list[str]]:
    """The commands of a recipe that call reportgen, as their arguments."""
    return [shlex.split(line)[1:] for line in lines()[recipe] if line.startswith("reportgen ")]


@pytest.fixture(scope="module")
def project(whole_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model, photographs, a statement, and a report as a job before has left it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copyfile(ROOT / "sample_models" / "galaxies.keras", folder / "model.keras")
    (folder / "photos").mkdir()
    for name in ("spiral", "elliptical"):
        (picture,) = (ROOT / "sample_models" / "galaxies").glob(f"{name}.*")
        shutil.copy(picture, folder / "photos")
    (folder / "statement.toml").write_text('name = "A model"\nversion = "1.0"\n')
    (folder / "pyproject.toml").write_text(SETTINGS)
    shutil.copytree(whole_report, folder / "report")
    return folder


@pytest.mark.parametrize("recipe", ["github", "gitlab", "dvc", "make"])
def test_commands_of_a_job_can_be_run_and_pass_the_archive_on(project: Path, recipe: str) -> None:
    commands = ours(recipe)
    assert [command[0] for command in commands][:2] == ["build", "archive"]
    (project / "report.zip").unlink(missing_ok=True)
    with contextlib.chdir(project):
        for name, *arguments in commands:
            command = main.commands[name]
            command.make_context(name, list(arguments), parent=click.Context(main))  # refuses what it does not know
            if name != "build":
                done = CliRunner().invoke(main, [name, *arguments])
                assert done.exit_code == 0, done.output
    assert reportgen.open(project / "report.zip").layers


def test_a_release_gets_the_archive() -> None:
    github, gitlab, dvc = documents()
    assert github[True] == {"release": {"types": ["published"]}}  # YAML reads `on` as true
    assert github["jobs"]["report"]["permissions"] == {"contents": "write"}
    assert lines()["github"][-1].endswith("report.zip")
    (link,) = gitlab["release"]["release"]["assets"]["links"]
    assert gitlab["report"]["variables"]["ARCHIVE"] == link["url"]
    assert '-T report.zip "$ARCHIVE"' in gitlab["report"]["script"][-1]
    assert set(gitlab["stages"]) == {gitlab[job]["stage"] for job in ("report", "release")}
    assert {"report.zip"} <= {out for out in dvc["stages"]["report"]["outs"] if isinstance(out, str)}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_the_rule_of_make_builds_an_archive_once(project: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "statement.toml", "pyproject.toml"):
        shutil.copy(project / name, tmp_path)
    shutil.copytree(project / "photos", tmp_path / "photos")
    (tmp_path / "Makefile").write_text(blocks("make")[0])
    command = tmp_path / "bin" / "reportgen"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m reportgen "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def make() -> str:
        done = subprocess.run(["make", "report.zip"], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "reportgen build" in make()
    archive = (tmp_path / "report.zip").read_bytes()
    assert "up to date" in make()
    (tmp_path / "model.keras").touch()
    assert "reportgen build" in make()
    assert (tmp_path / "report.zip").read_bytes() == archive


def example(module: str) -> str:
    (code,) = (block for block in blocks("python") if module in block)
    return code


def archived(project: Path) -> None:
    done = CliRunner().invoke(main, ["archive", str(project / "report"), "-o", str(project / "report.zip"), "--force"])
    assert done.exit_code == 0, done.output


def test_the_report_is_logged_to_mlflow(project: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    archived(project)
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    with contextlib.chdir(project):
        exec(example("mlflow"), {})
        run = mlflow.last_active_run()
    assert run.data.metrics["filters/silent"] == reportgen.open(project / "report").verdicts["silent"]
    assert run.data.tags["weights_sha256"] == reportgen.open(project / "report").model.weights_sha256
    kept = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
    assert {item.path for item in kept} >= {"report", "report.zip", "patterns"}


@pytest.mark.slow
def test_the_report_is_shown_by_tensorboard(project: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    archived(project)
    with contextlib.chdir(project):
        exec(example("tf.summary"), {})
    events = EventAccumulator(str(project / "logs" / "report"), size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    assert {"deep/patterns", "filters/silent"} <= tags
    assert any(tag.endswith("/kernel") for tag in tags)


def gated() -> list[list[str]]:
    """The commands of the workflow that gates a pull request, as their arguments."""
    workflow = pytest.importorskip("yaml").safe_load(blocks("yaml")[3])
    steps = [step.get("run", "") for step in workflow["jobs"]["gates"]["steps"]]
    return [shlex.split(step)[1:] for step in steps if step.startswith("reportgen ")]


def test_the_workflow_that_gates_a_pull_request_lets_the_same_model_pass_and_stops_another(
    project: Path, tmp_path: Path
) -> None:
    (build, compare) = gated()
    main.commands["build"].make_context("build", build[1:], parent=click.Context(main))
    read_gates([build[at + 1] for at, word in enumerate(build) if word == "--fail-on"], Command.BUILD)
    shutil.copytree(project / "report", tmp_path / "report")
    shutil.copyfile(project / "pyproject.toml", tmp_path / "pyproject.toml")
    report_fixture.make(tmp_path / "report", missing=False, whole=True)
    assemble(tmp_path / "report")
    compare = [word.replace("(conv1)", "(point)") for word in compare]
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, ["archive", "report", "-o", "released.zip"])
        assert done.exit_code == 0, done.stderr
        done = CliRunner().invoke(main, compare)
        assert (done.exit_code, done.stdout) == (0, "compared/index.html\n"), done.stderr
        store = Store(tmp_path / "report")
        arrays, facts = store.load("ww-point")
        store.save("ww-point", {**arrays, "kernel": arrays["kernel"] * 1.5}, facts)
        assemble(tmp_path / "report")
        done = CliRunner().invoke(main, compare)
        assert done.exit_code == EXIT_GATE
        assert "::error title=Gate failed%3A weight_change(point) > 0.2::" in done.stderr
        assert 'failures="1"' in Path("compare.xml").read_text()


@pytest.mark.slow
def test_the_workflow_that_gates_a_pull_request_builds(project: Path) -> None:
    with contextlib.chdir(project):
        done = CliRunner().invoke(main, [*gated()[0], "--force"])
    assert done.exit_code in (0, EXIT_GATE), done.stderr
    assert (project / "build.xml").is_file()


def test_the_list_of_gates_in_a_settings_file_is_one_of_both_commands(whole_report: Path, tmp_path: Path) -> None:
    (settings,) = (block for block in blocks("toml") if "fail-on" in block)
    (tmp_path / "pyproject.toml").write_text(settings)
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, ["verify", str(whole_report), "-q"])
    assert done.exit_code == EXIT_GATE, "a layer of this report has failed"
    assert done.stderr.count("of the settings file is not for verify, and is not judged.") == 2
