"""Layers x filters x images as tasks: which layers, which filters, what size, and keys that know what they depend on."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from reportgen.compute.planning import plan
from reportgen.core.errors import UsageError
from reportgen.core.records import ImageRecord, InputContract, LayerRecord, Task
from reportgen.core.settings import Settings

PATHS = ["stem/conv", "block1/conv1", "block1/conv2", "block2/conv1", "block2/conv1@2"]


def left(chosen: dict[str, str | None]) -> list[str]:
    return [path for path, reason in chosen.items() if reason is None]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), PATHS),
        (("block1/*",), (), ["block1/conv1", "block1/conv2"]),
        (("*/conv1",), (), ["block1/conv1", "block2/conv1"]),
        (("*conv1*",), ("*@2",), ["block1/conv1", "block2/conv1"]),
        (("stem/conv", "block?/conv2"), (), ["stem/conv", "block1/conv2"]),
        ((), ("block[12]/*",), ["stem/conv"]),
        (("block2/conv1@2",), (), ["block2/conv1@2"]),
    ],
)
def test_globs_are_matched_on_the_whole_path(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    chosen = plan.choose_layers(PATHS, include, exclude)
    assert list(chosen) == PATHS
    assert left(chosen) == expected


def test_a_layer_that_is_left_out_has_the_option_as_its_reason() -> None:
    chosen = plan.choose_layers(PATHS, ("block1/*",), ("*/conv2",))
    assert "--layers" in str(chosen["stem/conv"])
    assert "--exclude" in str(chosen["block1/conv2"])


@pytest.mark.parametrize("option", ["--layers", "--exclude"])
def test_a_glob_that_matches_nothing_is_refused_and_the_layers_are_named(option: str) -> None:
    globs = {"--layers": ("block1/*", "conv"), "--exclude": ("conv",)}[option]
    include, exclude = (globs, ()) if option == "--layers" else ((), globs)
    with pytest.raises(UsageError, match=f"^{option} conv matches no") as caught:
        plan.choose_layers(PATHS, include, exclude)
    for path in PATHS:
        assert path in str(caught.value)


def test_globs_mind_upper_and_lower_case() -> None:
    with pytest.raises(UsageError, match="matches no"):
        plan.choose_layers(PATHS, ("STEM/*",), ())


def test_excluding_everything_is_refused() -> None:
    with pytest.raises(UsageError, match="leave no layer"):
        plan.choose_layers(PATHS, (), ("*",))


CONTRACT = InputContract((64, 64, 3), (64, 64), "crop", 0.0, 255.0, "unit", "default", None)


def layer(path: str, filters: int = 16, **changes: Any) -> LayerRecord:
    record = LayerRecord(
        path=path,
        name=path,
        slug=path,
        layer_class="Conv2D",
        status="rendered",
        reason=None,
        unit=path,
        kernel_shape=(3, 3, 3, filters),
        strides=(1, 1),
        dilation=(1, 1),
        groups=1,
        padding="same",
        output_shape=(64, 64, filters),
        receptive_field=(3, 3),
        receptive_field_note=None,
        parameters=1,
        activation="relu",
        rectified=True,
        kernel_bands=None,
        filters_total=filters,
        filters_shown=tuple(range(filters)),
        pattern_size=(64, 64),
        macs=1_000_000,
    )
    return msgspec.structs.replace(record, **changes)


LAYERS = (layer("a"), layer("b", 20, macs=3_000_000), layer("c", status="skipped", reason="left out"))


def image(name: str, shown: bool = True) -> ImageRecord:
    return ImageRecord(f"{name}.png", name, f"sha-{name}", 10, 10, shown)


IMAGES = (image("cat"), image("dog"), image("many", shown=False))


@pytest.mark.parametrize(
    ("filters", "total", "expected"),
    [
        ("0-1,18", 16, "a has 16 filters: of --filters 0-1,18, 1 does not exist and is left out."),
        ("0,17-18", 16, "a has 16 filters: of --filters 0,17-18, 2 do not exist and are left out."),
        ("0-1", 1, "a has 1 filter: of --filters 0-1, 1 does not exist and is left out."),
    ],
)
def test_filter_numbers_that_some_layers_lack_are_noted_there(filters: str, total: int, expected: str) -> None:
    assert plan.check_filters(Settings(filters=filters), (layer("a", total), *LAYERS[1:])) == (expected,)


def test_filter_numbers_that_no_layer_has_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no layer has a filter 20.*0 to 19"):
        plan.check_filters(Settings(filters="20,30"), LAYERS)
    assert plan.check_filters(Settings(filters="19,30"), LAYERS)


@pytest.mark.parametrize("filters", ["all", "500"])
def test_a_count_above_what_a_layer_has_is_no_note(filters: str) -> None:
    assert plan.check_filters(Settings(filters=filters), LAYERS) == ()


@pytest.mark.parametrize(
    ("shape", "field", "size", "expected"),
    [
        ((64, 48, 3), (3, 3), "auto", (64, 48)),
        ((64, 64, 3), (3, 3), "64", (64, 64)),
        ((None, None, 3), (3, 3), "auto", (64, 64)),
        ((None, None, 3), (33, 47), "auto", (96, 96)),
        ((None, None, 3), (32, 49), "auto", (64, 128)),
        ((None, None, 3), (500, 500), "auto", (224, 224)),
        ((None, None, 3), None, "auto", (224, 224)),
        ((None, None, 3), (500, 500), "50", (50, 50)),
        ((None, 48, 3), (500, 500), "auto", (224, 48)),
    ],
)
def test_patterns_have_the_inputs_size_where_fixed_else_twice_the_receptive_field(
    shape: tuple[int | None, int | None, int], field: tuple[int, int] | None, size: str, expected: tuple[int, int]
) -> None:
    contract = dataclasses.replace(CONTRACT, shape=shape)
    assert plan.pattern_size(contract, field, Settings(size=size)) == expected


def test_another_size_on_a_fixed_input_is_refused() -> None:
    with pytest.raises(UsageError, match="--size 32: this model's input is fixed at 64"):
        plan.pattern_size(CONTRACT, (3, 3), Settings(size="32"))


@pytest.mark.parametrize(
    ("picture_bytes", "memory", "filters", "expected"),
    [
        (10**6, 2**31, 64, 16),
        (10**8, 2**30, 64, 10),
        (10**9, 2**31, 64, 2),
        (10**12, 1, 64, 1),
        (0, 1, 64, 1),
        (10**6, 2**31, 4, 4),
        (10**6, 2**31, 20, 10),
        (10**6, 2**31, 1, 1),
        (10**6, 2**31, 0, 1),
    ],
)
def test_batches_fit_memory_and_share_filters_evenly(
    picture_bytes: int, memory: int, filters: int, expected: int
) -> None:
    assert plan.batch_size(picture_bytes, memory, filters) == expected


def test_natural_crops_are_counted_as_the_contract_says() -> None:
    assert plan.natural_crop_count(1) == 1 + 25
    assert plan.natural_crop_count(8) == 8 * 26
    assert plan.natural_crop_count(9) == 9 * (1 + 4)


RECIPE = {"steps": 10, "rate": 0.1, "decorrelation": "imagenet", "restarts": 1, "strongest_steps": 5}


def tasks(**changes: Any) -> tuple[Task, ...]:
    values: dict[str, Any] = {
        "layers": LAYERS,
        "images": IMAGES,
        "contract": CONTRACT,
        "identity": {"weights": "ff", "tensorflow": "2"},
        "recipe": RECIPE,
        "seed": 0,
        "batches": {"a": 8, "b": 8},
        "classes": ("x", "y"),
        "feed_key": "",
    }
    return plan.plan_tasks(plan.TaskFacts(**{**values, **changes}))


def test_every_layer_image_and_filter_has_its_task_in_order() -> None:
    made = tasks()
    assert [(task.kind, task.layer, task.image, task.filters) for task in made] == [
        ("image", "", "cat", ()),
        ("image", "", "dog", ()),
        ("weights", "a", "", ()),
        ("weights", "b", "", ()),
        ("feature_maps", "a", "cat", ()),
        ("feature_maps", "b", "cat", ()),
        ("feature_maps", "a", "dog", ()),
        ("feature_maps", "b", "dog", ()),
        ("natural", "a", "", ()),
        ("natural", "b", "", ()),
        ("patterns", "a", "", tuple(range(8))),
        ("patterns", "a", "", tuple(range(8, 16))),
        ("patterns", "b", "", tuple(range(8))),
        ("patterns", "b", "", tuple(range(8, 16))),
        ("patterns", "b", "", tuple(range(16, 20))),
    ]
    assert len({task.key for task in made}) == len(made)
    assert all(task.cost > 0 for task in made)
    assert tasks() == made


def test_without_images_there_are_weights_and_patterns_only() -> None:
    assert {task.kind for task in tasks(images=())} == {"weights", "patterns"}


def test_what_filters_like_least_is_a_task_of_its_own_beside_what_they_like_most() -> None:
    both, most = tasks(negative=True), tasks()
    assert [task for task in both if task.kind != "minimal_patterns"] == list(most)
    paired = [task for task in both if task.kind in ("patterns", "minimal_patterns")]
    for first, second in zip(paired[::2], paired[1::2], strict=True):
        assert (first.kind, second.kind) == ("patterns", "minimal_patterns")
        assert (first.layer, first.filters, first.cost) == (second.layer, second.filters, second.cost)
    assert len({task.key for task in both}) == len(both)


def test_starts_and_the_search_for_the_strongest_response_cost_their_steps() -> None:
    def cost(**changes: int) -> float:
        return sum(task.cost for task in tasks(recipe={**RECIPE, **changes}) if task.kind == "patterns")

    assert cost(restarts=3) - cost() == pytest.approx(
        2 * (cost(restarts=2) - cost())
    )  # every start has an ascent of its own
    assert cost(restarts=2) > cost()
    assert cost(strongest_steps=15) == pytest.approx(cost(restarts=2))  # ten more steps, either way


def test_the_models_own_outputs_have_patterns_and_natural_maxima_only() -> None:
    classes = layer("logits", 5, labels=("a", "b"), filters_shown=(1, 3), output_shape=(1, 1, 5))
    made = tasks(layers=(*LAYERS, classes), batches={"a": 8, "b": 8, "logits": 8}, negative=True)
    assert [(task.kind, task.filters) for task in made if task.layer == "logits"] == [
        ("natural", ()),
        ("patterns", (1, 3)),
        ("minimal_patterns", (1, 3)),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"images": (*IMAGES, image("owl"))},
        {"contract": dataclasses.replace(CONTRACT, size=(32, 32))},
        {"contract": dataclasses.replace(CONTRACT, fit="pad")},
    ],
    ids=["one more image", "image size", "fit"],
)
def test_patterns_whose_bands_are_related_by_the_images_depend_on_them(changes: dict[str, Any]) -> None:
    def keys(decorrelation: str, **named: Any) -> set[str]:
        made = tasks(recipe={**RECIPE, "decorrelation": decorrelation}, negative=True, **named)
        return {task.key for task in made if task.kind in ("patterns", "minimal_patterns")}

    assert not keys("images") & keys("images", **changes)
    assert keys("imagenet") == keys("imagenet", **changes)
    assert keys("none") == keys("none", **changes)


KINDS = {"image", "weights", "feature_maps", "natural", "patterns"}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"seed": 1}, {"patterns"}),
        ({"recipe": {**RECIPE, "steps": 11}}, {"patterns"}),
        ({"recipe": {**RECIPE, "rate": 0.2}}, {"patterns"}),
        ({"recipe": {**RECIPE, "restarts": 2}}, {"patterns"}),
        ({"recipe": {**RECIPE, "decorrelation": "none"}}, {"patterns"}),
        ({"batches": {"a": 4, "b": 4}}, {"patterns"}),
        ({"images": (*IMAGES, image("owl"))}, {"natural"}),
        (
            {"images": (dataclasses.replace(IMAGES[0], sha256="changed"), *IMAGES[1:])},
            {"image", "feature_maps", "natural"},
        ),
        ({"classes": ("x", "z")}, {"image"}),
        ({"classes": None}, {"image"}),
        ({"contract": dataclasses.replace(CONTRACT, fit="pad")}, {"image", "feature_maps"}),
        ({"contract": dataclasses.replace(CONTRACT, size=(32, 32))}, {"image", "feature_maps"}),
        ({"contract": dataclasses.replace(CONTRACT, low=-1.0)}, KINDS - {"weights"}),
        ({"contract": dataclasses.replace(CONTRACT, high=1.0)}, KINDS - {"weights"}),
        ({"contract": dataclasses.replace(CONTRACT, preprocess="tf")}, KINDS - {"weights"}),
        ({"contract": dataclasses.replace(CONTRACT, reason="another", warning="words")}, set()),
        ({"feed_key": "changed"}, KINDS - {"weights"}),
        ({"identity": {"weights": "00", "tensorflow": "2"}}, KINDS),
        ({"identity": {"weights": "ff", "tensorflow": "3"}}, KINDS),
        (
            {"layers": (layer("a", pattern_size=(96, 96)), layer("b", 20, pattern_size=(96, 96)))},
            {"natural", "patterns"},
        ),
    ],
    ids=[
        *("seed", "steps", "rate", "restarts", "decorrelation"),
        *("batch", "one more image", "another image", "class names", "no class names", "fit"),
        *(
            "image size",
            "low",
            "high",
            "preprocess",
            "words",
            "preprocessing code",
            "weights",
            "version",
            "pattern size",
        ),
    ],
)
def test_a_key_changes_exactly_when_its_result_would(changes: dict[str, Any], kinds: set[str]) -> None:
    def keys(made: tuple[Task, ...]) -> dict[tuple[str, str, str, tuple[int, ...]], str]:
        return {(task.kind, task.layer, task.image, task.filters[:1]): task.key for task in made}

    before, after = keys(tasks()), keys(tasks(**changes))
    changed = {name[0] for name in before if name in after and before[name] != after[name]}
    kept = {name[0] for name in before if before[name] == after.get(name)}
    if "images" in changes and changes["images"][0].sha256 == "changed":
        kept -= {"image", "feature_maps"}  # the other image's tasks stay
    assert changed == kinds
    assert kept == KINDS - kinds


def test_other_filters_leave_whole_chunks_that_stay_the_same() -> None:
    few = {task.key for task in tasks(layers=(layer("a", filters_shown=tuple(range(8))),)) if task.kind == "patterns"}
    many = {task.key for task in tasks() if task.kind == "patterns" and task.layer == "a"}
    assert few < many
