"""`index`: an archive of reports on one page, what changed from one to the next, and what cannot be read."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from click.testing import CliRunner

import report_fixture
from reportgen.archive.pack import archive
from reportgen.cli.main import main
from reportgen.core.errors import EXIT_INCOMPLETE, EXIT_USAGE
from reportgen.core.store import Store
from reportgen.releases.finding import natural
from reportgen.releases.release import stated_accuracy
from reportgen.report.assemble import assemble

STATEMENT = (
    'name = "Tiny <b>"\nversion = "1.1"\ndate = "{date}"\nvalidation = "Accuracy of 92.5 % on 400 photographs."\n'
)


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(main, ["index", *(str(word) for word in words)])


def made(folder: Path, change: float = 0.0) -> Path:
    """A finished report; with a `change` the kernel of filter 2 of `point` is longer by it."""
    report_fixture.make(folder, missing=False)
    store = Store(folder)
    arrays, facts = store.load("ww-point")
    arrays = {name: np.array(array) for name, array in arrays.items()}
    arrays["kernel"][..., 2] *= 1 + change
    store.save("ww-point", arrays, facts)
    assemble(folder)
    return folder


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three reports: v2, v9 in a zip with a statement, and v10 with another filter."""
    folder = tmp_path_factory.mktemp("releases") / "shelf & more"
    first = made(folder / "v2")
    archive(first, folder / "old" / "v9.zip", STATEMENT.format(date="2026-05-01").encode())
    made(folder / "v10", 0.25)
    (folder / "v10" / "notes.zip").write_bytes(b"inside of a report, which is not searched")
    return folder


