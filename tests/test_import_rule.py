"""The walls of the house, read from the source: who may import whom, and that TensorFlow stays out where it must."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "reportgen"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"tensorflow", "keras", "h5py"}
PICTURES = {"matplotlib", "PIL"}
SUITE = {  # room -> rooms of ours that it may import, besides itself and the facts that everybody shares
    "network": set(),
    "compute": {"network", "images", "plan", "run", "decoding"},
    "render": {"verdict"},
    "report": {"render", "store", "verdict", "run", "arrays"},
    "images": {"decoding", "samples", "signals", "slugs"},
    "signals": {"decoding", "tables"},
    "plan": {"store"},
    "store": {"arrays"},
    "run": {"store", "arrays", "progress"},
    "verdict": set(),
    "slugs": set(),
    "progress": set(),
    "decoding": {"samples", "tiff"},
    "samples": set(),
    "tiff": {"samples"},
    "tables": set(),
    "arrays": set(),
}
SHARED = {"errors", "records", "settings", "slugs"}


def room(module: Path) -> str:
    inside = module.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(module: Path, outermost: bool = False) -> set[str]:
    """Full names of every module that `module` imports, inside functions too unless `outermost`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    nodes = tree.body if outermost else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "reportgen")
    return found


def outside(module: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)} - {"reportgen"}


def ours(module: Path) -> set[str]:
    """The rooms of ours that `module` imports."""
    return {name.split(".")[1] for name in imports(module) if name.startswith("reportgen.")} - {"__version__"}


def named(module: Path) -> str:
    return str(module.relative_to(ROOT))


def test_the_rooms_are_there() -> None:
    """Otherwise the tests below would hold walls up in an empty field."""
    rooms = {room(module) for module in MODULES}
    assert set(SUITE) <= rooms
    assert len(MODULES) > 40


def test_only_network_and_compute_import_tensorflow() -> None:
    others = [module for module in MODULES if room(module) not in ("network", "compute")]
    assert {named(module): outside(module) & HEAVY for module in others if outside(module) & HEAVY} == {}


@pytest.mark.parametrize("name", SUITE)
def test_a_room_knows_only_the_rooms_before_it(name: str) -> None:
    allowed = SUITE[name] | SHARED | {name}
    inside = [module for module in MODULES if room(module) == name]
    assert inside
    assert {named(module): ours(module) - allowed for module in inside if ours(module) - allowed} == {}


@pytest.mark.parametrize("name", ["errors", "records", "settings"])
def test_what_everybody_shares_knows_nobody(name: str) -> None:
    assert ours(PACKAGE / f"{name}.py") <= {"errors"}


@pytest.mark.parametrize(
    ("rooms", "never"),
    [(("network", "compute"), {*PICTURES, "jinja2"}), (("render",), {"jinja2"}), (("report",), {"click", "tqdm"})],
)
def test_what_is_not_a_rooms_business_is_not_brought_in(rooms: tuple[str, ...], never: set[str]) -> None:
    inside = [module for module in MODULES if room(module) in rooms]
    assert {named(module): outside(module) & never for module in inside if outside(module) & never} == {}


@pytest.mark.parametrize(
    "name", ["cli", "story", "settings", "records", "errors", "plan", "store", "__main__", "__init__"]
)
def test_modules_that_start_at_once_bring_nothing_heavy_in(name: str) -> None:
    """What a module imports when it is imported itself; inside functions is another matter."""
    names = imports(PACKAGE / f"{name}.py", outermost=True)
    assert not {item.partition(".")[0] for item in names} & (HEAVY | PICTURES)
    assert not {
        item
        for item in names
        if item.startswith(("reportgen.compute.prepare", "reportgen.network", "reportgen.compute"))
    }


def missing(script: Path) -> set[str]:
    """What `script` takes from modules of ours although it does not stand in them."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reportgen."):
            module = PACKAGE.joinpath(*str(node.module).split(".")[1:])
            source = module.with_suffix(".py")
            taken = {alias.name for alias in node.names}
            if source.is_file():
                found.update(f"{node.module}.{name}" for name in taken - defined(source))
            else:
                found.update(f"{node.module}.{name}" for name in taken if not (module / f"{name}.py").is_file())
    return found


def defined(module: Path) -> set[str]:
    """Names that a module makes or imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_benchmarks_take_from_the_package_what_is_there() -> None:
    """They run by hand, so that nothing else would notice."""
    scripts = sorted((ROOT / "benchmarks").rglob("*.py"))
    assert scripts
    assert {named(script): missing(script) for script in scripts if missing(script)} == {}


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    program = f"import sys, json\nsys.argv = ['reportgen']\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


RUN_CLI = """
from reportgen.cli.main import main
try:
    main({arguments}, prog_name='reportgen')
except SystemExit as leaving:
    assert leaving.code in (0, 2), leaving.code
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import reportgen.cli", HEAVY | PICTURES | {"jinja2", "numpy"}),
        (RUN_CLI.format(arguments=["--help"]), HEAVY | PICTURES | {"jinja2", "numpy"}),
        (RUN_CLI.format(arguments=["build", "--help"]), HEAVY | PICTURES),
        (RUN_CLI.format(arguments=["--version"]), HEAVY | PICTURES),
        (RUN_CLI.format(arguments=["assemble", "/no/such/report"]), HEAVY),
        ("import reportgen.report.assemble", HEAVY),
        ("import reportgen.render.weights, reportgen.images, reportgen.plan, reportgen.store", HEAVY | {"jinja2"}),
        ("import reportgen.story", HEAVY),
    ],
)
def test_nothing_heavy_is_loaded_where_it_is_not_needed(code: str, absent: set[str]) -> None:
    assert not modules_after(code) & absent


def test_a_bad_setting_is_refused_before_tensorflow_is_loaded() -> None:
    assert not modules_after(RUN_CLI.format(arguments=["build", "m.keras", "--filters", "x"])) & HEAVY
