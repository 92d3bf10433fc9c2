"""Figures for papers: exact pixels, embedded TrueType fonts, exact widths, the same bytes twice, and a real LaTeX that takes them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw
import pytest
from click.testing import CliRunner
from PIL import Image

import report_fixture
import reportgen
from reportgen.cli.main import main
from reportgen.core.errors import UsageError
from reportgen.core.records import DiagramNode, NodeKind
from reportgen.figures import blocks, latex
from reportgen.report.opened import Report

ROOT = Path(__file__).parent.parent
POINTS_PER_MM = 72 / 25.4
LATEX = shutil.which("pdflatex")


@pytest.fixture(scope="module")
def written(whole_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of a report with every artefact, of the layers whose figures differ in kind."""
    folder = tmp_path_factory.mktemp("figures") / "figures"
    run("figures", str(whole_report), "--layers", "deep", "--layers", report_fixture.HOSTILE_PATH, "-o", str(folder))
    return folder


def run(*arguments: str, code: int = 0) -> str:
    """Run the command; returns what it says on both streams."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done.output


def embedded(pdf: Path) -> list[np.ndarray]:
    """The pictures of a page with their own pixels, uint8 (height, width, 3) RGB, in the order in which they are drawn."""
    page = pypdfium2.PdfDocument(pdf)[0]
    found = page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE])
    return [np.asarray(item.get_bitmap().to_pil().convert("RGB")) for item in found]


def test_patterns_are_embedded_with_the_pixels_that_were_measured(whole_report: Path, written: Path) -> None:
    stored = np.load(whole_report / "data" / "deep" / "patterns.npz")["images"]
    silent = report_fixture.SILENT[1]
    numbers = np.load(whole_report / "data" / "deep" / "patterns.npz")["indices"].tolist()
    found = embedded(written / "deep-patterns.pdf")
    assert len(found) == len(stored)
    for number, picture, pixels in zip(numbers, found, stored, strict=True):
        if number == silent:
            assert np.ptp(picture) == 0, "a silent filter's picture is flat"
        else:
            np.testing.assert_array_equal(picture, pixels)


def test_png_enlarges_every_pixel_to_the_same_whole_number_of_dots(whole_report: Path, tmp_path: Path) -> None:
    report = reportgen.open(whole_report)
    figure = report.figure("deep", "patterns", filters=[0, 5], dpi=300)
    figure.savefig(tmp_path / "drawn.png")
    drawn = np.asarray(Image.open(tmp_path / "drawn.png"))[..., :3]
    pixels = report["deep"][0].pattern
    assert pixels is not None
    height, width = pixels.shape[:2]
    scale = next(
        scale for scale in range(40, 0, -1) if _holds(drawn, pixels.repeat(scale, axis=0).repeat(scale, axis=1))
    )
    assert scale * width <= drawn.shape[1] / 2
    assert scale * height <= drawn.shape[0]


def _holds(drawn: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a drawing has a picture somewhere, pixel for pixel."""
    height, width = picture.shape[:2]
    if height > drawn.shape[0] or width > drawn.shape[1]:
        return False
    corner = (drawn[: drawn.shape[0] - height + 1, : drawn.shape[1] - width + 1] == picture[0, 0]).all(axis=-1)
    return any(
        np.array_equal(drawn[y : y + height, x : x + width], picture) for y, x in zip(*np.nonzero(corner), strict=True)
    )


def test_fonts_are_embedded_truetype_and_colors_opaque(written: Path) -> None:
    for pdf in written.glob("*.pdf"):
        data = pdf.read_bytes()
        assert b"/FontFile2" in data, pdf.name
        assert b"/Type3" not in data, pdf.name
        assert b"/SMask" not in data, pdf.name
        assert b"/CreationDate" not in data, pdf.name
        text = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded()
        assert text.strip(), f"{pdf.name} has no letters"


