"""Gates: their grammar, what each is measured by, and what commands say and return."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner

import report_fixture
from reportgen.artefacts.dataset import DatasetEntry
from reportgen.cli.main import main
from reportgen.core.commands import Command
from reportgen.core.errors import EXIT_GATE, EXIT_INCOMPLETE, EXIT_UNVERIFIED, EXIT_USAGE, UsageError
from reportgen.gates.documents import github_commands, junit
from reportgen.gates.expression import Gate, parse
from reportgen.gates.judging import Judged, Outcome, check_plan, judge, read_gates
from reportgen.gates.measured import exact
from reportgen.gates.quantity import Subject
from reportgen.gates.registry import quantities
from reportgen.report.assemble import assemble
from reportgen.report.document import ReportDocument
from reportgen.report.opened import Report

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def document(whole_report: Path) -> ReportDocument:
    return Report.open(whole_report).document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished report in which nothing failed but an image that is left out."""
    path = tmp_path_factory.mktemp("gates") / "report"
    report_fixture.make(path, missing=False)
    assemble(path)
    return path


def outcome(document: ReportDocument, text: str, command: Command = Command.VERIFY) -> Judged:
    (judged,) = judge(read_gates([text], command), Subject(document), command)
    return judged


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_gate_is_a_name_layers_an_operator_and_a_limit() -> None:
    assert parse("dead_filters > 5%") == Gate(
        "dead_filters > 5%", "dead_filters", None, ">", Fraction(1, 20), True, False
    )
    gate = parse(" weight_change( block5_* )>=.25 ")
    assert (gate.name, gate.glob, gate.operator, gate.limit) == ("weight_change", "block5_*", ">=", Fraction(1, 4))
    assert parse("zero_filters(a (b) > 1) == 1e2 % of  total") == Gate(
        "zero_filters(a (b) > 1) == 1e2 % of total", "zero_filters", "a (b) > 1", "==", Fraction(1), True, True
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dead_filters",
        "dead_filters > ",
        "dead_filters > 0,5",
        "> 5",
        "a() > 1",
        "a > 1 of shown",
        "a > -1",
        "a >> 1",
    ],
)
def test_another_form_is_refused_with_the_form_and_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"NAME\[\(LAYER GLOB\)\] OPERATOR NUMBER\[%\] \[of total\], such as"):
        parse(text)


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_an_operator_means_what_it_means_in_python(operator: str, below: bool, at: bool, above: bool) -> None:
    gate = parse(f"problems {operator} 2")
    assert [gate.verdict(Fraction(n), Fraction(n)) for n in (1, 2, 3)] == [below, at, above]
    spread = gate.verdict(Fraction(1), Fraction(3))
    assert spread is None, "of a value that may be 1 to 3 nothing is known"
    assert gate.verdict(Fraction(3), None) == (above if operator != "==" else False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dead_filter > 1", "there is no dead_filter; the names are dead_filters, "),
        ("problems > 1%", "a number that nothing is a percentage of"),
        ("problems(conv1) > 1", "takes none in parentheses"),
        ("failed_layers > 1 of total", "`of total` is for numbers of filters"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_gates([text], Command.BUILD)
    assert message in str(raised.value)


# Of the fixture: filter 1 of each layer is dead and has a kernel of zeros, filter 10 of `deep` is silent, filter 2 is weak and filter 3
# not finite; half of the patterns of `deep` are missing, which has 14 of 70 filters shown.
MEASURED = [
    ("dead_filters(point) > 0", Outcome.FAILED, "1 of 4 shown filters: point (filter 1)."),
    ("dead_filters(point) > 25%", Outcome.PASSED, "25.0 %, 1 of 4 shown filters."),
    ("dead_filters > 0", Outcome.FAILED, "shown filters: "),
    ("silent_filters(deep) > 0", Outcome.FAILED, "1 of 14 shown filters: deep (filter 10)."),
    ("inactive_filters(point) >= 1", Outcome.FAILED, "point (filter 1)."),
    ("weak_filters(point) > 20%", Outcome.FAILED, "25.0 %, 1 of 4 shown filters: point (filter 2)."),
    ("not_finite_filters(point) > 0", Outcome.FAILED, "point (filter 3)."),
    ("unjudged_filters(deep) > 0", Outcome.FAILED, "7 of 14 shown filters: deep (filters 35, 40, 45, 50, 55, 60, 65)."),
    ("zero_filters(deep) > 0", Outcome.PASSED, "0 of 14 shown filters."),
    ("zero_filters(deep) > 0 of total", Outcome.FAILED, "1 of 70 filters, of which 14 are shown: deep (filter 1)."),
    ("duplicate_filters(point) > 0", Outcome.PASSED, "0 of 4 shown filters."),
    ("constant_maps(deep) > 0 of total", Outcome.FAILED, "deep (filters 1, 10)."),
    ("failed_layers > 0", Outcome.FAILED, "1 of 3 convolution layers: deep."),
    ("skipped_layers > 30%", Outcome.PASSED, "25.0 %, 1 of 4 convolution layers."),
    ("skipped_layers > 0", Outcome.FAILED, "1 of 4 convolution layers: head."),
    ("untrained_layers > 0", Outcome.PASSED, "0 of 3 convolution layers."),
    ("layers < 4", Outcome.FAILED, "3 layers."),
    ("parameters > 1233", Outcome.FAILED, "1,234 parameters."),
    ("images < 3", Outcome.PASSED, "3 images."),
    ("images_left_out > 0", Outcome.FAILED, "1 image: torn.jpg."),
    ("problems > 0", Outcome.FAILED, "torn.jpg: left out, it is cut short"),
    ("health_warnings > 0", Outcome.FAILED, "preprocessing: It was guessed"),
    ("health_warnings(deep) > 0", Outcome.PASSED, "0 warnings."),
    ("health_unknown > 99", Outcome.PASSED, "check"),
    ("weight_change > 100%", Outcome.FAILED, "the most changed of 80 filters: "),
    ("least_weight_change(point) >= 0.0001", Outcome.FAILED, "the least changed of 4 filters"),
]


@pytest.mark.parametrize(("text", "wanted", "words"), MEASURED)
def test_a_gate_is_judged_by_what_the_report_states(
    document: ReportDocument, text: str, wanted: Outcome, words: str
) -> None:
    judged = outcome(document, text)
    assert judged.outcome == wanted, judged.sentence
    assert judged.sentence.startswith(f"{judged.gate.text}: ")
    assert words in judged.sentence


def test_every_quantity_is_tried_above() -> None:
    tried = (
        {parse(text).name for text, *_ in MEASURED} | {"lowest_probability"} | {parse(text).name for text, _ in MADE}
    )
    assert tried == {quantity.name for quantity in quantities(Command.VERIFY)}


MADE = [
    ("accuracy < 75%", "70.0 %, 7 of 10 images."),
    ("lowest_recall < 0.5", "0.25, 1 of 4 images: dog."),
    ("calibration_error > 0.05", "0.125."),
    ("dataset_left_out > 0", "1 image: torn.jpg."),
    ("unmatched_labels > 0", "1 label: fox."),
    ("silent_on_dataset(point) > 1", "2 of 4 shown filters: point (filters 1, 3)."),
]


@pytest.fixture(scope="module")
def with_dataset(document: ReportDocument) -> ReportDocument:
    """The report with what a data set tells, as report.json states it."""
    classes = [
        {
            "class_index": at,
            "name": name,
            "images": images,
            "predicted": images,
            "correct": right,
            "recall": right / images,
        }
        for at, (name, images, right) in enumerate((("cat", 6, 6), ("dog", 4, 1)))
    ]
    model = {
        **{"images": 10, "correct": 7, "accuracy": 0.7, "confusion": None, "confusions": [], "calibration": []},
        **{"classes": [{**each, "precision": None} for each in classes], "calibration_error": 0.125},
        **{"misclassified_total": 3, "misclassified": []},
    }
    dataset = {
        **{"source": "pets", "sha256": "0" * 64, "found": 11, "taken": 11, "images": 10, "same_pixels": 0, "sizes": 1},
        **{"left_out": [{"name": "torn.jpg", "reason": "it is cut short"}], "model": model},
        "labels": [{"label": "fox", "images": 1, "class_index": None}],
    }
    layers = [
        msgspec.structs.replace(layer, data=LayerSilence((1, 3))) if layer.path == "point" else layer
        for layer in document.layers
    ]
    return msgspec.structs.replace(document, dataset=msgspec.convert(dataset, DatasetEntry), layers=tuple(layers))


@dataclasses.dataclass(frozen=True)
class LayerSilence:
    """What gates read of a layer's record on a data set."""

    silent_filters: tuple[int, ...]


@pytest.mark.parametrize(("text", "words"), MADE)
def test_a_gate_on_a_data_set_is_judged_by_what_was_measured_there(
    with_dataset: ReportDocument, document: ReportDocument, text: str, words: str
) -> None:
    judged = outcome(with_dataset, text)
    assert (judged.outcome, words in judged.sentence) == (Outcome.FAILED, True), judged.sentence
    assert outcome(document, text).outcome == Outcome.UNKNOWN, "of a report without a data set nothing is known"


def test_the_lowest_probability_names_its_image(folder: Path) -> None:
    document = Report.open(folder).document
    judged = outcome(document, "lowest_probability < 0.9")
    assert judged.outcome == Outcome.FAILED
    assert judged.sentence == f"lowest_probability < 0.9: 0.75: {report_fixture.HOSTILE_IMAGE}."
    assert outcome(document, "lowest_probability < 0.5").outcome == Outcome.UNKNOWN, "two images have no prediction"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("silent_filters(deep) > 1", "7 filters without a verdict may be such; known so far: 1 of 14 shown filters"),
        ("silent_filters(deep) < 2", "7 filters without a verdict may be such"),
    ],
)
def test_a_value_of_which_a_part_is_missing_passes_only_where_that_part_cannot_matter(
    document: ReportDocument, text: str, why: str
) -> None:
    judged = outcome(document, text)
    assert judged.outcome == Outcome.UNKNOWN
    assert why in judged.sentence
    assert outcome(document, "silent_filters(deep) > 8").outcome == Outcome.PASSED


