"""Progress: one line of a terminal while it takes longer than a moment, and nothing of it elsewhere or afterwards."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pexpect
import pytest

from reconciler.cli.last_line import Above, LastLine
from reconciler.cli.progress import Progress, Stage, is_wanted
from reconciler.core.changes import Action, Change, Fields
from reconciler.core.events import (
    AccountListed,
    ChangeApplied,
    ChangeFailed,
    Event,
    FindingRaised,
    ListingProgressed,
    PassFinished,
    PassStarted,
    PlanComputed,
    SubAccountsListed,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import AccountRef
from reconciler.core.report import SCHEMA, Mode, Report, RequestCounts, Summary
from reconciler.emulator.server import Emulator
from served import served
from world import ACCOUNT, FAMILY_MANAGER, TOKEN, admin, key, key_id, sub_account

ONE = AccountRef("d3b0")
BELOW = AccountRef("d3b0", "acme")
CHANGE = Change(ONE, Action.UPDATE, "shop", "3c90", "Shop", None, Fields())
REPORT = Report(
    SCHEMA, "0", Mode.PLAN, "r", "t0", "t1", None, None, (), (), (), Summary(), RequestCounts()
)  # fmt: skip
WIPED = "\r\x1b[K"


class Terminal(io.TextIOWrapper):
    """A terminal that remembers what was written."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


class Watched:
    """A progress whose clock the story moves."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        self.now = 100.0
        self.terminal = terminal or Terminal()
        self.line = LastLine()
        self.progress = Progress(self.terminal, lambda: self.now, self.line)

    def tell(self, *events: Event, after: float = 0.2) -> str:
        """Tell events, each so many seconds after the one before; give what was shown last."""
        for event in events:
            self.now += after
            self.progress(event)
        return self.terminal.text.rpartition(WIPED)[2]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")


def started(mode: Mode = Mode.PLAN, desired: int = 4000) -> PassStarted:
    return PassStarted("r", mode, 1, desired=desired)


def test_a_moment_is_not_shown() -> None:
    """What takes less than half a second shows nothing, so that nothing flickers."""
    watched = Watched()
    watched.tell(started(), ListingProgressed(ONE, 100), after=0.2)
    assert watched.terminal.text == ""
    assert watched.tell(ListingProgressed(ONE, 200)) != ""


def test_keys() -> None:
    """Keys are counted against about as many as the files name, over all accounts, with the time that is left."""
    watched = Watched()
    watched.tell(started(), AccountListed("r", AccountRef("other"), 500))
    assert watched.tell(ListingProgressed(ONE, 500), after=0.6) == "reading keys: 1,000 of about 4,000, 00:03 left"
    assert watched.tell(AccountListed("r", ONE, 2000), after=1) == "reading keys: 2,500 of about 4,000, 00:01 left"


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (52, "reading keys: 3,400 of about 10,000, 00:03 left"),
        (47, "keys 3,400/~10,000 00:03"),
        (25, "keys 3,400/~10,000 00:03"),
        (24, "keys 3,400/~10,000"),
        (18, "3,400/~10,000"),
        (10, "3,400"),
        (5, ""),
    ],
)
def test_a_narrow_terminal(width: int, told: str) -> None:
    """Where there is no room for the sentence its figures stay: words go first, then the time that is left."""
    assert Stage("reading keys", 3400, about=10_000).line(2.0, width) == told


def test_a_narrow_terminal_where_nothing_is_known() -> None:
    """Likewise where nobody knows how many there are, or nothing is done yet."""
    assert [Stage("reading sub accounts", 3400).line(2.0, width) for width in (60, 20, 8)] == [
        "reading sub accounts: 3,400 so far",
        "sub accounts 3,400",
        "3,400",
    ]
    assert Stage("writing changes", 0, total=40).line(2.0, 20) == "changes 0/40"


def test_more_keys_than_expected() -> None:
    """Where there are more keys than the files name, or nobody knows how many, only what was read is told."""
    watched = Watched()
    assert watched.tell(started(desired=100), ListingProgressed(ONE, 1200), after=1) == "reading keys: 1,200 so far"
    assert Watched().tell(ListingProgressed(ONE, 1200), after=1) == "reading keys: 1,200 so far"


def test_sub_accounts() -> None:
    """Sub accounts are counted, and against all of them once their list was read; what a bar stands for is plain."""
    watched = Watched()
    below = AccountListed("r", BELOW, 3)
    assert watched.tell(started(), below, after=1) == "reading sub accounts: 1 so far"
    assert (
        watched.tell(SubAccountsListed("r", ONE, 50, 40), *[below] * 9) == "reading sub accounts: 10 of 40, 00:12 left"
    )
    assert watched.tell(FindingRaised("r", Finding("x", Severity.NOTE, "")), ListingProgressed(BELOW, 9)) != ""


def test_writing() -> None:
    """Writes are counted, the failed ones too, against those that may be made, and timed from when they began."""
    watched = Watched()
    watched.tell(started(Mode.APPLY), AccountListed("r", ONE, 30), after=9)
    assert watched.tell(PlanComputed("r", None, 9, 4)).startswith("reading")
    watched.tell(ChangeApplied("r", CHANGE), after=1)
    assert watched.tell(ChangeFailed("r", CHANGE), after=1) == "writing changes: 2 of 4, 00:02 left"


def test_a_dry_run_writes_nothing() -> None:
    """A plan, and one of which nothing may be written, never says that something is being written."""
    for mode, applicable in ((Mode.PLAN, 4), (Mode.APPLY, 0)):
        watched = Watched()
        told = watched.tell(started(mode), PlanComputed("r", None, 4, applicable), AccountListed("r", ONE, 4), after=1)
        assert told.startswith("reading")


def test_the_end() -> None:
    """With the end of a pass the line is gone, and nothing was shown that a pipe or a file would keep."""
    watched = Watched()
    assert watched.tell(started(), ListingProgressed(ONE, 100), after=1)
    assert watched.tell(PassFinished("r", REPORT, 1.0)) == ""
    assert "\n" not in watched.terminal.text


def test_lines_that_stay() -> None:
    """A line of the log takes the place of the last line, and never stands beside it."""
    terminal = Terminal()
    line = LastLine()
    above = Above(terminal, line)
    line.show(terminal, "reading")
    assert above.write("warning\n") == 8
    above.flush()
    assert terminal.text == f"{WIPED}reading{WIPED}warning\n"
    assert above.isatty()
    assert not above.closed
    line.wipe()
    assert terminal.text.endswith("warning\n")


def test_not_too_often() -> None:
    """Events that come in one moment make one line."""
    watched = Watched()
    watched.tell(started(), after=1)
    watched.tell(*[AccountListed("r", BELOW, 1)] * 50, after=0.001)
    assert watched.terminal.text.count(WIPED) <= 2


@pytest.mark.parametrize("width", [0, 1, 2, 20, 40, 71, 80, 200])
def test_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is always narrower than the terminal, also where that has 20 columns, and a wide one has a bar."""
    for stage in (
        Stage("reading keys", 1000, about=4000),
        Stage("reading keys", 1000),
        Stage("writing it", 0, total=4),
    ):
        line = stage.line(2.0, width)
        assert len(line) < max(width, 1)
        assert ("|" in line) is (width > 70 and (stage.about or stage.total) is not None)
        assert "|" in line or line in (*stage._forms(2.0), "")
    assert re.search(r"4,000 \|█{12}. +\| 00:06 left$", Stage("reading keys", 1000, about=4000).line(2.0, 100))
    assert Stage("reading keys", 1000, about=4000).line(2.0, 100, bars=False).isascii()


