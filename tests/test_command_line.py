"""What the command line refuses in one sentence, which folders it writes into, and what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from reportgen.cli.main import main
from reportgen.core.errors import OutputError, UsageError
from reportgen.core.options import Group
from reportgen.core.run_options import OPTIONS
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
        (["--preprocess", "caffe"], ["caffe", "3 channels", "1"]),
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


def wide_help(*arguments: str) -> str:
    """What `arguments` print in a terminal of 100 columns."""
    result = CliRunner().invoke(main, arguments, prog_name="reportgen", terminal_width=100)
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def headings(text: str) -> list[str]:
    return [
        line.removesuffix(":") for line in text.splitlines() if line and not line.startswith(" ") and line[-1] == ":"
    ]


def flags(text: str) -> set[str]:
    return {
        flag for line in text.splitlines() if line.startswith("  -") for flag in re.findall(r"--[a-z-]+", line[:36])
    }


def test_help_names_every_command_with_its_first_sentence() -> None:
    text = wide_help("--help")
    for name, command in main.commands.items():
        sentence = str(command.help).splitlines()[0]
        assert re.search(rf"^  {name} +{re.escape(sentence[:50])}", text, re.MULTILINE)
    assert "\\b" not in text
    assert "  reportgen build my_model.keras -i photos/ -o report\n" in text


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_of_a_command_shows_its_options_in_the_groups_of_the_table(name: str) -> None:
    text = wide_help(name, "--help-all" if "--help-all" in wide_help(name, "--help") else "--help")
    mine = [option for option in OPTIONS if name in option.commands]
    assert mine
    assert flags(text) - {"--help", "--help-all"} == {option.flag for option in mine} | {
        f"--no-{option.flag[2:]}" for option in mine if option.negatable
    }
    assert headings(text) == [group for group in Group if any(option.group == group for option in mine)]
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(rf"^  Examples?:\n    reportgen {name} ", text, re.MULTILINE), "an example, on lines of its own"
    assert "\\b" not in text


def test_help_of_build_is_one_screen_that_says_where_the_rest_is() -> None:
    text = wide_help("build", "--help")
    assert len(text.splitlines()) <= 40
    shown = flags(text) - {"--help", "--help-all", "--no-single-file"}
    assert shown == {option.flag for option in OPTIONS if option.everyday and "build" in option.commands}
    hidden = [option for option in OPTIONS if not option.everyday and "build" in option.commands]
    assert f"{len(hidden)} more options: reportgen build --help-all, or docs/cli.md.\n" in text
    assert Group.EXPERT not in headings(text)


@pytest.mark.parametrize("arguments", [["build", "--help"], ["build", "--help-all"], ["--help"]])
def test_help_in_a_narrow_terminal_is_no_wider(arguments: list[str]) -> None:
    text = CliRunner().invoke(main, arguments, terminal_width=80).stdout
    assert max(map(len, text.splitlines())) <= 80


def test_assemble_of_a_folder_without_a_report_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        result = run("assemble", folder)
        assert result.exit_code == 2
        assert result.stderr == (
            f"reportgen: {folder}: there is no stored report in this folder; run `reportgen build` first.\n"
        )
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("--seed 1 is odd."), 2, "reportgen: --seed 1 is odd.\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "reportgen: unexpected failure, please report it: ZeroDivisionError: by zero",
        ),
    ],
)
def test_every_failure_is_one_sentence_and_verbose_shows_where(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, words: str
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise error

    monkeypatch.setattr("reportgen.pipeline.build", fail)
    for verbose in ([], ["-v"]):
        result = run("build", "model.keras", *verbose)
        assert (result.exit_code, result.stdout) == (code, "")
        assert words in result.stderr
        assert ("Traceback" in result.stderr) is bool(verbose)
        assert result.stderr.count("\n") == 1 or verbose


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input-shape", "3,4,x"], "'3,4,x' is not of the form H,W,C"),
        (["--map-range", "1"], "'1' is not two numbers LO,HI"),
        (["--bands", "0,1"], "'0,1' is not three channel numbers R,G,B"),
        (["--steps", "many"], "'many' is not a valid integer"),
        (["--quality", "best"], "'best' is not one of"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_a_value_of_another_form_is_refused_before_anything_is_loaded(arguments: list[str], words: str) -> None:
    result = run("build", "no-such-model.keras", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("force = 1", "gives `force` a value of the wrong type: 1"),
        ("output = 1", "gives `output` a value of the wrong type: 1"),
        ("verbose = true", "holds an unknown option `verbose`"),
        ("colour = true", "holds an unknown option `colour`"),
        ("tool = 1", "has something else than a table where [tool.reportgen] should be"),
        ("=", "settings.toml cannot be read"),
    ],
)
def test_a_settings_file_that_cannot_be_meant_is_refused(tmp_path: Path, content: str, words: str) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(content)
    result = run("build", "no-such-model.keras", "-c", config)
    assert result.exit_code == 2
    assert words in result.stderr


def test_options_of_the_run_may_stand_in_a_file_too(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'output = "{tmp_path / "report"}"\nquiet = true\nprogress = true\n')
    result = run("build", SAMPLES / "galaxies.keras", *BARE, "-c", config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / 'report' / 'index.html'}\n"


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
