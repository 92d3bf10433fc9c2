"""The ZIP and HDF5 files that models come in, checked before anything in them is loaded: sizes, links, the text of the architecture."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import h5py  # a dependency of Keras

from reportgen.core.errors import ModelError
from reportgen.network.error_text import readable_size, shown_name
from reportgen.network.loading.embedded_class_names import KEYS as CLASS_KEYS
from reportgen.network.loading.embedded_class_names import in_mapping
from reportgen.network.loading.hdf5_probe import probe

ARCHITECTURE, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"  # members of a .keras archive
CURRENT = 3  # the major version of Keras whose files need no migration
UNPACKED_FLOOR = 256 << 20  # bytes that a file may always unpack to: no machine that runs TensorFlow lacks them
# Above the floor, unpacked bytes per byte of the file: weights compress little, bombs a thousandfold.
UNPACKED_RATIO = 50
ARCHITECTURE_LIMIT = 64 << 20  # bytes of JSON; the largest network of keras.applications has 2 MiB


@dataclass(frozen=True)
class Contents:
    """What a model file contains.

    architecture: its parsed JSON, None where there is none. elements: numbers in all its arrays. version: the major one of the Keras that
    wrote it. classes: the names of the model's classes, where the file's metadata has them. written_by: the version of Keras that the
    file states in full.
    """

    architecture: Any
    elements: int
    version: int
    classes: tuple[str, ...] | None = None
    written_by: str | None = None


def is_archive(path: Path) -> bool:
    """Return whether the file is to be read as ZIP, by name as in Keras: one file can be valid HDF5 and valid ZIP."""
    return path.suffix.lower() == ".keras"


def holds_model(path: Path) -> bool:
    """Return whether a ZIP archive is a .keras file, by its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {ARCHITECTURE, METADATA} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def inspect_file(path: Path) -> Contents:
    """Check a .keras or HDF5 file and return what it contains.

    Args:
        path: of the file.

    Raises:
        ModelError: it is not safe to unpack.
        Exception: of any kind, where the file is damaged.
    """
    if is_archive(path):
        return _inspect_archive(path)
    probe(path)
    with h5py.File(path, "r") as file:
        elements = _measure(file, path.name, path.stat().st_size)
        text = file.attrs.get("model_config")
        written_by = _version_of_hdf5(file)
        architecture = None if text is None else parse(text, path.name)
        return Contents(architecture, elements, _major(written_by), _names_in_hdf5(file), written_by)


def _inspect_archive(path: Path) -> Contents:
    """Check a .keras file and return what it contains."""
    with zipfile.ZipFile(path) as archive:
        _check_members(archive, path)
        if archive.getinfo(ARCHITECTURE).file_size > ARCHITECTURE_LIMIT:
            raise _too_long(path.name)
        architecture = parse(archive.read(ARCHITECTURE), path.name)
        metadata, elements = _metadata(archive), 0
        if WEIGHTS in archive.namelist():
            probe(path, WEIGHTS)
            data = archive.read(WEIGHTS)
            with h5py.File(BytesIO(data), "r") as file:
                elements = _measure(file, path.name, len(data))
    written_by = str(metadata["keras_version"]) if "keras_version" in metadata else None
    version = CURRENT if written_by is None else _major(written_by)
    return Contents(architecture, elements, version, in_mapping(metadata), written_by)


def _version_of_hdf5(file: h5py.File) -> str | None:
    """Return the version of Keras that wrote an HDF5 file; None where it does not state it."""
    for holder in (file, file.get("model_weights")):
        if holder is not None and "keras_version" in holder.attrs:
            return text_of(holder.attrs["keras_version"])
    return None


def _major(written_by: str | None) -> int:
    """Return the major version; Keras 1 did not always state its own."""
    return 1 if written_by is None else int(written_by.partition(".")[0])


