"""`archive` and `verify`: one file whose every byte is accounted for, and whose documents say what report.json says."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import aibom_fields
import reportgen
from reportgen.archive import bag
from reportgen.archive.opened import opened
from reportgen.archive.pack import archive
from reportgen.archive.statement import Statement
from reportgen.archive.verify import rebuild, verify
from reportgen.cli.main import main
from reportgen.core import DISTRIBUTION, __version__, distributions
from reportgen.core.errors import OutputError, UsageError
from reportgen.core.store import Store

STATED = {
    "name": "Cats & dogs",
    "version": "1.2.0",
    "date": "2026-05-01",
    "owner": "Example Ltd",
    "license": "CC-BY-4.0",
    "source": "https://example.org/models/cats",
    "purpose": "Tells cats from dogs | <b>nothing else</b>.",
    "data": "10,000 photographs.",
    "limits": "Not for lions.",
}
STATEMENT = "".join(f"{key} = {json.dumps(value)}\n" for key, value in STATED.items()).encode()
TAGS = {
    *("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "ro-crate-metadata.json"),
    *("bom.cdx.json", "model-card.md", "audit.md", "environment.txt"),
}


@pytest.fixture(scope="module")
def report(whole_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished report that says what was installed, beside files that are not part of it."""
    folder = tmp_path_factory.mktemp("archived") / "report"
    shutil.copytree(whole_report, folder)
    distributions.keep(folder)
    (folder / "run.json").write_text("{}")
    (folder / "notes.txt").write_text("the user's own")
    stale = folder / ".store" / "zz" / "zz-stale.npz"
    stale.parent.mkdir()
    stale.write_bytes(b"of an older run")
    return folder


@pytest.fixture(scope="module")
def packed(report: Path) -> Path:
    """Its archive, with a statement."""
    return archive(report, report.parent / "packed.zip", STATEMENT)


@pytest.fixture
def unpacked(packed: Path, tmp_path: Path) -> Path:
    """The folder that the archive was unpacked into."""
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "bag")
    return tmp_path / "bag"


