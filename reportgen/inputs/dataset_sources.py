"""Where a data set's images come from: folders, tables of paths, tar shards, arrays, and Python callables."""

from __future__ import annotations

import csv
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from reportgen.core import DISTRIBUTION
from reportgen.core.errors import ImageError, UsageError
from reportgen.core.records import PICTURE_RANK, InputContract
from reportgen.inputs import signals
from reportgen.inputs.decoding import from_array
from reportgen.inputs.image_reader import ImageReader, Values, read
from reportgen.inputs.images import SUFFIXES

TABLES, SHARDS, ARRAYS = (".csv", ".tsv", ".parquet"), (".tar",), (".npz", ".npy")
ANY_SUFFIX = tuple(dict.fromkeys((*SUFFIXES, *(suffix for each in signals.SUFFIXES.values() for suffix in each))))
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image")
LABEL_COLUMNS = ("label", "class", "target", "category")
IMAGE_ARRAYS = ("images", "image", "x", "x_test", "x_train", "data")
LABEL_ARRAYS = ("labels", "label", "y", "y_test", "y_train", "targets")
LABEL_MEMBER = ".cls"  # of webdataset's layout: the class as a number or a name
DIGITS = 6  # of an image that has a number for a name


def find(text: str, load: Callable[[str, str], Any]) -> Any:
    """Return the source that `--dataset` names.

    Args:
        text: a folder, a file, or `package.module:callable`.
        load: imports a callable.

    Raises:
        UsageError: there is none.
    """
    path = Path(text)
    try:
        if path.is_dir():
            shards = sorted(each for each in path.iterdir() if each.suffix.lower() in SHARDS)
            return Shards(tuple(shards)) if shards else Folder(path)
        if path.is_file():
            suffix = path.suffix.lower()
            if suffix in TABLES:
                return Table(path)
            if suffix in SHARDS:
                return Shards((path,))
            if suffix in ARRAYS:
                return Arrays(path)
            kinds = ", ".join((*TABLES, *SHARDS, *ARRAYS))
            raise UsageError(f"--dataset {path.name} is no data set; name a folder, or a file that ends in {kinds}.")
    except OSError as error:
        raise UsageError(f"--dataset {path.name} cannot be read: {error.strerror}.") from error
    if ":" in text:
        load(text, "--dataset")  # refused here where it cannot be imported
        return Stream(text, load)
    raise UsageError(f"--dataset {path.name} does not exist; check its name and folder.")


@dataclass
class Files:
    """Image files; a base of sources that are made of them."""

    @cached_property
    def files(self) -> list[tuple[Path, str, str | None]]:
        """(path, name, label) of every file."""
        raise NotImplementedError

    def names(self) -> Sequence[tuple[str, str | None]]:
        """Return (name, label) of every image."""
        return [(name, label) for _, name, label in self.files]

    def sha256(self, place: int) -> str:
        """Return the hash of a file; of one that cannot be read, that of nothing, which reading will name."""
        try:
            with self.files[place][0].open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return hashlib.sha256().hexdigest()

    def read(self, place: int, contract: InputContract) -> Values:
        """Return an image in its own size. Raises ImageError where it cannot be decoded."""
        reader = ImageReader(kept_bytes=0)
        return reader.read(self.files[place][0], contract.bands, contract.rank, contract.floats)


@dataclass
class Folder(Files):
    """The image files in a folder and all folders inside, sorted by path; the folders in it are labels, as in Keras."""

    folder: Path

    @cached_property
    def files(self) -> list[tuple[Path, str, str | None]]:
        """(path, name, label) of every file."""
        found = []

        def refused(error: OSError) -> None:
            raise UsageError(
                f"--dataset: the folder {Path(error.filename or self.folder).name} cannot be read."
            ) from error

        for place, inside, files in os.walk(self.folder, onerror=refused):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            for name in files:
                path = Path(place) / name
                if path.suffix.lower() in ANY_SUFFIX and not name.startswith("."):
                    relative = path.relative_to(self.folder).as_posix().encode(errors="replace").decode()
                    parts = relative.split("/")
                    found.append((path, relative, parts[0] if len(parts) > 1 else None))
        return sorted(found, key=lambda each: each[1])

    def absolute(self) -> Folder:
        """Return the same source for a process in another folder."""
        return Folder(self.folder.absolute())


