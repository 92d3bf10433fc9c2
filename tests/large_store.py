"""A stored run of VGG16's size, every filter shown and four images, made without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import report_fixture
from reportgen.core.records import ImageRecord, InputContract, ModelRecord, Plan

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
BLOCKS = (1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5)
IMAGE_SIDE = 224
IMAGES = tuple(
    ImageRecord(f"photograph_{number}.jpg", f"photograph_{number}", f"{number}" * 64, 640, 480, True)
    for number in range(4)
)


def make(folder: Path, *, pattern_side: int, map_side: int | None = None, few: int = 0) -> Plan:
    """Store the run in `folder`.

    pattern_side: of each pattern; map_side: of each map, VGG16's own where None; few: layers from the first on of which only two
    filters are shown.
    """
    writer = report_fixture.Writer(folder)
    numbers = np.random.Generator(np.random.PCG64(11))
    layers = []
    for image in IMAGES:
        picture = numbers.integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE, 3), dtype=np.uint8)
        predictions = [{"label": f"class {place}", "probability": 0.2} for place in range(5)]
        writer.save("image", f"im-{image.slug}", {"picture": picture}, {"predictions": predictions}, image=image.slug)
    for place, (width, block) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
        inputs = 3 if place == 0 else WIDTHS[place - 1]
        name = f"block{block}_conv{1 + BLOCKS[:place].count(block)}"
        record = report_fixture.layer(
            name,
            kernel_shape=(3, 3, inputs, width),
            kernel_bands="RGB" if place == 0 else None,
            output_shape=(None, None, width),
            parameters=9 * inputs * width + width,
            filters_total=width,
            filters_shown=(0, width - 1) if place < few else tuple(range(width)),
            pattern_size=(pattern_side, pattern_side),
        )
        layers.append(record)
        kernel = np.resize(numbers.standard_normal(9 * width, np.float32), record.kernel_shape)  # repeats: packs fast
        arrays = {"kernel": kernel, "bias": np.linspace(-1, 1, width, dtype=np.float32)}
        writer.save("weights", f"ww-{name}", arrays, {}, layer=name)
        side = IMAGE_SIDE // 2 ** (block - 1) if map_side is None else map_side
        for image in IMAGES:
            pre = numbers.standard_normal((side, side, width), np.float32).astype(np.float16)
            facts = {"minimum": 0.0, "maximum": 5.0, "zero_fraction": 0.5, "nonfinite_fraction": 0.0}
            facts |= {"pre_minimum": -5.0, "pre_maximum": 5.0}
            maps = np.maximum(pre, 0)
            arrays = {"maps": maps, "pre": pre, "peak": maps.max(axis=(0, 1)).astype(np.float32)}
            writer.save("feature_maps", f"fm-{name}-{image.slug}", arrays, facts, layer=name, image=image.slug)
        shown = len(record.filters_shown)
        scores = np.linspace(0.5, 3, shown, dtype=np.float32)
        arrays = report_fixture.natural_arrays(np.full(width, 1.5, np.float32), np.zeros(width, np.int32))
        writer.save("natural", f"na-{name}", arrays, {"crops": 104}, layer=name)
        coarse = numbers.integers(0, 256, (shown, pattern_side // 4, pattern_side // 4, 3), dtype=np.uint8)
        pixels = coarse.repeat(4, axis=1).repeat(4, axis=2)
        arrays, facts = report_fixture.found(record.filters_shown, pixels, scores)
        writer.save("patterns", f"pp-{name}", arrays, facts, layer=name, filters=record.filters_shown)
    plan = Plan(
        model=ModelRecord("vgg16", "vgg16.keras", "a" * 64, "b" * 64, 14714688, (None, None, None, 3), None),
        contract=InputContract(
            (None, None, 3), (IMAGE_SIDE, IMAGE_SIDE), "crop", 0.0, 255.0, "caffe", "it was asked for", None
        ),
        settings={"filters": "all", "seed": 0, "title": None, "recipe": dict(report_fixture.RECIPE)},
        environment={"python": "3.11", "reportgen": "0.1.0"},
        images=IMAGES,
        images_left_out=(),
        layers=tuple(layers),
        tasks=tuple(writer.tasks),
        notes=(),
    )
    writer.store.save_plan(plan)
    return plan
