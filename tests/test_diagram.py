"""The drawing of the network: its edges are the model's own, its boxes never overlap, and long networks stay within a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import report_fixture
from page_parser import parse
from reportgen.core.records import DiagramNode, Plan
from reportgen.network.backend import keras
from reportgen.report.assemble import assemble
from reportgen.report.network_drawing import GAP_ACROSS, ROW_COLUMNS, WIDTH, diagram_view
from small_models import layers, network

Edges = set[tuple[str, str]]


def edges(nodes: Sequence[DiagramNode]) -> Edges:
    """(from, to) by path, or by label where there is no path."""
    names = {node.key: node.path if node.path else node.label for node in nodes}
    assert len(names) == len(nodes)
    return {(names[key], names[node.key]) for node in nodes for key in node.inputs}


def residual() -> Any:
    """Two branches and an identity, a nested model, normalisation and activations, one layer called twice."""
    inner_entry = keras.Input((8, 8, 4))
    inner = layers.Conv2D(4, 3, padding="same", name="first")(inner_entry)
    inner = layers.BatchNormalization()(inner)
    inner = layers.ReLU()(inner)
    inner = layers.Add(name="sum")([inner, inner_entry])
    block = keras.Model(inner_entry, inner, name="block")
    entry = keras.Input((16, 16, 3))
    tensor = layers.Rescaling(1 / 255)(entry)
    tensor = layers.Conv2D(4, 3, padding="same", name="stem")(tensor)
    tensor = layers.MaxPooling2D(name="pool")(tensor)
    tensor = block(tensor)
    shared = layers.Conv2D(4, 1, name="shared")
    tensor = layers.Concatenate(name="both")([shared(tensor), shared(shared(tensor)), tensor])
    tensor = layers.GlobalAveragePooling2D(name="mean")(tensor)
    return keras.Model(entry, layers.Dense(2, activation="softmax", name="head")(tensor))


def test_layers_merges_and_nested_models_are_joined_as_data_flows() -> None:
    nodes = network(residual()).diagram
    assert edges(nodes) == {
        ("Input", "stem"),
        ("stem", "pool"),
        ("pool", "block/first"),
        ("block/first", "block/sum"),
        ("pool", "block/sum"),
        ("block/sum", "shared"),
        ("block/sum", "shared@2"),
        ("shared@2", "shared@3"),
        ("shared", "both"),
        ("shared@3", "both"),
        ("block/sum", "both"),
        ("both", "mean"),
        ("mean", "head"),
        ("head", "Output"),
    }
    by_path = {node.path: node for node in nodes if node.path}
    assert (by_path["block/sum"].kind, by_path["both"].label, by_path["stem"].shape) == (
        "merge",
        "Concatenate",
        (16, 16, 4),
    )
    assert (by_path["pool"].kind, by_path["head"].kind, nodes[0].kind, nodes[-1].kind) == (
        "pooling",
        "other",
        "input",
        "output",
    )


class Gated(keras.Model):
    """A subclassed model whose tensors meet outside of any layer, and whose activation meets itself."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = (layers.Conv2D(4, 3, padding="same") for _ in range(3))

    def call(self, inputs: Any) -> Any:
        left = self.left(inputs)
        left = left * keras.ops.sigmoid(left)  # the same tensor twice is no merge
        return self.last(left + self.right(inputs))


def test_tensors_that_meet_outside_of_any_layer_merge_and_a_tensor_that_meets_itself_does_not() -> None:
    nodes = network(Gated(), input_shape=(8, 8, 3)).diagram
    assert edges(nodes) == {
        ("Input", "left"),
        ("Input", "right"),
        ("left", "Add"),
        ("right", "Add"),
        ("Add", "last"),
        ("last", "Output"),
    }


def chain(count: int, *, skips: bool = False) -> list[DiagramNode]:
    """An input, and `count` convolutions of one size; every third one is bridged where there are `skips`."""
    nodes = [DiagramNode("n0", "input", "", "Input", (32, 32, 3), ())]
    for number in range(count):
        before = nodes[-1].key
        nodes.append(DiagramNode(f"n{len(nodes)}", "convolution", f"conv{number}", "Conv2D", (32, 32, 8), (before,)))
        if skips and number % 3 == 2:
            bridged = nodes[-4].key
            nodes.append(
                DiagramNode(f"n{len(nodes)}", "merge", f"add{number}", "Add", (32, 32, 8), (nodes[-1].key, bridged))
            )
    return nodes