@dataclass
class Table(Files):
    """A CSV, TSV or Parquet file with a column of paths, relative to the file, and one of labels."""

    path: Path

    @cached_property
    def files(self) -> list[tuple[Path, str, str | None]]:
        """(path, name, label) of every file."""
        rows = self._parquet() if self.path.suffix.lower() == ".parquet" else self._csv()
        folder = self.path.parent
        return [(folder / name, name.replace("\\", "/"), label) for name, label in rows if name]

    def _csv(self) -> list[tuple[str, str | None]]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                rows = [
                    row
                    for row in csv.reader(file, delimiter="\t" if self.path.suffix.lower() == ".tsv" else ",")
                    if row
                ]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"--dataset {self.path.name} is no table of UTF-8 text.") from error
        if not rows:
            return []
        header = [cell.strip().lower() for cell in rows[0]]
        at, of = _column(header, PATH_COLUMNS), _column(header, LABEL_COLUMNS)
        if at is None and of is None:  # no header
            return [(row[0].strip(), row[1].strip() if len(row) > 1 and row[1].strip() else None) for row in rows]
        at = 0 if at is None else at
        return [
            (row[at].strip(), row[of].strip() or None if of is not None and of < len(row) else None)
            for row in rows[1:]
            if at < len(row)
        ]

    def _parquet(self) -> list[tuple[str, str | None]]:
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise UsageError(
                f"--dataset {self.path.name} needs pyarrow; install it with `pip install '{DISTRIBUTION}[parquet]'`."
            ) from error
        try:
            table = parquet.read_table(self.path)
        except Exception as error:
            raise UsageError(f"--dataset {self.path.name} is no Parquet file that can be read.") from error
        header = [name.lower() for name in table.column_names]
        at, of = _column(header, PATH_COLUMNS), _column(header, LABEL_COLUMNS)
        if at is None:
            raise UsageError(f"--dataset {self.path.name} has no column of paths; name it `path`.")
        paths = table.column(at).to_pylist()
        labels = [None] * len(paths) if of is None else table.column(of).to_pylist()
        return [(str(path), None if label is None else str(label)) for path, label in zip(paths, labels, strict=True)]

    def absolute(self) -> Table:
        """Return the same source for a process in another folder."""
        return Table(self.path.absolute())


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


@dataclass(frozen=True)
class Member:
    """An image in a tar file: where its bytes lie."""

    path: Path
    name: str
    offset: int
    size: int
    label: str | None


@dataclass
class Shards:
    """Tar files in webdataset's layout: what has one name up to the first dot is one sample, its `.cls` the label."""

    paths: tuple[Path, ...]

    @cached_property
    def members(self) -> list[Member]:
        """Every image, in the order of the files."""
        found = []
        for path in self.paths:
            labels: dict[str, str] = {}
            images = []
            try:
                with tarfile.open(path) as archive:
                    for entry in archive:
                        if not entry.isfile():
                            continue
                        stem, suffix = _stem(entry.name), PurePosixPath(entry.name).suffix.lower()
                        if suffix == LABEL_MEMBER:
                            content = archive.extractfile(entry)
                            labels[stem] = "" if content is None else content.read().decode(errors="replace").strip()
                        elif suffix in ANY_SUFFIX:
                            images.append((stem, entry.name, entry.offset_data, entry.size))
            except (tarfile.TarError, OSError) as error:
                raise UsageError(f"--dataset {path.name} is no tar file that can be read.") from error
            prefix = f"{path.stem}/" if len(self.paths) > 1 else ""
            found += [
                Member(path, prefix + name, offset, size, labels.get(stem) or None)
                for stem, name, offset, size in images
            ]
        return found

    def names(self) -> Sequence[tuple[str, str | None]]:
        """Return (name, label) of every image."""
        return [(member.name, member.label) for member in self.members]

    def _content(self, place: int) -> bytes:
        member = self.members[place]
        with member.path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)

    def sha256(self, place: int) -> str:
        """Return the hash of an image's bytes."""
        return hashlib.sha256(self._content(place)).hexdigest()

    def read(self, place: int, contract: InputContract) -> Values:
        """Return an image in its own size. Raises ImageError where it cannot be decoded."""
        name = PurePosixPath(self.members[place].name).name
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(self._content(place))
            return np.array(read(path, contract.bands, contract.rank, contract.floats))

    def absolute(self) -> Shards:
        """Return the same source for a process in another folder."""
        return Shards(tuple(path.absolute() for path in self.paths))


