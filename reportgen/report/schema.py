"""The JSON Schema of report.json, generated from its records.

python -m reportgen.report.schema    # writes it beside this module, from where it is shipped
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from reportgen.core.store import json_bytes
from reportgen.report.document import SCHEMA, ReportDocument

PATH = Path(__file__).with_name("report.schema.json")


def report_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of report.json."""
    schema = msgspec.json.schema(ReportDocument)
    for record in schema["$defs"].values():
        if "properties" in record:  # a default is written like any other value, so no key is ever left out
            record["required"] = list(record["properties"])
            for value in record["properties"].values():
                value.pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"report.json of {SCHEMA}", **schema}


if __name__ == "__main__":
    PATH.write_bytes(json_bytes(report_schema()))
