"""A model file is untrusted: whatever its architecture names, nothing of it runs, reads or unpacks beyond what a saved model needs."""

from __future__ import annotations

import base64
import json
import marshal
import queue
import resource
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_files import H5_WARNING, save, sentence, small, with_architecture
from reportgen.core.errors import ModelError
from reportgen.core.settings import Settings
from reportgen.network.backend import keras
from reportgen.network.loading import hdf5_probe as probe
from reportgen.network.loading.allocation_limits import bounded
from reportgen.network.loading.load import load
from small_models import functional, layers, randomised

pytestmark = pytest.mark.filterwarnings(H5_WARNING)
SUFFIXES = (".keras", ".h5")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small model in both formats."""
    folder = tmp_path_factory.mktemp("saved")
    return {suffix: save(small(), folder / f"small{suffix}") for suffix in SUFFIXES}


def copy(saved: dict[str, Path], suffix: str, folder: Path) -> Path:
    return Path(shutil.copy(saved[suffix], folder / f"small{suffix}"))


def marshalled(marker: Path) -> list[Any]:
    """A function that touches `marker`, as Keras writes lambdas."""
    code = compile(f"lambda x: open({str(marker)!r}, 'w').close() or x", "<file>", "eval").co_consts[0]
    return [base64.b64encode(marshal.dumps(code)).decode(), None, None]


def as_lambda(marker: Path) -> dict[str, Any]:
    code, defaults, closure = marshalled(marker)
    return {
        "class_name": "__lambda__",
        "config": {"code": code, "defaults": defaults, "closure": closure, "value": code},
    }


def function(module: str, name: str) -> dict[str, Any]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


Attack = Callable[[dict[str, Any], Path], None]


def replaced(**parts: Any) -> Attack:
    """The convolution's place is taken by something else; `MARKER` in any text is the file that must not appear."""

    def attack(architecture: dict[str, Any], marker: Path) -> None:
        conv = architecture["config"]["layers"][-1]
        inbound = conv["inbound_nodes"]
        text = json.dumps(parts).replace("MARKER", str(marker))
        conv.clear()
        conv.update({"name": "conv", "registered_name": None, **json.loads(text), "inbound_nodes": inbound})

    return attack


def in_config(key: str, make: Callable[[Path], Any]) -> Attack:
    def attack(architecture: dict[str, Any], marker: Path) -> None:
        architecture["config"]["layers"][-1]["config"][key] = make(marker)

    return attack


def marshalled_layer(**more: Any) -> Attack:
    def attack(architecture: dict[str, Any], marker: Path) -> None:
        config = {"name": "conv", "function": marshalled(marker), "function_type": "lambda", "output_shape": [6, 6, 2]}
        replaced(class_name="Lambda", config=config, **more)(architecture, marker)

    return attack


