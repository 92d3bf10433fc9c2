"""One HTML file with a whole report: pages become parts, links between them anchors, pictures data URLs.

A picture that is used several times is stored in the file once; each use refers to it. Rewriting works on finished pages, so that
it applies to custom templates too.
"""

from __future__ import annotations

import base64
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from reportgen.render.text import data_size

INDEX = "index.html"
INLINED = (
    "layers/",
    "images/",
    "figures/",
    "assets/",
)  # what goes into the file; arrays and report.json stay beside it
LARGE = 25 * 10**6  # bytes: browsers open it, but scrolling, searching and sending it by mail become slow
IDS = ("id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls", "data-list")
PNG_SIZE = slice(16, 24)  # bytes of a PNG's header that hold its width and height, big-endian
SHARED = 2  # uses from which a picture is stored once and referred to

Attributes = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Part:
    """A page: `path` as in a folder, its title, and the HTML of its body."""

    path: str
    title: str
    html: str

    @property
    def anchor(self) -> str:
        """Where links to the page lead."""
        return self.path.removesuffix(".html")


def notes(size: int) -> tuple[str, ...]:
    """Return notes on a file of `size` bytes."""
    if size <= LARGE:
        return ()
    return (
        f"index.html holds the whole report in {data_size(size)}; above {data_size(LARGE)} browsers become slow: "
        "`reportgen assemble DIR --no-single-file` makes a folder of small pages instead.",
    )


def bind(parts: Iterable[Part], files: Mapping[str, bytes]) -> str:
    """Return all pages as the HTML of one body.

    Ids of the first page stay as they are; those of the others follow their page's anchor: `layers/conv1/f017`.

    Args:
        parts: the pages, the index first.
        files: pictures by their path in a folder.
    """
    pages = list(parts)
    anchors = {page.path: page.anchor for page in pages}
    surveys = [_survey(page) for page in pages]
    places = sum((survey.pictures for survey in surveys), Counter[str]())
    shared = {path for path, number in places.items() if number >= SHARED}
    shared.update(*(survey.cut for survey in surveys))
    names = {path: f"picture-{number}" for number, path in enumerate(sorted(shared & files.keys()))}
    written: set[str] = set()
    made = []
    for page, survey in zip(pages, surveys, strict=True):
        fresh = sorted((survey.pictures.keys() & names.keys()) - written)
        written.update(fresh)
        made.append(_definitions({names[path]: files[path] for path in fresh}))
        rewriter = _Rewriter(page, survey.ids, anchors, files, names)
        rewriter.feed(page.html)
        rewriter.close()
        made.append(_wrapped(page, "".join(rewriter.made), first=page is pages[0]))
    return "".join(made)


def _wrapped(page: Part, html: str, *, first: bool) -> str:
    if first:
        return f'<div class="page" id="{page.anchor}">\n{html}</div>\n'
    title = escape(page.title, quote=True)
    return f'<article class="page" id="{escape(page.anchor)}" aria-label="{title}">\n{html}</article>\n'


def _definitions(pictures: Mapping[str, bytes]) -> str:
    """Pictures that are not displayed themselves, by the id that their uses refer to."""
    if not pictures:
        return ""
    images = "".join(
        f'<image id="{name}" href="{_data(f"{name}.png", data)}" width="{width}" height="{height}" preserveAspectRatio="none"/>\n'
        for name, data in pictures.items()
        for width, height in [_size(data)]
    )
    return (
        f'<svg class="sprite" width="0" height="0" aria-hidden="true" focusable="false"><defs>\n{images}</defs></svg>\n'
    )


def _size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[PNG_SIZE])
    return width, height


def _data(path: str, data: bytes) -> str:
    kind = "image/svg+xml" if path.endswith(".svg") else "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


class _Reader(HTMLParser):
    """Reads a page's body; files are named by their path in the report's folder."""

    def __init__(self, page: Part) -> None:
        super().__init__(convert_charrefs=False)
        self.folder = dirname(page.path)

    def path(self, link: str) -> str | None:
        """The file that a link or source names; None for an address elsewhere and for an anchor of the page."""
        parts = urlsplit(link)
        return (
            None if parts.scheme or parts.netloc or not parts.path else normpath(join(self.folder, unquote(parts.path)))
        )


