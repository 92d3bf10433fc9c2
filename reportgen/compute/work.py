"""What a run gives an executor and takes back: a job, its work, results and progress; all of it can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.core.records import Plan, Task, TaskKind

if TYPE_CHECKING:  # a process that only passes work on needs no TensorFlow
    from reportgen.compute.opening import ModelReference
    from reportgen.compute.patterns.recipe import Recipe
    from reportgen.inputs.dataset import Dataset
    from reportgen.inputs.image_reader import ImageReader
    from reportgen.inputs.images import UserImage


@dataclass(frozen=True)
class Job:
    """What all work of a run shares.

    Attributes:
        plan: the layers, images, settings and tasks.
        model: how to open the model.
        images: the user's images, those of natural maxima included.
        reader: decodes them; a pickled copy has decoded none.
        recipe: how patterns are optimized.
        batches: how many patterns are optimized at once, by layer slug.
        machine: versions and device that all of it must be computed with, see `machine.stated`.
        dataset: many images; None where there are none.
        batch: how many of them are computed at once.
    """

    plan: Plan
    model: ModelReference
    images: tuple[UserImage, ...]
    reader: ImageReader
    recipe: Recipe
    batches: Mapping[str, int]
    machine: Mapping[str, Any]
    dataset: Dataset | None = None
    batch: int = 1

    def absolute(self) -> Job:
        """Return the same job for a process in another folder."""
        images = tuple(replace(image, path=image.path.absolute()) for image in self.images)
        dataset = None if self.dataset is None else self.dataset.absolute()
        return replace(self, model=self.model.absolute(), images=images, dataset=dataset)

    @property
    def threads(self) -> int:
        """How many threads each operation is computed with."""
        return int(self.plan.settings["threads"])


@dataclass(frozen=True)
class Work:
    """Tasks that are computed together, because they share a pass through the model or a trace of it."""

    kind: TaskKind
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Result:
    """What became of one task.

    Attributes:
        key: the task's.
        arrays: by name, as the store keeps them.
        facts: plain JSON values that the store keeps beside them.
        seconds: that computing took.
        traces: how many traces of the model were made for the task's layer since its last result.
        failure: one sentence on why there is nothing to keep; None where there is.
    """

    key: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    traces: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Progressed:
    """News from inside a piece of work.

    Attributes:
        doing: what is being computed now; None where that has not changed.
        cost: of the work done since the last news, in the unit of `Task.cost`; the driver adds what is missing when results arrive.
    """

    doing: str | None = None
    cost: float = 0.0


Notify = Callable[[Progressed], None]


@dataclass(frozen=True)
class Ready:
    """A worker's answer to a job: the model is open."""


@dataclass(frozen=True)
class Refused:
    """A worker's other answer to a job: one sentence on why it cannot compute it."""

    reason: str


@dataclass(frozen=True)
class Done:
    """A worker's last answer to a piece of work, after all of its results."""


Message = Ready | Refused | Progressed | Result | Done
