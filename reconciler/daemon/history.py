"""What a trail tells of one key, oldest first: read back from its lines, and told for people."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, assert_never

from reconciler.core.changes import Action, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.networks import ANYWHERE, FENCE
from reconciler.core.status import AskedBy
from reconciler.daemon.chain import DECISION, WRITE_ENDED, WRITE_STARTED, Broken, Lines, read_line
from reconciler.errors import mask, visible

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_MOST_NAMES = 100_000
_FENCED = (FENCE,)


@dataclass(frozen=True, slots=True)
class Told:
    """One line about a key; ``seq`` is its number in the trail."""

    seq: int
    time: str
    event: Literal["decision", "write.started", "write.ended"]
    run_id: str | None
    account_id: str
    sub_account_id: str | None
    key_id: str | None
    name: str | None
    label: str
    action: Action
    fields: Fields
    outcome: Outcome
    reason: str | None
    asked_by: AskedBy | None
    trigger: str | None = None

    @property
    def account(self) -> tuple[str, str | None]:
        """The account, and the sub account if it is about one."""
        return self.account_id, self.sub_account_id

    @property
    def called(self) -> set[str]:
        """All that the key is called in this line."""
        label = self.fields.label
        labels = (self.label, label.before, label.after) if label else (self.label,)
        return {each for each in (self.name, self.key_id, *labels) if each is not None}


@dataclass(slots=True)
class History:
    """The lines about some keys, their texts, other names that came up, and how many lines could not be understood."""

    told: list[Told] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    unclear: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Which keys are asked for: by name, label or id, in all accounts or in one, or one sub account."""

    key: str
    account: str | None = None

    def about(self, told: Told) -> bool:
        """Tell whether a line calls its key by what was asked for."""
        return self.within(told) and not told.called.isdisjoint((self.key, self.key.lower()))

    def within(self, told: Told) -> bool:
        """Tell whether a line is about an account that was asked for."""
        return self.account is None or self.account.lower() in told.account


def look_up(question: Question, first: Lines, second: Lines) -> History:
    """Find all lines about a key, whatever it was called at the time; a trail is read twice for that.

    Args:
        question: What to look for.
        first: The lines of the trail.
        second: The same once more.
    """
    history = History()
    ids = set()
    for _, told in _understood(first, history):
        if question.about(told):
            ids.add((told.account, told.key_id))
        elif question.within(told) and len(history.others) < _MOST_NAMES:
            history.others |= told.called
    for line, told in _understood(second, History()):
        if question.about(told) or (told.key_id and (told.account, told.key_id) in ids):
            history.told.append(told)
            history.lines.append(line)
    return history


def _understood(lines: Lines, history: History) -> Iterator[tuple[bytes, Told]]:
    from pydantic import ValidationError

    for _, line in lines:
        try:
            entry = read_line(line)
            if entry.event in (DECISION, WRITE_STARTED, WRITE_ENDED):
                yield line, _adapter().validate_python(entry.body)
        except (Broken, ValidationError):
            history.unclear += 1


@cache
def _adapter() -> "TypeAdapter[Told]":
    from pydantic import TypeAdapter

    return TypeAdapter(Told)


def tell(history: History) -> str:
    """Tell the history of each key in turn, escaped for a terminal."""
    keys: dict[tuple[tuple[str, str | None], str | None], list[Told]] = {}
    for told in history.told:
        keys.setdefault((told.account, told.key_id or told.name), []).append(told)
    return "\n".join("".join(f"{visible(mask(line))}\n" for line in _about_key(each)) for each in keys.values())


def _about_key(lines: Sequence[Told]) -> Iterator[str]:
    last = lines[-1]
    below = f", sub account {last.sub_account_id}" if last.sub_account_id else ""
    key = f"key {last.key_id}" if last.key_id else "no key yet"
    yield f'{last.name or "unmanaged"}  "{last.label}"  {key}  account {last.account_id}{below}'
    for each, following in zip(lines, (*lines[1:], None), strict=True):
        yield from _about_line(each, following)
    if fenced := _before_the_fence(lines):
        yield f"The list before it was fenced ({fenced[0]}): {fenced[1]}"


def _about_line(told: Told, following: Told | None) -> Iterator[str]:
    began = f", begun by {told.trigger}" if told.trigger else ""
    yield f"  {told.time}  {_what(told)}  (line {told.seq}, run {told.run_id}{began})"
    if told.event == WRITE_STARTED and (following is None or following.event == DECISION):
        yield "      how it ended is not in the trail: the process ended before, or the trail could not be written"
    if told.reason:
        yield f"      why: {' '.join(told.reason.split())}"
    if told.event == WRITE_ENDED:
        return
    if told.asked_by:
        yield f"      asked for at {told.asked_by}"
    for name, diff in told.fields.diffs.items():
        yield from (f"      {name}  {line}" for line in _difference(diff))


def _what(told: Told) -> str:
    match told.event:
        case "write.started":
            return f"{told.action}: the write begins"
        case "write.ended":
            return f"{told.action}: {told.outcome}"
        case "decision":
            return f"{told.action}: {_DECISIONS[told.outcome]}"
        case _:
            assert_never(told.event)


_DECISIONS = {
    Outcome.PLANNED: "would be made (a dry run)",
    Outcome.APPLIED: "had been made already",
    Outcome.FAILED: "not made, failed",
    Outcome.STALE: "not made, since the key had changed",
    Outcome.DENIED: "held back by a rule (denied)",
    Outcome.REFUSED: "held back by a guardrail (refused)",
    Outcome.SKIPPED: "held back (skipped)",
    Outcome.PAUSED: "paused",
}


def _difference(diff: TextDiff | ListDiff) -> Iterator[str]:
    match diff:
        case TextDiff(before, after):
            yield f"{'none' if before is None else repr(before)} -> {after!r}"
        case ListDiff(before, after) if not (before and after):
            yield f"{_listed(before)} -> {_listed(after)}"
        case ListDiff(before, after):
            old = before or ()
            yield from (f"- {text}" for text in old if text not in after)
            yield from (
                f"+ {text}{' (fence: switched off)' if after == _FENCED else ''}" for text in after if text not in old
            )
        case _:
            assert_never(diff)


def _listed(texts: tuple[str, ...] | None) -> str:
    if texts is None:
        return "none"
    return ", ".join(texts) or "empty"


def _before_the_fence(lines: Iterable[Told]) -> tuple[str, str] | None:
    """Give when the key was last sent its fence, and its list before that."""
    found = None
    for told in lines:
        diff = told.fields.ip_allow_list
        if told.event == WRITE_STARTED and diff and diff.after == _FENCED and diff.before not in (None, _FENCED):
            found = told.time, ", ".join(diff.before or ()) or f"{ANYWHERE} (an empty list)"
    return found
