"""Errors of Keras and TensorFlow, and names and sizes in files, as text for one line of a message."""

from __future__ import annotations

import re

TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
PREAMBLES = (
    "Exception encountered when calling",
    "Graph execution error",
)  # how the line before the actual cause begins
CAUSE, CONFIG = "Exception encountered: ", "Full object config:"  # between them stands the actual cause
# Before the cause of an error in a running graph TensorFlow prints its place: the node and, indented, the lines of code that made it.
NODE, INDENTED = "Detected at node", re.compile(r"\s(?!\s*\(0\) )|<stack traces|\d+ root error|Original stack trace")
OPERATION = re.compile(r"^(?:\(0\) [A-Z_]+:\s*)?(?:\{\{[^}]*\}\}\s*)?|\s*\[Op:[^\]]*\]$")
LONGEST_LINE = 200  # characters; two lines of a terminal
LONGEST_NAME = 60  # characters of a name that a file may choose freely


def one_line(error: BaseException | str) -> str:
    """Return the cause that an error's text states, in one line of at most LONGEST_LINE characters.

    Keras prints in bold, with a line before the cause and whole configs after it; TensorFlow first prints the place in its graph.
    """
    stated = [line for line in innermost_cause(str(error)).splitlines() if line.strip()]
    if any(line.startswith(NODE) for line in stated):
        stated = [line for line in stated if not INDENTED.match(line) and not line.startswith(NODE)]
    lines = [OPERATION.sub("", line.strip()) for line in stated]
    if len(lines) > 1 and lines[0].startswith(PREAMBLES):
        del lines[0]
    text = (
        "".join(character if character.isprintable() else "?" for character in lines[0])
        if lines
        else type(error).__name__
    )
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 3] + "..."


def innermost_cause(text: str) -> str:
    """Return the innermost cause in an error's text: Keras prints it between the configs of all layers around it and another config."""
    cause = TERMINAL_CODES.sub("", text).rpartition(CAUSE)[2]
    return cause.partition(CONFIG)[0].rstrip() or cause


LAYER_NAMED = re.compile(r"error message for object <\w+ name=([^,>]+)")
WANTED, FOUND = re.compile(r"variable\.shape=(\([^)]*\))"), re.compile(r"value\.shape=(\([^)]*\))")
VARIABLE = re.compile(r"path=(?:[^,]*/)?(\w+),")
COUNTED = re.compile(r"expected (\d+) variables, but received (\d+) variables")


def misfit(error: BaseException) -> str:
    """Return which layer's weights do not fit, and how, where Keras states it in a known form; else its own words, as `one_line`."""
    text = str(error)
    layer = LAYER_NAMED.search(text)
    shapes = [found.group(1) for pattern in (WANTED, FOUND) if (found := pattern.search(text)) is not None]
    counts = COUNTED.search(text)
    if layer is not None and len(shapes) == 2:
        variable = VARIABLE.search(text)
        what = "a weight" if variable is None else f"the {shown_name(variable.group(1))}"
        return f"{what} of {shown_name(layer.group(1))} has the shape {shapes[0]}, in the file {shapes[1]}."
    if layer is not None and counts is not None:
        return f"{shown_name(layer.group(1))} has {counts.group(1)} arrays of weights, in the file {counts.group(2)}."
    return one_line(error)


def shown_name(name: object) -> str:
    """Return a name from a file, short enough for a sentence and without characters that would disturb a terminal."""
    text = "".join(character if character.isprintable() else "?" for character in str(name))
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


UNIT_RATIO = 1024  # of one unit to the next
WHOLE = 10  # from here on a size needs no decimal


def readable_size(size: float) -> str:
    """Return a number of bytes with a unit, such as `1.5 GiB`."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= UNIT_RATIO and len(units) > 1:
        size /= UNIT_RATIO
        del units[0]
    return f"{size:.0f} {units[0]}" if size >= WHOLE or size == int(size) else f"{size:.1f} {units[0]}"
