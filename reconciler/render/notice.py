"""What is due, as one short message for chat, mail and pagers: what is new, what is over, and what still stands.

Plain text. Whatever files or the server hold is made harmless in it: it breaks no line, mentions nobody, and forges no
link, whichever way a service reads text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import Final

from reconciler.core.concerns import Concern, Kind, Matter
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.subjects import span
from reconciler.core.telling import Notice, Standing
from reconciler.errors import visible
from reconciler.render.addresses import Address
from reconciler.render.words import number

LONGEST: Final = 1800
"""Characters that a body has at most: Discord takes 2000, and nobody reads more on a telephone."""
_MOST_GROUPS = 8
_MOST_NAMES = 3
_MOST_OVER = 5
_LONGEST_NAME = 80
_LONGEST_REASON = 300
_LONGEST_HINT = 300
_HARMLESS = str.maketrans(
    {
        "@": "\uff20",
        "<": "\u2039",
        ">": "\u203a",
        "`": "'",
        "*": "\u2217",
        "[": "(",
        "]": ")",
        "!": "\uff01",
        "~": "\u223c",
        "|": "\u01c0",
    }
)
"""Signs that services take for mentions, links or markup, and what looks like them."""
_MARKS_UP = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Underscores that services take for markup: not those within a word."""
_LINKS = re.compile(r"(?<=\bwww)\.|(?<=[\w-])\.(?=[^\W\d_]{2,}(?:[/?#]|:[0-9]+/))", re.IGNORECASE)
"""Dots by which services know the address of a page in a text; a name of a host alone is none to most."""
_NAMES_A_HOST = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2,})")
"""Dots of all that may be one, for labels: anybody with access to the account writes those."""
_DOT = "\u2024"


class Urgency(StrEnum):
    """How a message is marked; a service may show it as a colour, or raise and resolve an incident by it."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``title`` is one line."""

    title: str
    body: str
    urgency: Urgency


Masked = Callable[[str], str]
"""Masks every secret in a text; before it is cut, since half a secret is one that nobody finds."""


def render(notice: Notice, page_url: str | None, masked: Masked) -> Message:
    """Give a notice as a message.

    Args:
        notice: What is due; not nothing.
        page_url: Where the status page is, without a slash at its end.
        masked: Masks secrets.
    """
    page = _Page(page_url, masked)
    blocks = [*_news(notice.news, page), [*_over(notice.over, page)], [*_reminders(notice.reminders, page)]]
    return Message(_title(notice, page), _fitted(blocks, _tail(notice, page_url)), _urgency(notice))


def test_message(page_url: str | None) -> Message:
    """Give the message that only shows that an address works."""
    body = ["This is a test of the AhaSend key reconciler. Nothing happened, and there is nothing to do."]
    return Message("Test of notifications", "\n".join([*body, *_link(page_url)]), Urgency.INFO)


def _urgency(notice: Notice) -> Urgency:
    """Mark a message; it is a success only where nothing stands any more, since that may resolve an incident."""
    told = (*notice.news, *notice.reminders)
    if any(each.matter.kind.serious for each in told):
        return Urgency.FAILURE
    if told:
        return Urgency.WARNING
    return Urgency.INFO if notice.standing else Urgency.SUCCESS


@dataclass(frozen=True, slots=True)
class _Words:
    """How a kind of concern is told: one of it, several, what stands, and what is over."""

    one: str
    several: str
    stands: str
    over: str


_WORDS: Final = {
    Kind.FINDING: _Words(
        "1 rule broken (deny)", "{} rules broken (deny)", "a rule is broken", "the rule is not broken any more"
    ),
    Kind.CONTESTED: _Words(
        "1 key contested", "{} keys contested", "somebody undoes each change", "nobody undoes its changes any more"
    ),
    Kind.PASS: _Words(
        "Passes fail", "Passes fail", "passes end in an error, please report it", "passes come to their end again"
    ),
    Kind.TRAIL: _Words(
        "The trail cannot be written",
        "The trail cannot be written",
        "the trail cannot be written, and so nothing is written to accounts",
        "the trail is written again",
    ),
    Kind.ACCOUNT: _Words(
        "1 account not read", "{} accounts not read", "could not be read, for a while now", "is read again"
    ),
    Kind.FILES: _Words(
        "Newer files or settings do not load",
        "Newer files or settings do not load",
        "newer files or settings do not load, older ones stay in force",
        "files and settings load again",
    ),
    Kind.FAILED: _Words(
        "1 change failing", "{} changes failing", "the change fails, for a while now", "no change fails any more"
    ),
    Kind.HELD_BACK: _Words(
        "1 key held back", "{} keys held back", "held back, a person must act", "nothing is held back any more"
    ),
    Kind.PLANNED: _Words(
        "1 key differs from the files",
        "{} keys differ from the files",
        "differs from the files, nothing was written",
        "differs no more",
    ),
    Kind.UNSUPPORTED: _Words(
        "1 change to make by hand",
        "{} changes to make by hand",
        "must be made by hand",
        "nothing is to be made by hand any more",
    ),
}


