"""One of several parts of a report, each computed by a command of its own: `--shard`, by number or from the variables of a scheduler."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reportgen.core.errors import UsageError
from reportgen.core.files import write_atomically

AUTO = "auto"
FORM = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
MARK = Path(".store") / "shard.json"  # beside the plan, which is the same in every shard
SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
SLURM_STEP, SLURM_MAX = "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_MAX"
GITLAB = ("CI_NODE_INDEX", "CI_NODE_TOTAL")


@dataclass(frozen=True)
class Shard:
    """A part of a report.

    Attributes:
        number: of this one, from 1.
        count: of all.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(
                f"there is no shard {self.number}/{self.count}; shards are numbered from 1 to their count."
            )

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"shard {self.number} of {self.count}"

    @property
    def suffix(self) -> str:
        """What the name of its folder ends in."""
        return f"-{self.number}-of-{self.count}"

    @classmethod
    def parse(cls, text: str, variables: Mapping[str, str]) -> Self:
        """Return the shard that the value of `--shard` names.

        Args:
            text: `I/N` or `auto`.
            variables: of the environment, read for `auto` only.

        Raises:
            UsageError: there is no such shard, or the variables do not tell which it is: nobody wants a part for the whole.
        """
        if text == AUTO:
            return cls(*_of_scheduler(variables))
        found = FORM.fullmatch(text)
        if found is None:
            raise UsageError(f"--shard {text} is neither of the form I/N (2/3 is the second of three) nor {AUTO}.")
        return cls(int(found[1]), int(found[2]))

    def mark(self, folder: Path, keys: Iterable[str]) -> None:
        """State in the folder of a shard which it is, and the keys of its tasks.

        Raises:
            OSError: the folder cannot be written.
        """
        stated = {"number": self.number, "count": self.count, "tasks": sorted(keys)}
        write_atomically(folder / MARK, json.dumps(stated, indent=1).encode() + b"\n")

    @classmethod
    def marked(cls, folder: Path) -> tuple[Self, frozenset[str]] | None:
        """Return which shard a folder states to be, and the keys of its tasks; None where it states none."""
        try:
            stated = json.loads((folder / MARK).read_bytes())
            return cls(int(stated["number"]), int(stated["count"])), frozenset(map(str, stated["tasks"]))
        except (OSError, LookupError, TypeError, ValueError, UsageError):
            return None


def unmark(folder: Path) -> None:
    """Remove the statement that a folder holds one shard.

    Raises:
        OSError: it cannot be removed.
    """
    (folder / MARK).unlink(missing_ok=True)


def _of_scheduler(variables: Mapping[str, str]) -> tuple[int, int]:
    """The number and the count that Slurm states, or, outside its job arrays, GitLab."""
    if any(name in variables for name in SLURM):
        first, least, count = _numbers(variables, SLURM)
        step = _number(variables, SLURM_STEP, 1)
        largest = _number(variables, SLURM_MAX, least + (count - 1) * step)
        place, beside = divmod(first - least, max(1, step))
        if beside or largest != least + (count - 1) * step:
            raise UsageError(
                f"--shard {AUTO}: the tasks of this Slurm array are not numbered in even steps; give --array a range, as in 0-{count - 1}."
            )
        return place + 1, count
    if any(name in variables for name in GITLAB):
        index, total = _numbers(variables, GITLAB)
        return index, total
    raise UsageError(
        f"--shard {AUTO} finds neither a job array of Slurm nor a parallel job of GitLab; name the shard, as in --shard 2/3."
    )


def _numbers(variables: Mapping[str, str], names: tuple[str, ...]) -> list[int]:
    missing = [name for name in names if name not in variables]
    if missing:
        there = [name for name in names if name in variables]
        raise UsageError(
            f"--shard {AUTO}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing beside {' and '.join(there)}; "
            "name the shard, as in --shard 2/3."
        )
    return [_number(variables, name, 0) for name in names]


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"--shard {AUTO}: {name} is {text!r}, which is no whole number.") from error
