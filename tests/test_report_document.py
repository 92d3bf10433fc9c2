"""report.json as typed records: what was written can be read again, and the shipped schema is that of the records."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

import report_fixture
from reportgen.report.assemble import assemble
from reportgen.report.document import ReportDocument
from reportgen.report.schema import PATH, report_schema


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("images", [False, True])
def test_a_written_document_is_read_as_records_and_written_again_with_the_same_bytes(
    tmp_path: Path, images: bool, whole: bool
) -> None:
    report_fixture.make(tmp_path, images=images, negative=whole, outputs=whole, whole=whole)
    assemble(tmp_path)
    written = (tmp_path / "report.json").read_bytes()
    report = msgspec.json.decode(written, type=ReportDocument)
    assert report.layers[0].path == report_fixture.HOSTILE_PATH
    assert report.to_json() == written


def test_the_shipped_schema_is_that_of_the_records() -> None:
    assert json.loads(PATH.read_bytes()) == report_schema(), "run `python -m reportgen.report.schema`"


@pytest.mark.parametrize("whole", [False, True])
def test_every_document_fits_the_shipped_schema(tmp_path: Path, whole: bool) -> None:
    report_fixture.make(tmp_path, images=whole, negative=whole, outputs=whole, whole=whole)
    assemble(tmp_path)
    schema = json.loads(PATH.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads((tmp_path / "report.json").read_bytes()))


def test_a_document_of_another_schema_is_refused(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    older = (tmp_path / "report.json").read_bytes().replace(b'"reportgen/2"', b'"reportgen/1"')
    with pytest.raises(msgspec.ValidationError, match="schema"):
        msgspec.json.decode(older, type=ReportDocument)


def test_every_key_is_required_because_every_key_is_always_written() -> None:
    records = [record for record in report_schema()["$defs"].values() if "properties" in record]
    assert len(records) > 15
    assert all(record["required"] == list(record["properties"]) for record in records)
