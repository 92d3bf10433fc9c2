"""Two reports compared: permuted, folded, renamed, retrained and pruned networks are told apart, filter by filter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparison_reports import pictures, report_of
from reportgen.compare.compare import ROUNDING, compare_reports
from reportgen.compare.records import Comparison, LayerComparison
from reportgen.core.npz import pack, unpack
from reportgen.report.opened import Report
from small_models import functional, keras, randomised

layers = keras.layers
PERMUTED = {"stem": 8, "first": 12, "last": 10, "head": 6}
Make = Callable[..., Report]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes the report of a model, on the same two pictures unless others are given."""
    folder = tmp_path_factory.mktemp("reports")
    images = pictures(folder, 24)
    count = iter(range(1000))

    def report(model: Any, images: list[str] = images, **settings: Any) -> Report:
        return report_of(model, folder / f"report{next(count)}", images, **settings)

    return report


def unit(tensor: Any, filters: int, name: str, *, folded: bool, active: bool = True) -> Any:
    """Convolution, batch normalization and ReLU; `folded`: a bias instead of the normalization."""
    tensor = layers.Conv2D(filters, 3, padding="same", use_bias=folded, name=f"{name}_conv")(tensor)
    tensor = tensor if folded else layers.BatchNormalization(name=f"{name}_norm")(tensor)
    return layers.ReLU(name=f"{name}_relu")(tensor) if active else tensor


def network(*, folded: bool = False) -> Any:
    """A residual sum, a depthwise layer and a concatenation, so that channels of several layers must stay in one order."""
    entry = keras.Input((24, 24, 3), name="entry")
    stem = unit(entry, PERMUTED["stem"], "stem", folded=folded)
    first = unit(stem, PERMUTED["first"], "first", folded=folded)
    total = layers.Add(name="sum")([stem, unit(first, PERMUTED["stem"], "second", folded=folded, active=False)])
    deep = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="deep")(total)
    last = unit(deep, PERMUTED["last"], "last", folded=folded)
    head = unit(layers.Concatenate(name="both")([last, total]), PERMUTED["head"], "head", folded=folded)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(head)
    return keras.Model(entry, layers.Dense(3, activation="softmax", name="classes")(pooled), name="small")


@pytest.fixture(scope="module")
def model() -> Any:
    return randomised(network(), 1)


@pytest.fixture(scope="module")
def base(make: Make, model: Any) -> Report:
    return make(model)


