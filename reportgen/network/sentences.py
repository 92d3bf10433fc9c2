"""What the errors of Keras and TensorFlow say, in one line of ours."""

from __future__ import annotations

import re

TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
PREAMBLES = (
    "Exception encountered when calling",
    "Graph execution error",
)  # what Keras and TensorFlow say before the fact
LONGEST_LINE = 200  # characters; two lines of a terminal
LONGEST_NAME = 60  # characters of a name that a file may choose freely


def one_line(error: BaseException | str) -> str:
    """What an error's text says, in one line of at most 200 characters.

    Keras prints in bold, puts a line before and whole configs behind.
    """
    lines = [line.strip() for line in TERMINAL_CODES.sub("", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith(PREAMBLES):
        del lines[0]
    text = "".join(sign if sign.isprintable() else "?" for sign in lines[0]) if lines else type(error).__name__
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 3] + "..."


def shown_name(name: object) -> str:
    """A name out of a file, short enough for a sentence and without signs that would disturb a terminal."""
    text = "".join(sign if sign.isprintable() else "?" for sign in str(name))
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


STEP = 1024  # of one unit to the next
WHOLE = 10  # from here on a size needs no decimal


def readable_size(size: float) -> str:
    """Bytes with a unit, such as `1.5 GiB`."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= STEP and len(units) > 1:
        size /= STEP
        del units[0]
    return f"{size:.0f} {units[0]}" if size >= WHOLE or size == int(size) else f"{size:.1f} {units[0]}"
