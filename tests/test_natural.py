"""Natural maxima: the score of every crop of every image, recomputed in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plain_convolution import convolve
from reportgen.compute.activation_scores import Meter
from reportgen.compute.natural_maxima import natural_maxima
from reportgen.core.axes import border_width, inner_slices
from reportgen.inputs.images import natural_crops
from reportgen.network.backend import keras
from small_models import functional, layers, network, pictures, randomised


@pytest.mark.parametrize(("length", "expected"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 2), (100, 2)])
def test_the_border_left_out_is_at_most_two_and_never_everything(length: int, expected: int) -> None:
    assert border_width(length) == expected


@pytest.mark.parametrize(
    ("border", "times", "expected"),
    [(2, 0, "2:7,2:3,2:5"), (1, 0, "1:8,1:4,1:6"), (9, 1, "0:9,2:3,3:4"), (0, 0, "0:9,0:5,0:7")],
)
def test_every_axis_but_those_of_time_loses_its_border(border: int, times: int, expected: str) -> None:
    slices = inner_slices((9, 5, 7), border, times)
    assert ",".join(f"{one.start}:{one.stop}" for one in slices) == expected


def model(**settings: Any) -> tuple[Any, Any]:
    layer = layers.Conv2D(4, 3, padding="same", activation="relu", **settings)
    return randomised(functional(layer, shape=(10, 12, 3))), layer


def score(layer: Any, shown: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """float64 (n, filters) by definition; with a `floor` of minus infinity before the activation function."""
    kernel, bias = layer.get_weights()
    maps = np.maximum(convolve(shown / 255, kernel, bias, layer.strides, how="same"), floor)
    cuts = {2: 0, 4: 1, 10: 2, 12: 2}  # by definition: min(2, (n - 1) // 2)
    top, left = (cuts[length] for length in maps.shape[1:3])
    return np.asarray(maps[:, top : maps.shape[1] - top, left : maps.shape[2] - left].mean((1, 2)))


@pytest.mark.parametrize("strides", [1, 3, 6])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_score_is_the_mean_of_the_map_away_from_its_border(strides: int, count: int) -> None:
    made, layer = model(strides=strides)
    walked = network(made, preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (10, 12), 3)
    shown = pictures(count, 10, 12)
    (found,) = meter(shown)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, score(layer, shown), rtol=1e-4, atol=1e-6)
    assert meter.traces == 1


def test_a_score_does_not_depend_on_what_is_measured_beside_it() -> None:
    made, _ = model()
    walked = network(made, preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (10, 12), 3)
    shown = pictures(7, 10, 12)
    together = meter(shown)[0]
    for number in range(7):
        assert meter(shown[number : number + 1])[0].tobytes() == together[number : number + 1].tobytes()
    assert meter(shown[::-1])[0].tobytes() == together[::-1].tobytes()


def test_several_layers_are_measured_in_one_pass() -> None:
    stack = [layers.Conv2D(3, 3, name=f"c{number}") for number in range(3)]
    walked = network(randomised(functional(*stack)))
    together = Meter(walked, walked.layer_calls, (16, 16), 2)(pictures(3))
    for number, item in enumerate(walked.layer_calls):
        np.testing.assert_allclose(Meter(walked, [item], (16, 16), 2)(pictures(3))[0], together[number], rtol=1e-6)


def test_natural_maxima_and_minima_are_those_of_every_crop() -> None:
    made, layer = model()
    walked = network(made, preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (10, 12), 4)
    images = [pictures(1, 14, 20, seed=1)[0], pictures(1, 9, 30, seed=2)[0] // 4, pictures(1, 40, 12, seed=3)[0]]
    crops = [natural_crops(image, (10, 12), 5) for image in images]
    seen: list[int] = []
    ((arrays, facts),) = natural_maxima(meter, enumerate(crops), seen.append)
    assert seen == [0, 1, 2]
    assert facts == {"crops": 3 * 26}
    by_image = np.stack([score(layer, item) for item in crops])
    np.testing.assert_allclose(arrays["maximum"], by_image.max((0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(arrays["minimum"], by_image.min((0, 1)), rtol=1e-4, atol=1e-6)
    before = np.stack([score(layer, item, -np.inf) for item in crops])
    np.testing.assert_allclose(arrays["pre_minimum"], before.min((0, 1)), rtol=1e-4, atol=1e-6)
    assert (arrays["pre_minimum"] < arrays["minimum"]).any(), "a filter must fall silent, or the two say the same"
    assert arrays["best_image"].tolist() == by_image.max(1).argmax(0).tolist()
    kernel, bias = layer.get_weights()
    highest = np.stack([convolve(item / 255, kernel, bias, layer.strides, how="same").max((0, 1, 2)) for item in crops])
    np.testing.assert_allclose(arrays["peak"], np.maximum(highest.max(0), 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(arrays["pre_peak"], highest.max(0), rtol=1e-4, atol=1e-6)
    assert arrays["peak_image"].tolist() == np.maximum(highest, 0).argmax(0).tolist()
    assert {name: array.dtype for name, array in arrays.items()} == {
        "maximum": np.float32,
        "minimum": np.float32,
        "pre_minimum": np.float32,
        "best_image": np.int32,
        "peak": np.float32,
        "pre_peak": np.float32,
        "peak_image": np.int32,
    }


def test_a_rectifier_behind_a_nan_hides_nothing() -> None:
    """TensorFlow's fused convolution and rectifier would give 0, and the filter would look dead."""
    made, layer = model()
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.where(np.arange(4) == 1, np.nan, bias)])
    behind = layers.Conv2D(2, 1, activation="relu")
    whole = keras.Model(made.inputs[0], behind(made.outputs[0]))
    walked = network(whole, preprocess="unit")
    first, second = Meter(walked, walked.layer_calls, (10, 12), 4)(pictures(3, 10, 12))
    assert np.isnan(first).all(0).tolist() == [False, True, False, False]
    assert np.isnan(second).all()
    (alone,) = Meter(walked, walked.layer_calls[1:], (10, 12), 4)(pictures(3, 10, 12))
    assert np.isnan(alone).all()


