"""A Keras callback that leaves a report every few epochs and never breaks the training that it watches."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from reportgen.core.budget import Budget
from reportgen.core.errors import UsageError
from reportgen.core.files import write_atomically
from reportgen.core.progress import Progress
from reportgen.core.settings import Settings, from_call
from reportgen.inputs.images import check_named
from reportgen.inputs.samples import UNIT
from reportgen.render.text import number

BACKEND = "tensorflow"
LOGGERS = ("tensorflow", "absl")  # which reportgen silences while it computes
REMAPPING = "remapping"  # the option of TensorFlow that reportgen changes while it computes
DIGITS = 3  # of an epoch in the name of its folder; more where there are more epochs


class ReportCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes a report at the end of every few epochs, into `output/epoch-001` and so on, for `reportgen index output`.

    Whatever fails becomes a warning, and training goes on. The model, its optimizer, the state of random generators and TensorFlow's
    options are left as they were, so that the epochs that follow are those that they would have been.

    Beside each folder `epoch-001.statement.toml` states the epoch and what Keras measured in it: a statement that `reportgen index`
    shows and `reportgen archive --statement` takes.
    """

    def __init__(
        self,
        every: int = 1,
        images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        quality: str = "draft",
        budget: str | None = "60s",
        output: str | os.PathLike[str] = "reports/training",
        **settings: Any,
    ) -> None:
        """Check what is asked for; nothing is computed before the first epoch ends.

        Args:
            every: epochs from one report to the next.
            images: files and folders, one or many.
            quality: effort per pattern.
            budget: time of a report, such as `90s`, for which the number of filters is chosen where `filters` is not given: for the first
                report, and the same for those that follow. None for no limit.
            output: the folder of the reports.
            settings: further options of `reportgen build` by their names with underscores, such as `filters=8`.

        Raises:
            ReportgenError: a setting cannot be meant, or an image cannot be read.
        """
        super().__init__()
        if keras.config.backend() != BACKEND:
            raise UsageError(f"reports need Keras with TensorFlow, and this is Keras with {keras.config.backend()}.")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UsageError(f"every={every!r} is not a number of epochs.")
        known = {field.name for field in dataclasses.fields(Settings)}
        unknown = [name for name in settings if name not in known]
        if unknown:
            raise UsageError(f"there is no setting `{unknown[0]}`; the settings are the options of `reportgen build`.")
        self._every, self._output = every, Path(output)
        self._settings = Settings(**from_call({**settings, "images": images, "quality": quality}))
        given = frozenset(("quality", *(name for name, value in settings.items() if value is not None)))
        self._budget = None if budget is None else Budget(budget, given)
        self._title = self._settings.title
        floats = UNIT if self._settings.input_range is None else self._settings.input_range
        check_named(self._settings.images, floats)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the report of an epoch where one is due.

        Args:
            epoch: its number, from 0.
            logs: what Keras measured in it.
        """
        if (epoch + 1) % self._every:
            return
        try:
            self._report(epoch + 1, logs or {})
        except Exception as error:
            _warn(f"reportgen: no report of epoch {epoch + 1}: {type(error).__name__}: {error}")
        finally:
            gc.collect()  # graphs and layers refer to each other: without this their memory comes back only some time

    def _report(self, epoch: int, logs: Mapping[str, Any]) -> None:
        strategy = self.model.distribute_strategy
        if getattr(strategy, "cluster_resolver", None) is not None:
            raise UsageError("several workers train this model, and one alone cannot read its weights")
        folder = self._output / f"epoch-{epoch:0{DIGITS}}"
        title = self._title or f"{self.model.name}, epoch {epoch}"
        with _left_as_found():
            from reportgen.pipeline import build
            from reportgen.report.opened import Report

            settings = dataclasses.replace(self._settings, title=title)
            built = build(
                self.model, settings, folder, progress=Progress(False), say=lambda sentence: None, budget=self._budget
            )
            statement = _statement(self.model.name, epoch, logs)
            write_atomically(folder.with_name(f"{folder.name}.statement.toml"), statement)
            if self._budget is not None:  # all reports of a training have the same filters, however fast each epoch ran
                chosen = Report.open(built.index).document.settings["filters"]
                self._settings, self._budget = dataclasses.replace(self._settings, filters=chosen), None
        for problem in built.problems:
            _warn(f"reportgen: epoch {epoch}: {problem}")


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Leave generators of random numbers, TensorFlow's options and log levels as they are before the block."""
    python, numpy = random.getstate(), np.random.get_state()
    remapping = tf.config.optimizer.get_experimental_options().get(REMAPPING, True)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        from reportgen.network.backend import gradients_forgotten, set_up

        set_up()
        with gradients_forgotten():
            yield
    finally:
        tf.config.optimizer.set_experimental_options({REMAPPING: remapping})
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        np.random.set_state(numpy)
        random.setstate(python)


def _statement(name: str, epoch: int, logs: Mapping[str, Any]) -> bytes:
    """A statement of what Keras measured, in TOML."""
    measured = ", ".join(f"{key} {number(float(value))}" for key, value in logs.items() if np.ndim(value) == 0)
    lines = {"name": name, "version": f"epoch {epoch}", "validation": measured}
    return "".join(f"{key} = {_toml(value)}\n" for key, value in lines.items() if value).encode()


def _toml(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in escaped) + '"'


def _warn(sentence: str) -> None:
    """Warn, even where the user has turned warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)
