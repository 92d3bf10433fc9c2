"""`--keep-maps`: which maps stay as arrays once they are drawn, what the pages still show, and what is then computed again."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import report_fixture
from reportgen.cli.main import main
from reportgen.core.choices import KeepMaps
from reportgen.core.kept_maps import suffices
from reportgen.core.records import TaskKind
from reportgen.core.store import Store
from reportgen.core.stored_maps import before, compact
from reportgen.report.assemble import assemble
from reportgen.report.opened import Report


def make(folder: Path, keep: KeepMaps) -> Path:
    """The report of the fixture, with that setting."""
    plan = report_fixture.make(folder)
    return again(folder, keep=keep, layers=plan.layers)


def again(folder: Path, keep: KeepMaps, **changes: object) -> Path:
    plan = Store(folder).load_plan()
    report_fixture.replan(folder, plan, settings={**plan.settings, "keep_maps": keep}, **changes)
    assemble(folder)
    return folder


def files(folder: Path, *names: str) -> dict[str, bytes]:
    """The content of every file in some folders of a report."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in names
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[KeepMaps, Path]:
    return {keep: make(tmp_path_factory.mktemp(keep), keep) for keep in KeepMaps}


@pytest.fixture(params=[KeepMaps.SHOWN, KeepMaps.NONE])
def keep(request: pytest.FixtureRequest) -> KeepMaps:
    return KeepMaps(request.param)


@pytest.fixture
def copied(reports: dict[KeepMaps, Path], keep: KeepMaps, tmp_path: Path) -> Path:
    return shutil.copytree(reports[keep], tmp_path / "report")


def map_tasks(folder: Path) -> list[str]:
    return [task.key for task in Store(folder).load_plan().tasks if task.kind == TaskKind.FEATURE_MAPS]


def test_figures_and_pages_are_those_of_a_report_that_keeps_all_maps(
    reports: dict[KeepMaps, Path], keep: KeepMaps
) -> None:
    assert files(reports[keep], "figures") == files(reports[KeepMaps.ALL], "figures")
    link = b"feature_maps.npz"
    pages, whole = files(reports[keep], "layers"), files(reports[KeepMaps.ALL], "layers")
    if keep == KeepMaps.SHOWN:
        assert pages == whole
    else:
        assert pages.keys() == whole.keys()
        assert all(link in whole[name] and link not in page for name, page in pages.items())


def test_only_maps_that_are_kept_are_on_the_disk(reports: dict[KeepMaps, Path], keep: KeepMaps) -> None:
    whole, report = Report.open(reports[KeepMaps.ALL]), Report.open(reports[keep])
    for layer in report.layers:
        for record in layer.record.feature_maps:
            assert record.channels == (layer.record.filters_shown if keep == KeepMaps.SHOWN else ())
            assert (record.array is None) == (keep == KeepMaps.NONE)
        if keep == KeepMaps.SHOWN:
            filter = layer.filters[-1]
            assert np.array_equal(filter.feature_map("cat"), whole[layer.path][filter.index].feature_map("cat"))
    for key in map_tasks(reports[keep]):
        assert not {"pre", "below"} & set(Store(reports[keep]).load(key)[0])
    assert not list(reports[KeepMaps.NONE].rglob("feature_maps.npz"))


def test_assembled_again_the_figures_stay_and_one_sentence_says_so(copied: Path) -> None:
    before = files(copied, ".")
    done = CliRunner().invoke(main, ["assemble", str(copied)])
    assert files(copied, ".") == before
    assert (
        done.stderr.count("The feature maps of 3 layers keep their figures as they are, without arrays to draw anew: ")
        == 1
    )
    assert CliRunner().invoke(main, ["assemble", str(copied), "--colormap", "magma", "--normalize", "per-map"]).stdout
    changed = {name for name, content in files(copied, ".").items() if content != before[name]}
    assert changed <= {"report.json", "index.html"}
    assert "(viridis, or red and blue" in (copied / "index.html").read_text()


def test_a_report_of_one_file_keeps_the_figures_too(copied: Path) -> None:
    assemble(copied, drawing={"single_file": False})
    before = files(copied, ".")
    assemble(copied, drawing={"single_file": True})
    assert not (copied / "figures").exists()
    assemble(copied, drawing={"single_file": False})
    assert files(copied, ".") == before


def test_a_lost_figure_makes_the_maps_missing(copied: Path) -> None:
    (copied / "figures" / "deep" / "feature_maps" / "cat.png").unlink()
    assert [Store(copied).has(key) for key in map_tasks(copied)].count(False) == 1
    assert any("deep" in problem and "cat" in problem for problem in assemble(copied).problems)


def test_what_is_left_is_enough_only_for_figures_that_look_the_same(reports: dict[KeepMaps, Path]) -> None:
    plan = Store(reports[KeepMaps.SHOWN]).load_plan()
    task = plan.layer_tasks("deep", TaskKind.FEATURE_MAPS)[0]
    layer = next(layer for layer in plan.layers if layer.slug == "deep")

    def enough(of: KeepMaps, **settings: object) -> bool:
        changed = dataclasses.replace(plan, settings={**plan.settings, **settings})
        return suffices(Store(reports[of]).load(task.key)[1], changed, layer.slug)

    assert enough(KeepMaps.ALL, keep_maps=KeepMaps.NONE)
    assert enough(KeepMaps.SHOWN)
    assert enough(KeepMaps.SHOWN, keep_maps=KeepMaps.NONE)
    assert not enough(KeepMaps.SHOWN, keep_maps=KeepMaps.ALL)
    assert not enough(KeepMaps.SHOWN, colormap="magma")
    assert not enough(KeepMaps.NONE, keep_maps=KeepMaps.SHOWN)
    fewer = dataclasses.replace(plan, images=plan.images[1:])
    assert not suffices(Store(reports[KeepMaps.NONE]).load(task.key)[1], fewer, layer.slug)


def test_what_relu_cuts_off_is_stored_without_what_it_leaves() -> None:
    pre = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float16)
    pre[0, 0] = [np.nan, np.inf, -0.0]
    stored = compact({"maps": np.maximum(pre, 0), "pre": pre})
    assert set(stored) == {"maps", "below"}
    assert all(array.flags.f_contiguous for array in stored.values())
    assert before(stored).tobytes() == pre.tobytes()
    other = compact({"maps": np.tanh(pre), "pre": pre})
    assert set(other) == {"maps", "pre"}
    assert before(other).tobytes() == pre.tobytes()
