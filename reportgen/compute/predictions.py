"""What the model predicts for an image: the most probable classes of each output that classifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reportgen.network.network import Network
from reportgen.network.outputs import fitting

MOST_PREDICTIONS = 5


def predict(network: Network, image: np.ndarray, classes: Sequence[str] | None) -> dict[str, Any]:
    """Return the predictions for one image.

    Args:
        network: the model.
        image: (*size, channels), uint8 or float32, as the model is fed it.
        classes: their names; None where there are none.

    Returns:
        `predictions`: `label` and `probability` of the most probable classes, the best first; None where the model has none. A `reason`
        where that is a fault. Of a model with several outputs they are those of the first that classifies, and `outputs` has each
        one's beside its name.
    """
    probabilities = network.predict(image[None])
    if probabilities is not None:
        return _ranked(probabilities[0], classes)
    owners = [] if classes is None else fitting(network.classifying, len(classes))
    outputs = [  # where names fit several outputs, nothing says whose they are
        {"name": name, **_ranked(each[0], classes if owners == [name] else None)}
        for name, each in network.predict_each(image[None])
    ]
    if not outputs:
        return {"predictions": None}
    reasons = [f"output {each['name']}: {each.pop('reason')}" for each in outputs if "reason" in each]
    facts = {"predictions": outputs[0]["predictions"], "outputs": outputs}
    return {**facts, "reason": "; ".join(reasons)} if reasons else facts


def _ranked(probabilities: np.ndarray, classes: Sequence[str] | None) -> dict[str, Any]:
    """`predictions` of one output's probabilities (classes,), with a `reason` where they are not finite."""
    if not np.isfinite(probabilities).all():
        return {"predictions": None, "reason": "the predictions are not finite numbers"}
    if len(probabilities) == 1 and classes is not None:  # it tells two classes apart: the second one's probability
        probabilities = np.array([1 - probabilities[0], probabilities[0]])
    names = classes if classes is not None else [f"output {number}" for number in range(len(probabilities))]
    best = np.argsort(-probabilities, kind="stable")[:MOST_PREDICTIONS]
    return {"predictions": [{"label": names[at], "probability": float(probabilities[at])} for at in best]}
