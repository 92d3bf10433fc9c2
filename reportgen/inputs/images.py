"""The user's images: found, checked one by one, and brought to the sizes that a model takes."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.choices import Fit
from reportgen.core.errors import ImageError
from reportgen.core.records import PICTURE_RANK, ImageRecord, InputContract
from reportgen.core.slugs import unique_slugs
from reportgen.inputs import signals
from reportgen.inputs.decoding import ARRAY_SUFFIX, colour_profile, decode, printable_name
from reportgen.inputs.image_reader import ImageReader, Values, read
from reportgen.inputs.samples import UNIT, WHITE

__all__ = [
    "SUFFIXES",
    "Collection",
    "UserImage",
    "collect",
    "colour_profile",
    "decode",
    "fit",
    "natural_crops",
    "profile_notes",
    "read",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ARRAY_SUFFIX)
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")  # whose content does not depend on the model
NATURAL_LIMIT = 64  # images that natural maxima are measured on
Box = tuple[float, float, float, float]  # left, top, right, bottom
ENLARGED_LIMIT = 64_000_000  # pixels of an image enlarged as a whole; only very long strips come to more


@dataclass(frozen=True)
class UserImage:
    """An image file that can be decoded, and what is known of it."""

    path: Path
    record: ImageRecord

    def read(self, reader: ImageReader, contract: InputContract) -> Values:
        """Return its pixels or numbers, as `reader` gives them for a model of this contract."""
        return reader.read(self.path, contract.bands, contract.rank, contract.floats)


@dataclass(frozen=True)
class Collection:
    """The user's images.

    Attributes:
        images: in order.
        left_out: `name` and `reason` of bad files found in folders.
        notes: sentences on the limits that applied.
    """

    images: tuple[UserImage, ...]
    left_out: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def collect(
    paths: Sequence[str | Path],
    bands: int,
    shown_limit: int,
    natural_limit: int = NATURAL_LIMIT,
    rank: int = PICTURE_RANK,
    floats: tuple[float, float] = UNIT,
    reader: ImageReader | None = None,
) -> Collection:
    """Find the images that `paths` name and check that each can be decoded; a bad file found in a folder is left out.

    A folder stands for the image files in it, sorted by name, hidden ones left out; where it has folders inside, one file of each is
    taken in turn, so that the limit does not leave the later ones out. A file that is named twice counts once. Files of a folder beyond
    `natural_limit` are only counted.

    Args:
        paths: files, folders and patterns such as `photos/*.png`, in the user's order.
        bands: channels that the model takes.
        shown_limit: how many of the images have feature maps in the report, the first ones.
        natural_limit: how many images are used at all.
        rank: spatial axes that the model takes.
        floats: black and white of pictures of floating-point numbers, see `decode`.
        reader: decodes the files and may keep them.

    Returns:
        The images in order, the files left out, and notes on the limits.

    Raises:
        ImageError: a file named directly is bad, used or not, or a folder cannot be read or has no images.
    """
    reader = ImageReader(kept_bytes=0) if reader is None else reader
    images: list[UserImage] = []
    left_out: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    for path, name, named_directly in _candidates(paths, SUFFIXES if rank == PICTURE_RANK else signals.SUFFIXES[rank]):
        identity = _identity(path)
        room = len(images) < natural_limit
        if identity in seen or (identity in left_out and not named_directly):
            continue
        if named_directly or room:
            try:
                lengths = reader.read(path, bands, rank, floats).shape[:-1]
                record = replace(_record(path, lengths, len(images) < shown_limit), name=name)
            except ImageError as error:
                if named_directly:
                    raise
                left_out[identity] = {"name": name, "reason": str(error)}
                continue
            if room:
                images.append(UserImage(path, record))
        seen.add(identity)
    slugs = unique_slugs([str(PurePosixPath(image.record.name).with_suffix("")) for image in images])
    named = tuple(
        replace(image, record=replace(image.record, slug=slug)) for image, slug in zip(images, slugs, strict=True)
    )
    notes = _notes(len(seen), len(images), min(shown_limit, len(images)))
    return Collection(
        named,
        tuple(left_out.values()),
        (*notes, *profile_notes((image.record.name, image.record.colour_profile) for image in named)),
    )


def check_named(
    paths: Sequence[str | Path], floats: tuple[float, float] = UNIT, reader: ImageReader | None = None
) -> None:
    """Refuse the files of `paths` that no model could take, before a model is loaded.

    The content of arrays and tables is not checked: what it should be depends on the model.

    Args:
        paths: as for `collect`; only files named directly are decoded.
        floats: black and white of pictures of floating-point numbers, see `decode`.
        reader: decodes the files and may keep them.

    Raises:
        ImageError: a file is missing or damaged, or a folder cannot be read or has no images.
    """
    reader = ImageReader(kept_bytes=0) if reader is None else reader
    anything = tuple(dict.fromkeys((*SUFFIXES, *(suffix for each in signals.SUFFIXES.values() for suffix in each))))
    named = (path for path, _, named_directly in _candidates(paths, anything) if named_directly)
    for path in itertools.islice(named, NATURAL_LIMIT):
        try:
            is_empty = not path.is_file() or path.stat().st_size == 0
        except (OSError, ValueError):  # what it is, decoding says
            is_empty = True
        if is_empty or path.suffix.lower() in PICTURE_SUFFIXES:
            _check_decodes(path, floats, reader)


def _check_decodes(path: Path, floats: tuple[float, float], reader: ImageReader) -> None:
    """Raise ImageError where decoding fails for models of any number of channels, with the same message for all."""
    messages = set()
    for bands in (RGB_CHANNELS, 1, RGB_CHANNELS + 1):
        try:
            reader.read(path, bands, PICTURE_RANK, floats)
            return
        except ImageError as error:
            messages.add(str(error))
    if len(messages) == 1:
        raise ImageError(messages.pop())


def _identity(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a null character in the name: no such file, which decoding will say
        return str(path)


def _candidates(paths: Sequence[str | Path], suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str, bool]]:
    """Every candidate file, its name in the report, and whether the user named it directly."""
    for entry in paths:
        path = Path(entry)
        try:
            is_folder, is_pattern = path.is_dir(), _is_pattern(path)
            if not is_folder and not is_pattern:
                yield path, printable_name(path), True
                continue
            found = _in_folder(path, suffixes) if is_folder else _matching(path, suffixes)
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            raise ImageError(f"the folder {printable_name(path)} cannot be read; check its permissions.") from error
        if not found:
            what = f"the folder {printable_name(path)} has no images" if is_folder else f"no image matches {path.name}"
            raise ImageError(f"{what}; image files end in {', '.join(suffixes)}.")
        yield from ((item, name, False) for item, name in found)


def _is_pattern(path: Path) -> bool:
    """Whether the user's words are a pattern that no shell has expanded."""
    return glob.has_magic(str(path)) and not path.exists()


