"""An image file becomes an array, or one sentence that says what is wrong with it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from reportgen.errors import ImageError

ARRAY_SUFFIX = ".npy"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")  # no others: some of Pillow's readers start outside programs
PIXEL_LIMIT = 200_000_000  # the largest sensors in telephones have 200 megapixels; more is a mistake or an attack
MEGA = 10**6
WHITE = 255
RGB_BANDS = 3
SIXTEEN_BIT_WHITE = 65535
SIXTEEN_TO_EIGHT = 257  # 65535 / 255: white stays white
GREY_MODES = ("1", "L", "LA", "La")

# Without a handler of its own, what Pillow logs about a damaged file would reach the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def printable_name(path: Path) -> str:
    """The file's name without its folder, such that it can be written as UTF-8."""
    name = path.name if path.name != "" else str(path)
    return name.encode(errors="replace").decode()


def decode(path: str | Path, bands: int) -> NDArray[np.uint8]:
    """The pixels of an image file: uint8 (height, width, bands), EXIF orientation applied.

    Reads PNG, JPEG, WebP, TIFF, BMP, GIF (of several frames the first), and .npy arrays of uint8 or uint16, (height,
    width) or (height, width, bands). RGB becomes one band by Pillow's `L`, grey is repeated for three; transparency
    is laid on white; CMYK is converted; 16 bits v become round(v / 257), except that Pillow keeps only the upper byte
    of 16-bit colour (at most 1 off); floating-point pixels must lie in 0..1. Any other number of bands is an error.

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
        return _read_array(path, bands) if path.suffix.lower() == ARRAY_SUFFIX else _read_picture(path, bands)
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


def _read_array(path: Path, bands: int) -> NDArray[np.uint8]:
    array = np.lib.format.open_memmap(path, mode="r")  # never unpickles, and reads nothing before the shape is checked
    if array.dtype.kind != "u" or array.dtype.itemsize > 2 or array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(
            f"{printable_name(path)} holds {array.dtype} of shape {array.shape}; "
            f"save uint8 or uint16 of shape (height, width) or (height, width, {bands})."
        )
    _check_size(path, array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] != bands:
        raise _mismatch(path, array.shape[2], bands)
    pixels = np.array(array) if array.dtype.itemsize == 1 else _eight_bit(array)
    return pixels if pixels.ndim == 3 else _grey_to_bands(path, pixels, bands)


def _read_picture(path: Path, bands: int) -> NDArray[np.uint8]:
    with _quiet_pillow(), path.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
        _check_size(path, opened.width, opened.height)
        image = _grey_or_rgb(path, ImageOps.exif_transpose(opened))
    if image.mode == "L":
        return _grey_to_bands(path, np.array(image), bands)
    if bands == 1:
        return np.array(image.convert("L"))[..., np.newaxis]
    if bands != RGB_BANDS:
        raise _mismatch(path, RGB_BANDS, bands)
    return np.array(image)


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


def _grey_or_rgb(path: Path, image: Image.Image) -> Image.Image:
    """The image as 8-bit "L" or "RGB" without transparency."""
    if image.mode.startswith("I"):
        return _from_integers(path, image)
    if image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):  # so written that NaN fails
            raise ImageError(
                f"{printable_name(path)} has floating-point pixels outside 0..1; save it with 8 or 16 bits a band."
            )
        return Image.fromarray(np.rint(values * WHITE).astype(np.uint8))
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
    pixels = _eight_bit(values)
    if "transparency" in image.info:
        pixels[values == image.info["transparency"]] = WHITE
    return Image.fromarray(pixels)


def _eight_bit(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    """round(v / 257) of 0..65535, in integers."""
    return ((values.astype(np.uint32) + SIXTEEN_TO_EIGHT // 2) // SIXTEEN_TO_EIGHT).astype(np.uint8)
