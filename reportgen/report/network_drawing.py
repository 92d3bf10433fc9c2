"""The network graph: straight runs folded into stacks, stacks in columns from left to right, long networks in several rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from reportgen.core.records import DiagramNode, LayerRecord, NodeKind, Plan, Shape
from reportgen.render.text import plural, shape

WIDTH, SLAB, GAP_ACROSS, GAP_DOWN = (
    136,
    34,
    30,
    16,
)  # SVG units, which are CSS pixels: of a box, of one layer in it, between boxes
PILL = 24  # height of a merge node
LANE = 10  # height of a line that passes by
MARGIN = 14
LABEL = 18  # above a row, for the names of nested models
PADDING = 7  # from a nested model's frame to its boxes
DROP = 12  # from a box to the layer that hangs below it
ENTRY = 17  # from the top of a box to where lines meet it: the middle of its first layer
ROW_COLUMNS = 7  # columns of a row: what a screen shows without scrolling
MOST_IN_STACK = 6  # layers in one box
MOST_LETTERS, MOST_SMALL_LETTERS = 19, 21  # what fits into a box's first and second line
FIRST_LETTERS = 5  # of a longer name; its end tells it from its neighbors
HEAD = 5  # half an arrow's head
STOPS = (NodeKind.MERGE, NodeKind.INPUT, NodeKind.OUTPUT)  # kinds that are never stacked


@dataclass(frozen=True)
class Slab:
    """One layer in a box; `href` of its page, None where it has none, `title` with all its facts."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    name: str
    detail: str
    title: str
    href: str | None


@dataclass(frozen=True)
class Frame:
    """The outline of a nested model."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class DiagramView:
    """Everything that is drawn; `lines` and `heads` are SVG path data, `text` describes the graph in a sentence."""

    width: float
    height: float
    text: str
    frames: tuple[Frame, ...]
    lines: tuple[str, ...]
    heads: tuple[str, ...]
    slabs: tuple[Slab, ...]


@dataclass
class _Item:
    """A stack in its column, or a line that passes it (no nodes)."""

    nodes: list[DiagramNode]
    sizes: list[Shape | None] = field(default_factory=list)
    rank: int = 0
    sources: list[_Item] = field(default_factory=list)
    order: int = 0
    x: float = 0
    y: float = 0

    @property
    def group(self) -> str:
        return self.nodes[0].path.rpartition("/")[0] if self.nodes else ""

    @property
    def height(self) -> float:
        if not self.nodes:
            return LANE
        return PILL if self.nodes[0].kind == "merge" else self.top(len(self.nodes) - 1) + SLAB

    @property
    def hangs(self) -> bool:
        """Whether its last layer changes the size of the maps, and so hangs below the box of the others."""
        return len(self.nodes) > 1 and _axes(self.sizes[-1]) != _axes(self.sizes[-2])

    def top(self, place: int) -> float:
        """Where a layer's part begins, from the top of the box."""
        return place * SLAB + (DROP if self.hangs and place == len(self.nodes) - 1 else 0)

    @property
    def entry(self) -> float:
        """Where lines meet it."""
        if not self.nodes:
            return self.y + LANE / 2
        return self.y + (PILL / 2 if self.nodes[0].kind == "merge" else ENTRY)

    @property
    def exit(self) -> float:
        """Where lines leave it."""
        return self.y + self.top(len(self.nodes) - 1) + ENTRY if self.hangs else self.entry


def diagram_view(plan: Plan) -> DiagramView | None:
    """Return the graph of `plan.diagram`, the same for the same nodes; None where there are none."""
    if not plan.diagram:
        return None
    pages = {layer.path: layer for layer in plan.layers if layer.status != "skipped"}
    stacks = _stacks(plan.diagram, pages)
    rows = _rows(_columns(stacks))
    lines: list[str] = []
    heads: list[str] = []
    frames: list[Frame] = []
    top = float(MARGIN)
    for number, row in enumerate(rows):
        bottom = _place(row, top + LABEL)
        _connect(row, number, len(rows), top + LABEL, lines, heads)
        frames += _frames(row)
        top = bottom + GAP_DOWN
    slabs = tuple(slab for stack in stacks for slab in _slabs(stack, pages))
    width = MARGIN + max(len(row) for row in rows) * (WIDTH + GAP_ACROSS) + MARGIN
    return DiagramView(width, top + MARGIN, _text(plan.diagram), tuple(frames), tuple(lines), tuple(heads), slabs)