def copied(model: Any) -> Any:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def changed(model: Any, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """A copy of a model with another kernel in one layer."""
    copy = copied(model)
    kernel, *others = copy.get_layer(name).get_weights()
    copy.get_layer(name).set_weights([change(kernel), *others])
    return copy


def noisy(kernel: np.ndarray) -> np.ndarray:
    return kernel + np.random.default_rng(3).normal(0, 0.1, kernel.shape)


def orders() -> dict[str, np.ndarray]:
    """The old number of each new filter."""
    random = np.random.default_rng(5)
    return {name: random.permutation(total) for name, total in PERMUTED.items()}


def permuted(model: Any) -> Any:
    """The same function with all channels in another order."""
    copy, order = copied(model), orders()
    both = np.concatenate([order["last"], PERMUTED["last"] + order["stem"]])
    for name, own, inputs in (
        ("stem", order["stem"], np.arange(3)),
        ("first", order["first"], order["stem"]),
        ("second", order["stem"], order["first"]),
        ("last", order["last"], order["stem"]),
        ("head", order["head"], both),
    ):
        kernel, *bias = copy.get_layer(f"{name}_conv").get_weights()
        copy.get_layer(f"{name}_conv").set_weights([kernel[:, :, inputs][..., own], *(each[own] for each in bias)])
        norm = copy.get_layer(f"{name}_norm")
        norm.set_weights([each[own] for each in norm.get_weights()])
    kernel, bias = copy.get_layer("deep").get_weights()
    copy.get_layer("deep").set_weights([kernel[:, :, order["stem"]], bias[order["stem"]]])
    kernel, bias = copy.get_layer("classes").get_weights()
    copy.get_layer("classes").set_weights([kernel[order["head"]], bias])
    return copy


def folded(model: Any) -> Any:
    """The same function without batch normalizations."""
    other = network(folded=True)
    for layer in other.layers:
        if layer.name.endswith("_conv"):
            norm = model.get_layer(layer.name.replace("_conv", "_norm"))
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            layer.set_weights([model.get_layer(layer.name).get_weights()[0] * scale, beta - mean * scale])
        elif layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return other


def by_path(comparison: Comparison) -> dict[str, LayerComparison]:
    return {layer.path: layer for layer in comparison.layers}


def statuses(comparison: Comparison) -> dict[str, str]:
    return {layer.path: str(layer.status) for layer in comparison.layers}


def affected(comparison: Comparison) -> list[str]:
    return [layer.path for layer in comparison.layers if layer.affected]


def old_numbers(layer: LayerComparison) -> list[int | None]:
    return [item.old_index for item in layer.filters]


def nothing_changed(comparison: Comparison) -> bool:
    filters = [item for layer in comparison.layers for item in layer.filters]
    return not affected(comparison) and all(
        item.weight_change == 0
        and item.bias_change == 0
        and (item.activation_change or 0) <= ROUNDING
        and item.match == 1
        for item in filters
    )


def test_a_report_is_identical_to_itself(base: Report) -> None:
    found = compare_reports(base, base)

    assert set(statuses(found).values()) == {"identical"}
    assert nothing_changed(found)
    assert found.unfair == ()
    assert (found.predictions_flipped, len(found.predictions)) == (0, 2)


@pytest.mark.parametrize("with_images", [True, False])
def test_permuted_channels_change_no_filter(make: Make, model: Any, base: Report, with_images: bool) -> None:
    other = permuted(model)
    found = compare_reports(base, make(other)) if with_images else compare_reports(make(model, []), make(other, []))

    assert set(statuses(found).values()) == {"permuted"}
    assert nothing_changed(found)
    assert old_numbers(by_path(found)["first_conv"]) == orders()["first"].tolist()
    assert old_numbers(by_path(found)["second_conv"]) == orders()["stem"].tolist()
    assert old_numbers(by_path(found)["deep"]) == orders()["stem"].tolist()


def test_zero_and_duplicated_filters_do_not_tear_the_order_of_a_sum(make: Make, model: Any) -> None:
    """Alone, a layer with filters that are alike has several orders that fit; the layers that it is added to have one."""

    def alike(kernel: np.ndarray) -> np.ndarray:
        kernel[..., [1, 4]] = 0
        kernel[..., 6] = kernel[..., 2]
        return kernel

    one = changed(model, "stem_conv", alike)
    norm = one.get_layer("stem_norm")
    norm.set_weights([np.ones(8), np.zeros(8), np.zeros(8), np.ones(8)])

    found = compare_reports(make(one, []), make(permuted(one), []))

    assert set(statuses(found).values()) == {"permuted"}
    assert nothing_changed(found)


def test_folded_normalizations_change_no_filter(make: Make, model: Any, base: Report) -> None:
    found = compare_reports(base, make(folded(model)))

    assert statuses(found) == {
        "stem_conv": "folded", "first_conv": "folded", "second_conv": "folded", "deep": "identical", "last_conv": "folded",
        "head_conv": "folded",
    }  # fmt: skip
    assert nothing_changed(found)
    assert nothing_changed(compare_reports(make(permuted(model)), make(folded(model))))


def test_a_retrained_layer_is_named_and_what_follows_is_affected(make: Make, model: Any, base: Report) -> None:
    found = compare_reports(base, make(changed(model, "first_conv", noisy)))

    assert [path for path, status in statuses(found).items() if status != "identical"] == ["first_conv"]
    assert affected(found) == ["second_conv", "deep", "last_conv", "head_conv"]
    kernel = model.get_layer("first_conv").get_weights()[0]
    expected = np.linalg.norm((noisy(kernel) - kernel)[..., 7]) / np.linalg.norm(kernel[..., 7])
    assert by_path(found)["first_conv"].filters[7].weight_change == pytest.approx(expected, rel=1e-5)
    assert all(item.old_index == item.index for item in by_path(found)["first_conv"].filters)


def test_a_layer_drawn_anew_is_named_alone_and_its_filters_are_new(make: Make, model: Any, base: Report) -> None:
    def redrawn(kernel: np.ndarray) -> np.ndarray:
        return np.random.default_rng(11).normal(0, 0.3, kernel.shape)

    found = compare_reports(make(model, []), make(changed(model, "last_conv", redrawn), []))

    assert [path for path, status in statuses(found).items() if status != "identical"] == ["last_conv"]
    assert affected(found) == ["head_conv"]
    last = by_path(found)["last_conv"]
    assert old_numbers(last) == [None] * 10
    assert last.gone == tuple(range(10))


def test_only_normalization_statistics_changed(make: Make, model: Any, base: Report) -> None:
    other = copied(model)
    norm = other.get_layer("last_norm")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma, beta + np.eye(10)[4], mean, variance])

    layer = by_path(compare_reports(base, make(other)))["last_conv"]

    assert layer.status == "changed"
    assert [item.index for item in layer.changed] == [4]
    assert layer.filters[4].weight_change == 0
    assert layer.filters[4].bias_change == pytest.approx(1, rel=1e-5)