def _matching(pattern: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, str]]:
    found = (Path(item) for item in sorted(glob.glob(str(pattern), recursive=True)))
    return [(item, printable_name(item)) for item in found if item.suffix.lower() in suffixes and not item.is_dir()]


def _in_folder(folder: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, str]]:
    """The image files in a folder and all folders inside, each with its path from there; one of every folder in turn."""

    def refused(error: OSError) -> None:
        raise error

    each: list[list[Path]] = []
    for place, inside, files in os.walk(folder, onerror=refused):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        each.append([Path(place) / name for name in sorted(files) if not name.startswith(".")])
    chosen = ([path for path in paths if path.suffix.lower() in suffixes] for paths in each)
    turns = itertools.zip_longest(*(paths for paths in chosen if paths))
    return [
        (path, path.relative_to(folder).as_posix().encode(errors="replace").decode())
        for turn in turns
        for path in turn
        if path is not None
    ]


def check_unchanged(image: UserImage) -> None:
    """Raise ImageError where an image's file can no longer be read or has other bytes than when the report was planned."""
    if _file_sha256(image.path) != image.record.sha256:
        raise ImageError(f"{image.record.name} has changed since the report was planned; build it again.")


def _record(path: Path, lengths: tuple[int, ...], shown: bool) -> ImageRecord:
    rank = len(lengths)
    height, width = lengths[-2:] if rank > 1 else (1, lengths[0])
    digest = _file_sha256(path)
    profile = colour_profile(path) if rank == PICTURE_RANK else None
    return ImageRecord(printable_name(path), "", digest, width, height, shown, lengths, profile)


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"{printable_name(path)} cannot be read; check its permissions.") from error


def _notes(given: int, used: int, shown: int) -> tuple[str, ...]:
    if given == shown:
        return ()
    natural = "All" if given == used else _first(used)
    maps = _first(shown).lower()
    return (
        f"{given} images were given. {natural} {_are(used)} used for natural maxima; feature maps are shown for {maps}.",
    )


