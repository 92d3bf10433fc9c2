"""Image files, decoded to arrays, or refused with one sentence that states what is wrong."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from reportgen.core.axes import RGB_CHANNELS
from reportgen.core.errors import ImageError
from reportgen.inputs import tiff
from reportgen.inputs.samples import UNIT, Meaning, Picture, Samples, in_bands, mismatch, scaled

PILLOW_VERSION = PIL.__version__  # stored results name it: pixels may depend on it
ARRAY_SUFFIX = ".npy"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")  # no others: some of Pillow's readers start external programs
PIXEL_LIMIT = 200_000_000  # the largest sensors in telephones have 200 megapixels; more is a mistake or an attack
NUMBER_LIMIT = 3 * PIXEL_LIMIT  # values of a picture of many channels: as many as the largest has in colour
MEGA = 10**6
SIXTEEN_BIT_WHITE = 65535
GREY_MODES = ("1", "L", "LA", "La")
FEW_BITS = {"L;2": 85, "L;4": 17}  # Pillow's raw modes of PNG with so few bits, and what it multiplies their grey by
COLOURS = ("RGB", "RGBA", "CMYK")  # Pillow's modes of several channels
# Raw modes: 16 bits of gray with opacity, and one that takes the four bytes as they are.
GREY_ALPHA, FOUR_BYTES = ("LA;16B", "RGBA")
BYTE = 256
SRGB = "sRGB"  # in the names of the profiles of the colour space that is assumed where a file states none
SRGB_GAMMA, GAMMA_ROUNDING = 1 / 2.2, 0.01
GREY_AXES = 2

# Without handlers of their own, what these log about a damaged file would reach the terminal.
for library in ("PIL", "tifffile"):
    logging.getLogger(library).addHandler(logging.NullHandler())


def printable_name(path: Path) -> str:
    """Return a file's name without its folder, such that it can be written as UTF-8."""
    name = path.name if path.name != "" else str(path)
    return name.encode(errors="replace").decode()


def decode(path: str | Path, bands: int, floats: tuple[float, float] = UNIT) -> Picture:
    """Decode an image file.

    Reads PNG, JPEG, WebP, TIFF, BMP, GIF (of several frames the first; of a TIFF with as many pages as the model takes channels, and those
    neither 1 nor 3, all), and .npy arrays of uint8, uint16 or floating-point numbers, (height, width) or (height, width, channels). RGB
    becomes one channel by Pillow's `L`, gray is repeated for three; transparency is laid on white; CMYK is converted; 16 bits v become
    v / 257, floating-point numbers are scaled linearly from black to white, neither rounded. Colour profiles are not applied.

    Pillow's two global limits are set while a file is read, so this is not to be called from several threads at once.

    Args:
        path: of the file.
        bands: number of channels of the model's input.
        floats: floating-point values of black and white, outside which none may lie.

    Returns:
        (height, width, channels), upright: uint8 where the file has at most 8 bits per channel, else float32 in [0, 255].

    Raises:
        ImageError: one sentence with the file's name and what to do, for whatever is wrong with the file.
    """
    path = Path(path)
    with _checked(path):
        if path.suffix.lower() == ARRAY_SUFFIX:
            return _read_array(path, bands, floats)
        return in_bands(printable_name(path), _read_picture(path, bands, floats), bands)