def test_filters_set_to_zero_are_the_ones_that_changed(make: Make, model: Any, base: Report) -> None:
    def without(kernel: np.ndarray) -> np.ndarray:
        kernel[..., [2, 5]] = 0
        return kernel

    layer = by_path(compare_reports(base, make(changed(model, "last_conv", without))))["last_conv"]

    assert [(item.index, item.old_index, item.weight_change) for item in layer.changed] == [(2, 2, 1), (5, 5, 1)]


@pytest.mark.parametrize("with_images", [True, False])
def test_pruned_filters_are_the_ones_that_are_gone(make: Make, with_images: bool) -> None:
    def stack(filters: int) -> Any:
        return functional(
            layers.Conv2D(6, 3, activation="relu", name="one"),
            layers.Conv2D(filters, 3, activation="relu", name="two"),
            layers.Conv2D(5, 3, name="three"),
            shape=(24, 24, 3),
        )

    old, new = randomised(stack(12), 2), stack(9)
    kept = [0, 1, 3, 4, 5, 6, 8, 9, 11]
    new.get_layer("one").set_weights(old.get_layer("one").get_weights())
    kernel, bias = old.get_layer("two").get_weights()
    new.get_layer("two").set_weights([kernel[..., kept], bias[kept]])
    kernel, bias = old.get_layer("three").get_weights()
    new.get_layer("three").set_weights([kernel[:, :, kept], bias])
    reports = (make(old), make(new)) if with_images else (make(old, []), make(new, []))

    found = by_path(compare_reports(*reports))

    assert {path: str(layer.status) for path, layer in found.items()} == {
        "one": "identical",
        "two": "reshaped",
        "three": "reshaped",
    }
    assert found["two"].gone == (2, 7, 10)
    assert old_numbers(found["two"]) == kept
    assert found["two"].changed == ()
    assert found["three"].changed == ()  # on the channels that are left its filters are the same


def turned(
    model: Any, name: str, following: str, *, filters: int, axis: int = -1, inputs: int = -2, groups: int = 1
) -> tuple[Any, list[int]]:
    """A copy with the filters of one layer, and the input channels of the next, in another order."""
    copy, random = copied(model), np.random.default_rng(7)
    each = filters // groups
    order = np.concatenate([group * each + random.permutation(each) for group in range(groups)])
    weights = copy.get_layer(name).get_weights()
    copy.get_layer(name).set_weights([*weights[:-2], np.take(weights[-2], order, axis), weights[-1][order]])
    weights = copy.get_layer(following).get_weights()
    copy.get_layer(following).set_weights([np.take(weights[0], order, inputs), *weights[1:]])
    return copy, order.tolist()