def _first(count: int) -> str:
    return "The first" if count == 1 else f"The first {count}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def profile_notes(pictures: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """Note colour profiles, which are not applied.

    Args:
        pictures: (name, colour profile) of files; None for one in sRGB.

    Returns:
        One sentence on all pictures that are not in sRGB; none where there are none.
    """
    found = [(name, profile) for name, profile in pictures if profile is not None]
    if not found:
        return ()
    (first, _), *others = found
    who = f"{len(found)} images carry color profiles" if others else f"{first} carries a color profile"
    profiles = "; ".join(dict.fromkeys(profile for _, profile in found))
    return (
        f"{who} ({profiles}). Pixel values are used as stored, like keras.utils.load_img does, and are not converted to sRGB.",
    )


def fit(pixels: Values, size: tuple[int, ...], how: str) -> Values:
    """Resize an image by Pillow's bicubic filter, each channel by itself; signals and volumes as `signals.fit`.

    Args:
        pixels: (height, width, channels), uint8 or float32 in 0..255.
        size: wanted, on each spatial axis.
        how: "crop" scales so that the image covers `size` and keeps the centre; "pad" scales so that it fits within and centres it on
            black; "stretch" ignores the aspect ratio.

    Returns:
        (*size, channels) of the same type, float32 neither rounded nor beyond 0..255.

    Raises:
        ValueError: `how` is another word.
    """
    if len(size) != PICTURE_RANK:
        return signals.fit(pixels, size, how)
    height, width = size
    rows, columns = pixels.shape[:2]
    if how not in tuple(Fit):
        raise ValueError(f"fit is crop, pad or stretch, not {how}")
    if (rows, columns) == (height, width):  # as Pillow, which copies it
        return pixels
    if how == "stretch":
        return _resize(pixels, (height, width))
    if how == "crop":
        scale = max(height / rows, width / columns)
        top, left = max(0.0, (rows - height / scale) / 2), max(0.0, (columns - width / scale) / 2)
        return _resize(pixels, (height, width), (left, top, columns - left, rows - top))
    scale = min(height / rows, width / columns)
    inner = max(1, min(height, round(rows * scale))), max(1, min(width, round(columns * scale)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    padded = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
    padded[top : top + inner[0], left : left + inner[1]] = _resize(pixels, inner)
    return padded


def natural_crops(pixels: Values, size: tuple[int, ...], grid: int) -> Values:
    """Return what natural maxima are measured on: the whole image and crops of it; see `signals.natural_windows` for signals and volumes.

    The crops are at original resolution, row by row, their corners at `linspace(0, height - size[0], grid)` truncated, likewise in x. An
    image smaller than `size` is first enlarged (bicubic, same aspect ratio, rounded) until both sides are at least the size; where that
    would be more than ENLARGED_LIMIT pixels each crop is enlarged by itself, which may differ in rounding.

    Args:
        pixels: (height, width, channels), uint8 or float32 in 0..255.
        size: of the crops, on each spatial axis.
        grid: crops along each side of the image.

    Returns:
        (1 + grid * grid, *size, channels) of the same type, the image stretched to `size` first.
    """
    if len(size) != PICTURE_RANK:
        return signals.natural_windows(pixels, size, grid)
    height, width = size
    rows, columns = pixels.shape[:2]
    scale = max(height / rows, width / columns, 1.0)
    full = max(height, round(rows * scale)), max(width, round(columns * scale))
    whole_at_once = full[0] * full[1] <= ENLARGED_LIMIT or scale == 1
    source = _resize(pixels, full) if scale > 1 and whole_at_once else pixels
    crops = [_resize(pixels, (height, width))]
    for top in np.linspace(0, full[0] - height, grid).astype(int):
        for left in np.linspace(0, full[1] - width, grid).astype(int):
            if whole_at_once:
                crops.append(source[top : top + height, left : left + width])
            else:
                y, x = rows / full[0], columns / full[1]
                box = (left * x, top * y, min((left + width) * x, columns), min((top + height) * y, rows))
                crops.append(_resize(pixels, (height, width), box))
    return np.stack(crops)


def _resize(pixels: Values, size: tuple[int, int], box: Box | None = None) -> Values:
    """`pixels` (or their part in `box`) as (size[0], size[1], bands) of the same type."""
    resized = _resized_eight_bit if pixels.dtype == np.uint8 else _resized_float
    whole = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    bands = (np.ascontiguousarray(pixels[..., index]) for index in range(pixels.shape[2]))
    return np.stack([resized(band, size, whole if box is None else box) for band in bands], axis=-1)


def _resized_eight_bit(band: Values, size: tuple[int, int], box: Box) -> Values:
    return np.asarray(Image.fromarray(band).resize((size[1], size[0]), Image.Resampling.BICUBIC, box))


def _resized_float(band: Values, size: tuple[int, int], box: Box) -> Values:
    """Without rounding, but along the rows first and clipped after each axis, as Pillow resizes 8 bits."""
    left, top, right, bottom = box
    rows, columns = band.shape
    if (left, right, size[1]) != (0, columns, columns):
        image = Image.fromarray(band).resize((size[1], rows), Image.Resampling.BICUBIC, (left, 0, right, rows))
        band = np.clip(np.asarray(image), 0, WHITE)
    if (top, bottom, size[0]) != (0, rows, rows):
        image = Image.fromarray(band).resize((size[1], size[0]), Image.Resampling.BICUBIC, (0, top, size[1], bottom))
        band = np.clip(np.asarray(image), 0, WHITE)
    return np.asarray(band, np.float32)
