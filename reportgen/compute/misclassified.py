"""The end of a pass over a labeled data set: attribution maps of the images that the model is wrong about with most confidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from reportgen.compute.response_statistics import Keeper
from reportgen.compute.work import Job
from reportgen.compute.workspace import Workspace
from reportgen.core.errors import ReportgenError, StoreError
from reportgen.core.records import TaskKind
from reportgen.core.store import Store
from reportgen.network.error_text import one_line
from reportgen.survey.outcome import misclassified
from reportgen.survey.statistics import joined_images

MISSING = "parts of the data set are not computed; run the same command again"


def explain_misclassified(
    job: Job, store: Store, keeper: Keeper, missing: Collection[str], tell: Callable[[str], None]
) -> None:
    """Compute the maps of both classes for misclassified images of the data set, in this process.

    Args:
        job: of the report.
        store: where the parts of the data set are.
        keeper: keeps the results. Facts: `row` of the image, None where there are fewer misclassified images; `maps`.
        missing: keys of the tasks that are wanted.
        tell: is told what is computed.

    Raises:
        OutputError: a result cannot be written.
    """
    wanted = [task for task in job.plan.layer_tasks("", TaskKind.MISCLASSIFIED) if task.key in missing]
    if not wanted or job.dataset is None:
        return
    try:
        found = [store.load(task.key) for task in job.plan.layer_tasks("", TaskKind.DATASET_IMAGES)]
    except StoreError:
        for task in wanted:
            keeper.failed(task.key, MISSING)
        return
    arrays, names, hashes = joined_images(found)
    rows = misclassified(arrays)
    workspace = Workspace(job)
    for task in wanted:
        started = time.perf_counter()
        place = task.part if task.part is not None else 0
        if place >= len(rows):
            keeper.done(task.key, {}, {"row": None, "maps": []}, 0.0)
            continue
        row = int(rows[place])
        (decoded,) = job.dataset.decoded([int(arrays["image"][row])], job.plan.contract)

        def doing(what: str, name: str = names[row]) -> None:
            tell(f"{name}: {what}")

        try:
            if decoded.pixels is None:
                raise StoreError(decoded.reason or "it cannot be read")
            true = int(arrays["class"][row])
            made, facts = workspace.attributor(hashes[row], decoded.pixels, doing, true)
        except Exception as error:
            keeper.failed(task.key, str(error) if isinstance(error, ReportgenError) else one_line(error))
            continue
        stated = {"row": row, "lengths": list(decoded.lengths), **facts}
        keeper.done(task.key, {"picture": decoded.pixels, **made}, stated, time.perf_counter() - started)
