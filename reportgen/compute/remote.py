"""What a Dask worker is sent: a function that is found by its name and imports TensorFlow only when it is called."""

from __future__ import annotations

import pickle
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from reportgen.compute.work import Refused
from reportgen.compute.worker import carry_out, open_job
from reportgen.core.errors import ReportgenError

if TYPE_CHECKING:
    from reportgen.compute.work import Result
    from reportgen.compute.workspace import Workspace

_one_at_a_time = Lock()  # a worker of several threads has one model, and TensorFlow one setting of its optimizer


def kept(payload: bytes) -> bytes:
    """Return the pickled job: as the result of a task it is sent to each worker once, and made again where a worker was lost."""
    return payload


def carry_out_pickled(payload: bytes, work: bytes) -> list[Result] | Refused:
    """Compute a piece of work in a worker.

    Args:
        payload: the pickled `Job`; it is opened once, and stays open until another comes.
        work: the pickled `Work`.

    Returns:
        A result for each task, or why this worker cannot compute the job.
    """
    with _one_at_a_time:
        try:
            workspace = _opened(payload)
        except ReportgenError as error:
            return Refused(str(error))
        return list(carry_out(workspace, pickle.loads(work), lambda news: None))


@lru_cache(1)
def _opened(payload: bytes) -> Workspace:
    return open_job(payload)