TOUCH = {"command": "touch MARKER", "name": "conv"}
ATTACKS: dict[str, Attack] = {
    "a marshalled Lambda": marshalled_layer(),
    "a marshalled Lambda with a module": marshalled_layer(module="keras.layers"),
    "a marshalled Lambda under another's registered name": marshalled_layer(registered_name="reportgen>hard_sigmoid"),
    "a marshalled function as an activation": in_config("activation", as_lambda),
    "a marshalled function in an unused place": in_config("colour", as_lambda),
    "a marshalled function in a wrapper": replaced(
        class_name="TimeDistributed",
        module="keras.layers",
        config={"layer": {"class_name": "Lambda", "config": {"function": ["", None, None]}}},
    ),
    "a class of another module": replaced(class_name="Popen", module="subprocess", config={"args": ["touch", "MARKER"]}),
    "a function as a class": replaced(class_name="system", module="os", config=TOUCH),
    "a function of another module as an activation": in_config("activation", lambda marker: function("os", "system")),
    "a function hidden behind a known name": in_config(
        "activation", lambda marker: {**function("os", "system"), "registered_name": "reportgen>hard_sigmoid"}
    ),
    "a type specification": replaced(
        class_name="__typespec__", spec_name="system", module="os", registered_name="system", config=["touch MARKER"]
    ),
    "a download": replaced(class_name="get_file", module="keras.utils", config={"origin": "file:///etc/passwd"}),
    "Keras's own loader of code": in_config(
        "activation", lambda marker: function("keras.src.utils.python_utils", "func_load")
    ),
    "a program in another file": replaced(
        class_name="TFSMLayer", module="keras.layers", config={"name": "conv", "filepath": "MARKER"}
    ),
    "a pickled module": replaced(class_name="TorchModuleWrapper", module="keras.layers", config={"module": "MARKER"}),
    "a file of the machine": replaced(
        class_name="StringLookup", module="keras.layers", config={"name": "conv", "vocabulary": "/etc/hostname"}
    ),
    "a function of Keras as a layer": replaced(class_name="deserialize", config={"config": {"class_name": "Lambda"}}),
    "a class named by a list": replaced(class_name=["Popen"], config={}),
    "a TensorFlow type": replaced(class_name="TypeSpec", type_spec="tf.TensorSpec", serialized=[], config={}),
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ATTACKS)
def test_what_a_file_names_beyond_keras_is_refused_before_anything_runs(
    saved: dict[str, Path], tmp_path: Path, name: str, suffix: str
) -> None:
    marker = tmp_path / "ran"
    path = with_architecture(copy(saved, suffix, tmp_path), lambda architecture: ATTACKS[name](architecture, marker))
    text = sentence(path)
    assert text.startswith(f"small{suffix} ")
    assert not marker.exists()
    ours = ("--allow-unsafe", "is not part of Keras; name the module", "which is a function", "a class is named by")
    assert any(words in text for words in ours), "refused here, not by what Keras happens to refuse"


def test_marshalled_functions_of_these_tests_would_leave_their_mark(tmp_path: Path) -> None:
    """Otherwise the tests above could not fail."""
    code = marshal.loads(base64.b64decode(marshalled(tmp_path / "ran")[0]))
    assert type(lambda: None)(code, {})(7) == 7
    assert (tmp_path / "ran").exists()


