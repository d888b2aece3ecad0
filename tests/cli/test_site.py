"""What the daemon's web server shows, as the command line puts it together."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from daemon.chained import ACCOUNT, NOON, SHOP, opened
from daemon.test_chronicle import made, report, unheard
from daemon.visitor import ready
from reconciler.cli.site import Documents, Look, due, make_chronicle
from reconciler.cli.wiring import MOST_SECRETS, Secrets
from reconciler.core.changes import Outcome
from reconciler.core.events import ChangeApplied
from reconciler.core.report import Mode
from reconciler.core.status import Readiness, Status
from reconciler.daemon.address import Address
from reconciler.daemon.audience import Audience, PageFor
from reconciler.daemon.chronicle import Chronicle
from reconciler.daemon.schedule import Schedule
from reconciler.files.commits import Commits
from reconciler.files.report import load_report
from reconciler.files.status import load_status
from reconciler.render.json import render
from reconciler.settings import load_settings

EVERY = Schedule.every(timedelta(minutes=5))
TOKEN = "the-token-of-a-web-server"
BROKEN = f"{TOKEN[:9]} {TOKEN[9:]}"
LEAKED = replace(SHOP, label=f"was {TOKEN}").ended(Outcome.FAILED, f"no: {BROKEN}, aha-sk-{'x' * 20}")


def chronicle() -> Chronicle:
    return make_chronicle(EVERY, Commits(), None, unheard, dry_run=False)


class Story:
    """A daemon's chronicle and what is shown of it."""

    def __init__(self) -> None:
        self.chronicle = chronicle()
        self.readiness: Readiness = ready()
        self.secrets = Secrets()
        self.asked = 0
        self.documents = Documents(self.chronicle, self.secrets, self.now)

    def now(self) -> Status:
        self.asked += 1
        return self.chronicle.status(self.readiness, "2026-11-23T12:05:00Z")

    def passes(self, number: int = 1) -> None:
        for event in made(ChangeApplied("run", LEAKED), number=number, found=report(LEAKED)):
            self.chronicle(event)


def test_no_secret_is_shown() -> None:
    """Status and report hold no secret, whole or broken by a blank, of those known when it is made."""
    story = Story()
    story.passes()
    story.secrets.hide(TOKEN)
    shown = story.documents.report()
    assert shown
    for text in (story.documents.status().make(), shown.make()):
        assert "aha-sk-***" in text
        for secret in (TOKEN, BROKEN, "x" * 20):
            assert secret not in text
    assert load_report(shown.make()).run_id == "run-1"
    assert load_status(story.documents.status().make().encode()).recent[0].label == "was aha-sk-***"


def test_no_secret_is_on_a_page() -> None:
    """Pages hold no secret, whole or broken by a blank, of those known when they are drawn."""
    story = Story()
    story.passes()
    story.secrets.hide(TOKEN)
    pages = story.documents.pages()
    draw, status = pages.board().page, pages.status()
    for path in ("/", "/keys", f"/accounts/{ACCOUNT.account_id}"):
        text = draw(status, path, "")
        assert text
        assert path == "/keys" or "aha-sk-***" in text
        for secret in (TOKEN, BROKEN, "x" * 20):
            assert secret not in text
    assert draw(status, "/nothing", "") is None
    assert "There is no such page" in pages.board().missing(status, "/nothing")


def test_pages_before_the_first_pass() -> None:
    """Before the first pass each page says so, of whichever account; who waits on one need not look for it again."""
    pages = Story().documents.pages()
    draw, status = pages.board().page, pages.status()
    for path in ("/", f"/accounts/{ACCOUNT.account_id}"):
        assert "Not known yet" in (draw(status, path, "") or "")


def test_tags_of_pages() -> None:
    """Pages have another tag when the status says something else, and share what they are drawn with in one report."""
    story = Story()
    before = story.documents.pages()
    story.passes()
    first = story.documents.pages()
    assert len({first.tag, before.tag}) == len({first.report, before.report}) == 2
    assert story.documents.pages().tag == first.tag
    story.secrets.hide(TOKEN)
    hidden = story.documents.pages()
    assert len({first.tag, hidden.tag}) == len({first.report, hidden.report}) == 2


def test_tags_where_one_secret_goes_for_another() -> None:
    """Tags tell apart what was masked with as many secrets, but with others; the same ones read again change none."""
    story = Story()
    story.passes()
    for number in range(MOST_SECRETS):
        story.secrets.hide(f"token-{number:05}")
    before = story.documents.pages()
    for number in range(MOST_SECRETS):
        story.secrets.hide(f"token-{number:05}")
    assert (story.documents.pages().tag, story.documents.pages().report) == (before.tag, before.report)
    story.secrets.hide(TOKEN)
    assert len(tuple(story.secrets())) == MOST_SECRETS
    after = story.documents.pages()
    assert before.tag != after.tag
    assert before.report != after.report