def test_a_terminal_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is as wide as the terminal is then."""
    watched = Watched()
    monkeypatch.setenv("COLUMNS", "100")
    long = watched.tell(started(), ListingProgressed(ONE, 100), after=1)
    monkeypatch.setenv("COLUMNS", "20")
    assert len(watched.tell(ListingProgressed(ONE, 200))) <= 19 < len(long)


class Gone(Terminal):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone() -> None:
    """An observer that raises would forbid a write: a terminal that is closed, gone, or without letters never does."""
    closed = Terminal()
    closed.close()
    for terminal in (Gone(), closed, Terminal("latin-1")):
        watched = Watched(terminal)
        for event in (
            started(),
            ListingProgressed(ONE, 100),
            AccountListed("r", ONE, 200),
            PassFinished("r", REPORT, 1),
        ):
            watched.now += 1
            watched.progress(event)


class Broken(LastLine):
    def show(self, stream: TextIO, text: str) -> None:
        raise RuntimeError("a bug")


def test_no_fault_of_its_own_forbids_a_write() -> None:
    """Whatever goes wrong with showing it, the observer does not raise."""
    now = iter(range(100))
    progress = Progress(Terminal(), lambda: float(next(now)), Broken())
    progress(started(Mode.APPLY))
    progress(ListingProgressed(ONE, 100))


def test_where_it_is_wanted() -> None:
    """It is for a terminal that can go back in its line."""
    assert is_wanted(Terminal(), {"TERM": "xterm"})
    assert not is_wanted(Terminal(), {"TERM": "dumb"})
    assert not is_wanted(Terminal(), {})
    assert not is_wanted(io.StringIO(), {"TERM": "xterm"})


MANY = 700


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A folder and an account of many keys, and an emulator that takes its time."""
    folder = tmp_path_factory.mktemp("many")
    scopes = ["domains:read", "messages:read:all"]
    keys = [admin(scopes=list(FAMILY_MANAGER)), *(key(n, f"k{n}", *scopes) for n in range(1, MANY))]
    below = [sub_account(n, f"Acme {n}") for n in range(30)]
    emulator = Emulator(
        {"accounts": [{"id": ACCOUNT, "keys": keys, "sub_accounts": below}]}, latency=0.1, rate=1e6, burst=10**6
    )
    (folder / "config/keys").mkdir(parents=True)
    entries = "".join(f"  - {{name: k{n}, scopes: [domains:read]}}\n" for n in range(1, MANY))
    (folder / "config/keys/keys.yaml").write_text(f"version: 1\naccount: {ACCOUNT}\nkeys:\n{entries}")
    with served(emulator) as address:
        environment = {
            "AHASEND_ENDPOINT": address,
            "AHASEND_API_KEY": TOKEN,
            "AHASEND_ACCOUNT_ID": ACCOUNT,
            "RECONCILER_SELF_KEY_ID": key_id(0),
            "RECONCILER_RATE": "200",
            "TERM": "xterm",
        }
        yield {"cwd": str(folder), "env": os.environ | environment}


