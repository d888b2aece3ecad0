"""How long the daemon takes for a page as it is served: the first one of a new report, and those after it.

``python bench/status_page.py REPORT in-sync|differing``; `bench/run.py` makes the report and runs both.
"""

import asyncio
import http.client
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # changes and a time of day are those of the tests

from daemon.chained import NOON  # noqa: E402 # the path to it comes first
from daemon.visitor import ready  # noqa: E402 # as above
from reconciler.cli.site import Documents  # noqa: E402 # as above
from reconciler.cli.wiring import Secrets  # noqa: E402 # as above
from reconciler.core.changes import Outcome  # noqa: E402 # as above
from reconciler.core.events import PassFinished  # noqa: E402 # as above
from reconciler.core.report import Mode, Report, summarize  # noqa: E402 # as above
from reconciler.daemon.address import Address  # noqa: E402 # as above
from reconciler.daemon.audience import Audience  # noqa: E402 # as above
from reconciler.daemon.chronicle import Chronicle, Plans  # noqa: E402 # as above
from reconciler.daemon.endpoints import Handlers, application  # noqa: E402 # as above
from reconciler.daemon.maker import Maker  # noqa: E402 # as above
from reconciler.daemon.past import Past, Remembered  # noqa: E402 # as above
from reconciler.daemon.shown import Showcase  # noqa: E402 # as above
from reconciler.daemon.web import Web  # noqa: E402 # as above
from reconciler.files.commits import Commits  # noqa: E402 # as above
from reconciler.files.report import load_report  # noqa: E402 # as above
from reconciler.render.board import POLICY  # noqa: E402 # as above
from render.boards import occurrence  # noqa: E402 # as above
from render.reports import change  # noqa: E402 # as above

RECENT = 2_000
LIMIT = 0.2
FIRST, LATER = 3, 5


def differing(report: Report) -> Report:
    """Give the report of an account in which every key is to be changed."""
    (account,) = report.accounts
    changes = tuple(
        replace(
            change(key.name, label=key.label, scopes=(list(key.scopes), ["messages:send:all"])),
            key_id=key.key_id,
            source=key.source,
        )
        for key in account.inventory or ()
    )
    accounts = (replace(account, changes=changes),)
    return replace(report, accounts=accounts, summary=summarize(accounts, report.findings))


def remembering(report: Report) -> Chronicle:
    """Give the memory of a daemon that wrote 2,000 times."""
    account = report.accounts[0].account_id
    recent = [
        replace(occurrence(each, Outcome.APPLIED, time=f"2026-11-23T{n // 100:02}:{n % 60:02}:00Z"), account_id=account)
        for n, each in enumerate(report.accounts[0].changes[:RECENT])
    ]
    past = Past([Remembered(each, decided=False) for each in recent])
    return Chronicle(Plans(Mode.APPLY, "every 5m"), Commits(), lambda: NOON, print, past)


@asynccontextmanager
async def served(chronicle: Chronicle, secrets: Secrets) -> AsyncIterator[Address]:
    """Serve it as the daemon does."""
    documents = Documents(chronicle, secrets, lambda: chronicle.status(ready(), None))
    maker = Maker()
    case = Showcase(Audience(), documents.status, documents.report, documents.pages, POLICY, maker)
    handlers = Handlers(ready, lambda _: (b"", ""), lambda: None, lambda: None, case)
    web = Web(application(handlers), "127.0.0.1", 0)
    try:
        yield await web.start()
    finally:
        await web.stop()
        maker.end()


def asked(at: Address, target: str) -> tuple[float, int]:
    """Ask for something; give the seconds until all of it was there, and its size in KB."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(at.host, at.port, timeout=60)
    connection.request("GET", target)
    answer = connection.getresponse()
    size = len(answer.read())
    connection.close()
    assert answer.status == 200
    return time.perf_counter() - began, size // 1024


async def measure(kind: str, chronicle: Chronicle, report: Report, count: int) -> None:
    """Measure each page with so many secrets to mask."""
    secrets = Secrets()
    for number in range(count):
        secrets.hide(f"the-secret-{number:020}")
    account = report.accounts[0].account_id
    key = (report.accounts[0].inventory or ())[77].key_id
    pages = ("/", "/keys", "/keys?q=shop.example.com&mark=open", f"/accounts/{account}")
    async with served(chronicle, secrets) as at:
        await asyncio.to_thread(asked, at, "/")  # templates are compiled once a process
        for target in (*pages, f"/accounts/{account}/keys/{key}", "/status", "/report"):
            first, later, size = [], [], 0
            for _ in range(FIRST):
                chronicle(PassFinished("run", replace(report, run_id=f"{time.perf_counter()}"), 1.0))
                seconds, size = await asyncio.to_thread(asked, at, target)
                first.append(seconds)
            for _ in range(LATER):
                chronicle.revision += 1  # the page says something else, of the same report
                seconds, _ = await asyncio.to_thread(asked, at, target)
                later.append(seconds)
            slow = "" if sorted(first)[FIRST // 2] < LIMIT or target == "/report" else "  SLOW"
            print(
                f"  {kind:9} {count:2} secrets  {target.replace(account, 'ID')[:44]:44} "
                f"first {sorted(first)[FIRST // 2] * 1e3:4.0f} ms, "
                f"then {sorted(later)[LATER // 2] * 1e3:3.0f} ms, {size:4} KB{slow}"
            )


def main(file: str, kind: str) -> None:
    report = replace(load_report(Path(file).read_text(encoding="utf-8")), mode=Mode.APPLY)
    all_differ = differing(report)
    for count in (0, 2, 10):
        chronicle = remembering(all_differ)
        chronicle(PassFinished("run", report, 1.0))
        asyncio.run(measure(kind, chronicle, all_differ if kind == "differing" else report, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