def flip(path: Path, place: int) -> None:
    """Change one bit of one byte."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << random.Random(place).randrange(8)
    path.write_bytes(data)


def facts(report: Path) -> dict[str, Any]:
    """The content of report.json."""
    found: dict[str, Any] = json.loads((report / "report.json").read_bytes())
    return found


def bom_of(path: Path) -> dict[str, Any]:
    """The bill of materials of an archive."""
    with zipfile.ZipFile(path) as file:
        found: dict[str, Any] = json.loads(file.read("bom.cdx.json"))
    return found


def test_an_archive_has_the_report_and_what_assemble_needs_and_nothing_else(report: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        entries = file.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    tags = {name for name in names if not name.startswith("data/")}
    assert tags == {*TAGS, "statement.toml"}
    own = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
    left_out = {"run.json", "notes.txt", ".store/zz/zz-stale.npz", ".store/lock"}
    assert {name.removeprefix("data/") for name in names} - tags == own - left_out


def test_sha256sum_accepts_the_manifests(unpacked: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    command = ["sha256sum", "--strict", "--quiet", "-c", "manifest-sha256.txt", "tagmanifest-sha256.txt"]
    subprocess.run(command, cwd=unpacked, check=True)
    (unpacked / "data" / "index.html").write_text("other")
    assert subprocess.run(command, cwd=unpacked, capture_output=True).returncode == 1


def test_the_same_report_gives_the_same_bytes_elsewhere(
    report: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other place"
    shutil.copytree(report, other)
    for path in sorted(other.rglob("*"), reverse=True):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")  # the statement's date is the one that counts
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.chdir(other)
    assert archive(Path("."), tmp_path / "again.zip", STATEMENT).read_bytes() == packed.read_bytes()


def test_dates_are_stated_or_absent(
    report: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bom_of(packed)["metadata"]["timestamp"] == "2026-05-01T00:00:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    undated = archive(report, tmp_path / "undated.zip")
    assert "timestamp" not in bom_of(undated)["metadata"]
    assert b"Bagging-Date" not in zipfile.ZipFile(undated).read("bag-info.txt")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert bom_of(archive(report, tmp_path / "dated.zip"))["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is 'today'"):
        archive(report, tmp_path / "never.zip")


def test_an_archive_opens_without_unpacking(report: Path, packed: Path, unpacked: Path) -> None:
    whole = reportgen.open(report)
    for path in (packed, unpacked):
        opened = reportgen.open(path)
        assert opened.document == whole.document
        assert (opened["colour"].patterns == whole["colour"].patterns).all()
        figure = opened["colour"].figure("weights.png")
        assert figure is not None
        assert figure.read_bytes() == (report / "figures" / "colour" / "weights.png").read_bytes()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("data/report.json", "{}")
    with pytest.raises(UsageError, match=r"other\.zip is no archive of a report"):
        reportgen.open(tmp_path / "other.zip")
    (tmp_path / "torn.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"torn\.zip cannot be read as a zip"):
        reportgen.open(tmp_path / "torn.zip")


def test_numbers_of_the_bill_of_materials_are_those_of_the_report(report: Path, packed: Path) -> None:
    document, bom = facts(report), bom_of(packed)
    model = aibom_fields.model(bom)
    assert model["hashes"] == [{"alg": "SHA-256", "content": document["model"]["sha256"]}]
    stated = {each["name"]: each["value"] for each in model["properties"]}
    assert stated["reportgen:parameters"] == str(document["model"]["parameters"])
    assert stated["reportgen:weights_sha256"] == document["model"]["weights_sha256"]
    metrics = {
        (each["type"], each["slice"]): each["value"]
        for each in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    }
    expected = {}
    totals: dict[str, int] = {}
    for layer in document["layers"]:
        verdicts = [] if layer["patterns"] is None else [each["verdict"] for each in layer["patterns"]["filters"]]
        if layer["labels"] is not None:
            continue
        for word in verdicts:
            totals[word] = totals.get(word, 0) + 1
        for word in ("dead", "silent") if verdicts else ():
            count = verdicts.count(word)
            where = f"layer {layer['path']}: {count} of {len(verdicts)} filters shown, {layer['filters_total']} in all"
            expected[f"share of {word} filters", where] = repr(count / len(verdicts))
        if layer["status"] == "rendered" and layer["weights"] is not None:
            share = repr(layer["weights"]["zero_fraction"])
            expected["share of weights that are zero", f"layer {layer['path']}"] = share
    assert metrics == expected
    assert {name: value for name, value in stated.items() if name.startswith("reportgen:verdicts:")} == {
        f"reportgen:verdicts:{word}": str(count) for word, count in totals.items()
    }
    assert stated["reportgen:filters_shown"] == str(sum(totals.values()))


def test_numbers_of_the_model_card_are_those_of_the_report(report: Path, packed: Path) -> None:
    document = facts(report)
    with zipfile.ZipFile(packed) as file:
        card, table = file.read("model-card.md").decode(), file.read("audit.md").decode()
    for value in (
        document["model"]["sha256"],
        document["model"]["weights_sha256"],
        f"{document['model']['parameters']:,}",
    ):
        assert f"| {value} |" in card
        assert value in table
    for image in document["images"]:
        assert f"| {image['sha256']} |" in card
    rows = {
        cells[4]: cells for cells in (re.split(r"(?<!\\)\|", line) for line in card.splitlines()) if len(cells) == 8
    }
    judged = [layer for layer in document["layers"] if layer["patterns"] is not None and layer["labels"] is None]
    for layer in judged:
        words = [each["verdict"] for each in layer["patterns"]["filters"]]
        (row,) = [line for line in card.splitlines() if f"](data/layers/{layer['slug']}.html)" in line]
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
        assert cells[2] == f"{len(words)} of {layer['filters_total']}"
        assert cells[3].startswith(f"{words.count('dead')} of {len(words)} (")
        assert cells[4].startswith(f"{words.count('silent')} of {len(words)} (")
    assert judged
    assert rows


NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?![\w.]\d)")
YEARS = {2021.0, 2024.0}  # of the works that the limits cite


def numbers(text: str) -> set[float]:
    """The numbers of a text, hashes left out."""
    return {float(word.replace(",", "")) for word in NUMBER.findall(re.sub(r"\b[0-9a-f]{64}\b", "", text))}


def test_every_number_of_the_card_and_the_bill_is_one_of_the_report(report: Path) -> None:
    packed, document = archive(report, report.parent / "bare.zip"), facts(report)
    judged = [layer for layer in document["layers"] if layer["patterns"] is not None and layer["labels"] is None]
    verdicts = [[each["verdict"] for each in layer["patterns"]["filters"]] for layer in judged]
    together = [word for words in verdicts for word in words]
    counts = {0, len(judged), len(together), *map(len, verdicts)}
    counts |= {words.count(word) for words in (*verdicts, together) for word in set(together)}
    shares = {words.count(word) / len(words) for words in verdicts for word in ("dead", "silent")}
    percents = {float(f"{100 * share:.1f}") for share in shares}
    known = numbers((report / "report.json").read_text("utf-8")) | YEARS | counts | shares | percents
    with zipfile.ZipFile(packed) as file:
        card, bill = file.read("model-card.md").decode(), json.loads(file.read("bom.cdx.json"))
    card_of_bill = aibom_fields.model(bill)["modelCard"]
    for part in card_of_bill["quantitativeAnalysis"]["graphics"]["collection"]:
        del part["image"]
    stated = re.sub(r"\]\([^)]*\)", "]", card) + json.dumps(card_of_bill, ensure_ascii=False)
    assert numbers(stated) - known == set()


def test_the_statement_is_quoted_and_what_is_missing_is_named(report: Path, packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        card, table, bom = file.read("model-card.md").decode(), file.read("audit.md").decode(), bom_of(packed)
        assert file.read("statement.toml") == STATEMENT
    assert r"> Tells cats from dogs \| \<b\>nothing else\</b\>." in card
    assert r"User, purpose: “Tells cats from dogs \| \<b\>nothing else\</b\>.”" in table
    assert bom["metadata"]["supplier"] == {"name": STATED["owner"]}
    assert "| 6 | changes through the lifecycle | not stated by the tool |" in table
    with zipfile.ZipFile(archive(report, tmp_path / "bare.zip")) as file:
        bare = file.read("model-card.md").decode()
    assert "Purpose: *Not stated by the tool.*" in bare
    assert "\n> " not in bare


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('purpos = "x"', "the unknown key `purpos`; the keys are name, version"),
        ("purpose = 3", "cannot be used: Expected `str"),
        ('date = "May"', "the date 'May', which is not YYYY-MM-DD"),
        ("purpose = ", "cannot be read"),
    ],
)
def test_a_statement_that_cannot_be_meant_is_exit_2(report: Path, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    arguments = ["archive", str(report), "-o", str(tmp_path / "x.zip"), "--statement", str(tmp_path / "s.toml")]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "x.zip").exists()


def test_the_documentation_lists_every_key_of_a_statement() -> None:
    text = (Path(__file__).parents[1] / "docs" / "archives.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(Statement.__struct_fields__)


def test_a_file_that_is_no_archive_is_not_replaced(report: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="exists and is no archive"):
        archive(report, tmp_path / "thesis.txt")
    with pytest.raises(OutputError, match="is inside of the report"):
        archive(report, report / "x.zip")


def test_environment_has_what_the_build_recorded_not_what_packs(report: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(report, other)
    written = [
        {"name": "keras", "version": "0.0.1", "sha256": "f" * 64},
        {"name": "tied", "version": "2", "sha256": None},
    ]
    (other / distributions.FILE).write_text(json.dumps(written))
    with zipfile.ZipFile(archive(other, tmp_path / "x.zip")) as file:
        lines = file.read("environment.txt").decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [f"keras==0.0.1 sha256:{'f' * 64}", "tied==2 -"]


def test_every_installed_distribution_is_recorded(report: Path) -> None:
    found = {each.name: each for each in distributions.kept((report / distributions.FILE).read_bytes())}
    assert {"numpy", "keras", "msgspec", DISTRIBUTION} <= set(found)
    expected = {
        each.name.lower().replace("_", "-").replace(".", "-"): each.version for each in metadata.distributions()
    }
    assert {name: each.version for name, each in found.items()} == {**expected, DISTRIBUTION: __version__}
    assert all(each.sha256 for name, each in found.items() if name in ("numpy", "msgspec", DISTRIBUTION))


def test_what_was_packed_is_verified(packed: Path, unpacked: Path, report: Path) -> None:
    for path in (packed, unpacked, report):
        result = verify(path)
        rebuild(result)
        assert result.differences == []


def test_a_flipped_byte_in_any_file_is_found(packed: Path, unpacked: Path) -> None:
    numbers = random.Random(0)
    names = zipfile.ZipFile(packed).namelist()
    manifests = ("manifest-sha256.txt", "tagmanifest-sha256.txt")
    for name in names:
        if name not in manifests:
            flip(unpacked / name, numbers.randrange((unpacked / name).stat().st_size))
    named = "\n".join(verify(unpacked).differences)
    assert [name for name in names if name not in manifests and f"{name} has the SHA-256" not in named] == []


@pytest.mark.parametrize("name", ["manifest-sha256.txt", "tagmanifest-sha256.txt", "bagit.txt", "bag-info.txt"])
def test_a_flipped_byte_in_a_small_file_of_the_bag_is_found_wherever_it_is(unpacked: Path, name: str) -> None:
    whole = (unpacked / name).read_bytes()
    for place in {0, 64, len(whole) // 2, len(whole) - 1} & set(range(len(whole))):
        flip(unpacked / name, place)
        assert verify(unpacked).differences, place
        (unpacked / name).write_bytes(whole)


def test_a_flipped_byte_of_the_zip_itself_is_found(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        entries, directory = file.infolist(), file.start_dir
    size = packed.stat().st_size
    first, last = entries[0], entries[-1]
    header = [first.header_offset + byte for byte in (0, 4, 6, 8, 10, 14, 18, 26, 28, 30)]
    central = [directory + byte for byte in (0, 4, 5, 6, 8, 10, 12, 16, 20, 28, 30, 32, 36, 38, 42, 46)]
    ending = [size - 22 + byte for byte in (0, 4, 6, 8, 10, 12, 16, 20)]
    damaged = tmp_path / "damaged.zip"
    for place in (*header, *central, *ending, last.header_offset + 31, size - 1):
        shutil.copy(packed, damaged)
        flip(damaged, place)
        assert opened(damaged).differences, place
    damaged.write_bytes(packed.read_bytes() + b"\n")
    assert opened(damaged).differences
    damaged.write_bytes(packed.read_bytes()[:-1])
    assert opened(damaged).differences


def test_documents_that_say_something_else_are_found_although_the_manifests_agree(report: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(report, forged)
    (forged / "run.json").unlink()
    packed = archive(forged, tmp_path / "forged.zip")
    with zipfile.ZipFile(packed) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    contents["model-card.md"] = contents["model-card.md"].replace(b"Verdicts on", b"Praise of")
    tags = {name: bag.sha256(bag.BytesContent(data)) for name, data in contents.items() if not name.startswith("data/")}
    del tags[bag.TAG_MANIFEST]
    contents[bag.TAG_MANIFEST] = bag.manifest(tags)
    with packed.open("wb") as target:
        bag.write_zip(target, {name: bag.BytesContent(data) for name, data in contents.items()})
    assert verify(packed).differences == ["model-card.md does not say what report.json and the statement give"]


def test_each_difference_is_named_and_the_exit_code_is_5(unpacked: Path) -> None:
    (unpacked / "data" / "layers" / "deep.html").unlink()
    (unpacked / "extra.txt").write_text("x")
    result = CliRunner().invoke(main, ["verify", str(unpacked)])
    assert result.exit_code == 5
    assert "data/layers/deep.html is missing: manifest-sha256.txt names it" in result.stdout
    assert "extra.txt is not in tagmanifest-sha256.txt" in result.stdout
    assert re.search(r"index\.html links to layers/deep\.html\S*, which is not there", result.stdout)
    assert result.stderr.splitlines()[-1].endswith("differences.")


def test_pages_that_the_arrays_do_not_give_are_found_in_a_folder(report: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(report, changed)
    page = changed / "layers" / "deep.html"
    page.write_text(page.read_text(encoding="utf-8").replace("deep", "shallow", 1), encoding="utf-8")
    (changed / "figures" / "colour" / "weights.png").unlink()
    result = CliRunner().invoke(main, ["verify", str(changed), "--rebuild"])
    assert result.exit_code == 5
    assert "layers/deep.html is not what the stored arrays give" in result.stdout
    assert "figures/colour/weights.png is missing: the stored arrays give it" in result.stdout


@pytest.mark.parametrize(
    ("markup", "words"),
    [
        ('<img src="https://example.org/x.png">', "points to a network: https://example.org/x.png"),
        ('<img src="//example.org/x.png">', "points to a network: //example.org/x.png"),
        ('<img srcset="gone.png 2x">', "links to gone.png, which is not there"),
        ('<a href="layers/deep.html#nowhere">', "an anchor that is not there"),
        ("<style>@import 'https://example.org/x.css';</style>", "points to a network: https://example.org/x.css"),
        ('<p style="background: url(gone.png)">', "links to gone.png, which is not there"),
        (
            '<script>fetch("https://example.org/")</script>',
            "a script that names a network address: https://example.org/",
        ),
        ('<meta http-equiv="refresh" content="0; url=https://example.org/">', "points to a network"),
        ('<a href="../../secret.html">', "links to ../../secret.html, which is not there"),
        ('<a href="ftp://example.org/">', "points to a network"),
        ('<a href="https://doi.org/10.1/x"><img src="data:image/png;base64,AA==">', None),
    ],
)
def test_links_that_lead_nowhere_or_to_a_network_are_found(
    report: Path, tmp_path: Path, markup: str, words: str | None
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(report, changed)
    index = changed / "index.html"
    index.write_text(index.read_text(encoding="utf-8").replace("</main>", f"{markup}</main>"), encoding="utf-8")
    differences = verify(changed).differences
    assert [words in difference for difference in differences] == ([] if words is None else [True]), differences


def test_verify_needs_a_report_and_recompute_needs_the_model(packed: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["verify", str(tmp_path)]).exit_code == 2
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "none.zip")]).exit_code == 2
    assert CliRunner().invoke(main, ["verify", str(packed), "--recompute", "2"]).exit_code == 2
    assert CliRunner().invoke(main, ["verify", str(packed)]).exit_code == 0


ELSEWHERE = """
import sys
from pathlib import Path
from reportgen.archive import bag
from reportgen.archive.opened import opened
from reportgen.archive.pack import archive
from reportgen.report.assemble import assemble
assemble(Path(sys.argv[1]))
archive(Path(sys.argv[1]), Path(sys.argv[2]))
assert "tensorflow" not in sys.modules
"""


def test_pages_and_archive_have_the_same_bytes_for_another_user_locale_time_zone_and_hash_seed(
    report: Path, tmp_path: Path
) -> None:
    folder, packed = tmp_path / "another place" / "report", tmp_path / "there.zip"
    shutil.copytree(report, folder)
    for name in ("index.html", "figures/deep/patterns.png", "layers/deep.html"):
        (folder / name).unlink()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LC_", "SOURCE_DATE"))},
        **{"LANG": "C", "LC_ALL": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "random", "HOME": str(tmp_path)},
        **{"USER": "somebody", "LOGNAME": "somebody", "HOSTNAME": "elsewhere"},
    }
    command = [sys.executable, "-c", ELSEWHERE, str(folder), str(packed)]
    subprocess.run(command, env=environment, umask=0o077, check=True)
    assert packed.read_bytes() == archive(report, tmp_path / "here.zip").read_bytes()


@pytest.mark.parametrize("with_key", [True, False])
def test_signatures_are_checked_where_their_tool_is_installed(packed: Path, tmp_path: Path, with_key: bool) -> None:
    if shutil.which("minisign") is None:
        pytest.skip("minisign is not installed")
    path, public, secret = tmp_path / "signed.zip", tmp_path / "key.pub", tmp_path / "key.secret"
    shutil.copy(packed, path)
    for command in (["-G", "-W", "-p", public, "-s", secret], ["-S", "-s", secret, "-m", path]):
        subprocess.run(["minisign", *map(str, command)], check=True, capture_output=True)
    arguments = ["verify", str(path), *(["--key", str(public)] if with_key else [])]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    if not with_key:
        assert "signed.zip.minisig was not checked: minisign needs the public key" in result.stderr
        return
    assert "signature signed.zip.minisig (minisign): as it must be" in result.stderr
    shutil.copy(archive_of_another(packed, tmp_path), path)
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "the signature signed.zip.minisig does not hold" in result.stdout) == (5, True)


def archive_of_another(packed: Path, folder: Path) -> Path:
    """The same files with another statement's archive: whole in itself, and not what was signed."""
    with zipfile.ZipFile(packed) as file:
        file.extractall(folder / "bag")
    return archive(folder / "bag" / "data", folder / "other.zip")


