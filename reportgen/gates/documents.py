"""What became of gates, for machines: JUnit XML and the workflow commands of GitHub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from reportgen.core.commands import Command
from reportgen.gates.judging import Judged, Outcome

# Characters that XML 1.0 has no way to write; a layer may be called anything.
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"
ELEMENTS = {Outcome.FAILED: "failure", Outcome.UNKNOWN: "error"}


def junit(judged: Sequence[Judged], command: Command) -> bytes:
    """Return JUnit XML with a test case for each gate; one whose value is not known is an error. No times: the same bytes each time."""
    failed, lost = (sum(one.outcome == outcome for one in judged) for outcome in (Outcome.FAILED, Outcome.UNKNOWN))
    counts = {"tests": str(len(judged)), "failures": str(failed), "errors": str(lost)}
    suites = ET.Element("testsuites", {"name": "reportgen", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": f"reportgen {command}", **counts, "skipped": "0"})
    for one in judged:
        case = ET.SubElement(suite, "testcase", {"classname": f"reportgen.{command}", "name": _xml(one.gate.text)})
        if one.outcome in ELEMENTS:
            sentence = _xml(one.sentence)
            ET.SubElement(case, ELEMENTS[one.outcome], {"message": sentence, "type": one.outcome}).text = sentence
        else:
            ET.SubElement(case, "system-out").text = _xml(one.sentence)
    ET.indent(suites)
    data: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def github_commands(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Return GitHub's workflow command for each gate that did not pass: the runner shows it beside the pull request."""
    return tuple(
        f"::error title={_property('Gate ' + one.outcome + ': ' + one.gate.text)}::{_data(one.sentence)}"
        for one in judged
        if one.outcome != Outcome.PASSED
    )


def _xml(text: str) -> str:
    return NOT_IN_XML.sub(REPLACEMENT, text)


def _data(text: str) -> str:
    """A message as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The same of a property, which a colon or a comma would end."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
