"""Model files for tests of loading: saved, damaged, and the sentence that loading them ends in."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from reportgen.core.errors import ModelError, ReportgenError
from reportgen.core.settings import Settings
from reportgen.network.loading.load import load
from small_models import functional, layers, randomised

H5_WARNING = "ignore:.*legacy.*:UserWarning"


def small() -> Any:
    model = randomised(functional(layers.Conv2D(2, 3, name="conv"), shape=(8, 8, 3)))
    model.name = "small"
    return model


def save(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def sentence(specification: object, kind: type[ReportgenError] = ModelError, **settings: Any) -> str:
    """The text of the error that loading ends in: one line, one sentence or two, no traceback, no folder of this machine."""
    with pytest.raises(kind) as caught:
        load(str(specification), Settings(**settings))
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert "\x1b" not in text
    assert text.rstrip().endswith((".", ")"))
    assert len(text) < 420
    return text


def without_config(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != "config.json"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def with_config(path: Path, content: bytes) -> None:
    without_config(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", content)


def with_architecture(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A saved .keras or .h5 file whose architecture was changed in place."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            architecture = json.loads(archive.read("config.json"))
        change(architecture)
        with_config(path, json.dumps(architecture).encode())
    else:
        with h5py.File(path, "r+") as file:
            architecture = json.loads(file.attrs["model_config"])
            change(architecture)
            file.attrs["model_config"] = json.dumps(architecture)
    return path
