"""Checks of model health: each on a planted fault and on what is sound, on stored weights and records, without TensorFlow."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest

import report_fixture
from reportgen.artefacts.health.initializers import fit_initializer
from reportgen.artefacts.health.layer import LayerHealth
from reportgen.artefacts.layer_entry import LayerEntry
from reportgen.artefacts.predictions import ImageEntry, Prediction
from reportgen.core.axes import DEPTHWISE, PLAIN, TRANSPOSED
from reportgen.core.records import DiagramNode, Plan
from reportgen.report.assemble import assemble
from reportgen.report.health.inputs import predictions_check, preprocessing_check
from reportgen.report.health.record import Check
from reportgen.report.health.responses import constant_check, scale_check, silent_check

SAMPLES = Path(__file__).parents[1] / "sample_models"
Arrays = dict[str, np.ndarray]


def stored(name: str) -> list[tuple[Arrays, list[dict[str, Any]] | None]]:
    """Weights of every convolution of a sample model, and what the store has of the normalization behind it."""
    with zipfile.ZipFile(SAMPLES / name) as archive:
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    found: list[tuple[Arrays, list[dict[str, Any]] | None]] = []
    groups: dict[str, list[np.ndarray]] = {}
    weights.visititems(
        lambda path, item: (
            groups.setdefault(path.rsplit("/", 1)[0], []).append(item[()]) if isinstance(item, h5py.Dataset) else None
        )
    )
    for arrays in groups.values():
        if arrays[0].ndim == 4:
            found.append((dict(zip(("kernel", "bias"), arrays, strict=False)), []))
    normalizations = [arrays for arrays in groups.values() if len(arrays) == 4 and arrays[0].ndim == 1]
    for place, arrays in enumerate(normalizations):  # the order does not matter: each is a trained one, or none is
        found[place] = found[place][0], [normalization(*arrays)]
    return found


def normalization(gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    """What the store has of a batch normalization with these weights."""
    names = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    ranges = {
        name: {"minimum": float(values.min()), "maximum": float(values.max()), "count": values.size, "nonfinite": 0}
        for name, values in names.items()
    }
    return {"class": "BatchNormalization", "name": "bn", "weights": ranges}


def fresh(filters: int) -> dict[str, Any]:
    """What the store has of a batch normalization before training."""
    zeros, ones = np.zeros(filters), np.ones(filters)
    return normalization(ones, zeros, zeros, ones)


def health(
    folder: Path,
    layers: list[tuple[Arrays, list[dict[str, Any]] | None]],
    diagram: tuple[DiagramNode, ...] = (),
    **facts: Any,
) -> dict[str, dict[str, Any]]:
    """The checks in report.json of a stored run that has these weights and nothing else, by name; `facts` of every layer."""
    writer = report_fixture.Writer(folder)
    records = []
    for place, (arrays, normalizations) in enumerate(layers):
        kernel = arrays["kernel"]
        known = {} if normalizations is None else {"normalization": normalizations}
        writer.save("weights", f"ww-{place}", arrays, known, layer=f"conv{place}")
        filters = kernel.shape[-1]
        own = {"kernel_shape": kernel.shape, "filters_total": filters, "filters_shown": (0,), "pattern_size": None}
        records.append(report_fixture.layer(f"conv{place}", **{**own, **facts}))
    plan = report_fixture.make(folder / "other", images=False)
    writer.store.save_plan(
        replace(plan, layers=tuple(records), tasks=tuple(writer.tasks), images_left_out=(), notes=(), diagram=diagram)
    )
    assemble(folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {record["check"]: record for record in report["health"]}


def uniform(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A kernel as Glorot's uniform initializer makes it."""
    taps = int(np.prod(shape[:-2]))
    bound = sqrt(6 / (taps * (shape[-2] + shape[-1])))
    return np.random.default_rng(seed).uniform(-bound, bound, shape).astype(np.float32)


def test_the_sample_before_training_is_called_untrained_with_every_layer_named(tmp_path: Path) -> None:
    found = health(tmp_path, stored("galaxies_initial.keras"))[Check.UNTRAINED]
    assert found["status"] == "warning"
    assert "The network looks untrained" in found["sentence"]
    assert "all 5 layers" in found["sentence"]
    assert "Glorot uniform" in found["sentence"]
    assert found["layers"] == [f"conv{place}" for place in range(5)]


