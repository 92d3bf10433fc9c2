"""A pass over a data set against dense NumPy arrays; in parts, shards and after a kill the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from page_parser import parse
from plain_convolution import convolve
from reportgen.archive.pack import archive
from reportgen.compute import response_statistics, tasks
from reportgen.core.axes import inner_slices
from reportgen.core.store import Store
from reportgen.inputs import dataset as datasets
from reportgen.report.assemble import assemble
from reportgen.survey.bins import bin_of
from reportgen.survey.selection import QUANTILES
from sample_build import contents, run
from small_models import conv, functional, layers, randomised
from test_figures import embedded

PART_BYTES = 2200  # of a card: 512 of them are about a third of the 3 MiB that a page may have
HALF = 1e-3  # float16 keeps eleven bits
HEIGHT, WIDTH = 12, 14
OPTIONS = ("--preprocess", "unit", "--filters", "all")


def scenes() -> tuple[np.ndarray, list[str]]:
    """Images of two labels, of which the last two have the pixels of the first."""
    random = np.random.default_rng(5)
    images = random.integers(0, 256, (26, HEIGHT, WIDTH, 3), dtype=np.uint8)
    images[24:] = images[0]
    labels = ["bright" if index % 2 else "dark" for index in range(26)]
    return images, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a data set with a corrupt file in it, and its report, read in parts of eight."""
    folder = tmp_path_factory.mktemp("data")
    first = layers.Conv2D(5, 3, strides=2, activation="relu", name="near")
    stack = [first, conv(6, name="far"), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")]
    model = randomised(functional(*stack, shape=(HEIGHT, WIDTH, 3)))
    kernel, bias = model.get_layer("far").get_weights()
    kernel[..., 3], bias[3] = kernel[..., 1], bias[1]  # two copied filters
    model.get_layer("far").set_weights([kernel, bias])
    model.save(folder / "model.keras")
    (folder / "classes.txt").write_text("Dark\nBright\n")
    images, labels = scenes()
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "images" / label / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (folder / "images" / "dark" / "07-broken.png").write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "PART_IMAGES", 8)
        result = run(*command(folder), "-o", folder / "whole")
    assert result.exit_code == 3, result.output  # the corrupt file, and nothing else
    assert result.stderr.count("07-broken.png") == 1
    return folder


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "PART_IMAGES", 8)


def command(folder: Path) -> tuple[object, ...]:
    return (
        "survey",
        folder / "model.keras",
        "--dataset",
        folder / "images",
        "--classes",
        folder / "classes.txt",
        *OPTIONS,
    )


def in_order() -> list[int]:
    """The images as the folder has them: sorted by path."""
    _, labels = scenes()
    return sorted(range(26), key=lambda index: (labels[index], index))


def expected(folder: Path) -> dict[str, np.ndarray]:
    """The maps of both layers, float64, computed without TensorFlow."""
    from reportgen.network.backend import keras

    model = keras.models.load_model(folder / "model.keras")
    images = scenes()[0][in_order()] / 255
    near = np.maximum(convolve(images, *model.get_layer("near").get_weights(), (2, 2)), 0)
    far = convolve(near, *model.get_layer("far").get_weights(), how="same")
    return {"near": near, "far": far}


