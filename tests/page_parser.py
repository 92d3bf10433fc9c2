"""Pages as a browser's parser sees them, for tests that must not match strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    """A start tag and its attributes."""

    tag: str
    attributes: dict[str, str]


@dataclass
class Page:
    """Every start tag in order, the text outside of style and script, and tags that do not close as they opened."""

    elements: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """Elements with any of `tags`."""
        return [element for element in self.elements if element.tag in tags]

    def attributes(self, *names: str) -> list[str]:
        """Values of the attributes called any of `names`, of every element."""
        return [value for element in self.elements for name, value in element.attributes.items() if name in names]

    @property
    def words(self) -> str:
        """The page's text with one space between any two of its words and between any two elements."""
        return " ".join(" ".join(self.text).split())


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.page.unbalanced.append(f"</{tag}> within <{self.open[-1] if self.open else 'nothing'}>")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.page.text.append(data)


def parse(path: Path) -> Page:
    """The page in a file."""
    parser = _Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    parser.page.unbalanced += [f"<{tag}> never closed" for tag in parser.open]
    return parser.page
