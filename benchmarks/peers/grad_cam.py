"""Runs Grad-CAM of tf-keras-vis or xplique, for `attribution.py`.

python grad_cam.py SYSTEM MODEL TASK.npz LAYER ANSWER.npz
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import tensorflow as tf


def tf_keras_vis(model: tf.keras.Model, layer: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """Its guide's way, without enlarging and normalizing; softmax is cut off, as its own modifier knows only activations of layers."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    gradcam = Gradcam(tf.keras.Model(model.inputs, model.get_layer("logits").output), clone=False)

    def explain(image: np.ndarray, number: int) -> np.ndarray:
        score = CategoricalScore([number])
        found = gradcam(score, image[None], penultimate_layer=layer, expand_cam=False, normalize_cam=False)
        return np.asarray(found)[0]

    return explain


def xplique(model: tf.keras.Model, layer: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """Its guide's way: logits as the output layer, enlarged to the input as it always does."""
    from xplique.attributions import GradCAM

    explainer = GradCAM(tf.keras.Model(model.inputs, model.get_layer("logits").output), conv_layer=layer)
    count = model.output_shape[-1]

    def explain(image: np.ndarray, number: int) -> np.ndarray:
        return np.asarray(explainer(image[None], tf.one_hot([number], count)))[0, ..., 0]

    return explain


SYSTEMS = {"tf-keras-vis": tf_keras_vis, "xplique": xplique}


def main() -> None:
    """Answer one task."""
    system, model_path, task_path, layer, answer = sys.argv[1:]
    model = tf.keras.models.load_model(model_path)
    with np.load(task_path) as task:
        images, classes, ours = task["images"], task["classes"], task["maps"]
    explain = SYSTEMS[system](model, layer)
    maps, seconds = [], []
    for image, number in zip([images[0], *images], [classes[0], *classes], strict=True):
        started = time.perf_counter()
        maps.append(explain(image, int(number)))
        seconds.append(time.perf_counter() - started)
    arrays = {"maps": np.stack(maps[1:]), "seconds": seconds[1:], "version": f"{system} {version(system)}"}
    if system == "xplique":
        positive = tf.nn.relu(ours)[..., None]
        arrays["expected"] = tf.image.resize(positive, images.shape[1:3], tf.image.ResizeMethod.BICUBIC)[..., 0]
    np.savez(answer, **arrays)


if __name__ == "__main__":
    main()
