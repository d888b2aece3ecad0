"""How long the daemon takes for a page: the first one of a new report, and those after it.

``python bench/status_page.py REPORT in-sync|differing``; `bench/run.py` makes the report and runs both.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # statuses and changes are those of the tests

from reconciler.core.changes import Outcome  # noqa: E402 # the path to it comes first
from reconciler.core.report import Mode, Report, summarize  # noqa: E402 # as above
from reconciler.files.report import load_report  # noqa: E402 # as above
from reconciler.render.board import Board  # noqa: E402 # as above
from render.boards import occurrence  # noqa: E402 # as above
from render.reports import change  # noqa: E402 # as above
from render.statuses import status  # noqa: E402 # as above

RECENT = 2_000
LIMIT = 0.2


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


def main(file: str, kind: str) -> None:
    report = replace(load_report(Path(file).read_text(encoding="utf-8")), mode=Mode.APPLY)
    all_differ = differing(report)
    account = report.accounts[0].account_id
    recent = tuple(
        replace(occurrence(each, Outcome.APPLIED, time=f"2026-11-23T{n // 100:02}:{n % 60:02}:00Z"), account_id=account)
        for n, each in enumerate(all_differ.changes[:RECENT])
    )
    told = status(recent=recent)
    shown = all_differ if kind == "differing" else report
    key = shown.accounts[0].inventory or ()
    Board(None).page(told, "/", "")  # templates are compiled once a process
    pages = ("/", "/keys", "/keys?q=shop.example.com&mark=open", f"/accounts/{account}")
    for address in (*pages, f"/accounts/{account}/keys/{key[77].key_id}"):
        path, _, query = address.partition("?")
        Board(None).page(told, path, query)
        board, took = Board(shown), []
        for _ in range(6):
            began = time.perf_counter()
            page = board.page(told, path, query)
            took.append(time.perf_counter() - began)
        assert page is not None
        slow = "" if took[0] < LIMIT else "  SLOW"
        print(
            f"  {kind:9} {address.replace(account, 'ID')[:44]:44} first {took[0] * 1e3:4.0f} ms, "
            f"then {sorted(took[1:])[2] * 1e3:3.0f} ms, {len(page) // 1024:3} KB{slow}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
