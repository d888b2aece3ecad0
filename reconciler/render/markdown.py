"""The report as Markdown for a comment on a pull request: a verdict, then what a person must read, first things first.

What needs nobody's eye is folded, what is the same in many sub accounts is told once, and a report that is too long
for a comment is cut from its end up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Since,
    Standing,
)
from reconciler.errors import visible
from reconciler.render import groups
from reconciler.render.approval import apply_exactly
from reconciler.render.comment import LONG, Item, Section, code, compose, fence, sentence
from reconciler.render.groups import Group, Once, Owner, group_of
from reconciler.render.page import listed
from reconciler.render.verdict import verdict
from reconciler.render.words import (
    Line,
    approvable,
    direction,
    in_sync,
    in_words,
    kept,
    list_not_managed,
    network_lines,
    number,
    scope_lines,
    summary,
    unmentioned,
)

_BETWEEN = " · "
_MOST_LISTED = 5
_MOST_ACCOUNTS = 3
_MOST_SIDE = 10
_MOST_SIDE_BYTES = 1500
_MOST_OWNERS = 10
_MOST_TOLD = 50
_MOST_GONE = 20
_MOST_WAIVED = 100
_MOST_FOUND = {Severity.DENY: 100, Severity.WARN: 100, Severity.NOTE: 10}


def render(report: Report) -> str:
    """Give the report as Markdown that ends with a newline and has room in a comment on GitHub or GitLab."""
    first = f"**{summary(report)}** {verdict(report).call}"
    if in_sync(report) and report.mode is not Mode.AUDIT and report.since is None:
        return "\n".join([first, *_in_passing(report)]) + "\n"
    return compose(f"{first}\n\n{_of_what(report)}", _sections(report), _approval(report))


# The first lines and the last


def _of_what(report: Report) -> str:
    """Say of which accounts it is, and by which policy they were judged."""
    ids = list(dict.fromkeys(account.account_id for account in report.accounts))
    names = " ".join(listed([code(each) for each in ids[:_MOST_ACCOUNTS]], len(ids)))
    accounts = f"{'Account' if len(ids) == 1 else 'Accounts'} {names}" if ids else "No account"
    return f"{accounts}; {f'policy {code(report.policy)}' if report.policy else 'no policy: no rule has judged this'}"


def _in_passing(report: Report) -> list[str]:
    """Tell what the verdict does not, where everything is in sync."""
    waived = sum(finding.waived is not None for finding in report.findings)
    found = ((report.summary.findings.note, "note"), (waived, "waived finding"))
    told = " and ".join(number(count, what) for count, what in found if count)
    besides = [f"Besides {told}: `-o json` has them all."] if told else []
    return [*(f"{each}." for each in _list_not_managed(report)), *besides]


def _approval(report: Report) -> str:
    """Give the command that applies exactly this plan; nothing where there is nothing to approve."""
    if not approvable(report) or report.digest is None:
        return ""
    command = apply_exactly(visible(report.digest), report.shard)
    return f"To apply exactly this plan:\n\n{fence([command], 'sh')}"


# Changes, and what holds them back


def _sections(report: Report) -> Iterator[Section]:
    """Give the sections in the order of reading; what is held back is cut after all others."""
    several = len({account.account_id for account in report.accounts}) > 1
    kinds: defaultdict[Group, list[Item]] = defaultdict(list)
    changes = (told for family in groups.families(report, "above") for told in family.changes)
    for told in groups.by_gravity(changes):
        kinds[group_of(told.item)].append(_change(told, several=several))
    yield _listed("Could not be read", [_failure(told, several=several) for told in groups.failures(report)])
    refused = [_refusal(told, several=several) for told in groups.refusals(report)]
    yield _listed("Refused by guardrails", refused, rank=0, open_lines=10)
    yield Section(_held_back_title(report), [*kinds[Group.FAILED], *kinds[Group.HELD_BACK]], rank=0, open_lines=60)
    yield Section("Changes that give access", kinds[Group.WIDENING], open_lines=40)
    yield Section("Other changes", kinds[Group.REST])
    yield Section("Paused", kinds[Group.PAUSED])
    yield from _findings(groups.findings(report), several=several)
    if report.since is not None:
        yield _since(report, report.since, several=several)
    yield Section("Left alone", [Item(f"- {told}", 0) for told in _left_alone(report)])


def _held_back_title(report: Report) -> str:
    outcomes = {change.outcome for change in report.changes}
    held_back = any(outcome.held_back for outcome in outcomes)
    failed = any(outcome.may_be_retried for outcome in outcomes)
    return "Failed or held back" if failed and held_back else "Failed" if failed else "Held back"


def _listed(title: str, items: Sequence[Item], rank: int = 1, open_lines: int = 0) -> Section:
    """Give a section that leaves room for those below it, however much there is to list."""
    left_out = sum(item.count for item in items[_MOST_TOLD:])
    return Section(title, items[:_MOST_TOLD], left_out, rank, open_lines)


def _failure(told: Once[ReportedAccount], *, several: bool) -> Item:
    return Item(f"- {_whom(told.owners, several=several)}: {sentence(told.text or 'it could not be read')}", told.times)


def _refusal(told: Once[ReportedRefusal], *, several: bool) -> Item:
    parts = [f"- **refused** by {code(told.item.guardrail)}: {sentence(told.text or '')}"]
    return Item(_BETWEEN.join([*parts, *_about(told.owners, several=several)]), told.times)


def _change(told: Once[ReportedChange], *, several: bool) -> Item:
    """Tell a change: what happens to which key, who asks for it, why it is held back, and what differs."""
    change = told.item
    outcome = "" if change.outcome is Outcome.PLANNED else f"{change.outcome} "
    heading = [f"**{outcome}{change.action}** {_called(change.name, change.label)}"]
    heading += [*_becomes(change), *_place(change.source)]
    if told.shared:
        often = f"{told.times} times " if told.times > len(told.owners) else ""
        heading.append(f"{often}in {_whom(told.owners, several=several)}")
    else:
        heading += [*_key(change.key_id), *_about(told.owners, several=several)]
    why = [f"why: {sentence(told.text)}"] if told.text is not None else []
    return Item("\n\n".join([_BETWEEN.join(heading), *why, *_difference(change)]), told.times)


def _becomes(told: ReportedChange | ChangedKey) -> list[str]:
    word = direction(told)
    return [word] if word else []


def _difference(change: ReportedChange | ChangedKey) -> list[str]:
    """Tell what differs: its lines as a diff, and in words what no line shows."""
    fields = change.fields
    lines: list[str] = []
    if fields.label is not None and fields.label.before is not None:  # that of a new key is in its heading
        lines += ["@@ label @@", f'- "{fields.label.before}"', f'+ "{fields.label.after}"']
    networks = network_lines(fields.ip_allow_list, change.access.networks)
    lines += _lines("scopes", scope_lines(fields.scopes), kept(fields.scopes))
    lines += _lines("networks", networks, kept(fields.ip_allow_list))
    told = zip(("grants", "revokes"), in_words(change), strict=True)
    return [*([fence(lines, "diff")] if lines else []), *(f"{verb} {code(what, LONG)}" for verb, what in told if what)]


def _lines(title: str, lines: Sequence[Line], unchanged: int) -> list[str]:
    """Give the lines of one field: what comes before what goes, since nobody may overlook it where much goes."""
    if not (lines or unchanged):
        return []
    come, gone = ([line for line in lines if line.sign == sign] for sign in "+-")
    return [f"@@ {title}{f', {unchanged} unchanged' if unchanged else ''} @@", *_side(come), *_side(gone)]


def _side(lines: Sequence[Line]) -> list[str]:
    """Give what comes, or what goes, cut where it is too much."""
    told = [f"{line.sign} {line.text}{f'  ({line.remark})' if line.remark else ''}" for line in lines]
    sizes = accumulate(len(text.encode(errors="replace")) for text in told)
    shown = [text for text, size in zip(told, sizes, strict=True) if size <= _MOST_SIDE_BYTES][:_MOST_SIDE] or told[:1]
    more = len(told) - len(shown)
    return [*shown, f"{lines[0].sign} and {more} more, all of them in -o json"] if more else shown


# Findings, and what is left


def _findings(found: Sequence[Once[ReportedFinding]], *, several: bool) -> Iterator[Section]:
    """Give findings by severity and rule, and those that are waived after all others."""
    by_rule = groups.by_rule(found)
    for severity, most in _MOST_FOUND.items():
        of_rules = [group for (of, _), group in by_rule.items() if of is severity]
        items = [item for group in of_rules for item in _group(group[:most], several=several)]
        left_out = sum(told.times for group in of_rules for told in group[most:])
        yield Section(f"{severity.capitalize()} findings", items, left_out)
    waived = [told for told in found if told.item.waived is not None]
    items = [_waived(told, told.item.waived, several=several) for told in waived[:_MOST_WAIVED] if told.item.waived]
    yield Section("Waived findings", items, sum(told.times for told in waived[_MOST_WAIVED:]), folded=True)


def _group(group: Iterable[Once[ReportedFinding]], *, several: bool) -> Iterator[Item]:
    """Tell what breaks one rule; a hint that is the same as the one before is not told again."""
    hint = ""
    for told in group:
        new = "**new** " if told.item.since is Standing.NEW else ""
        parts = [f"- {new}{_finding(told.item, told.text or '')}"]
        parts += [f"hint: {sentence(told.item.hint)}"] if told.item.hint not in ("", hint) else []
        yield Item(_BETWEEN.join([*parts, *_where(told, several=several)]), told.times)
        hint = told.item.hint


def _finding(finding: ReportedFinding, message: str) -> str:
    """Give rule, key and message; the key only where the message does not name it."""
    about = unmentioned(finding, message)
    who = "" if about is None else f"{code(about)}: "
    return f"{code(finding.rule)}: {who}{sentence(message)}"


def _where(told: Once[ReportedFinding], *, several: bool) -> list[str]:
    """Tell the place in the files, or else which key it is about, and whose it is."""
    key = [] if told.item.source or told.shared else _key(told.item.key_id)
    return [*_place(told.item.source), *key, *_about(told.owners, several=several)]


def _waived(told: Once[ReportedFinding], waiver: Waiver, *, several: bool) -> Item:
    parts = [f"- until {code(waiver.until)}, by {code(waiver.owner)}: {sentence(waiver.reason)}"]
    parts += [_finding(told.item, told.text or ""), *_where(told, several=several)]
    return Item(_BETWEEN.join(parts), told.times)


def _since(report: Report, since: Since, *, several: bool) -> Section:
    """Tell what changed since an earlier report: keys, and findings that are gone."""
    standings = Counter(finding.since for finding in report.findings)
    counts = f"{standings[Standing.NEW]} new, {standings[Standing.OPEN]} still open, {len(since.gone)} gone"
    items = [Item(f"- report {code(since.run_id)} of {code(since.moment)}; findings: {counts}", 0)]
    if since.not_compared:
        told = f"{number(since.not_compared, 'account')} of which only one of the two reports has the keys"
        items.append(Item(f"- not compared: {told}", 0))
    items += [_changed(told, several=several) for told in groups.changed_keys(report)]
    items += [_gone(finding) for finding in since.gone[:_MOST_GONE]]
    return Section("Since the earlier report", items, max(0, len(since.gone) - _MOST_GONE))


def _changed(told: Once[ChangedKey], *, several: bool) -> Item:
    """Tell what became of a key, as a change is told."""
    key = told.item
    heading = [f"**{key.what}** {_called(key.name, key.label)}", *_becomes(key)]
    heading += [*([] if told.shared else _key(key.key_id)), *_about(told.owners, several=several)]
    return Item("\n\n".join([_BETWEEN.join(heading), *_difference(key)]), told.times)


def _gone(finding: ReportedFinding) -> Item:
    parts = [f"- **gone**, or waived: {finding.severity}, {_finding(finding, finding.message)}"]
    return Item(_BETWEEN.join([*parts, *_place(finding.source), *([] if finding.source else _key(finding.key_id))]))


def _left_alone(report: Report) -> Iterator[str]:
    """Tell how many keys and sub accounts are left alone, and why."""
    good = [account for account in report.accounts if account.status is AccountStatus.OK and not account.changes]
    count = sum(account.sub_account_id is not None for account in good)
    if count and report.mode is not Mode.AUDIT:
        yield f"{number(count, 'sub account')} in sync"
    suspended = [account for account in report.accounts if account.status is AccountStatus.SUSPENDED]
    if suspended:
        names = _names(groups.by_name(map(groups.owner_of, suspended)))
        yield f"{number(len(suspended), 'suspended sub account')}: {names}"
    yield from _list_not_managed(report)
    unmanaged = [(key.label, account.sub_account_name) for account in report.accounts for key in account.unmanaged]
    if unmanaged:
        shown = [f"{code(label)}{f' of {code(of)}' if of else ''}" for label, of in unmanaged[:_MOST_LISTED]]
        yield f"{number(len(unmanaged), 'key')} in no file: {' '.join(listed(shown, len(unmanaged)))}"


def _list_not_managed(report: Report) -> list[str]:
    return [told.replace("ip_allow_list", "`ip_allow_list`") for told in list_not_managed(report)]


# What things are called


def _called(name: str | None, label: str) -> str:
    """Give the name of a key, and its label where that says more."""
    if name is None:
        return f"unmanaged key {code(label)}"
    return code(name) if name == label else f"{code(name)} labelled {code(label)}"


def _place(source: Source | None) -> list[str]:
    return [code(f"{source.file}:{source.line}")] if source else []


def _key(key_id: str | None) -> list[str]:
    return [f"key {code(key_id)}"] if key_id else []


def _about(owners: Sequence[Owner], *, several: bool) -> list[str]:
    """Say whom something is about; nothing where that is the whole run, or the only account."""
    told = owners and (several or owners[0].sub_account_id is not None)
    return [_whom(owners, several=several)] if told else []


def _whom(owners: Sequence[Owner], *, several: bool) -> str:
    """Give an account, or sub accounts and, where there are several, the account that they are of."""
    first = owners[0]
    account = f"account {code(first.account_id)}"
    of = f" of {account}" if several else ""
    if len(owners) > 1:
        return f"{number(len(owners), 'sub account')}{of}: {_names(owners)}"
    if first.sub_account_id is None:
        return account
    if first.sub_account_id == EVERY_SUB_ACCOUNT:
        return f"all sub accounts of {account}"
    named = f"{code(first.name)} ({code(first.sub_account_id)})" if first.name else code(first.sub_account_id)
    return f"sub account {named}{of}"


def _names(owners: Sequence[Owner]) -> str:
    """List the first of some sub accounts, and count the others; those of one name with their ids."""
    first = owners[:_MOST_OWNERS]
    names = Counter(owner.called for owner in first)
    shown = [
        f"{code(owner.called)} ({code(owner.sub_account_id or owner.account_id)})"
        if names[owner.called] > 1
        else code(owner.called)
        for owner in first
    ]
    return " ".join(listed(shown, len(owners)))
