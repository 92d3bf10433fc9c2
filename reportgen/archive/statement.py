"""What a model file cannot tell, stated by the user in a TOML file: quoted as theirs in every document of an archive."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from reportgen.core.errors import UsageError

EPOCH = "SOURCE_DATE_EPOCH"  # seconds since 1970; see reproducible-builds.org
Text = Annotated[str, Meta(min_length=1)] | None
BRITISH = {"licence": "license"}


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user's statement; every key may be left out. docs/archives.md has the same table."""

    name: Annotated[Text, Meta(description="name under which the model is released")] = None
    version: Annotated[Text, Meta(description="version of the model")] = None
    date: Annotated[Text, Meta(description="date of the release, YYYY-MM-DD")] = None
    owner: Annotated[Text, Meta(description="who provides the model and answers for it")] = None
    contact: Annotated[Text, Meta(description="where questions go")] = None
    license: Annotated[Text, Meta(description="license of the model")] = None
    source: Annotated[Text, Meta(description="where the model can be had: an address or a name in a registry")] = None
    domain: Annotated[Text, Meta(description="the field that it is used in")] = None
    standards: Annotated[Text, Meta(description="standards and rules that it is said to follow")] = None
    autonomy: Annotated[Text, Meta(description="whether a person decides on its output")] = None
    energy: Annotated[Text, Meta(description="energy that its training or use takes")] = None
    purpose: Annotated[Text, Meta(description="what the model is for")] = None
    users: Annotated[Text, Meta(description="who is meant to use it")] = None
    out_of_scope: Annotated[Text, Meta(description="uses that it is not for")] = None
    data: Annotated[Text, Meta(description="the data that it was trained on")] = None
    training: Annotated[Text, Meta(description="how it was trained, and what training optimized")] = None
    validation: Annotated[
        Text, Meta(description="how it was validated and tested, on which data, with which result")
    ] = None
    thresholds: Annotated[Text, Meta(description="thresholds of its output that decisions are made at")] = None
    personal_data: Annotated[Text, Meta(description="personal data in training or use")] = None
    people: Annotated[Text, Meta(description="persons or groups that its use affects, and risks to them")] = None
    limits: Annotated[Text, Meta(description="known limits")] = None
    changes: Annotated[Text, Meta(description="what has changed since the version before")] = None
    signed_by: Annotated[Text, Meta(description="the person responsible for the statement")] = None

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that are stated, with their values."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None:
                yield name, value


NOTHING = Statement()


def read_statement(path: Path) -> tuple[Statement, bytes]:
    """Read a statement.

    Returns:
        The statement, and the bytes of its file.

    Raises:
        UsageError: the file cannot be read, or states something that is not in the table.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the statement {path.name} cannot be read: {error.strerror}.") from error
    return parse_statement(data, path.name), data


def parse_statement(data: bytes, name: str) -> Statement:
    """Return the statement in the content of a TOML file.

    Raises:
        UsageError: as `read_statement`; the message calls the file `name`.
    """
    try:
        table = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the statement {name} cannot be read: {error}.") from error
    known = Statement.__struct_fields__
    values = {BRITISH.get(key, key).replace("-", "_"): _plain(value) for key, value in table.items()}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise UsageError(f"the statement {name} has the unknown key `{unknown[0]}`; the keys are {', '.join(known)}.")
    try:
        statement = msgspec.convert(values, Statement)
        if statement.date is not None:
            date.fromisoformat(statement.date)
    except msgspec.ValidationError as error:
        raise UsageError(f"the statement {name} cannot be used: {error}.") from error
    except ValueError as error:
        raise UsageError(f"the statement {name} has the date {statement.date!r}, which is not YYYY-MM-DD.") from error
    return statement


def stated_date(statement: Statement, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the date of an archive: the statement's, else that of SOURCE_DATE_EPOCH in UTC, else None.

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    epoch = environment.get(EPOCH)
    if statement.date is not None or not epoch:
        return statement.date
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{EPOCH} is {epoch!r}, which is no number of seconds since 1970.") from error


def _plain(value: object) -> object:
    """A TOML value as text: dates in ISO form, several limits as one paragraph each; anything else as it is, to be refused."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "\n\n".join(value)
    return value.strip() if isinstance(value, str) else value
