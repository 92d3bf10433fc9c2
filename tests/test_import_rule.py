"""What is loaded when: TensorFlow takes seconds, so that it stays out wherever it is not needed.

Which module may import which is held by the contracts of import-linter in pyproject.toml (`make check`).
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "reportgen"
HEAVY = {"tensorflow", "keras", "h5py"}
PICTURES = {"matplotlib", "PIL"}


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
    assert {str(script.relative_to(ROOT)): missing(script) for script in scripts if missing(script)} == {}


def modules_after(code: str) -> set[str]:
    """Full names of the modules that a fresh interpreter holds after running `code`."""
    program = f"import sys, json\nsys.argv = ['reportgen']\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def libraries(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


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
        ("import reportgen", HEAVY | PICTURES | {"jinja2", "numpy", "click"}),
        ("import reportgen.cli.main", HEAVY | PICTURES | {"jinja2", "numpy"}),
        ("import reportgen.pipeline", HEAVY),
        (RUN_CLI.format(arguments=["--help"]), HEAVY | PICTURES | {"jinja2", "numpy"}),
        (RUN_CLI.format(arguments=["build", "--help"]), HEAVY | PICTURES),
        (RUN_CLI.format(arguments=["layers", "--help"]), HEAVY | PICTURES),
        (RUN_CLI.format(arguments=["--version"]), HEAVY | PICTURES),
        (RUN_CLI.format(arguments=["assemble", "/no/such/report"]), HEAVY),
        (RUN_CLI.format(arguments=["verify", "/no", "--fail-on", "dead_filters > 5%"]), HEAVY),
        ("import reportgen.releases.writing", HEAVY | {"click"}),
        (RUN_CLI.format(arguments=["build", "m.keras", "--filters", "x"]), HEAVY),
    ],
)
def test_nothing_heavy_is_loaded_where_it_is_not_needed(code: str, absent: set[str]) -> None:
    assert not libraries(modules_after(code)) & absent


@pytest.mark.parametrize(
    ("room", "absent"),
    [
        ("core", HEAVY | PICTURES | {"jinja2", "click"}),
        ("inputs", HEAVY | {"matplotlib", "jinja2", "click"}),
        ("render", HEAVY | {"jinja2", "click"}),
        ("report", HEAVY | {"click"}),
    ],
)
def test_every_module_of_a_room_loads_without_what_other_rooms_need(room: str, absent: set[str]) -> None:
    paths = sorted(path.relative_to(ROOT).with_suffix("") for path in (PACKAGE / room).rglob("*.py"))
    names = {".".join(path.parts) for path in paths if path.name != "__init__"}
    assert names
    loaded = modules_after(f"import importlib\nfor name in {sorted(names)}:\n    importlib.import_module(name)")
    assert names <= loaded
    assert not libraries(loaded) & absent
