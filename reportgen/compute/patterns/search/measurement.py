"""Pictures as they are finished, measured and shown: every score of a pattern is that of its finished pixels in the untouched model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.compute.activation_scores import Scores
from reportgen.compute.patterns import parameterization, transforms
from reportgen.compute.patterns.recipe import KERAS_IO
from reportgen.compute.patterns.results import Patterns
from reportgen.compute.patterns.shared import Shared
from reportgen.network.backend import tf
from reportgen.network.graph.layer_calls import LayerCall
from reportgen.network.preprocessing import EIGHT_BIT_MAXIMUM


class Measurement:
    """Finishes and measures pictures of one layer, in batches of one shape."""

    def __init__(self, shared: Shared, layer_call: LayerCall, size: tuple[int, ...], batch: int) -> None:
        """size: of the pictures, without color channels. batch: that they are measured in, since rounding may depend on it."""
        self._shared, self._layer_call, self._size, self._batch = shared, layer_call, size, batch
        self._contract, self._recipe = shared.network.contract, shared.recipe

    def prepare(self) -> None:
        """Trace the measurement, unless another layer's did."""
        self._shared.own_meter(self._layer_call, self._size, self._batch)[0].trace()

    def scores(self, images: np.ndarray) -> Scores:
        """The scores of all the layer's units on finished `images`, float32 (n, channels) each."""
        return self._shared.scores(self._layer_call, self._size, images, self._batch)

    def own_scores(self, images: np.ndarray, filters: np.ndarray) -> Scores:
        """The scores of each finished image's own filter, (n,) each."""
        return self.scores(images).of(np.arange(len(images)), filters)

    def finished(self, coefficients: Any) -> np.ndarray:
        """What `coefficients` stand for as it is measured and shown."""
        return self._shared.finished(self._size, coefficients)

    def rounded(self, pictures: Any) -> np.ndarray:
        """Float32 `pictures` between 0 and 1 as they are measured and shown."""
        return self._shared.shown(parameterization.rounded(pictures) if self._contract.is_picture else pictures)

    def as_numbers(self, images: np.ndarray) -> np.ndarray:
        """Finished `images` as float32 between 0 and 1."""
        contract = self._contract
        if contract.is_picture:
            return images.astype(np.float32) / np.float32(EIGHT_BIT_MAXIMUM)
        return np.asarray((images - contract.low) / (contract.high - contract.low), np.float32)

    def with_candidates(self, patterns: Patterns, pictures: np.ndarray, search: int) -> Patterns:
        """`patterns` with float32 `pictures` (n, *size, bands) of the same filters where these excite them more."""
        images = self.rounded(pictures)
        return patterns.with_candidates(images, self.own_scores(images, patterns.indices), search)

    def completed(self, patterns: Patterns, others: Sequence[np.ndarray], search: int) -> Patterns:
        """`patterns` with other pictures that a search found, the one that is shown chosen among all, and its survival under warps.

        others: float32 (n, *size, bands) each.
        """
        for pictures in others:
            patterns = self.with_candidates(patterns, pictures, search)
        # A regularized picture, one of a composed objective, and the article's are shown as they were found.
        as_found = (
            self._recipe.regularized or self._recipe.objective.own is None or self._recipe.method == KERAS_IO.method
        )
        return self._with_survival(patterns if as_found else patterns.readable())

    def _with_survival(self, patterns: Patterns) -> Patterns:
        """`patterns` with the share of their activation that is left in the median of warps that no search saw."""
        rows, images = np.arange(len(patterns.indices)), tf.constant(patterns.images, tf.float32)
        seen = []
        for number in range(transforms.HELD_OUT):
            warp = transforms.held_out(number, self._size)
            warped = transforms.apply(images, warp.sources, warp.weights)
            finished = np.asarray(tf.cast(tf.round(warped), tf.uint8) if self._contract.is_picture else warped)
            seen.append(self.scores(finished).activation[rows, patterns.indices])
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.median(seen, axis=0) / np.where(patterns.activation > 0, patterns.activation, np.nan)
        return replace(patterns, survives_warps=np.asarray(share, np.float32))
