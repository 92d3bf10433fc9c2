"""Data sets of every kind give the same images and labels; what cannot be decoded is named."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reportgen.core.errors import UsageError
from reportgen.core.records import InputContract
from reportgen.inputs.dataset import Dataset, open_dataset
from reportgen.inputs.label_map import matched

CONTRACT = InputContract((8, 8, 3), (8, 8), "crop", 0.0, 255.0, "none", "", None)
COUNT = 6


def scenes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)


LABELS = ["cat", "dog"] * (COUNT // 2)


def pairs() -> Iterator[tuple[np.ndarray, int]]:
    yield from zip(scenes(), [LABELS.index(label) for label in LABELS], strict=True)


def batches_of_tensorflow() -> Any:
    from reportgen.network.backend import tf

    return tf.data.Dataset.from_tensor_slices({"image": scenes(), "label": LABELS})


def forgetful() -> Iterator[np.ndarray]:
    """Other images at each call."""
    yield from np.random.default_rng().integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def load(name: str, option: str) -> Any:
    return globals()[name.partition(":")[2]]


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def opened(path: object, limit: int | None = None) -> Dataset:
    return open_dataset(str(path), limit, load)


def made(kind: str, folder: Path) -> object:
    for number, (image, label) in enumerate(zip(scenes(), LABELS, strict=True)):
        target = folder / "images" / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png(image))
    rows = [(f"images/{label}/{number}.png", label) for number, label in enumerate(LABELS)]
    match kind:
        case "folder":
            return folder / "images"
        case "csv":
            text = "\n".join(["label,path", *(f"{label},{path}" for path, label in rows)])
            (folder / "set.csv").write_text(text)
            return folder / "set.csv"
        case "csv without a head":
            (folder / "set.csv").write_text("\n".join(f"{path},{label}" for path, label in rows))
            return folder / "set.csv"
        case "parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
            pyarrow = pytest.importorskip("pyarrow")
            table = pyarrow.table({"path": [path for path, _ in rows], "label": [label for _, label in rows]})
            parquet.write_table(table, folder / "set.parquet")
            return folder / "set.parquet"
        case "tar":
            with tarfile.open(folder / "shard-0.tar", "w") as archive:
                for number, (image, label) in enumerate(zip(scenes(), LABELS, strict=True)):
                    for name, data in ((f"{number}.png", png(image)), (f"{number}.cls", label.encode())):
                        entry = tarfile.TarInfo(name)
                        entry.size = len(data)
                        archive.addfile(entry, io.BytesIO(data))
            return folder / "shard-0.tar"
        case "npz":
            np.savez(folder / "set.npz", images=scenes(), labels=np.array(LABELS))
            return folder / "set.npz"
        case "tf.data":
            return "mine:batches_of_tensorflow"
    raise ValueError(kind)


@pytest.mark.parametrize("kind", ["folder", "csv", "csv without a head", "parquet", "tar", "npz", "tf.data"])
def test_every_source_gives_the_same_images_in_order(kind: str, tmp_path: Path) -> None:
    dataset = opened(made(kind, tmp_path))
    copy = pickle.loads(pickle.dumps(dataset.absolute()))
    expected = sorted(range(COUNT), key=lambda number: (LABELS[number], number)) if kind == "folder" else range(COUNT)
    for one in (dataset, copy):
        assert [image.label for image in one.images] == [LABELS[number] for number in expected]
        found = list(one.decoded(range(COUNT), CONTRACT))
        np.testing.assert_array_equal([each.pixels for each in found], scenes()[list(expected)])
    assert len({image.name for image in dataset.images}) == COUNT
    (again,) = dataset.decoded([2], CONTRACT)
    np.testing.assert_array_equal(again.pixels, scenes()[list(expected)[2]])


def test_numbers_are_labels_and_a_limit_takes_evenly_spaced_images() -> None:
    dataset = opened("mine:pairs", 3)
    assert [image.name for image in dataset.images] == ["000000", "000002", "000005"]
    assert [image.label for image in dataset.images] == ["0", "0", "1"]
    assert (dataset.found, dataset.record({"1": 1}).labels[1].class_index) == (COUNT, 1)


def test_images_that_changed_since_they_were_listed_are_left_out(tmp_path: Path) -> None:
    dataset = pickle.loads(pickle.dumps(opened("mine:forgetful")))
    assert all("changed" in str(each.reason) for each in dataset.decoded(range(3), CONTRACT))
    dataset = opened(made("folder", tmp_path))
    (tmp_path / "images" / "cat" / "0.png").unlink()
    first, second = dataset.decoded([0, 1], CONTRACT)
    assert "0.png does not exist" in str(first.reason)
    assert second.reason is None


def test_gray_sixteen_bit_and_odd_sized_images_are_read_and_broken_ones_named(tmp_path: Path) -> None:
    Image.fromarray(np.full((5, 9), 7, np.uint8)).save(tmp_path / "gray.png")
    Image.fromarray(np.full((20, 6), 257 * 9, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(png(scenes()[0])[:100])
    np.save(tmp_path / "bands.npy", np.zeros((8, 8, 5), np.uint8))
    found = {each.image.name: each for each in opened(tmp_path).decoded(range(5), CONTRACT)}
    assert found["gray.png"].pixels is not None
    assert (found["gray.png"].pixels == 7).all()
    assert found["deep.png"].pixels is not None
    assert np.allclose(found["deep.png"].pixels, 9)
    for name, words in (("empty.jpg", "is empty"), ("cut.png", "is damaged"), ("bands.npy", "5 channels")):
        assert words in str(found[name].reason)


@pytest.mark.parametrize("name", ["nothing", "text.txt", "broken.npz", "broken.tar", "empty"])
def test_what_is_no_data_set_is_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name != "nothing":
        path.write_text("nothing")
    with pytest.raises(UsageError, match=f"--dataset {name} .*[.]$"):
        opened(path)


def test_labels_are_matched_by_name_by_number_or_as_the_user_says(tmp_path: Path) -> None:
    classes = ["Golden Retriever", "tabby_cat"]
    assert matched(["golden-retriever", "TABBY cat", "1", "fish"], classes, None) == {
        "golden-retriever": 0,
        "TABBY cat": 1,
        "1": 1,
    }
    (tmp_path / "map.json").write_text(json.dumps({"n01": "tabby cat"}))
    assert matched(["n01", "n02"], classes, str(tmp_path / "map.json")) == {"n01": 1}
    (tmp_path / "map.csv").write_text("n01,whale\n")
    with pytest.raises(UsageError, match="no class whale"):
        matched(["n01"], classes, str(tmp_path / "map.csv"))
