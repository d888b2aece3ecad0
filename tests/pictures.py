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
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cmarkgfm import github_flavored_markdown_to_html  # type: ignore[import-untyped] # it ships no types
from cmarkgfm.cmark import Options  # type: ignore[import-untyped] # as above
from playwright.sync_api import Browser

import fleet
from browser.boarded import serving
from browser.pages import browser, opened
from pages.page import DOCS, Page, read_page
from reconciler.core.changes import Outcome
from reconciler.core.inventory import rfc3339
from reconciler.core.report import Mode, Report
from reconciler.core.status import Occurrence, Status, Sync
from reconciler.files.report import load_report
from render.boards import occurrence
from render.statuses import status

PICTURES = DOCS / "pictures"
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
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    run(folder, "plan", "--actual", "listing.json", "-o", "json=calm.json", policy="policy.yaml")
    path = folder / "config/keys/keys.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('["messages:send:all"]', '["messages:send:{shop.example.com}"]', 2)
    text = text.replace(
        '["messages:send:{care.example.com}"]', '["messages:send:{care.example.com}", "suppressions:read"]', 1
    )
    text = text.replace('["messages:send:{events.example.org}"]', '["*"]', 1)
    path.write_text(text, encoding="utf-8")
    outputs = ("-o", "markdown=plan.md", "-o", "json=plan.json")
    run(folder, "plan", "--actual", "listing.json", *outputs, policy="policy.yaml")


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


def ago(**span: float) -> str:
    return rfc3339(datetime.now(UTC) - timedelta(**span))


def told(report: Report, sync: Sync, recent: tuple[Occurrence, ...]) -> Status:
    """Give how a daemon stands that made its last pass two minutes ago."""
    made = status(sync, recent=recent, mode=report.mode)
    assert made.last_pass is not None
    last = replace(made.last_pass, finished_at=ago(minutes=2))
    return replace(made, last_pass=last, next_at=ago(minutes=-3), started_at=ago(days=12), recent_from=ago(days=40))


def lately(report: Report) -> Iterator[Occurrence]:
    """Give what became of keys, as if the changes of a plan had been made lately."""
    for number, change in enumerate(report.changes[:4]):
        one = occurrence(change, Outcome.APPLIED, time=ago(hours=1 + number * number * 19))
        yield replace(one, account_id=fleet.ACCOUNT, reason=None)


def take_status(running: Browser, folder: Path) -> None:
    """Take the status page: all well, and a dry run that found something, and a key."""
    calm, plan = (load_report((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("calm", "plan"))
    recent = tuple(lately(plan))
    calm = replace(calm, mode=Mode.APPLY, findings=())  # a saved listing is told as one
    shots = (
        ("status-in-sync", calm, Sync(in_sync=True, since=ago(days=3, hours=5)), "/", "light", (1280, 800)),
        ("status-act-dark", plan, Sync(in_sync=False, since=ago(hours=5)), "/", "dark", (1280, 1100)),
        ("status-phone", plan, Sync(in_sync=False, since=ago(hours=5)), "/", "light", (390, 844)),
        ("status-key", plan, Sync(in_sync=False, since=ago(hours=5)), None, "light", (1280, 900)),
    )
    key = f"/accounts/{fleet.ACCOUNT}/keys/{plan.changes[0].key_id}"
    for name, report, sync, path, scheme, (width, height) in shots:
        with serving(told(report, sync, recent), report) as (_, address):
            context = running.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type] # one of two
            page = context.new_page()
            page.goto(address + (path or key))
            page.screenshot(path=PICTURES / f"{name}.png")
            context.close()


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


def take_terminals(folder: Path) -> None:
    """Take what a plan looks like, and the healing of the tutorial."""
    take_terminal("plan", "reconciler plan --actual listing.json --policy policy.yaml", folder)
    tutorial = folder / "tutorial"
    tutorial.mkdir()
    take_terminal("healed", healing(read_page((DOCS / "tutorial.md").read_text("utf-8")), tutorial), tutorial, rows=27)


def healing(page: Page, folder: Path) -> str:
    """Write the files of the tutorial, and give what to type so that only the drift and its healing are seen."""
    before = []
    for block in page.blocks:
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        before += [command.text for command in block.commands] if block.is_run else []
        if "OPENED=" in block.text:
            break
    shown = [f"printf '%s\\n' '$ reconciler {one}'; reconciler {one}" for one in ("plan", "apply", "plan")]
    return f"{{ {''.join(before)} }} > /dev/null 2>&1\n" + "; echo\n".join(shown) + "\n"


def take_terminal(name: str, command: str, folder: Path, rows: int = 38) -> None:
    """Take a picture of a terminal in which a command was run; what it leaves running ends with it."""
    environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("RECONCILER_")}
    environment |= {"DISPLAY": DISPLAY, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    looks = ["-fa", "DejaVu Sans Mono", "-fs", "10", "-bg", "#12161c", "-fg", "#e6eaf0", "-geometry", f"100x{rows}+0+0"]
    shell = ["bash", "-c", f"trap 'kill $(jobs -p)' EXIT\n{command}\ntouch {folder}/shown; sleep 10"]
    terminal = subprocess.Popen(["xterm", "-b", "8", *looks, "-e", *shell], cwd=folder, env=environment)
    while terminal.poll() is None and not (folder / "shown").exists():
        time.sleep(0.1)
    (folder / "shown").unlink()
    time.sleep(1)
    taken = PICTURES / f"{name}.png"
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
            take_status(running, folder)
        with screen():
            take_terminals(folder)
    for picture in sorted(PICTURES.glob("*.png")):
        subprocess.run(["convert", str(picture), "-strip", "+dither", "-colors", "128", str(picture)], check=True)
        print(f"{picture.name}: {picture.stat().st_size // 1024} KB")  # noqa: T201 # it is a command


if __name__ == "__main__":
    main()
