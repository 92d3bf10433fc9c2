"""Chromium for tests of pages: where it lies, what a page did while it loaded, and where pictures of pages are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENS = Path(__file__).parent.parent / "build" / "pages"  # ignored by git, kept by CI
PATIENCE = 10_000  # milliseconds until a page that does not answer fails the test


@dataclass
class Seen:
    """What a page did: messages on its console, errors of its scripts, and the addresses it asked for."""

    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def from_network(self) -> list[str]:
        """Requests for anything but files and what stands in the page itself."""
        return [address for address in self.requests if not address.startswith(("file:", "data:"))]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where none is installed."""
    path = next((found for name in NAMES if (found := shutil.which(name)) is not None), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses the superuser of a container
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, *, fragment: str = "", **options: Any) -> Iterator[tuple[Page, Seen]]:
    """The page of a file, loaded, in a context of its own with Playwright's `options`."""
    options.setdefault("viewport", {"width": 1280, "height": 900})
    with browser.new_context(**options) as context:
        context.set_default_timeout(PATIENCE)
        page, seen = context.new_page(), Seen()
        page.on("console", lambda message: seen.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.messages.append(f"error: {error}"))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(path.resolve().as_uri() + fragment)
        yield page, seen
