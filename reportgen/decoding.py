"""An image file becomes an array, or one sentence that says what is wrong with it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from reportgen import tiff
from reportgen.errors import ImageError

ARRAY_SUFFIX = ".npy"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")  # no others: some of Pillow's readers start outside programs
PIXEL_LIMIT = 200_000_000  # the largest sensors in telephones have 200 megapixels; more is a mistake or an attack
NUMBER_LIMIT = 3 * PIXEL_LIMIT  # of a picture of many bands: as many as the largest has in colour
MEGA = 10**6
UNIT = (0.0, 1.0)  # black and white of floating-point pixels unless stated
ROUNDING = 1e-5  # of the distance from black to white: what arithmetic before saving may have added
WHITE = 255
RGB_BANDS = 3
SIXTEEN_BIT_WHITE = 65535
SIXTEEN_TO_EIGHT = 257  # 65535 / 255: white stays white
GREY_MODES = ("1", "L", "LA", "La")

# Without handlers of their own, what these log about a damaged file would reach the terminal.
for library in ("PIL", "tifffile"):
    logging.getLogger(library).addHandler(logging.NullHandler())


def printable_name(path: Path) -> str:
    """The file's name without its folder, such that it can be written as UTF-8."""
    name = path.name if path.name != "" else str(path)
    return name.encode(errors="replace").decode()


def decode(path: str | Path, bands: int, floats: tuple[float, float] = UNIT) -> NDArray[np.uint8]:
    """The pixels of an image file: uint8 (height, width, bands), EXIF orientation applied.

    Reads PNG, JPEG, WebP, TIFF, BMP, GIF (of several frames the first; of a TIFF with as many pages as the model takes
    bands, and those neither 1 nor 3, all), and .npy arrays of uint8, uint16 or floating-point numbers, (height, width)
    or (height, width, bands). RGB becomes one band by Pillow's `L`, grey is repeated for three; transparency is laid on
    white; CMYK is converted; 16 bits v become round(v / 257), except that Pillow keeps only the upper byte of 16-bit
    colour in PNG (at most 1 off). floats: the floating-point numbers of black and white, outside which none may lie.
    Any other number of bands is an error.

    Raises ImageError, one sentence with the file's name and what to do, for whatever is wrong with the file. Pillow's
    two global limits are set while a file is read, so not to be called from several threads at once.
    """
    path = Path(path)
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
        if path.suffix.lower() == ARRAY_SUFFIX:
            return _read_array(path, bands, floats)
        return _read_picture(path, bands, floats)
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{name} cannot be read; check its permissions.") from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is; make it smaller.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no PNG, JPEG, WebP, TIFF, BMP or GIF image; convert it to one.") from error
    except Exception as error:  # damaged files make decoders raise anything; what they say may hold the folder's name
        raise ImageError(f"{name} is damaged or of an unknown kind; save it again, for example as PNG.") from error


def _read_array(path: Path, bands: int, floats: tuple[float, float]) -> NDArray[np.uint8]:
    array = np.lib.format.open_memmap(path, mode="r")  # never unpickles, and reads nothing before the shape is checked
    unsigned = array.dtype.kind == "u" and array.dtype.itemsize <= 2
    if not (unsigned or array.dtype.kind == "f") or array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(
            f"{printable_name(path)} holds {array.dtype} of shape {array.shape}; "
            f"save uint8, uint16 or floating-point numbers of shape (height, width) or (height, width, {bands})."
        )
    _check_size(path, array.shape[1], array.shape[0])
    if array.size > NUMBER_LIMIT:
        raise ImageError(
            f"{printable_name(path)} holds {array.size} numbers, more than the limit of {NUMBER_LIMIT}; make it smaller."
        )
    if array.ndim == 3 and array.shape[2] != bands:
        raise _mismatch(path, array.shape[2], bands)
    pixels = _eight_bit(path, array, floats)
    return pixels if pixels.ndim == 3 else _grey_to_bands(path, pixels, bands)


def _read_picture(path: Path, bands: int, floats: tuple[float, float]) -> NDArray[np.uint8]:
    numbers = tiff.read(path, printable_name(path), bands, NUMBER_LIMIT)
    if numbers is not None:
        return _to_bands(path, _eight_bit(path, numbers, floats), bands)
    with _quiet_pillow(), path.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
        _check_size(path, opened.width, opened.height)
        image = _grey_or_rgb(path, ImageOps.exif_transpose(opened), floats)
    return _to_bands(path, np.array(image), bands)