def plain(name: str, filters: int, kind: Any = layers.Conv2D, **options: Any) -> Any:
    return kind(filters, 3, padding="same", name=name, **{"activation": "relu", **options})


@pytest.mark.parametrize(
    ("stack", "shape", "turn"),
    [
        ([plain("a", 8, layers.Conv1D), plain("b", 4, layers.Conv1D)], (24, 3), {}),
        ([plain("a", 8, layers.Conv3D), plain("b", 4, layers.Conv3D)], (8, 8, 8, 2), {}),
        ([plain("a", 8, layers.Conv2DTranspose), plain("b", 4)], (24, 24, 3), {"axis": -2}),
        ([plain("a", 8), plain("b", 4, layers.Conv2DTranspose)], (24, 24, 3), {"inputs": -1}),
        ([plain("a", 8, layers.SeparableConv2D), plain("b", 4, layers.SeparableConv2D)], (24, 24, 3), {}),
        ([plain("a", 8), plain("b", 4, groups=2)], (24, 24, 3), {"groups": 2, "grouped": True}),
        (
            [plain("a", 8), layers.MaxPooling2D(), layers.ZeroPadding2D(), layers.UpSampling2D(), plain("b", 4)],
            (24, 24, 3),
            {},
        ),
    ],
    ids=["1-D", "3-D", "transposed", "to transposed", "separable", "grouped", "pooling and padding"],
)
def test_every_kind_of_kernel_is_followed(
    make: Make, stack: Sequence[Any], shape: tuple[int, ...], turn: dict[str, Any]
) -> None:
    old = randomised(functional(*stack, shape=shape), 3)
    options = dict(turn)
    grouped = options.pop("grouped", False)
    if grouped:
        copy, order = _turned_groups(old)
    else:
        copy, order = turned(old, "a", "b", filters=8, **options)
    if (
        len(stack) == 2 and stack[1].__class__ is layers.SeparableConv2D
    ):  # the pointwise kernel takes the depthwise one's channels
        weights = copy.get_layer("b").get_weights()
        copy.get_layer("b").set_weights([weights[0], weights[1][:, :, order], weights[2]])

    found = compare_reports(make(old, []), make(copy, []))

    assert statuses(found) == {"a": "permuted", "b": "permuted"}
    assert old_numbers(by_path(found)["a"]) == order
    assert nothing_changed(found)


def _turned_groups(model: Any) -> tuple[Any, list[int]]:
    """Channels in another order within two groups: each group's part of the next kernel has its own."""
    copy, random = copied(model), np.random.default_rng(7)
    orders = [random.permutation(4), random.permutation(4)]
    order = np.concatenate([orders[0], 4 + orders[1]])
    kernel, bias = copy.get_layer("a").get_weights()
    copy.get_layer("a").set_weights([kernel[..., order], bias[order]])
    kernel, bias = copy.get_layer("b").get_weights()
    parts = [kernel[:, :, own][..., 2 * group : 2 * group + 2] for group, own in enumerate(orders)]
    copy.get_layer("b").set_weights([np.concatenate(parts, -1), bias])
    return copy, order.tolist()


def shuffled() -> Any:
    return [
        plain("a", 8),
        layers.Reshape((24, 24, 2, 4)),
        layers.Permute((1, 2, 4, 3)),
        layers.Reshape((24, 24, 8)),
        plain("b", 4),
    ]


