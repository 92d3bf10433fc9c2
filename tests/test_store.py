"""Finished tasks on disk: what was saved is read back, what is damaged is missing, and nobody sees half a file."""

from __future__ import annotations

import dataclasses
import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from reportgen.core import files
from reportgen.core import npz as arrays
from reportgen.core.errors import StoreError
from reportgen.core.records import ImageRecord, InputContract, LayerRecord, ModelRecord, Plan, Task
from reportgen.core.store import Store, json_bytes

KEY = "ab" + 38 * "0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def path_of(store: Store, key: str = KEY) -> Path:
    (path,) = store.folder.rglob(f"{key}.npz")
    return path


def test_arrays_and_facts_come_back_as_they_were(store: Store) -> None:
    kept = {
        "kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "maps": np.array([[0.5, np.nan], [np.inf, -65504]], np.float16),
        "images": np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)[:, ::-1],
        "empty": np.zeros((0, 3), np.int32),
    }
    facts = {"steps": 3, "label": "Kröte", "nothing": None, "list": [1.5, 2]}
    store.save(KEY, kept, facts)
    assert store.has(KEY)
    loaded, loaded_facts = store.load(KEY)
    assert list(loaded) == list(kept)
    for name, array in kept.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    assert loaded_facts == facts


def test_what_was_never_saved_is_missing(store: Store) -> None:
    assert not store.has(KEY)
    with pytest.raises(StoreError, match=KEY):
        store.load(KEY)