@pytest.mark.parametrize(
    ("width", "millimeters"), [("ieee1", 88.9), ("nature2", 183.0), ("neurips", 139.7), ("82.55", 82.55)]
)
def test_width_is_exact_to_a_tenth_of_a_millimeter(
    whole_report: Path, tmp_path: Path, width: str, millimeters: float
) -> None:
    run("figures", str(whole_report), "--what", "network", "--width", width, "-o", str(tmp_path))
    page = pypdfium2.PdfDocument(tmp_path / "network.pdf")[0]
    assert page.get_width() / POINTS_PER_MM == pytest.approx(millimeters, abs=0.05)
    (entry,) = json.loads((tmp_path / "captions.json").read_text("utf-8"))["figures"]
    assert entry["width_mm"] == pytest.approx(millimeters, abs=0.05)


def test_the_same_bytes_twice(whole_report: Path, tmp_path: Path) -> None:
    wanted = ["--what", "maps,network", "--layers", "deep", "--format", "pdf,svg,png"]
    contents = []
    for place, seed in enumerate(("1", "2")):
        folder = tmp_path / seed / "figures"
        command = [sys.executable, "-m", "reportgen", "figures", str(whole_report), *wanted, "-o", str(folder)]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": ("UTC", "Asia/Tokyo")[place]}
        if place:  # a user's own settings of Matplotlib count for nothing
            (tmp_path / "matplotlibrc").write_text("font.size: 20\nfont.family: serif\n")
            environment["MATPLOTLIBRC"] = str(tmp_path)
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]
    assert {name.rpartition(".")[2] for name in contents[0]} == {"pdf", "svg", "png", "json", "tex", "bib"}


