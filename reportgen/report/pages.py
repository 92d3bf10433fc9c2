"""Views become HTML: the templates, always escaped, and where they lie."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import jinja2

from reportgen import __version__
from reportgen.errors import ReportgenError
from reportgen.report.index_page import IndexView
from reportgen.report.layer_page import LayerView
from reportgen.report.views import Site, gradients

ASSET_HASH = 8  # hexadecimal digits in an asset's name: a browser never shows new pages in an old style


def templates_folder() -> Path:
    """The templates: inside the package where it was installed, beside it in a checkout. Raises ReportgenError."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "base.html").is_file():
            return folder
    raise ReportgenError("the report's templates are not installed; install reportgen again.")


@functools.lru_cache
def environment() -> jinja2.Environment:
    """Jinja with everything escaped and every unknown name an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.lru_cache
def style() -> tuple[str, bytes]:
    """The style sheet as (path relative to the report, bytes)."""
    return _asset("style.css")


@functools.lru_cache
def script() -> tuple[str, bytes]:
    """The script as (path relative to the report, bytes); every page is whole without it."""
    return _asset("report.js")


def _asset(name: str) -> tuple[str, bytes]:
    data = (templates_folder() / "assets" / name).read_bytes()
    stem, suffix = name.rsplit(".", 1)
    return f"assets/{stem}-{hashlib.sha256(data).hexdigest()[:ASSET_HASH]}.{suffix}", data


def site(report_title: str, page_title: str, root: str, palettes: set[str]) -> Site:
    """What every page says.

    root: from the page to the report's folder; palettes: colour maps that its colour bars need.
    """
    return Site(root, report_title, page_title, root + style()[0], root + script()[0], __version__, gradients(palettes))


def render_index(view: IndexView) -> bytes:
    """index.html."""
    return environment().get_template("index.html").render(view=view, site=view.site).encode()


def render_layer(view: LayerView) -> bytes:
    """A layer's page."""
    return environment().get_template("layer.html").render(view=view, site=view.site).encode()