@pytest.mark.parametrize("name", ["galaxies.keras", "photos.keras"])
def test_no_check_of_weights_alarms_on_a_trained_sample(name: str, tmp_path: Path) -> None:
    layers = stored(name)
    found = health(tmp_path, layers)
    checks = [found[check] for check in (Check.FINITE, Check.UNTRAINED, Check.DUPLICATES, Check.STRIDES)]
    assert [record["status"] for record in checks] == ["ok"] * 4
    if name == "photos.keras":
        assert found[Check.NORMALIZATION]["status"] == "ok"


def test_initial_kernels_beside_biases_or_normalizations_that_moved_are_not_called_untrained(tmp_path: Path) -> None:
    kernel, rng = uniform((3, 3, 16, 32)), np.random.default_rng(1)
    moved = normalization(*(rng.uniform(0.9, 1.1, 32) for _ in range(4)))
    biased = {"kernel": kernel, "bias": rng.normal(0, 1e-3, 32).astype(np.float32)}
    found = health(tmp_path, [(biased, []), ({"kernel": kernel}, [moved])])
    assert found[Check.UNTRAINED]["status"] == "ok"


def test_of_a_network_that_is_partly_trained_the_untrained_layers_alone_are_named(tmp_path: Path) -> None:
    trained, initial = stored("galaxies.keras")[:2], stored("galaxies_initial.keras")[2:]
    found = health(tmp_path, [*trained, *initial])[Check.UNTRAINED]
    assert "Part of the network" in found["sentence"]
    assert found["layers"] == ["conv2", "conv3", "conv4"]


def test_kernels_alone_tell_only_where_no_layer_is_trained_and_their_distribution_has_an_edge(tmp_path: Path) -> None:
    bare = [({"kernel": uniform((3, 3, 24, 32), seed)}, []) for seed in range(2)]
    normal = np.random.default_rng(0).normal(0, 0.05, (3, 3, 24, 32)).astype(np.float32)
    assert health(tmp_path / "a", bare)[Check.UNTRAINED]["status"] == "warning"
    trained = stored("galaxies.keras")[1]
    assert health(tmp_path / "b", [*bare, trained])[Check.UNTRAINED]["status"] == "ok"
    assert health(tmp_path / "c", [({"kernel": normal}, [])])[Check.UNTRAINED]["status"] == "unknown"


def test_small_pruned_and_fixed_kernels_are_not_called_untrained(tmp_path: Path) -> None:
    small = {"kernel": uniform((3, 3, 1, 8)), "bias": np.zeros(8, np.float32)}
    assert health(tmp_path / "a", [(small, [])])[Check.UNTRAINED]["status"] == "unknown"
    pruned = uniform((3, 3, 16, 32))
    pruned[np.abs(pruned) < np.median(np.abs(pruned))] = 0
    assert (
        health(tmp_path / "b", [({"kernel": pruned, "bias": np.zeros(32, np.float32)}, [])])[Check.UNTRAINED]["status"]
        == "ok"
    )
    mean = np.full((3, 3, 640, 1), 1 / 9, np.float32)
    found = health(tmp_path / "c", [({"kernel": mean}, [])], kernel_kind="depthwise", filters_total=640)
    assert found[Check.UNTRAINED]["status"] == "unknown"


def test_batch_statistics_at_their_start_are_found_and_old_stores_say_nothing_of_them(tmp_path: Path) -> None:
    kernel = {"kernel": stored("galaxies.keras")[1][0]["kernel"]}
    found = health(tmp_path / "a", [(kernel, [fresh(24)])])[Check.NORMALIZATION]
    assert found["status"] == "warning"
    assert "1 of 1 batch normalization" in found["sentence"]
    assert health(tmp_path / "b", [(kernel, None)])[Check.NORMALIZATION]["status"] == "unknown"
    assert Check.NORMALIZATION not in health(tmp_path / "c", [(kernel, [])])


