"""One bar over all work: what is being done and how long it will still take; silent where nobody watches."""

from __future__ import annotations

import sys

from tqdm import tqdm

BAR_FORMAT = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}  {desc}"


class Progress:
    """Counts costs, not items: a bar that moves evenly although a deep layer's pattern costs a hundred times a grid of weights."""

    def __init__(self, enabled: bool | None) -> None:
        """`enabled`: None means where stderr is a terminal."""
        self._disabled = not sys.stderr.isatty() if enabled is None else not enabled
        self._bar: tqdm[None] | None = None

    def start(self, total: float) -> None:
        """Begin a bar of `total` cost."""
        self._bar = tqdm(
            total=max(total, 1.0), disable=self._disabled, bar_format=BAR_FORMAT, leave=False, file=sys.stderr
        )

    def doing(self, what: str) -> None:
        """Say what is being done."""
        if self._bar is not None:
            self._bar.set_description_str(what, refresh=True)

    def advance(self, cost: float) -> None:
        """`cost` of the total is done."""
        if self._bar is not None:
            self._bar.update(min(cost, self._bar.total - self._bar.n) if self._bar.total else cost)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
