"""Make the pictures of the README and of gallery.md from reports: `make pictures`, which needs Chromium.

`python docs/pictures.py REPORT` takes pictures of two pages of a finished report of the sample network, the one of `make report`, and
writes the headings of these pages beside them, so that a test can tell when the pages have changed since. With `--gallery FOLDER` it
also makes the pictures of gallery.md from reports in FOLDER; what is missing there is built first, VGG16 in minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import reportgen

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
HEADINGS = IMAGES / "headings.json"
PAGES = {"index.png": "index.html", "layer.png": "layers/conv3.html"}
SCREEN = {"width": 1000, "height": 1050}  # pixels: what a picture shows of a page
COLORS = 128  # of a screenshot: a quarter of the bytes, and no difference to the eye
TILE, GAP = 96, 4  # pixels: side of a pattern in the gallery, and between two
SHOWN = 128  # pixels: of a larger pattern its middle is shown, so that what repeats in it can be seen
QUALITY = 82  # of JPEG
SAMPLES = ROOT / "sample_models"
SIGNAL_STEPS, SIGNALS_PER_CLASS, BASELINE = 128, 600, 3.0  # of the signals that a small network is trained on
# What gallery.md shows: the layers of each report, and how many filters of each.
GALLERY = {
    "vgg16": (["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"], 4),
    "photos": (["backbone/stem_conv", "backbone/block1_conv2", "backbone/block2_conv2", "backbone/block3_conv2"], 6),
    "galaxies": (["conv1", "conv2", "conv3", "conv4", "conv5"], 6),
}
SIGNAL_FIGURES = (("conv1", "weights"), ("conv2", "feature_maps/spike"), ("conv2", "patterns"))


def main() -> None:
    """Read the command line and make the pictures."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("report", type=Path, help="a finished report of sample_models/galaxies.keras")
    parser.add_argument("--gallery", type=Path, metavar="FOLDER", help="reports for gallery.md, built where missing")
    given = parser.parse_args()
    take_screenshots(given.report)
    if given.gallery is not None:
        make_gallery(given.gallery)


def take_screenshots(report: Path) -> None:
    """Write what the first screen of each of `PAGES` shows, and the headings of the whole pages."""
    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name)) is not None), None)
    if path is None:
        sys.exit("there is no Chromium to take pictures with")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses the superuser of a container
    headings = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        for name, page in PAGES.items():
            headings[name] = _screenshot(browser, report / page, IMAGES / name)
        browser.close()
    HEADINGS.write_text(json.dumps(headings, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _screenshot(browser: Browser, file: Path, picture: Path) -> list[str]:
    """Write the picture of a page; returns its headings."""
    page = browser.new_page(viewport=SCREEN)
    page.goto(file.resolve().as_uri())
    page.screenshot(path=picture)
    headings = [" ".join(text.split()) for text in page.locator("h2").all_text_contents()]
    page.close()
    with Image.open(picture) as shown:
        shown.convert("RGB").quantize(COLORS).save(picture, optimize=True)
    return headings


def make_gallery(folder: Path) -> None:
    """Write the pictures of gallery.md."""
    target = IMAGES / "gallery"
    target.mkdir(exist_ok=True)
    for name, (layers, count) in GALLERY.items():
        report = reportgen.open(_built(folder, name))
        for path in layers:
            shown = [item.pattern for item in report[path].filters if item.pattern is not None]
            chosen = [shown[place] for place in np.linspace(0, len(shown) - 1, count).round().astype(int)]
            slug = path.rpartition("/")[2]
            _row(chosen).save(target / f"{name}-{slug}.jpg", quality=QUALITY, optimize=True)
    report = reportgen.open(_built(folder, "signals"))
    for path, name in SIGNAL_FIGURES:
        with Image.open(report[path].figure(f"{name}.png")) as figure:
            picture = target / f"signals-{path}-{name.partition('/')[0]}.png"
            figure.convert("RGB").quantize(COLORS).save(picture, optimize=True)


def _row(patterns: list[np.ndarray]) -> Image.Image:
    """Patterns side by side, each as high as `TILE`."""
    row = Image.new("RGB", (len(patterns) * (TILE + GAP) - GAP, TILE), "white")
    for place, pattern in enumerate(patterns):
        pixels = pattern[..., 0] if pattern.shape[-1] == 1 else pattern
        top, left = (max(0, length - SHOWN) // 2 for length in pixels.shape[:2])
        tile = Image.fromarray(pixels[top : top + SHOWN, left : left + SHOWN])
        row.paste(tile.resize((TILE, TILE), Image.Resampling.BICUBIC), (place * (TILE + GAP), 0))
    return row


def _built(folder: Path, name: str) -> Path:
    """The folder of a finished report, which is built unless it is there."""
    report = folder / name
    if not (report / "report.json").is_file():
        images = {"vgg16": "material/photos", "signals": "material/signals"}.get(name)
        model = SAMPLES / f"{name}.keras" if images is None else folder / "material" / f"{name}.keras"
        if name == "vgg16":
            subprocess.run([sys.executable, ROOT / "benchmarks" / "material.py", folder / "material"], check=True)
        elif name == "signals":
            train_on_signals(folder / "material")
        reportgen.build(
            model,
            images=SAMPLES / name if images is None else folder / images,
            output=report,
            quality="draft",
            filters=4 if name == "vgg16" else 8,
            preprocess="caffe" if name == "vgg16" else "auto",
        )
    return report


def train_on_signals(folder: Path) -> None:
    """Write `signals.keras`, a network that tells four kinds of signals apart, and a signal of each: seconds on one core."""
    import keras
    from keras import layers

    random = np.random.default_rng(0)
    steps = np.arange(SIGNAL_STEPS)

    def signal(kind: int) -> np.ndarray:
        """A slow wave, a fast wave, a spike, or steps; each with noise and on a baseline of its own, which says nothing of its kind."""
        phase, middle = random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.8) * SIGNAL_STEPS
        made = [
            np.sin(2 * np.pi * steps / random.uniform(24, 40) + phase),
            np.sin(2 * np.pi * steps / random.uniform(5, 8) + phase),
            np.exp(-(((steps - middle) / 1.5) ** 2)) * 3,
            np.sign(np.sin(2 * np.pi * steps / random.uniform(48, 80) + phase)),
        ][kind]
        noise = random.normal(0, 0.2, SIGNAL_STEPS)
        return (made + noise + random.uniform(-BASELINE, BASELINE)).astype(np.float32)[:, None]

    kinds = np.arange(4 * SIGNALS_PER_CLASS) % 4
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIGNAL_STEPS, 1)),
            layers.Conv1D(8, 9, activation="relu", padding="same", name="conv1"),
            layers.MaxPooling1D(2, name="pool1"),
            layers.Conv1D(12, 9, activation="relu", padding="same", name="conv2"),
            layers.GlobalMaxPooling1D(name="pool2"),
            layers.Dense(4, activation="softmax", name="kinds"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.stack([signal(kind) for kind in kinds]), kinds, batch_size=32, epochs=20, verbose=0)
    held_out = np.stack([signal(kind) for kind in kinds])
    print(f"signals.keras: {model.evaluate(held_out, kinds, verbose=0)[1]:.1%} of {len(kinds):,} other signals")
    (folder / "signals").mkdir(parents=True, exist_ok=True)
    model.save(folder / "signals.keras")
    for kind, name in enumerate(("slow", "fast", "spike", "steps")):
        np.save(folder / "signals" / f"{name}.npy", signal(kind))


if __name__ == "__main__":
    main()