def test_a_weight_that_is_not_a_number_is_found(tmp_path: Path) -> None:
    kernel = np.array(stored("galaxies.keras")[1][0]["kernel"])
    kernel[0, 0, 0, 0] = np.nan
    found = health(tmp_path, [({"kernel": kernel}, [])])[Check.FINITE]
    assert (found["status"], found["layers"]) == ("warning", ["conv0"])


def test_repeated_and_zero_filters_are_counted_apart(tmp_path: Path) -> None:
    kernel = np.array(stored("galaxies.keras")[1][0]["kernel"])  # 24 filters
    kernel[..., 5], kernel[..., 7], kernel[..., 9] = 3 * kernel[..., 2], 0, 0
    found = health(tmp_path, [({"kernel": kernel}, [])])[Check.DUPLICATES]
    assert found["status"] == "warning"
    assert "1 of 24 filters repeats another of the same layer, and the kernels of 2 are zero" in found["sentence"]
    assert found["evidence"][0]["filters"] == [2, 5, 7, 9]


def test_one_pair_in_a_wide_layer_is_stated_and_no_warning(tmp_path: Path) -> None:
    kernel = np.array(stored("galaxies.keras")[4][0]["kernel"])  # 64 filters
    kernel[..., 5] = kernel[..., 2]
    found = health(tmp_path, [({"kernel": kernel}, [])])[Check.DUPLICATES]
    assert (found["status"], found["evidence"][0]["filters"]) == ("ok", [2, 5])


def test_kernels_of_other_channels_and_tiny_kernels_are_no_duplicates(tmp_path: Path) -> None:
    same = np.repeat(np.random.default_rng(0).normal(size=(3, 3, 1, 1)), 8, axis=2).astype(np.float32)
    depthwise = health(tmp_path / "a", [({"kernel": same}, [])], kernel_kind="depthwise", filters_total=8)
    assert depthwise[Check.DUPLICATES]["status"] == "ok"
    rng = np.random.default_rng(0)
    for inputs in (1, 2, 3):
        point = rng.normal(size=(1, 1, inputs, 64)).astype(np.float32)
        found = health(tmp_path / str(inputs), [({"kernel": point}, [])])
        assert found[Check.DUPLICATES]["evidence"] == []


@pytest.mark.parametrize(("size", "status"), [(3, "warning"), (4, "ok"), (2, "ok")])
def test_a_transposed_convolution_whose_stride_does_not_divide_its_kernel_is_named(
    size: int, status: str, tmp_path: Path
) -> None:
    kernel = np.random.default_rng(0).normal(size=(size, size, 4, 6)).astype(np.float32)
    found = health(tmp_path, [({"kernel": kernel}, [])], kernel_kind=TRANSPOSED, strides=(2, 2), filters_total=4)
    assert found[Check.STRIDES]["status"] == status