def read(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    report = json.loads((folder / "report.json").read_bytes())
    return report, {
        layer["path"]: dict(np.load(folder / layer["data"]["array"], allow_pickle=False)) for layer in report["layers"]
    }


def test_an_archive_states_what_the_data_set_shows(folder: Path, tmp_path: Path) -> None:
    report, _ = read(folder / "whole")
    with zipfile.ZipFile(archive(folder / "whole", tmp_path / "whole.zip")) as packed:
        card, table = packed.read("model-card.md").decode(), packed.read("audit.md").decode()
        bill = json.loads(packed.read("bom.cdx.json"))
    data, outcome = report["dataset"], report["dataset"]["model"]
    (metrics,) = [
        item["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
        for item in bill["components"]
        if "modelCard" in item
    ]
    stated = {(item["type"], item["slice"].split(":")[0]): float(item["value"]) for item in metrics}
    silent = "share of filters that are zero on every image of the data set"
    for layer in report["layers"]:
        count, total = len(layer["data"]["silent_filters"]), layer["filters_total"]
        assert stated[silent, f"layer {layer['path']}"] == count / total
        assert f"| {layer['path']} | {count} of {total} |" in card
    (accuracy,) = [value for (kind, _), value in stated.items() if kind == "accuracy"]
    assert accuracy == outcome["accuracy"]
    for text in (card, table):
        assert f"{outcome['correct']} of {outcome['images']} labeled images" in text
        assert f"{data['images']} of {data['found']} images of the data set images" in text
    assert "Accuracy is not measured" not in card
    for check in report["health"]:
        assert f"| {check['check']} | {check['status']} |" in card


@pytest.mark.parametrize("path", ["near", "far"])
def test_every_number_is_that_of_the_dense_maps(folder: Path, path: str) -> None:
    report, arrays = read(folder / "whole")
    found, maps = arrays[path], expected(folder)[path]
    (record,) = [layer["data"] for layer in report["layers"] if layer["path"] == path]
    flat = maps.reshape(26, -1, maps.shape[-1])
    inner = maps[(slice(None), *inner_slices(maps.shape[1:-1]))].reshape(26, -1, maps.shape[-1])
    np.testing.assert_allclose(found["peaks"], flat.max(axis=1), rtol=HALF, atol=HALF)
    np.testing.assert_allclose(found["activations"], inner.mean(axis=1), rtol=HALF, atol=HALF)
    np.testing.assert_allclose(found["maximum"], flat.max(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["minimum"], flat.min(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["mean"], inner.mean(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["std"], inner.mean(axis=1).std(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["silent_positions"], (flat == 0).sum(axis=(0, 1)))
    np.testing.assert_array_equal(found["silent_images"], (flat == 0).all(axis=1).sum(axis=0))
    peaks = found["peaks"].astype(np.float64)
    np.testing.assert_allclose(found["quantiles"], np.quantile(peaks, QUANTILES, axis=0), rtol=1e-5)
    counted = found["peak_histogram"].sum(axis=1)
    assert counted.tolist() == [26] * maps.shape[-1]
    first = int(bin_of(peaks).min())
    for index in range(maps.shape[-1]):
        own = np.bincount(bin_of(peaks[:, index]) - first, minlength=found["peak_histogram"].shape[1])
        assert found["peak_histogram"][index].tolist() == own.tolist()
    names = [name.split("/")[1] for name in exemplar_names(record, 0)]
    assert len(names) == len(set(names)) == 9
    for index, item in enumerate(record["filters"]):
        order = sorted(range(24), key=lambda row: -flat[distinct()[row], :, index].max())
        rows = [each["row"] for each in item["exemplars"]]
        assert rows == [distinct()[row] for row in order[:9]]
        for each in item["exemplars"]:
            own = maps[each["row"], ..., index]
            assert tuple(each["position"]) == np.unravel_index(own.argmax(), own.shape)
            assert each["peak"] == pytest.approx(own.max(), rel=1e-5)
            assert each["activation"] == pytest.approx(inner[each["row"], :, index].mean(), rel=2e-3, abs=1e-3)
    assert record["images"] == 26


def distinct() -> list[int]:
    """Rows of images with different pixels: of three with the same, the first."""
    pictures = [index if index < 24 else 0 for index in in_order()]
    return [row for row, picture in enumerate(pictures) if picture not in pictures[:row]]


def exemplar_names(record: dict[str, Any], index: int) -> list[str]:
    return [each["image"] for each in record["filters"][index]["exemplars"]]


def test_a_crop_is_cut_by_the_exact_receptive_field(folder: Path) -> None:
    report, _ = read(folder / "whole")
    store = Store(folder / "whole")
    images = scenes()[0][in_order()]
    (record,) = [layer["data"] for layer in report["layers"] if layer["path"] == "near"]
    (task,) = [each for each in store.load_plan().layer_tasks("near", "exemplars")]
    crops = store.load(task.key)[0]["crops"]
    for item in record["filters"]:
        for place, each in enumerate(item["exemplars"]):
            row, column = each["position"]
            assert each["box"] == [2 * row, 2 * column, 2 * row + 2, 2 * column + 2]
            own = images[each["row"], 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            np.testing.assert_array_equal(crops[item["index"], place], own)


def test_a_figure_of_exemplars_has_the_pixels_of_the_crops(folder: Path, tmp_path: Path) -> None:
    report, _ = read(folder / "whole")
    (record,) = [layer["data"] for layer in report["layers"] if layer["path"] == "near"]
    options = ("--what", "exemplars", "--layers", "near", "-o", tmp_path / "figures")
    assert run("figures", folder / "whole", *options).exit_code == 0
    store = Store(folder / "whole")
    (task,) = store.load_plan().layer_tasks("near", "exemplars")
    crops = store.load(task.key)[0]["crops"]
    wanted = [crops[item["index"], place] for item in record["filters"] for place in range(len(item["exemplars"]))]
    found = embedded(tmp_path / "figures" / "near-exemplars.pdf")
    assert len(found) == len(wanted) > 9
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    caption = json.loads((tmp_path / "figures" / "captions.json").read_bytes())["figures"][0]["caption"]
    assert (
        "Exemplars of all 5 filters of near: the 9 of 26 images of the data set images with the largest peaks"
        in caption
    )
    assert "Each is cut by the receptive field (3 × 3 pixels) of its peak; pixels are repeated." in caption


def test_images_labels_and_what_the_model_makes_of_them_are_stated(folder: Path) -> None:
    report, _ = read(folder / "whole")
    found = report["dataset"]
    assert (found["images"], found["found"], found["same_pixels"]) == (26, 27, 2)
    assert [each["name"] for each in found["left_out"]] == ["dark/07-broken.png"]
    assert [(each["label"], each["images"], each["class_index"]) for each in found["labels"]] == [
        ("bright", 13, 1),
        ("dark", 13, 0),
    ]
    model = found["model"]
    assert sum(map(sum, model["confusion"])) == 26
    assert model["correct"] + model["misclassified_total"] == 26
    assert sum(each["images"] for each in model["calibration"]) == 26
    wrong = model["misclassified"][0]
    assert wrong["image"].startswith(wrong["label"])
    assert wrong["predicted"].lower() != wrong["label"]


def test_each_misclassified_image_stands_beside_its_label_as_the_model_is_fed_it(folder: Path) -> None:
    report, _ = read(folder / "whole")
    wrong, pixels = report["dataset"]["model"]["misclassified"], scenes()[0][in_order()]
    assert wrong
    for each in wrong:
        assert each["picture"] == f"figures/images/misclassified/{each['row']:06d}.png"
        with Image.open(folder / "whole" / each["picture"]) as picture:
            np.testing.assert_array_equal(np.asarray(picture), pixels[each["row"]])
    page = (folder / "whole" / "index.html").read_text()
    assert page.count('src="figures/images/misclassified/') == len(wrong)
    assert '→</span><span class="hidden">taken for</span>' in page


def test_what_a_card_says_of_the_data_set_is_small_and_its_pictures_are_lazy(folder: Path) -> None:
    for page in (folder / "whole" / "layers").iterdir():
        parts = re.findall(r'<div class="part data">.*?(?=<div class="part">|</article>)', page.read_text(), re.DOTALL)
        assert parts
        for part in parts:
            names = re.sub(r"<details>.*?</details>", "", part, flags=re.DOTALL)  # of layers with fewer filters only
            assert len(names.encode()) < PART_BYTES
            assert (
                part.count("<img ") == part.count('loading="lazy"') in (0, 2)
            )  # none of a filter that is never active


@pytest.mark.slow
def test_a_page_of_512_filters_with_everything_on_a_data_set_stays_below_3_mib(tmp_path: Path) -> None:
    wide = layers.Conv2D(512, 3, strides=2, activation="relu", name="wide")
    stack = [layers.Rescaling(1 / 255), wide, layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")]
    randomised(functional(*stack, shape=(32, 32, 3))).save(tmp_path / "model.keras")
    images = np.random.default_rng(3).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(40) % 4)
    for number in range(4):
        Image.fromarray(images[number]).save(tmp_path / f"{number}.png")
    options = ("--dataset", tmp_path / "data.npz", "--filters", "all", "--quality", "draft", "--images", tmp_path)
    result = run("build", tmp_path / "model.keras", *options, "-o", tmp_path / "report")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report" / "layers" / "wide.html").read_text()
    assert page.count('class="part data"') == 512
    assert len(page.encode()) < 3 * 2**20
    assert all('loading="lazy"' in tag for tag in re.findall(r'<img [^>]*src="../figures/[^>]*>', page))
    assert "Feature maps, the first 2 of 4 images; all are below" in page


def test_a_survey_does_not_speak_of_patterns_that_nobody_asked_for(folder: Path) -> None:
    words = parse(folder / "whole" / "index.html").words
    assert "Weights and responses to the images of a data set of 11 filters in 2 convolution layers." in words
    assert "no pattern" not in words.partition("Model health")[0]
    assert "compared with its initial image" not in words


def test_copied_filters_form_a_group(folder: Path) -> None:
    report, _ = read(folder / "whole")
    (record,) = [layer["data"] for layer in report["layers"] if layer["path"] == "far"]
    assert any({1, 3} <= set(group) for group in record["groups"])
    assert record["filters"][1]["nearest"] == 3
    assert record["filters"][1]["correlation"] == pytest.approx(1)


@pytest.mark.parametrize("order", [(1,), (4, 1, 7, 2, 6, 3, 5)])
def test_shards_in_any_order_become_the_report_of_one_pass(
    folder: Path, tmp_path: Path, order: tuple[int, ...]
) -> None:
    parts = []
    for number in order:
        part = tmp_path / f"part-{number}"
        assert run(*command(folder), "-o", part, "--shard", f"{number}/{len(order)}").exit_code == 0
        parts.append(part)
    result = run("assemble", *parts, "-o", tmp_path / "report", "--dataset", folder / "images")
    assert result.exit_code == 3, result.output
    assert contents(tmp_path / "report") == contents(folder / "whole")


class Killed(BaseException):
    """Nothing on the way keeps it back."""


def test_a_pass_that_was_killed_goes_on_and_gives_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = tasks.layer_arrays, []

    def killed(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return whole(*given)

    monkeypatch.setattr(tasks, "layer_arrays", killed)
    with pytest.raises(Killed):
        run(*command(folder), "-o", tmp_path / "report")
    monkeypatch.setattr(tasks, "layer_arrays", whole)
    before = {path.name for path in (tmp_path / "report" / ".store").rglob("*.npz")}
    assert before
    assert run(*command(folder), "-o", tmp_path / "report").exit_code == 3
    assert contents(tmp_path / "report") == contents(folder / "whole")


def test_without_the_data_set_shards_lack_only_their_crops(folder: Path, tmp_path: Path) -> None:
    report = shutil.copytree(folder / "whole", tmp_path / "report")
    store = Store(report)
    for task in store.load_plan().tasks:
        if task.kind in ("exemplars", "misclassified_pictures"):
            next((report / ".store").rglob(f"{task.key}.npz")).unlink()
    result = run("assemble", report)
    assert result.exit_code == 3
    assert response_statistics.NO_DATASET in result.stderr
    assert run("assemble", report, "--dataset", folder / "nothing").exit_code == 2
    assert run("assemble", report, "--dataset", folder / "images").exit_code == 3
    assert contents(report) == contents(folder / "whole")
    assemble(report)
    assert contents(report) == contents(folder / "whole")