def test_a_signature_that_is_asked_for_must_be_checkable(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.minisig").write_text("untrusted comment: x\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(main, ["verify", str(packed), "--signature", str(tmp_path / "x.minisig")])
    assert (result.exit_code, "minisign is not installed" in result.stderr) == (2, True)


def test_bagit_accepts_the_bag(unpacked: Path) -> None:
    bagit = pytest.importorskip("bagit", reason="bagit is not installed")
    assert bagit.Bag(str(unpacked)).validate()


def test_cyclonedx_accepts_the_bill_of_materials(report: Path, packed: Path, tmp_path: Path) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    schema = pytest.importorskip("cyclonedx.schema")
    for path in (packed, archive(report, tmp_path / "bare.zip")):
        bom = bom_of(path)
        for version in ("1.6", "1.7"):
            validator = validation.JsonStrictValidator(schema.SchemaVersion.from_version(version))
            assert validator.validate_str(json.dumps({**bom, "specVersion": version})) is None


def test_the_bill_of_materials_has_the_fields_that_a_report_can_fill(
    report: Path, packed: Path, tmp_path: Path
) -> None:
    assert aibom_fields.score(bom_of(archive(report, tmp_path / "bare.zip"))) == pytest.approx(47.7, abs=0.05)
    assert aibom_fields.score(bom_of(packed)) > 75


def test_an_rocrate_reader_finds_the_first_page_and_the_model(unpacked: Path) -> None:
    crate = json.loads((unpacked / "ro-crate-metadata.json").read_bytes())
    entities = {each["@id"]: each for each in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    root = entities[entities["ro-crate-metadata.json"]["about"]["@id"]]
    files = {each["@id"] for each in entities.values() if each["@type"] == "File"}
    assert {part["@id"] for part in root["hasPart"]} == files
    assert all((unpacked / name).stat().st_size == int(entities[name]["contentSize"]) for name in files)
    action = entities[root["mentions"]["@id"]]
    assert entities[action["instrument"]["@id"]]["name"] == "reportgen"
    references = [each["@id"] for key in ("object", "result") for each in action[key]]
    assert set(references) <= set(entities)


@pytest.mark.slow
def test_the_model_of_a_report_gives_its_patterns_and_maps_again_and_another_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, report = Path(__file__).parents[1] / "sample_models", tmp_path / "report"
    model, other = samples / "galaxies.keras", samples / "galaxies_initial.keras"
    options = ["--quality", "draft", "--filters", "4", "--negative", "--attribution", "grad-cam", "-q"]
    built = CliRunner().invoke(
        main, ["build", str(model), "-i", str(samples / "galaxies"), *options, "-o", str(report)]
    )
    assert built.exit_code == 0
    again = tmp_path / "again"
    CliRunner().invoke(main, ["build", str(model), "-i", str(samples / "galaxies"), *options, "-o", str(again)])
    packed = archive(report, tmp_path / "report.zip")
    assert archive(again, tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    arguments = ["verify", str(packed), "--rebuild", "--recompute", "3", "--model"]
    same = CliRunner().invoke(main, [*arguments, str(model)])
    assert (same.exit_code, same.stdout) == (0, "")
    again_words = "3 patterns and maps of 3 layers and images, and attribution maps of 3 images, computed again, 9 the same to the byte"
    assert again_words in same.stderr
    wrong = CliRunner().invoke(main, [*arguments, str(other)])
    assert wrong.exit_code == 5
    assert "galaxies_initial.keras has architecture and weights with the SHA-256" in wrong.stdout
    store = Store(again)
    for task in store.load_plan().tasks:
        if task.kind == "feature_maps":
            arrays, stated = store.load(task.key)
            store.save(task.key, {**arrays, "maps": arrays["maps"][::-1]}, stated)
        if task.kind == "attribution":
            arrays, stated = store.load(task.key)
            store.save(task.key, {**arrays, "m0": -arrays["m0"]}, stated)
    forged = CliRunner().invoke(main, ["verify", str(again), "--recompute", "1", "--model", str(model)])
    assert forged.exit_code == 5
    assert re.search(r"feature maps of \S+, maps: \S+ gray levels apart on average", forged.stdout)
    assert re.search(r"attribution maps of \S+, grad-cam of .* gray levels apart on average", forged.stdout)
    (first,) = [task for task in store.load_plan().tasks if task.kind == "weights" and task.layer == "conv1"]
    arrays, stated = store.load(first.key)
    store.save(first.key, {"bias": arrays["bias"]}, stated)
    forged = CliRunner().invoke(main, ["verify", str(again), "--recompute", "1", "--model", str(model)])
    assert "conv1: the stored weights are not those of the model" in forged.stdout

    from reportgen.network.graph.layer_calls import stored_weights  # brings TensorFlow

    def more(layer_call: Any) -> dict[str, np.ndarray]:
        return {**stored_weights(layer_call), "new": np.zeros(1)}

    monkeypatch.setattr("reportgen.compute.recompute.stored_weights", more)  # a later version may store more
    same = CliRunner().invoke(main, ["verify", str(packed), "--recompute", "1", "--model", str(model)])
    assert (same.exit_code, same.stdout) == (0, "")
