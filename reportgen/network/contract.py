"""What the model expects to be fed, and how a picture becomes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.errors import ModelError, UsageError
from reportgen.network.scaling import (
    COLOUR_BANDS,
    COLOUR_PREPROCESSES,
    EIGHT_BIT_MAXIMUM,
    Scaling,
    preprocessor,
)
from reportgen.records import PICTURE_RANK, InputContract, ModelInput
from reportgen.settings import EIGHT_BIT_RANGE, SHAPE_AXES, Settings

Shape = tuple[int | None, ...]  # spatial lengths, None where dynamic, then the number of bands
UNIT_RANGE = (0.0, 1.0)  # of floating-point pixels unless stated
SIGNAL_RANGE = (-1.0, 1.0)  # of the patterns of signals and volumes, where neither the user nor a file says otherwise


def input_shape(own: ModelInput, stated: Shape | None, bands_first: bool = False) -> Shape:
    """(height, width, bands) of the input that is looked at, or (steps, bands) or (depth, height, width, bands); None where dynamic.

    Raises ModelError where it cannot be known. bands_first: the model itself takes (bands, height, width).

    `stated` is `--input-shape`. A shape that was merely recorded by a first call fixes the channels, not the size.
    """
    if own.shape is not None:
        shape = (*own.shape[1:], own.shape[0]) if bands_first and own.shape else own.shape
        return _completed(shape, stated, fixed=own.fixed)
    if stated is None:
        raise ModelError("the model does not state its input; give --input-shape H,W,C (for example 224,224,3).")
    return _completed(stated, stated, fixed=True)


def _completed(shape: tuple[int | None, ...], stated: Shape | None, fixed: bool) -> Shape:
    if len(shape) not in SHAPE_AXES:
        raise ModelError(
            f"the model's input has the shape {_show(shape)}; only pictures (height, width, bands), signals (steps, bands) and "
            "volumes (depth, height, width, bands) can be reported."
        )
    *lengths, bands = shape if fixed else (*[None] * (len(shape) - 1), shape[-1])
    if stated is not None:
        if len(stated) != len(shape):
            raise UsageError(
                f"--input-shape {_show(stated)} has {len(stated)} axes, the model's input has {len(shape)}."
            )
        if bands is not None and stated[-1] != bands:
            raise UsageError(f"--input-shape names {stated[-1]} bands, the model's input has {bands}.")
        for own, given in zip(lengths, stated[:-1], strict=True):
            if own is not None and given is not None and own != given:
                raise UsageError(f"--input-shape {_show(stated)} contradicts the model's own input {_show(shape)}.")
        lengths = [own if own is not None else given for own, given in zip(lengths, stated[:-1], strict=True)]
        bands = stated[-1]
    if bands is None:
        raise ModelError(
            "the model does not state how many bands its input has; give --input-shape, for example 224,224,3."
        )
    return (*lengths, bands)


def _show(shape: tuple[int | None, ...]) -> str:
    return ",".join("any" if axis is None else str(axis) for axis in shape)


def make_contract(shape: Shape, settings: Settings, scaling: Scaling) -> InputContract:
    """The contract of an input. Raises UsageError where a choice does not fit the bands."""
    is_picture = len(shape) - 1 == PICTURE_RANK
    if scaling.preprocess in COLOUR_PREPROCESSES and shape[-1] != COLOUR_BANDS:
        raise UsageError(f"--preprocess {scaling.preprocess} is made for 3 bands, the model's input has {shape[-1]}.")
    fixed = [length for length in shape[:-1] if length is not None]
    default = fixed[-1] if fixed else settings.image_size  # a dynamic side beside a fixed one makes a square
    size = tuple(length if length is not None else default for length in shape[:-1])
    stated = settings.input_range
    low, high = stated if stated is not None else EIGHT_BIT_RANGE if is_picture else SIGNAL_RANGE
    floats = stated if stated is not None else UNIT_RANGE
    return InputContract(
        shape, size, settings.fit, low, high, scaling.preprocess, scaling.reason, scaling.warning, floats=floats
    )


def make_feed(contract: InputContract) -> Callable[[Any], Any]:
    """A function from float32 pictures (n, *size, bands) to what the model is fed, differentiable in TensorFlow.

    Pictures lie in [0, 255]; signals and volumes are numbers of any size.
    """
    prepare = preprocessor(contract.preprocess)
    if not contract.is_picture:
        return prepare
    scale = (contract.high - contract.low) / EIGHT_BIT_MAXIMUM

    def feed(pictures: Any) -> Any:
        if scale != 1 or contract.low != 0:
            pictures = pictures * scale + contract.low
        return prepare(pictures)

    return feed


def as_shown(contract: InputContract, pictures: Any) -> Any:
    """float32 `pictures` between 0 and 1 as what `make_feed` takes: 0..255, or from `low` to `high` of signals and volumes."""
    if contract.is_picture:
        return pictures * EIGHT_BIT_MAXIMUM
    return pictures * (contract.high - contract.low) + contract.low