@pytest.mark.parametrize(("second", "status"), [(1, "warning"), (3, "ok")])
def test_skipped_positions_count_where_no_other_layer_reads_them(second: int, status: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = ((1, 1, 4, 6), (second, second, 4, 6))
    layers = [({"kernel": rng.normal(size=shape).astype(np.float32)}, []) for shape in shapes]
    nodes = (
        DiagramNode("0", "input", "", "Input", (8, 8, 4), ()),
        DiagramNode("1", "convolution", "conv0", "Conv2D", (4, 4, 6), ("0",)),
        DiagramNode("2", "convolution", "conv1", "Conv2D", (4, 4, 6), ("0",)),
    )
    found = health(tmp_path, layers, nodes, strides=(2, 2))[Check.STRIDES]
    assert (found["status"], len(found["layers"])) == (status, 2 if status == "warning" else 0)


def draw(distribution: str, variance: float, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel of independent entries."""
    rng = np.random.default_rng(0)
    if distribution == "uniform":
        return rng.uniform(-sqrt(3 * variance), sqrt(3 * variance), shape).astype(np.float32)
    numbers = rng.normal(size=4 * int(np.prod(shape)))
    if distribution == "truncated":
        numbers = numbers[np.abs(numbers) < 2] / 0.87962566103423978
    return (sqrt(variance) * numbers[: int(np.prod(shape))]).reshape(shape).astype(np.float32)


@pytest.mark.parametrize("distribution", ["uniform", "truncated", "normal"])
@pytest.mark.parametrize(
    ("name", "variance"),
    [("Glorot", 2 / (9 * 64)), ("He", 2 / (9 * 24)), ("LeCun", 1 / (9 * 24)), ("He (fan out)", 2 / (9 * 40))],
)
def test_every_initializer_of_the_literature_is_recognized_by_name(
    distribution: str, name: str, variance: float
) -> None:
    fit = fit_initializer(draw(distribution, variance, (3, 3, 24, 40)), PLAIN)
    assert f"{name} {'uniform' if distribution == 'uniform' else 'normal'}" in fit.names


def test_the_default_of_pytorch_is_recognized_in_a_depthwise_kernel() -> None:
    kernel = draw("uniform", 1 / (3 * 9), (3, 3, 64, 1))
    assert "PyTorch default" in fit_initializer(kernel, DEPTHWISE).names


@pytest.mark.parametrize("trace", ["means", "lengths", "one direction"])
def test_normal_entries_that_depend_on_each_other_are_no_initializers(trace: str) -> None:
    kernel, signs = draw("normal", 1.0, (3, 3, 24, 40)), np.random.default_rng(1).choice([-1, 1], (2, 216))
    filters, inputs = signs[0, :40], signs[1].reshape(3, 3, 24, 1)
    changed = {
        "means": kernel + 0.15 * filters,
        "lengths": kernel * (1 + 0.15 * filters),
        "one direction": kernel + 0.2 * inputs * filters,
    }
    assert fit_initializer(kernel, PLAIN).distribution is not None
    assert fit_initializer(changed[trace].astype(np.float32), PLAIN).distribution is None


def test_one_weight_beyond_the_bound_is_enough_to_deny_an_initializers_name() -> None:
    kernel = draw("uniform", 2 / (9 * 64), (3, 3, 24, 40))
    assert "Glorot uniform" in fit_initializer(kernel, PLAIN).names
    kernel[0, 0, 0, 0] = 1.001 * sqrt(6 / (9 * 64))
    assert fit_initializer(kernel, PLAIN).names == ()


def entry(path: str, *, total: int = 16, activation: str = "relu", **known: Any) -> LayerEntry:
    """A layer whose health is known as far as `known` says."""
    facts = report_fixture.layer(path, filters_total=total, activation=activation).facts()
    nothing = {
        **{
            "start": "untested",
            "initializers": (),
            "biases_at_start": None,
            "normalizations": None,
            "weight_rms": None,
        },
        **{"duplicates": None, "zero_filters": (), "judged": 0, "silent_filters": (), "silent_share": None},
        **{"activation_median": None, "natural_maximum_median": None, "map_zero_fraction": None, "map_scale": None},
        **{"constant_maps": None, "saturated_fraction": None},
    }
    record = LayerHealth(**{**nothing, **known})
    names = {name: facts["layer_class" if name == "class" else name] for name in facts if name != "class"}
    empty = {field.name: None for field in msgspec.structs.fields(LayerEntry)}
    return LayerEntry(
        **{**empty, **names, "layer_class": "Conv2D", "verdicts": {}, "feature_maps": (), "health": record}
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return report_fixture.make(tmp_path_factory.mktemp("plan"))


@pytest.mark.parametrize(
    ("silent", "judged", "total", "status"),
    [
        (4, 16, 16, "warning"),
        (3, 16, 16, "ok"),
        (1, 4, 512, "ok"),
        (4, 4, 512, "warning"),
        (8, 32, 512, "ok"),
        (14, 32, 512, "warning"),
    ],
)
def test_a_silent_share_alarms_by_what_a_sample_proves(silent: int, judged: int, total: int, status: str) -> None:
    layer = entry("conv", total=total, judged=judged, silent_filters=tuple(range(silent)), silent_share=silent / judged)
    found = silent_check([layer, entry("sound", judged=judged)])
    assert found is not None
    assert found.status == status
    assert f"{silent} of {2 * judged} filters" in found.sentence
    assert found.layers == (("conv",) if status == "warning" else ())


def test_without_patterns_nothing_is_said_of_silent_filters() -> None:
    found = silent_check([entry("conv")])
    assert found is not None
    assert found.status == "unknown"


def test_constant_and_saturated_layers_are_named_and_a_last_sigmoid_is_not(plan: Plan) -> None:
    layers = [
        entry("sound", constant_maps=(1, 2, 3)),
        entry("constant", constant_maps=tuple(range(15))),
        entry("gate", saturated_fraction=0.95, activation="sigmoid"),
        entry("mask", saturated_fraction=0.99, activation="sigmoid"),
    ]
    nodes = (
        DiagramNode("0", "convolution", "gate", "Conv2D", (4, 4, 6), ()),
        DiagramNode("1", "convolution", "mask", "Conv2D", (4, 4, 6), ("0",)),
        DiagramNode("2", "output", "", "Output", (4, 4, 6), ("1",)),
    )
    found = constant_check(replace(plan, diagram=nodes), layers)
    assert found is not None
    assert (found.status, found.layers) == ("warning", ("constant", "gate"))
    sound = constant_check(plan, layers[:1])
    assert sound is not None
    assert (sound.status, "3 of 16 maps" in sound.sentence) == ("ok", True)


@pytest.mark.parametrize(
    ("scales", "status", "word"),
    [
        ((700.0, 2300.0, 51.0), "ok", "neither"),
        ((1.0, 30.0, 2e4), "warning", "explodes"),
        ((1.0, 0.01, 5e-5), "warning", "vanishes"),
        ((1e4, 7e4), "warning", "float16"),
        ((1e-5, 5e-5), "warning", "float16"),
    ],
)
def test_the_scale_over_depth_alarms_at_four_orders_of_magnitude_and_at_the_ends_of_float16(
    scales: tuple[float, ...], status: str, word: str, plan: Plan
) -> None:
    found = scale_check(plan, [entry(f"conv{place}", map_scale=scale) for place, scale in enumerate(scales)])
    assert found is not None
    assert found.status == status
    assert word in found.sentence


def image(name: str, *probabilities: float) -> ImageEntry:
    """An image with predictions of classes a, b, c, …"""
    ranked = sorted(zip("abcde", probabilities, strict=False), key=lambda pair: -pair[1])
    return ImageEntry(
        name=name, slug=name, sha256=name, width=8, height=8, lengths=(8, 8), colour_profile=None, shown=True,
        predictions=tuple(Prediction(label=label, probability=value) for label, value in ranked) or None,
        predictions_note=None, outputs=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("images", "status", "words"),
    [
        ([(0.9, 0.06, 0.04), (0.9, 0.06, 0.04)], "warning", "same prediction"),
        ([(0.34, 0.33, 0.33), (0.33, 0.34, 0.33)], "warning", "no clearer than chance"),
        ([(0.30, 0.36, 0.34), (0.36, 0.30, 0.34)], "warning", "no clearer than chance"),
        ([(0.999, 0.0007, 0.0003), (0.9993, 0.0001, 0.0006)], "ok", "predicted as a"),
        ([(0.7, 0.2, 0.1), (0.1, 0.2, 0.7)], "ok", "2 classes"),
        ([(0.7, 0.2, 0.1)], "unknown", "a single image"),
        ([], "unknown", "no images"),
    ],
)
def test_predictions_that_do_not_depend_on_the_image_are_told_from_sure_ones(
    images: list[tuple[float, ...]], status: str, words: str, plan: Plan
) -> None:
    found = predictions_check(plan, [image(f"i{place}", *each) for place, each in enumerate(images)])
    assert found.status == status
    assert words in found.sentence


def test_a_guessed_preprocessing_is_a_warning(plan: Plan) -> None:
    assert preprocessing_check(plan.contract).status == "warning"
    assert preprocessing_check(replace(plan.contract, warning=None)).status == "ok"


def test_evidence_links_to_layers_and_to_the_filters_that_have_a_card(tmp_path: Path) -> None:
    kernel = np.array(stored("galaxies.keras")[1][0]["kernel"])
    kernel[..., 0] = kernel[..., 2]
    health(tmp_path, [({"kernel": kernel}, [])])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    section = page[page.index('id="health"') : page.index('id="model"')]
    assert 'href="layers/conv0.html#f000"' in section
    assert "#f002" not in section  # not shown
