"""Pages of a report that is still being computed: what they show and say, and that they leave no trace in the finished one."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import reportgen.report.assemble as assembling
import reportgen.report.early_pages as module
from page_parser import parse
from report_fixture import make
from reportgen.core.errors import UsageError
from reportgen.core.progress import Progress
from reportgen.core.run import Run
from reportgen.core.store import Store
from reportgen.report.assemble import Assembly, assemble
from reportgen.report.early_pages import EarlyPages
from reportgen.report.opened import Report
from reportgen.report.theme import own_look
from sample_build import contents

pytestmark = pytest.mark.slow  # whole searches or builds; the fast tests cover their parts

LATE = ("pp-colour-early", "pp-colour-late", "nn-colour-early", "nn-colour-late", "pp-point-early", "pp-logits-late")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that was written once, when everything was there."""
    folder = tmp_path_factory.mktemp("finished") / "report"
    make(folder, negative=True, outputs=True, whole=True, missing=False)
    assemble(folder)
    return folder


def copy_tasks(source: Path, folder: Path) -> None:
    """Copy the store of a report alone, each task whole."""
    shutil.copytree(source / ".store", folder / ".store")
    for task in Store(folder).load_plan().tasks:
        Store(folder).save(task.key, *Store(source).load(task.key))


class Going:
    """A run over the report of `finished` that computes LATE, one task after the other, and looks at the folder in between."""

    def __init__(self, folder: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing of LATE is there yet; the index is written as often as possible."""
        monkeypatch.setattr(module, "SHORTEST_PAUSE", -1.0)
        monkeypatch.setattr(module, "PAUSE", 0)
        self.folder, self.source = folder, Store(finished)
        copy_tasks(finished, folder)
        for key in LATE:
            next((folder / ".store").rglob(f"{key}.npz")).unlink()
        self.plan = Store(folder).load_plan()
        self.assembly = Assembly(folder, self.plan, own_look())

    def states(self) -> Iterator[str]:
        """Compute; yields what the folder holds then: the key of the task that was computed last, "" before the first."""
        with (
            Run(self.folder, self.plan, Store(self.folder), Progress(False), time.perf_counter()) as run,
            EarlyPages(self.assembly, run, lambda done, total, what: None) as pages,
        ):
            run.watch = pages.update
            pages.update()
            yield ""
            for key in LATE:
                run.done(key, *self.source.load(key), 1.0)
                yield key
            self.assembly.finish()

    def words(self, page: str = "index.html") -> str:
        return parse(self.folder / page).words


@pytest.fixture
def going(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Going:
    return Going(tmp_path / "report", finished, monkeypatch)


def test_what_was_written_early_changes_no_byte_of_the_finished_report(going: Going, finished: Path) -> None:
    for name in ("index.html", "report.json"):  # of an earlier report
        shutil.copy(finished / name, going.folder / name)
    for _ in going.states():
        assert (going.folder / "index.html").is_file()
        assert not (going.folder / "report.json").exists()
    assert contents(going.folder) == contents(finished)


def test_the_same_in_a_single_file(going: Going, finished: Path, tmp_path: Path) -> None:
    going.assembly = Assembly(going.folder, going.plan, own_look(), {"single_file": True})
    copy_tasks(finished, tmp_path / "once")
    assemble(tmp_path / "once", drawing={"single_file": True})
    assert all("Unfinished" in going.words() for _ in going.states())
    assert contents(going.folder) == contents(tmp_path / "once")


def test_an_unfinished_report_says_what_is_there_and_what_is_not(going: Going) -> None:
    for key in going.states():
        words = going.words()
        assert "Unfinished: the rest is being computed" in words
        assert "Build complete" not in words
        if key == "":
            assert "not yet known" in words
            early = going.words("layers/colour.html")
            assert "Unfinished. Patterns of 6 of 6 filters are not yet computed" in early
            assert "Failed" not in early + words
            assert "Feature maps" in early
            with pytest.raises(UsageError, match="is unfinished"):
                Report.open(going.folder)
        if key == "nn-colour-late":
            assert "The rest is expected at" in words
            assert "Unfinished" not in going.words("layers/colour.html")
            assert "Unfinished" in going.words("layers/point.html")


def test_a_finished_layer_is_drawn_without_the_others_and_without_its_own_maps(
    going: Going, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, drawn = assembling.read_layer, list[str]()

    def counted(plan, store, layer, awaited):  # type: ignore[no-untyped-def]
        drawn.append(layer.slug)
        return read(plan, store, layer, awaited)

    monkeypatch.setattr(assembling, "read_layer", counted)
    states = going.states()
    next(states)
    drawn.clear()
    maps = next((going.folder / "figures" / "colour" / "feature_maps").iterdir())
    maps.write_bytes(b"kept")
    for _ in states:
        pass
    assert drawn == ["colour", "point", "logits"]
    assert maps.read_bytes() == b"kept"


def test_an_interrupted_run_says_so_and_how_to_go_on(going: Going) -> None:
    states = going.states()
    next(states)
    next(states)
    with pytest.raises(KeyboardInterrupt):
        states.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    words = going.words()
    assert "Unfinished: the run was interrupted" in words
    assert "Run the same build command again" in words


def test_before_the_first_pages_an_index_says_what_is_coming_but_never_in_place_of_an_earlier_report(
    going: Going, finished: Path
) -> None:
    next((going.folder / ".store").rglob("ww-deep.npz")).unlink()
    for earlier in (False, True):
        if earlier:
            for name in ("index.html", "report.json"):
                shutil.copy(finished / name, going.folder / name)
        states = going.states()
        next(states)
        assert ("pages follow" in going.words()) != earlier
        with pytest.raises(KeyboardInterrupt):
            states.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
        assert ("the run was interrupted" in going.words()) != earlier
        assert (going.folder / "report.json").exists() == earlier


def test_a_report_with_nothing_to_compute_stays_finished_all_the_time(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    shutil.copytree(finished, folder)
    plan = Store(folder).load_plan()
    assembly = Assembly(folder, plan, own_look())
    with (
        Run(folder, plan, Store(folder), Progress(False), time.perf_counter()) as run,
        EarlyPages(assembly, run, lambda done, total, what: None) as pages,
    ):
        pages.update()
        assert json.loads((folder / "report.json").read_bytes())["title"] == plan.model.name
        assembly.finish()
    assert contents(folder) == contents(finished)