def test_what_was_not_asked_for_does_not_pass(tmp_path: Path) -> None:
    report_fixture.make(tmp_path / "bare", images=False, missing=False)
    assemble(tmp_path / "bare")
    document = Report.open(tmp_path / "bare").document
    for text, why in (
        ("lowest_probability < 0.5", "not known, since the report has no images."),
        ("weight_change > 0.5", "not known, since the report was built without --initial."),
        ("constant_maps > 5%", "not known, since 24 filters with too few maps to tell"),
    ):
        judged = outcome(document, text)
        assert (judged.outcome, why in judged.sentence) == (Outcome.UNKNOWN, True), judged.sentence


def test_a_share_that_would_read_like_the_limit_has_all_its_digits(document: ReportDocument) -> None:
    layers = tuple(
        msgspec.structs.replace(layer, health=msgspec.structs.replace(layer.health, zero_filters=tuple(range(33))))
        for layer in document.layers
        if layer.path == "deep" and layer.health is not None
    )
    judged = outcome(msgspec.structs.replace(document, layers=layers), "zero_filters > 47.1% of total")
    assert "47.142857142857146 %, 33 of 70" in judged.sentence


def test_what_cannot_be_known_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path / "report", images=False)
    for text, message in (
        ("dead_filters(nothing*) > 1", "nothing* matches no layer; those that it can be of are"),
        ("dead_filters(head) > 1", "head matches no layer"),
        ("lowest_probability < 0.5", "cannot be known without --images"),
        ("weight_change > 0.5", "cannot be known without --initial"),
        ("accuracy < 0.9", "cannot be known without --dataset"),
    ):
        with pytest.raises(UsageError) as raised:
            check_plan(read_gates([text], Command.BUILD), plan, Command.BUILD)
        assert message in str(raised.value)
    known = dataclasses.replace(plan, settings={**plan.settings, "initial": "start.keras"})
    check_plan(read_gates(["weight_change(deep) > 1", "skipped_layers(head) > 1"], Command.BUILD), known, Command.BUILD)