@pytest.fixture(scope="module")
def written(reports: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The page in a folder of its own, and its facts."""
    output = tmp_path_factory.mktemp("page") / "out"
    done = run(reports, "-o", output)
    assert (done.exit_code, done.stdout) == (0, f"{output / 'index.html'}\n"), done.stderr
    return output, json.loads((output / "index.json").read_text())


def test_each_report_has_a_line_with_what_is_known_of_it(written: tuple[Path, Any]) -> None:
    found = written[1]["releases"]
    assert [one["name"] for one in found] == ["old/v9.zip", "v2", "v10"]
    assert [one["date"] for one in found] == ["2026-05-01", None, None]
    assert [one["accuracy"] for one in found] == [0.925, None, None]
    assert {(one["parameters"], one["layers"], one["filters_total"], one["filters_shown"]) for one in found} == {
        (1234, 3, 80, 24)
    }
    assert found[0]["verdicts"]["dead"] == 2
    text = html.unescape((written[0] / "index.html").read_text())
    assert "Ordered by name, since 2 of 3 reports state no date." in text
    assert "Tiny &lt;b> · version 1.1" in (written[0] / "index.html").read_text().replace("&gt;", ">")


def test_what_changed_is_that_of_the_report_before(written: tuple[Path, Any]) -> None:
    first, same, other = (one["since"] for one in written[1]["releases"])
    assert first is None
    assert (same["changed"], same["filters_changed"], same["largest_change"]) == ([], 0, 0)
    assert (other["changed"], other["filters_changed"], other["largest_at"]) == (["point"], 1, ["point", 2])
    assert other["largest_change"] == pytest.approx(0.25, rel=1e-5)
    text = (written[0] / "index.html").read_text()
    assert "1 of 3 layers changed: point" in text
    assert "no change in 3 layers" in text
    assert re.search(r'href="[^"]*v10/layers/point\.html#f002">largest change 0\.2500: point, filter 2<', text)


def test_every_link_leads_to_a_file(written: tuple[Path, Any]) -> None:
    page = written[0] / "index.html"
    targets = [unquote(html.unescape(link)) for link in re.findall(r'href="([^"#][^"]*)"', page.read_text())]
    files = [page.parent / target.partition("#")[0] for target in targets]
    assert len(files) > 3
    assert [str(file) for file in files if not file.is_file()] == []


def test_the_same_reports_give_the_same_bytes_and_are_compared_once(reports: Path, written: tuple[Path, Any]) -> None:
    files = [written[0] / name for name in ("index.html", "index.json")]
    before = [file.read_bytes() for file in files]
    done = run(reports, "-o", written[0])
    assert (done.exit_code, "comparing" in done.stderr) == (0, False)
    assert [file.read_bytes() for file in files] == before
    files[1].write_text('{"schema": "reportgen-index/1"}')
    assert "comparing v10 with v2" in run(reports, "-o", written[0]).stderr
    assert [file.read_bytes() for file in files] == before


def test_an_accuracy_that_was_measured_comes_before_one_that_is_stated(reports: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    shutil.copytree(reports / "v2", folder / "v2")
    facts = json.loads((folder / "v2" / "report.json").read_text())
    model = {
        **{"images": 400, "correct": 372, "accuracy": 0.93, "classes": [], "confusion": None, "confusions": []},
        **{"calibration": [], "calibration_error": None, "misclassified_total": 28, "misclassified": []},
    }
    facts["dataset"] = {
        **{"source": "pets", "sha256": "0" * 64, "found": 400, "taken": 400, "images": 400, "same_pixels": 0},
        **{"sizes": 1, "left_out": [], "labels": [], "model": model},
    }
    (folder / "v2" / "report.json").write_text(json.dumps(facts))
    (folder / "v2.statement.toml").write_text('validation = "accuracy 0.99"\n')
    assert run(folder).exit_code == 0
    assert json.loads((folder / "index.json").read_text())["releases"][0]["accuracy"] == 0.93
    text = (folder / "index.html").read_text()
    assert "accuracy 93.0 %: 372 of 400 images of pets" in text
    assert "stated: accuracy 0.99" in text


def test_dates_order_reports_where_all_state_one_and_what_cannot_be_read_is_named(
    reports: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shelf"
    shutil.copytree(reports, folder)
    for name, date in (("v2", "2026-06-01"), ("v10", "2026-01-01")):
        (folder / f"{name}.statement.toml").write_text(STATEMENT.format(date=date))
    assert run(folder).exit_code == 0
    assert [one["name"] for one in json.loads((folder / "index.json").read_text())["releases"]] == [
        *("v10", "old/v9.zip", "v2")
    ]
    (folder / "torn.zip").write_bytes((folder / "old" / "v9.zip").read_bytes()[:5000])
    (folder / "going" / ".store").mkdir(parents=True)
    (folder / "going" / ".store" / "plan.json").write_text("{}")
    (folder / "v2.statement.toml").write_text("colour = 3\n")
    (folder / "v10" / "data" / "point" / "weights.npz").write_bytes(b"torn")
    done = run(folder)
    assert done.exit_code == EXIT_INCOMPLETE
    for words in (
        "going: the report in it is unfinished",
        "torn.zip: it cannot be read as a zip",
        "v2: the statement v2.statement.toml has the unknown key `colour`",
        "v10 was not compared with v2",
    ):
        assert words in done.stderr
        assert words in html.unescape((folder / "index.html").read_text())


def test_nothing_of_the_users_is_replaced(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    done = run(reports, "-o", tmp_path)
    assert (done.exit_code, "was not written by `reportgen index`" in done.stderr) == (EXIT_USAGE, True)
    assert run(reports, "-o", tmp_path, "--force").exit_code == 0
    assert run(reports, "-o", reports / "v2").exit_code == EXIT_USAGE, "a report keeps its own first page"
    for folder, words in (
        (reports / "v2", "is a report itself"),
        (tmp_path / "none", "is no folder"),
        (reports / "v2" / "data", "holds no report"),
    ):
        done = run(folder)
        assert (done.exit_code, words in done.stderr) == (EXIT_USAGE, True), done.stderr


@pytest.mark.parametrize(
    ("text", "accuracy"),
    [
        ("accuracy 0.93", 0.93),
        ("loss 1.081, accuracy 0.4306, val_accuracy 0.2917", 0.2917),
        ("An accuracy of 93 % on held-out data", 0.93),
        ("Accuracy: 93.5%", 0.935),
        ("accuracy not measured; 400 photographs", None),
        ("F1 0.9", None),
        ("accuracy 93", None),
        (None, None),
    ],
)
def test_the_accuracy_is_the_one_that_the_statement_states(text: str | None, accuracy: float | None) -> None:
    assert stated_accuracy(text) == (None if accuracy is None else pytest.approx(accuracy))


def test_names_are_ordered_as_people_count() -> None:
    assert sorted(["epoch-10", "epoch-9", "Epoch-1", "v1.10", "v1.9"], key=natural) == [
        *("Epoch-1", "epoch-9", "epoch-10", "v1.9", "v1.10")
    ]


@pytest.mark.browser
def test_the_page_is_fit_for_screens_and_paper_and_orders_its_rows(written: tuple[Path, Any]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    import browser as chromium

    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"], "resultTypes": ["violations"]}
    with chromium.chromium() as started:
        for scheme in ("light", "dark"):
            with chromium.opened(started, written[0] / "index.html", color_scheme=scheme) as (page, seen):
                assert (seen.messages, seen.from_network) == ([], [])
                for width in (320, 360, 768, 1280, 3840):
                    page.set_viewport_size({"width": width, "height": 800})
                    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
                page.set_viewport_size({"width": 360 if scheme == "dark" else 1280, "height": 800})
                assert Axe().run(page, None, options).response["violations"] == []
        with chromium.opened(started, written[0] / "index.html") as (page, _):
            page.get_by_role("button", name="Since the report before").click()
            page.get_by_role("button", name="Since the report before").click()
            assert page.locator("#report-rows a").first.get_attribute("href").endswith("v10/index.html")
            page.emulate_media(media="print")
            page.set_viewport_size({"width": 703, "height": 900})  # of A4 less its margins
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert page.evaluate("[...document.querySelectorAll('#report-rows th')].every(x => x.clientWidth >= 90)")
