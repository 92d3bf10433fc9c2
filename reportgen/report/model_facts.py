"""The facts about a model and its input, in words."""

from __future__ import annotations

from reportgen.artefacts.views import Fact
from reportgen.core.records import PICTURE_RANK, ConstantInputRecord, InputContract
from reportgen.render.text import NONE, count, shape, stated
from reportgen.render.wording import resizing, unquoted
from reportgen.report.document import ReportDocument


def model_facts(report: ReportDocument) -> tuple[Fact, ...]:
    """Return the facts about the model and its input."""
    model, contract = report.model, report.input
    classes = model.classes
    is_picture = len(contract.size) == PICTURE_RANK
    low, high = stated(contract.low), stated(contract.high)
    return (
        Fact("Model", model.name),
        Fact("Source", model.source, code=True),
        Fact(
            "Model file (SHA-256)",
            model.sha256 if model.sha256 is not None else "n/a: the model was not loaded from a single file",
            code=True,
        ),
        Fact("Weights (SHA-256)", model.weights_sha256, code=True),
        Fact("Parameters", count(model.parameters)),
        Fact(
            "Classes",
            NONE if classes is None else count(len(classes)),
            note="unnamed; pass --classes FILE" if classes is None else None,
        ),
        Fact("Input", _primary_input(contract), note=f"{resizing(contract)} (--fit {contract.fit})"),
        *(Fact(f"Input {one.name}", _constant(one)) for one in contract.constant_inputs),
        Fact(
            "Preprocessing",
            contract.preprocess,
            note=(
                f"input pixels from {low} (black) to {high} (white){_floats(contract)}; {unquoted(contract.reason)}"
                if is_picture
                else f"{unquoted(contract.reason)}; patterns have values from {low} to {high}"
            ),
        ),
    )


def _floats(contract: InputContract) -> str:
    """The range of files with floating-point pixels; nothing for signals and volumes, whose values are used as they are."""
    if len(contract.size) != PICTURE_RANK:
        return ""
    low, high = contract.floats
    return f", in files with floating-point pixels from {stated(low)} to {stated(high)}"


def _primary_input(contract: InputContract) -> str:
    lengths = shape(contract.shape)
    return lengths if contract.name is None else f"{lengths} ({contract.name}, the input that is visualized)"


def _constant(one: ConstantInputRecord) -> str:
    return "constant: zeros" if one.file is None else f"constant: the content of {one.file}"