def decode_as_stored(path: Path, floats: tuple[float, float] = UNIT) -> Picture:
    """Return the pixels of a picture file in the file's own channels, from which `in_bands` makes one channel or three.

    Args:
        path: a file that is no `.npy`.
        floats: as for `decode`.

    Returns:
        (height, width, channels): what `decode` has before it adapts the channels to a model that takes 1 or 3 of them.

    Raises:
        ImageError: as `decode`.
    """
    with _checked(path):
        return _read_picture(path, RGB_CHANNELS, floats)


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    """Refuse what is no file to read, and turn whatever goes wrong while it is read into an ImageError."""
    name = printable_name(path)
    try:
        if path.is_dir():
            raise ImageError(f"{name} is a folder; name an image file.")
        if not path.exists():
            raise ImageError(f"{name} does not exist; check its name and folder.")
        if not path.is_file():  # opening a pipe would wait for ever
            raise ImageError(f"{name} is not a regular file; save the image as a file first.")
        if path.stat().st_size == 0:
            raise ImageError(f"{name} is empty; save it again.")
        yield
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{name} cannot be read; check its permissions.") from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is; make it smaller.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a PNG, JPEG, WebP, TIFF, BMP or GIF image; convert it to one.") from error
    except Exception as error:  # decoders raise anything on damaged files; their messages may contain the folder's name
        raise ImageError(f"{name} is damaged or of an unknown kind; save it again, for example as PNG.") from error


def colour_profile(path: Path) -> str | None:
    """Return the colour space that an image file states, which `decode` does not apply; None where it is sRGB or none is stated.

    Args:
        path: of a file that `decode` reads.

    Returns:
        The name of an embedded profile, or the gamma that a PNG states.
    """
    if path.suffix.lower() == ARRAY_SUFFIX:
        return None
    profile, info = tiff.colour_profile(path), {}
    if profile is None:
        try:
            with _quiet_pillow(), path.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
                info = opened.info
        except Exception:  # a TIFF that only tifffile reads
            return None
    profile = info.get("icc_profile", profile)
    if profile is None:
        gamma = None if "srgb" in info else info.get("gamma")
        return None if gamma is None or abs(gamma / SRGB_GAMMA - 1) < GAMMA_ROUNDING else f"gamma {gamma:g}"
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except Exception:
        return "one that cannot be read"
    name = " ".join(name.encode(errors="replace").decode().split())
    return None if SRGB in name else name if name else "one without a name"


def _read_array(path: Path, bands: int, floats: tuple[float, float]) -> Picture:
    """Read a `.npy` file."""
    return from_array(
        path, np.lib.format.open_memmap(path, mode="r"), bands, floats
    )  # never unpickles, and reads nothing before the shape is checked


def from_array(path: Path, array: NDArray[Any], bands: int, floats: tuple[float, float] = UNIT) -> Picture:
    """Return a picture that is given as an array.

    Args:
        path: what it is called in messages.
        array: uint8, uint16 or floating-point, (height, width) or (height, width, channels).
        bands: number of channels of the model's input.
        floats: as for `decode`.

    Returns:
        What `decode` returns.

    Raises:
        ImageError: it is no such array.
    """
    unsigned = array.dtype.kind == "u" and array.dtype.itemsize <= 2
    if not (unsigned or array.dtype.kind == "f") or array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(
            f"{printable_name(path)} contains {array.dtype} of shape {array.shape}; "
            f"save uint8, uint16 or floating-point numbers of shape (height, width) or (height, width, {bands})."
        )
    _check_size(path, array.shape[1], array.shape[0])
    if array.size > NUMBER_LIMIT:
        raise ImageError(
            f"{printable_name(path)} contains {array.size} numbers, more than the limit of {NUMBER_LIMIT}; make it smaller."
        )
    if array.ndim == 3 and array.shape[2] != bands:
        raise mismatch(printable_name(path), array.shape[2], bands)
    pixels = scaled(printable_name(path), array, floats)
    return in_bands(printable_name(path), pixels if pixels.ndim == 3 else pixels[..., np.newaxis], bands)


