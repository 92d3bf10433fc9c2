"""From model file to report by the command line: what is written, what is computed again, what Python finds."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from reportgen.compute.tasks import carry_out
from reportgen.core.errors import UsageError
from reportgen.core.progress import Progress
from reportgen.report.opened import Report
from sample_build import (
    BARE,
    ONE_LAYER,
    QUICK,
    ROOT,
    SAMPLES,
    SINGLE_ASCENT,
    build,
    contents,
    dates,
    draw,
    run,
    stored,
    told,
)

SHORT_NAME = 8  # characters: a host's name of so few may be a word of the report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "report"
    result = build(folder, "-i", SAMPLES / "galaxies", "--classes", SAMPLES / "galaxies_classes.txt")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder / 'index.html'}\n"
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one picture, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    assert build(folder / "report", "-i", draw(folder / "picture.png"), *SINGLE_ASCENT).exit_code == 0
    return folder / "report"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A report of `picture` that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "report"))


def test_a_build_writes_every_file_that_the_contract_names(report: Path) -> None:
    names = set(contents(report))
    for slug in ("conv1", "conv2"):
        assert f"layers/{slug}.html" in names
        assert {f"data/{slug}/{kind}.npz" for kind in ("weights", "patterns", "feature_maps")} <= names
        assert {f"figures/{slug}/{kind}.png" for kind in ("weights", "patterns")} <= names
        assert {f"figures/{slug}/feature_maps/spiral.png", f"figures/{slug}/feature_maps/spiral.pre.png"} <= names
    assert {"index.html", "report.json"} <= names
    assert (report / "run.json").is_file()


def test_report_json_fits_its_schema_and_states_the_run(report: Path) -> None:
    facts = json.loads((report / "report.json").read_bytes())
    jsonschema.validate(facts, json.loads((ROOT / "reportgen" / "report" / "report.schema.json").read_bytes()))
    rendered = [layer for layer in facts["layers"] if layer["status"] == "rendered"]
    assert [layer["path"] for layer in rendered] == ["conv1", "conv2"]
    assert [layer["path"] for layer in facts["layers"] if layer["status"] == "skipped"] == ["conv3", "conv4", "conv5"]
    assert facts["model"]["sha256"] == hashlib.sha256((SAMPLES / "galaxies.keras").read_bytes()).hexdigest()
    assert rendered[0]["filters_shown"] == [0, 8, 15]
    assert rendered[0]["patterns"]["natural_crops"] == 5 * 26
    verdicts = {item["verdict"] for layer in rendered for item in layer["patterns"]["filters"]}
    assert "ok" in verdicts
    assert verdicts <= {"ok", "weak"}, "the sample's filters are trained: none is dead or silent"
    assert all(item["restart_similarity"] is None for item in rendered[0]["patterns"]["filters"]), "of one start"
    spiral = next(image for image in facts["images"] if image["name"] == "spiral.png")
    assert spiral["predictions"][0]["label"] == "spiral"


def test_the_arrays_are_the_pixels_that_were_measured(report: Path) -> None:
    facts = json.loads((report / "report.json").read_bytes())
    layer = facts["layers"][1]
    with np.load(report / "data" / "conv2" / "patterns.npz") as arrays:
        assert arrays["images"].dtype == np.uint8
        assert arrays["images"].shape == (3, 64, 64, 1)
        assert arrays["indices"].tolist() == layer["filters_shown"]
        images = arrays["images"]
    import keras

    model = keras.saving.load_model(SAMPLES / "galaxies.keras", compile=False)
    reader = keras.Model(model.inputs[0], model.get_layer("conv2").output)
    maps = np.asarray(reader(images.astype(np.float32)))
    for row, entry in enumerate(layer["patterns"]["filters"]):
        own = maps[row, ..., entry["index"]]
        assert entry["activation"] == pytest.approx(own[2:-2, 2:-2].mean(), rel=1e-4, abs=1e-6)
        assert entry["peak"] == pytest.approx(own.max(), rel=1e-4, abs=1e-6)


def test_no_shown_map_has_a_position_above_the_natural_peak(report: Path) -> None:
    facts = json.loads((report / "report.json").read_bytes())
    for layer in facts["layers"][:2]:
        with np.load(report / "data" / layer["slug"] / "feature_maps.npz") as arrays:
            highest = np.max([arrays[name].max(axis=(0, 1)) for name in arrays], axis=0).astype(float)
        for entry in layer["patterns"]["filters"]:
            assert entry["natural_peak"] >= highest[entry["index"]] * (1 - 2**-10)  # maps are stored in half precision
            assert entry["natural_peak"] >= entry["natural_maximum"]


def test_the_same_command_again_computes_nothing_and_changes_no_byte(report: Path) -> None:
    before, tasks = contents(report), stored(report)
    assert build(report, "-i", SAMPLES / "galaxies", "--classes", SAMPLES / "galaxies_classes.txt").exit_code == 0
    assert stored(report) == tasks
    assert contents(report) == before


@pytest.mark.slow
def test_two_builds_in_two_folders_have_the_same_bytes(report: Path, tmp_path: Path) -> None:
    """In a process of its own, so that nothing is shared but the inputs."""
    other = tmp_path / "elsewhere"
    command = [sys.executable, "-m", "reportgen", "build", str(SAMPLES / "galaxies.keras"), "-o", str(other), *QUICK]
    command += ["-i", str(SAMPLES / "galaxies"), "--classes", str(SAMPLES / "galaxies_classes.txt")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=_environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{other / 'index.html'}\n"
    assert "tensorflow" not in done.stderr.lower()
    assert contents(other) == contents(report)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}


def test_no_file_names_a_path_the_machine_or_the_day(report: Path) -> None:
    written = datetime.fromtimestamp((report / "index.html").stat().st_mtime)
    words = {str(ROOT), str(report.parent), *dates(written), *dates(written.astimezone(UTC))}
    host = platform.node()
    assert told(report, words | ({host} if len(host) > SHORT_NAME else set())) == set()


def test_only_what_is_missing_is_computed_again(copied: Path, picture: Path) -> None:
    before, tasks = contents(copied), stored(copied)
    plan = json.loads((copied / ".store" / "plan.json").read_text())
    key = next(
        task["key"] for task in plan["tasks"] if task["kind"] == "natural"
    )  # whose arrays are in no file with others
    lost = next((copied / ".store").rglob(f"{key}.npz"))
    lost.write_bytes(lost.read_bytes()[:100])
    assert build(copied, "-i", picture, *SINGLE_ASCENT).exit_code == 0
    again = stored(copied)
    assert {name for name in again if again[name] != tasks[name]} == {lost.name}
    assert contents(copied) == before


def test_another_image_leaves_the_patterns_as_they_are(copied: Path, picture: Path) -> None:
    tasks = stored(copied)
    assert build(copied, "-i", picture, "-i", SAMPLES / "galaxies" / "spiral.png", *SINGLE_ASCENT).exit_code == 0
    again = stored(copied)
    assert all(again[name] == tasks[name] for name in tasks)
    assert len(again) - len(tasks) == 1 + 2 + 2  # the picture, its maps in two layers, two layers' natural maxima


def test_an_interrupted_build_goes_on_where_it_was(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"

    def interrupted(workspace, work, notify):
        if work.kind == "patterns" and work.tasks[0].layer == "conv2":
            raise KeyboardInterrupt
        yield from carry_out(workspace, work, notify)

    left: list[int] = []
    monkeypatch.setattr("reportgen.compute.executors.carry_out", interrupted)
    monkeypatch.setattr("os._exit", left.append)
    assert build(folder, "-i", picture, *SINGLE_ASCENT).exit_code == 130
    assert left == [130]
    assert "Unfinished: the run was interrupted" in (folder / "index.html").read_text()
    with pytest.raises(UsageError, match="is unfinished"):
        Report.open(folder)
    assert "not yet computed" in (folder / "layers" / "conv2.html").read_text()
    kept = stored(folder)
    assert kept

    partial = run("assemble", folder)
    assert partial.exit_code == 3
    assert "conv2" in partial.stderr

    computed: set[str] = set()

    def counted(workspace, work, notify):
        computed.update(f"{task.key}.npz" for task in work.tasks)
        yield from carry_out(workspace, work, notify)

    monkeypatch.setattr("reportgen.compute.executors.carry_out", counted)
    assert build(folder, "-i", picture, *SINGLE_ASCENT).exit_code == 0
    assert computed == set(stored(folder)) - set(kept) != set()
    whole = contents(folder)
    for name in ("index.html", "layers", "figures", "assets", "report.json", ".store/written.json"):
        (shutil.rmtree if (folder / name).is_dir() else os.remove)(folder / name)
    assert run("assemble", folder).exit_code == 0
    assert contents(folder) == whole, "as if nothing had been written early"


def test_assemble_makes_the_same_pages_without_tensorflow(report: Path) -> None:
    before = contents(report)
    for name in ("index.html", "report.json"):
        (report / name).unlink()
    code = "import sys; from reportgen.cli.main import main; main(['assemble', sys.argv[1]], standalone_mode=False)"
    check = f"try:\n    {code}\nexcept SystemExit:\n    pass\nassert 'tensorflow' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{check}", str(report)], capture_output=True, text=True, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    assert contents(report) == before


def test_a_failing_task_is_named_and_the_rest_is_there(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments):
        raise RuntimeError("the machine is tired")

    monkeypatch.setattr("reportgen.compute.tasks.Ascent", fail)
    folder = tmp_path / "report"
    result = build(folder, "-i", picture, extent=BARE)
    assert result.exit_code == 3
    assert "the machine is tired" in result.stderr
    facts = json.loads((folder / "report.json").read_bytes())
    assert facts["layers"][0]["status"] == "failed"
    assert "the machine is tired" in facts["layers"][0]["reason"]
    assert facts["layers"][0]["feature_maps"]


def test_where_memory_runs_out_the_batch_is_halved_and_the_report_says_so(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportgen.compute.patterns.ascent import Ascent
    from reportgen.network.backend import tf

    batches = []

    def tight(shared, layer_call, size, batch, *others):
        batches.append(batch)
        if batch > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return Ascent(shared, layer_call, size, batch, *others)

    monkeypatch.setattr("reportgen.compute.tasks.Ascent", tight)
    folder = tmp_path / "report"
    result = build(folder, "-i", picture, extent=["--filters", "5", "--steps", "1", "--layers", "conv1"])
    assert result.exit_code == 0, result.stderr
    assert batches == [5, 2, 1]
    patterns = json.loads((folder / "report.json").read_bytes())["layers"][0]["patterns"]
    assert [item["index"] for item in patterns["filters"]] == [0, 4, 8, 11, 15]
    assert (patterns["recipe"]["planned_batch"], patterns["recipe"]["batch"]) == (5, 1)
    assert "batch reduced from 5 to 1 (out of memory)" in (folder / "layers" / "conv1.html").read_text(encoding="utf-8")


def test_every_option_of_patterns_reaches_the_report(tmp_path: Path, picture: Path) -> None:
    folder = tmp_path / "report"
    options = "--negative --restarts 2 --outputs 2 --objective pre-activation --no-transforms --optimizer rmsprop"
    more = "--learning-rate 0.1 --clip-norm 2 --trim 1 --regularize tv=0.1,l2=0.2 --parameterization pixel"
    result = build(folder, "-i", picture, *options.split(), *more.split(), extent=ONE_LAYER)
    assert result.exit_code == 0, result.stderr
    facts = json.loads((folder / "report.json").read_bytes())
    recipe = facts["layers"][0]["patterns"]["recipe"]
    expected = {
        "objective": "pre-activation",
        "transforms": [],
        "optimizer": "rmsprop",
        "learning_rate": 0.1,
        "clip_norm": 2.0,
        "trim": 1,
        "total_variation": 0.1,
        "l2": 0.2,
        "parameterization": "pixel",
        "restarts": 2,
        "decorrelation": "none",
    }
    assert {name: recipe[name] for name in expected} == expected
    assert [layer["path"] for layer in facts["layers"]][-1] == "logits"
    assert facts["layers"][-1]["filters_shown"] == [0, 1]
    for layer in facts["layers"]:
        if layer["status"] == "rendered":
            assert layer["minimal_patterns"]["filters"]
            assert {item["verdict"] for item in layer["patterns"]["filters"]} <= {"ok", "weak"}
            assert all(-1 <= item["restart_similarity"] <= 1 for item in layer["patterns"]["filters"])
            assert (folder / "figures" / layer["slug"] / "minimal_patterns.png").is_file()


def test_python_and_the_command_line_find_the_same_patterns(report: Path) -> None:
    import reportgen

    images = sorted((SAMPLES / "galaxies").glob("*.png"))
    found = reportgen.patterns(SAMPLES / "galaxies.keras", "conv2", 3, steps=2, images=images)
    with np.load(report / "data" / "conv2" / "patterns.npz") as stored_arrays:
        np.testing.assert_array_equal(found.images, stored_arrays["images"])
    facts = json.loads((report / "report.json").read_bytes())["layers"][1]
    assert facts["path"] == "conv2"
    of_images = ("natural_image", "natural_peak_image")  # Python was not told what its images are called
    for record, item in zip(found.records, facts["patterns"]["filters"], strict=True):
        assert record == {**item, **dict.fromkeys(of_images)}


def test_a_live_model_gives_what_its_file_gives() -> None:
    import reportgen
    from reportgen.network.backend import keras

    model = keras.saving.load_model(SAMPLES / "galaxies.keras", compile=False)
    from_object = reportgen.patterns(model, "conv1", [1, 4], steps=2, method="keras-io")
    from_file = reportgen.patterns(str(SAMPLES / "galaxies.keras"), "conv1", "1,4", steps=2, method="keras-io")
    np.testing.assert_array_equal(from_object.images, from_file.images)
    assert [record["index"] for record in from_object.records] == [1, 4]


@pytest.mark.parametrize(
    ("layer", "filters", "settings", "words"),
    [
        ("conv9", 3, {}, ["conv9", "conv1"]),
        ("conv1", [99], {}, ["99", "conv1"]),
        ("conv1", 3, {"qualty": "draft"}, ["qualty"]),
        ("conv1", 3, {"optimizer": "lamb"}, ["lamb", "couples"]),
        ("conv1", 3, {"images": [np.zeros((4, 4, 3), np.uint8)]}, ["(4, 4, 3)", "1"]),
    ],
)
def test_bad_arguments_from_python_are_one_sentence(layer, filters, settings, words) -> None:
    import reportgen

    with pytest.raises(UsageError) as caught:
        reportgen.patterns(SAMPLES / "galaxies.keras", layer, filters, steps=1, **settings)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_run_that_fails_at_once_leaves_the_earlier_report_whole(report: Path, tmp_path: Path) -> None:
    before = contents(report)
    broken = tmp_path / "broken.png"
    broken.write_bytes((SAMPLES / "galaxies" / "spiral.png").read_bytes()[:200])
    assert build(report, "-i", broken).exit_code == 2
    assert build(report, model=tmp_path / "missing.keras").exit_code == 2
    assert contents(report) == before


def test_the_bar_says_which_page_is_being_written(copied: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Progress, "doing", lambda self, what: said.append(what))
    assert build(copied, "-i", picture, *SINGLE_ASCENT).exit_code == 0
    pages = [what for what in said if what.startswith("writing pages")]
    assert pages[:2] == ["writing pages: conv1", "writing pages: conv2"]
    assert pages[-1] == "writing pages: index.html"


def test_a_report_whose_store_was_removed_is_still_ours(copied: Path) -> None:
    shutil.rmtree(copied / ".store")
    assert build(copied, extent=BARE).exit_code == 0
