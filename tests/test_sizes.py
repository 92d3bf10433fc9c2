"""The size that a model is fed: its own, the next that it accepts, or that of the user's files; never one at which layers are lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import reportgen
from page_parser import parse
from reportgen.cli.main import main
from reportgen.compute.planning.plan import pattern_size
from reportgen.compute.planning.prepare import prepare
from reportgen.core.errors import UsageError
from reportgen.core.settings import Settings
from reportgen.network.accepted_sizes import next_size
from reportgen.network.backend import keras
from small_models import functional, layers, network, randomised

SCHEMA = Path(__file__).parent.parent / "reportgen" / "report" / "report.schema.json"
FREE = (True, True)


def multiples(stride: int, remainder: int = 0, least: int = 0) -> Any:
    """Whether every side is at least so long and leaves that remainder."""
    return lambda size: all(side % stride == remainder and side >= least for side in size)


@pytest.mark.parametrize(
    ("start", "fits", "expected"),
    [
        (224, multiples(1), 224),
        (224, multiples(64), 256),
        (225, multiples(32), 256),
        (250, multiples(8), 256),
        (224, multiples(9), 225),
        (380, multiples(3), 381),
        (224, multiples(16, 12, 188), 236),
        (224, multiples(1, 0, 3001), 3001),
        (224, multiples(32, 0, 2000), 2016),
        (224, lambda size: False, None),
    ],
)
def test_the_nearest_size_that_fits_is_found(start: int, fits: Any, expected: int | None) -> None:
    assert next_size((start, start), FREE, fits, 4096) == (None if expected is None else (expected, expected))


def test_a_fixed_axis_stays_and_each_free_one_is_rounded_by_itself() -> None:
    assert next_size((40, 250), (False, True), lambda size: size[1] % 16 == 0, 4096) == (40, 256)
    assert next_size((30, 40, 50), (True,) * 3, multiples(16), 4096) == (32, 48, 64)


def test_a_size_that_is_known_to_fit_is_the_last_resort() -> None:
    assert next_size((224,), (True,), lambda size: size == (60,), 4096, [(60,)]) == (60,)
    assert next_size((50,), (True,), lambda size: size == (60,), 4096, [(60,)]) == (60,)


def unet(stride: int = 64, shape: tuple[int | None, ...] = (None, None, 3), pool: Any = None) -> Any:
    """Halves, as often as makes up `stride` at once, doubles again and joins what was before: it takes multiples of `stride` alone."""
    entry = keras.Input(shape)
    first = layers.Conv2D(2, 3, padding="same", name="first")(entry)
    deep = layers.Conv2D(2, 3, padding="same", name="deep")((pool or layers.MaxPooling2D)(stride)(first))
    joined = layers.Concatenate()([layers.UpSampling2D(stride)(deep), first])
    return randomised(keras.Model(entry, layers.Conv2D(2, 3, padding="same", name="last")(joined)))


def photo(folder: Path, height: int, width: int, name: str = "a.png", grey: bool = False) -> str:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (height, width) if grey else (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return str(folder / name)


def lines(folder: Path, *lengths: int, bands: int = 1) -> tuple[str, ...]:
    for number, length in enumerate(lengths):
        np.save(folder / f"line{number}.npy", np.random.default_rng(number).normal(size=(length, bands)))
    return tuple(str(folder / f"line{number}.npy") for number in range(len(lengths)))


def test_the_usual_size_is_rounded_up_to_the_next_that_the_network_accepts() -> None:
    walked = network(unet())
    assert walked.contract.size == (256, 256)
    assert {layer_call.path: layer_call.reason for layer_call in walked.layer_calls} == {
        "first": None,
        "deep": None,
        "last": None,
    }
    assert any("224 × 224" in note and "256 × 256" in note for note in walked.notes)


def test_a_stated_size_that_does_not_fit_is_refused_and_the_next_that_does_is_named() -> None:
    with pytest.raises(UsageError, match=r"--image-size 100: .* the next size that it accepts is 128\."):
        network(unet(), image_size=100)
    assert network(unet(), image_size=128).contract.size == (128, 128)


def test_a_subclassed_model_of_any_size_is_rounded_too() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layers.Conv2D(2, 1), layers.Conv2D(2, 1)

        def call(self, inputs: Any) -> Any:
            seen = self.first(inputs)
            return self.last(
                keras.ops.concatenate([layers.UpSampling2D(64)(layers.MaxPooling2D(64)(seen)), seen], axis=-1)
            )

    walked = network(Own(), input_shape=(None, None, 3))
    assert walked.contract.size == (256, 256)
    assert [layer_call.reason for layer_call in walked.layer_calls] == [None, None]


def test_a_size_that_only_a_first_call_recorded_is_used_where_no_other_fits() -> None:
    class Flat(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.flat, self.head = layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.head(self.flat(self.conv(inputs)))

    model = Flat()
    model(np.zeros((1, 20, 24, 3), np.float32))
    assert network(model).contract.size == (20, 24)


# Patterns


def sizes(job: Any) -> dict[str, tuple[int, ...]]:
    return {layer.path: layer.pattern_size for layer in job.plan.layers}


def test_patterns_are_rounded_up_to_a_size_at_which_their_layer_is_reached() -> None:
    job = prepare(unet(48), Settings(preprocess="none"))
    assert sizes(job)["first"] == (64, 64)
    assert all(side % 48 == 0 for side in sizes(job)["last"])
    assert job.model.network.contract.size == (240, 240)


def test_a_stated_pattern_size_that_does_not_fit_is_refused_and_the_next_that_does_is_named() -> None:
    model = unet(16)
    with pytest.raises(UsageError, match=r"--size 40: .*last.* the next size .* is 48\."):
        prepare(model, Settings(preprocess="none", size="40", image_size=32))
    fitting = prepare(model, Settings(preprocess="none", size="48", image_size=32))
    assert set(sizes(fitting).values()) == {(48, 48)}
    alone = prepare(model, Settings(preprocess="none", size="40", image_size=32, layers=("first",)))
    assert sizes(alone)["first"] == (40, 40)


# Axes that follow the user's files


def test_a_free_axis_beside_a_fixed_one_follows_the_first_image(tmp_path: Path) -> None:
    model = functional(layers.Conv2D(2, 3, name="c"), layers.Conv2D(2, 3, name="d"), shape=(40, None, 1))
    images = (photo(tmp_path, 80, 512, grey=True), photo(tmp_path, 40, 90, "b.png", grey=True))
    job = prepare(randomised(model), Settings(images=images, preprocess="none"))
    assert job.plan.contract.size == (40, 256)
    assert any("40 × 256" in note for note in job.plan.notes)
    stated = prepare(model, Settings(images=images, preprocess="none", image_size=100, size="64"))
    assert stated.plan.contract.size == (40, 100)
    assert set(sizes(stated).values()) == {(40, 64)}


def test_a_free_axis_that_follows_is_rounded_up_too(tmp_path: Path) -> None:
    model = unet(16, shape=(32, None, 3))
    job = prepare(model, Settings(images=(photo(tmp_path, 32, 250),), preprocess="none"))
    assert job.plan.contract.size == (32, 256)


def test_a_signal_is_as_long_as_the_longest_that_was_given(tmp_path: Path) -> None:
    model = randomised(functional(layers.Conv1D(2, 3, name="c"), shape=(None, 1)))
    job = prepare(model, Settings(images=lines(tmp_path, 900, 1580, 30)))
    assert job.plan.contract.size == (1580,)
    assert any("1580 steps" in note for note in job.plan.notes)
    assert prepare(model, Settings(images=lines(tmp_path, 900), image_size=5000)).plan.contract.size == (5000,)


def test_a_network_that_crops_thousands_of_steps_keeps_its_output(tmp_path: Path) -> None:
    stack = (layers.Conv1D(2, 3, name="c"), layers.Cropping1D((1500, 1500)), layers.Conv1D(2, 3, name="d"))
    job = prepare(randomised(functional(*stack, shape=(None, 1))), Settings())
    assert job.plan.contract.size == (3005,)  # 2 and 2 steps of the kernels, 3000 cropped, and one that is left
    assert sizes(job) == {"c": (64,), "d": (3005,)}
    assert [layer.status for layer in job.plan.layers] == ["rendered"] * 2


def test_volumes_of_any_size_follow_their_files(tmp_path: Path) -> None:
    for number, shape in enumerate(((8, 20, 24), (12, 16, 24))):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(0).normal(size=shape))
    model = randomised(functional(layers.Conv3D(2, 3, name="c"), shape=(None, None, None, 1)))
    job = prepare(model, Settings(images=(str(tmp_path),)))
    assert job.plan.contract.size == (12, 20, 24)


def test_the_limit_of_a_signals_length_is_memory_said_in_bytes() -> None:
    model = functional(layers.Conv1D(2, 3), shape=(None, 2))
    assert network(model, image_size=100_000).contract.size == (100_000,)
    with pytest.raises(UsageError, match=r"--image-size 200000000.* 1,600,000,000 bytes"):
        network(model, image_size=200_000_000)
    with pytest.raises(UsageError, match="--image-size 5000 is above the limit of 4096 pixels"):
        network(functional(layers.Conv2D(2, 3), shape=(None, None, 3)), image_size=5000)


def test_a_size_that_takes_more_memory_than_was_allowed_is_said_in_bytes() -> None:
    model = randomised(functional(layers.Conv1D(4, 1, name="c"), shape=(None, 1)))
    notes = prepare(model, Settings(image_size=100_000, memory="1MiB")).plan.notes
    assert any("of 100000 steps, more than --memory 1MiB" in note for note in notes)
    assert not any("--memory" in note for note in prepare(model, Settings(image_size=1000, memory="1MiB")).plan.notes)


def test_the_limits_of_a_stated_pattern_size_are_the_same() -> None:
    contract = network(functional(layers.Conv1D(2, 3), shape=(None, 2))).contract
    assert pattern_size(contract, (3,), Settings(size="100000")) == (100_000,)
    with pytest.raises(UsageError, match=r"--size 200000000.* bytes"):
        pattern_size(contract, (3,), Settings(size="200000000"))
    picture = network(functional(layers.Conv2D(2, 3), shape=(None, None, 3))).contract
    with pytest.raises(UsageError, match="--size 5000 is above the limit of 4096 pixels"):
        pattern_size(picture, (3, 3), Settings(size="5000"))


# Layers that cannot be seen whole


class Broken(keras.Model):
    """Its last convolution cannot be reached at any size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layers.Conv2D(2, 3), layers.Conv2D(2, 3)
        self.last.build((None, 8, 8, 2))

    def call(self, inputs: Any) -> Any:
        seen = self.first(inputs)
        return self.last(keras.ops.concatenate([seen, seen[:, 1:]]))