def planned(tmp_path: Path, nodes: Sequence[DiagramNode]) -> Plan:
    return dataclasses.replace(report_fixture.make(tmp_path, images=False), diagram=tuple(nodes))


@pytest.mark.parametrize(("count", "skips"), [(1, False), (40, False), (150, True), (152, True)])
def test_every_node_has_one_box_none_overlap_and_the_drawing_is_no_wider_than_a_page(
    tmp_path: Path, count: int, skips: bool
) -> None:
    nodes = chain(count, skips=skips)
    view = diagram_view(planned(tmp_path, nodes))
    assert view is not None
    titles = [slab.title for slab in view.slabs]
    assert len(titles) == len(nodes) == len(set(titles))
    assert view.width <= (WIDTH + GAP_ACROSS) * ROW_COLUMNS + 2 * GAP_ACROSS + 4
    for place, one in enumerate(view.slabs):
        assert 0 <= one.x <= one.x + one.width <= view.width
        assert 0 <= one.y <= one.y + one.height <= view.height
        for other in view.slabs[place + 1 :]:
            apart_across = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart_across or one.y + one.height <= other.y or other.y + other.height <= one.y
    assert diagram_view(planned(tmp_path, nodes)) == view


def test_a_straight_run_is_one_box_until_the_size_changes(tmp_path: Path) -> None:
    nodes = chain(3)
    nodes.append(DiagramNode("n4", "pooling", "pool", "MaxPooling2D", (16, 16, 8), ("n3",)))
    nodes.append(DiagramNode("n5", "convolution", "smaller", "Conv2D", (16, 16, 8), ("n4",)))
    view = diagram_view(planned(tmp_path, nodes))
    assert view is not None
    columns = [slab.x for slab in view.slabs]
    assert columns[1] == columns[2] == columns[3] == columns[4]
    assert columns[0] < columns[1] < columns[5]
    strided = DiagramNode("n4", "convolution", "strided", "Conv2D", (16, 16, 8), ("n3",))
    view = diagram_view(planned(tmp_path, [*chain(3), strided]))
    assert view is not None
    assert view.slabs[-1].x > view.slabs[-2].x


def test_boxes_lead_to_their_layers_pages_and_the_drawing_is_described(tmp_path: Path) -> None:
    plan = report_fixture.make(tmp_path)
    nodes = (*chain(1), DiagramNode("n2", "convolution", "deep", "Conv2D", (7, 5, 70), ("n1",)))
    report_fixture.replan(tmp_path, plan, diagram=nodes)
    assemble(tmp_path)
    page = parse(tmp_path / "index.html")
    assert page.unbalanced == []
    assert "layers/deep.html" in [item.attributes.get("href") for item in page.all("a")]
    drawing = next(
        item for item in page.all("svg") if item.attributes.get("aria-labelledby") == "diagram-title diagram-text"
    )
    assert {"diagram-title", "diagram-text"} <= set(page.attributes("id"))
    assert "style" not in drawing.attributes
    assert "Network graph from input to output: 2 layers" in page.words
    stored = json.loads((tmp_path / "report.json").read_bytes())["diagram"]
    assert [node["inputs"] for node in stored] == [[], ["n0"], ["n1"]]


def test_a_report_of_an_older_run_has_no_drawing(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    assert "network" not in parse(tmp_path / "index.html").attributes("id")


def test_a_layer_that_changes_the_size_hangs_below_the_box_and_the_table_has_the_drawings_numbers(
    tmp_path: Path,
) -> None:
    nodes = chain(2)
    nodes.append(DiagramNode("n3", "pooling", "halving", "MaxPooling2D", (16, 16, 8), ("n2",)))
    nodes.append(DiagramNode("n4", "pooling", "keeping", "MaxPooling2D", (16, 16, 8), ("n3",)))
    nodes.append(DiagramNode("n5", "convolution", "deep", "Conv2D", (70, 7, 5), ("n4",)))
    view = diagram_view(planned(tmp_path, nodes))
    assert view is not None
    first, second, halving = view.slabs[1:4]
    assert first.y + first.height == second.y
    assert second.y + second.height < halving.y
    assert view.slabs[-1].detail.endswith("7×5×70")  # as the report's records have it, channels last
