"""Pages in a real headless Chromium that may ask nobody for anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from required import chromium

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium; the test is not run where there is none."""
    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=[*_QUIET])
        try:
            yield running
        finally:
            running.close()


@dataclass
class Opened:
    """A page, and what it did besides being shown: requests, complaints, dialogs."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dismissed)

    def _dismissed(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@contextmanager
def opened(running: Browser, file: Path, *, width: int = 1280, **options: Any) -> Iterator[Opened]:
    """Open a file in a window of its own; ``options`` are those of a context of Playwright."""
    context = running.new_context(viewport={"width": width, "height": 900}, **options)
    try:
        one = Opened(context.new_page())
        one.watch()
        one.page.goto(file.as_uri())
        yield one
    finally:
        context.close()
