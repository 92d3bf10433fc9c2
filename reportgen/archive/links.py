"""Where the pages of a report point: every file and anchor must be there, and nothing may be fetched from a network."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

from reportgen.report.location import FACTS_FILE

FETCHED = frozenset(
    {"src", "srcset", "poster", "data", "background", "manifest", "action", "formaction", "ping", "xlink:href"}
)
CSS_URL = re.compile(
    r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)|@import\s+(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE
)
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
ADDRESS = re.compile(r"""\b(?:https?|wss?|ftp):\/\/[^\s"'`<>)\\]+""", re.IGNORECASE)
NAMES = ("http://www.w3.org/",)  # of XML vocabularies: addresses that nothing is fetched from
INLINE = ("data", "about", "javascript")  # schemes that need neither a file nor a network
READERS = ("http", "https", "mailto")  # schemes of links that only a reader follows
HTML, CSS, SCRIPT = ".html", ".css", ".js"


@dataclass
class Page:
    """What a page of HTML has: its anchors, what it links to, what it fetches, and its styles and scripts."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page = self.page
        self._inside = tag if tag in ("style", "script") else None
        for name, value in attrs:
            text = (value or "").strip()
            if name == "id" or (name == "name" and tag == "a"):
                page.anchors.add(text)
            elif name == "href":
                (page.links if tag in ("a", "area") else page.fetched).append(text)
            elif name == "srcset":
                page.fetched += [part.split()[0] for part in text.split(",") if part.split()]
            elif name in FETCHED:
                page.fetched.append(text)
            elif name == "style":
                page.styles.append(text)
            elif name == "content" and ("http-equiv", "refresh") in [
                (key, (each or "").lower()) for key, each in attrs
            ]:
                page.fetched.append(text.partition("=")[2].strip(" '\""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.page.styles.append(data)
        elif self._inside == "script":
            self.page.scripts.append(data)


def parse(html: str) -> Page:
    """Return what a page has."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.page


def broken_links(files: Set[str], read: Callable[[str], bytes]) -> Iterator[str]:
    """Yield a sentence for each link of a report that leads nowhere, and for whatever would be fetched from a network.

    Args:
        files: all files of the report, by path relative to it.
        read: returns the content of one.
    """
    pages = {path: parse(_text(read(path))) for path in sorted(files) if path.endswith(HTML)}
    for path, page in pages.items():
        own = [address for style in page.styles for address in _in_css(style)]
        for address in dict.fromkeys([*page.fetched, *own]):
            yield from _missing(path, address, files, pages, fetched=True)
        for address in dict.fromkeys(page.links):
            yield from _missing(path, address, files, pages, fetched=False)
        yield from _in_scripts(path, page.scripts)
    for path in sorted(files):
        if path.endswith(CSS):
            for address in dict.fromkeys(_in_css(_text(read(path)))):
                yield from _missing(path, address, files, pages, fetched=True)
        elif path.endswith(SCRIPT):
            yield from _in_scripts(path, [_text(read(path))])
    facts = json.loads(read(FACTS_FILE))
    yield from (f"report.json names {array}, which is not there" for array in _arrays(facts) if array not in files)


def _missing(path: str, address: str, files: Set[str], pages: dict[str, Page], *, fetched: bool) -> Iterator[str]:
    """The sentence on an address that leads nowhere, or to a network that a browser would ask."""
    try:
        parts = urlsplit(address)
    except ValueError:
        yield f"{path} has the address {address!r}, which is none"
        return
    if parts.scheme in INLINE:
        return
    if parts.scheme or parts.netloc:
        if fetched or parts.scheme not in READERS:
            yield f"{path} points to a network: {address}"
        return
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))) if parts.path else path
    if target not in files:
        yield f"{path} links to {address}, which is not there"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{path} links to {address}, an anchor that is not there"


def _in_css(text: str) -> Iterator[str]:
    for found in CSS_URL.finditer(CSS_COMMENT.sub("", text)):
        yield next((group for group in found.groups() if group is not None), "")


def _in_scripts(path: str, scripts: Iterable[str]) -> Iterator[str]:
    for address in dict.fromkeys(found for script in scripts for found in ADDRESS.findall(script)):
        if not address.startswith(NAMES):
            yield f"{path} has a script that names a network address: {address}"


def _arrays(facts: Any) -> Iterator[str]:
    """The array files that report.json names, wherever it does."""
    for key, value in facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ():
        if key == "array" and isinstance(value, str):
            yield value
        else:
            yield from _arrays(value)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