def test_a_date_is_stated_only_where_the_environment_states_one(
    whole_report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    run("figures", str(whole_report), "--what", "network", "-o", str(tmp_path))
    assert b"/CreationDate (D:19700102000000Z)" in (tmp_path / "network.pdf").read_bytes()


def test_png_is_rgb_with_its_resolution(whole_report: Path, tmp_path: Path) -> None:
    options = ["--what", "network", "--format", "png", "--dpi", "300", "--width", "88.9"]
    run("figures", str(whole_report), *options, "-o", str(tmp_path))
    picture = Image.open(tmp_path / "network.png")
    assert picture.mode == "RGB"
    assert picture.width == 1050
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_captions_state_counts_scale_and_seed(written: Path) -> None:
    listed = json.loads((written / "captions.json").read_text("utf-8"))
    captions = {entry["name"]: entry["caption"] for entry in listed["figures"]}
    assert re.search(r"7 of 70 filters( \(evenly spaced\))? of deep, \d+ × \d+ pixels", captions["deep-patterns"])
    assert "64 steps, float32, seed 0" in captions["deep-patterns"]
    assert "silent: 10." in captions["deep-patterns"]
    assert re.search(r"from 0 to [\d.]+", captions["deep-maps"])
    assert "12 of 70 filters" in captions["deep-weights"]
    assert "reportgen" in listed["references"]
    for entry in listed["figures"]:
        assert re.fullmatch(r"[a-z0-9_-]{1,64}", entry["name"])
        assert all((written / name).is_file() for name in entry["files"])


@pytest.mark.skipif(LATEX is None, reason="there is no pdflatex on this machine")
def test_the_recipe_of_a_paper_compiles_with_every_figure(written: Path) -> None:
    recipe = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    (source,) = re.findall(r"```latex\n(.*?)```", recipe, re.DOTALL)
    paper = written.parent / "paper.tex"
    paper.write_text(source.replace("conv3", "deep").replace(r"\end{document}", r"\clearpage\end{document}"), "utf-8")
    commands = [["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]]
    if shutil.which("bibtex"):
        commands += [["bibtex", "paper"], commands[0], commands[0]]
    for command in commands:
        done = subprocess.run(command, cwd=written.parent, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = paper.with_suffix(".log").read_text(errors="replace")
    assert "undefined references" not in log or not shutil.which("bibtex")
    assert b"/Type3" not in paper.with_suffix(".pdf").read_bytes()
    pages = pypdfium2.PdfDocument(paper.with_suffix(".pdf"))
    text = "".join(page.get_textpage().get_text_bounded() for page in pages)
    drawn = json.loads((written / "captions.json").read_text("utf-8"))["figures"]
    assert {f"Figure {place}:" for place in range(1, len(drawn) + 1)} <= set(re.findall(r"Figure \d+:", text))


@pytest.mark.skipif(LATEX is None, reason="there is no pdflatex on this machine")
def test_a_paper_takes_figures_of_two_reports_as_pgf_and_pdf(whole_report: Path, tmp_path: Path) -> None:
    run("figures", str(whole_report), "--what", "histograms,network", "--format", "pgf", "-o", str(tmp_path / "one"))
    run(
        "figures",
        str(whole_report),
        "--what",
        "histograms,maps",
        "--layers",
        "deep",
        "--format",
        "pgf",
        "-o",
        str(tmp_path / "two"),
    )
    run("figures", str(whole_report), "--what", "network", "-o", str(tmp_path / "three"))
    inputs = "".join(rf"\input{{{name}/figures}}" for name in ("one", "two", "three"))
    head = r"\documentclass{article}\usepackage{graphicx,pgf}\begin{document}"
    (tmp_path / "paper.tex").write_text(rf"{head}{inputs}\clearpage\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    pages = pypdfium2.PdfDocument(tmp_path / "paper.pdf")
    text = "".join(page.get_textpage().get_text_bounded() for page in pages)
    assert set(re.findall(r"Figure \d+:", text)) == {f"Figure {number}:" for number in range(1, 6)}


def test_more_figures_than_latex_holds_are_placed_in_between() -> None:
    one = latex.Included("a.pdf", 88.9, "A caption.", "fig:a", None)
    text = latex.document([one] * 53, "figures", wide=False)
    assert max(len(part.split(r"\begin{figure}")) - 1 for part in text.split(r"\clearpage")) < 52


def test_text_is_escaped_for_latex() -> None:
    hostile = 'a_b%c&d#e$f{g}h\\i~j^k<l>m"n × −3 4 × 10⁻⁵ é 🐈'
    escaped = latex.escaped(hostile)
    assert r"a\_b\%c\&d\#e\$f\{g\}h\textbackslash{}i" in escaped
    assert r"4~$\times$~10$^{-5}$ é [U+1F408]" in escaped


def test_figures_refuse_what_cannot_be_meant(whole_report: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "figures.tex").write_text("mine")
    style = tmp_path / "bad.mplstyle"
    style.write_text("no.such.parameter: 3\n")
    for arguments, words in (
        (["--what", "poetry"], "--what poetry is none of patterns, minimal"),
        (["--width", "wide"], "--width wide is none of ieee1"),
        (["--width", "3"], "30 to 600 mm"),
        (["--layers", "nothing"], "no layer of the report fits"),
        (["--images", "nothing.png"], "--images nothing.png is none of"),
        (["--style", str(style)], "which Matplotlib does not know"),
        (["-o", str(own)], "was not written by reportgen"),
        (["-o", str(whole_report / "figures")], "is in the report itself"),
        (["--what", "patterns", "--filters", "999-999"], "nothing to draw"),
    ):
        output = [] if "-o" in arguments else ["-o", str(tmp_path / "new")]
        assert words in run("figures", str(whole_report), *arguments, *output, code=2), arguments
    assert not (tmp_path / "new").exists()
    assert (own / "figures.tex").read_text() == "mine"


def test_a_user_can_change_a_figure(whole_report: Path, tmp_path: Path) -> None:
    report = reportgen.open(whole_report)
    figure = report.figure("deep", "maps", images="plain.png", filters=[0, 5], width=60)
    figure.text(0.5, 0.5, "mine", color="white")
    figure.savefig(tmp_path / "changed.pdf")
    assert b"/FontFile2" in (tmp_path / "changed.pdf").read_bytes()
    assert "mine" in pypdfium2.PdfDocument(tmp_path / "changed.pdf")[0].get_textpage().get_text_bounded()
    with pytest.raises(UsageError, match="of all layers"):
        report.figure("deep", "network")


def test_what_is_narrower_than_the_page_stands_in_the_middle(whole_report: Path) -> None:
    report = reportgen.open(whole_report)
    numbers = [one.index for one in report["deep"].filters][:4]
    figure = report.figure("deep", "patterns", filters=numbers, width=180)
    left, right = figure.axes[0].get_xlim()
    edges = [edge for image in figure.axes[0].images for edge in image.get_extent()[:2]]
    assert max(edges) - min(edges) < 0.9 * (right - left)
    assert min(edges) - left == pytest.approx(right - max(edges), abs=2)


def test_filters_are_a_table(whole_report: Path) -> None:
    report = reportgen.open(whole_report)
    rows = report.filters()
    assert len({tuple(row) for row in rows}) == 1, "every row has the same columns"
    assert len(rows) == sum(len(layer.filters) for layer in report.layers)
    assert all(value is None or type(value) in (str, int, float) for row in rows for value in row.values())
    row = next(row for row in rows if (row["layer"], row["filter"]) == report_fixture.SILENT)
    assert row["verdict"] == "silent"


def test_notebooks_show_a_report_a_layer_and_a_filter(whole_report: Path) -> None:
    report: Report = reportgen.open(whole_report)
    layer = report[report_fixture.HOSTILE_PATH]
    shown = [report._repr_html_(), layer._repr_html_(), layer[0]._repr_html_()]
    for html in shown:
        assert "<script" not in html
        assert "http" not in html.replace("data:", "")
        assert len(html) < 100_000
    assert all("<img" in html for html in shown[1:])


def chain(*parts: tuple[str, str, tuple[int, ...], tuple[str, ...]]) -> list[DiagramNode]:
    """Nodes of (key, label, shape, inputs)."""
    kinds = {"Input": NodeKind.INPUT, "Add": NodeKind.MERGE, "Concatenate": NodeKind.MERGE}
    return [
        DiagramNode(key, kinds.get(label, NodeKind.CONVOLUTION), key, label, shape, inputs)
        for key, label, shape, inputs in parts
    ]


def test_repeated_blocks_of_the_network_count_once() -> None:
    nodes = chain(("in", "Input", (8, 8, 3), ()), ("stem", "Conv2D", (8, 8, 4), ("in",)))
    last = "stem"
    for number in range(5):
        first, second, merged = (f"{name}{number}" for name in ("a", "b", "add"))
        nodes += chain(
            (first, "Conv2D", (8, 8, 4), (last,)),
            (second, "Conv2D", (8, 8, 4), (first,)),
            (merged, "Add", (8, 8, 4), (second, last)),
        )
        last = merged
    found = blocks.groups(nodes)
    assert [group.count for group in found] == [1, 1, 5]
    (block,) = found[-1].segments
    assert [node.label for node in block.nodes] == ["Conv2D", "Conv2D", "Add"]
    assert block.passes == {("", "add0"): 1}, "the shortcut goes around the convolutions"
    assert block.columns == {"a0": 0, "b0": 1, "add0": 2}


def test_skip_connections_of_a_u_net_are_nested() -> None:
    nodes = chain(
        ("in", "Input", (8, 8, 1), ()),
        ("d1", "Conv2D", (8, 8, 4), ("in",)),
        ("d2", "Conv2D", (4, 4, 8), ("d1",)),
        ("m", "Conv2D", (2, 2, 16), ("d2",)),
        ("c2", "Concatenate", (4, 4, 24), ("m", "d2")),
        ("u2", "Conv2D", (4, 4, 8), ("c2",)),
        ("c1", "Concatenate", (8, 8, 12), ("u2", "d1")),
    )
    found = [segment for group in blocks.groups(nodes) for segment in group.segments]
    assert [len(segment.nodes) for segment in found] == [1, 1, 5]
    assert found[-1].passes == {("d2", "c2"): 1, ("", "c1"): 2}
