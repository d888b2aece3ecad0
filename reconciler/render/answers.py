"""Answers about single keys: who can do something (also as JSON), and why a key is as it is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC
from typing import Any

from reconciler.core.answers import ExplainedRule, ExplainedScope, Explanation, Hold, Holder
from reconciler.core.changes import Change
from reconciler.core.findings import Severity
from reconciler.core.judging import Verdict
from reconciler.core.keys import KeyState
from reconciler.core.networks import ANYWHERE
from reconciler.core.subjects import Subject, span
from reconciler.errors import visible
from reconciler.render.block import Columns, add_change
from reconciler.render.groups import Once, Owner
from reconciler.render.owners import heading
from reconciler.render.page import GUTTER, Page, Style, quoted

_LONGEST_TITLE = 40
_MAYBE = "key that may be a desired one"
_NOBODY = "Nobody can, by the files or in the accounts."


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An account that could not be read, so that an answer is not whole."""

    owner: Owner
    error: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What is to be known beside an answer: which accounts it leaves out, and as of when it is."""

    unanswered: tuple[Unanswered, ...] = ()
    notes: tuple[str, ...] = ()


def render_who_can(what: str, holders: Sequence[Holder], beside: "Beside", *, style: Style) -> str:
    """Give who can do ``what`` as text: the files' word and the account's side by side, by account."""
    page = Page(style)
    page.add(page.paint(f"Who can {visible(what)}", "bold"))
    owners = dict.fromkeys(_owner(holder) for holder in holders)
    for owner in owners:
        page.gap()
        title, of_account = heading(owner, page.width)
        page.add(page.paint("  ".join(filter(None, (title, of_account))), "bold"))
        for holder in holders:
            if _owner(holder) == owner:
                _add_holder(page, holder)
    if not holders:
        page.gap()
        page.add(_NOBODY if not beside.unanswered else "Nobody can, in what could be read.")
    _add_beside(page, beside)
    return page.text


def _owner(holder: Holder) -> Owner:
    return Owner(holder.account_id, holder.sub_account_id, holder.sub_account_name)


def _add_holder(page: Page, holder: Holder) -> None:
    title = _MAYBE if holder.unclear else "unmanaged key" if holder.name is None else visible(holder.name)
    label = "" if holder.name == holder.label else f"  {quoted(holder.label, _LONGEST_TITLE)}"
    known = f"  key {visible(holder.key_id)}" if holder.key_id else ""
    page.add(f"  {page.paint(title, 'bold')}{label}{page.paint(known, 'dim')}")
    wanted, actual = _hold(holder.desired, "no"), _hold(holder.actual, "no")
    if holder.name is None:
        wanted = "cannot be told" if holder.unclear else "no file names it"
    differs = bool(holder.desired) != bool(holder.actual)
    page.hang("    files    ", wanted, "yellow" if differs and not holder.desired else "")
    page.hang("    account  ", actual, "yellow" if differs and not holder.actual else "")
    if holder.source:
        page.add(page.paint(f"    {visible(holder.source.file)}:{holder.source.line}", "dim"))


def _hold(hold: Hold | None, nothing: str) -> str:
    if hold is None:
        return nothing
    if hold.networks is None:
        place = "from wherever the account says"
    else:
        place = f"from {', '.join(hold.networks) or ANYWHERE}"
    off = "switched off, so not now; " if hold.switched_off else ""
    off = off if hold.reachable else "nobody on the public IPv4 internet is on its list, so not now; "
    return f"{off}by {', '.join(hold.by)}, {place}"


def _add_beside(page: Page, beside: Beside) -> None:
    for one in beside.unanswered:
        page.gap()
        title, _ = heading(one.owner, page.width)
        page.add(page.paint(title, "bold") + "  " + page.paint("FAILED", "bold red"))
        page.hang("  ", one.error, "red")
    if beside.notes:
        page.gap()
    for note in beside.notes:
        page.hang("note  ", note, "dim")


# Why a key is as it is

_VERDICTS = {
    Verdict.KEPT: ("ok", "green"),
    Verdict.BROKEN: ("BROKEN", "bold red"),
    Verdict.FAILED: ("FAILED", "bold red"),
    Verdict.OTHER_KEYS: ("-", "dim"),
    Verdict.NO_CHANGE: ("-", "dim"),
}


def render_explanations(explained: Sequence[Explanation], beside: Beside, *, style: Style) -> str:
    """Give all there is to say of some keys as text."""
    page = Page(style)
    for explanation in explained:
        page.gap()
        _explanation(page, explanation)
    _add_beside(page, beside)
    return page.text


def _explanation(page: Page, told: Explanation) -> None:
    subject = told.subject
    title = visible(subject.name) if subject.name is not None else "unmanaged key"
    if subject.managed and subject.name is None:
        title = _MAYBE
    page.add(page.paint(title, "bold") + f"  {quoted(subject.label, _LONGEST_TITLE)}")
    owner = Owner(told.account.account_id, told.account.sub_account_id, told.account_name)
    _line(page, "of", "  ".join(filter(None, heading(owner, page.width))))
    _line(page, "key", told.known)
    _of_file(page, told)
    _line(page, "used", _use(subject))
    _section(page, "Scopes")
    for scope in told.scopes:
        _scope(page, scope, subject)
    if not told.scopes:
        page.add("  none")
    _section(page, "Networks")
    _networks(page, subject)
    _section(page, "Rules")
    for rule in told.rules:
        _rule(page, rule)
    if not told.rules:
        page.add("  none is asked: it is to be gone" if subject.state is KeyState.ABSENT else "  the policy has none")
    _section(page, "What would be done")
    _what_would_be_done(page, told)


def _section(page: Page, title: str) -> None:
    page.gap()
    page.add(page.paint(title, "bold"))


def _line(page: Page, title: str, text: str) -> None:
    page.hang(f"  {title:<{GUTTER}}", text)


def _of_file(page: Page, told: Explanation) -> None:
    spec = told.subject.spec
    if spec is None:
        _line(page, "file", "cannot be told" if told.subject.managed else "no file names it")
        return
    _line(page, "file", f"{spec.source.file}:{spec.source.line}")
    _line(page, "state", spec.state.value)
    for title, text in (
        ("owner", spec.owner),
        ("for", spec.description),
        ("roles", ", ".join(f"{role.name} ({role.file})" for role in told.roles)),
        ("domains", ", ".join(spec.domains)),
        ("notes", ", ".join(f"{name}: {text}" for name, text in spec.annotations)),
        ("paused", f"until {spec.paused.until}: {spec.paused.reason}" if spec.paused else ""),
    ):
        if text:
            _line(page, title, visible(text))


def _use(subject: Subject) -> str:
    if subject.remote is None:
        return "cannot be told"
    made = f"made {subject.remote.created_at.astimezone(UTC):%Y-%m-%d}, {span(subject.age)} ago"
    if subject.last_used_at is None:
        return f"never; {made}"
    return f"{subject.last_used_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {span(subject.idle)} ago; {made}"


def _scope(page: Page, scope: ExplainedScope, subject: Subject) -> None:
    wanted = bool(scope.roles or scope.listed)
    managed = subject.spec is not None and subject.spec.scopes is not None
    sign, looks = (" ", "") if wanted == scope.held or not managed else ("+", "green") if wanted else ("-", "red")
    words = [f"by role {', '.join(scope.roles)}"] if scope.roles else []
    words += ["listed in the file"] if scope.listed else []
    if not wanted and managed:
        words.append("the account has it, the file does not")
    elif not scope.held:
        words.append("the account does not have it")
    words.append(f"covered by {', '.join(scope.covered_by)}" if scope.covered_by else f"reaches {scope.covers}")
    page.add(page.paint(f"  {sign} {visible(scope.text)}", looks))
    page.hang("      ", "; ".join(words), "dim")


def _networks(page: Page, subject: Subject) -> None:
    spec, remote = subject.spec, subject.remote
    if spec is not None:
        said = "not managed, left as it is" if spec.ip_allow_list is None else ", ".join(spec.ip_allow_list.shown)
        _line(page, "file", "switched off" if spec.state is KeyState.QUARANTINED else said)
    if remote is not None:
        off = "switched off (the fence), " if remote.ip_allow_list.fenced else ""
        _line(page, "account", off + ", ".join(remote.ip_allow_list.shown))


def _rule(page: Page, rule: ExplainedRule) -> None:
    word, looks = _VERDICTS[rule.verdict]
    severity = Severity.DENY if rule.verdict is Verdict.FAILED else rule.severity
    word, looks = ("waived", "dim") if rule.waived else (word, looks)
    text = f"{rule.rule} ({severity})"
    if rule.verdict in (Verdict.OTHER_KEYS, Verdict.NO_CHANGE):
        text += f": {rule.verdict.value}"
    page.hang(f"  {word:<8}", text, "dim" if word == "-" else "", gutter_looks=looks)
    if rule.message:
        page.hang(" " * GUTTER, rule.message)
        if rule.waived:
            waived = rule.waived
            page.hang(" " * GUTTER, f"waived until {waived.until}, by {waived.owner}: {waived.reason}", "dim")
        else:
            page.hang(" " * GUTTER, f"hint: {rule.hint}", "cyan")


def _what_would_be_done(page: Page, told: Explanation) -> None:
    change = told.change
    if change is None:
        page.add(f"  nothing: {_why_nothing(told.subject)}")
        if told.left_alone:
            page.hang("  ", told.left_alone)
        return
    add_change(page, _once(change), Columns.of([_once(change).item], page.width))
    for refusal in told.refusals:
        if change.reason is None or refusal.message not in change.reason:
            page.hang(f"      {'besides':<{GUTTER}}", f"{refusal.guardrail}: {refusal.message}")


def _why_nothing(subject: Subject) -> str:
    if subject.spec is not None:
        return "it is as the files want it"
    return "which key it is cannot be told" if subject.managed else "no file names it"


def _once(change: Change) -> "Once[Any]":
    from reconciler.core.report import report_change

    return Once(report_change(change), change.reason, (), 1)


def render_json(wanted: str, holders: Sequence[Holder], beside: Beside) -> str:
    """Give who can do something as JSON: names of fields as in the code."""
    answer = {"scope": wanted, "keys": holders, "unread": beside.unanswered, "notes": beside.notes}
    return json.dumps(answer, default=_members, ensure_ascii=True, indent=2) + "\n"


def _members(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