def _to_bands(path: Path, pixels: NDArray[np.uint8], bands: int) -> NDArray[np.uint8]:
    """Grey (height, width) or (height, width, samples) as the model's bands. Raises ImageError where they cannot become those."""
    if pixels.ndim == 2:
        return _grey_to_bands(path, pixels, bands)
    if bands == 1 and pixels.shape[2] == RGB_BANDS:
        return np.array(Image.fromarray(pixels).convert("L"))[..., np.newaxis]
    if pixels.shape[2] != bands:
        raise _mismatch(path, pixels.shape[2], bands)
    return pixels


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Pillow without warnings and without its own size limit, and strict about missing pixels."""
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_size(path: Path, width: int, height: int) -> None:
    """Raises ImageError before anything is allocated: a few bytes can promise any number of pixels."""
    if width * height > PIXEL_LIMIT:
        raise ImageError(
            f"{printable_name(path)} has {width} x {height} pixels, "
            f"more than the limit of {PIXEL_LIMIT // MEGA} megapixels; make it smaller."
        )


def _mismatch(path: Path, found: int, bands: int) -> ImageError:
    return ImageError(
        f"{printable_name(path)} has {found} band{'' if found == 1 else 's'} but the model takes {bands}; "
        f"give a NumPy array (.npy) of shape (height, width, {bands})."
    )


def _grey_to_bands(path: Path, grey: NDArray[np.uint8], bands: int) -> NDArray[np.uint8]:
    if bands not in (1, RGB_BANDS):
        raise _mismatch(path, 1, bands)
    return np.repeat(grey[..., np.newaxis], bands, axis=2)


def _grey_or_rgb(path: Path, image: Image.Image, floats: tuple[float, float]) -> Image.Image:
    """The image as 8-bit "L" or "RGB" without transparency."""
    if image.mode.startswith("I"):
        return _from_integers(path, image)
    if image.mode == "F":
        return Image.fromarray(_eight_bit(path, np.asarray(image), floats))
    grey = image.mode in GREY_MODES
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        paper = Image.new("L" if grey else "RGB", image.size, "white")
        paper.paste(image.convert(paper.mode), mask=image.getchannel("A"))
        return paper
    return image.convert("L" if grey else "RGB")


def _from_integers(path: Path, image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > SIXTEEN_BIT_WHITE:
        raise ImageError(
            f"{printable_name(path)} has pixels outside 0..{SIXTEEN_BIT_WHITE}; save it with 8 or 16 bits a band."
        )
    pixels = _from_sixteen_bits(values)
    if "transparency" in image.info:
        pixels[values == image.info["transparency"]] = WHITE
    return Image.fromarray(pixels)


def _eight_bit(path: Path, values: NDArray[Any], floats: tuple[float, float]) -> NDArray[np.uint8]:
    """Numbers as uint8: 8 bits as they are, 16 scaled, floating point from black to white. Raises ImageError for any others."""
    if values.dtype == np.uint8:
        return np.array(values)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return _from_sixteen_bits(values)
    name, (black, white) = printable_name(path), floats
    if values.dtype.kind != "f":
        raise ImageError(f"{name} holds {values.dtype}; save it as uint8, uint16 or floating-point numbers.")
    least, most = float(values.min()), float(values.max())
    slack = ROUNDING * (white - black)
    if not (least >= black - slack and most <= white + slack):  # so written that NaN fails
        raise ImageError(
            f"{name} has floating-point pixels outside {black:g}..{white:g}, from {least:g} to {most:g}; "
            "scale them, or state with --input-range what the model takes as black and white."
        )
    shares = (np.asarray(values, np.float32) - np.float32(black)) / np.float32(white - black)
    pixels: NDArray[np.uint8] = np.rint(np.clip(shares, 0, 1) * WHITE).astype(np.uint8)
    return pixels


def _from_sixteen_bits(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    """round(v / 257) of 0..65535, in integers."""
    return ((values.astype(np.uint32) + SIXTEEN_TO_EIGHT // 2) // SIXTEEN_TO_EIGHT).astype(np.uint8)