def test_channels_are_followed_through_a_channel_shuffle(make: Make) -> None:
    old = randomised(functional(*shuffled(), shape=(24, 24, 3)), 3)
    copy, order = turned(old, "a", "b", filters=8)
    place = np.arange(8).reshape(2, 4).T.reshape(-1)  # the channel of `a` behind each input channel of `b`
    kernel, bias = old.get_layer("b").get_weights()
    inputs = [int(np.flatnonzero(place == order[channel])[0]) for channel in place]
    copy.get_layer("b").set_weights([kernel[:, :, inputs], bias])

    found = compare_reports(make(old, []), make(copy, []))

    assert statuses(found) == {"a": "permuted", "b": "permuted"}


def test_what_cannot_be_followed_is_compared_in_the_given_order_and_says_so(make: Make) -> None:
    stack = [plain("a", 8), layers.Dense(8, name="mixed"), plain("b", 4)]
    old = randomised(functional(*stack, shape=(24, 24, 3)), 3)

    layer = by_path(compare_reports(make(old, []), make(changed(old, "b", noisy), [])))["b"]

    assert layer.notes == (
        "the channels could not be followed through the layers before it: its input channels were compared in the given order",
    )
    assert [item.old_index for item in layer.filters] == [0, 1, 2, 3]


def test_the_same_model_in_another_format_with_other_names_is_identical(
    make: Make, model: Any, base: Report, tmp_path: Path
) -> None:
    model.save(tmp_path / "other.h5")
    found = compare_reports(base, make(str(tmp_path / "other.h5")))
    assert set(statuses(found).values()) == {"identical"}
    assert nothing_changed(found)

    def count_on(first: int) -> Any:
        stack = [plain(f"conv2d_{number}", 4) for number in range(first, first + 3)]
        return randomised(functional(*stack, shape=(24, 24, 4)), 4)

    found = compare_reports(make(count_on(0), []), make(count_on(1), []))
    assert [(layer.old_path, layer.path) for layer in found.layers] == [
        (f"conv2d_{at}", f"conv2d_{at + 1}") for at in range(3)
    ]
    assert set(statuses(found).values()) == {"identical"}


def test_added_and_removed_layers_stand_where_they_are(make: Make) -> None:
    def stack(*names: str) -> Any:
        return randomised(functional(*(plain(name, 4) for name in names), shape=(24, 24, 4)), 4)

    old, new = stack("a", "b", "c"), stack("a", "x", "b", "c")
    for name in ("a", "b", "c"):
        new.get_layer(name).set_weights(old.get_layer(name).get_weights())

    there, back = compare_reports(make(old, []), make(new, [])), compare_reports(make(new, []), make(old, []))

    assert statuses(there) == {"a": "identical", "x": "added", "b": "identical", "c": "identical"}
    assert statuses(back) == {"a": "identical", "x": "removed", "b": "identical", "c": "identical"}
    assert affected(there) == affected(back) == ["b", "c"]


def test_layers_that_a_report_leaves_out_are_not_called_removed(make: Make, model: Any, base: Report) -> None:
    found = compare_reports(base, make(model, layers=("stem_conv", "head_conv")))

    assert [item.path for item in found.not_compared] == ["first_conv", "second_conv", "deep", "last_conv"]
    assert statuses(found) == {"stem_conv": "identical", "head_conv": "identical"}


def test_other_images_and_another_input_leave_weights_alone_to_compare(
    make: Make, model: Any, base: Report, tmp_path: Path
) -> None:
    other = compare_reports(base, make(model, pictures(tmp_path, 30)))
    fed = compare_reports(base, make(model, preprocess="none"))

    for found in (other, fed):
        assert found.images == ()
        assert all(item.activation_change is None for layer in found.layers for item in layer.filters)
    assert other.unfair == ("The reports have no image in common: weights and patterns alone are compared.",)
    assert fed.unfair == ("The preprocessing differs: unit, and now none; feature maps are not compared.",)


