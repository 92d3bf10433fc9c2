"""The input contract: what the model expects to be fed, and how a picture becomes that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.choices import (
    DEFAULT_IMAGE_SIZE,
    EIGHT_BIT_RANGE,
    LARGEST_SIDE,
    SHAPE_AXES,
    check_length,
)
from reportgen.core.errors import ModelError, UsageError
from reportgen.core.records import PICTURE_RANK, InputContract, ModelInput
from reportgen.core.settings import Settings
from reportgen.network.preprocessing import (
    COLOUR_PREPROCESSES,
    EIGHT_BIT_MAXIMUM,
    Scaling,
    preprocessor,
)

Shape = tuple[int | None, ...]  # spatial lengths, None where dynamic, then the number of channels
UNIT_RANGE = (0.0, 1.0)  # of floating-point pixels unless stated
LONGEST_SIGNAL = 2**22  # steps: a day at 48 Hz
SIGNAL_RANGE = (-1.0, 1.0)  # of the patterns of signals and volumes, unless the user or a file says otherwise


def input_shape(
    own: ModelInput, stated: Shape | None, channels_first: bool = False, seen: Shape | None = None
) -> Shape:
    """Return the shape of the primary input, channels last.

    A shape that was merely recorded by a first call fixes the channels, not the size.

    Args:
        own: the primary input as the model states it.
        stated: what `--input-shape` says.
        channels_first: the model itself takes (channels, height, width).
        seen: the shape in which its convolutions see an input that it takes in another one, see `seen_shape`.

    Returns:
        (height, width, channels), (steps, channels) or (depth, height, width, channels); None where dynamic. One of another rank than
        the model's own has as many numbers.

    Raises:
        ModelError: the shape cannot be known, or is that of no picture, signal or volume.
        UsageError: `stated` contradicts the model.
    """
    if own.shape is not None:
        other = _of_flat(own.shape, stated if stated is not None else seen)
        if other is not None:
            return other
        shape = (*own.shape[1:], own.shape[0]) if channels_first and own.shape else own.shape
        return _completed(shape, stated, fixed=own.fixed)
    if stated is None:
        raise ModelError("the model does not state its input; give --input-shape H,W,C (for example 224,224,3).")
    return _completed(stated, stated, fixed=True)


def _of_flat(own: Shape, other: Shape | None) -> Shape | None:
    """Return the shape of an input that is stated without channels, or flattened; None where it is not."""
    if len(own) == 1 and (other is None or (own == (None,) and other[1:] == (1,))):
        return (*own, 1) if other is None else other  # a signal without an axis of channels
    if other is None or len(other) == len(own):
        return None
    lengths, numbers = ([length for length in shape if length is not None] for shape in (own, other))
    if len(lengths) < len(own) or len(numbers) < len(other):
        return None
    if prod(numbers) != prod(lengths):
        raise UsageError(
            f"--input-shape {_show(other)} has {prod(numbers):,} values, the model's input of {_show(own)} has {prod(lengths):,}."
        )
    return other


def _completed(shape: tuple[int | None, ...], stated: Shape | None, fixed: bool) -> Shape:
    """Complete the model's own shape by the one that the user stated. fixed: the model's own lengths are binding."""
    if len(shape) not in SHAPE_AXES:
        raise ModelError(
            f"the model's input has the shape {_show(shape)}; only pictures (height, width, channels), signals (steps, channels) "
            "and volumes (depth, height, width, channels) can be reported."
        )
    *lengths, channels = shape if fixed else (*[None] * (len(shape) - 1), shape[-1])
    if stated is not None:
        if len(stated) != len(shape):
            raise UsageError(
                f"--input-shape {_show(stated)} has {len(stated)} axes, the model's input has {len(shape)}."
            )
        if channels is not None and stated[-1] != channels:
            raise UsageError(f"--input-shape {_show(stated)} contradicts the model's own input {_show(shape)}.")
        for own, given in zip(lengths, stated[:-1], strict=True):
            if own is not None and given is not None and own != given:
                raise UsageError(f"--input-shape {_show(stated)} contradicts the model's own input {_show(shape)}.")
        lengths = [own if own is not None else given for own, given in zip(lengths, stated[:-1], strict=True)]
        channels = stated[-1]
    if channels is None:
        raise ModelError(
            "the model does not state how many channels its input has; give --input-shape, for example 224,224,3."
        )
    return (*lengths, channels)


def _show(shape: tuple[int | None, ...]) -> str:
    return ",".join("any" if axis is None else str(axis) for axis in shape)


def chosen_size(shape: Shape, settings: Settings, lengths: Sequence[Sequence[int]] = ()) -> tuple[int, ...]:
    """Choose the size that inputs are fed at: fixed lengths, and for free ones `--image-size`, the user's own files or 224.

    Signals are as long as the longest, and so is each axis of volumes that are free on all; where some axes are fixed, the free ones keep
    the first image's aspect ratio, or a volume's own lengths.

    Args:
        shape: of the input, channels last, None where free.
        settings: of the run.
        lengths: of each of the user's images along each spatial axis.

    Returns:
        The length of each spatial axis.

    Raises:
        UsageError: `--image-size` is out of range.
    """
    own, rank = shape[:-1], len(shape) - 1
    if None not in own:
        return tuple(length for length in own if length is not None)
    if settings.image_size is not None:
        check_length("--image-size", settings.image_size, rank == PICTURE_RANK, shape[-1] or 1)
        return tuple(settings.image_size if length is None else length for length in own)
    fixed = [axis for axis, length in enumerate(own) if length is not None]
    followed: Sequence[int] = [DEFAULT_IMAGE_SIZE] * rank
    if fixed:
        followed = [own[fixed[-1]] or 1] * rank  # without images a free side makes a square
    if lengths and fixed:
        followed = lengths[0]
        if rank == PICTURE_RANK:
            scale = (own[fixed[0]] or 1) / followed[fixed[0]]
            followed = [max(1, round(length * scale)) for length in followed]
    elif lengths and rank != PICTURE_RANK:
        followed = [max(each) for each in zip(*lengths, strict=True)]
    return tuple(wanted if length is None else length for length, wanted in zip(own, followed, strict=True))


def follows(contract: InputContract, settings: Settings, lengths: Sequence[Sequence[int]]) -> str | None:
    """Return the sentence on free axes that follow the user's files; None where none do.

    Args:
        contract: of the input.
        settings: of the run.
        lengths: of each of the user's images along each spatial axis.
    """
    own = contract.shape[:-1]
    if None not in own or settings.image_size is not None or not lengths:
        return None
    shown, what, _ = measured(contract.size)
    if any(length is not None for length in own):
        return f"The input's free axes follow the first {what}: {shown}."
    if contract.is_picture:
        return None
    longest = "the longest" if contract.rank == 1 else "the longest on each axis"
    return f"{what.capitalize()}s are fed as {longest} is, {shown}; others are brought to it by --fit {contract.fit}."


def longest(rank: int) -> int:
    """Return the length above which no size is tried, for an input of `rank` spatial axes."""
    return LONGEST_SIGNAL if rank == 1 else LARGEST_SIDE


def measured(size: Sequence[int]) -> tuple[str, str, str]:
    """Describe a size: (`224 × 224 pixels`, `image`, `pixels`), with the kind of input and the unit that the number of axes tells."""
    what, unit = {1: ("signal", "steps"), 2: ("image", "pixels"), 3: ("volume", "voxels")}[len(size)]
    return f"{' × '.join(str(length) for length in size)} {unit}", what, unit


def make_contract(
    shape: Shape, settings: Settings, scaling: Scaling, lengths: Sequence[Sequence[int]] = ()
) -> InputContract:
    """Make the contract of an input.

    Args:
        shape: of the input, channels last, None where free.
        settings: of the run.
        scaling: the preprocessing.
        lengths: of each of the user's images along each spatial axis.

    Raises:
        UsageError: a setting does not fit the input.
    """
    is_picture = len(shape) - 1 == PICTURE_RANK
    if scaling.preprocess in COLOUR_PREPROCESSES and shape[-1] != RGB_CHANNELS:
        raise UsageError(
            f"--preprocess {scaling.preprocess} is made for {RGB_CHANNELS} channels, the model's input has {shape[-1]}."
        )
    size = chosen_size(shape, settings, lengths)
    stated = settings.input_range
    low, high = stated if stated is not None else EIGHT_BIT_RANGE if is_picture else SIGNAL_RANGE
    floats = stated if stated is not None else UNIT_RANGE
    return InputContract(
        shape, size, settings.fit, low, high, scaling.preprocess, scaling.reason, scaling.warning, floats=floats
    )


def make_feed(contract: InputContract) -> Callable[[Any], Any]:
    """Make the function from float32 (n, *size, channels) to what the model is fed, differentiable in TensorFlow.

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
    """Scale float32 `pictures` in [0, 1] to what `make_feed` takes: 0..255, or from `low` to `high` of signals and volumes."""
    if contract.is_picture:
        return pictures * EIGHT_BIT_MAXIMUM
    return pictures * (contract.high - contract.low) + contract.low
