"""The templates, style sheet and script of the pages, and the user's own that replace them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes

from reportgen.artefacts.feature_maps import FeatureMapsView
from reportgen.artefacts.initial_weights import InitialWeightsView
from reportgen.artefacts.minimal_patterns import MinimalPatternsView
from reportgen.artefacts.overview import OverviewView
from reportgen.artefacts.patterns import PatternsView
from reportgen.artefacts.views import PageContext
from reportgen.artefacts.weights import WeightsView
from reportgen.core.errors import ReportgenError, UsageError
from reportgen.report.index_page import IndexView
from reportgen.report.layer_page import LayerView

ASSET_HASH = 8  # hexadecimal digits in an asset's name: a browser never shows new pages in an old style
STYLE, SCRIPT = "assets/style.css", "assets/report.js"


def _field_names(view: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(view))


FIELDS = {  # what every template can name; `view` is that of the first page or of a layer's
    "page": _field_names(PageContext),
    "view": _field_names(IndexView) | _field_names(LayerView),
}
SECTIONS = {  # what `item` is in the partial of a section
    "sections/weights.html": WeightsView,
    "sections/initial_weights.html": InitialWeightsView,
    "sections/patterns.html": PatternsView,
    "sections/minimal_patterns.html": MinimalPatternsView,
    "sections/feature_maps.html": FeatureMapsView,
    "sections/overview.html": OverviewView,
}
BUILT_IN = "reportgen"  # `reportgen/index.html` is the built-in template where the user's has the same name


@dataclass(frozen=True)
class Asset:
    """A text that pages refer to; its `path` is relative to the report and contains a hash of the text."""

    path: str
    text: str


@dataclass(frozen=True)
class Look:
    """Everything that turns views into pages; `template` and `css` are the names of what the user gave."""

    template: str | None
    css: str | None
    environment: jinja2.Environment
    style: Asset
    script: Asset


def templates_folder() -> Path:
    """Return the folder of templates: inside an installed package, beside it in a checkout.

    Raises:
        ReportgenError: there is none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "base.html").is_file():
            return folder
    raise ReportgenError("the report's templates are not installed; install reportgen again.")


def _environment(folders: Iterable[Path]) -> jinja2.Environment:
    """Templates of the first of `folders` that has one of a name."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                *(jinja2.FileSystemLoader(folder) for folder in folders),
                jinja2.PrefixLoader({BUILT_IN: jinja2.FileSystemLoader(templates_folder())}),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.lru_cache
def _own_environment() -> jinja2.Environment:
    """The built-in templates: each is compiled once a process, however many reports it writes."""
    return _environment([templates_folder()])


@functools.lru_cache
def own_look() -> Look:
    """Return the built-in look."""
    return load_look(None, None)


def load_look(template: Path | None, css: Path | None) -> Look:
    """Return the built-in look with the user's templates and style.

    Args:
        template: a folder; each of its files replaces the built-in one of the same name (`layer.html`, `assets/style.css`).
        css: a file that is appended to the style.

    Raises:
        UsageError: either cannot be used.
    """
    folders = [templates_folder()] if template is None else [template, templates_folder()]
    environment = _own_environment() if template is None else _environment(folders)
    if template is not None:
        _check(template, environment)
    style = _text(next(folder / STYLE for folder in folders if (folder / STYLE).is_file()))
    if css is not None:
        style += f"\n/* {css.name} */\n{_text(css)}"
    script = _text(next(folder / SCRIPT for folder in folders if (folder / SCRIPT).is_file()))
    return Look(_name(template), _name(css), environment, _asset(STYLE, style), _asset(SCRIPT, script))


def _name(path: Path | None) -> str | None:
    return None if path is None else path.resolve().name


def _check(folder: Path, environment: jinja2.Environment) -> None:
    """Raise UsageError unless `folder` has a file that replaces a built-in one, and all of its templates can be read."""
    if not folder.is_dir():
        raise UsageError(f"--template {folder} is not a folder; name one with templates such as layer.html.")
    built_in = {path.relative_to(templates_folder()).as_posix() for path in templates_folder().rglob("*.*")}
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if not built_in.intersection(found):
        raise UsageError(
            f"--template {folder} contains no template of a report; the names are {', '.join(sorted(built_in))}."
        )
    for name in found:
        if name.endswith(".html"):
            try:
                environment.get_template(name)
                unknown = _unknown(environment, folder, name)
            except (jinja2.TemplateError, UnicodeDecodeError) as error:
                raise template_error(name, error) from error
            if unknown is not None:
                raise UsageError(f"the template {name} cannot be used: pages have no {unknown}.")


def _unknown(environment: jinja2.Environment, folder: Path, name: str) -> str | None:
    """A field of a page's view that a template uses and no page has, such as `view.nothing`; None where there is none.

    This reports before computing what would otherwise fail after it. A name tested with `is defined` is no error.
    """
    tree = environment.parse((folder / name).read_text(encoding="utf-8"))
    fields = FIELDS if name not in SECTIONS else {**FIELDS, "item": _field_names(SECTIONS[name])}
    asked = {id(test.node) for test in tree.find_all(jinja2.nodes.Test) if test.name in ("defined", "undefined")}
    own = {found.name for found in tree.find_all(jinja2.nodes.Name) if found.ctx != "load"}
    for field in tree.find_all(jinja2.nodes.Getattr):
        if not isinstance(field.node, jinja2.nodes.Name) or id(field) in asked or field.node.name in own:
            continue
        known = fields.get(field.node.name)
        if known is not None and field.attr not in known:
            return f"{field.node.name}.{field.attr}"
    return None


def template_error(name: str, error: Exception) -> UsageError:
    """Return the error for a template that cannot be used, in one sentence."""
    line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
    place = error.name if isinstance(error, jinja2.TemplateSyntaxError) and error.name is not None else name
    return UsageError(f"the template {place}{line} cannot be used: {' '.join(str(error).split()).rstrip('.')}.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UsageError(f"{path} cannot be read ({reason}); name a style sheet with --css.") from error


def _asset(name: str, text: str) -> Asset:
    stem, _, suffix = name.rpartition(".")
    return Asset(f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:ASSET_HASH]}.{suffix}", text)
