"""Opens a job that another process planned, or refuses it where results would not be those that the report was planned with."""

from __future__ import annotations

import pickle

from reportgen.compute.machine import stated
from reportgen.compute.work import Job
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import UsageError
from reportgen.inputs.images import check_unchanged
from reportgen.network.backend import fix_threads
from reportgen.network.error_text import one_line


def open_job(payload: bytes) -> Workspace:
    """Open a job that another process planned.

    Args:
        payload: the pickled `Job`.

    Returns:
        The job, open in this process.

    Raises:
        ReportgenError: the model, an image or a version here is not the one that the job was planned with, or something is missing here.
    """
    try:
        job = pickle.loads(payload)
        assert isinstance(job, Job)
    except Exception as error:
        raise UsageError(f"the work cannot be read here: {one_line(error)}.") from error
    for name, here in stated().items():
        planned = job.machine[name]
        if here != planned:
            raise UsageError(f"{name} is {here} here and {planned} where the report was planned; bytes would differ.")
    fix_threads(job.threads)
    for image in job.images:
        check_unchanged(image)
    return Workspace(job)
