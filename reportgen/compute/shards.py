"""Shards: the tasks of a plan divided among several commands, by counted operations and so the same way everywhere."""

from __future__ import annotations

from reportgen.compute.balance import balanced
from reportgen.compute.tasks import divide
from reportgen.core.records import Plan


def partition(plan: Plan, count: int) -> tuple[frozenset[str], ...]:
    """Divide the tasks of a plan.

    What shares a pass through the model stays together, as do the patterns of a layer where that is not much of a shard. The most
    expensive piece is given away first, each to the shard that has least so far, so that no two shards differ by more than the most
    expensive piece.

    Args:
        plan: the plan, whose keys and costs alone decide.
        count: of shards.

    Returns:
        The keys of each shard's tasks; each key of the plan is in one of them.
    """
    pieces = balanced(divide(plan, [task.key for task in plan.tasks]), count)
    costs = [sum(task.cost for task in piece.tasks) for piece in pieces]
    shards: list[set[str]] = [set() for _ in range(count)]
    loads = [0.0] * count
    for piece in sorted(range(len(pieces)), key=lambda piece: -costs[piece]):  # stable: equal ones in the plan's order
        lightest = loads.index(min(loads))
        loads[lightest] += costs[piece]
        shards[lightest].update(task.key for task in pieces[piece].tasks)
    return tuple(map(frozenset, shards))
