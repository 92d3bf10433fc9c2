"""Views become HTML: always escaped, under a policy that lets a page use only files of its own report."""

from __future__ import annotations

import base64
import hashlib

import jinja2
from markupsafe import Markup

from reportgen.artefacts.views import Inline, PageContext, gradients
from reportgen.core import __version__
from reportgen.render.text import OF_IMAGES, Nouns
from reportgen.report.index_page import IndexView
from reportgen.report.layer_page import LayerView
from reportgen.report.theme import Look, template_error
from reportgen.report.unfinished import Unfinished

PAGE, FRAGMENT = "base.html", "fragment.html"  # what a page extends: a document of its own, or a part of one file
POLICY = (
    "default-src 'none'; img-src {images}; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"
)
OWN_FILES = "'self' file:"  # a report is opened from a disk more often than from a server


def page_context(
    look: Look, report_title: str, page_title: str, root: str, palettes: set[str], nouns: Nouns, base: str = PAGE
) -> PageContext:
    """Return what every page states.

    Args:
        look: style and script.
        report_title: of the whole report.
        page_title: of this page.
        root: from the page to the report's folder.
        palettes: color maps that its color bars need.
        nouns: of what the model is fed.
        base: PAGE or FRAGMENT.
    """
    return PageContext(
        root=root,
        title=report_title,
        page_title=page_title,
        base=base,
        policy=POLICY.format(images=OWN_FILES, style=OWN_FILES, script=OWN_FILES),
        style=root + look.style.path,
        script=root + look.script.path,
        inline=None,
        nouns=nouns,
        version=__version__,
        gradients=gradients(palettes),
    )


def render_index(look: Look, view: IndexView) -> bytes:
    """Return index.html."""
    return _render(look, "index.html", view=view, page=view.page)


def render_unfinished(look: Look, page: PageContext, unfinished: Unfinished) -> bytes:
    """Return the first page of a report of which there is none yet."""
    return _render(look, "unfinished.html", unfinished=unfinished, page=page)


def render_layer(look: Look, view: LayerView) -> bytes:
    """Return the page of a layer."""
    return _render(look, "layer.html", view=view, page=view.page)


def render_view(look: Look, name: str, view: object, page: PageContext) -> bytes:
    """Return a page that is no part of a report, such as that of a comparison.

    Args:
        look: style and script.
        name: of its template.
        view: what the template prints.
        page: what every page states.
    """
    return _render(look, name, view=view, page=page)


def render_single(look: Look, title: str, palettes: set[str], nouns: Nouns, pages: str) -> bytes:
    """Return one file with all pages, the style and the script.

    Args:
        look: style and script; the policy of the page allows them by their hashes.
        title: of the report.
        palettes: color maps that color bars need.
        nouns: of what the model is fed.
        pages: HTML of all pages.
    """
    own = inline_context(look, title, palettes, nouns)
    return _render(look, "single.html", page=own, pages=Markup(pages))


def render_releases(look: Look, title: str, shelf: object) -> bytes:
    """Return the page of an archive of reports, with style and script inside."""
    return _render(look, "releases.html", page=inline_context(look, title, set(), OF_IMAGES), shelf=shelf)


def inline_context(look: Look, title: str, palettes: set[str], nouns: Nouns) -> PageContext:
    """Return what a page of one file states: style and script are inside of it, and its policy allows them by their hashes."""
    style, script = (text.replace("</", r"<\/") for text in (look.style.text, look.script.text))
    return PageContext(
        root="",
        title=title,
        page_title=title,
        base=PAGE,
        policy=POLICY.format(images="data:", style=_hash(style), script=_hash(script)),
        style="",
        script="",
        inline=Inline(Markup(style), Markup(script)),
        nouns=nouns,
        version=__version__,
        gradients=gradients(palettes),
    )


def _hash(text: str) -> str:
    """An inline style or script as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _render(look: Look, name: str, **values: object) -> bytes:
    """A page. Raises UsageError where a template of the user's asks for what is not there."""
    try:
        return look.environment.get_template(name).render(**values).encode()
    except jinja2.TemplateError as error:
        if look.template is None:  # a built-in template: a bug, and not the user's to fix
            raise
        raise template_error(name, error) from error