def _metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the metadata of a .keras file; empty where there is none."""
    if METADATA not in archive.namelist() or archive.getinfo(METADATA).file_size > ARCHITECTURE_LIMIT:
        return {}
    metadata = json.loads(archive.read(METADATA))
    return metadata if isinstance(metadata, dict) else {}


def _names_in_hdf5(file: h5py.File) -> tuple[str, ...] | None:
    """Return the class names in an attribute of the file: texts, or one text that is a JSON list."""
    found: dict[str, Any] = {}
    for key in CLASS_KEYS:
        value = file.attrs.get(key)
        if isinstance(value, (str, bytes)):
            try:
                found[key] = json.loads(value)
            except ValueError:
                continue
        elif value is not None and getattr(value, "ndim", 0) == 1:
            found[key] = [text_of(item) for item in value if isinstance(item, (str, bytes))]
    return in_mapping(found)


def text_of(value: Any) -> str:
    """Return an HDF5 attribute as text, whether it was written as bytes or as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Check that the archive does not unpack to far more than its size, or outside the folder that it is unpacked into."""
    _check_size(sum(member.file_size for member in archive.infolist()), path.stat().st_size, path.name)
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if not member.filename or ".." in parts or member.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise ModelError(
                f"{path.name} contains a file that would be unpacked outside its folder ({shown_name(member.filename)}); it is not loaded."
            )


def _check_size(unpacked: int, size: int, name: str) -> None:
    if unpacked > max(UNPACKED_FLOOR, UNPACKED_RATIO * size):
        raise ModelError(
            f"{name} would unpack from {readable_size(size)} to {readable_size(unpacked)}, as no saved model does; it is not loaded."
        )


def _too_long(name: str) -> ModelError:
    return ModelError(
        f"{name} describes its network in more than {readable_size(ARCHITECTURE_LIMIT)}; it is not loaded."
    )


def parse(text: str | bytes, name: str) -> Any:
    """Parse the JSON of an architecture.

    Args:
        text: JSON.
        name: of the file, for messages.

    Raises:
        ModelError: it is too long or too deep.
        ValueError: it is no JSON.
    """
    if len(text) > ARCHITECTURE_LIMIT:
        raise _too_long(name)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ModelError(f"{name} describes its network in levels too deep to read; it is not loaded.") from error


def _measure(file: h5py.File, name: str, size: int) -> int:
    """Return the number of elements in all arrays of an HDF5 file of `size` bytes; refuse arrays that lie in other files or are virtual."""
    elements, unpacked = 0, 0
    for dataset in _datasets(file, name):
        if dataset.external or dataset.is_virtual:
            raise ModelError(f"{name} takes weights from another file ({shown_name(dataset.name)}); it is not loaded.")
        count = math.prod(dataset.shape or ())
        elements += count
        unpacked += count * dataset.dtype.itemsize
    _check_size(unpacked, size, name)
    return elements


def _datasets(file: h5py.File, name: str) -> Iterator[Any]:
    """Yield every dataset that a hard link leads to, once; refuse links into other files."""
    waiting: list[Any] = [file]
    seen: set[int] = set()
    while waiting:
        group = waiting.pop()
        for key in group:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise ModelError(f"{name} takes weights from another file ({shown_name(key)}); it is not loaded.")
            if not isinstance(link, h5py.HardLink):
                continue  # a soft link leads to what a hard link of the same file names
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                yield item


def rewrite_archive(source: Path, target: Path, architecture: Any) -> None:
    """Write a copy of a .keras archive with another architecture.

    Args:
        source: the archive.
        target: where the copy is written.
        architecture: of the copy.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        new.writestr(ARCHITECTURE, json.dumps(architecture))
        for member in old.infolist():
            if member.filename != ARCHITECTURE and not member.is_dir():
                with old.open(member) as reader, new.open(member.filename, "w", force_zip64=True) as writer:
                    _copy(reader, writer)


COPY_BLOCK = 1 << 20  # bytes copied at once


def _copy(reader: IO[bytes], writer: IO[bytes]) -> None:
    while block := reader.read(COPY_BLOCK):
        writer.write(block)