def test_a_failed_gate_ends_with_its_own_code_after_the_path_of_the_report(folder: Path) -> None:
    done = run("assemble", folder, "--fail-on", "dead_filters > 1%", "--fail-on", "weak_filters > 99%")
    assert done.exit_code == EXIT_GATE, "although an image is missing, which alone would be another code"
    assert "torn.jpg: left out" in done.stderr
    assert done.stderr.count("reportgen: gate failed: dead_filters > 1%: ") == 1
    assert "weak_filters" not in done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "index.html")
    refused = run("assemble", folder, "-q", "--fail-on", "dead_filters(nothing) > 99%")
    assert (refused.exit_code, refused.stdout) == (EXIT_USAGE, ""), "before anything is assembled"
    passed = run("assemble", folder, "-q", "--fail-on", "dead_filters > 99%")
    assert passed.exit_code == EXIT_INCOMPLETE


def test_verify_judges_gates_and_says_first_what_is_no_longer_as_it_was(folder: Path, tmp_path: Path) -> None:
    assert run("verify", folder, "-q", "--fail-on", "dead_filters > 99%").exit_code == 0
    assert run("verify", folder, "-q", "--fail-on", "dead_filters(point) == 1").exit_code == EXIT_GATE
    assert run("verify", folder, "-q", "--fail-on", "dead_filters(nothing) == 1").exit_code == EXIT_USAGE
    other = tmp_path / "other"
    report_fixture.make(other, missing=False)
    assemble(other)
    (other / "layers" / "point.html").unlink()
    done = run("verify", other, "--fail-on", "dead_filters(point) == 1")
    assert done.exit_code == EXIT_UNVERIFIED
    assert "gate failed: dead_filters(point) == 1" in done.stderr
    (other / "report.json").write_text("{")
    done = run("verify", other, "--fail-on", "dead_filters(point) == 1")
    assert (done.exit_code, "gates were not judged" in done.stderr) == (EXIT_UNVERIFIED, True)