OWN = """
import pathlib, keras

def touch(path, **rest):
    pathlib.Path(path).touch()

def swell(inputs):
    return 2.0 * inputs

class Louder(keras.layers.Layer):
    def call(self, inputs):
        return 3.0 * inputs

class Softer(keras.layers.Layer):
    def __init__(self, factor=0.5, **named):
        super().__init__(**named)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "own_parts_of_a_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_parts_of_a_test"
    sys.modules.pop("own_parts_of_a_test", None)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_several_own_parts_that_were_never_registered_load_with_their_module(
    tmp_path: Path, module: str, suffix: str
) -> None:
    own = __import__(module)
    path = tmp_path / f"own{suffix}"
    model = randomised(
        functional(
            own.Louder(name="louder"), own.Softer(0.25, name="softer"), layers.Conv2D(2, 3, activation=own.swell)
        )
    )
    if suffix == ".h5":
        model.save(path)
    else:
        with keras.saving.custom_object_scope({"swell": own.swell}):
            model.save(path)
    assert "--import" in sentence(path)
    loaded = load(str(path), Settings(imports=(module,))).model
    picture = np.random.default_rng(0).random((1, 16, 16, 3), dtype=np.float32)
    np.testing.assert_allclose(loaded(picture), model(picture), rtol=1e-6)
    assert loaded.get_layer("softer").factor == 0.25


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cannot_call_the_users_own_functions_with_its_words(
    saved: dict[str, Path], tmp_path: Path, module: str, suffix: str
) -> None:
    marker = tmp_path / "ran"
    attack = replaced(class_name="touch", config={"path": "MARKER", "name": "conv"})
    path = with_architecture(copy(saved, suffix, tmp_path), lambda architecture: attack(architecture, marker))
    sentence(path, imports=(module,))
    assert not marker.exists()


def test_a_lambda_around_the_users_own_function_is_no_code_of_the_file(tmp_path: Path, module: str) -> None:
    own = __import__(module)
    path = tmp_path / "own.h5"
    randomised(functional(layers.Lambda(own.swell), layers.Conv2D(2, 3))).save(path)
    assert "--allow-unsafe" in sentence(path)
    assert len(load(str(path), Settings(imports=(module,))).model.layers) == 3


def test_the_losses_and_metrics_of_an_inner_model_need_not_import(tmp_path: Path) -> None:
    def own_loss(truth: Any, predicted: Any) -> Any:
        return (truth - predicted) ** 2

    inner = functional(layers.Conv2D(2, 3), shape=(8, 8, 3))
    inner.compile(loss=own_loss)
    model = functional(inner, layers.Conv2D(2, 3), shape=(8, 8, 3))
    model.compile(loss=own_loss)
    path = save(randomised(model), tmp_path / "trained.keras")
    loaded = load(str(path), Settings()).model
    for own, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def deeper(levels: int) -> Attack:
    def attack(architecture: dict[str, Any], marker: Path) -> None:
        node: Any = {}
        for _ in range(levels):
            node = [node]
        architecture["config"]["deep"] = node

    return attack


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("levels", [300, 900])
def test_an_architecture_nested_without_end_is_one_sentence(
    saved: dict[str, Path], tmp_path: Path, suffix: str, levels: int
) -> None:
    path = with_architecture(copy(saved, suffix, tmp_path), lambda architecture: deeper(levels)(architecture, tmp_path))
    assert "levels" in sentence(path)


def test_json_deeper_than_python_reads_is_one_sentence(saved: dict[str, Path], tmp_path: Path) -> None:
    path = copy(saved, ".h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = "[" * 200_000 + "]" * 200_000
    assert "levels too deep" in sentence(path)


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "a", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def peak_memory() -> int:
    """Bytes that this process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_not_unpacked(saved: dict[str, Path], tmp_path: Path) -> None:
    path = copy(saved, ".keras", tmp_path)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("assets/zeros", "w") as member,
    ):
        for _ in range(320):
            member.write(bytes(1 << 20))
    before = peak_memory()
    text = sentence(path)
    assert "would unpack from" in text
    assert "320 MiB" in text
    assert peak_memory() - before < 64 << 20


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "assets/../../evil", "C:\\evil", "..\\evil"])
def test_an_archive_with_a_path_outside_its_folder_is_refused(
    saved: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = archive(copy(saved, ".keras", tmp_path), {name: b"evil"})
    assert "outside its folder" in sentence(path)


def test_a_member_without_a_name_is_refused(saved: dict[str, Path], tmp_path: Path) -> None:
    path = archive(copy(saved, ".keras", tmp_path), {"x": b"evil"})
    path.write_bytes(path.read_bytes().replace(b"x" + b"PK\x05", b"\x00" + b"PK\x05"))
    assert "outside its folder" in sentence(path)


def hdf5(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def external_link(file: h5py.File) -> None:
    file["model_weights/conv/elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("model_weights/elsewhere", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "data", (4,))
    file.create_virtual_dataset("model_weights/elsewhere", layout)


def huge(file: h5py.File) -> None:
    file.create_dataset("model_weights/huge", (1 << 36,), "f4", chunks=(1 << 20,), compression="gzip")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external_link, "from another file (elsewhere)"),
        (external_storage, "from another file"),
        (virtual, "from another file"),
        (huge, "to 256 GiB"),
    ],
)
def test_an_hdf5_file_that_reaches_beyond_itself_is_refused(
    saved: dict[str, Path], tmp_path: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    path = hdf5(copy(saved, ".h5", tmp_path), change)
    assert words in sentence(path)
    other = copy(saved, ".keras", tmp_path)
    assert words in sentence(other, weights=str(path)), "as a file of weights, too"
    weights = tmp_path / "model.weights.h5"
    small().save_weights(weights)
    hdf5(weights, lambda file: change(file.require_group("model_weights/conv").file))
    with zipfile.ZipFile(other) as archived:
        config = archived.read("config.json")
    inside = archive(tmp_path / "inside.keras", {"config.json": config, "model.weights.h5": weights.read_bytes()})
    assert words in sentence(inside), "inside an archive, too"


def test_a_cycle_of_links_inside_a_file_is_walked_once(saved: dict[str, Path], tmp_path: Path) -> None:
    def cycle(file: h5py.File) -> None:
        file["model_weights/again"] = file["model_weights"]
        file["model_weights/soft"] = h5py.SoftLink("/model_weights")

    path = hdf5(copy(saved, ".h5", tmp_path), cycle)
    assert load(str(path), Settings()).model.get_weights()[0].shape == (3, 3, 3, 2)


def enlarged(**config: Any) -> Attack:
    def attack(architecture: dict[str, Any], marker: Path) -> None:
        architecture["config"]["layers"][-1]["config"].update(config)

    return attack


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "config", [{"filters": 10**12}, {"kernel_size": [5000, 5000], "padding": "same"}, {"filters": 10**30}]
)
def test_layers_of_absurd_size_are_refused_before_they_are_allocated(
    saved: dict[str, Path], tmp_path: Path, suffix: str, config: dict[str, Any]
) -> None:
    path = with_architecture(
        copy(saved, suffix, tmp_path), lambda architecture: enlarged(**config)(architecture, tmp_path)
    )
    before = peak_memory()
    text = sentence(path)
    assert f"small{suffix} describes a network of at least" in text
    assert "contains weights of" in text
    assert peak_memory() - before < 64 << 20


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_or_a_padding_without_end_is_refused(saved: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    def widen(architecture: dict[str, Any]) -> None:
        architecture["config"]["layers"][0]["config"]["batch_shape"] = [None, 200_000, 200_000, 3]

    path = with_architecture(copy(saved, suffix, tmp_path), widen)
    assert "returns 447 GiB per picture" in sentence(path)
    model = functional(layers.Conv2D(2, 3), layers.ZeroPadding2D(1, name="pad"), shape=(8, 8, 3))
    path = save(model, tmp_path / f"padded{suffix}")

    def pad(architecture: dict[str, Any]) -> None:
        architecture["config"]["layers"][-1]["config"]["padding"] = [[0, 10**6], [0, 10**6]]

    assert "layer pad returns 7.3 TiB" in sentence(with_architecture(path, pad))


def test_the_limit_counts_all_variables_and_is_gone_afterwards() -> None:
    def make(count: int) -> None:
        for _ in range(count):
            keras.Variable("zeros", shape=(1 << 13, 1 << 13), dtype="bool", trainable=False)

    make_it = keras.Variable.__init__
    with bounded(1 << 26, "m.keras"):
        make(2)
    with (
        pytest.raises(
            ModelError, match=r"m\.keras describes a network of at least 768 MiB but contains weights of 256 MiB"
        ),
        bounded(1 << 26, "m.keras"),
    ):
        make(3)
    assert keras.Variable.__init__ is make_it
    make(1)


NAMES = ["../../etc/passwd", "<script>alert(1)</script>", "n" * 300, "🌌🔭", "con", "a b", "a%20b"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_layers_with_hostile_names_make_a_report_in_its_own_folder(tmp_path: Path, suffix: str) -> None:
    import reportgen

    stack = [layers.Conv2D(1, 1, name=f"conv{number}") for number in range(len(NAMES) + 2)]
    path = save(randomised(functional(*stack)), tmp_path / f"hostile{suffix}")
    names = [*NAMES, "twin!", "twin?"]
    if suffix == ".keras":  # Keras itself refuses the slash; only older files can have it
        names = [name.replace("/", "_") for name in names]

    def rename(architecture: dict[str, Any]) -> None:
        text = json.dumps(architecture)
        for number, name in enumerate(names):
            text = text.replace(json.dumps(f"conv{number}"), json.dumps(name))
        architecture.clear()
        architecture.update(json.loads(text))

    with_architecture(path, rename)
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = "2.9.0"
            file["model_weights"].attrs["keras_version"] = "2.9.0"
    built = reportgen.build(
        path, output=tmp_path / "made" / "report", steps=1, filters=1, preprocess="unit", method="keras-io"
    )
    assert built.problems == ()
    assert {item.name for item in tmp_path.iterdir()} == {f"hostile{suffix}", "made"}
    assert {item.name for item in (tmp_path / "made").iterdir()} == {"report"}
    facts = json.loads((tmp_path / "made" / "report" / "report.json").read_bytes())
    slugs = [layer["slug"] for layer in facts["layers"]]
    assert len(set(slugs)) == len(names)
    assert all(len(slug) <= 64 for slug in slugs)
    assert "<script>alert" not in built.index.read_text(encoding="utf-8")


ENDLESS = slice(7293, 8317)  # of legacy/operations.h5: zeros there make HDF5 look for an attribute for ever


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_on_which_hdf5_never_returns_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT", 1.0)
    data = bytearray((Path(__file__).parent / "legacy" / "operations.h5").read_bytes())
    data[ENDLESS] = bytes(len(data[ENDLESS]))
    path = tmp_path / f"endless{suffix}"
    if suffix == ".h5":
        path.write_bytes(data)
    else:
        archive(path, {"config.json": b"{}", "model.weights.h5": bytes(data)})
    assert "(reading it does not end)" in sentence(path)
    assert load(str(save(small(), tmp_path / "small.h5")), Settings()).sha256 is not None, "the next one is read"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[probe.Reader]:
    own = probe.Reader()
    monkeypatch.setattr(probe, "READER", own)
    yield own
    own.stop()


def after_reading(reader: probe.Reader, path: Path) -> subprocess.Popen[bytes]:
    """The reader's process when it has read a file."""
    load(str(path), Settings())
    process = reader.process
    assert process is not None
    return process


def test_a_file_on_which_hdf5_crashes_is_one_sentence(
    saved: dict[str, Path], reader: probe.Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy(saved, ".h5", tmp_path)
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os\nprint('ready', flush=True)\ninput()\nos.abort()\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(probe, "__file__", str(crashing))
        assert "(the HDF5 library crashes on it)" in sentence(path)
    load(str(path), Settings())


def test_a_reader_that_is_killed_is_not_the_fault_of_the_file(
    saved: dict[str, Path], reader: probe.Reader, tmp_path: Path
) -> None:
    path = copy(saved, ".h5", tmp_path)
    process = after_reading(reader, path)
    process.send_signal(signal.SIGSTOP)
    threading.Timer(0.2, process.kill).start()  # as a machine short of memory would, in the middle of the file
    load(str(path), Settings())
    assert process.poll() is not None


def test_a_file_that_is_not_there_costs_the_reader_nothing(
    saved: dict[str, Path], reader: probe.Reader, tmp_path: Path
) -> None:
    path = copy(saved, ".h5", tmp_path)
    process = after_reading(reader, path)
    with pytest.raises(FileNotFoundError):
        probe.probe(tmp_path / "nowhere.h5")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([str(tmp_path / "gone.h5"), None]).encode() + b"\n")  # removed in between
    process.stdin.flush()
    assert process.stdout.readline() == b"read\n"
    load(str(path), Settings())
    assert reader.process is process


def test_the_reply_to_an_interrupted_reading_is_not_the_next_files(
    saved: dict[str, Path], reader: probe.Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy(saved, ".h5", tmp_path)
    load(str(path), Settings())

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queue, "SimpleQueue", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(str(path), Settings())
    assert reader.process is None
    load(str(path), Settings())