def on_terminal(account: dict[str, Any], *arguments: str, **options: Any) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        sys.executable,
        ["-m", "reconciler", *arguments],
        dimensions=(24, 100),
        encoding="utf-8",
        timeout=30,
        **account,
        **options,
    )


def shown(output: str) -> str:
    """What is left on a terminal in the end."""
    lines = [line.rpartition(WIPED)[2] for line in output.replace("\r\n", "\n").split("\n")]
    return "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], "reading keys: {} of about 699"),
        (["audit", "-o", "json=audit.json"], "reading keys: {} of about 699"),
        (["who-can", "domains:read"], "reading keys: {} so far"),
        (["export", "--to", "out", "--overwrite", "--sub-accounts"], "reading sub accounts: {} of 30"),
    ],
)
def test_on_a_terminal(account: dict[str, Any], arguments: list[str], words: str) -> None:
    """Every command that reads tells how far it has come, and in the end shows what it shows in a pipe."""
    with on_terminal(account, *arguments) as spawned:
        output = spawned.read()
    assert re.search(words.replace("{}", "[0-9]+"), output)
    assert "reading" not in shown(output)
    piped = subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments], capture_output=True, text=True, check=False, **account
    )
    assert "reading" not in piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr
    assert [line.strip() for line in shown(output).split("\n")][-2:] == [
        line.strip() for line in piped.stdout.split("\n")
    ][-2:]


def test_json_logs_are_left_alone(account: dict[str, Any]) -> None:
    """Where logs are JSON, on a terminal too, nothing comes between them."""
    with on_terminal(account, "plan", "--log-format", "json", "-o", "json=plan.json") as spawned:
        assert spawned.read() == ""


def test_stdout_holds_results_alone(account: dict[str, Any]) -> None:
    """With stdout in a file the line is on the terminal, and the file holds the report."""
    command = f"{sys.executable} -m reconciler plan > report.txt"
    with pexpect.spawn("bash", ["-c", command], encoding="utf-8", timeout=30, **account) as spawned:
        assert "reading keys" in spawned.read()
    report = Path(account["cwd"], "report.txt").read_text()
    assert "reading" not in report
    assert "Plan: " in report


def test_an_error_stands_alone(account: dict[str, Any]) -> None:
    """An error takes the place of the line, and does not stand beside it."""
    with on_terminal(account, "explain", "nobody") as spawned:
        output = spawned.read()
    assert "reading keys" in output
    assert shown(output).startswith("error: no key has the name")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_nothing_behind(account: dict[str, Any], number: signal.Signals) -> None:
    """After a signal in the middle of reading the line is gone, and the report stands where it stood."""
    with on_terminal(account, "plan") as spawned:
        spawned.expect("reading keys")
        spawned.kill(number)
        output = f"{spawned.after}{spawned.read()}"
    assert "reading" not in shown(output)
    assert "interrupted" in shown(output)


def test_writes_are_told(account: dict[str, Any]) -> None:
    """While changes are written their number is told, between lines of the log that stay whole."""
    with on_terminal(account, "apply", "--allow", "max-changes", "--log-level", "info") as spawned:
        spawned.expect("writing changes: [0-9]+ of 699")
        spawned.kill(signal.SIGTERM)
        output = f"{spawned.before}{spawned.after}{spawned.read()}"
    lines = shown(output).split("\n")
    assert not [line for line in lines if "writing changes" in line]
    assert [line for line in lines if "change.started" in line]
