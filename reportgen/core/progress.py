"""The progress bar: what is being done and how long it will still take; silent where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

BAR_FORMAT = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}  {desc}"


class Progress:
    """A bar over costs, not items: it moves evenly although a deep layer's pattern costs a hundred times a grid of weights."""

    def __init__(self, enabled: bool | None) -> None:
        """Prepare a bar; `enabled`: None means where stderr is a terminal."""
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
        """Move the bar by `cost`, at most to its end."""
        if self._bar is not None:
            self._bar.update(min(cost, self._bar.total - self._bar.n) if self._bar.total else cost)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal's line free for a message; the bar is drawn again after it."""
        with tqdm.external_write_mode(file=sys.stderr):
            yield

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