def test_flipped_predictions_are_counted(make: Make, model: Any, base: Report) -> None:
    other = copied(model)
    kernel, bias = other.get_layer("classes").get_weights()
    other.get_layer("classes").set_weights([kernel[:, ::-1], bias[::-1]])
    found = compare_reports(base, make(other))

    labels = [(image.predictions or ())[0].label for image in base.images]
    mirrored = {"output 0": "output 2", "output 1": "output 1", "output 2": "output 0"}
    assert [item.label for item in found.predictions] == [mirrored[label] for label in labels]
    assert found.predictions_flipped == sum(label != "output 1" for label in labels)


def test_class_names_alone_flip_no_prediction(make: Make, model: Any, base: Report, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\nhorse\n")

    found = compare_reports(base, make(model, classes=str(tmp_path / "classes.txt")))

    assert found.predictions_flipped == 0
    assert found.predictions[0].label in ("cat", "dog", "horse")


def test_without_kept_maps_weights_alone_are_compared_and_it_says_so(make: Make, model: Any, base: Report) -> None:
    found = compare_reports(base, make(permuted(model), keep_maps="none"))

    assert found.images == ()
    assert "keeps no feature maps" in found.unfair[-1]
    assert set(statuses(found).values()) == {"permuted"}


def test_another_stride_is_a_change_though_no_weight_changed(make: Make) -> None:
    def stack(strides: int) -> Any:
        return randomised(functional(plain("a", 4), plain("b", 4, strides=strides), shape=(24, 24, 3)), 3)

    layer = by_path(compare_reports(make(stack(1), []), make(stack(2), [])))["b"]

    assert (layer.status, layer.changed) == ("changed", ())
    assert [(fact.name, fact.old, fact.new) for fact in layer.facts] == [("strides", "(1, 1)", "(2, 2)")]


def test_every_call_of_a_shared_layer_and_a_nested_model_are_followed(make: Make) -> None:
    def nested() -> Any:
        shared = layers.Conv2D(8, 3, padding="same", activation="relu", name="shared")
        inner_entry = keras.Input((24, 24, 8))
        inner = keras.Model(inner_entry, shared(shared(inner_entry)), name="inner")
        entry = keras.Input((24, 24, 3))
        tensor = inner(layers.Conv2D(8, 3, padding="same", name="first")(entry))
        return keras.Model(entry, layers.Conv2D(4, 3, name="end")(tensor))

    old = randomised(nested(), 6)
    new, order = copied(old), np.random.default_rng(2).permutation(8)
    kernel, bias = new.get_layer("first").get_weights()
    new.get_layer("first").set_weights([kernel[..., order], bias[order]])
    kernel, bias = new.get_layer("inner").get_layer("shared").get_weights()
    new.get_layer("inner").get_layer("shared").set_weights([kernel[:, :, order][..., order], bias[order]])
    kernel, bias = new.get_layer("end").get_weights()
    new.get_layer("end").set_weights([kernel[:, :, order], bias])

    found = compare_reports(make(old), make(new))

    assert statuses(found) == dict.fromkeys(("first", "inner/shared", "inner/shared@2", "end"), "permuted")
    assert nothing_changed(found)


def test_a_report_without_the_weights_of_normalizations_is_compared_without_them(base: Report, tmp_path: Path) -> None:
    """As earlier versions wrote it: nothing is called folded or changed for that reason."""
    shutil.copytree(str(base.folder), tmp_path / "report")
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    for layer in document["layers"]:
        kept = {name: shape for name, shape in layer["weights"]["arrays"].items() if "normalization" not in name}
        path = tmp_path / "report" / layer["weights"]["array"]
        path.write_bytes(pack({name: array for name, array in unpack(path)[0].items() if name in kept}))
        layer["weights"]["arrays"], layer["channel_runs"] = kept, None
    (tmp_path / "report" / "report.json").write_text(json.dumps(document))

    found = compare_reports(Report.open(tmp_path / "report"), base)

    assert set(statuses(found).values()) == {"identical"}
    assert "were not compared" in str(by_path(found)["stem_conv"].notes)
    assert not affected(found)
