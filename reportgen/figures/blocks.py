"""The network's graph as a sequence of groups: cut wherever everything that goes on comes from one node, repeated groups counted once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from reportgen.core.records import DiagramNode, NodeKind

LONGEST_PERIOD = 12  # segments that a repeated group may consist of
Span = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """Nodes between two cuts.

    Attributes:
        nodes: in the order of the graph; data leaves from the last.
        columns: by key, from 0: the longest way from where data enters.
        lanes: by key: 0 for the longest way through, others beside it.
        passes: lane and columns of each connection along which no node lies, by its two ends; "" is where data enters.
    """

    nodes: tuple[DiagramNode, ...]
    columns: Mapping[str, int]
    lanes: Mapping[str, int]
    passes: Mapping[tuple[str, str], int]

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 + max(self.columns.values())


@dataclass(frozen=True)
class Group:
    """Segments that follow one another `count` times; those of the first time."""

    segments: tuple[Segment, ...]
    count: int


def groups(diagram: Sequence[DiagramNode], *, with_channels: bool = True) -> tuple[Group, ...]:
    """Return the network from input to output; the model's outputs are left out, since a layer before each is drawn.

    Args:
        diagram: nodes in the order in which data meets them.
        with_channels: whether groups whose nodes differ in their numbers of channels are different groups.
    """
    segments = [_segment(nodes) for nodes in _cut([node for node in diagram if node.kind != NodeKind.OUTPUT])]
    signs = [_sign(segment, with_channels) for segment in segments]
    found = []
    place = 0
    while place < len(segments):
        period, count = _repetition(signs, place)
        found.append(Group(tuple(segments[place : place + period]), count))
        place += period * count
    return tuple(found)


def _cut(nodes: Sequence[DiagramNode]) -> list[list[DiagramNode]]:
    """The nodes, cut after each from which alone data goes on."""
    last_use = {name: place for place, node in enumerate(nodes) for name in node.inputs}
    parts: list[list[DiagramNode]] = [[]]
    furthest = -1  # of the nodes before the current one, where data is last used
    for place, node in enumerate(nodes):
        parts[-1].append(node)
        if furthest <= place and last_use.get(node.key, len(nodes)) > place:
            parts.append([])
        furthest = max(furthest, last_use.get(node.key, -1))
    return [part for part in parts if part]


def _segment(nodes: Sequence[DiagramNode]) -> Segment:
    own = {node.key for node in nodes}
    inputs = {node.key: [name if name in own else "" for name in node.inputs] or [""] for node in nodes}
    columns: dict[str, int] = {"": -1}
    for node in nodes:
        columns[node.key] = 1 + max(columns[name] for name in inputs[node.key])
    lanes = dict.fromkeys(_longest_way(nodes, inputs, columns), 0)
    taken: list[list[Span]] = [[]]
    uses = {node.key: [columns[user.key] for user in nodes if node.key in user.inputs] for node in nodes}
    for node in nodes:
        if node.key not in lanes:
            span = min(columns[name] for name in inputs[node.key]), max([columns[node.key] + 1, *uses[node.key]])
            before = next((lanes[name] for name in inputs[node.key] if lanes.get(name, 0) > 0), None)
            lanes[node.key] = _free_lane(taken, span, before, columns[node.key])
    jumps = [
        (name, node.key) for node in nodes for name in inputs[node.key] if _is_jump(name, node.key, columns, lanes)
    ]
    passes: dict[tuple[str, str], int] = {}
    for name, key in sorted(jumps, key=lambda pair: columns[pair[1]] - columns[pair[0]]):
        passes[name, key] = _free_lane(taken, (columns[name], columns[key]), None, columns[name])
    return Segment(tuple(nodes), {key: column for key, column in columns.items() if key}, lanes, passes)


def _longest_way(
    nodes: Sequence[DiagramNode], inputs: Mapping[str, Sequence[str]], columns: Mapping[str, int]
) -> list[str]:
    """Keys of the nodes on the longest way to the last one."""
    way = [nodes[-1].key]
    while True:
        before = max(inputs[way[-1]], key=lambda name: columns[name])
        if not before:
            return way
        way.append(before)


def _is_jump(name: str, key: str, columns: Mapping[str, int], lanes: Mapping[str, int]) -> bool:
    """Whether a connection along the main lane passes other nodes."""
    return lanes.get(name, 0) == 0 and lanes[key] == 0 and columns[key] - columns[name] > 1


def _free_lane(taken: list[list[Span]], span: Span, preferred: int | None, column: int) -> int:
    """Take the first lane beside the main one that is free between two columns; the preferred one where it is free from `column` on."""
    if preferred is not None and all(last <= column for _, last in taken[preferred]):
        taken[preferred].append((column, span[1]))
        return preferred
    for lane in range(1, len(taken) + 1):
        if lane == len(taken):
            taken.append([])
        if all(last <= span[0] or span[1] <= first for first, last in taken[lane]):
            taken[lane].append(span)
            return lane
    raise AssertionError("a new lane is free")


def _sign(segment: Segment, with_channels: bool) -> Hashable:
    """What two segments that are drawn alike have in common."""
    places = {node.key: place for place, node in enumerate(segment.nodes)}
    return tuple(
        (
            node.kind,
            node.label,
            node.shape if with_channels or node.shape is None else node.shape[:-1],
            tuple(places.get(name, -1) for name in node.inputs),
        )
        for node in segment.nodes
    )


def _repetition(signs: Sequence[Hashable], place: int) -> tuple[int, int]:
    """How many segments from a place on make a group, and how often it follows; the group that covers most, of equals the shortest."""
    best = 1, 1
    for period in range(1, min(LONGEST_PERIOD, (len(signs) - place) // 2) + 1):
        group, count = signs[place : place + period], 1
        while signs[place + count * period : place + (count + 1) * period] == group:
            count += 1
        if count > 1 and period * count > best[0] * best[1]:
            best = period, count
    return best
