"""The architecture in the grammar of Net2Vis: a box's height is the resolution, its width the channels; repeated groups stand once.

Bäuerle, van Onzenoodt, Ropinski: Net2Vis, IEEE TVCG 27(6), 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2, prod

from matplotlib.patches import Circle

from reportgen.core.records import DiagramNode, NodeKind
from reportgen.figures.blocks import Group, Segment, groups
from reportgen.figures.sheet import Sheet
from reportgen.figures.source import Drawn, Facts
from reportgen.figures.style import DARK
from reportgen.render.text import plural

HEIGHTS, WIDTHS = (2.2, 16.0), (1.3, 4.2)  # mm: of the smallest and the largest resolution, and numbers of channels
MIDDLE_WIDTH, MIDDLE_HEIGHT = 2.2, 8.0  # mm, where a network has one number of channels, or states no resolution
GAP_MM, LANE_GAP_MM, ROW_GAP_MM, GROUP_MM = (
    1.5,
    1.2,
    2.5,
    1.0,
)  # between boxes, lanes, rows, and around a repeated group
MERGE_MM = 2.2  # diameter
LETTERS = 0.83  # of the small letters: numbers below boxes
SHARES = (1.0, 0.9, 0.8, 0.7)  # of the usual widths: the largest with which the fewest rows are needed
WIDEST_SHARE = 1.8  # of the usual distances, where a network is short
LINE = 1.25
COLORS = {  # three levels of gray when printed so; kinds of one color differ in hatching
    NodeKind.INPUT: "#ffffff",
    NodeKind.CONVOLUTION: "#4477aa",
    NodeKind.POOLING: "#eecc66",
    NodeKind.OTHER: "#333333",
}
HATCHES = ("", "//////", "......", "xxxxxx", "------", "++++++")
SIGNS = {
    "Add": "+",
    "Concatenate": "c",
    "Multiply": "×",
    "Subtract": "−",
    "Average": "ø",
    "Maximum": "∨",
    "Minimum": "∧",
}
OTHER_SIGN = "·"


@dataclass(frozen=True)
class Box:
    """A node on the sheet: pixels from the left of its row, `y` from the middle of its main lane down."""

    node: DiagramNode
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """Half way between its edges."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Placed:
    """A group on the sheet: its boxes by key, its edges, lanes' distances from the middle, and where a line goes out of it."""

    group: Group
    boxes: tuple[dict[str, Box], ...]
    lanes: tuple[tuple[float, ...], ...]
    entries: tuple[float, ...]
    left: float
    right: float
    above: float
    below: float


class Measures:
    """How large boxes are: both scales are logarithmic."""

    def __init__(self, diagram: Sequence[DiagramNode], sheet: Sheet) -> None:
        nodes = [node for node in diagram if node.kind != NodeKind.OUTPUT]
        self.sheet = sheet
        self.resolutions = _ends([size for node in nodes for size in [resolution(node)] if size is not None])
        self.channels = _ends([count for node in nodes for count in [channels(node)] if count is not None])

    def size(self, node: DiagramNode) -> tuple[float, float]:
        """Return (height, width) of a box in pixels."""
        if node.kind == NodeKind.MERGE:
            return self.sheet.mm(MERGE_MM), self.sheet.mm(MERGE_MM)
        flat = node.shape is not None and len(node.shape) == 1
        height = HEIGHTS[0] if flat else _on(resolution(node), self.resolutions, HEIGHTS, MIDDLE_HEIGHT)
        return self.sheet.mm(height), self.sheet.mm(_on(channels(node), self.channels, WIDTHS, MIDDLE_WIDTH))


def resolution(node: DiagramNode) -> float | None:
    """Return the mean length of a node's spatial axes; None where they are free or there are none."""
    axes = node.shape[:-1] if node.shape else ()
    known = [axis for axis in axes if axis is not None]
    return None if not axes or len(known) < len(axes) else float(prod(known) ** (1 / len(known)))


def channels(node: DiagramNode) -> int | None:
    """Return a node's number of channels; None where it is not known."""
    return node.shape[-1] if node.shape else None


