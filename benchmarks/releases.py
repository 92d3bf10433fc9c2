"""What a comparison says of training that goes on and of training from another seed: the sample `photos` in both, as figures.

    python benchmarks/releases.py [--epochs 12] [--seed 1] [--output FOLDER]

The sample network is trained for two more epochs, and once more from another seed for `--epochs`. Reports of all are built (`--quality
draft --filters 4`, with its four photographs) and compared with that of the sample. For each layer the tables say how many filters are
matched, the 5th percentile, median and least of their similarities, and the median weight change. The last tables have the null: how
alike maps are where the images of one report are in another order, so that nothing but chance makes them so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "sample_models"
sys.path.insert(0, str(SAMPLES))
FINE_TUNING_RATE, MORE_EPOCHS = (
    0.01,
    2,
)  # a tenth of the rate that training began with, as at two thirds of its schedule


def trained(folder: Path, seed: int, epochs: int) -> dict[str, Path]:
    """Train the networks; an existing file is taken as it is."""
    import keras
    import train_photos as sample

    parts = [sample.split(sample.load_photograph(name))[0] for name in sample.PHOTOGRAPHS]
    files = {
        "photos": SAMPLES / "photos.keras",
        "fine-tuned": folder / "fine-tuned.keras",
        "seed": folder / "seed.keras",
    }
    if not files["fine-tuned"].is_file():
        network = keras.models.load_model(files["photos"])
        rng = np.random.default_rng([seed, sample.TRAIN_STREAM])
        batches = sample.VariedBatches(*sample.crop_set(parts, sample.TRAIN_PER_CLASS, rng, sample.SQUEEZE), rng)
        optimizer = keras.optimizers.SGD(FINE_TUNING_RATE, momentum=0.9, nesterov=True)
        network.compile(optimizer, "sparse_categorical_crossentropy")
        network.fit(batches, epochs=MORE_EPOCHS, shuffle=False, verbose=2)
        sample.without_optimizer(network).save(files["fine-tuned"])
    if not files["seed"].is_file():
        sample.EPOCHS = epochs
        keras.utils.set_random_seed(seed)
        network = sample.build_network()
        sample.train(network, parts, seed)
        sample.without_optimizer(network).save(files["seed"])
    return files


def built(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Build the reports; a finished one is taken as it is."""
    import reportgen

    reports = {name: folder / f"report-{name}" for name in files}
    for name, report in reports.items():
        if not (report / "report.json").is_file():
            reportgen.build(files[name], SAMPLES / "photos", report, quality="draft", filters="4")
    return reports


def table(old: Path, new: Path) -> None:
    """Print what a comparison says, a line a layer."""
    import reportgen
    from reportgen.compare.compare import compare_reports

    found = compare_reports(reportgen.open(old), reportgen.open(new))
    print(f"\n{old.name} and {new.name}\n")
    print("| layer | status | matched | of | match 5 % | median | least | weight change, median |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    total = matched = 0
    for layer in found.layers:
        kept = [item for item in layer.filters if item.old_index is not None]
        values = np.array([item.match for item in kept if item.match is not None])
        changes = [item.weight_change for item in kept if item.weight_change is not None]
        low, middle = np.percentile(values, (5, 50)) if len(values) else (np.nan, np.nan)
        print(
            f"| {layer.path} | {layer.status} | {len(kept)} | {layer.filters_total} | {low:.3f} | {middle:.3f} | "
            f"{values.min(initial=1):.3f} | {np.median(changes) if changes else np.nan:.3f} |"
        )
        total, matched = total + layer.filters_total, matched + len(kept)
    print(f"\n{matched} of {total} filters matched")


def null(old: Path, new: Path) -> None:
    """Print what chance makes of correlations, a line a layer, and how many filters it would match."""
    import reportgen
    from reportgen.compare.activations import CHANCE, CHANCE_AT_PLACE, Correlations, SharedMaps

    one, other = reportgen.open(old), reportgen.open(new)
    slugs = [(image.slug, image.slug) for image in one.images]
    print(f"\nnull of {old.name} and {new.name}: maps of different images\n")
    print(
        f"| layer | largest of each filter, median | {CHANCE} % | same number, {CHANCE_AT_PLACE} % | passed by chance |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for layer in one.layers:
        maps = SharedMaps.of((one, layer.record), (other, other[layer.path].record), slugs)
        found = None if maps is None else maps.correlations()
        if found is None:
            continue
        largest = np.nan_to_num(found.null, nan=-1).max(1)
        passed = Correlations(found.null, found.null).enough().any(1).sum()
        print(
            f"| {layer.path} | {np.median(largest):.3f} | {np.percentile(largest, CHANCE):.3f} | "
            f"{np.nanpercentile(found.null, CHANCE_AT_PLACE):.3f} | {passed} of {len(largest)} |"
        )


def main() -> None:
    """Read the command line, train, build and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp()) if arguments.output is None else arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    reports = built(trained(folder, arguments.seed, arguments.epochs), folder)
    for name in ("fine-tuned", "seed"):
        table(reports["photos"], reports[name])
    for name in ("fine-tuned", "seed"):
        null(reports["photos"], reports[name])


if __name__ == "__main__":
    main()