def test_the_same_arrays_give_the_same_bytes(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"maps": np.linspace(0, 1, 500).astype(np.float16)}
    store.save(KEY, content, {"b": 1, "a": 2})
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    other = Store(tmp_path / "other")
    other.save(KEY, content, {"a": 2, "b": 1})
    assert path_of(store).read_bytes() == path_of(other).read_bytes()
    with zipfile.ZipFile(path_of(store)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_alone_reads_a_stored_archive(store: Store) -> None:
    store.save(KEY, {"maps": np.eye(3, dtype=np.float32)}, {})
    with np.load(path_of(store), allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["maps"], np.eye(3))


def test_pickles_are_neither_written_nor_read(store: Store) -> None:
    with pytest.raises(ValueError, match="pickle"):
        store.save(KEY, {"objects": np.array([{}, None], object)}, {})
    assert not store.has(KEY)
    store.save(KEY, {"maps": np.zeros(3)}, {})
    with zipfile.ZipFile(path_of(store), "a") as archive, archive.open("evil.npy", "w") as member:
        np.save(member, np.array([print], object), allow_pickle=True)
    with pytest.raises(StoreError):
        store.load(KEY)


def test_a_number_that_is_not_finite_cannot_be_a_fact(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.save(KEY, {}, {"maximum": float("nan")})
    assert not store.has(KEY)


def test_a_file_damaged_anywhere_counts_as_missing_and_is_written_anew(store: Store) -> None:
    content = {"maps": np.random.default_rng(0).standard_normal(40).astype(np.float32)}
    facts = {"crops": 7}
    store.save(KEY, content, facts)
    path = path_of(store)
    whole = path.read_bytes()

    def check() -> None:
        if store.has(KEY):  # bytes that ZIP readers ignore, such as a date, may change
            loaded, loaded_facts = store.load(KEY)
            np.testing.assert_array_equal(loaded["maps"], content["maps"])
            assert loaded_facts == facts
        else:
            refused.append(position)
            with pytest.raises(StoreError):
                store.load(KEY)

    refused: list[int] = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        check()
    assert len(refused) > len(whole) / 2
    refused.clear()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position])
        check()
    assert refused == list(range(0, len(whole), 7))
    store.save(KEY, content, facts)
    assert path.read_bytes() == whole
    assert store.has(KEY)


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(KEY, {"maps": np.zeros(3)}, {"run": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.save(KEY, {"maps": np.ones(3)}, {"run": 2})
    assert store.load(KEY)[1] == {"run": 1}
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == [f"{KEY}.npz"]


def test_a_full_disk_leaves_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(KEY, {"maps": np.zeros(3)}, {"run": 1})

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space"):
            store.save(KEY, {"maps": np.ones(3)}, {"run": 2})
    assert store.load(KEY)[1] == {"run": 1}
    assert len([path for path in store.folder.rglob("*") if path.is_file()]) == 1


IMAGES = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
MAPS = np.random.default_rng(2).standard_normal((40, 40, 2)).astype(np.float16)
SHARED = {"data/conv/patterns.npz": {"images": IMAGES[[2, 0]]}, "data/conv/feature_maps.npz": {"cat": MAPS}}
CONTENT = {"peak": np.ones(2, np.float32), "images": IMAGES, "maps": MAPS}


def settled(store: Store) -> None:
    """A task two of whose three images, and whose maps, lie in files of the report."""
    store.save(KEY, CONTENT, {"steps": 1})
    for path, content in SHARED.items():
        files.write_atomically(store.folder.parent / path, arrays.pack(content))
    store.settle([KEY, "cd" + 38 * "0"], SHARED)


def is_whole(store: Store) -> bool:
    loaded, facts = store.load(KEY)
    assert list(loaded) == list(CONTENT)
    return facts == {"steps": 1} and all(np.array_equal(loaded[name], array) for name, array in CONTENT.items())


def test_a_settled_task_leaves_its_arrays_to_the_files_of_the_report(store: Store) -> None:
    settled(store)
    assert is_whole(store)
    with np.load(path_of(store)) as archive:
        assert {name: archive[name].shape for name in archive.files if name.endswith(("images", "maps", "peak"))} == {
            "peak": (2,),
            "images": (1, 32, 32, 3),
        }
    before = path_of(store).read_bytes()
    store.settle([KEY], SHARED)
    assert path_of(store).read_bytes() == before


@pytest.mark.parametrize("path", SHARED)
def test_a_task_is_missing_where_a_file_that_has_its_arrays_is_damaged_or_another(store: Store, path: str) -> None:
    settled(store)
    file = store.folder.parent / path
    whole = file.read_bytes()
    for damaged in (None, whole[:-40], arrays.pack({name: array[::-1] for name, array in SHARED[path].items()})):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        assert not store.has(KEY)
    file.write_bytes(whole)
    assert store.has(KEY)


def test_a_task_is_made_whole_before_a_file_that_has_its_arrays_changes(store: Store) -> None:
    settled(store)
    store.release("data/conv/other.npz")
    assert path_of(store).stat().st_size < IMAGES.nbytes
    for path in SHARED:
        store.release(path)
        (store.folder.parent / path).unlink()
    assert is_whole(store)


def test_only_files_of_the_report_are_read_for_a_task(store: Store) -> None:
    settled(store)
    moved = store.folder.parent / "data" / "conv" / "feature_maps.npz"
    moved.rename(store.folder.parent / "elsewhere.npz")
    content, members = arrays.unpack(path_of(store))
    members["shared.json"] = members["shared.json"].replace(b"data/conv/feature_maps.npz", b"elsewhere.npz")
    files.write_atomically(path_of(store), arrays.pack(content, members))
    with pytest.raises(StoreError, match="no file of a report"):
        store.load(KEY)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_reason_of_a_failure_is_kept_until_the_task_succeeds(store: Store) -> None:
    assert store.failure(KEY) is None
    store.save_failure(KEY, "conv3: the gradient is übel")
    assert store.failure(KEY) == "conv3: the gradient is übel"
    assert not store.has(KEY)
    store.save(KEY, {}, {})
    assert store.failure(KEY) is None


def test_a_damaged_reason_is_no_crash(store: Store) -> None:
    store.save_failure(KEY, "x")
    next(store.folder.rglob("*.failed")).write_bytes(b"\xff\xfe")
    assert store.failure(KEY)


def test_json_has_sorted_keys_and_one_form() -> None:
    assert json_bytes({"b": [1, 2.5], "a": "é"}) == json_bytes(dict([("a", "é"), ("b", (1, 2.5))]))
    assert json_bytes({"b": 1, "a": "é"}) == '{\n "a": "é",\n "b": 1\n}\n'.encode()


def plan() -> Plan:
    layer = LayerRecord(
        path="a/conv",
        name="conv",
        slug="a-conv",
        layer_class="Conv2D",
        status="rendered",
        reason=None,
        unit="a/relu",
        kernel_shape=(3, 3, 3, 4),
        strides=(1, 1),
        dilation=(1, 1),
        groups=1,
        padding="same",
        output_shape=(None, None, 4),
        receptive_field=(3, 3),
        receptive_field_note=None,
        parameters=112,
        activation="relu",
        rectified=True,
        kernel_bands="RGB",
        filters_total=4,
        filters_shown=(0, 3),
        pattern_size=(64, 64),
        macs=1000,
    )
    task = Task("patterns", KEY, "a-conv", "", (0, 3), 12.5)
    return Plan(
        model=ModelRecord("m", "m.keras", None, "ff", 112, (None, None, 3), ("cat", "dog")),
        contract=InputContract((None, None, 3), (224, 224), "crop", 0.0, 255.0, "unit", "default", None),
        settings={"seed": 0},
        environment={"python": "3.11"},
        images=(ImageRecord("cat.png", "cat", "aa", 10, 20, True),),
        images_left_out=({"name": "x.png", "reason": "empty"},),
        layers=(layer,),
        tasks=(task, dataclasses.replace(task, kind="weights", filters=())),
        notes=("a note",),
    )


def test_a_plan_comes_back_equal(store: Store) -> None:
    store.save_plan(plan())
    assert store.load_plan() == plan()
    assert store.load_plan().layer_tasks("a-conv", "patterns") == (plan().tasks[0],)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"1",
        b"null",
        b"{",
        b"\xff",
        b'{"format": "reportgen-plan/999"}',
        b'{"format": "reportgen-plan/1"}',
    ],
)
def test_a_plan_that_cannot_be_read_is_one_sentence(store: Store, content: bytes) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "plan.json").write_bytes(content)
    with pytest.raises(StoreError, match="run `reportgen build` again"):
        store.load_plan()


def test_a_folder_without_a_plan_says_so(store: Store) -> None:
    with pytest.raises(StoreError, match="no stored report"):
        store.load_plan()


def test_archives_keep_the_order_of_their_arrays(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    files.write_atomically(path, arrays.pack({"z": np.zeros(1), "a": np.ones(2)}, {"facts.json": b"{}"}))
    found, members = arrays.unpack(path)
    assert list(found) == ["z", "a"]
    assert members == {"facts.json": b"{}"}


def packed_size(array: np.ndarray) -> int:
    """Bytes of a packed array, which NumPy reads again."""
    data = arrays.pack({"values": array})
    assert np.array_equal(np.load(io.BytesIO(data))["values"], array)
    return len(data)


def test_an_array_is_deflated_as_suits_what_it_holds() -> None:
    random = np.random.default_rng(0)
    noisy = np.clip(random.normal(127, 20, (256, 256, 3)), 0, 255).astype(np.uint8)  # recurs by chance alone
    assert packed_size(noisy) < 0.99 * len(zlib.compress(noisy, 1))
    few = random.choice(random.normal(size=16).astype(np.float32), (64, 1024))  # weights of four bits
    assert packed_size(few) < 0.4 * few.nbytes