def draw(facts: Facts, sheet: Sheet) -> Drawn | None:
    """Draw the architecture; None where the report does not state how data flows."""
    diagram = facts.diagram
    if len(diagram) < 2:
        return None
    measures = Measures(diagram, sheet)
    found = groups(diagram)
    relaxed = False
    if len(_rows(found, measures, 1.0)[0]) > MOST_ROWS:
        found, relaxed = groups(diagram, with_channels=False), True
    rows, tight = min((_rows(found, measures, share) for share in SHARES), key=lambda item: (len(item[0]), -item[1]))
    if len(rows) == 1:
        rows, tight = _stretched(found, measures, rows, tight)
    looks = _looks(diagram)
    y: float = 0
    for number, row in enumerate(rows):
        y = _draw_row(sheet, row, y, looks, tight, ends=(number > 0, number < len(rows) - 1)) + sheet.mm(ROW_GAP_MM)
    entries, wide = _legend_entries(sheet, looks)
    across = sheet.width if len(rows) > 1 else rows[0][-1].right
    left = (across - wide) / 2 if wide > across else 0.0  # a small network stands in the middle above its legend
    bottom = _legend(sheet, looks, entries, left, y)
    return Drawn(sheet.finish(bottom, max(across, wide), left), _caption(facts, found, relaxed))


BELOW = 0.65  # from the middle of a line of letters to where its lowest end, in their size
MARK_MM, MARK_GAP_MM = 2.2, 0.8  # of a look in the legend, and before its words
MOST_ROWS = 4  # beyond them groups that differ in channels alone count as the same


