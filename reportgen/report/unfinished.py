"""What an unfinished report says of itself: how much of it is computed, and when the rest is expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reportgen.render.text import count, plural

MINUTE, HOUR = 60, 3600  # seconds
RESUME = "Run the same build command again: it continues from here, and nothing is computed twice."


@dataclass(frozen=True)
class Unfinished:
    """The state of a report that is still being computed, or whose run has ended early.

    Attributes:
        moment: of this state, in the time zone of the machine.
        done: how many patterns are computed.
        total: of how many; 0 before the first pages are written.
        left: seconds that the rest is expected to take; None where that is not known.
        interrupted: whether the run has ended.
    """

    moment: datetime
    done: int = 0
    total: int = 0
    left: float | None = None
    interrupted: bool = False

    @property
    def title(self) -> str:
        """The heading of the notice."""
        return "Unfinished: the run was interrupted" if self.interrupted else "Unfinished: the rest is being computed"

    @property
    def counted(self) -> str:
        """How much is computed, in words."""
        return f"{count(self.done)} of {plural(self.total, 'pattern')}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is, and what a reader can do."""
        if self.interrupted:
            return (f"The run ended at {_clock(self.moment)}. {RESUME}",)
        if not self.total:
            state = "Weights, predictions and feature maps are being computed; pages follow as soon as they are there."
        elif self.left is None:
            state = "Patterns are being computed; how long that takes is not yet known."
        else:
            state = f"The rest is expected at {_clock(self.moment + timedelta(seconds=self.left))}, {_span(self.left)} later."
        return (
            f"As of {_clock(self.moment)}. {state} Reload this page to see what is new.",
            "If nothing changes for long after that, the run has ended early; the same command continues from there.",
        )


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC{moment:%z}"


def _span(seconds: float) -> str:
    """A length of time in one unit, rounded up."""
    if seconds < MINUTE:
        return "less than a minute"
    if seconds < 2 * HOUR:
        return f"about {plural(-int(-seconds // MINUTE), 'minute')}"
    return f"about {plural(-int(-seconds // HOUR), 'hour')}"
