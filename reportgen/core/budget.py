"""How long a report may take, and which settings may be chosen so that it does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reportgen.core.errors import UsageError

SECONDS = {"h": 3600, "m": 60, "s": 1}
CHOSEN = ("quality", "filters")  # settings that a budget chooses, those that were not given


@dataclass(frozen=True)
class Budget:
    """The user's limit on a report's time.

    Attributes:
        text: as it was given, such as `10m`.
        given: settings that the user gave, which stay as they are.

    Raises:
        UsageError: the text is no duration.
    """

    text: str
    given: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        parse_duration(self.text)

    @property
    def seconds(self) -> int:
        """The limit."""
        return parse_duration(self.text)


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as `90s`, `10m` or `1h30m`; raise UsageError for any other text."""
    found = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", text.strip(), re.IGNORECASE | re.ASCII)
    seconds = 0 if found is None else sum(int(found[n + 1] or 0) * SECONDS[unit] for n, unit in enumerate("hms"))
    if seconds == 0:
        raise UsageError(f"--budget {text} is not a duration such as 90s, 10m or 1h30m.")
    return seconds