def _ends(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None


def _on(value: float | None, ends: tuple[float, float] | None, lengths: tuple[float, float], middle: float) -> float:
    """A length on a logarithmic scale."""
    if value is None or ends is None or ends[0] == ends[1]:
        return middle
    share = log2(value / ends[0]) / log2(ends[1] / ends[0])
    return lengths[0] + share * (lengths[1] - lengths[0])


def _rows(found: Sequence[Group], measures: Measures, tight: float) -> tuple[list[list[Placed]], float]:
    """The groups in rows that fit the sheet; distances shrink where a single group does not fit otherwise."""
    sheet = measures.sheet
    edge = sheet.mm(GAP_MM)
    widest = max(_place(group, measures, 0, 1.0).right for group in found) + 2 * edge
    if widest > sheet.width:
        tight = min(tight, sheet.width / widest)
    rows: list[list[Placed]] = [[]]
    x = 0.0
    for group in found:
        placed = _place(group, measures, x, tight)
        if rows[-1] and placed.right + edge > sheet.width:
            placed = _place(group, measures, edge, tight)
            rows.append([])
        rows[-1].append(placed)
        x = placed.right
    return rows, tight


def _stretched(
    found: Sequence[Group], measures: Measures, rows: list[list[Placed]], tight: float
) -> tuple[list[list[Placed]], float]:
    """The same row with wider distances, as far as the sheet has room."""
    share = tight
    while share < WIDEST_SHARE:
        share += 0.05
        wider, _ = _rows(found, measures, share)
        if len(wider) > 1:
            break
        rows, tight = wider, share
    return rows, tight


def _place(group: Group, measures: Measures, x: float, tight: float) -> Placed:
    """Place a group's boxes from x on."""
    sheet = measures.sheet
    gap, lane_gap = sheet.mm(GAP_MM) * tight, sheet.mm(LANE_GAP_MM)
    left = x
    x += sheet.mm(GROUP_MM) * tight if group.count > 1 else 0
    boxes, lanes, entries = [], [], []
    above = below = 0.0
    for segment in group.segments:
        sizes = {node.key: measures.size(node) for node in segment.nodes}
        depth = 1 + max([0, *segment.lanes.values(), *segment.passes.values()])
        heights = [
            max([sheet.mm(0.3), *(sizes[key][0] for key, own in segment.lanes.items() if own == lane)])
            for lane in range(depth)
        ]
        offsets = [0.0]
        for lane in range(1, depth):
            offsets.append(offsets[-1] + (heights[lane - 1] + heights[lane]) / 2 + lane_gap)
        entries.append(x)
        own: dict[str, Box] = {}
        for column in range(segment.width):
            keys = [key for key, place in segment.columns.items() if place == column]
            width = max(sizes[key][1] * min(tight, 1) for key in keys)
            for key in keys:
                height, wide = sizes[key]
                wide *= min(tight, 1)
                node = next(item for item in segment.nodes if item.key == key)
                own[key] = Box(node, x + gap + (width - wide) / 2, offsets[segment.lanes[key]], wide, height)
            x += gap + width
        above = max(above, heights[0] / 2)
        below = max(below, offsets[-1] + heights[-1] / 2)
        boxes.append(own)
        lanes.append(tuple(offsets))
    right = x + (sheet.mm(GROUP_MM) * tight if group.count > 1 else 0)
    return Placed(group, tuple(boxes), tuple(lanes), tuple(entries), left, right, above, below)


def _draw_row(
    sheet: Sheet,
    row: Sequence[Placed],
    top: float,
    looks: dict[str, tuple[str, str]],
    tight: float,
    ends: tuple[bool, bool],
) -> float:
    """Draw a row; returns where it ends."""
    line = sheet.pt(sheet.small * LINE)
    size = sheet.small * LETTERS
    middle = top + _heads(sheet, row, size) + max(placed.above for placed in row)
    bottom = middle + max(placed.below for placed in row)
    numbers = bottom + sheet.mm(0.6)
    deep = 0.0
    last: str | None = None
    exit_at: float | None = 0.0 if ends[0] else None
    shown: str | None = None
    for placed in row:
        for place, segment in enumerate(placed.group.segments):
            boxes = placed.boxes[place]
            _edges(sheet, segment, boxes, placed.lanes[place], middle, exit_at)
            exit_at = boxes[segment.nodes[-1].key].right
            for box in boxes.values():
                _draw_box(sheet, box, middle, looks)
            for words, x in _channel_labels(boxes, segment):
                if words != last or tight >= SHARES[-1]:  # otherwise there is no room for repeated ones
                    deep = max(deep, sheet.text_width(words, size))
                    sheet.text(x + sheet.pt(size * 0.36), numbers, words, size=size, across="right", rotation=90)
                last = words
            for box in sorted(boxes.values(), key=lambda item: item.x):
                words = _resolution_label(box.node)
                if words and words != shown and box.y == 0:
                    shown = words
                    x, y = box.middle + sheet.pt(size * 0.36), middle - box.height / 2 - sheet.mm(0.7)
                    sheet.text(x, y, words, size=size, rotation=90)
                elif box.y > 0 and box.node.kind != NodeKind.MERGE and channels(box.node) is not None:
                    words, x = str(channels(box.node)), box.right + sheet.mm(0.4)
                    end = x + sheet.text_width(words, size)
                    if not any(other.y == box.y and box.x < other.x < end for other in boxes.values()):
                        sheet.text(x, middle + box.y - sheet.mm(0.5), words, size=size)
    if ends[1] and exit_at is not None:
        sheet.line((exit_at, sheet.width - sheet.mm(0.5)), (middle, middle), width=0.6)
    feet = numbers + deep + sheet.mm(0.8)
    repeated = [placed for placed in row if placed.group.count > 1]
    for placed in repeated:
        tick = sheet.mm(0.8)
        left, right = placed.left + sheet.mm(0.5), placed.right - sheet.mm(0.5)
        sheet.line((left, left, right, right), (feet, feet + tick, feet + tick, feet), width=0.6)
        words = f"× {placed.group.count}"
        sheet.text((left + right) / 2, feet + tick + line * 0.9, words, across="center")
    return feet + (sheet.mm(0.8) + line if repeated else 0)


def _heads(sheet: Sheet, row: Sequence[Placed], size: float) -> float:
    """Room above the highest box: each resolution stands, turned, above its box."""
    highest = max(placed.above for placed in row)
    boxes = [box for placed in row for own in placed.boxes for box in own.values() if box.y == 0]
    lengths = [sheet.text_width(_resolution_label(box.node), size) + box.height / 2 - highest for box in boxes]
    return max([0.0, *lengths]) + sheet.mm(1)


def _draw_box(sheet: Sheet, box: Box, middle: float, looks: dict[str, tuple[str, str]]) -> None:
    y = middle + box.y
    if box.node.kind == NodeKind.MERGE:
        sheet.place(Circle((box.middle, -y), box.width / 2, facecolor="white", edgecolor=DARK, linewidth=0.6, zorder=3))
        sign = SIGNS.get(box.node.label, OTHER_SIGN)
        sheet.text(box.middle, y, sign, across="center", down="center", size=sheet.small * LETTERS)
        return
    color, hatch = looks[box.node.label]
    sheet.box(box.x, y - box.height / 2, box.width, box.height, fill=color, edge=DARK, hatch=hatch or None)


def _edges(
    sheet: Sheet, segment: Segment, boxes: dict[str, Box], lanes: Sequence[float], middle: float, exit_at: float | None
) -> None:
    """The lines into and inside of a segment; `exit_at` is where data comes from."""
    for node in segment.nodes:
        end = boxes[node.key]
        for name in node.inputs:
            start = boxes.get(name)
            x = exit_at if start is None else start.right
            if x is None:
                continue
            y = 0.0 if start is None else start.y
            key = ("" if start is None else name, node.key)
            fork = min(x + sheet.mm(0.6), (x + end.x) / 2)
            if key in segment.passes:
                lane = lanes[segment.passes[key]]
                into = end.middle if end.node.kind == NodeKind.MERGE else end.x - sheet.mm(0.5)
                stop = end.y + end.height / 2 if end.node.kind == NodeKind.MERGE else end.y
                xs, ys = [x, fork, fork, into, into], [y, y, lane, lane, stop]
                if end.node.kind != NodeKind.MERGE:
                    xs, ys = [*xs, end.x], [*ys, end.y]
            elif y == end.y:
                xs, ys = [x, end.x], [y, y]
            elif end.node.kind == NodeKind.MERGE and y > end.y:
                xs, ys = [x, end.middle, end.middle], [y, y, end.y + end.height / 2]
            else:
                xs, ys = [x, fork, fork, end.x], [y, y, end.y, end.y]
            sheet.line(xs, [middle + at for at in ys], width=0.6)


def _channel_labels(boxes: dict[str, Box], segment: Segment) -> Iterator[tuple[str, float]]:
    """The number of channels of each column's box on the main lane, and where it stands."""
    for box in sorted(boxes.values(), key=lambda item: item.x):
        count = channels(box.node)
        if box.node.kind != NodeKind.MERGE and count is not None and segment.lanes[box.node.key] == 0:
            yield str(count), box.middle


def _resolution_label(node: DiagramNode) -> str:
    if node.kind == NodeKind.MERGE or node.shape is None or len(node.shape) == 1:
        return ""
    return "×".join("?" if axis is None else str(axis) for axis in node.shape[:-1])


def _looks(diagram: Sequence[DiagramNode]) -> dict[str, tuple[str, str]]:
    """Color and hatching of each class of layers."""
    looks: dict[str, tuple[str, str]] = {}
    for node in diagram:
        if node.kind in COLORS and node.label not in looks:
            color = COLORS[node.kind]
            alike = sum(own == color for own, _ in looks.values())
            looks[node.label] = color, HATCHES[alike % len(HATCHES)]
    merged = {node.label for node in diagram if node.kind == NodeKind.MERGE}
    return looks | {label: ("", "") for label in sorted(merged)}


def _legend_entries(sheet: Sheet, looks: dict[str, tuple[str, str]]) -> tuple[list[tuple[float, int, str, str]], float]:
    """Where the entries of the legend stand, (x, line, words, class of layers), and how wide it is."""
    mark, x, line, widest = sheet.mm(MARK_MM + MARK_GAP_MM), 0.0, 0, 0.0
    placed = []
    for words, label in [
        *((label, label) for label in looks),
        ("height: resolution; width: channels (log scales)", ""),
    ]:
        wide = (mark if label else 0) + sheet.text_width(words)
        if x and x + wide > sheet.width:
            x, line = 0.0, line + 1
        placed.append((x, line, words, label))
        widest = max(widest, x + wide)
        x += wide + sheet.mm(3)
    return placed, widest


def _legend(
    sheet: Sheet,
    looks: dict[str, tuple[str, str]],
    entries: Sequence[tuple[float, int, str, str]],
    left: float,
    top: float,
) -> float:
    """The classes of layers with their looks, in lines; returns where they end."""
    side = sheet.mm(MARK_MM)
    line = max(sheet.pt(sheet.small * 1.6), side * 1.3)
    for place, number, words, label in entries:
        x, y = left + place, top + number * line
        color, hatch = looks.get(label, ("", ""))
        if color:
            sheet.box(x, y, side, side, fill=color, edge=DARK, hatch=hatch or None)
        elif label:
            center = x + side / 2, y + side / 2
            sheet.place(Circle((center[0], -center[1]), side / 2, facecolor="white", edgecolor=DARK, linewidth=0.6))
            sheet.text(
                *center, SIGNS.get(label, OTHER_SIGN), across="center", down="center", size=sheet.small * LETTERS
            )
        at = x + (sheet.mm(MARK_MM + MARK_GAP_MM) if label else 0)
        sheet.text(at, y + side / 2 + sheet.pt(sheet.small * 0.36), words)
    return top + entries[-1][1] * line + max(side, side / 2 + sheet.pt(sheet.small * BELOW)) + 1


def _caption(facts: Facts, found: Sequence[Group], relaxed: bool) -> str:
    kinds = [node.kind for node in facts.diagram]
    convolutions = plural(kinds.count(NodeKind.CONVOLUTION), "convolution layer")
    repeated = any(group.count > 1 for group in found)
    alike = "in all but their numbers of channels" if relaxed else "in classes and shapes"
    sentences = [
        f"Architecture of the model {facts.model.name} from input to output: {convolutions}, {facts.model.parameters:,} parameters.",
        "The height of a box is the resolution of its output (stated above it where it changes), its width the number of channels "
        "(stated below), both on logarithmic scales.",
        *(
            [f"Groups that follow one another and are equal {alike} are drawn once, with their count."]
            if repeated
            else []
        ),
        "Rescaling, normalization and activation layers are omitted.",
    ]
    return " ".join(sentences)
