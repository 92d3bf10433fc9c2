"""Gates on a comparison of two reports: what each is measured by, and what is not known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from reportgen.artefacts.dataset import DatasetEntry, ModelOutcome
from reportgen.cli.main import main
from reportgen.compare.compare import compare_reports
from reportgen.compare.records import (
    ClassesComparison,
    Comparison,
    FilterComparison,
    LayerChange,
    LayerComparison,
    Match,
    NotCompared,
    PredictionComparison,
    Side,
)
from reportgen.core.commands import Command
from reportgen.core.errors import EXIT_GATE, EXIT_USAGE, UsageError
from reportgen.gates.expression import parse
from reportgen.gates.judging import Judged, Outcome, judge, read_gates
from reportgen.gates.quantity import Subject
from reportgen.gates.registry import quantities
from reportgen.report.document import ReportDocument
from reportgen.report.opened import Report


def one_filter(index: int, **changes: Any) -> FilterComparison:
    facts = {"old_index": index, "match": 1.0, "weight_change": 0.0, "bias_change": 0.0, "activation_change": 0.0}
    verdicts = {"pattern_similarity": None, "verdict": "ok", "old_verdict": "ok"}
    return FilterComparison(**{"index": index, **facts, **verdicts, **changes})


def one_layer(path: str, status: LayerChange, filters: tuple[FilterComparison, ...] = (), **changes: Any) -> Any:
    facts: dict[str, Any] = {"old_path": path, "affected": False, "matched_by": None, "gone": ()}
    totals = {"filters_total": len(filters), "old_filters_total": len(filters), "facts": (), "notes": ()}
    return LayerComparison(**{"path": path, "status": status, "filters": filters, **facts, **totals, **changes})


FILTERS = (
    one_filter(0),
    one_filter(1, weight_change=0.25, activation_change=0.5, verdict="dead"),
    one_filter(2, weight_change=0.125, verdict="weak"),
    one_filter(3, old_index=None, match=None, weight_change=None, bias_change=None, activation_change=None),
    one_filter(4, weight_change=2.0, verdict=None, old_verdict=None),
)
COMPARISON = Comparison(
    old=Side(name="a", weights_sha256="0"),
    new=Side(name="b", weights_sha256="1"),
    match=Match.AUTO,
    unfair=("Other seeds.",),
    images=("cat.png",),
    predictions_flipped=1,
    predictions=(
        PredictionComparison(
            image="cat.png", label="dog", old_label="cat", probability=0.5, old_probability=0.5, flipped=True
        ),
        PredictionComparison(
            image="dog.png", label="dog", old_label="dog", probability=0.5, old_probability=0.75, flipped=False
        ),
    ),
    classes=ClassesComparison(added=("cow",), removed=(), moved=("cat", "dog")),
    layers=(
        one_layer("deep", LayerChange.CHANGED, FILTERS, gone=(7, 9)),
        one_layer("point", LayerChange.FOLDED, (one_filter(0, weight_change=1e-7),), affected=True, old_path="dot"),
        one_layer("pool", LayerChange.REMOVED, old_filters_total=2),
        one_layer("fresh", LayerChange.ADDED, old_path=None),
        one_layer("wide", LayerChange.RESHAPED),
    ),
    not_compared=(),
)
MEASURED = [
    ("layers_removed > 0", Outcome.FAILED, "1 of 4 convolution layers: pool."),
    ("layers_added > 25%", Outcome.PASSED, "25.0 %, 1 of 4 convolution layers."),
    ("layers_changed > 1", Outcome.FAILED, "2 of 4 convolution layers: deep, wide."),
    ("layers_reshaped > 0", Outcome.FAILED, "wide."),
    ("layers_affected > 0", Outcome.FAILED, "point."),
    ("layers_renamed > 0", Outcome.FAILED, "1 of 4 convolution layers: point."),
    ("layers_not_compared > 0", Outcome.PASSED, "0 of 5 convolution layers."),
    ("filters_changed(deep) > 3", Outcome.PASSED, "3 of 4 shown filters."),
    ("filters_changed(point) > 0", Outcome.PASSED, "0 of 1 shown filter."),
    (
        "filters_changed(deep) > 3 of total",
        Outcome.FAILED,
        "4 of 5 filters, of which 4 are shown: deep (filters 1, 2, 3, 4).",
    ),
    ("filters_added > 0", Outcome.FAILED, "1 of 5 shown filters: deep (filter 3)."),
    ("filters_removed > 0", Outcome.FAILED, "4 of 8 filters: deep (filters 7, 9), pool (filters 0, 1)."),
    ("verdicts_changed > 0", Outcome.FAILED, "2 of 5 shown filters: deep (filters 1, 2)."),
    ("newly_inactive_filters > 0", Outcome.FAILED, "1 of 5 shown filters: deep (filter 1)."),
    ("weight_change(deep) > 0.2", Outcome.FAILED, "2 in the most changed of 4 filters: deep (filters 4, 1)."),
    ("weight_change(dot) > 0", Outcome.PASSED, "0 in the most changed of 1 filter."),
    (
        "weight_change(deep) > 3",
        Outcome.UNKNOWN,
        "since the change of 1 filter is not defined; known so far: 2 in the most changed of 4 filters.",
    ),
    ("weight_change(fresh) > 3", Outcome.UNKNOWN, "not known, since no filter of the layers is in both models."),
    ("least_weight_change(point) == 0", Outcome.FAILED, "0 in the least changed of 1 filter: point (filter 0)."),
    ("activation_change > 40%", Outcome.FAILED, "50.0 % in the most changed of 5 filters: deep (filter 1)."),
    ("predictions_flipped > 0", Outcome.FAILED, "1 of 2 images: cat.png (cat → dog)."),
    ("predictions_flipped > 50%", Outcome.PASSED, "50.0 %, 1 of 2 images."),
    ("predictions_changed > 1", Outcome.FAILED, "2 of 2 images: cat.png (cat → dog), dog.png."),
    ("classes_changed > 2", Outcome.FAILED, "3 classes: cow, cat, dog."),
    ("unfair > 0", Outcome.FAILED, "1 difference: Other seeds."),
    ("parameters_added > 10%", Outcome.PASSED, "0 %, 1,234 parameters, 1,234 before."),
    ("dead_filters > 10%", Outcome.FAILED, "shown filters"),
]


@pytest.fixture(scope="module")
def document(whole_report: Path) -> ReportDocument:
    """Of the old report and of the new one; gates name layers that are in either."""
    found = Report.open(whole_report).document
    named = [
        msgspec.structs.replace(found.layers[0], path=layer.path)
        for layer in COMPARISON.layers
        if layer.path not in ("deep", "point")
    ]
    dot = msgspec.structs.replace(found.layers[0], path="dot")
    return msgspec.structs.replace(found, layers=(*found.layers, *named, dot))


def outcome(document: ReportDocument, text: str, comparison: Comparison = COMPARISON) -> Judged:
    subject = Subject(document, document, comparison)
    (judged,) = judge(read_gates([text], Command.COMPARE), subject, Command.COMPARE)
    return judged


@pytest.mark.parametrize(("text", "wanted", "words"), MEASURED)
def test_a_gate_is_judged_by_what_the_comparison_states(
    document: ReportDocument, text: str, wanted: Outcome, words: str
) -> None:
    judged = outcome(document, text)
    assert (judged.outcome, words in judged.sentence) == (wanted, True), judged.sentence


def test_every_quantity_of_comparisons_is_tried_above() -> None:
    own = {quantity.name for quantity in quantities(Command.COMPARE) if quantity.of_comparison}
    assert own == {parse(text).name for text, *_ in MEASURED} - {"dead_filters"} | {"accuracy_lost"}


def test_what_was_not_compared_does_not_pass(document: ReportDocument) -> None:
    document = msgspec.structs.replace(
        document, layers=(*document.layers, msgspec.structs.replace(document.layers[0], path="lost"))
    )
    lost = msgspec.structs.replace(
        COMPARISON, not_compared=(NotCompared(path="lost", reason="the old report does not cover it"),), predictions=()
    )
    for text, why in (
        ("predictions_flipped > 0", "not known, since no image has a prediction in both reports."),
        ("layers_changed > 2", "since 1 convolution layer could not be compared; known so far: 2 of 5"),
        ("filters_changed > 50", "since 1 layer could not be compared."),
        ("weight_change > 5", "known so far: 2"),
    ):
        judged = outcome(document, text, lost)
        assert (judged.outcome, why in judged.sentence) == (Outcome.UNKNOWN, True), judged.sentence
    assert outcome(document, "layers_not_compared > 0", lost).outcome == Outcome.FAILED
    assert outcome(document, "layers_changed(deep) > 2", lost).outcome == Outcome.PASSED


def test_accuracy_is_compared_on_one_data_set(document: ReportDocument) -> None:
    def on(accuracy: float, sha256: str = "0") -> ReportDocument:
        known = {"images": 1000, "correct": 0, "accuracy": accuracy, "calibration_error": None, "confusion": None}
        rest = {"classes": (), "confusions": (), "calibration": (), "misclassified_total": 0, "misclassified": ()}
        facts = {"source": "pets", "sha256": sha256, "found": 1, "taken": 1, "images": 1, "same_pixels": 0, "sizes": 1}
        own = DatasetEntry(**facts, left_out=(), labels=(), model=ModelOutcome(**known, **rest))
        return msgspec.structs.replace(document, dataset=own)

    def lost(old: ReportDocument, new: ReportDocument) -> Judged:
        gates = read_gates(["accuracy_lost > 1%"], Command.COMPARE)
        return judge(gates, Subject(new, old, COMPARISON), Command.COMPARE)[0]

    assert lost(on(0.93), on(0.92)).outcome == Outcome.PASSED
    judged = lost(on(0.93), on(0.919))
    assert (judged.outcome, "1.1 %, from 0.93 to 0.919" in judged.sentence) == (Outcome.FAILED, True), judged.sentence
    assert lost(on(0.93), on(0.95)).outcome == Outcome.PASSED
    assert lost(on(0.93), on(0.93, "1")).sentence.endswith("not known, since the reports have other data sets.")
    assert "of the old report, the report was built without --dataset" in lost(document, on(0.9)).sentence


def test_layers_of_a_gate_may_be_in_either_model(document: ReportDocument) -> None:
    with pytest.raises(UsageError, match="matches no layer"):
        outcome(document, "layers_removed(nothing) > 0")


def test_a_report_beside_itself_passes_every_gate_on_changes(whole_report: Path) -> None:
    report = Report.open(whole_report)
    comparison = compare_reports(report, report)
    assert [item.path for item in comparison.not_compared] == ["head"], "which no report covers"
    texts = [f"{name} > 0" for name in ("layers_changed", "filters_changed", "weight_change", "activation_change")]
    subject = Subject(report.document, report.document, comparison)
    judged = judge(read_gates(texts, Command.COMPARE), subject, Command.COMPARE)
    assert {one.gate.name: one.outcome for one in judged} == dict.fromkeys(
        (one.gate.name for one in judged), Outcome.PASSED
    ), [one.sentence for one in judged]


def test_compare_judges_gates_after_it_has_written_and_refuses_unknown_layers_before(
    whole_report: Path, tmp_path: Path
) -> None:
    def run(*gates: str) -> Any:
        options = [word for gate in gates for word in ("--fail-on", gate)]
        words = ["compare", whole_report, whole_report, "-o", tmp_path / "compared", "-q", *options]
        return CliRunner().invoke(main, [str(word) for word in words])

    refused = run("weight_change(nothing*) > 0")
    assert (refused.exit_code, "nothing* matches no layer" in refused.stderr) == (EXIT_USAGE, True)
    assert not (tmp_path / "compared").exists()
    done = run("weight_change > 0", "predictions_flipped > 0", "dead_filters > 0", "layers < 4")
    assert done.exit_code == EXIT_GATE
    assert done.stdout == f"{tmp_path / 'compared' / 'index.html'}\n"
    assert re.findall(r"gate \w+: (\w+)", done.stderr) == ["dead_filters", "layers"]
    assert run("weight_change > 0").exit_code == 0
