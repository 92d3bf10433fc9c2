"""Damage real files at random and hand them to the loaders: each ends in success or in one sentence, never in a traceback or a crash.

    python tests/fuzz.py --cases 2000 --seed 0       # a table of what happened; exit code 1 where anything was found
    python tests/fuzz.py --seed 0 --only 1234 --keep # one case again, its file kept, with its traceback

A case depends on seed and number alone. Cases run in batches, each batch in a process of its own: where native code crashes, the case that
was begun last did it, and the batch goes on behind it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
BATCH = 250
SECONDS = 60  # one case; the slowest seen takes a few on a busy machine
ADDRESS_SPACE = 6 << 30  # bytes beyond what the libraries take by themselves
RESIDENT = 1 << 30  # bytes by which one case may raise what the process holds: files here are small
LONGEST_SENTENCE = 600
WALKED = 8  # every so many a model that can be loaded is walked, too
Random = np.random.Generator


# Damage to bytes


def flip_bits(data: bytes, random: Random) -> bytes:
    """Between 1 and 64 bits turned round."""
    found = np.frombuffer(data, np.uint8).copy()
    for at in random.integers(0, len(found), 2 ** random.integers(0, 7)):
        found[at] ^= 1 << random.integers(0, 8)
    return found.tobytes()


def flip_head(data: bytes, random: Random) -> bytes:
    """Bits turned round among the first bytes, where formats keep their sizes."""
    head = min(len(data), 512)
    return flip_bits(data[:head], random) + data[head:]


def truncate(data: bytes, random: Random) -> bytes:
    """The end is missing."""
    return data[: random.integers(0, len(data))]


def overwrite(data: bytes, random: Random) -> bytes:
    """A stretch replaced by zeros, ones or noise."""
    start = int(random.integers(0, len(data)))
    length = min(len(data) - start, int(2 ** random.integers(0, 12)))
    kinds = (bytes(length), b"\xff" * length, random.bytes(length))
    return data[:start] + kinds[random.integers(0, 3)] + data[start + length :]


def move(data: bytes, random: Random) -> bytes:
    """A stretch copied somewhere else: everything behind it is shifted."""
    start, target = (int(at) for at in random.integers(0, len(data), 2))
    piece = data[start : start + int(2 ** random.integers(0, 10))]
    return data[:target] + piece + data[target:]


def enlarge_number(data: bytes, random: Random) -> bytes:
    """Four or eight bytes become a number at the edge of its range."""
    width = int(random.choice([4, 8]))
    at = int(random.integers(0, max(len(data) - width, 1)))
    values = (2 ** (8 * width) - 1, 2 ** (8 * width - 1), 2 ** (8 * width - 1) - 1, 2 ** (4 * width), 1)
    order = "little" if random.integers(0, 2) else "big"
    return data[:at] + int(values[random.integers(0, 5)]).to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]


BYTES = (flip_bits, flip_head, truncate, overwrite, move, enlarge_number)

# Damage to an architecture

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**6, 10**12, 2**63, 1e308, -0.5, float("nan"), float("inf")),
    *("", "relu", "../../x", "<script>", "𝔘" * 40, "x" * 3000, "\x00", "float16", "int8"),
    *("__lambda__", "Lambda", "os.system", [], {}, [[]], [None], [0], [-1, -1], [10**9, 10**9]),
    {"class_name": "Lambda", "config": {}},
    {"class_name": "function", "config": "eval"},
    {"class_name": "Dense", "config": {"units": 10**9}},
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}},
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from places(node[key])


def change_json(value: Any, random: Random) -> Any:
    """One to three places of a JSON value replaced, left out, renamed or exchanged."""
    for _ in range(random.integers(1, 4)):
        found = list(places(value))
        if not found:
            return value
        container, key = found[random.integers(0, len(found))]
        other, at = found[random.integers(0, len(found))]
        how = random.integers(0, 6)
        if how <= 2:
            container[key] = HOSTILE[random.integers(0, len(HOSTILE))]
        elif how == 3:
            del container[key]
        elif how == 4:
            container[key] = json.loads(json.dumps(other[at]))
        elif isinstance(container, dict):
            container[str(HOSTILE[random.integers(0, len(HOSTILE))])] = container.pop(key)
    return value


def nest(value: Any, random: Random) -> Any:
    """One place nested in many lists."""
    container, key = next(places(value))
    for _ in range(int(2 ** random.integers(4, 10))):
        container[key] = [container[key]]
    return value


def change_archive(data: bytes, random: Random) -> bytes:
    """A .keras archive with another architecture, another member's content, another name or one member more."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    how = random.integers(0, 8)
    name = list(members)[random.integers(0, len(members))]
    if how <= 3:
        changed = (nest if random.integers(0, 10) == 0 else change_json)(json.loads(members["config.json"]), random)
        members["config.json"] = json.dumps(changed).encode()
    elif how == 4:
        members[name] = BYTES[random.integers(0, len(BYTES))](members[name], random) if members[name] else b"x"
    elif how == 5:
        names = ("../x", "assets/x", "/x", "config.json/x", "a" * 300, "a\x01b", "model.weights.npz", "ü")
        members[names[random.integers(0, len(names))]] = members.pop(name)
    elif how == 6:
        members["assets/zeros"] = bytes(1 << 20)
    else:
        del members[name]
    made = io.BytesIO()
    compression = zipfile.ZIP_DEFLATED if random.integers(0, 2) else zipfile.ZIP_STORED
    with zipfile.ZipFile(made, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return made.getvalue()


def change_directory(data: bytes, random: Random) -> bytes:
    """Bytes of a ZIP archive's directory and local headers: sizes, methods, names, offsets."""
    marks = [at for at in range(len(data) - 4) if data[at : at + 4] in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")]
    found = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at = marks[random.integers(0, len(marks))] + int(random.integers(0, 48))
        if at < len(found):
            found[at] = int(random.choice([0, 1, 0x7F, 0xFF, int(random.integers(0, 256))]))
    return bytes(found)


def change_hdf5(data: bytes, random: Random) -> bytes:
    """An HDF5 file with another architecture, other attributes, or arrays that are missing, other or elsewhere."""
    import h5py

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        how = random.integers(0, 8)
        if how <= 3 and "model_config" in file.attrs:
            changed = (nest if random.integers(0, 10) == 0 else change_json)(
                json.loads(file.attrs["model_config"]), random
            )
            file.attrs["model_config"] = json.dumps(changed)
        else:
            _change_tree(file, random)
    return buffer.getvalue()


def _change_tree(file: Any, random: Random) -> None:
    import h5py

    names: list[str] = []
    file.visit(names.append)
    name = names[random.integers(0, len(names))]
    how = random.integers(0, 6)
    if how == 0:
        del file[name]
    elif how == 1:
        del file[name]
        shape = [(), (0,), (3,), (1 << 20, 1 << 20), (2, 2, 2, 2, 2)][random.integers(0, 5)]
        file.create_dataset(
            name,
            shape,
            ["f4", "i8", "S3", "f2", "c8"][random.integers(0, 5)],
            chunks=shape == (1 << 20, 1 << 20) or None,
        )
    elif how == 2:
        del file[name]
        file[name] = h5py.SoftLink(["/", "/nowhere", name][random.integers(0, 3)])
    elif how == 3:
        del file[name]
        file[name] = h5py.ExternalLink("/etc/hostname", "/")
    else:
        holder = file[name] if how == 4 else file
        keys = [*holder.attrs.keys(), "layer_names", "weight_names", "keras_version", "backend"]
        values = (7, "x", [], np.zeros((2, 2)), ["../x", "y"], b"\xff\xfe", "99.1", "theano", np.arange(3))
        holder.attrs[keys[random.integers(0, len(keys))]] = values[random.integers(0, len(values))]


# The files


def make_seeds() -> dict[str, bytes]:
    """Real files by name, small ones."""
    from PIL import Image

    sys.path.insert(0, str(ROOT / "tests"))
    from reportgen.network.backend import keras
    from small_models import functional, layers, randomised

    seeds = {f"keras2-{path.name}": path.read_bytes() for path in sorted((ROOT / "tests" / "legacy").iterdir())}
    seeds = {name: data for name, data in seeds.items() if name.endswith((".h5", ".keras"))}
    inner = keras.Sequential(
        [keras.Input((10, 10, 3)), layers.Conv2D(3, 3, name="within"), layers.BatchNormalization()]
    )
    stack = [
        layers.Rescaling(1 / 255),
        inner,
        layers.ReLU(),
        layers.DepthwiseConv2D(3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ]
    model = randomised(functional(*stack, shape=(10, 10, 3)))
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("model.keras", "model.h5"):
            model.save(Path(folder) / name)
            seeds[name] = (Path(folder) / name).read_bytes()
        model.save_weights(Path(folder) / "model.weights.h5")
        seeds["model.weights.h5"] = (Path(folder) / "model.weights.h5").read_bytes()
    for suffix, options in (("png", {}), ("jpg", {}), ("webp", {}), ("tiff", {}), ("gif", {}), ("bmp", {})):
        made = io.BytesIO()
        Image.fromarray(picture).save(made, {"jpg": "jpeg"}.get(suffix, suffix), **options)
        seeds[f"picture.{suffix}"] = made.getvalue()
    made = io.BytesIO()
    Image.fromarray(picture).save(made, "tiff", compression="tiff_lzw")
    seeds["compressed.tiff"] = made.getvalue()
    made = io.BytesIO()
    np.save(made, picture)
    seeds["array.npy"] = made.getvalue()
    made = io.BytesIO()
    np.save(made, picture[:, :, 0].astype(np.float32))
    seeds["signal.npy"] = made.getvalue()
    text = io.StringIO()
    csv.writer(text).writerows([["time", "value"], *((step, step**0.5) for step in range(30))])
    seeds["signal.csv"] = text.getvalue().encode()
    return seeds


def damages(name: str) -> tuple[Callable[[bytes, Random], bytes], ...]:
    """The kinds of damage that a file may get; those that know its format as often as those that do not."""
    if name.endswith(".keras"):
        return (*BYTES, *[change_archive] * 8, *[change_directory] * 3)
    if name.endswith(".h5"):
        return (*BYTES, *[change_hdf5] * 8)
    return BYTES


def case(number: int, seed: int, seeds: dict[str, bytes]) -> tuple[str, str, bytes]:
    """(the file's name, the damage's name, its bytes)."""
    random = np.random.default_rng([seed, number])
    names = list(seeds)
    name = names[random.integers(0, len(names))]
    kinds = damages(name)
    damage = kinds[random.integers(0, len(kinds))]
    return name, damage.__name__, damage(seeds[name], random)


def hand_over(path: Path, whole: Path, walked: bool) -> None:
    """Give a file to what would read it. Raises ReportgenError. whole: an undamaged model, for files of weights.

    walked: a model that can be loaded is also walked, which takes ten times as long.
    """
    from reportgen.compute.planning.prepare import walk
    from reportgen.core.settings import Settings
    from reportgen.inputs import images
    from reportgen.network.loading.load import load

    if path.name.endswith(".weights.h5"):
        load(str(whole), Settings(weights=str(path)))
    elif path.suffix in (".keras", ".h5"):
        (walk if walked else load)(str(path), Settings())
    else:
        signal_file = path.name.startswith("signal")
        images.collect(
            (str(path),), 2 if path.suffix == ".csv" else 24 if signal_file else 3, 1, rank=1 if signal_file else 2
        )


def outcome(
    number: int, seed: int, seeds: dict[str, bytes], folder: Path, verbose: bool = False
) -> tuple[str, str, str]:
    """(file, damage, what happened): `read`, `refused`, or what was found."""
    from reportgen.core.errors import EXIT_USAGE, ReportgenError

    name, damage, data = case(number, seed, seeds)
    path, whole = folder / name, folder / "whole" / "model.keras"
    path.write_bytes(data)
    if not whole.exists():
        whole.parent.mkdir()
        whole.write_bytes(seeds["model.keras"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = "read"
    try:
        hand_over(path, whole, number % WALKED == 0)
    except ReportgenError as error:
        found = _judged(str(error), error.exit_code == EXIT_USAGE, folder)
    except TimeoutError:
        found = f"FOUND: more than {SECONDS} seconds"
    except BaseException as error:
        if verbose:
            traceback.print_exc()
        found = f"FOUND: {type(error).__name__}: {str(error)[:200]!r}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if grown > RESIDENT:
        found = f"FOUND: {grown >> 20} MiB of memory ({found})"
    path.unlink()
    return name, damage, found


def _judged(text: str, usage: bool, folder: Path) -> str:
    if "\n" in text or len(text) > LONGEST_SENTENCE or str(folder) in text or not usage or not text.isprintable():
        return f"FOUND: no proper sentence: {text[:300]!r}"
    return "refused"


# The batches


def _late(*_: Any) -> None:
    raise TimeoutError


def run_batch(numbers: list[int], seed: int) -> None:
    """In a process of its own: begin and outcome of each case on stdout, one JSON list a line."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        from reportgen.network.loading import hdf5_probe as probe

        seeds = make_seeds()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, used + ADDRESS_SPACE))
        signal.signal(signal.SIGALRM, _late)
        probe.TIMEOUT = SECONDS / 3
        for number in numbers:
            print(json.dumps([number]), flush=True)
            signal.alarm(SECONDS)
            result = outcome(number, seed, seeds, Path(folder))
            signal.alarm(0)
            print(json.dumps([number, *result]), flush=True)


def start_batch(numbers: list[int], seed: int) -> tuple[list[list[Any]], str]:
    """(outcomes, why the process ended early or "")."""
    command = [sys.executable, __file__, "--seed", str(seed), "--batch", ",".join(map(str, numbers))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS * (len(numbers) + 2), check=False
        )
        text, code, errors = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as late:
        text, code, errors = (late.stdout or b"").decode(), -signal.SIGKILL, "it hung in native code"
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("[")]
    finished = [line for line in lines if len(line) > 1]
    if code == 0:
        return finished, ""
    return (
        finished,
        f"FOUND: the process ended with {code}: {errors.strip().splitlines()[-1][:200] if errors.strip() else ''}",
    )


def run_all(numbers: list[int], seed: int) -> int:
    """All cases in batches, and the table. 1 where anything was found."""
    table: Counter[tuple[str, str]] = Counter()
    found: list[str] = []
    waiting = list(numbers)
    while waiting:
        outcomes, broken = start_batch(waiting[:BATCH], seed)
        for number, name, _, what in outcomes:
            table[name, what if not what.startswith("FOUND") else "found"] += 1
            if what.startswith("FOUND"):
                found.append(f"{number} {name}: {what}")
        waiting = waiting[len(outcomes) :]
        if broken:
            if waiting:
                found.append(f"{waiting[0]}: {broken}")
                table["(ended)", "found"] += 1
            waiting = waiting[1:]
        print(f"{len(numbers) - len(waiting)} of {len(numbers)}, found {len(found)}", file=sys.stderr, flush=True)
    print(f"{'file':28}{'read':>8}{'refused':>9}{'found':>7}")
    for name in sorted({name for name, _ in table}):
        print(
            f"{name:28}"
            + "".join(f"{table[name, what]:>{width}}" for what, width in (("read", 8), ("refused", 9), ("found", 7)))
        )
    print("\n".join(found))
    return 1 if found else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one case by its number, here and with its traceback")
    parser.add_argument("--keep", action="store_true", help="with --only: leave the damaged file in the current folder")
    parser.add_argument("--batch", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch is not None:
        run_batch([int(number) for number in given.batch.split(",")], given.seed)
        return 0
    if given.only is None:
        return run_all(list(range(given.cases)), given.seed)
    seeds = make_seeds()
    if given.keep:
        name, _, data = case(given.only, given.seed, seeds)
        Path(f"{given.only}-{name}").write_bytes(data)
    with tempfile.TemporaryDirectory() as folder:
        from reportgen.network.loading import hdf5_probe as probe

        probe.TIMEOUT = SECONDS / 3
        result = outcome(given.only, given.seed, seeds, Path(folder), verbose=True)
    print(*result)
    return 1 if result[2].startswith("FOUND") else 0


if __name__ == "__main__":
    sys.exit(main())
