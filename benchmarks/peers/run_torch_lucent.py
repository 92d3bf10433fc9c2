"""Runs Lucent's `render_vis` with its defaults, one filter at a time as it does by itself.

Pictures below 224 pixels are shown to the network at 224: its default, too. With `--unscaled` the network sees them at their own size,
a third of the pixels at 128.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

TORCHVISION_OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
try:
    import torchvision  # noqa: F401
except RuntimeError:
    # Its wheel was compiled for CUDA and torch was not: its Python parts, all that Lucent imports, only miss these names.
    for operator in TORCHVISION_OPERATORS:
        torch.library.define(f"torchvision::{operator}", SIGNATURE)

from lucent.optvis import objectives, param, render
from protocol import (
    IMAGENET_MEAN,
    Memory,
    Result,
    difference,
    eight_bit,
    now,
    opens_block,
    parser,
    photograph,
    versions,
    weights_until,
)

WHITE = 1.0  # its pictures are in [0, 1]


class Preprocessing(torch.nn.Module):
    """RGB in [0, 1] to what VGG16 was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, -1, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32 (n, 3, height, width) in, the same shape out."""
        return pictures * 255 - self.mean


def build(weights: Path, layer: str) -> torch.nn.Sequential:
    """The network up to the rectifier of `layer`, which has the layer's name."""
    modules = OrderedDict(preprocessing=Preprocessing())
    for name, kernel, bias in weights_until(weights, layer):
        if opens_block(name):
            modules[f"before_{name}"] = torch.nn.MaxPool2d(2)
        convolution = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[0], padding="same")
        convolution.weight.data = torch.tensor(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        convolution.bias.data = torch.tensor(bias)
        modules[f"{name}_linear"] = convolution
        modules[name] = torch.nn.ReLU()
    return torch.nn.Sequential(modules).eval().requires_grad_(False)  # no time goes into gradients of weights


def main() -> None:
    """Answer one task."""
    arguments = parser()
    arguments.add_argument("--unscaled", action="store_true")
    task = arguments.parse_args()
    seen = task.size if task.unscaled else None
    torch.manual_seed(0)
    np.random.seed(0)  # its transforms draw from the global generator
    model = build(task.network, task.layer)

    def seek(number: int, **choices: object) -> np.ndarray:
        return render.render_vis(
            model,
            objectives.channel(task.layer, number),
            lambda: param.image(task.size),
            preprocess=False,  # the network has its own
            fixed_image_size=seen,
            progress=False,
            show_image=False,
            **choices,
        )[-1]

    memory = Memory()
    started = now()
    seek(task.filters[0], thresholds=(1,))
    start_up = (now() - started)[0]
    started = now()
    pictures = np.concatenate([seek(number) for number in task.filters])
    seconds, cpu = now() - started
    above = memory.above()
    with torch.no_grad():
        maps = model(torch.tensor(photograph(task.reference, WHITE).transpose(0, 3, 1, 2))).numpy()
    Result(
        "torch-lucent unscaled" if task.unscaled else "torch-lucent",
        task.filters,
        eight_bit(pictures, WHITE),
        start_up,
        seconds,
        cpu,
        above,
        versions(["torch-lucent", "torch", "torchvision", "kornia"]),
        difference(task.reference, maps.transpose(0, 2, 3, 1)),
    ).write(task.output)


if __name__ == "__main__":
    main()