def records(model: Any, **settings: Any) -> dict[str, Any]:
    job = prepare(randomised(model), Settings(**{"preprocess": "none", **settings}))
    return {layer.path: layer for layer in job.plan.layers}


def test_a_layer_that_no_size_reaches_has_failed_and_its_weights_are_still_shown() -> None:
    job = prepare(randomised(Broken()), Settings(preprocess="none", input_shape=(None, None, 3)))
    first, last = job.plan.layers
    assert (first.status, last.status, last.by_request) == ("rendered", "failed", False)
    assert "the model stopped before it" in str(last.reason)
    assert [task.kind for task in job.plan.tasks if task.layer == last.slug] == ["weights"]
    assert (last.filters_total, last.filters_shown) == (2, (0, 1))


def test_a_layer_that_no_size_reaches_has_not_failed_where_it_was_left_out() -> None:
    left = records(Broken(), input_shape=(None, None, 3), exclude=("last",))["last"]
    assert (left.status, left.by_request) == ("skipped", True)


def test_layers_that_the_input_does_not_reach_show_their_weights() -> None:
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    seen = layers.Conv2D(2, 3, name="seen")(left)
    beside = layers.SeparableConv2D(4, 3, name="beside")(layers.DepthwiseConv2D(3, name="deep")(right))
    model = keras.Model([left, right], [seen, beside])
    found = records(model, input="left")
    assert {path: layer.status for path, layer in found.items()} == dict.fromkeys(
        ("seen", "beside", "deep"), "rendered"
    )
    assert (found["beside"].filters_total, found["deep"].filters_total) == (4, 3)
    assert (found["beside"].is_met, found["beside"].pattern_size) == (False, None)
    assert "does not depend on the primary input" in str(found["beside"].reason)