def _counted(kind: Kind, count: int) -> str:
    words = _WORDS[kind]
    return words.one if count == 1 else words.several.format(count)


# The title


def _title(notice: Notice, page: "_Page") -> str:
    """Say what it is about, and how much of it, in one line."""
    if notice.news:
        first = notice.news[0].matter
        same = [each for each in notice.news if each.matter.kind is first.kind]
        more = len(notice.news) - len(same)
        told = _counted(first.kind, len(same)) + _within(same, page)
        return told + (f", and {number(more, 'other concern')}" if more else "")
    if notice.over:
        left = f", {notice.standing} still stand{'s' if notice.standing == 1 else ''}" if notice.standing else ""
        return f"Over: {number(len(notice.over), 'concern')}{left or ', nothing stands any more'}"
    return f"Still: {number(len(notice.reminders), 'concern')} after a day"


def _within(standings: Sequence[Standing], page: "_Page") -> str:
    accounts = {each.matter.account_id for each in standings}
    match list(accounts):
        case [None]:
            return ""
        case [account]:
            return f" in account {page.name(account or '')}"
        case _:
            return f" in {number(len(accounts), 'account')}"


# The body


@dataclass(frozen=True, slots=True)
class _Page:
    """Writes texts of others so that they are harmless, and links to the status page."""

    url: str | None
    masked: Masked

    def name(self, text: str) -> str:
        """Write a name; of a file, too, so that its dots stay as they are."""
        return _cut(self._harmless(text), _LONGEST_NAME)

    def label(self, text: str) -> str:
        """Write a label, which makes no link whatever it looks like."""
        return _cut(_NAMES_A_HOST.sub(_DOT, self._harmless(text)), _LONGEST_NAME)

    def sentence(self, concern: Concern) -> str:
        """Write why, and what to do; where there is too much of that, something in the middle of the first is cut."""
        why = _cut(self._line(concern.reason), _LONGEST_REASON, keeps=_LONGEST_REASON // 2)
        return "; ".join(filter(None, (why, _cut(self._line(concern.hint), _LONGEST_HINT))))

    def _line(self, text: str) -> str:
        return _LINKS.sub(_DOT, self._harmless("; ".join(filter(None, map(str.strip, text.split("\n"))))))

    def _harmless(self, text: str) -> str:
        shown = visible(self.masked(text)).translate(_HARMLESS).replace("://", ": //")
        return _MARKS_UP.sub("\uff3f", shown)

    def link(self, standing: Standing) -> list[str]:
        """Link to the page of a key; one that does not exist yet has none, but its account has."""
        account, concern = standing.matter.account_id, standing.concern
        if self.url is None or account is None or standing.matter.key is None:
            return []
        address = Address.at(account, standing.matter.sub_account_id, concern.key_id)
        return [f"{self.url}{address}"]

    def about(self, standing: Standing) -> str:
        """Name a key, with its label where that says more; or an account; nothing for what is about neither."""
        matter, label = standing.matter, standing.concern.label
        if matter.key is None:
            return ""
        name = standing.concern.name
        shown = self.name(name) if name else self.label(matter.key)
        called = f'"{self.label(label)}"' if label and label != (name or matter.key) else ""
        return f"{shown} {called}".rstrip()

    def account(self, matter: Matter) -> str:
        """Name an account, or a sub account with its account."""
        if matter.account_id is None:
            return ""
        account = f"account {self.name(matter.account_id)}"
        if matter.sub_account_id is None:
            return account
        if matter.sub_account_id == EVERY_SUB_ACCOUNT:
            return f"all sub accounts of {account}"
        return f"sub account {self.name(matter.sub_account_id)} of {account}"


def _news(news: Sequence[Standing], page: _Page) -> Iterator[Sequence[str]]:
    """Tell what is new, a block each; many keys of an account for which the same holds are told as one."""
    groups: dict[tuple[object, ...], list[Standing]] = {}
    for each in news:
        matter, concern = each.matter, each.concern
        account = None if matter.kind is Kind.ACCOUNT else matter.account_id
        groups.setdefault((matter.kind, account, concern.what, concern.reason, concern.hint), []).append(each)
    for group in list(groups.values())[:_MOST_GROUPS]:
        yield [*_group(group, page)]
    if left := [each for group in list(groups.values())[_MOST_GROUPS:] for each in group]:
        yield [f"- and {number(len(left), 'more concern')} like these"]


def _group(group: Sequence[Standing], page: _Page) -> Iterator[str]:
    first = group[0]
    matter, concern = first.matter, first.concern
    what = f" ({page.name(concern.what)})" if concern.what else ""
    head = f"{_WORDS[matter.kind].stands}{what}"
    named = _listed([page.about(each) for each in group[:_MOST_NAMES]], len(group)) if matter.key else ""
    places = list({(each.matter.account_id, each.matter.sub_account_id): each.matter for each in group}.values())
    place = _listed([page.account(each) for each in places[:_MOST_NAMES]], len(places))
    about = named or place
    yield f"- {head}{f': {about}' if about else ''}"
    if named:
        yield f"  in {place}"
    if told := page.sentence(concern):
        yield f"  {told}"
    if concern.source is not None:
        yield f"  asked for at {page.name(f'{concern.source.file}:{concern.source.line}')}"
    yield from (f"  {link}" for link in page.link(first))


def _listed(names: Sequence[str], count: int) -> str:
    """List the first names, and count the others."""
    if count <= _MOST_NAMES:
        return ", ".join(names)
    return f"{names[0]} and {count - 1} more"


def _over(over: Sequence[Standing], page: _Page) -> Iterator[str]:
    if over:
        yield "Over:"
    for each in over[:_MOST_OVER]:
        where = ", in ".join(filter(None, (page.about(each), page.account(each.matter))))
        rule = f" ({page.name(each.matter.rule.partition('#')[0])})" if each.matter.rule else ""
        lasted = f", after {span(each.gone - each.since)}" if each.gone else ""
        yield f"- {f'{where}: ' if where else ''}{_WORDS[each.matter.kind].over}{rule}{lasted}"
    if len(over) > _MOST_OVER:
        yield f"- and {len(over) - _MOST_OVER} more"


def _reminders(reminders: Sequence[Standing], page: _Page) -> Iterator[str]:
    """Tell what still stands, by kinds."""
    if reminders:
        yield "Told before, and still so:"
    kinds: dict[Kind, list[Standing]] = {}
    for each in reminders:
        kinds.setdefault(each.matter.kind, []).append(each)
    for kind, standings in kinds.items():
        since = min(each.since for each in standings).astimezone(UTC)
        names = [page.about(each) or page.account(each.matter) for each in standings[:_MOST_NAMES]]
        named = f": {_listed(names, len(standings))}" if any(names) else ""
        yield f"- {_counted(kind, len(standings))}{named}, since {since:%Y-%m-%d %H:%M} UTC"


def _tail(notice: Notice, page_url: str | None) -> list[str]:
    """Say which plan it is, where somebody may apply it who looks at it first, and where to see all of it."""
    planned = any(each.matter.kind is Kind.PLANNED for each in notice.news)
    plan = [f"Plan, to compare with what is reviewed: {notice.digest}"] if planned and notice.digest else []
    return [*plan, *_link(page_url)]


def _cut(text: str, room: int, keeps: int = 0) -> str:
    """Cut a text that has no room, before what it ``keeps`` of its end."""
    if len(text) <= room:
        return text
    return f"{text[: room - 1 - keeps]}\u2026{text[len(text) - keeps :]}"


def _link(page_url: str | None) -> list[str]:
    return [f"Status: {page_url}/"] if page_url else []


def _fitted(blocks: Iterable[Sequence[str]], tail: Sequence[str]) -> str:
    """Give as many lines of the blocks as have room, a blank one between two blocks, and then the tail."""
    room = LONGEST - sum(len(line) + 1 for line in tail) - len("\n\u2026\n\n")
    shown: list[str] = []
    for line in (line for block in blocks if block for line in ("", *block)):
        room -= len(line) + 1
        if room < 0:
            shown.append("\u2026")
            break
        shown.append(line)
    return "\n".join([*shown[1:], *(["", *tail] if tail else [])])