def _read_picture(path: Path, bands: int, floats: tuple[float, float]) -> Picture:
    """The pixels in the file's own channels; of a TIFF those that a model of so many channels can use."""
    name = printable_name(path)
    found = tiff.read(path, name, bands, NUMBER_LIMIT)
    if isinstance(found, Samples):
        return found.picture(name, floats)
    with _quiet_pillow(), path.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
        _check_size(path, opened.width, opened.height)
        return _samples(path, opened, found).picture(name, floats)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Run Pillow without warnings and without its own size limit, and strict about missing pixels."""
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_size(path: Path, width: int, height: int) -> None:
    """Check the size before anything is allocated: a file of a few bytes can state any number of pixels."""
    if width * height > PIXEL_LIMIT:
        raise ImageError(
            f"{printable_name(path)} has {width} x {height} pixels, "
            f"more than the limit of {PIXEL_LIMIT // MEGA} megapixels; make it smaller."
        )


def _samples(path: Path, opened: ImageFile.ImageFile, meaning: Meaning | None) -> Samples:
    """Read a file with Pillow, 8 bits as a viewer shows them. meaning: of a TIFF's values of more than 8 bits, None for other files."""
    raw = _raw_mode(opened)
    depth = raw.rpartition(";")[2]
    if depth.startswith("16") and opened.mode in COLOURS:
        return _sixteen_bits(path, opened, raw, meaning)
    key = opened.info.get("transparency")
    if opened.format == "PNG" and raw in FEW_BITS and isinstance(key, int):
        opened.info["transparency"] = key * FEW_BITS[raw]
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > SIXTEEN_BIT_WHITE:
            raise ImageError(
                f"{printable_name(path)} has pixels outside 0..{SIXTEEN_BIT_WHITE}; save it with 8 or 16 bits per channel."
            )
        found = meaning if meaning is not None else Meaning(key=None if key is None else (key,))
        return Samples(values.astype(np.uint16)[..., np.newaxis], found)
    if image.mode == "F":
        return Samples(np.asarray(image)[..., np.newaxis], meaning if meaning is not None else Meaning())
    values = np.array(_grey_or_rgb(image))
    return Samples(values if values.ndim > GREY_AXES else values[..., np.newaxis])


def _raw_mode(opened: ImageFile.ImageFile) -> str:
    """Return the raw mode in which Pillow reads the file's bytes; "" where it does not state it."""
    arguments = opened.tile[0][3] if opened.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _sixteen_bits(path: Path, opened: ImageFile.ImageFile, raw: str, meaning: Meaning | None) -> Samples:
    """Read colour, or gray with opacity, of 16 bits: Pillow keeps one byte of each value, so the file is read twice."""
    if raw == GREY_ALPHA:
        pairs = _bytes(opened, FOUR_BYTES).astype(np.uint16)
        return Samples(pairs[..., ::2] * BYTE + pairs[..., 1::2], Meaning(alpha=1))
    kind, _, order = raw.partition(";")
    kind = kind.replace("a", "A")  # what is premultiplied stays so
    big = order == "16B" or (order == "16N" and sys.byteorder == "big")
    key = opened.info.get("transparency")
    with path.open("rb") as file, Image.open(file, formats=FORMATS) as again:
        upper = _bytes(opened, f"{kind};16{'B' if big else 'L'}").astype(np.uint16)
        values = upper * BYTE + _bytes(again, f"{kind};16{'L' if big else 'B'}")
    return Samples(
        values,
        meaning if meaning is not None else Meaning(alpha=RGB_CHANNELS if opened.mode == "RGBA" else None, key=key),
    )


def _bytes(opened: ImageFile.ImageFile, raw: str) -> NDArray[np.uint8]:
    """Read one byte of each value of a file that is opened and not read yet: uint8 (height, width, samples), upright. raw: the raw mode."""
    (tile,) = opened.tile
    arguments = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
    opened.tile = [tile._replace(args=arguments)]
    return np.array(ImageOps.exif_transpose(opened))


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    """Return a picture of at most 8 bits per channel as "L" or "RGB" without transparency."""
    grey = image.mode in GREY_MODES
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        paper = Image.new("L" if grey else "RGB", image.size, "white")
        paper.paste(image.convert(paper.mode), mask=image.getchannel("A"))
        return paper
    return image.convert("L" if grey else "RGB")