class _Survey(_Reader):
    """What a page defines and shows: its ids, how often each picture by path, and the pictures that it shows parts of (`cut`)."""

    def __init__(self, page: Part) -> None:
        super().__init__(page)
        self.ids: set[str] = set()
        self.pictures: Counter[str] = Counter()
        self.cut: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Note ids and pictures."""
        given = dict(attrs)
        self.ids.update(value for name, value in attrs if name == "id" and value)
        if tag in ("img", "image") and (path := self.path(given.get("src") or given.get("href") or "")) is not None:
            self.pictures[path] += 1
            if tag == "image":
                self.cut.add(path)


def _survey(page: Part) -> _Survey:
    survey = _Survey(page)
    survey.feed(page.html)
    survey.close()
    return survey


class _Rewriter(_Reader):
    """Writes a page again as a part of one file."""

    def __init__(
        self,
        page: Part,
        ids: set[str],
        anchors: Mapping[str, str],
        files: Mapping[str, bytes],
        names: Mapping[str, str],
    ) -> None:
        super().__init__(page)
        self.page, self.ids, self.anchors, self.files, self.names = page, ids, anchors, files, names
        self.prefix = "" if page.path == INDEX else f"{page.anchor}/"
        self.made: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """A tag with its ids, links and pictures as they are in the file."""
        given = dict(attrs)
        source = self.path(given.get("src") or given.get("href") or "") if tag in ("img", "image") else None
        if source is not None and source in self.names:
            self.made.append(self._reference(tag, given, source))
            return
        changed = [(name, value) for name, value in (self._attribute(tag, *item) for item in attrs) if name]
        if tag == "main":  # the file has one of its own
            tag, changed = "div", [item for item in changed if item[0] != "id"]
        if self.prefix and tag == "section":
            changed = [
                (name, f"{self.page.anchor} {value}" if name == "aria-labelledby" else value) for name, value in changed
            ]
        end = "/" if self.get_starttag_text_closes() else ""
        self.made.append(_tag(tag, changed, end))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """An element without content."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """The end of an element."""
        self.made.append(f"</{'div' if tag == 'main' else tag}>")

    def handle_data(self, data: str) -> None:
        """Text, unchanged."""
        self.made.append(data)

    def handle_entityref(self, name: str) -> None:
        """A character by name."""
        self.made.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """A character by number."""
        self.made.append(f"&#{name};")

    def get_starttag_text_closes(self) -> bool:
        """Whether the tag at hand ends in `/>`, as elements of SVG may."""
        text = self.get_starttag_text()
        return text is not None and text.endswith("/>")

    def _attribute(self, tag: str, name: str, value: str | None) -> tuple[str, str | None]:
        """An attribute as it is in the file; the name "" where it is left out."""
        if value is None:
            return name, value
        if name in IDS:
            return name, " ".join(self._id(word) for word in value.split())
        if name == "aria-label" and self.prefix and tag in ("nav", "div"):
            return name, f"{value}: {self.page.title}"
        if name in ("src", "href") and tag in ("img", "image"):
            path = self.path(value)
            return name, value if path is None or path not in self.files else _data(path, self.files[path])
        if value.startswith("url(#"):
            return name, f"url(#{self._id(value.removeprefix('url(#').removesuffix(')'))})"
        if name == "href":
            link = self._link(value)
            return ("", None) if link is None else (name, link)
        return name, value

    def _id(self, word: str) -> str:
        return f"{self.prefix}{word}" if word in self.ids else word

    def _link(self, link: str) -> str | None:
        """Where a link leads; None to a file that is not in the file."""
        fragment = urlsplit(link).fragment
        path = self.path(link)
        if path is None:
            return f"#{self._id(fragment)}" if link.startswith("#") else link
        if path not in self.anchors:
            return None
        if path == INDEX:
            return f"#{fragment if fragment else self.anchors[INDEX]}"
        return f"#{self.anchors[path]}{f'/{fragment}' if fragment else ''}"

    def _reference(self, tag: str, given: dict[str, str | None], path: str) -> str:
        """A use of a picture that is stored elsewhere in the file."""
        name = self.names[path]
        if tag == "image":
            return f'<use href="#{name}"/>'
        alt = given.get("alt")
        seen: Attributes = [("role", "img"), ("aria-label", alt)] if alt else [("aria-hidden", "true")]
        width, height = _size(self.files[path])
        frame: Attributes = [
            ("class", f"picture {given.get('class') or ''}".strip()),
            *seen,
            ("width", given.get("width")),
            ("height", given.get("height")),
            ("viewBox", f"0 0 {width} {height}"),
            ("preserveAspectRatio", "none"),
        ]
        return f'{_tag("svg", frame)}<use href="#{name}"/></svg>'


def _tag(name: str, attributes: Attributes, end: str = "") -> str:
    words = "".join(
        f" {key}" if value is None else f' {key}="{escape(value, quote=True)}"' for key, value in attributes
    )
    return f"<{name}{words}{end}>"
