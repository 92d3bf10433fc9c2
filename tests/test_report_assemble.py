"""From the store to a folder: the same bytes twice, nothing half written, nothing left over, arrays as stored."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import report_fixture
from reportgen.cli.main import main
from reportgen.core.errors import OutputError, StoreError
from reportgen.core.store import Store
from reportgen.render import weights
from reportgen.report import assemble as module
from reportgen.report import writing as output
from reportgen.report.assemble import assemble
from sample_build import dates, told


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file outside the store, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".store" not in path.parts
    }


OTHERS = ("strongest_images", "strongest_indices", "peak_images", "peak_indices")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    report_fixture.make(tmp_path / "report")
    return tmp_path / "report"


def test_what_is_written_is_what_the_contract_lists(folder: Path) -> None:
    assert assemble(folder).index == folder / "index.html"
    written = {name for name in contents(folder) if not name.startswith("assets/")}
    expected = {"index.html", "report.json"}
    for slug, maps in (("colour", ("", ".pre")), ("deep", ("", ".pre")), ("point", ("",))):
        expected |= {f"layers/{slug}.html", f"figures/{slug}/weights.png", f"figures/{slug}/patterns.png"}
        expected |= {f"figures/{slug}/strip.png", f"figures/{slug}/telling.png"} | {
            f"figures/{slug}/overview/{image}.png" for image in ("cat", "plain")
        }
        expected |= {f"data/{slug}/{name}.npz" for name in ("weights", "patterns", "feature_maps")}
        expected |= {f"figures/{slug}/feature_maps/{image}{kind}.png" for image in ("cat", "plain") for kind in maps}
    expected.add("figures/colour/strongest.png")  # of the one filter whose pattern is far from its strongest picture
    assert written == expected


def test_the_tiles_of_a_kernel_are_found_once_for_all_cards_of_a_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, original = [], weights.kernel_layout

    def counted(arrays: Any, layer: Any) -> Any:
        found.append(layer.slug)
        return original(arrays, layer)

    monkeypatch.setattr(weights, "kernel_layout", counted)
    assemble(folder)
    assert {slug: found.count(slug) for slug in found} == {"colour": 1, "deep": 1}  # a matrix has no tiles


def test_what_is_written_with_minimal_patterns_and_outputs_is_only_what_they_have(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, negative=True, outputs=True)
    assemble(tmp_path)
    written = set(contents(tmp_path))
    assert {f"figures/{slug}/minimal_patterns.png" for slug in ("colour", "deep", "point", "logits")} <= written
    assert {name for name in written if "logits" in name} == {
        "layers/logits.html",
        *(f"figures/logits/{name}.png" for name in ("patterns", "minimal_patterns", "strip")),
        "data/logits/patterns.npz",
        "data/logits/minimal_patterns.npz",
    }


def test_the_same_store_gives_the_same_bytes_in_every_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        report_fixture.make(tmp_path / name, negative=True, outputs=True)
        assemble(tmp_path / name)
    first = contents(tmp_path / "one")
    assert first == contents(tmp_path / "two")
    assemble(tmp_path / "one")
    assert first == contents(tmp_path / "one")


def test_the_same_bytes_do_not_depend_on_the_hash_seed_of_the_process(tmp_path: Path) -> None:
    report_fixture.make(tmp_path)
    assemble(tmp_path)
    before = contents(tmp_path)
    code = (
        "import sys, pathlib; from reportgen.report.assemble import assemble; folder = pathlib.Path(sys.argv[1]);"
        "(folder / 'index.html').unlink(); (folder / 'report.json').unlink(); assemble(folder);"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    root = Path(__file__).parent.parent
    environment = {"PYTHONHASHSEED": "1234", "PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment, cwd=root)
    assert before == contents(tmp_path)


def test_a_file_that_already_has_its_bytes_is_not_written_again(folder: Path) -> None:
    assemble(folder)
    before = {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
    assemble(folder)
    assert before == {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def test_no_file_names_the_machine_the_folder_or_the_day(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "host-of-this-test")
    monkeypatch.setattr("socket.gethostname", lambda: "host-of-this-test")
    monkeypatch.setenv("USER", "user-of-this-test")
    days = dates(datetime.now()) | dates(datetime.now(UTC))
    assemble(folder)
    assert told(folder, {str(folder), "/tmp", "host-of-this-test", "user-of-this-test", *days}) == set()


def test_interrupted_in_the_middle_the_first_page_and_the_facts_stay_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble(folder)
    before = contents(folder)
    plan = Store(folder).load_plan()
    settings = {**plan.settings, "title": "Another title"}
    report_fixture.replan(folder, plan, settings=settings)
    render, calls = module.render_layer, []

    def interrupted(*arguments: object) -> bytes:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return render(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "render_layer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assemble(folder)
    after = contents(folder)
    assert after["index.html"] == before["index.html"]
    assert after["report.json"] == before["report.json"]
    assert after["layers/colour.html"] != before["layers/colour.html"]
    assert set(before) <= set(after)
    assert not [name for name in after if name.endswith(".tmp")]
    monkeypatch.undo()
    assemble(folder)
    assert json.loads((folder / "report.json").read_text())["title"] == "Another title"


def test_the_facts_and_the_first_page_are_replaced_last_and_old_files_go_after_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble(folder)
    old = folder / "layers" / "old.html"
    old.write_text("old")
    add_to_list(folder, "layers/old.html")
    plan = Store(folder).load_plan()
    report_fixture.replan(folder, plan, settings={**plan.settings, "title": "Another title"})
    write, written = output.write_atomically, []

    def recorded(path: Path, data: bytes) -> None:
        written.append((path.name, old.exists()))
        write(path, data)

    monkeypatch.setattr(output, "write_atomically", recorded)
    assemble(folder)
    assert written[-3:] == [("report.json", True), ("index.html", True), ("written.json", False)]
    assert not old.exists()


def test_what_an_older_report_left_is_removed_and_nothing_else(folder: Path) -> None:
    plan = Store(folder).load_plan()
    assemble(folder)
    mine = ["notes.txt", "elsewhere/a.html", "layers/mine.html", "data/deep/mine.csv", "figures/holiday.png"]
    for name in mine:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    report_fixture.replan(folder, plan, layers=plan.layers[:1], tasks=plan.layer_tasks("colour", "weights"))
    assemble(folder)
    names = set(contents(folder))
    assert set(mine) <= names
    ours = names - set(mine)
    assert {name.split("/")[1] for name in ours if name.startswith(("figures/", "data/"))} == {"colour"}
    assert not [name for name in ours if "deep" in name or "point" in name or name.startswith("assets/images")]
    assert not (folder / "data" / "point").exists()
    assert not (folder / "figures" / "deep").exists()


def test_without_a_list_of_an_earlier_report_nothing_is_removed(folder: Path) -> None:
    mine = ("layers/draft.html", "data/results.csv", "figures/deep/plot.png", "assets/logo.svg")
    for name in mine:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    assemble(folder)
    assert {(folder / name).read_text() for name in mine} == {"mine"}
    assemble(folder)  # now there is a list, and it does not name them
    assert {(folder / name).read_text() for name in mine} == {"mine"}


def add_to_list(folder: Path, *names: object) -> None:
    path = folder / ".store" / "written.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), *names]))


def test_the_list_names_every_file_of_the_report_in_order(folder: Path) -> None:
    assemble(folder)
    assert json.loads((folder / ".store" / "written.json").read_text()) == sorted(contents(folder))


def test_a_list_that_names_files_outside_the_report_removes_none_of_them(folder: Path) -> None:
    assemble(folder)
    outside = folder.parent / "outside"
    outside.mkdir()
    precious = [outside / "precious.txt", folder / "run.json", folder / "thesis.tex", folder / "data" / ".hidden"]
    for path in precious:
        path.write_text("mine")
    (folder / "layers" / "link").symlink_to(outside)
    add_to_list(
        folder,
        str(outside / "precious.txt"),
        "../outside/precious.txt",
        "layers/../../outside/precious.txt",
        "layers/link/precious.txt",
        "run.json",
        "thesis.tex",
        ".store/plan.json",
        "data/.hidden",
        "layers",
        "layers/\0",
        "layers/\ud800",
        "",
        7,
        None,
    )
    assemble(folder)
    assert [path.read_text() for path in precious] == ["mine"] * len(precious)
    assert Store(folder).load_plan()


@pytest.mark.parametrize(
    "damaged", [b"", b"null", b'{"layers/mine.html": 1}', b"[1, null]", b"\xff", b'"layers/deep.html"', b"[" * 100_000]
)
def test_a_list_that_cannot_be_read_removes_nothing(folder: Path, damaged: bytes) -> None:
    assemble(folder)
    (folder / "layers" / "mine.html").write_text("mine")
    (folder / ".store" / "written.json").write_bytes(damaged)
    assemble(folder)
    assert (folder / "layers" / "mine.html").read_text() == "mine"


def test_what_an_interrupted_run_wrote_is_removed_by_a_later_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Store(folder).load_plan()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "render_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assemble(folder)
    monkeypatch.undo()
    assert (folder / "layers" / "deep.html").exists()
    report_fixture.replan(folder, plan, layers=plan.layers[:1], tasks=plan.layer_tasks("colour", "weights"))
    assemble(folder)
    assert not (folder / "layers" / "deep.html").exists()


@pytest.mark.parametrize(
    ("blocked", "words"),
    [
        ("layers", "layers/colour.html cannot be written in the report's folder (layers is a file)"),
        ("data/deep", "data/deep/weights.npz cannot be written in the report's folder (data/deep is a file)"),
    ],
)
def test_a_file_in_the_way_is_one_sentence_without_a_path_of_the_machine(
    folder: Path, blocked: str, words: str
) -> None:
    (folder / blocked).parent.mkdir(exist_ok=True)
    (folder / blocked).write_text("mine")
    with pytest.raises(OutputError) as caught:
        assemble(folder)
    assert str(caught.value) == f"{words}; what was computed is kept."
    assert (folder / blocked).read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, data: bytes) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(output, "write_atomically", refused)
    with pytest.raises(OutputError, match=r"^assets/style-\w+\.css cannot be written .*Permission denied") as caught:
        assemble(folder)
    assert str(folder) not in str(caught.value)


def test_a_page_in_whose_place_a_folder_stands_is_one_sentence(folder: Path) -> None:
    (folder / "index.html").mkdir()
    result = CliRunner().invoke(main, ["assemble", str(folder)])
    assert result.exit_code == 2
    assert result.stderr.startswith("reportgen: index.html cannot be written in the report's folder (Is a directory)")
    assert len(result.stderr.splitlines()) == 1


def test_arrays_are_written_as_they_are_stored(folder: Path) -> None:
    assemble(folder)
    store = Store(folder)
    stored, _ = store.load("ww-deep")
    with np.load(folder / "data/deep/weights.npz", allow_pickle=False) as archive:
        assert set(archive) == {"kernel", "bias"}
        np.testing.assert_array_equal(archive["kernel"], stored["kernel"])
    first, _ = store.load("pp-colour-early")
    second, _ = store.load("pp-colour-late")
    with np.load(folder / "data/colour/patterns.npz", allow_pickle=False) as archive:
        assert set(archive) == {"images", "indices", *OTHERS}
        np.testing.assert_array_equal(archive["images"], np.concatenate([first["images"], second["images"]]))
        np.testing.assert_array_equal(archive["indices"], np.arange(6, dtype=np.int32))
        assert archive["indices"].dtype == np.int32
        _, index = report_fixture.FAR
        assert (archive["strongest_indices"].tolist(), archive["strongest_indices"].dtype) == ([index], np.int32)
        np.testing.assert_array_equal(archive["strongest_images"], 255 - archive["images"][[index]])
        assert archive["peak_images"].shape == (0, 16, 12, 3)
    with np.load(folder / "data/point/patterns.npz", allow_pickle=False) as archive:
        _, index = report_fixture.HIGHER
        assert (archive["peak_indices"].tolist(), archive["peak_indices"].dtype) == ([index], np.int32)
        np.testing.assert_array_equal(archive["peak_images"], 255 - archive["images"][[index]])
        assert archive["strongest_images"].shape == (0, 16, 12, 3)
    maps, _ = store.load("fm-colour-cat")
    with np.load(folder / "data/colour/feature_maps.npz", allow_pickle=False) as archive:
        assert set(archive) == {"cat", "plain"}
        np.testing.assert_array_equal(archive["cat"], maps["maps"])
        assert archive["cat"].dtype == np.float16


def test_minimal_patterns_are_written_beside_the_patterns(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, negative=True)
    assemble(tmp_path)
    store = Store(tmp_path)
    first, second = (store.load(f"nn-colour-{name}")[0] for name in ("early", "late"))
    with np.load(tmp_path / "data/colour/minimal_patterns.npz", allow_pickle=False) as archive:
        assert set(archive) == {"images", "indices"}
        np.testing.assert_array_equal(archive["images"], np.concatenate([first["images"], second["images"]]))
        np.testing.assert_array_equal(archive["indices"], np.arange(6, dtype=np.int32))
        assert archive["indices"].dtype == np.int32
    with np.load(tmp_path / "data/colour/patterns.npz", allow_pickle=False) as archive:
        assert set(archive) == {"images", "indices", *OTHERS}


def test_minimal_patterns_that_are_broken_or_show_nothing_are_never_shown_as_noise(tmp_path: Path) -> None:
    report_fixture.make(tmp_path, negative=True)
    assemble(tmp_path)
    picture = np.asarray(Image.open(tmp_path / "figures/colour/minimal_patterns.png"))
    tiles = [picture[2:98, 2 + place * 74 : 2 + place * 74 + 72] for place in range(6)]
    colours = [len(np.unique(tile.reshape(-1, 3), axis=0)) for tile in tiles]
    assert colours[1] == 1  # activation as at its start: plain
    assert colours[3] == 2  # not finite: hatched
    assert min(colours[0], colours[2], colours[4], colours[5]) > 50
    stored, _ = Store(tmp_path).load("nn-colour-early")
    np.testing.assert_array_equal(tiles[0][::6, ::6], stored["images"][0])


def test_what_display_crops_is_stored_whole_and_shown_without_its_border(folder: Path) -> None:
    report_fixture.make(folder, negative=True)
    store = Store(folder)
    for key in ("pp-colour-early", "pp-colour-late", "nn-colour-early", "nn-colour-late"):
        arrays, facts = store.load(key)
        store.save(key, arrays, {**facts, "crop": 2})
    assemble(folder)
    scale = 8  # 12 pixels are enlarged to 96
    for file, key in (("minimal_patterns", "nn-colour-early"), ("patterns", "pp-colour-early")):
        picture = np.asarray(Image.open(folder / f"figures/colour/{file}.png"))
        stored, _ = store.load(key)
        np.testing.assert_array_equal(
            picture[2 : 2 + 12 * scale : scale, 2 : 2 + 8 * scale : scale], stored["images"][0, 2:-2, 2:-2]
        )
    page = (folder / "layers" / "colour.html").read_text()
    assert page.count("2 pixels at each side are measured but not shown.") == 2
    assert "; 2 of 12 pixels cropped at each side for display." in page
    strip = np.asarray(Image.open(folder / "figures/colour/strip.png"))
    np.testing.assert_array_equal(strip[2 : 2 + 12 * 6 : 6, 2 : 2 + 8 * 6 : 6], stored["images"][0, 2:-2, 2:-2])
    with np.load(folder / "data/colour/patterns.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["images"][:3], stored["images"])


def test_patterns_in_the_grid_are_the_pixels_that_were_stored(folder: Path) -> None:
    assemble(folder)
    stored, _ = Store(folder).load("pp-colour-early")
    picture = np.asarray(Image.open(folder / "figures/colour/patterns.png"))
    scale = 6  # 16 pixels are enlarged to 96
    gap = 2
    np.testing.assert_array_equal(
        picture[gap : gap + 16 * scale : scale, gap : gap + 12 * scale : scale], stored["images"][0]
    )


def test_dead_and_broken_patterns_are_never_shown_as_noise(folder: Path) -> None:
    assemble(folder)
    picture = np.asarray(Image.open(folder / "figures/colour/patterns.png"))
    tiles = [picture[2:98, 2 + place * 74 : 2 + place * 74 + 72] for place in range(6)]
    colours = [len(np.unique(tile.reshape(-1, 3), axis=0)) for tile in tiles]
    assert colours[1] == 1  # dead: plain
    assert colours[3] == 2  # not finite: hatched
    assert min(colours[0], colours[2], colours[4], colours[5]) > 50


def test_the_users_picture_is_shown_as_the_model_was_fed_it(folder: Path) -> None:
    assemble(folder)
    stored, _ = Store(folder).load("im-cat")
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "assets/images/cat.png")), stored["picture"])


def test_problems_name_each_thing_that_is_missing_damaged_or_left_out(folder: Path) -> None:
    store = Store(folder)
    for key in ("ww-point", "fm-deep-cat", "na-deep", "im-plain"):
        path = store.folder / key[:2] / f"{key}.npz"
        path.write_bytes(path.read_bytes()[:40])
    problems = assemble(folder).problems
    assert problems == (
        "torn.jpg: left out, it is cut short.",
        "plain.png: its picture and predictions are not computed.",
        f"{report_fixture.HOSTILE_PATH}: 1 of 6 patterns is not finite (filter 3).",
        f"deep: feature maps of 1 of 2 images are not computed ({report_fixture.HOSTILE_IMAGE}); natural maxima are "
        "not computed, so patterns are compared with their start; patterns of 7 of 14 filters are not computed.",
        "point: the weights are not computed.",
        "point: 1 of 4 patterns is not finite (filter 3).",
    )


@pytest.mark.parametrize(
    "place", [40, 400, -1000]
)  # the start of the compressed kernel, its middle, and what follows it
def test_a_task_damaged_in_its_middle_counts_as_missing(folder: Path, place: int) -> None:
    path = Store(folder).folder / "ww" / "ww-deep.npz"
    data = bytearray(path.read_bytes())
    data[place : place + 16] = b"\xff" * 16
    path.write_bytes(data)
    assert any(problem.startswith("deep: the weights are not computed") for problem in assemble(folder).problems)


def test_a_folder_without_a_stored_run_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="reportgen build"):
        assemble(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["../escape", "UPPER", "", "a" * 65, "with space", "nul\0"])
def test_a_plan_that_would_write_outside_its_folder_is_refused(folder: Path, slug: str) -> None:
    plan = Store(folder).load_plan()
    report_fixture.replan(folder, plan, layers=(report_fixture.layer(slug),))
    with pytest.raises(StoreError, match="file name"):
        assemble(folder)
    assert not (folder / "index.html").exists()


def test_two_layers_of_one_slug_are_refused(folder: Path) -> None:
    plan = Store(folder).load_plan()
    report_fixture.replan(folder, plan, layers=(plan.layers[0], plan.layers[0]))
    with pytest.raises(StoreError, match="alike"):
        assemble(folder)


def test_progress_counts_every_layer_once(folder: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    assemble(folder, progress=lambda *state: seen.append(state))
    assert [state[:2] for state in seen] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert seen[1][2] == "deep"
