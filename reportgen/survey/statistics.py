"""All that is known of a layer on the data set: the parts put together, in their order, so that no other order can change a byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reportgen.survey import labels as tests
from reportgen.survey.bins import histograms
from reportgen.survey.groups import redundancy
from reportgen.survey.selection import EXEMPLARS, QUANTILES, largest_distinct
from reportgen.survey.values import half, whole

BLOCK = 64  # filters whose numbers are worked on at once
MOST_LABELS = 5  # that are stated of a filter
SUMMED: Mapping[str, Callable[..., np.ndarray]] = {  # exactly, whatever the parts
    "silent_images": np.sum,
    "silent_positions": np.sum,
    "minimum": np.min,
    "maximum": np.max,
    "activation_minimum": np.min,
    "activation_maximum": np.max,
}
Part = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]


def joined_images(parts: Sequence[Part]) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Put together what is stored of images.

    Returns:
        The arrays; names; hashes.
    """
    names = [name for _, facts in parts for name in facts["names"]]
    hashes = [name for _, facts in parts for name in facts["sha256"]]
    filled = [arrays for arrays, _ in parts if len(arrays["image"])] or [parts[0][0]]
    return {name: np.concatenate([arrays[name] for arrays in filled]) for name in filled[0]}, names, hashes


def layer_statistics(
    parts: Sequence[Part], images: Mapping[str, np.ndarray], label_count: int, pairs: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Put together what is stored of a layer.

    Args:
        parts: of its responses, in the data set's order.
        images: what is stored of the images, joined.
        label_count: how many labels there are.
        pairs: whether pairs of labels are tested too: `pair_labels` int32 (2, filters), `pair_auroc` and `pair_q` float32 (filters,).

    Returns:
        (arrays, facts). arrays: `activations` and `peaks` float16 (images, filters), divided by 2 ** their exponents; `minimum`,
        `maximum` float32 (filters,) of all positions, and those of activations; `mean`, `std` float64 of activations; `silent_images`,
        `silent_positions` int64; `quantiles` float32 (QUANTILES, filters) of peaks; `exemplars` int32 (filters, EXEMPLARS + QUANTILES),
        rows of images, -1 for none, with `exemplar_positions` int32, `exemplar_peaks` and `exemplar_activations` float32; histograms on
        the bins of `bins.py` of activations, peaks and sampled positions, int32 (filters, bins); `label_auroc` and `label_q` float32
        (labels, filters), and `label_images` int64 (labels,), `label_sum`, `label_squares` float64, `label_minimum`, `label_maximum`
        float32 (labels, filters) of activations; `nearest`, `nearest_correlation`. facts: `images`, `positions` of a map, first bins,
        exponents, `groups`, `effective_filters`.
    """
    used = [part for part in parts if part[1]["images"]]
    filters = len(parts[0][0]["maximum"])
    if not used:
        return {}, {"images": 0, "positions": parts[0][1]["positions"]}
    count = sum(facts["images"] for _, facts in used)
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"images": count, "positions": used[0][1]["positions"]}
    for name in ("activations", "peaks"):
        arrays[name], facts[f"{name}_exponent"] = _common(used, name)
    for name, add in SUMMED.items():
        arrays[name] = add([part[name] for part, _ in used], axis=0)
    total = np.sum([part["sum"] for part, _ in used], axis=0)
    mean = total / count
    arrays["mean"] = mean
    arrays["std"] = np.sqrt(np.maximum(np.sum([part["squares"] for part, _ in used], axis=0) / count - mean**2, 0))
    arrays |= _exemplars(used, images["pixels"], arrays, facts)
    arrays["quantiles"] = np.concatenate(
        [
            np.quantile(whole(arrays["peaks"][:, block], facts["peaks_exponent"]), QUANTILES, axis=0)
            for block in _blocks(filters)
        ],
        axis=1,
    ).astype(np.float32)
    for name, of in (("activation_histogram", "activations"), ("peak_histogram", "peaks")):
        arrays[name], facts[f"{name}_bin"] = histograms(whole(arrays[of], facts[f"{of}_exponent"]))
    arrays["position_histogram"], facts["position_histogram_bin"] = _positions(used)
    arrays |= _labels(arrays, facts, images["label"], label_count, pairs)
    alike = redundancy(whole(arrays["activations"], facts["activations_exponent"]))
    arrays |= {"nearest": alike.nearest, "nearest_correlation": alike.correlation}
    facts |= {"groups": [list(group) for group in alike.groups], "effective_filters": alike.effective}
    return arrays, facts


def _blocks(filters: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, filters, BLOCK)]


def _common(parts: Sequence[Part], name: str) -> tuple[np.ndarray, int]:
    """The rows of all parts with one exponent."""
    exponents = {int(facts[f"{name}_exponent"]) for _, facts in parts}
    if len(exponents) == 1:
        return np.concatenate([arrays[name] for arrays, _ in parts]), exponents.pop()
    return half(np.concatenate([whole(arrays[name], facts[f"{name}_exponent"]) for arrays, facts in parts]))


def _positions(parts: Sequence[Part]) -> tuple[np.ndarray, int]:
    return histograms(np.concatenate([whole(arrays["samples"], facts["samples_exponent"]) for arrays, facts in parts]))


def _exemplars(
    parts: Sequence[Part], pixels: np.ndarray, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The images with the largest peaks, exactly, and those at the percentiles of images with different pixels."""
    starts = np.cumsum([0, *(facts["images"] for _, facts in parts)])
    rows = np.concatenate(
        [
            np.where(part["top_rows"] < 0, -1, part["top_rows"] + start)
            for (part, _), start in zip(parts, starts, strict=False)
        ]
    )
    peaks = np.concatenate([part["top_peaks"] for part, _ in parts])
    filters = rows.shape[1]
    chosen = np.full((filters, EXEMPLARS + len(QUANTILES)), -1, np.int32)
    for index in range(filters):
        known = np.flatnonzero(rows[:, index] >= 0)
        own = rows[known, index]
        best, _ = largest_distinct(peaks[known, index : index + 1], pixels[own], EXEMPLARS)
        chosen[index, :EXEMPLARS] = np.where(best[:, 0] < 0, -1, own[np.maximum(best[:, 0], 0)] if len(own) else -1)
    _, first = np.unique(pixels, axis=0, return_index=True)
    places = [max(0, int(np.ceil(share * len(first))) - 1) for share in QUANTILES]
    for block in _blocks(filters):
        found = whole(arrays["peaks"][first, block], facts["peaks_exponent"])
        order = np.argsort(found, axis=0, kind="stable")
        at = first[order[places]]
        chosen[block, EXEMPLARS:] = np.where(np.isfinite(found).all(axis=0), at, -1).T
    safe = np.maximum(chosen, 0)
    columns = np.arange(filters)[:, None]
    position = np.concatenate([part["positions"] for part, _ in parts])[safe, columns].astype(np.int32)
    values = {name: whole(arrays[name][safe, columns], facts[f"{name}_exponent"]) for name in ("peaks", "activations")}
    peak = values["peaks"]
    exact = np.full(peak.shape, np.nan, np.float32)
    for index in range(filters):
        known_peaks = dict(zip(rows[:, index].tolist(), peaks[:, index].tolist(), strict=True))
        exact[index] = [known_peaks.get(int(row), value) for row, value in zip(chosen[index], peak[index], strict=True)]
    # Where a rectifier is silent nothing stands for the filter, and no position is its largest.
    chosen = np.where((exact == 0) & (arrays["minimum"] >= 0)[:, None], -1, chosen)
    return {
        "exemplars": chosen,
        "exemplar_positions": np.where(chosen < 0, -1, position),
        "exemplar_peaks": np.where(chosen < 0, np.nan, exact).astype(np.float32),
        "exemplar_activations": np.where(chosen < 0, np.nan, values["activations"]).astype(np.float32),
    }


def _labels(
    arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], label: np.ndarray, count: int, pairs: bool
) -> dict[str, np.ndarray]:
    """Statistics of each label, and the tests, corrected for all of the layer."""
    filters = arrays["peaks"].shape[1]
    found: dict[str, list[np.ndarray]] = {}
    if count == 0:
        return {}
    known = label >= 0
    order = np.argsort(label[known], kind="stable")
    images = np.bincount(label[known], minlength=count)
    starts = np.cumsum(images) - images
    has = images > 0
    for block in _blocks(filters):
        peaks = whole(arrays["peaks"][:, block], facts["peaks_exponent"])
        tested = tests.compare(peaks, label, count)
        if pairs:
            together = tests.compare_pairs(peaks, label, tested)
            for name, values in (("labels", together.labels), ("auroc", together.auroc[None]), ("p", together.p[None])):
                found.setdefault(f"pair_{name}", []).append(values)
        own = whole(arrays["activations"][:, block], facts["activations_exponent"])[known][order].astype(np.float64)
        for name, add, values, empty in (
            ("label_sum", np.add, own, 0.0),
            ("label_squares", np.add, own**2, 0.0),
            ("label_minimum", np.minimum, own, np.nan),
            ("label_maximum", np.maximum, own, np.nan),
        ):
            by_label = np.full((count, own.shape[1]), empty)
            if has.any():
                by_label[has] = add.reduceat(values, starts[has], axis=0)
            found.setdefault(name, []).append(by_label)
        found.setdefault("label_auroc", []).append(tested.auroc)
        found.setdefault("p", []).append(tested.p)
    made = {name: np.concatenate(blocks, axis=1) for name, blocks in found.items()}
    p = made.pop("p")
    paired = made.pop("pair_p", np.zeros((0, filters)))
    q = tests.adjusted(np.concatenate([p, paired]))
    made["label_q"] = q[: len(p)]
    if pairs:
        made |= {
            "pair_labels": made["pair_labels"].astype(np.int32),
            "pair_auroc": made["pair_auroc"][0],
            "pair_q": q[-1],
        }
    single = ("label_auroc", "label_q", "label_minimum", "label_maximum", "pair_auroc", "pair_q")
    return {
        "label_images": images,
        **{name: values.astype(np.float32) if name in single else values for name, values in made.items()},
    }


def filter_labels(auroc: np.ndarray, q: np.ndarray) -> list[int]:
    """Return the labels that a filter tells apart and by enough to explain it: those that it answers more to first.

    Args:
        auroc: float (labels,), of one filter.
        q: corrected p-values, likewise.
    """
    explains = np.abs(auroc - 0.5) >= tests.LEAST_AUROC - 0.5
    found = [int(number) for number in np.flatnonzero((q <= tests.LEVEL) & explains)]
    return sorted(found, key=lambda number: (auroc[number] < 0.5, -abs(float(auroc[number]) - 0.5), number))[
        :MOST_LABELS
    ]
