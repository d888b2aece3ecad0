"""Logs: one line for each event, its fields as docs/logs.md lists them, and never a secret or a broken line."""

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
import time_machine

from event_samples import ACCOUNT, CHANGE, FINDING, LEVELS, PARENT, RUN, STORY, WAIVER, logged
from reconciler.core.changes import AccessChange, Action, Change, Delta, Direction, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.events import (
    AccountListed,
    ChangeApplied,
    ChangeFailed,
    ChangeStarted,
    DaemonStarted,
    DaemonStopped,
    Event,
    FindingRaised,
    PassStarted,
    PlanRefused,
)
from reconciler.core.findings import Finding, Severity
from reconciler.core.guardrails import Refusal
from reconciler.core.keys import AccountRef, Source
from reconciler.core.report import Mode
from reconciler.logs import LogFormat, LogLevel, log_observer

COMMON = {"timestamp", "level", "event"}
CATALOGUE = (Path(__file__).parents[1] / "docs" / "logs.md").read_text()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(*events: Event, stream: StringIO | None = None) -> str:
    stream = stream or StringIO()
    observe = log_observer(stream, format=LogFormat.CONSOLE, level=LogLevel.DEBUG, secrets=lambda: ())
    for event in events:
        observe(event)
    return stream.getvalue()


def catalogue() -> dict[str, str]:
    """Give the catalogue's section of each event."""
    sections = re.split(r"^### `([a-z._]+)`$", CATALOGUE, flags=re.MULTILINE)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_every_event_is_told_in_one_line() -> None:
    """The story has one sample of every event of the union, and each becomes one line with a name of its own."""
    assert {type(event) for event in STORY} == set(get_args(Event))
    assert len({line["event"] for line in logged(*STORY)}) == len(STORY)


def test_a_pass_ends_with_the_head_of_the_trail() -> None:
    """Where a trail is kept, ``pass.finished`` holds its head as it is by then, and no other line does."""
    heads = iter(["sha256:1", "sha256:2"])
    stream = StringIO()
    observe = log_observer(
        stream, format=LogFormat.JSON, level=LogLevel.INFO, secrets=lambda: (), trail=lambda: next(heads)
    )
    for event in STORY:
        observe(event)
    told = [line for line in map(json.loads, stream.getvalue().splitlines()) if "trail" in line]
    assert [(line["event"], line["trail"]) for line in told] == [("pass.finished", "sha256:1")]


def test_the_catalogue_lists_every_event() -> None:
    """Each event has a section in docs/logs.md, and each section an event."""
    assert set(catalogue()) == {line["event"] for line in logged(*STORY)}


@pytest.mark.parametrize("line", logged(*STORY), ids=lambda line: str(line["event"]))
def test_the_catalogue_tells_the_truth(line: dict[str, Any]) -> None:
    """Fields, level and example line of each event in docs/logs.md are those that are written."""
    section = catalogue()[line["event"]]
    fields = re.findall(r"^\| `([a-z_]+)` \|", section, flags=re.MULTILINE)
    assert fields == [name for name in line if name not in COMMON]
    levels = next(text for text in section.splitlines() if text.startswith("Level: "))
    assert f"`{line['level']}`" in levels
    example = json.loads(section.split("```json\n")[1].split("```")[0])
    assert example == {**line, "timestamp": example["timestamp"]}


@time_machine.travel("2026-11-23T10:00:00.123456+01:00", tick=False)
def test_a_line_begins_with_when_what_and_which_pass() -> None:
    """Time in UTC with milliseconds, level, event and run come first, as JSON in ASCII."""
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=LogLevel.INFO, secrets=lambda: ())
    observe(PassStarted("rün", Mode.PLAN, 3))
    assert stream.getvalue() == (
        '{"timestamp": "2026-11-23T09:00:00.123Z", "level": "info", "event": "pass.started", '
        '"run_id": "r\\u00fcn", "mode": "plan", "number": 3, "trigger": null, "config_age": null, "desired": null, '
        '"shard": null}\n'
    )


def test_every_line_of_a_pass_names_its_run() -> None:
    """Also a request that is retried knows its pass; what comes between passes has none."""
    outside = {line["event"] for line in logged(*STORY) if "run_id" not in line}
    daemon = {"daemon.started", "config.rejected", "config.reloaded", "daemon.faulted", "daemon.stopped"}
    assert outside == {*daemon, "notification.sent", "notification.failed", "variable.misspelt"}
    assert {line.get("run_id") for line in logged(*STORY)} == {RUN, None}
    assert "run_id" not in logged(*STORY, STORY[5])[-1]


