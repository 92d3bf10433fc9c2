"""The data set: its images in a fixed order with stable records, each decoded when it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reportgen.core.errors import ImageError, UsageError
from reportgen.core.records import DatasetRecord, InputContract, LabelRecord
from reportgen.inputs import dataset_sources as sources
from reportgen.inputs.image_reader import Values
from reportgen.inputs.images import fit

PART_IMAGES = (
    256  # that are read and stored together: eight batches, and no more than half a minute of a large network is lost
)


@dataclass(frozen=True)
class DatasetImage:
    """One image of the data set.

    Attributes:
        name: within the source, unique: a path with slashes, or a number.
        sha256: of the file's bytes, or of the array's.
        label: None where there is none.
    """

    name: str
    sha256: str
    label: str | None


@dataclass(frozen=True)
class Decoded:
    """An image as the model is fed it; where it cannot be decoded `reason` says why, and there are no pixels.

    Attributes:
        image: its record.
        pixels: (*size, channels), uint8 or float32.
        lengths: of the image before it was resized, on each axis.
        digest: a hash of the pixels, where they were let go.
    """

    image: DatasetImage
    pixels: Values | None
    lengths: tuple[int, ...] = ()
    reason: str | None = None
    digest: bytes = b""

    def forgotten(self, digest: bytes) -> Decoded:
        """Return the same without pixels, of which the hash is kept."""
        return Decoded(self.image, None, self.lengths, None, digest)


class Source(Protocol):
    """Where images come from; it can be pickled, and a copy reads the same images."""

    def names(self) -> Sequence[tuple[str, str | None]]:
        """Return (name, label) of every image, in order, without decoding any."""

    def sha256(self, place: int) -> str:
        """Return the hash of an image's content."""

    def read(self, place: int, contract: InputContract) -> Values:
        """Return an image in its own size, as `decode` does. Raises ImageError where it cannot be decoded."""

    def absolute(self) -> Source:
        """Return the same source for a process in another folder."""


@dataclass(frozen=True)
class Dataset:
    """The images that are taken of a source, in its order.

    Attributes:
        name: of the source, without its folder.
        source: of the images.
        images: the records of those that are taken.
        places: of each of them in the source.
        found: how many images the source has.
    """

    name: str
    source: Source
    images: tuple[DatasetImage, ...]
    places: tuple[int, ...]
    found: int

    @property
    def parts(self) -> tuple[range, ...]:
        """The positions in `images` of each part."""
        count = len(self.images)
        return tuple(range(start, min(start + PART_IMAGES, count)) for start in range(0, count, PART_IMAGES))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({image.label for image in self.images if image.label is not None}))

    def decoded(self, positions: Sequence[int], contract: InputContract) -> Iterator[Decoded]:
        """Decode images.

        Args:
            positions: in `images`.
            contract: of the model's input.

        Yields:
            Each image as the model is fed it, in the order of `positions`, also where it cannot be decoded.
        """
        for position in positions:
            image = self.images[position]
            try:
                pixels = self.source.read(self.places[position], contract)
                if self.source.sha256(self.places[position]) != image.sha256:
                    raise ImageError(f"{image.name} has changed since the report was planned.")
                yield Decoded(image, fit(pixels, contract.size, contract.fit), pixels.shape[:-1])
            except ImageError as error:
                yield Decoded(image, None, (), str(error))

    def absolute(self) -> Dataset:
        """Return the same data set for a process in another folder."""
        return Dataset(self.name, self.source.absolute(), self.images, self.places, self.found)

    def record(self, classes: Mapping[str, int]) -> DatasetRecord:
        """Return what the plan states of it; `classes` are the model's, by label."""
        counts: dict[str, int] = {}
        for image in self.images:
            if image.label is not None:
                counts[image.label] = counts.get(image.label, 0) + 1
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(f"{image.name}\0{image.sha256}\0{image.label}\n".encode())
        return DatasetRecord(
            self.name,
            self.found,
            len(self.images),
            tuple(LabelRecord(label, counts[label], classes.get(label)) for label in self.labels),
            tuple(len(part) for part in self.parts),
            digest.hexdigest(),
        )


def open_dataset(text: str, limit: int | None, load: Callable[[str, str], Any]) -> Dataset:
    """Open the data set that `--dataset` names.

    Args:
        text: a folder, a file, or `package.module:callable`.
        limit: how many images are taken at most, evenly spaced from the first to the last; None for all.
        load: imports a callable, see `import_callable`.

    Raises:
        UsageError: there is no such data set, or it has no images.
    """
    source = sources.find(text, load)
    names = list(source.names())
    if not names:
        raise UsageError(f"--dataset {_last(text)} has no images.")
    count = len(names) if limit is None else min(limit, len(names))
    places = tuple(int(place) for place in np.linspace(0, len(names) - 1, count).astype(int))
    try:
        images = tuple(DatasetImage(names[place][0], source.sha256(place), names[place][1]) for place in places)
    except OSError as error:
        raise UsageError(f"--dataset {_last(text)} cannot be read: {error.strerror}.") from error
    return Dataset(_last(text), source, images, places, len(names))


def _last(text: str) -> str:
    """What names a data set, without its folder."""
    return text if ":" in text and not Path(text).exists() else Path(text).absolute().name
