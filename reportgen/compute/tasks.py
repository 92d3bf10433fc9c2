"""Carries out a plan: every task that is not stored yet, stored as soon as it is finished; a task that fails stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Meter
from reportgen.compute.bounds import bounds_of
from reportgen.compute.feature_maps import MapReader
from reportgen.compute.natural_maxima import natural_figures
from reportgen.compute.patterns import colour
from reportgen.compute.patterns.ascent import Ascent, Breadth
from reportgen.compute.patterns.objectives import Direction
from reportgen.compute.patterns.recipe import Recipe, display_crop
from reportgen.compute.planning import NATURAL_BATCH, crop_grid
from reportgen.compute.weights import weights
from reportgen.core.errors import OutputError, ReportgenError
from reportgen.core.records import LayerRecord, Task
from reportgen.core.run import Run
from reportgen.inputs.images import UserImage, fit, natural_crops
from reportgen.network.backend import tf
from reportgen.network.error_text import one_line
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network
from reportgen.network.outputs import fitting

MOST_PREDICTIONS = 5


def compute(
    network: Network,
    images: Sequence[UserImage],
    recipe: Recipe,
    breadths: dict[str, Breadth],
    initial: Mapping[str, dict[str, np.ndarray]],
    run: Run,
) -> None:
    """Do every task of `run.plan` that is missing. initial: the weights that training started from, by layer path."""
    worker = _Worker(network, images, recipe, breadths, run)
    worker.images()
    worker.weights()
    worker.initial(initial)
    worker.feature_maps()
    worker.natural()
    for layer in worker.layers.values():
        if layer.pattern_size is not None:
            worker.patterns(layer)


def proven_dead(network: Network, layer_calls: Sequence[LayerCall]) -> dict[str, np.ndarray]:
    """Bool (channels,) by path: which units answer to no input above zero, or to all alike, as bounds prove; none where they fail."""
    try:
        found = bounds_of(
            network, [layer_call for layer_call in layer_calls if not layer_call.is_pooling], network.contract.size
        )
    except Exception:  # nothing is proven then, and nothing else depends on it
        return {}
    return {path: bounds.dead for path, bounds in found.items()}


class _Worker:
    def __init__(
        self, network: Network, images: Sequence[UserImage], recipe: Recipe, breadths: dict[str, Breadth], run: Run
    ) -> None:
        self.network, self.recipe, self.breadths, self.run = network, recipe, breadths, run
        self.user_images = {image.record.slug: image for image in images}
        self.layers = {layer.slug: layer for layer in run.plan.layers if layer.status != "skipped"}
        by_path = network.by_path
        self.layer_calls = {layer.slug: by_path[layer.path] for layer in self.layers.values()}
        self._mixing: list[np.ndarray | None] = []
        self._dead: dict[str, np.ndarray] | None = None

    @contextmanager
    def _failing(self, tasks: Sequence[Task]) -> Iterator[None]:
        """Turn a failure into a reason that is stored with `tasks`; interruptions and a full disk go through."""
        try:
            yield
        except OutputError:
            raise
        except ReportgenError as error:
            self.run.failed([task for task in tasks if task.key in self.run.missing], str(error))
        except Exception as error:
            self.run.failed([task for task in tasks if task.key in self.run.missing], one_line(error))

    def _picture(self, slug: str) -> np.ndarray:
        contract = self.network.contract
        return fit(self._read(self.user_images[slug]), contract.size, contract.fit)

    def _read(self, image: UserImage) -> np.ndarray:
        return image.read(self.network.contract)

    def images(self) -> None:
        for task in self.run.todo("image"):
            self.run.progress.doing(f"{task.image}: predictions")
            with self._failing([task]):
                picture = self._picture(task.image)
                self.run.done(task, {"picture": picture}, self._predictions(picture), 0.0)
                self.run.progress.advance(task.cost)

    def _predictions(self, picture: np.ndarray) -> dict[str, Any]:
        """`predictions`, best first, None where there are none, with a `reason` where that is a fault.

        Of a model with several outputs they are those of the first that classifies, and `outputs` has each one's beside its name.
        """
        answers = self.network.predict(picture[None])
        if answers is not None:
            return _ranked(answers[0], self.run.plan.model.classes)
        each_answer = self.network.predict_each(picture[None])
        classes = self.run.plan.model.classes
        owners = [] if classes is None else fitting(self.network.classifying, len(classes))
        outputs = [  # where names fit several outputs, nothing says whose they are
            {"name": name, **_ranked(each[0], classes if owners == [name] else None)} for name, each in each_answer
        ]
        if not outputs:
            return {"predictions": None}
        reasons = [f"output {each['name']}: {each.pop('reason')}" for each in outputs if "reason" in each]
        facts = {"predictions": outputs[0]["predictions"], "outputs": outputs}
        return {**facts, "reason": "; ".join(reasons)} if reasons else facts

    def weights(self) -> None:
        for task in self.run.todo("weights"):
            self.run.progress.doing(f"{self.layers[task.layer].path}: weights")
            with self._failing([task]):
                self.run.done(task, weights(self.layer_calls[task.layer]), {}, 0.0)
                self.run.progress.advance(task.cost)

    def initial(self, kernels: Mapping[str, dict[str, np.ndarray]]) -> None:
        for task in self.run.todo("initial"):
            with self._failing([task]):
                self.run.done(task, kernels[self.layers[task.layer].path], {}, 0.0)

    def feature_maps(self) -> None:
        """All missing layers of an image in one pass; one trace serves all images that miss the same layers."""
        by_image: dict[str, list[Task]] = {}
        for task in self.run.todo("feature_maps"):
            by_image.setdefault(task.image, []).append(task)
        readers: dict[tuple[str, ...], MapReader] = {}
        for image, tasks in by_image.items():
            self.run.progress.doing(f"{image}: feature maps")
            with self._failing(tasks):
                slugs = tuple(task.layer for task in tasks)
                if slugs not in readers:
                    readers[slugs] = MapReader(self.network, [self.layer_calls[slug] for slug in slugs])
                started = time.perf_counter()
                results = readers[slugs](self._picture(image))
                share = (time.perf_counter() - started) / len(tasks)
                for task, (arrays, facts) in zip(tasks, results, strict=True):
                    self.run.done(task, arrays, facts, share)
                    self.run.progress.advance(task.cost)

        for slugs, reader in readers.items():
            self._count_traces(slugs, reader.traces)

    def _count_traces(self, slugs: Sequence[str], count: int) -> None:
        for slug in slugs:
            self.run.traced(slug, count)

    def natural(self) -> None:
        """All missing layers that share a pattern size in one pass over the images' crops."""
        by_size: dict[tuple[int, ...], list[Task]] = {}
        for task in self.run.todo("natural"):
            size = self.layers[task.layer].pattern_size
            assert size is not None
            by_size.setdefault(size, []).append(task)
        for size, tasks in by_size.items():
            with self._failing(tasks):
                self._natural(size, tasks)

    def _natural(self, size: tuple[int, ...], tasks: list[Task]) -> None:
        slugs = [task.layer for task in tasks]
        images = list(self.user_images.values())
        meter = Meter(self.network, [self.layer_calls[slug] for slug in slugs], size, NATURAL_BATCH)
        whole = sum(task.cost for task in tasks)
        grid = crop_grid(len(images))

        def crops() -> Iterator[tuple[int, np.ndarray]]:
            for number, image in enumerate(images):
                self.run.progress.doing(f"{image.record.name}: natural maxima")
                yield number, natural_crops(self._read(image), size, grid)

        results = natural_figures(meter, crops(), lambda number: self.run.progress.advance(whole / len(images)))
        self._count_traces(slugs, meter.traces)
        for task, (arrays, facts) in zip(tasks, results, strict=True):
            self.run.done(task, arrays, facts, 0.0)

    def patterns(self, layer: LayerRecord) -> None:
        """All missing chunks of a layer, by one ascent that is traced once; with half the batch where memory runs out (a GPU's)."""
        breadth = self.breadths[layer.slug]
        while tasks := [*self.run.todo("patterns", layer.slug), *self.run.todo("negatives", layer.slug)]:
            with self._failing(tasks):
                try:
                    self._seek(layer, tasks, breadth)
                except tf.errors.ResourceExhaustedError:
                    if breadth.batch == 1:
                        raise
                    breadth = Breadth(breadth.batch // 2)
                    continue
            return

    def _seek(self, layer: LayerRecord, tasks: Sequence[Task], breadth: Breadth) -> None:
        """Do `tasks` of a layer, so many filters at once."""
        assert layer.pattern_size is not None
        self.run.progress.doing(f"{layer.path}: patterns (tracing)")
        settings = self.run.plan.settings
        size, seed, precision = layer.pattern_size, settings["seed"], settings["precision"]
        layer_call = self.layer_calls[layer.slug]
        parts = [
            (task.filters, Direction.MAXIMIZE if task.kind == "patterns" else Direction.MINIMIZE) for task in tasks
        ]
        directions = list(dict.fromkeys(direction for _, direction in parts))
        dead = self.dead(layer)
        ascent = Ascent(
            self.network, layer_call, size, breadth, self.recipe, seed, precision, self.mixing(), directions, dead
        )
        self.run.progress.doing(f"{layer.path}: patterns")
        filters, finished = sum(len(task.filters) for task in tasks), 0
        on_step = self._step_counter(sum(task.cost for task in tasks) / ascent.steps_of(parts))
        started = time.perf_counter()
        for number, found in ascent.find_each(parts, on_step):
            task = tasks[number]
            facts = {
                "steps": self.recipe.steps,
                "size": list(size),
                "seeds": list(found.seeds),
                # Where memory ran out, the batch is smaller than planned: then other runs may give other bytes.
                "recipe": {
                    **ascent.describe(),
                    "batch": breadth.batch,
                    "planned_batch": self.breadths[layer.slug].batch,
                },
                "crop": display_crop(self.recipe, size),
            }
            ended = time.perf_counter()
            arrays = {**found.arrays(), "dead": dead[found.indices]}
            self.run.done(task, arrays, facts, ended - started)  # what climbs abreast shares the time
            started = ended
            finished += len(task.filters)
            self.run.progress.doing(f"{layer.path}: patterns, {finished} of {filters}")
        self.run.traced(layer.slug, ascent.traces)

    def dead(self, layer: LayerRecord) -> np.ndarray:
        """Bool (filters_total,): which of a layer's units are proven dead, by bounds found for all layers at once."""
        if self._dead is None:
            self.run.progress.doing("bounds of every layer")
            self._dead = proven_dead(self.network, list(self.layer_calls.values()))
        return self._dead.get(layer.path, np.zeros(layer.filters_total, bool))

    def mixing(self) -> np.ndarray | None:
        """The correlation of the bands in the user's images, where the recipe wants it; found once."""
        if self.recipe.decorrelation != "images":
            return None
        if not self._mixing:
            self._mixing.append(colour.estimated(self._picture(slug) for slug in self.user_images))
        return self._mixing[0]

    def _step_counter(self, cost: float) -> Callable[[], None]:
        return lambda: self.run.progress.advance(cost)


def _ranked(probabilities: np.ndarray, classes: Sequence[str] | None) -> dict[str, Any]:
    """`predictions` of one output's probabilities (classes,), with a `reason` where they are not finite."""
    if not np.isfinite(probabilities).all():
        return {"predictions": None, "reason": "the model answers numbers that are not finite"}
    if len(probabilities) == 1 and classes is not None:  # it tells two classes apart: the second one's probability
        probabilities = np.array([1 - probabilities[0], probabilities[0]])
    names = classes if classes is not None else [f"output {number}" for number in range(len(probabilities))]
    best = np.argsort(-probabilities, kind="stable")[:MOST_PREDICTIONS]
    return {"predictions": [{"label": names[at], "probability": float(probabilities[at])} for at in best]}