def test_a_change_is_told_whole() -> None:
    """A change's line holds the key, the fields before and after, what access is lost, and the place in the files."""
    (line,) = logged(ChangeApplied(RUN, CHANGE.ended(Outcome.APPLIED)))
    assert {name: line[name] for name in line if name not in COMMON} == {
        "run_id": RUN,
        "account_id": "d3b0",
        "sub_account_id": "acme",
        "key_id": "3c90",
        "name": "storefront",
        "label": "Shop",
        "action": "update",
        "fields": {"scopes": {"before": ["domains:read", "messages:read:all"], "after": ["domains:read"]}},
        "access": {
            "direction": "narrow",
            "scopes": {"granted": [], "revoked": ["messages:read:all"]},
            "networks": {"granted": [], "revoked": []},
        },
        "outcome": "applied",
        "reason": None,
        "source": "keys/shop.yaml:12:5",
    }


def test_what_there_is_not_is_null_or_absent() -> None:
    """A sub account is named only where there is one; other missing things are null."""
    bare = Change(AccountRef("a"), Action.QUARANTINE, None, "k", "old", None)
    (change,) = logged(ChangeStarted(RUN, bare))
    assert "sub_account_id" not in change
    assert (change["name"], change["source"], change["fields"]) == (None, None, {})
    finding, refusal = logged(
        FindingRaised(RUN, Finding("r", Severity.NOTE, "m", waived=WAIVER)), PlanRefused(RUN, Refusal("hold", "m"))
    )
    assert (finding["account_id"], finding["source"]) == (None, None)
    assert finding["waived"] == {"until": "2027-01-31", "owner": "team-sec", "reason": "INC-204"}
    assert refusal["account_id"] is None


@pytest.mark.parametrize(("event", "level"), LEVELS)
def test_the_level_says_how_serious_it_is(event: Event, level: str) -> None:
    """What failed is an error, what waits for a person a warning, what was accepted is information."""
    (line,) = logged(event)
    assert line["level"] == level


def test_what_the_pass_before_told_is_not_told_again() -> None:
    """A finding is told when it comes, and again when it has been away; in between its lines are for debugging."""
    other = Finding("r", Severity.WARN, "m")
    passes: tuple[list[Finding], ...] = ([FINDING], [FINDING, other], [FINDING], [], [FINDING])
    events: list[Event] = []
    for number, findings in enumerate(passes):
        events += [PassStarted(RUN, Mode.APPLY, number), *(FindingRaised(RUN, each) for each in findings)]
    levels = [line["level"] for line in logged(*events) if line["event"] == "finding.raised"]
    assert levels == ["error", "debug", "warning", "debug", "error"]


def test_less_serious_lines_are_left_out() -> None:
    """At level warning nothing below it is written, at level error only errors."""
    assert {line["level"] for line in logged(*STORY, level=LogLevel.WARNING)} == {"warning", "error"}
    assert {line["level"] for line in logged(*STORY, level=LogLevel.ERROR)} == {"error"}


def test_thousands_of_sub_accounts_do_not_drown_the_rest() -> None:
    """At level info the sub accounts in good order leave no line; the one that could not be read is named."""
    below = [AccountListed(RUN, AccountRef("d3b0", f"s-{n}"), 3, None, f"Acme {n}") for n in range(1000)]
    broken = AccountListed(RUN, AccountRef("d3b0", "s-x"), 0, "403 Forbidden", "Acme X")
    (line,) = logged(*below, broken, level=LogLevel.INFO)
    assert [line[name] for name in ("sub_account_id", "sub_account_name", "keys")] == ["s-x", "Acme X", 0]
    assert len(logged(*below, level=LogLevel.DEBUG)) == 1000


def test_an_account_has_no_sub_account_in_its_line() -> None:
    """Neither the id nor the name of a sub account is there where there is none."""
    (line,) = logged(AccountListed(RUN, PARENT, 3))
    assert list(line)[3:] == ["run_id", "account_id", "keys", "suspended", "error"]