def test_no_layer_stands_before_one_that_sees_less() -> None:
    entry = keras.Input((32, 32, 3))
    deep = entry
    for number in range(3):
        deep = layers.Conv2D(2, 3, padding="same", name=f"deep{number}")(deep)
    side = layers.Conv2D(2, 1, name="side")(entry)
    model = keras.Model(entry, layers.Conv2D(2, 1, name="last")(layers.Concatenate()([deep, side])))
    found = network(randomised(model)).layer_calls
    assert [layer_call.path for layer_call in found] == ["side", "deep0", "deep1", "deep2", "last"]
    assert [layer_call.receptive_field for layer_call in found] == [(1, 1), (3, 3), (5, 5), (7, 7), (7, 7)]


def built(model: Any, folder: Path, *options: str) -> dict[str, Any]:
    """report.json of a report with two filters a layer and one step."""
    model.save(folder / "model.keras")
    arguments = ["build", str(folder / "model.keras"), "-o", str(folder / "report"), "--preprocess", "none", "-q"]
    result = CliRunner().invoke(main, [*arguments, "--filters", "2", "--steps", "1", *options])
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "report" / "report.json").read_bytes())
    jsonschema.validate(report, json.loads(SCHEMA.read_bytes()))
    return dict(report)


def test_a_report_of_weights_alone_beside_whole_layers(tmp_path: Path) -> None:
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    seen, beside = layers.Conv2D(2, 3, name="seen")(left), layers.Conv2D(4, 3, activation="elu", name="beside")(right)
    model = randomised(keras.Model([left, right], [seen, beside]))
    report = built(model, tmp_path, "--input", "left", "-i", photo(tmp_path, 16, 16))
    found = {layer["path"]: layer for layer in report["layers"]}
    assert (found["beside"]["status"], found["beside"]["patterns"], found["beside"]["feature_maps"]) == (
        "rendered",
        None,
        [],
    )
    with np.load(tmp_path / "report" / found["beside"]["weights"]["array"]) as arrays:
        np.testing.assert_array_equal(arrays["kernel"], model.get_layer("beside").get_weights()[0])
    page = parse(tmp_path / "report" / "layers" / f"{found['beside']['slug']}.html").words
    assert "only its weights are shown: it does not depend on the primary input" in page
    assert found["beside"]["activation"] == "elu"
    assert report["settings"]["image_size"] is None  # nothing is free
    assert "elu of the layer itself: what follows it was not observed" in page
    assert "requested" not in page
    index = parse(tmp_path / "report" / "index.html").words
    assert "Build complete without errors; 1 layer has only weights to show" in index
    assert "every planned part" not in index