def test_a_filter_that_is_not_finite_somewhere_has_no_natural_maximum_and_the_others_do() -> None:
    made, layer = model()
    kernel, bias = layer.get_weights()
    kernel[0, 0, 0, 2] = np.nan
    layer.set_weights([kernel, bias])
    walked = network(made, preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (10, 12), 4)
    ((arrays, _),) = natural_maxima(meter, [(0, pictures(3, 10, 12))], lambda number: None)
    assert np.isnan(arrays["maximum"]).tolist() == [False, False, True, False]
    assert np.isnan(arrays["minimum"]).tolist() == [False, False, True, False]
    for name in ("pre_minimum", "peak", "pre_peak"):
        assert np.isnan(arrays[name]).tolist() == [False, False, True, False]


def test_without_an_activation_function_the_lowest_score_is_the_same_before_and_after_it() -> None:
    walked = network(randomised(functional(layers.Conv2D(4, 3))), preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (16, 16), 4)
    ((arrays, _),) = natural_maxima(meter, [(0, pictures(3)), (1, pictures(2, seed=1))], lambda number: None)
    assert arrays["pre_minimum"].tobytes() == arrays["minimum"].tobytes()


def test_scores_before_the_activation_function_stand_beside_those_after_it() -> None:
    made, layer = model()
    walked = network(made, preprocess="unit")
    meter = Meter(walked, walked.layer_calls, (10, 12), 4)
    (found,) = meter.scores(pictures(6, 10, 12))
    before, after = found.pre_activation, found.activation
    np.testing.assert_allclose(before, score(layer, pictures(6, 10, 12), -np.inf), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after, score(layer, pictures(6, 10, 12)), rtol=1e-4, atol=1e-6)
    assert (before != after).any()
    assert meter.traces == 1