def test_a_gate_of_no_form_or_name_is_wrong_usage_before_a_report_is_even_looked_for(tmp_path: Path) -> None:
    for text in ("dead_filters", "no_such_thing > 1"):
        done = run("verify", tmp_path / "nothing", "--fail-on", text)
        assert (done.exit_code, f"--fail-on {text!r}" in done.stderr) == (EXIT_USAGE, True)
    for option in (["--github"], ["--junit", "x.xml"]):
        assert "state one with --fail-on" in run("verify", tmp_path / "nothing", *option).stderr
    done = run("verify", tmp_path, "--fail-on", "problems > 0", "--junit", tmp_path / "no" / "x.xml")
    assert (done.exit_code, "cannot be written" in done.stderr) == (EXIT_USAGE, True)


def test_gates_stand_in_a_settings_file_too_and_the_command_line_takes_their_place(
    folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('fail-on = ["dead_filters(point) > 0"]\nquality = "draft"\n')
    assert run("verify", folder, "-q", "-c", settings).exit_code == EXIT_GATE
    assert run("verify", folder, "-q", "-c", settings, "--fail-on", "dead_filters > 99%").exit_code == 0


JUDGED = (
    Judged(parse("problems > 0"), Outcome.PASSED, "problems > 0: 0 problems."),
    Judged(parse("dead_filters(a*) > 5%"), Outcome.FAILED, "dead_filters(a*) > 5%: 50 %: a,b\x00c <d>\n."),
    Judged(parse("weight_change > 1"), Outcome.UNKNOWN, "weight_change > 1: not known, since it is not."),
)


def test_junit_has_a_case_for_each_gate_and_can_be_read_whatever_a_layer_is_called() -> None:
    data = junit(JUDGED, Command.VERIFY)
    assert data == junit(JUDGED, Command.VERIFY)
    (suite,) = ET.fromstring(data)
    assert suite.attrib == {
        **{"name": "reportgen verify", "tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
    }
    assert [case.attrib["name"] for case in suite] == [one.gate.text for one in JUDGED]
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["error"]]
    failure = suite[1][0]
    assert "a,b\ufffdc <d>" in failure.attrib["message"]


def test_annotations_are_escaped_as_the_runner_reads_them() -> None:
    failed, lost = github_commands(JUDGED)
    assert failed == (
        "::error title=Gate failed%3A dead_filters(a*) > 5%25::dead_filters(a*) > 5%25: 50 %25: a,b\x00c <d>%0A."
    )
    assert lost.startswith("::error title=Gate unknown%3A weight_change > 1::")


def test_junit_and_annotations_of_a_command(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "gates.xml"
    done = run("verify", folder, "-q", "--fail-on", "dead_filters(point) > 0", "--junit", file, "--github")
    assert (done.exit_code, done.stdout) == (EXIT_GATE, "")
    assert done.stderr.startswith("::error title=Gate failed%3A dead_filters(point) > 0::")
    assert ET.parse(file).getroot()[0].attrib["failures"] == "1"


def test_names_of_gates_are_listed_by_help_and_the_documentation() -> None:
    text = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    for command in (Command.VERIFY, Command.ASSEMBLE, Command.BUILD):
        shown = run(command, "--help-all" if command == Command.BUILD else "--help").stdout
        for quantity in quantities(command):
            assert f"  {quantity.name} " in shown
            assert f"| `{quantity.name}` |" in text


def test_the_documented_table_is_that_of_the_registry() -> None:
    done = subprocess.run([sys.executable, "-m", "reportgen.gates.reference"], capture_output=True, text=True, cwd=ROOT)
    stored = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    assert done.stdout in stored, "stale: python -m reportgen.gates.reference prints the table"


def test_a_number_of_the_report_is_not_above_the_same_number_of_a_gate() -> None:
    assert not parse("weight_change > 0.1").holds(exact(0.1)), "although the nearest float is above a tenth"
    assert parse("weight_change == 10%").holds(exact(0.1))
