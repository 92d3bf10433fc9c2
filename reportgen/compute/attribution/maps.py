"""All attribution maps of one image, each with its checks, as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from reportgen.compute.attribution import checks, methods
from reportgen.compute.attribution.targets import Target, class_labels, named, predicted, true_class
from reportgen.core.choices import Attribution, parse_attribution
from reportgen.core.grids import cell_numbers
from reportgen.core.numbers import plain
from reportgen.core.records import Plan
from reportgen.network.backend import tf
from reportgen.network.class_scores import ScoreReader, are_probabilities, find_places
from reportgen.network.network import Network

LARGEST_KEPT = 2**28  # bytes of shuffled weights that are kept from image to image
Stored = tuple[dict[str, np.ndarray], dict[str, Any]]


class Attributor:
    """Computes the attribution maps of one image after another; traces and random weights serve all of them."""

    def __init__(self, network: Network, plan: Plan, batch: int) -> None:
        """Find the places of the maps.

        Args:
            network: the model.
            plan: of the report.
            batch: number of inputs that pass the model together.
        """
        settings = plan.settings
        self._network, self._seed = network, int(settings["seed"])
        self._methods = parse_attribution(tuple(settings["attribution"]))
        self._named = tuple(settings["attribution_classes"])
        self._classes = plan.model.classes
        places, _ = find_places(network, tuple(settings["attribution_layers"]))
        self._readers = [ScoreReader(network, place, batch) for place in places]
        self._shuffled: dict[tuple[int, int], list[Any]] = {}

    def __call__(
        self, image: str, picture: np.ndarray, notify: Callable[[str], None], true: int | None = None
    ) -> Stored:
        """Return the maps of an image.

        Args:
            image: its hash, which random orders depend on.
            picture: (*size, channels), uint8 or float32, as the network takes it.
            notify: is told what is computed.
            true: the class that the image's label stands for, of the first output; None where it is not known.

        Returns:
            (arrays, facts). arrays: `m<k>`, float32 (*grid), the signed map number k; `m<k>.deletion` and `m<k>.insertion`, float32
            (steps + 1,), the class's output along each curve; `m<k>.random` likewise for random orders. facts: `maps`, in that order.
        """
        arrays: dict[str, np.ndarray] = {}
        facts: list[dict[str, Any]] = []
        heads = tuple(dict.fromkeys(reader.place.head for reader in self._readers))
        labels = class_labels(heads, self._classes)
        wanted = named(heads, labels, self._named)
        for number, reader in enumerate(self._readers):
            one = _OnImage(reader, picture, image, self._seed)
            head = reader.place.head
            own = [target for target in wanted if target.head == head]
            known = None if true is None or head != heads[0] else true_class(head, labels[head.name], true)
            own = own if known is None else [known, *(each for each in own if not _same(each, known))]
            best = predicted(head, labels[head.name], one.outputs)
            targets = [best, *(each for each in own if not _same(each, best))]
            for method in self._methods:
                for target in targets:
                    notify(f"{method} of {target.label} at {reader.place.path}")
                    key = f"m{len(facts)}"
                    made, stated = self._map(one, number, method, target)
                    arrays |= {f"{key}{name}": values for name, values in made.items()}
                    facts.append({"key": key, **stated})
        return arrays, {"maps": facts}

    def _map(self, one: _OnImage, number: int, method: Attribution, target: Target) -> Stored:
        place = one.reader.place
        signed, measured = one.map_of(method, target, None)
        arrays = {"": signed}
        deletion, insertion, random = one.curves(signed, target)
        arrays |= {".deletion": deletion, ".insertion": insertion, ".random": random}
        correlations = [] if not place.above else self._correlations(one, number, method, target, signed)
        facts = {
            "method": method.value,
            "output": place.head.name,
            "layer": place.path,
            "unit": place.unit,
            "grid": list(place.grid),
            "channels": place.channels,
            "channels_measured": measured,
            "label": target.label,
            "number": target.number,
            "sign": target.sign,
            "role": target.role.value,
            "kind": one.kind,
            "score": plain(target.sign * one.scores[target.number]),
            "value": plain(one.value(one.outputs[None], target)[0]),
            "is_probability": one.is_probability,
            "deletion_area": plain(checks.area(deletion)),
            "insertion_area": plain(checks.area(insertion)),
            "random_area": plain(checks.area(random)),
            "span": plain(np.ptp(np.concatenate([deletion, insertion, random]))),
            "randomized": len(place.above),
            "correlations": [plain(value) for value in correlations],
        }
        return arrays, facts

    def _correlations(
        self, one: _OnImage, number: int, method: Attribution, target: Target, signed: np.ndarray
    ) -> list[float | None]:
        """How far the map agrees with those that random weights above it give."""
        draws = checks.MASKED_DRAWS if method == Attribution.SCORE_CAM else checks.DRAWS
        found = []
        for draw in range(draws):
            other, _ = one.map_of(method, target, (draw, self._weights(number, draw)))
            found.append(checks.rank_correlation(signed, other))
        return found

    def _weights(self, number: int, draw: int) -> list[Any]:
        reader = self._readers[number]
        if (number, draw) in self._shuffled:
            return self._shuffled[number, draw]
        made = checks.shuffled(reader.kept, self._seed, draw)
        size = sum(prod(weight.shape) * weight.dtype.size for weight in reader.kept) * checks.DRAWS * len(self._readers)
        if size <= LARGEST_KEPT:
            self._shuffled[number, draw] = made
        return made


def _same(one: Target, other: Target) -> bool:
    """Whether two targets of one output are the same class."""
    return (one.number, one.sign) == (other.number, other.sign)


class _OnImage:
    """What the maps of one image at one place share."""

    def __init__(self, reader: ScoreReader, picture: np.ndarray, image: str, seed: int) -> None:
        self.reader, self._picture, self._image, self._seed = reader, picture, image, seed
        self._fed = np.asarray(reader.feed(tf.constant(picture[None], tf.float32)))
        head = reader.place.head
        scores, outputs = reader.outputs(self._fed)
        self.is_probability = head.classifies or are_probabilities(outputs)
        as_logarithm = self.is_probability and not head.classifies
        if as_logarithm != reader.as_logarithm:  # whatever the image before it was
            reader.as_logarithm = as_logarithm
            reader.forget()
            scores, outputs = reader.outputs(self._fed)
        self.scores, self.outputs = scores[0], outputs[0]
        self.kind = "logit" if head.classifies else "log probability" if self.is_probability else "output"
        self._masked_outputs: dict[int | None, np.ndarray] = {}
        self._random_outputs: np.ndarray | None = None

    def value(self, outputs: np.ndarray, target: Target) -> np.ndarray:
        """Return a class's value of outputs (n, classes): of the first of two classes that one number tells apart, the rest to 1."""
        own = outputs[:, target.number]
        return np.asarray(1 - own if target.sign < 0 else own)

    def map_of(
        self, method: Attribution, target: Target, random: tuple[int, Sequence[Any]] | None
    ) -> tuple[np.ndarray, int]:
        """Return the signed map of a class, and how many channels it was made of.

        Args:
            method: of the map.
            target: the class.
            random: (number of the draw, weights above the maps); None for the model's own.
        """
        draw, weights = (None, None) if random is None else random
        if method == Attribution.SCORE_CAM:
            increase = self._increases(draw, weights, target)
            return methods.score_cam(self.maps, increase, self._channels), len(self._channels)
        seen = self.reader.seen(self._fed, target.number, weights)
        formula = methods.grad_cam if method == Attribution.GRAD_CAM else methods.hirescam
        return target.sign * formula(seen.maps, seen.gradient), seen.maps.shape[-1]

    @cached_property
    def maps(self) -> np.ndarray:
        """The maps of the place, float32 (*grid, channels)."""
        return self.reader.seen(self._fed, 0).maps

    @cached_property
    def _channels(self) -> np.ndarray:
        return methods.masked_channels(self.maps)

    def _increases(self, draw: int | None, weights: Sequence[Any] | None, target: Target) -> np.ndarray:
        """The increase of confidence by each mask, (channels,)."""
        if draw not in self._masked_outputs:
            masks = methods.masks(self.maps[..., self._channels], self._fed.shape[1:-1])
            fed = np.concatenate([np.zeros_like(self._fed), masks[..., None] * self._fed])
            self._masked_outputs[draw] = self.reader.outputs(fed, weights)[1]
        values = self.value(self._masked_outputs[draw], target)
        return np.asarray(values[1:] - values[0])

    @cached_property
    def _cells(self) -> np.ndarray:
        return cell_numbers(self.reader.place.grid, self._picture.shape[:-1])

    @cached_property
    def _baseline(self) -> np.ndarray:
        return np.asarray(self._picture.reshape(-1, self._picture.shape[-1]).mean(axis=0, dtype=np.float64), np.float32)

    def _passed(self, order: np.ndarray) -> np.ndarray:
        """The outputs while positions are replaced in an order, (steps + 1, classes)."""
        pictures = checks.altered(self._picture, self._baseline, self._cells, order)
        fed = np.concatenate([np.asarray(self.reader.feed(tf.constant(each[None]))) for each in pictures])
        return self.reader.outputs(fed)[1]

    def curves(self, signed: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the class's output while the map's highest positions are deleted, while they are inserted, and for random orders.

        Deleted is what is replaced by the image's mean, inserted what replaces it.

        Returns:
            float32 (steps + 1,) each; the last is the mean over random orders of deletion.
        """
        order = np.argsort(-signed.ravel(), kind="stable")
        deletion = self.value(self._passed(order), target)
        insertion = self.value(self._passed(order[::-1]), target)[::-1]
        if self._random_outputs is None:
            orders = checks.random_orders(signed.size, self._seed, self._image)
            self._random_outputs = np.stack([self._passed(each) for each in orders])
        random = np.mean([self.value(each, target) for each in self._random_outputs], axis=0)
        return deletion, np.ascontiguousarray(insertion), np.asarray(random, np.float32)