def _stem(name: str) -> str:
    """What the members of one sample have in common: the name up to the first dot of its last part."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}"


def _array_values(name: str, given: Any, contract: InputContract) -> Values:
    """A picture, signal or volume that is given as an array."""
    array: Values = np.asarray(given)
    if contract.rank == PICTURE_RANK:
        if array.dtype.kind == "i" and array.size and array.min() >= 0 and array.max() <= np.iinfo(np.uint8).max:
            array = array.astype(np.uint8)  # as frameworks give small pictures
        return from_array(Path(name), array, contract.bands, contract.floats)
    array = np.array(array, np.float32)
    array = array if array.ndim == contract.rank + 1 else array[..., None]
    if array.ndim != contract.rank + 1 or array.shape[-1] != contract.bands:
        raise ImageError(
            f"{name} has shape {array.shape}; the model takes {contract.rank} axes and {contract.bands} channels."
        )
    return array


def _array_hash(array: Any) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()


def _numbered(place: int) -> str:
    return f"{place:0{DIGITS}d}"


@dataclass
class Arrays:
    """A `.npz` with an array of images and one of labels, or a `.npy` of images."""

    path: Path
    _loaded: list[Any] = field(default_factory=list, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """A copy reads the file anew."""
        return {"path": self.path, "_loaded": []}

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        """(images, labels)."""
        if not self._loaded:
            self._loaded.append(self._load())
        loaded: tuple[np.ndarray, np.ndarray | None] = self._loaded[0]
        return loaded

    def _load(self) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            if self.path.suffix.lower() == ".npy":
                return np.load(self.path, mmap_mode="r", allow_pickle=False), None
            with np.load(self.path, allow_pickle=False) as archive:
                names = {name.lower(): name for name in archive.files}
                image = next((names[name] for name in IMAGE_ARRAYS if name in names), None)
                image = archive.files[0] if image is None and archive.files else image
                if image is None:
                    raise UsageError(f"--dataset {self.path.name} has no arrays.")
                label = next((names[name] for name in LABEL_ARRAYS if name in names), None)
                images, labels = archive[image], None if label is None else archive[label]
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"--dataset {self.path.name} is no NumPy archive that can be read.") from error
        if labels is not None and len(labels) != len(images):
            raise UsageError(f"--dataset {self.path.name} has {len(images)} images and {len(labels)} labels.")
        return images, labels

    def names(self) -> Sequence[tuple[str, str | None]]:
        """Return (name, label) of every image."""
        images, labels = self.arrays
        return [
            (_numbered(place), None if labels is None else label_text(labels[place])) for place in range(len(images))
        ]

    def sha256(self, place: int) -> str:
        """Return the hash of an image's values."""
        return _array_hash(self.arrays[0][place])

    def read(self, place: int, contract: InputContract) -> Values:
        """Return an image in its own size. Raises ImageError where it does not fit the model."""
        return _array_values(_numbered(place), self.arrays[0][place], contract)

    def absolute(self) -> Arrays:
        """Return the same source for a process in another folder."""
        return Arrays(self.path.absolute())


@dataclass
class Stream:
    """What a callable returns: (image, label) pairs or images, in the same order at each call; a `tf.data.Dataset` among them."""

    name: str
    load: Callable[[str, str], Any]
    _listed: list[tuple[str, str | None]] = field(default_factory=list, repr=False, compare=False)
    _hashes: list[str] = field(default_factory=list, repr=False, compare=False)
    _open: list[Any] = field(default_factory=list, repr=False, compare=False)  # [iterator, place, latest image]

    def __getstate__(self) -> dict[str, Any]:
        """A copy calls it anew."""
        return {"name": self.name, "load": self.load, "_listed": [], "_hashes": [], "_open": []}

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        try:
            for item in self.load(self.name, "--dataset")():
                yield _pair(item)
        except Exception as error:
            raise UsageError(f"--dataset {self.name} failed: {type(error).__name__}: {error}.") from error

    def _list(self) -> None:
        if not self._listed:
            for place, (image, label) in enumerate(self._pairs()):
                self._listed.append((_numbered(place), label_text(label)))
                self._hashes.append(_array_hash(image))

    def names(self) -> Sequence[tuple[str, str | None]]:
        """Return (name, label) of every image."""
        self._list()
        return self._listed

    def sha256(self, place: int) -> str:
        """Return the hash of an image's values."""
        if self._open and self._open[1] == place:
            return _array_hash(self._open[2])
        self._list()
        return self._hashes[place]

    def read(self, place: int, contract: InputContract) -> Values:
        """Return an image in its own size, going on from the latest one where that lies before it."""
        if not self._open or self._open[1] > place:
            self._open[:] = [self._pairs(), -1, None]
        while self._open[1] < place:
            try:
                self._open[2], _ = next(self._open[0])
            except StopIteration as error:
                self._open.clear()
                raise ImageError(f"{_numbered(place)} is missing: {self.name} gave fewer images this time.") from error
            self._open[1] += 1
        return _array_values(_numbered(place), self._open[2], contract)

    def absolute(self) -> Stream:
        """Return the same source for a process in another folder."""
        return replace(self)


def _pair(item: Any) -> tuple[Any, Any]:
    """(image, label) of what a callable gives: a tuple, a mapping as TensorFlow Datasets gives it, or an image alone."""
    if isinstance(item, dict):
        names = {str(name).lower(): name for name in item}
        image = next((item[names[name]] for name in IMAGE_ARRAYS if name in names), None)
        return image, next((item[names[name]] for name in LABEL_ARRAYS if name in names), None)
    if isinstance(item, tuple | list) and len(item) > 1:
        return np.asarray(item[0]), item[1]
    return np.asarray(item[0] if isinstance(item, tuple | list) else item), None


def label_text(label: Any) -> str | None:
    """Return a label as text; of a vector of one number per class, as one-hot labels are, the number of the largest."""
    if label is None:
        return None
    if isinstance(label, str):
        return str(label)  # NumPy has texts of its own
    if isinstance(label, bytes):
        return label.decode(errors="replace")
    value = np.asarray(label)
    if value.dtype.kind in "SUO" and value.ndim == 0:
        return label_text(value.item())
    if value.ndim and value.size > 1:
        return str(int(value.argmax()))
    number = value.reshape(-1)[0]
    return str(int(number)) if float(number).is_integer() else str(number)