def _stacks(nodes: Sequence[DiagramNode], pages: Mapping[str, LayerRecord]) -> list[_Item]:
    """Nodes folded into straight runs whose maps keep their size: a pooling layer ends one, a nested model has its own."""
    sizes = {node.key: _shape(node, pages) for node in nodes}
    consumers: dict[str, int] = {}
    for node in nodes:
        for key in node.inputs:
            consumers[key] = consumers.get(key, 0) + 1
    by_key: dict[str, _Item] = {}
    stacks = []
    for node in nodes:
        before = by_key.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if before is not None and consumers[node.inputs[0]] == 1 and _continues(before, node, sizes[node.key]):
            before.nodes.append(node)
            before.sizes.append(sizes[node.key])
            by_key[node.key] = before
        else:
            by_key[node.key] = _Item([node], [sizes[node.key]])
            stacks.append(by_key[node.key])
    for stack in stacks:
        for key in stack.nodes[0].inputs:
            if all(by_key[key] is not source for source in stack.sources):
                stack.sources.append(by_key[key])
        stack.rank = max((source.rank + 1 for source in stack.sources), default=0)
    return stacks


def _continues(run: _Item, node: DiagramNode, size: Shape | None) -> bool:
    last = run.nodes[-1]
    if last.kind in STOPS or node.kind in STOPS or last.kind == NodeKind.POOLING or len(run.nodes) == MOST_IN_STACK:
        return False
    if last.path.rpartition("/")[0] != node.path.rpartition("/")[0]:
        return False
    return node.kind == NodeKind.POOLING or _axes(run.sizes[-1]) == _axes(size)


def _shape(node: DiagramNode, pages: Mapping[str, LayerRecord]) -> Shape | None:
    """The shape that the drawing states: that of the table of layers where the layer stands there."""
    page = pages.get(node.path)
    return node.shape if page is None or page.output_shape is None else page.output_shape


def _axes(shape: Shape | None) -> Shape | None:
    """A shape without its channels."""
    return None if shape is None else shape[:-1]


def _columns(stacks: Sequence[_Item]) -> list[list[_Item]]:
    """Stacks by rank, with a passing line in every column that a longer edge crosses, each column in its order from the top."""
    columns: list[list[_Item]] = [[] for _ in range(max(stack.rank for stack in stacks) + 1)]
    passing: dict[tuple[int, int], _Item] = {}  # (id of a stack, column) -> the line that leads it through that column
    for stack in stacks:
        columns[stack.rank].append(stack)
        hops = []
        for source in stack.sources:
            last = source
            for rank in range(source.rank + 1, stack.rank):
                key = id(source), rank
                if key not in passing:
                    passing[key] = _Item([], [], rank, [last])
                    columns[rank].append(passing[key])
                last = passing[key]
            hops.append(last)
        stack.sources = hops
    for column in columns:
        column.sort(key=lambda item: (_mean_order(item), not item.nodes, -len(item.nodes)))
        for order, item in enumerate(column):
            item.order = order
    return columns


def _mean_order(item: _Item) -> float:
    return sum(source.order for source in item.sources) / len(item.sources) if item.sources else 0


def _origin(item: _Item) -> _Item:
    """The stack that a passing line comes from."""
    while not item.nodes:
        item = item.sources[0]
    return item


def _rows(columns: Sequence[list[_Item]]) -> list[list[list[_Item]]]:
    """Columns in rows of at most ROW_COLUMNS where that is possible: a row ends only where all that goes on comes from one box."""
    rows: list[list[list[_Item]]] = [[]]
    cuts = [
        len({id(_origin(source)) for item in following for source in item.sources}) == 1
        for _, following in pairwise(columns)
    ]
    for place, column in enumerate(columns):
        rows[-1].append(column)
        if place == len(cuts) or not cuts[place]:
            continue
        ahead = next(
            (step for step in range(1, len(cuts) - place + 1) if place + step == len(cuts) or cuts[place + step]), 1
        )
        if len(rows[-1]) + ahead > ROW_COLUMNS:
            rows.append([])
    return rows


def _place(row: Sequence[Sequence[_Item]], top: float) -> float:
    """Give every item of a row its position; returns where the row ends."""
    bottom = top
    for number, column in enumerate(row):
        y = top
        for item in column:
            item.x, item.y = MARGIN + number * (WIDTH + GAP_ACROSS) + GAP_ACROSS / 2, y
            if item.nodes and item.nodes[0].kind == "merge" and not item.order:
                item.y = y + ENTRY - PILL / 2  # on the line through the first layers
            y = item.y + item.height + GAP_DOWN
        bottom = max(bottom, y - GAP_DOWN)
    return bottom + PADDING


