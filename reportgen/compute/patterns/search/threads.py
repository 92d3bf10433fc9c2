"""Threads beside each other for the batches of one ascent, since many of TensorFlow's operations keep one core busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any


class Threads:
    """Runs tasks at once; `stopping` tells those that still run that another one failed, or that the user interrupts."""

    def __init__(self) -> None:
        self._stop = Event()

    @property
    def stopping(self) -> bool:
        """Whether a running task should end early."""
        return self._stop.is_set()

    def run(
        self, tasks: Sequence[Callable[[], Any]], mode: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> list[Any]:
        """Return the tasks' results in order.

        mode: `fused` for what only optimizes; what is measured must see the NaN that a fused rectifier hides.
        """
        with mode():
            if len(tasks) < 2:
                return [task() for task in tasks]
            stop = self._stop = Event()
            # In new threads: TensorFlow keeps for each thread what `fused` sets.
            with ThreadPoolExecutor(len(tasks)) as pool:
                running = [pool.submit(task) for task in tasks]
                try:
                    return [each.result() for each in running]
                except BaseException:
                    stop.set()
                    raise
                finally:
                    self._stop = Event()