SECRET = 'tok"en\n-12345'
LEAKY = Change(
    AccountRef(f"a {SECRET}"),
    Action.UPDATE,
    f"n {SECRET}",
    "aha-sk-live_1",
    f"{SECRET}{SECRET}",
    Source(f"{SECRET}.yaml", 1, 1),
    Fields(TextDiff(f"x{SECRET}", "aha-sk-abc"), ListDiff((SECRET,), (SECRET, "aha-sk-def"))),
    AccessChange(Direction.MIXED, Delta((SECRET,), (f"{SECRET}-and-more",))),
    outcome=Outcome.FAILED,
    reason=f"401 for Bearer {SECRET}",
)


def test_secrets_are_masked_wherever_they_are() -> None:
    """Credentials in use, and whatever looks like one, show in no value, however deep it lies."""
    secrets = ("", "x", SECRET, f"{SECRET}-and-more")
    (line,) = logged(ChangeFailed(f"r {SECRET}", LEAKY), secrets=secrets)
    told = json.dumps(line)
    assert "12345" not in told
    assert "more" not in told
    assert not re.search(r"aha-sk-[^*]", told)
    assert line["fields"]["label"] == {"before": "xaha-sk-***", "after": "aha-sk-***"}
    assert line["access"]["scopes"] == {"granted": ["aha-sk-***"], "revoked": ["aha-sk-***"]}


def test_a_secret_that_changes_is_masked_from_then_on() -> None:
    """The credentials are asked for with each line: a rotated one is masked at once."""
    current: list[str] = ["old-secret-1"]
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=LogLevel.INFO, secrets=lambda: current)
    observe(DaemonStarted("old-secret-1"))
    current[0] = "new-secret-2"
    observe(DaemonStarted("new-secret-2"))
    assert "secret-" not in stream.getvalue()


HOSTILE = "a\n{}\r\x1b[31m\u202e\x85\u2028\x00b"


def test_json_keeps_a_hostile_label_in_its_line() -> None:
    """Whatever a label holds, an event is one line of ASCII that reads back the same."""
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=LogLevel.INFO, secrets=lambda: ())
    observe(DaemonStopped(HOSTILE, 1))
    assert re.fullmatch(r"[ -~]+\n", stream.getvalue())
    assert json.loads(stream.getvalue())["reason"] == HOSTILE


def test_json_commands_no_runner() -> None:
    """What a CI runner would take for a command is written another way, and reads back the same."""
    label = "##vso[task.setvariable variable=x]y ##[error] ## vs"
    stream = StringIO()
    observe = log_observer(stream, format=LogFormat.JSON, level=LogLevel.INFO, secrets=lambda: ())
    observe(DaemonStopped(label, 1))
    assert "##v" not in stream.getvalue()
    assert "##[" not in stream.getvalue()
    assert json.loads(stream.getvalue())["reason"] == label


def test_the_console_shows_a_hostile_label_escaped() -> None:
    """On the console too an event is one line, with control and format characters escaped, nested ones too."""
    fields = Fields(TextDiff(HOSTILE, "b"))
    change = Change(AccountRef(HOSTILE), Action.UPDATE, HOSTILE, "k", HOSTILE, None, fields)
    text = shown(ChangeStarted(HOSTILE, change))
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert shown(AccountListed(RUN, ACCOUNT, 3, None, HOSTILE))[:-1].isprintable()
    assert "'before': 'a\\n{}\\r\\x1b[31m\\u202e\\x85\\u2028\\x00b'" in text


@time_machine.travel("2026-11-23T10:00:00Z", tick=False)
def test_the_console_line_reads_from_left_to_right() -> None:
    """Time, level and event come first, then the fields in their order."""
    assert " ".join(shown(PassStarted(RUN, Mode.PLAN, 1)).split()) == (
        "2026-11-23T10:00:00.000Z [info ] pass.started run_id='4f1c' mode='plan' number=1 trigger=None config_age=None "
        "desired=None shard=None"
    )


def test_colours_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, unless NO_COLOR is set; a file never does."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in shown(DaemonStarted("x"), stream=Terminal())
    assert "\x1b[" not in shown(DaemonStarted("x"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shown(DaemonStarted("x"), stream=Terminal())


class Broken(StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def closed() -> StringIO:
    stream = StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [Broken, closed])
@pytest.mark.parametrize("form", LogFormat)
def test_a_stream_that_cannot_be_written_is_no_veto(make: Callable[[], StringIO], form: LogFormat) -> None:
    """An observer that raises would forbid the write: a broken pipe or a closed file never makes it."""
    observe = log_observer(make(), format=form, level=LogLevel.DEBUG, secrets=lambda: ())
    for event in STORY:
        observe(event)
