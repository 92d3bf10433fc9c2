"""Reports without patterns, made from live models in a moment: what comparisons of models need."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reportgen.compute.executors import chosen, compute
from reportgen.compute.planning.prepare import prepare
from reportgen.core.execution import Execution
from reportgen.core.progress import Progress
from reportgen.core.records import TaskKind
from reportgen.core.run import Run
from reportgen.core.settings import Settings
from reportgen.core.store import Store
from reportgen.inputs.image_reader import ImageReader
from reportgen.report.assemble import assemble
from reportgen.report.opened import Report

KINDS = (TaskKind.IMAGE, TaskKind.WEIGHTS, TaskKind.FEATURE_MAPS)


def pictures(folder: Path, size: int, count: int = 2, mode: str = "RGB") -> list[str]:
    """Write smooth random pictures: maps of noise are much alike for any filter."""
    paths = []
    for number in range(count):
        shape = (6, 6, 3) if mode == "RGB" else (6, 6)
        coarse = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        paths.append(folder / f"picture{number}.png")
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(paths[-1])
    return [str(path) for path in paths]


def report_of(model: Any, folder: Path, images: list[str], **settings: Any) -> Report:
    """Write the report of a model, or of a model file, and open it; `settings` as for a build."""
    job = prepare(model, Settings(**{"images": tuple(images), "preprocess": "unit", **settings}), ImageReader())
    tasks = tuple(task for task in job.plan.tasks if task.kind in KINDS)
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, tasks=tasks))
    store = Store(folder)
    store.save_plan(job.plan)
    with Run(folder, job.plan, store, Progress(False), time.perf_counter()) as run:
        compute(job, run, chosen(Execution(), lambda sentence: None))
    assemble(folder)
    return Report.open(folder)