@pytest.mark.slow
def test_every_layer_of_a_network_that_joins_branches_is_reported_at_the_default_size(tmp_path: Path) -> None:
    report = built(unet(), tmp_path, "--quality", "draft", "--filters", "1")
    assert [layer["status"] for layer in report["layers"]] == ["rendered"] * 3
    assert (report["input"]["size"], report["settings"]["image_size"]) == ([256, 256], 256)
    assert all(len(layer["patterns"]["filters"]) == 1 for layer in report["layers"])
    assert any("256 × 256" in note for note in report["notes"])
    assert "Build complete: all 3 layers processed without errors." in parse(tmp_path / "report" / "index.html").words


def test_an_image_that_is_none_is_reported_before_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    whole = Path(photo(tmp_path, 40, 40)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("missing.png", "bad.png", "cut.png"):
        arguments = ["build", str(tmp_path / "no model.keras"), "-o", str(tmp_path / "r"), "-i", str(tmp_path / name)]
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, name in result.output) == (2, True), result.output
        assert "no model" not in result.output


def test_a_model_that_runs_to_its_end_at_no_size_is_a_problem_of_the_report(tmp_path: Path) -> None:
    model = randomised(Broken())
    made = reportgen.build(model, output=tmp_path, preprocess="none", input_shape=(None, None, 3), steps=1, filters=1)
    assert len(made.problems) == 2
    assert made.problems[0].startswith("The model does not run to its end at 224 × 224 pixels (")
    assert made.problems[1].startswith("last: the model stopped before it (")
    page = parse(made.index).words
    assert "Nothing failed" not in page
    assert "Failed: The model stopped before it" in page
    report = json.loads((tmp_path / "report.json").read_bytes())
    jsonschema.validate(report, json.loads(SCHEMA.read_bytes()))
    last = report["layers"][1]
    assert (last["status"], last["weights"]["count"], last["patterns"]) == ("failed", 36, None)


def test_other_inputs_of_any_size_are_as_large_as_the_one_that_is_looked_at(tmp_path: Path) -> None:
    for shape, kind, size in (((None, None, 3), layers.Conv2D, (40, 40)), ((None, 1), layers.Conv1D, (40,))):
        left, right = keras.Input(shape, name="left"), keras.Input(shape, name="right")
        model = keras.Model([left, right], kind(2, 3, name="c")(layers.Concatenate()([left, right])))
        walked = network(model, input="left", image_size=40)
        assert (walked.contract.size, [layer_call.reason for layer_call in walked.layer_calls]) == (size, [None])


def test_a_stated_size_that_changes_nothing_is_said_to() -> None:
    notes = network(functional(layers.Conv2D(2, 3), shape=(20, 24, 3)), image_size=64).notes
    assert notes == ["--image-size 64 changes nothing: this model's input is fixed at 20 × 24 pixels."]
    assert network(functional(layers.Conv2D(2, 3), shape=(20, 24, 3))).notes == []


def test_a_picture_that_another_input_is_held_at_has_the_size_that_the_network_accepts(tmp_path: Path) -> None:
    right, inner = keras.Input((None, None, 3), name="right"), unet(64)
    model = keras.Model([inner.input, right], layers.Add()([inner.output, layers.Conv2D(2, 1, name="other")(right)]))
    left = inner.input._keras_history.operation.name
    job = prepare(
        model, Settings(preprocess="none", input=left, hold=(f"right={photo(tmp_path, 30, 50)}",), layers=("last",))
    )
    assert job.model.network.contract.size == (256, 256)
    assert job.model.network.problem is None
    assert sizes(job)["last"] == (256, 256)  # where the other branch is, too
