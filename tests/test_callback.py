"""Reports while a model trains: training is the same with and without them, whatever becomes of them."""

from __future__ import annotations

import gc
import random
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen
from reportgen.core.errors import ReportgenError, UsageError
from reportgen.network.backend import keras, tf

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

layers = keras.layers
EPOCHS = 2
FAST = {"filters": "1", "steps": 2, "budget": None}


class Subclassed(keras.Model):
    """A model whose layers are known by their attributes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(2, 3, activation="relu")
        self.pool = layers.GlobalAveragePooling2D()

    def call(self, inputs: Any) -> Any:
        random.random(), np.random.rand()  # as code may that runs while a function is traced
        return self.pool(self.conv(inputs))


def seeded(**compiled: Any) -> Any:
    """A small model with everything that training changes or draws from: dropout, batch normalization, an optimizer with state."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    stack = [
        *(layers.Conv2D(3, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3)),
        *(layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")),
    ]
    model = keras.Sequential([keras.Input((8, 8, 3)), *stack], name="tiny")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
    return model


def trained(*callbacks: Any, model: Any = None) -> tuple[Any, ...]:
    """Everything that a training leaves behind: what was measured, every variable, and the next random numbers."""
    model = seeded() if model is None else model
    numbers = np.random.default_rng(0)
    images, labels = numbers.uniform(0, 255, (32, 8, 8, 3)).astype(np.float32), numbers.integers(0, 3, 32)
    found = model.fit(
        *(images, labels), epochs=EPOCHS, batch_size=8, verbose=0, validation_split=0.25, callbacks=list(callbacks)
    )
    drawn = (random.random(), float(np.random.rand()), float(tf.random.uniform(())), float(keras.random.uniform(())))
    variables = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
    return found.history, variables, drawn


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "reports"


@pytest.fixture(scope="module")
def with_reports(output: Path) -> tuple[Any, ...]:
    return trained(reportgen.ReportCallback(output=output, **FAST))


@pytest.fixture(scope="module")
def without_reports() -> tuple[Any, ...]:
    return trained()


def test_training_is_the_same_with_and_without_reports(
    with_reports: tuple[Any, ...], without_reports: tuple[Any, ...]
) -> None:
    history, variables, drawn = without_reports
    assert with_reports[0] == history, "losses of every epoch"
    assert with_reports[2] == drawn, "the next numbers of Python, NumPy, TensorFlow and Keras"
    for one, other in zip(with_reports[1], variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_there_is_a_report_an_epoch_and_what_keras_measured_beside_it(
    with_reports: tuple[Any, ...], output: Path
) -> None:
    assert sorted(path.name for path in output.iterdir()) == [
        *("epoch-001", "epoch-001.statement.toml", "epoch-002", "epoch-002.statement.toml")
    ]
    first, second = (reportgen.open(output / f"epoch-00{number}") for number in (1, 2))
    assert (first.document.title, second.document.title) == ("tiny, epoch 1", "tiny, epoch 2")
    assert first.model.weights_sha256 != second.model.weights_sha256
    stated = tomllib.loads((output / "epoch-002.statement.toml").read_text())
    assert (stated["name"], stated["version"]) == ("tiny", "epoch 2")
    assert f"val_accuracy {with_reports[0]['val_accuracy'][1]:.3g}" in stated["validation"]


def test_every_names_the_epochs_and_memory_is_given_back(tmp_path: Path) -> None:
    def graphs() -> int:
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    callback = reportgen.ReportCallback(every=2, output=tmp_path / "reports", **FAST)
    callback.set_model(seeded())
    before = graphs()
    for epoch in range(3):
        callback.on_epoch_end(epoch)
    assert [path.name for path in (tmp_path / "reports").glob("epoch-???")] == ["epoch-002"]
    assert graphs() == before


def strictly_trained(callback: Any) -> tuple[Any, ...]:
    """The same where the user has turned warnings into errors."""
    warnings.simplefilter("error")
    return trained(callback)


def test_what_fails_is_a_warning_and_training_goes_on(tmp_path: Path, without_reports: tuple[Any, ...]) -> None:
    (tmp_path / "file").write_text("in the way")
    callback = reportgen.ReportCallback(output=tmp_path / "file", **FAST)
    with pytest.warns(RuntimeWarning, match=r"no report of epoch [12]: OutputError: "):
        found = strictly_trained(callback)
    assert found[0] == without_reports[0]


def test_a_subclassed_model_that_was_never_compiled_is_reported_from_a_loop_of_ones_own(tmp_path: Path) -> None:
    model = Subclassed()
    model(np.zeros((1, 12, 12, 3), np.float32))
    before = [np.asarray(weight) for weight in model.weights]
    states = random.getstate(), np.random.get_state()[1].tolist()
    callback = reportgen.ReportCallback(output=tmp_path, **FAST)
    callback.set_model(model)
    callback.on_epoch_end(9, {"loss": 0.5})
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert [layer.path for layer in reportgen.open(tmp_path / "epoch-010").layers] == ["conv"]
    assert all(np.array_equal(np.asarray(now), then) for now, then in zip(model.weights, before, strict=True))


@pytest.mark.slow
def test_the_filters_of_the_first_report_are_those_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget chooses by the time that a measurement takes, which differs from epoch to epoch."""
    callback = reportgen.ReportCallback(output=tmp_path, budget="30m", steps=2)
    callback.set_model(seeded())
    callback.on_epoch_end(0)
    monkeypatch.setattr("reportgen.compute.expectation.seconds_of", lambda *arguments: 1e9)
    callback.on_epoch_end(1)
    first, second = (reportgen.open(tmp_path / f"epoch-00{number}").document for number in (1, 2))
    assert (first.settings["filters"], second.settings["filters"]) == ("all", "all")


def test_tensorflows_options_and_log_levels_are_left_as_they_were(tmp_path: Path) -> None:
    callback = reportgen.ReportCallback(output=tmp_path / "file" / "reports", **FAST)
    callback.set_model(Subclassed())  # without weights: there is nothing to report
    own = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"remapping": True})
    try:
        with pytest.warns(RuntimeWarning, match="no report of epoch 1"):
            callback.on_epoch_end(0)
        assert tf.config.optimizer.get_experimental_options()["remapping"] is True
    finally:
        tf.config.optimizer.set_experimental_options(own)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"every": 0}, "every=0 is not a number of epochs"),
        ({"colour": 1}, "there is no setting `colour`"),
        ({"quality": "best"}, "none of draft"),
        ({"budget": "soon"}, "is not a duration"),
        ({"images": "no/such.png"}, "such.png does not exist"),
    ],
)
def test_what_cannot_be_meant_is_an_error_before_training(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ReportgenError) as raised:
        reportgen.ReportCallback(**wrong)
    assert message in str(raised.value)


def test_a_training_of_several_machines_is_left_alone(tmp_path: Path) -> None:
    callback = reportgen.ReportCallback(output=tmp_path, **FAST)
    model = seeded()
    callback.set_model(model)
    model._distribute_strategy = type("Workers", (), {"cluster_resolver": object()})()
    with pytest.warns(RuntimeWarning, match="several workers train this model"):
        callback.on_epoch_end(0)
    assert list(tmp_path.iterdir()) == []
    assert issubclass(UsageError, ReportgenError)
