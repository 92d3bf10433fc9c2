"""What the tasks that are computed in one process share: the open model, the images, and what is found once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from reportgen.compute.attribution.maps import Attributor
from reportgen.compute.bounds import bounds_of
from reportgen.compute.feature_maps import MapReader
from reportgen.compute.patterns import colour
from reportgen.compute.patterns.shared import Shared
from reportgen.compute.planning.attributions import batch_of, labelled_classes
from reportgen.compute.responses import Observer
from reportgen.compute.work import Job, Notify, Progressed
from reportgen.core.records import LayerRecord
from reportgen.inputs.images import UserImage, fit
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.network import Network


class Workspace:
    """A job, open in this process."""

    def __init__(self, job: Job) -> None:
        """Open the model. Raises ReportgenError where that fails."""
        self.job, self.plan, self.network = job, job.plan, job.model.network
        self.images = {image.record.slug: image for image in job.images}
        self.layers = {layer.slug: layer for layer in job.plan.layers if layer.status != "skipped"}
        by_path = self.network.by_path
        self.layer_calls = {layer.slug: by_path[layer.path] for layer in self.layers.values()}
        self._readers: dict[tuple[str, ...], MapReader] = {}
        self._observers: dict[tuple[tuple[str, ...], bool], Observer] = {}
        self._dead: dict[str, np.ndarray] | None = None

    def pixels(self, image: UserImage) -> np.ndarray:
        """Return the content of an image file in its own size, (*lengths, channels)."""
        return image.read(self.job.reader, self.network.contract)

    def fitted(self, slug: str) -> np.ndarray:
        """Return an image in the size that the model is fed, (*size, channels), uint8 or float32."""
        contract = self.network.contract
        return fit(self.pixels(self.images[slug]), contract.size, contract.fit)

    def map_reader(self, slugs: tuple[str, ...]) -> MapReader:
        """Return what reads the feature maps of these layers; one trace serves all images that miss the same layers."""
        if slugs not in self._readers:
            self._readers[slugs] = MapReader(self.network, [self.layer_calls[slug] for slug in slugs])
        return self._readers[slugs]

    def observer(self, slugs: tuple[str, ...], predicts: bool) -> Observer:
        """Return what observes these layers on the data set; one trace serves all parts that miss the same."""
        key = slugs, predicts
        if key not in self._observers:
            layer_calls = [self.layer_calls[slug] for slug in slugs]
            self._observers[key] = Observer(self.network, layer_calls, self.job.batch, predicts)
        return self._observers[key]

    def dead(self, layer: LayerRecord, notify: Notify) -> np.ndarray:
        """Return which units of a layer are proven dead, bool (filters_total,), by bounds found for all layers at once."""
        if self._dead is None:
            notify(Progressed("bounds of every layer"))
            self._dead = proven_dead(self.network, list(self.layer_calls.values()))
        return self._dead.get(layer.path, np.zeros(layer.filters_total, bool))

    @cached_property
    def true_classes(self) -> dict[str, int]:
        """The class that the label of an image stands for, by the image's hash, see `labelled_classes`."""
        return labelled_classes(self.job.dataset, self.plan.dataset)

    @cached_property
    def attributor(self) -> Attributor:
        """What computes attribution maps; its traces serve all images."""
        return Attributor(self.network, self.plan, batch_of(self.network, self.job.model.settings.memory_bytes))

    @cached_property
    def shared(self) -> Shared:
        """What the ascents of all layers share."""
        job = self.job
        sizes = {layer.path: layer.pattern_size for layer in self.layers.values() if layer.pattern_size is not None}
        return Shared(self.network, job.recipe, self.plan.settings["seed"], self.channel_correlation, sizes)

    @cached_property
    def channel_correlation(self) -> np.ndarray | None:
        """The correlation of the channels in the user's images, float32 (channels, channels), where the recipe wants it."""
        if self.job.recipe.decorrelation != "images":
            return None
        return colour.estimated(self.fitted(slug) for slug in self.images)


def proven_dead(network: Network, layer_calls: Sequence[LayerCall]) -> dict[str, np.ndarray]:
    """Prove by bounds which units are dead.

    Args:
        network: the model.
        layer_calls: the layers whose units are bounded; layers that pool are left out.

    Returns:
        Bool (channels,) by layer path: whether no input raises the rectified unit above zero, or all inputs give the unit the same
        value. Empty where bounds cannot be found.
    """
    convolutions = [layer_call for layer_call in layer_calls if not layer_call.is_pooling]
    try:
        found = bounds_of(network, convolutions, network.contract.size)
    except Exception:  # nothing is proven then, and nothing else depends on it
        return {}
    return {path: bounds.dead for path, bounds in found.items()}
