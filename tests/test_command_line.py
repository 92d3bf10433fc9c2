"""What the command line refuses in one sentence, which folders it writes into, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reportgen.core.errors import OutputError
from reportgen.pipeline import check_output, is_report
from sample_build import BARE, SAMPLES, SINGLE_ASCENT, build, draw, run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--optimizer", "lamb"], ["lamb", "couples"]),
        (["--optimizer", "hill"], ["hill", "adam"]),
        (["--regularize", "tv=x"], ["tv=x"]),
        (["--outputs", "comet"], ["comet", "output 0"]),
        (["--bands", "0,1,2"], ["0,1,2", "1 band"]),
        (["--restarts", "0"], ["--restarts 0"]),
        (["--learning-rate", "-1"], ["-1"]),
        (["--layers", "nothing*"], ["nothing*", "conv1"]),
        (["--filters", "900-910"], ["900", "24"]),
        (["--size", "100"], ["100", "64"]),
        (["--preprocess", "caffe"], ["caffe", "3 bands", "1"]),
        (["--preprocess", "no.such.module:f"], ["no.such.module"]),
        (["-i", "missing.png"], ["missing.png"]),
        (["--filters", "5-3"], ["5-3"]),
        (["--memory", "much"], ["much"]),
        (["--classes", "missing.txt"], ["missing.txt"]),
        (["--input-range", "9,1"], ["9,1"]),
        (["--steps", "0"], ["--steps"]),
    ],
)
def test_bad_usage_gets_one_sentence_exit_2_and_writes_nothing(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    result = build(tmp_path / "report", *arguments)
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "report").exists()


def test_a_bad_image_in_a_folder_is_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no picture")
    draw(folder / "good.png")
    result = build(tmp_path / "report", "-i", folder, extent=BARE)
    assert result.exit_code == 3
    assert "broken.png" in result.stderr
    facts = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert [image["name"] for image in facts["images"]] == ["good.png"]


def test_an_output_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for output in (file, file / "below"):
        result = build(output)
        assert result.exit_code == 2
        assert "--output" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_model_without_convolutions_is_one_sentence(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "dense.keras"
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(path)
    result = run("build", path, "-o", tmp_path / "report")
    assert result.exit_code == 2
    assert "no convolution layer" in result.stderr


def test_quiet_says_nothing_but_the_path(tmp_path: Path) -> None:
    result = build(tmp_path / "report", "-q", extent=BARE)
    assert result.exit_code == 0
    assert result.stderr == ""


def test_settings_may_stand_in_a_file_and_flags_win(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('filters = 2\nseed = 5\ntitle = "From the file"\n')
    arguments = ["--layers", "conv1", "--steps", "1", *SINGLE_ASCENT, "-c", config, "--seed", "6"]
    assert run("build", SAMPLES / "galaxies.keras", "-o", tmp_path / "report", *arguments).exit_code == 0
    settings = json.loads((tmp_path / "report" / "report.json").read_bytes())["settings"]
    assert (settings["filters"], settings["seed"], settings["title"]) == ("2", 6, "From the file")


def test_layers_lists_what_a_report_would_cover() -> None:
    table = run("layers", SAMPLES / "photos.keras")
    assert table.exit_code == 0
    assert "backbone/stem_conv" in table.stdout
    records = json.loads(run("layers", SAMPLES / "photos.keras", "--json").stdout)
    assert [record["path"] for record in records][:2] == ["backbone/stem_conv", "backbone/block1_conv1"]
    assert records[0]["receptive_field"] == [7, 7]


def test_help_of_every_command_answers() -> None:
    for command in ([], ["build"], ["layers"], ["assemble"]):
        assert run(*command, "--help").exit_code == 0


def test_assemble_of_a_folder_without_a_report_is_one_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        result = run("assemble", folder)
        assert result.exit_code == 2
        assert "reportgen build" in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("name", "content", "ours"),
    [
        (".store/plan.json", '{"format": "reportgen-plan/1"}', True),
        (".store/plan.json", '{"format": "reportgen-plan/99", "more": []}', True),
        ("report.json", '{"schema": "reportgen/1"}', True),
        (".store/plan.json", '{"format": "terraform/1"}', False),
        (".store/plan.json", '{"format": 1}', False),
        (".store/plan.json", '["format"]', False),
        (".store/plan.json", "not JSON", False),
        (".store/settings.db", "somebody else's store", False),
        ("report.json", '{"schema": "other/1"}', False),
        ("report.json", '{"schema": ["reportgen/1"]}', False),
        ("report.json", '"reportgen/1"', False),
    ],
)
def test_a_folder_is_ours_only_where_a_file_of_ours_says_so(
    tmp_path: Path, name: str, content: str, ours: bool
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert is_report(tmp_path) is ours
    if not ours:
        with pytest.raises(OutputError, match="--force"):
            check_output(tmp_path, force=False)


def test_a_folder_that_is_not_ours_is_refused_and_by_force_its_files_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    mine = ("chapter.tex", "data/results.csv", "figures/plot.png", "layers/draft.html", "assets/logo.svg")
    for name in mine:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    refused = build(folder)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == sorted(mine)
    assert build(folder, "--force", extent=BARE).exit_code == 0
    assert build(folder, extent=BARE).exit_code == 0
    assert [(folder / name).read_text() for name in mine] == ["mine"] * len(mine)


def test_a_file_where_pages_should_be_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "layers").write_text("mine")
    result = build(folder, "--force", extent=BARE)
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert "layers/conv1.html cannot be written in the report's folder (layers is a file)" in last
    assert str(tmp_path) not in last
    assert (folder / "layers").read_text() == "mine"
