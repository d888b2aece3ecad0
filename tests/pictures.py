"""Takes the pictures of the documentation: real reports in a real browser and a real terminal; ``make pictures``.

It needs Chromium, and for the terminal xterm, Xvfb and ImageMagick's ``import`` and ``convert``.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped] # it ships no types
from cmarkgfm.cmark import Options  # type: ignore[import-untyped] # as above
from playwright.sync_api import Browser

import fleet
from browser.pages import browser, opened

PICTURES = Path(__file__).parent.parent / "docs/pictures"
KEYS = 60
DISPLAY = ":97"
COMMENT = """<!DOCTYPE html><meta charset="utf-8"><style>
body { font: 14px/1.5 system-ui, sans-serif; max-width: 860px; margin: 16px; padding: 16px;
  border: 1px solid #d1d9e0; border-radius: 6px; }
code { background: #eff1f3; padding: 0.15em 0.4em; border-radius: 6px; font-size: 85%; }
pre { background: #f6f8fa; padding: 12px; border-radius: 6px; overflow: auto; font-size: 85%; }
pre code { background: none; padding: 0; }
table { border-collapse: collapse; }
th, td { border: 1px solid #d1d9e0; padding: 4px 12px; }
h2, h3 { margin: 16px 0 8px; padding-bottom: 4px; border-bottom: 1px solid #d1d9e0; }
details { margin: 8px 0; }
</style>"""
"""How a code host shows a comment, nearly."""
POLICY = "version: 1\nrules: [{id: no-wildcard, uses: no-wildcard, severity: deny}]\n"


def run(folder: Path, *arguments: str, policy: str = "config/policy") -> None:
    command = [sys.executable, "-m", "reconciler", *arguments, "--policy", policy]
    subprocess.run(command, cwd=folder, check=False)


def write_reports(folder: Path) -> None:
    """Write an audit that is compared with one of a month before, and a plan of some changes."""
    fleet.write(folder, KEYS)
    earlier = fleet.listing(KEYS)
    earlier["taken_at"] = "2026-10-24T09:00:00+00:00"
    keys = earlier["accounts"][0]["keys"]
    keys[5]["scopes"], keys[9]["ip_allow_list"] = ["messages:send:{shop.example.com}"], ["203.0.113.0/24"]
    keys.append(keys.pop() | {"id": f"{fleet.SELF[:-4]}9999", "label": "moved-to-another-account"})
    (folder / "earlier.json").write_text(json.dumps(earlier), encoding="utf-8")
    run(folder, "audit", "--actual", "earlier.json", "-o", "json=audit.json")
    run(folder, "audit", "--actual", "listing.json", "--since", "audit.json", "-o", "html=audit.html")
    path = folder / "config/keys/keys.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('["messages:send:all"]', '["messages:send:{shop.example.com}"]', 2)
    text = text.replace(
        '["messages:send:{care.example.com}"]', '["messages:send:{care.example.com}", "suppressions:read"]', 1
    )
    text = text.replace('["messages:send:{events.example.org}"]', '["*"]', 1)
    path.write_text(text, encoding="utf-8")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    run(folder, "plan", "--actual", "listing.json", "-o", "markdown=plan.md", policy="policy.yaml")


def take_pages(running: Browser, folder: Path) -> None:
    for scheme in ("light", "dark"):
        with opened(running, folder / "audit.html", color_scheme=scheme) as one:
            one.page.screenshot(path=PICTURES / f"audit-{scheme}.png")
    with opened(running, folder / "audit.html") as one:
        one.page.locator("section[aria-labelledby=who]").screenshot(path=PICTURES / "who-can-do-what.png")
        one.page.locator("#words").fill("shop")
        one.page.locator("section[aria-labelledby=keys]").screenshot(path=PICTURES / "keys.png")
        one.page.locator("section[aria-labelledby=ages]").screenshot(path=PICTURES / "ages.png")
    comment = folder / "comment.html"
    markdown = (folder / "plan.md").read_text(encoding="utf-8")
    comment.write_text(COMMENT + github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE), encoding="utf-8")
    with opened(running, comment, width=900) as one:
        one.page.locator("body").screenshot(path=PICTURES / "comment.png")


@contextmanager
def screen() -> Iterator[None]:
    """Have a screen that nobody sees."""
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1000x900x24"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        yield
    finally:
        server.terminate()
        server.wait()


def take_terminal(folder: Path) -> None:
    environment = os.environ | {"DISPLAY": DISPLAY}
    command = f"{sys.executable} -m reconciler plan --actual listing.json --policy policy.yaml; sleep 5"
    looks = ["-fa", "DejaVu Sans Mono", "-fs", "10", "-bg", "#12161c", "-fg", "#e6eaf0", "-geometry", "100x38+0+0"]
    terminal = subprocess.Popen(["xterm", "-b", "8", *looks, "-e", command], cwd=folder, env=environment)
    time.sleep(4)
    taken = PICTURES / "plan.png"
    subprocess.run(["import", "-window", "root", str(taken)], env=environment, check=True)
    subprocess.run(["convert", str(taken), "-trim", str(taken)], check=True)
    terminal.terminate()
    terminal.wait()


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_reports(folder)
        with browser() as running:
            take_pages(running, folder)
        with screen():
            take_terminal(folder)
    for picture in sorted(PICTURES.glob("*.png")):
        subprocess.run(["convert", str(picture), "-strip", "+dither", "-colors", "128", str(picture)], check=True)
        print(f"{picture.name}: {picture.stat().st_size // 1024} KB")  # noqa: T201 # it is a command


if __name__ == "__main__":
    main()