def _connect(
    row: Sequence[Sequence[_Item]], number: int, count: int, top: float, lines: list[str], heads: list[str]
) -> None:
    """The lines of a row, those that come from the row above and that lead to the row below included."""
    inside = {id(item) for column in row for item in column}
    for column in row:
        for item in column:
            for source in item.sources:
                from_above = MARGIN - GAP_ACROSS / 4, top + ENTRY
                start = (source.x + WIDTH, source.exit) if id(source) in inside else from_above
                end = item.x, item.entry
                lines.append(_line(start, end))
                if item.nodes:
                    heads.append(
                        f"M{end[0] - HEAD * 1.4:g} {end[1] - HEAD:g}L{end[0]:g} {end[1]:g}L{end[0] - HEAD * 1.4:g} {end[1] + HEAD:g}Z"
                    )
            if not item.nodes:
                lines.append(f"M{item.x:g} {item.entry:g}H{item.x + WIDTH:g}")
            if item.hangs:
                below = item.y + item.top(len(item.nodes) - 1)
                lines.append(f"M{item.x + WIDTH / 2:g} {below - DROP:g}V{below:g}")
    if number < count - 1:
        x = MARGIN + len(row) * (WIDTH + GAP_ACROSS)
        for item in row[-1]:
            lines.append(_line((item.x + WIDTH, item.exit), (x, top + ENTRY)))
        heads.append(f"M{x:g} {top + ENTRY - HEAD:g}L{x + HEAD * 1.4:g} {top + ENTRY:g}L{x:g} {top + ENTRY + HEAD:g}Z")


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    if y == to_y:
        return f"M{x:g} {y:g}H{to_x:g}"
    middle = (x + to_x) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"


def _frames(row: Sequence[Sequence[_Item]]) -> list[Frame]:
    """Outlines of nested models, where no box of another one lies between theirs."""
    boxes = [item for column in row for item in column if item.nodes]
    groups = {id(item): _group(item) for item in boxes}
    frames = []
    for group in dict.fromkeys(groups.values()):
        own = [item for item in boxes if groups[id(item)] == group]
        left, top = min(item.x for item in own), min(item.y for item in own)
        right, bottom = max(item.x for item in own) + WIDTH, max(item.y + item.height for item in own)
        apart = all(
            groups[id(item)] == group
            or item.x + WIDTH < left
            or item.x > right
            or item.y + item.height < top
            or item.y > bottom
            for item in boxes
        )
        if group and apart:
            frames.append(
                Frame(left - PADDING, top - PADDING, right - left + 2 * PADDING, bottom - top + 2 * PADDING, group)
            )
    return frames


def _group(item: _Item) -> str:
    """The nested model that a box belongs to; for a merge outside of any layer, that of all its sources."""
    if item.nodes[0].path or item.nodes[0].kind != "merge":
        return item.group
    around = {_origin(source).group for source in item.sources}
    return around.pop() if len(around) == 1 else ""


def _slabs(stack: _Item, pages: Mapping[str, LayerRecord]) -> list[Slab]:
    slabs = []
    for place, node in enumerate(stack.nodes):
        size = shape(stack.sizes[place])
        name = node.path.rpartition("/")[2] if node.path and node.kind != "merge" else node.label
        compact = size.replace(" ", "")
        both = f"{node.label} {compact}"
        detail = both if node.label != name and len(both) <= MOST_SMALL_LETTERS else compact
        title = ", ".join(part for part in (node.path, node.label, size) if part)
        page = pages.get(node.path)
        slabs.append(
            Slab(
                node.kind,
                stack.x,
                stack.y + stack.top(place),
                WIDTH,
                PILL if node.kind == "merge" else SLAB,
                _short(name),
                detail,
                title,
                None if page is None else f"layers/{page.slug}.html",
            )
        )
    return slabs


def _short(name: str) -> str:
    if len(name) <= MOST_LETTERS:
        return name
    return f"{name[:FIRST_LETTERS]}…{name[FIRST_LETTERS + 1 - MOST_LETTERS :]}"


def _text(nodes: Sequence[DiagramNode]) -> str:
    layers = sum(node.kind not in STOPS for node in nodes)
    merges = sum(node.kind == "merge" for node in nodes)
    merged = f" and {plural(merges, 'merge node')}" if merges else ""
    return f"Network graph from input to output: {plural(layers, 'layer')}{merged}."
