"""Constant values of all inputs but the primary one: zero, or the content of a file that `--hold NAME=FILE` names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.core.choices import DEFAULT_IMAGE_SIZE
from reportgen.core.errors import ImageError, UsageError
from reportgen.core.records import PICTURE_AXES, ConstantInput, ConstantInputRecord, ModelInput
from reportgen.core.settings import Settings
from reportgen.inputs.decoding import ARRAY_SUFFIX, decode
from reportgen.inputs.images import SUFFIXES, fit
from reportgen.inputs.samples import UNIT
from reportgen.inputs.tables import TABLE_SUFFIX, read_table


def hold(
    inputs: Sequence[ModelInput],
    primary: ModelInput,
    files: Mapping[str, str],
    settings: Settings,
    size: tuple[int, ...],
) -> tuple[ConstantInput, ...]:
    """Read the constant value of every input but the primary one.

    Args:
        inputs: of the model.
        primary: one of them.
        files: path by name of an input; the others are zero.
        settings: of the run.
        size: length of each spatial axis of the primary input.

    Raises:
        UsageError: a file cannot be read or does not fit its input.
    """
    if primary.name in files:
        raise UsageError(f"--hold {primary.name}: this is the primary input; name its images with --images.")
    return tuple(_constant_input(one, files.get(one.name), settings, size) for one in inputs if one is not primary)


def _constant_input(one: ModelInput, file: str | None, settings: Settings, size: tuple[int, ...]) -> ConstantInput:
    if file is None:
        return ConstantInput(ConstantInputRecord(one.name, one.shape, None, None), None, False)
    path = Path(file)
    option = f"--hold {one.name}={path.name}"
    if not path.is_file():
        raise UsageError(f"{option}: there is no such file.")
    suffix = path.suffix.lower()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if suffix == ARRAY_SUFFIX:
            values = _shaped(np.load(path, allow_pickle=False), one, option)
        elif suffix == TABLE_SUFFIX:
            values = _shaped(read_table(path), one, option)
        elif suffix in SUFFIXES:
            values = _picture(path, one, option, settings, size)
        else:
            raise UsageError(f"{option}: the file is not a .npy, .csv or image file.")
    except (OSError, ValueError, ImageError) as error:
        why = str(error) if isinstance(error, ImageError) else "it cannot be read; save it again"
        raise UsageError(f"{option}: {why.rstrip('.')}.") from error
    record = ConstantInputRecord(one.name, tuple(values.shape), path.name, digest)
    return ConstantInput(record, values, suffix not in (ARRAY_SUFFIX, TABLE_SUFFIX))


def _picture(path: Path, one: ModelInput, option: str, settings: Settings, size: tuple[int, ...]) -> np.ndarray:
    """Read (height, width, channels), uint8 or float32 in 0..255, fitted as the user's images are; to `size` where its own is free."""
    channels = None if one.shape is None or len(one.shape) != PICTURE_AXES else one.shape[-1]
    if one.shape is None or channels is None:
        raise UsageError(f"{option}: the input is no image ({one.described}); give its numbers as .npy or .csv.")
    own, fixed = one.shape[:-1], [length for length in one.shape[:-1] if length is not None]
    side = fixed[0] if fixed else DEFAULT_IMAGE_SIZE if settings.image_size is None else settings.image_size
    others = size if len(size) == len(own) and not fixed else (side,) * len(own)
    wanted = tuple(length if length is not None else other for length, other in zip(own, others, strict=True))
    floats = UNIT if settings.input_range is None else settings.input_range
    return fit(decode(path, channels, floats), wanted, settings.fit)


def _shaped(values: np.ndarray, one: ModelInput, option: str) -> np.ndarray:
    """Return `values` as one example of the input: without a batch axis, a single row or column as a vector."""
    if values.dtype.kind not in "biuf" or values.size == 0:
        raise UsageError(
            f"{option}: the file contains {values.dtype} of shape {values.shape}, not numbers that a model takes."
        )
    if not np.isfinite(values).all():
        raise UsageError(f"{option}: the file contains numbers that are not finite.")
    if one.dtype is not None and "int" in one.dtype:
        with np.errstate(invalid="ignore"):
            changed = values[values.astype(one.dtype) != values]
        if changed.size:
            raise UsageError(
                f"{option}: the file contains {changed.flat[0]:g}, the input takes integers ({one.dtype})."
            )
    if one.shape is None:
        return values
    candidates: list[np.ndarray] = [values]
    if values.ndim and values.shape[0] == 1:
        candidates.append(values[0])
    if values.ndim == 2 and 1 in values.shape:
        candidates.append(values.reshape(-1))
    if values.size == 1:
        candidates.append(values.reshape((1,) * len(one.shape)))
    for candidate in candidates:
        if _fits(candidate.shape, one.shape):
            return candidate
    raise UsageError(f"{option}: the file contains numbers of shape {values.shape}, the input takes {one.described}.")


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    """Return whether a shape is a wanted one, in which None is any length."""
    return len(shape) == len(wanted) and all(
        axis is None or axis == length for axis, length in zip(wanted, shape, strict=True)
    )
