"""What a user may choose: each option is declared once, every value is checked, and the report states it without paths."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from reportgen.cli.build import build
from reportgen.compute.patterns.recipe import Recipe
from reportgen.core.choices import FilterChoice, parse_memory
from reportgen.core.commands import Command
from reportgen.core.errors import UsageError
from reportgen.core.options import Option, declared, option
from reportgen.core.run_options import OPTIONS, RUN_OPTIONS
from reportgen.core.settings import SETTINGS, MapStyle, Settings, from_call, from_mapping


def test_a_count_spreads_evenly_from_the_first_filter_to_the_last() -> None:
    assert FilterChoice.parse("4").of(10) == (0, 3, 6, 9)
    assert FilterChoice.parse("3").of(64) == (0, 32, 63)
    assert FilterChoice.parse("2").of(512) == (0, 511)
    assert FilterChoice.parse("1").of(8) == (0,)


@pytest.mark.parametrize("total", [1, 2, 5, 31, 32, 33, 64, 100])
def test_a_count_gives_exactly_so_many_distinct_filters_in_steps_that_differ_by_one_at_most(total: int) -> None:
    for count in range(1, 70):
        chosen = FilterChoice.parse(str(count)).of(total)
        assert len(chosen) == min(count, total)
        assert chosen[0] == 0
        assert list(chosen) == sorted(set(chosen))
        if count > 1:
            assert chosen[-1] == total - 1
        steps = [after - before for before, after in itertools.pairwise(chosen)]
        assert max(steps, default=1) - min(steps, default=1) <= 1


@pytest.mark.parametrize(
    ("text", "total", "expected"),
    [
        ("all", 3, (0, 1, 2)),
        ("0-3,40", 64, (0, 1, 2, 3, 40)),
        ("0-3,40", 3, (0, 1, 2)),
        ("17-17", 64, (17,)),
        ("17-17", 17, ()),
        (" 5 , 1-2 ", 64, (1, 2, 5)),
        ("3,3,2-4", 64, (2, 3, 4)),
        ("99", 4, (0, 1, 2, 3)),
    ],
)
def test_filters_are_all_or_a_list_of_numbers_and_ranges(text: str, total: int, expected: tuple[int, ...]) -> None:
    assert FilterChoice.parse(text).of(total) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "3-1", "1,,2", "1-", "a", "1.5", "1;2", "all,1", "0x1", "1-2-3"])
def test_filters_that_cannot_be_meant_are_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(UsageError, match="--filters"):
        FilterChoice.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GiB", 2 * 2**30),
        ("512MiB", 512 * 2**20),
        ("512M", 512 * 2**20),
        ("64KB", 64 * 2**10),
        ("1.5g", 3 * 2**29),
        ("1000000", 1_000_000),
        (" 7 b ", 7),
    ],
)
def test_memory_is_a_number_with_a_binary_unit(text: str, expected: int) -> None:
    assert parse_memory(text) == expected


def test_no_filters_at_all_says_what_there_is_to_give() -> None:
    with pytest.raises(UsageError, match=r"--filters 0 is a count of none; give `all`, .* \(filter 0 alone: 0-0\)"):
        Settings(filters="0")
    assert FilterChoice.parse("0-0").of(4) == (0,)


@pytest.mark.parametrize("text", ["", "GiB", "0", "0.0G", "-1G", "2TiB", "2 2", "1e9", "two"])
def test_a_size_of_memory_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"fit": "squeeze"}, "--fit"),
        ({"quality": "best"}, "--quality"),
        ({"precision": "float16"}, "--precision"),
        ({"preprocess": "imagenet"}, "--preprocess"),
        ({"input_range": (1.0, 1.0)}, "--input-range"),
        ({"input_range": (1.0, 0.0)}, "--input-range"),
        ({"input_range": (0.0, float("nan"))}, "--input-range"),
        ({"input_range": (0.0, float("inf"))}, "--input-range"),
        ({"max_images": 0}, "--max-images"),
        ({"image_size": 0}, "--image-size"),
        ({"seed": -1}, "--seed"),
        ({"steps": 0}, "--steps"),
        ({"size": "0"}, "--size"),
        ({"size": "-3"}, "--size"),
        ({"size": "large"}, "--size"),
        ({"filters": "x"}, "--filters"),
        ({"memory": "x"}, "--memory"),
        ({"method": "deepdream"}, "--method"),
        ({"parameterization": "wavelet"}, "--parameterization"),
        ({"objective": "softmax"}, "--objective"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"learning_rate": -1.0}, "--learning-rate"),
        ({"learning_rate": float("nan")}, "--learning-rate"),
        ({"learning_rate": float("inf")}, "--learning-rate"),
        ({"clip_norm": 0.0}, "--clip-norm"),
        ({"clip_norm": float("nan")}, "--clip-norm"),
        ({"trim": -1}, "--trim"),
        ({"restarts": 0}, "--restarts"),
        ({"bands": (0, 1, -1)}, "--bands"),
        ({"bands": (0, None, 1)}, "--bands"),
        ({"normalize": "min-max"}, "--normalize"),
        ({"colormap": "jet"}, "--colormap"),
        ({"map_range": (1.0, 1.0)}, "--map-range"),
        ({"map_range": (0.0, float("inf"))}, "--map-range"),
        ({"regularize": ""}, "--regularize"),
        ({"regularize": "tv"}, "--regularize"),
        ({"regularize": "tv="}, "--regularize"),
        ({"regularize": "tv=-1"}, "--regularize"),
        ({"regularize": "tv=nan"}, "--regularize"),
        ({"regularize": "tv=inf"}, "--regularize"),
        ({"regularize": "tv=1,tv=2"}, "--regularize"),
        ({"regularize": "blur=1"}, "--regularize"),
        ({"regularize": "tv=1;l2=1"}, "--regularize"),
    ],
)
def test_every_value_is_checked_and_the_sentence_names_its_option(changes: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=f"^{option}[ :]"):
        Settings(**changes)


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert settings.describe() == {
        "images": [],
        "max_images": 8,
        "preprocess": "auto",
        "input_range": (0.0, 255.0),
        "input_shape": None,
        "input": None,
        "hold": [],
        "image_size": 224,
        "fit": "crop",
        "classes": None,
        "layers": (),
        "exclude": (),
        "pooling": False,
        "filters": "32",
        "quality": "standard",
        "size": "auto",
        "steps": None,
        "seed": 0,
        "precision": "auto",
        "memory": "2GiB",
        "threads": None,
        "method": "optvis",
        "parameterization": None,
        "decorrelate": None,
        "objective": None,
        "transforms": None,
        "optimizer": None,
        "learning_rate": None,
        "clip_norm": None,
        "trim": None,
        "regularize": None,
        "negative": False,
        "restarts": 1,
        "outputs": None,
        "attribution": [],
        "attribution_layers": (),
        "attribution_classes": (),
        "bands": None,
        "normalize": "per-layer",
        "colormap": "viridis",
        "map_range": (0.0, 1.0),
        "title": None,
        "single_file": False,
        "keep_maps": "all",
        "template": None,
        "css": None,
        "weights": None,
        "initial": None,
        "imports": (),
        "dataset": None,
        "dataset_limit": None,
        "label_map": None,
        "export": None,
        "label_pairs": False,
        "patterns": True,
        "allow_unsafe": False,
    }
    assert settings.pattern_size is None
    assert settings.memory_bytes == 2**31


def test_every_option_has_one_name_one_flag_and_a_default_that_it_takes_itself() -> None:
    names = [one.name for one in OPTIONS]
    assert len(set(names)) == len(names)
    for command in Command:  # two commands may have options of the same flag, each with a default of its own
        own = [one for one in OPTIONS if command in one.commands]
        flags = [flag for one in own for flag in (one.flag, one.short) if flag is not None]
        assert len(set(flags)) == len(flags)
    for one in OPTIONS:
        one.validate(one.default)
        assert one.help.endswith("."), one.name
        assert one.commands, one.name
    assert {one.name for one in SETTINGS} == {field.name for field in dataclasses.fields(Settings)}


def test_the_recipe_fields_of_the_table_are_fields_of_the_recipe_and_hold_what_was_given() -> None:
    fields = {one.recipe for one in SETTINGS if one.recipe is not None}
    assert fields <= {field.name for field in dataclasses.fields(Recipe)}
    assert Settings().recipe_fields == {"restarts": 1}
    given = Settings(steps=3, learning_rate=0.5, trim=0, restarts=2)
    assert given.recipe_fields == {"steps": 3, "learning_rate": 0.5, "trim": 0, "restarts": 2}


def test_a_declaration_alone_makes_an_option() -> None:
    like = next(one for one in SETTINGS if one.name == "max_images")

    @dataclasses.dataclass(frozen=True)
    class Table:
        mean_of_all: int = option(5, like.kind, like.group, "Mean.", metavar="N", check=like.check)

    (made,) = declared(Table)
    assert (made.name, made.flag, made.keys, made.shown_default) == (
        "mean_of_all",
        "--mean-of-all",
        {"mean_of_all"},
        "5",
    )
    with pytest.raises(UsageError, match="--mean-of-all 0 is below 1"):
        made.validate(0)


# One value of each kind as the command line, a settings file and Python give it, and as the settings hold it.
GIVEN: dict[str, tuple[list[str], Any, Any, Any]] = {
    "images": (["-i", "a", "-i", "b"], ["a", "b"], (Path("a"), "b"), ("a", "b")),
    "max_images": (["--max-images", "3"], 3, np.int64(3), 3),
    "input_range": (["--input-range", "-1, 1"], [-1, 1], np.array([-1, 1]).tolist(), (-1.0, 1.0)),
    "input_shape": (["--input-shape", "any,32,3"], ["any", 32, 3], (None, 32, 3), (None, 32, 3)),
    "bands": (["--bands", "3,0,1"], [3, 0, 1], (3, 0, 1), (3, 0, 1)),
    "preprocess": (["--preprocess", "caffe"], "caffe", "caffe", "caffe"),
    "filters": (["--filters", "7"], 7, 7, "7"),
    "imports": (["--import", "m"], "m", ["m"], ("m",)),
    "pooling": (["--pooling"], True, True, True),
    "single_file": (["--no-single-file"], False, False, False),
    "decorrelate": (["--no-decorrelate"], False, False, False),
    "learning_rate": (["--learning-rate", "2"], 2, np.float32(2), 2.0),
    "css": (["--css", "look.css"], "look.css", Path("look.css"), "look.css"),
}


def on_the_command_line(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    taken: list[Settings] = []
    monkeypatch.setattr("reportgen.pipeline.build", lambda model, settings, *rest, **run: taken.append(settings))
    result = CliRunner().invoke(build, ["model.keras", *arguments])
    assert result.exit_code == 0, result.output
    return taken[0]


@pytest.mark.parametrize("name", GIVEN)
def test_an_option_is_the_same_on_the_command_line_in_a_file_and_from_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, in_toml, in_python, held = GIVEN[name]
    flag = next(one.flag for one in SETTINGS if one.name == name).removeprefix("--")
    expected = Settings(**{name: held})
    assert on_the_command_line(arguments, monkeypatch) == expected
    assert Settings(**from_mapping({flag: in_toml})) == expected
    assert Settings(**from_mapping({name: in_toml})) == expected
    assert Settings(**from_call({name: in_python})) == expected
    Path("settings.toml").write_text(f"{flag} = {json.dumps(in_toml)}\n")
    assert on_the_command_line(["-c", "settings.toml"], monkeypatch) == expected


@pytest.mark.parametrize("one", RUN_OPTIONS, ids=lambda one: one.name)
def test_the_options_of_a_run_are_no_settings(one: Option) -> None:
    with pytest.raises(UsageError, match=f"unknown option `{one.name}`"):
        from_mapping({one.name: one.default})


def test_stored_settings_give_the_style_of_maps() -> None:
    assert MapStyle.of({"colormap": "magma", "map_range": [0, 2], "seed": 3}) == MapStyle(
        colormap="magma", map_range=(0, 2)
    )
    assert MapStyle() == MapStyle("per-layer", "viridis", (0.0, 1.0))
    with pytest.raises(UsageError, match="--colormap jet is none of viridis, magma"):
        MapStyle.of({"colormap": "jet"})


def test_described_settings_hold_no_folder_of_the_machine() -> None:
    settings = Settings(
        images=("/home/ada/photos/", "C:\\pictures\\cat.png", "here.png"),
        classes="/home/ada/names.txt",
        weights="../ada/best.weights.h5",
    )
    described = json.dumps(settings.describe())
    assert settings.describe()["images"] == ["photos", "cat.png", "here.png"]
    assert settings.describe()["classes"] == "names.txt"
    assert settings.describe()["weights"] == "best.weights.h5"
    assert "ada" not in described


def test_a_settings_file_gives_options_by_their_names() -> None:
    table = {
        "images": "photos",
        "max-images": 3,
        "input-range": [-1, 1],
        "input_shape": [32, 32, 3],
        "layers": ["block1*", "block2*"],
        "filters": 16,
        "size": 96,
        "memory": 1_000_000,
        "import": ["mine"],
        "allow-unsafe": True,
        "steps": 5,
    }
    settings = Settings(**from_mapping(table))
    assert settings == Settings(
        images=("photos",),
        max_images=3,
        input_range=(-1, 1),
        input_shape=(32, 32, 3),
        layers=("block1*", "block2*"),
        filters="16",
        size="96",
        memory="1000000",
        imports=("mine",),
        allow_unsafe=True,
        steps=5,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("tv=0.1", {"tv": 0.1}),
        ("l2=2,tv=1e-3", {"l2": 2.0, "tv": 0.001}),
        (" tv=0 , l2=.5 ", {"tv": 0.0, "l2": 0.5}),
    ],
)
def test_regularizers_are_names_with_weights(text: str | None, expected: dict[str, float]) -> None:
    assert Settings(regularize=text).regularizers == expected


def test_a_settings_file_names_the_pieces_of_the_ascent() -> None:
    table = {
        "method": "keras-io",
        "parameterization": "pixel",
        "objective": "activation",
        "optimizer": "lion",
        "regularize": "tv=0.1,l2=1",
        "decorrelate": False,
        "transforms": True,
        "negative": True,
        "learning-rate": 1,
        "clip-norm": 0.5,
        "trim": 1,
        "restarts": 3,
        "outputs": 5,
        "bands": [3, 2, 1],
    }
    settings = Settings(**from_mapping(table))
    assert settings == Settings(
        method="keras-io",
        parameterization="pixel",
        objective="activation",
        optimizer="lion",
        regularize="tv=0.1,l2=1",
        decorrelate=False,
        transforms=True,
        negative=True,
        learning_rate=1.0,
        clip_norm=0.5,
        trim=1,
        restarts=3,
        outputs="5",
        bands=(3, 2, 1),
    )
    assert isinstance(settings.learning_rate, float)


def test_an_unknown_name_in_a_settings_file_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown option `colour`"):
        from_mapping({"colour": True})


@pytest.mark.parametrize(
    "table",
    [
        {"seed": "1"},
        {"seed": True},
        {"seed": 1.5},
        {"steps": "many"},
        {"steps": True},
        {"allow-unsafe": 1},
        {"images": [1]},
        {"layers": 3},
        {"layers": [["a"]]},
        {"exclude": {"a": 1}},
        {"fit": 3},
        {"preprocess": 3},
        {"title": 3},
        {"classes": ["cat"]},
        {"weights": 1},
        {"filters": [1, 2]},
        {"filters": True},
        {"input-range": [0]},
        {"input-range": ["a", "b"]},
        {"input-range": "0,1"},
        {"map-range": [0]},
        {"normalize": 1},
        {"input-shape": [32]},
        {"input-shape": ["32", 32, 3]},
        {"input-shape": [0, 32, 3]},
        {"max-images": 2.0},
        {"method": 1},
        {"optimizer": ["adam"]},
        {"decorrelate": "yes"},
        {"transforms": 0},
        {"negative": 1},
        {"learning-rate": "0.1"},
        {"learning-rate": True},
        {"clip-norm": [1]},
        {"trim": 1.5},
        {"restarts": "2"},
        {"restarts": True},
        {"outputs": ["cat"]},
        {"outputs": 1.5},
        {"bands": [0, 1]},
        {"bands": [0, 1, "2"]},
        {"bands": "0,1,2"},
        {"regularize": {"tv": 1}},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_in_a_settings_file_is_a_sentence_not_a_crash(table: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**from_mapping(table))