def test_tags_after_a_secret_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that the settings in use have read since, as after a rotation, makes another tag at once."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    file = tmp_path / "ahasend_api_key"
    file.write_text("aha-sk-first")
    story = Story()
    story.passes()
    settings = story.secrets.remember(load_settings([]))
    first, before = story.documents.report(), story.documents.report()
    file.write_text("aha-sk-second")
    assert settings.token(ACCOUNT) == "aha-sk-second"
    after = story.documents.report()
    assert first
    assert before
    assert after
    assert first.tag == before.tag != after.tag


def test_the_report_is_that_of_json() -> None:
    """The report is, to the letter, what ``-o json`` prints."""
    story = Story()
    for event in made(found=report()):
        story.chronicle(event)
    shown = story.documents.report()
    assert shown
    assert story.chronicle.report
    assert shown.make() == render(story.chronicle.report)


def test_before_the_first_pass() -> None:
    """Before the first pass there is a status, and no report."""
    story = Story()
    assert story.documents.report() is None
    assert json.loads(story.documents.status().make())["last_pass"] is None


def test_tags_of_reports() -> None:
    """A report has a tag of its own, which changes with the pass, with what is masked, and with the process."""
    story = Story()
    story.passes()
    tags = []
    steps: tuple[Callable[[], None], ...] = (lambda: None, lambda: story.passes(2), lambda: story.secrets.hide(TOKEN))
    for step in steps:
        step()
        shown = story.documents.report()
        assert shown
        tags.append(shown.tag)
    other = Documents(story.chronicle, story.secrets, story.now).report()
    assert other
    assert len({*tags, other.tag}) == 4


def test_tags_of_the_status() -> None:
    """The tag of a status stays while only time goes on, and changes with all else that it tells."""
    with time_machine.travel(NOON, tick=False) as clock:
        story = Story()
        story.passes()
        first = story.documents.status()
        clock.shift(5)
        story.readiness = replace(ready(), configuration=replace(ready().configuration, age_seconds=5.0))
        later = story.documents.status()
        assert later.tag == first.tag
        assert later.moment != first.moment
        tags = [first.tag]
        clock.shift(1)
        story.readiness = replace(ready(), ready=False, reasons=("no",))
        tags.append(story.documents.status().tag)
        story.passes(2)
        tags.append(story.documents.status().tag)
    assert len(set(tags)) == 3


def test_those_who_ask_within_a_second() -> None:
    """However many ask within a second, the status is worked out once, unless something happens."""
    with time_machine.travel(NOON, tick=False) as clock:
        story = Story()
        for _ in range(200):
            story.documents.status()
        assert story.asked == 1
        story.passes()
        story.documents.status()
        assert story.asked == 2
        clock.shift(1)
        story.documents.status()
        assert story.asked == 3


@pytest.mark.parametrize(
    ("look", "audience"),
    [
        (Look(Address("127.0.0.1", 80)), Audience(PageFor.LOCAL, frozenset({"127.0.0.1"}))),
        (
            Look(Address("Keys.Example.com.", 80), "all", ("other.example",)),
            Audience(PageFor.ALL, frozenset({"keys.example.com", "other.example"})),
        ),
        (Look(Address("::", 80), "none"), Audience(PageFor.NONE, frozenset({"::"}))),
    ],
)
def test_who_may_look(look: Look, audience: Audience) -> None:
    """The page's options say who may look; the name that is listened on is one to call it by."""
    assert look.audience == audience


def test_what_the_trail_tells_is_shown(tmp_path: Path) -> None:
    """With a trail, what was before the daemon began is shown, too; a dry run is told as that."""
    with opened(tmp_path / "trail") as trail:
        for event in made(ChangeApplied("run-1", SHOP.ended(Outcome.APPLIED))):
            trail(event)
        kept = make_chronicle(EVERY, Commits(), trail, unheard, dry_run=True)
    told = kept.status(ready(), None)
    assert (told.mode, len(told.recent), told.recent[0].account_id) == (Mode.PLAN, 1, ACCOUNT.account_id)
    assert chronicle().status(ready(), None).mode is Mode.APPLY


def test_an_account_is_due_for_as_long_as_a_pass_takes() -> None:
    """An account is to be read again by the third beginning, and as much later as jitter and the last pass allow."""
    schedule = Schedule.every(timedelta(minutes=1), timedelta(seconds=3))
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert due(schedule, 400.0, noon) == noon + timedelta(minutes=3, seconds=3 + 400 + 5)
