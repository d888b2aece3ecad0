"""A daemon's status at a terminal: in the order in which a person asks."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from daemon.test_recent import occurrence
from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import KeyStanding, ReportedKey, ReportedWaiver
from reconciler.core.plan import KeyCounts
from reconciler.core.report import Mode, Report, ReportedAccount, ReportedRefusal
from reconciler.core.status import (
    AccountReadiness,
    AskedBy,
    Status,
    SubAccountReadiness,
    SubAccountsReadiness,
    Sync,
)
from reconciler.render.page import Style, width_of
from reconciler.render.status import render
from render.reports import KEY, account, below, change, finding, report
from render.statuses import IN_SYNC, NOT_IN_SYNC, NOW, status

PLAIN = Style(colour=False, width=120)
AGO = "less than a minute ago, at 2026-11-23 10:00 UTC"
LIVE = Mode.APPLY
ASKED = AskedBy("keys/shop.yaml", 12, 5, "0123456789abcdef", modified=False)


def shown(told: Status, last: Report | None, style: Style = PLAIN) -> str:
    return render(told, last, style)


def key(
    name: str | None, *scopes: str, networks: tuple[str, ...] = (), number: int = 1, owner: str = ""
) -> ReportedKey:
    return ReportedKey(
        f"{KEY[:-2]}{number:02}",
        name or f"label {number}",
        KeyStanding.MANAGED if name else KeyStanding.UNMANAGED,
        scopes,
        networks,
        "2026-11-01T00:00:00Z",
        "2026-11-22T00:00:00Z",
        name,
        owner,
    )


def holding(*keys: ReportedKey) -> Report:
    """The report of a pass that found everything in sync, with these keys."""
    told = replace(account(keys=KeyCounts(len(keys), len(keys))), inventory=keys)
    return replace(report(told, mode=LIVE), started_at=NOW, finished_at=NOW)


def test_in_sync() -> None:
    """What counts most is said first: in sync, since when, and what the daemon is doing."""
    lines = shown(status(), holding(key("shop", "domains:read"))).splitlines()
    assert lines[:7] == [
        "In sync.",
        "  In sync since 2026-11-23 08:00 UTC, the daemon's first pass, or longer.",
        "  No person has to act.",
        "  The last pass: Everything is in sync: 1 key in 1 account, nothing to do.",
        "",
        "  passes    every 5m; the daemon began at 2026-11-23 08:00 UTC",
        f"            the last one, number 24, ended {AGO}, after 1.2 s (schedule)",
    ]
    assert "the next one begins at 2026-11-23 10:05:00 UTC" in lines[7]
    assert "No key was changed." in "\n".join(lines)
    assert "Nothing for the next 14 days." in "\n".join(lines)


def test_before_the_first_pass() -> None:
    """Before the first pass nothing is known, which is said, and nothing is claimed."""
    told = replace(status(Sync(), "account a-1 was not read yet", passes=0), next_at=None)
    text = shown(told, None)
    assert text.startswith("Not known yet.\n  No pass has ended since the daemon began at 2026-11-23 08:00 UTC.\n")
    assert "In sync" not in text
    assert "the last one" not in text
    assert "the next one" not in text
    assert "Who can do what" not in text


def test_the_first_pass_of_a_dry_run() -> None:
    """A daemon that only plans says so, and how the first pass began where that is known."""
    told = status(mode=Mode.PLAN, passes=1)
    assert told.last_pass
    told = replace(told, last_pass=replace(told.last_pass, trigger=None, finished_at="soon"), next_at="whenever")
    text = shown(told, None)
    assert "every 5m, dry runs only: it writes nothing" in text
    assert "the first one ended soon, after 1.2 s\n" in text
    assert "the next one begins at whenever" in text


def test_not_ready() -> None:
    """A daemon that does not do its work is never in sync: what was is told as that of the last pass."""
    text = shown(status(IN_SYNC, "account a-1 was not read since 2026-11-23T08:00:00Z"), holding())
    first, second, third, *_ = text.splitlines()
    assert first == "Not ready."
    assert second.startswith("  At the last pass: In sync since")
    assert third.startswith("  account a-1 was not read since")
    assert (
        "Accounts that could not be read\n  a-1\n    last read 2 hours ago, at 2026-11-23 08:00 UTC, too long" in text
    )


def test_accounts_that_could_not_be_read() -> None:
    """Each account that could not be read is told with why, sub accounts in numbers; of many the first."""
    told = status(Sync(in_sync=None, since=NOW))
    one = told.readiness.accounts[0]
    failed = tuple(SubAccountReadiness(f"sub-{number}", None, ready=False, error="x") for number in range(9))
    below = SubAccountsReadiness(4000, 0, 12, failed)
    accounts = (
        AccountReadiness("a-0", None, ready=True, error=None, sub_accounts=one.sub_accounts),
        AccountReadiness("a-1", None, ready=False, error="401: no", sub_accounts=one.sub_accounts),
        AccountReadiness("a-2", datetime(2026, 11, 23, 9, tzinfo=UTC), ready=True, error=None, sub_accounts=below),
        *(replace(one, account_id=f"b-{number}", error="503") for number in range(10)),
    )
    text = shown(replace(told, readiness=replace(told.readiness, accounts=accounts)), None)
    assert "  a-1\n    never read: 401: no\n" in text
    assert "  a-2\n    12 of 4000 sub accounts: sub-0, sub-1, sub-2, sub-3, sub-4 and 7 more\n" in text
    assert "  b-0\n    last read 2 hours ago, at 2026-11-23 08:00 UTC: 503\n" in text
    assert "  and 2 more, all of them on /readyz\n" in text
    assert "a-0" not in text


def test_files_that_do_not_load() -> None:
    """Newer files that do not load are told with what is wrong, since when, and what is in force instead."""
    text = shown(status(rejected="the files do not load"), holding())
    assert text.startswith("Newer files do not load.\n")
    assert (
        "  the files do not load since 2026-11-23 08:00 UTC; those loaded at 2026-11-23 08:00 UTC stay in force\n"
        "  config/keys/shop.yaml:12:5: unknown field 'scops'\n"
        "  and 2 more, `reconciler validate` tells them all\n"
    ) in text
    told = status(rejected="a folder is gone")
    nothing = replace(told.readiness.configuration, loaded_at=None, rejected_at=None, problem_count=1)
    text = shown(replace(told, readiness=replace(told.readiness, configuration=nothing)), None)
    assert "\n  a folder is gone\n  config/keys/shop.yaml:12:5: unknown field 'scops'\n\n" in text


REFUSED = change(
    "shop", scopes=(["domains:read"], ["messages:send:all"]), outcome=Outcome.REFUSED, reason="in-use: used today"
)


def test_what_differs_and_who_asked() -> None:
    """What differs is told by what is to be done about it, with place, commit and owner, and the plan's digest."""
    changes = (
        REFUSED,
        change("gone", outcome=Outcome.FAILED, reason="503"),
        change("later", outcome=Outcome.PAUSED, reason="paused until 2026-12-15: moves"),
        change("done", outcome=Outcome.APPLIED),
    )
    last = report(replace(account(*changes), inventory=(replace(key("shop", owner="team-a"), key_id=KEY),)), mode=LIVE)
    recent = (replace(occurrence("shop"), key_id=KEY, asked_by=ASKED, outcome=Outcome.REFUSED),)
    text = shown(status(NOT_IN_SYNC, recent=recent), last)
    order = [
        "Not complete.",
        "Failed: the next pass tries again (1)",
        "update  gone",
        "Held back: a person must act (1)",
        "update  shop",
        "why       in-use: used today",
        "by        owner team-a, commit 0123456789ab",
        "Paused (1)",
        "paused until 2026-12-15: moves",
        "plan sha256:ab\n",
        "What changed lately",
        "1 decision to leave keys as they are",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert "done" not in text.split("What changed lately")[0]


def test_the_newest_commit_is_the_one_that_asks() -> None:
    """Where the same place asked several times, it is the newest commit that is told."""
    old, new = (replace(ASKED, commit=commit) for commit in ("a" * 40, "b" * 40))
    recent = tuple(replace(occurrence("shop"), key_id=KEY, asked_by=each) for each in (new, old))
    text = shown(status(NOT_IN_SYNC, recent=recent), report(account(REFUSED), mode=LIVE))
    assert "by        commit bbbbbbbbbbbb\n" in text


def test_what_is_refused_for_a_whole_plan() -> None:
    """What a whole plan is refused for is told before the changes that refer to it."""
    held = ReportedRefusal("hold", None, None, None, "on hold: INC-7", None, None)
    limit = ReportedRefusal("max-changes", "a-1", "s-1", None, "9 of 12 keys", 5, 9)
    waits = change("shop", outcome=Outcome.REFUSED, reason="hold: on hold: INC-7")
    last = report(account(waits), below("s-1", "Acme"), mode=LIVE, refusals=[held, limit])
    text = shown(status(NOT_IN_SYNC), last)
    assert "Refused by guardrails\n  hold  on hold: INC-7\n  max-changes  9 of 12 keys\n" in text
    assert text.index("on hold: INC-7") < text.index("why       hold (see above)")
    assert '    "Acme"\n' in text
    assert "of        account a-1" in text
    assert text.startswith("A person must act.\n  Not in sync since 2026-11-23 09:30 UTC.\n  The last pass: ")


def test_changes_of_sub_accounts() -> None:
    """What many sub accounts share is told once, and counted."""
    same = change("sender", scopes=(["domains:read"], ["messages:send:all"]))
    last = report(account(), *(below(f"s-{number}", f"Acme {number}", same) for number in range(30)), mode=Mode.PLAN)
    text = shown(status(NOT_IN_SYNC, mode=Mode.PLAN), last)
    assert "Differs, and would give more (30)" in text
    assert text.count("sender") == 1


def test_many_changes() -> None:
    """Of many changes the first are shown, and the others counted."""
    last = report(account(*(change(f"k{number:02}", outcome=Outcome.SKIPPED) for number in range(30))), mode=LIVE)
    text = shown(status(NOT_IN_SYNC), last)
    assert "Held back: a person must act (30)" in text
    assert "k19" in text
    assert "k20" not in text
    assert "and 10 more, all of them on /report" in text


def test_what_changed_lately() -> None:
    """Writes as they ended, the newest first, with who asked; decisions are counted, for they are told above."""
    recent = (
        replace(occurrence("shop", 120), asked_by=ASKED),
        replace(occurrence("news", 60), asked_by=replace(ASKED, commit=None, modified=None), outcome=Outcome.FAILED),
        replace(occurrence("stray"), name=None),
        replace(occurrence("held"), outcome=Outcome.DENIED),
        replace(occurrence("would"), outcome=Outcome.PLANNED),
    )
    text = shown(status(recent=recent), None)
    assert text.endswith(
        "What changed lately  since 2026-11-23 08:00 UTC\n"
        "  2026-11-23 10:02  shop  update, widens  applied\n"
        "                    keys/shop.yaml:12, commit 0123456789ab\n"
        "  2026-11-23 10:01  news  update, widens  FAILED\n"
        "                    keys/shop.yaml:12\n"
        '  2026-11-23 10:00  "stray"  update, widens  applied\n'
        "                    no file names it\n"
        "  2 decisions to leave keys as they are, all of them in -o json\n"
    )
    modified = replace(occurrence("shop"), asked_by=replace(ASKED, modified=True))
    text = shown(status(recent=(modified,) * 20), None)
    assert "commit 0123456789ab (the file was modified)" in text
    assert "  and 8 more, all of them in -o json\n" in text


def test_who_can_do_what() -> None:
    """The most powerful keys come first, with what they may do and from where; the others are counted."""
    keys = [
        key("all", "*", number=1),
        key("admin", "api-keys:write", "api-keys:read", networks=("203.0.113.0/24",), number=2),
        key("off", "messages:send:all", networks=("192.0.2.1/32",), number=3),
        key("inside", "domains:read", networks=("10.0.0.0/8",), number=4),
        key(None, "messages:send:{a.example}", "messages:send:{b.example}", "messages:read:all", number=5),
        key("none", number=6),
        *(key(f"k{number}", "domains:read", number=number) for number in range(10, 20)),
    ]
    text = shown(status(), holding(*keys))
    assert "Who can do what  16 keys, the most powerful first\n  all\n      everything (*)  from anywhere\n" in text
    assert "  admin\n      api-keys:write, api-keys:read  from its networks\n" in text
    assert '  "label 5"\n      messages:read:all, messages:send (2 domains)  from anywhere\n' in text
    assert "and 6 more, all of them on the page, and on /report" in text
    few = shown(status(), holding(*keys[2:6]))
    assert "  off\n      messages:send:all  switched off\n" in few
    assert "  inside\n      domains:read  from nowhere: no network that can reach the API\n" in few
    assert "  none\n      nothing  from anywhere\n" in few
    families = key("wide", *(f"{each}:all" for each in ("a:b", "c:d", "e:f", "g:h", "i:j")))
    assert "and 1 more" in shown(status(), holding(families))


def test_what_needs_a_person_soon() -> None:
    """Findings by rule, what ends within two weeks, and keys that nobody uses; not notes, nor what ends later."""
    until = (("one", "2026-11-30", "INC-1"), ("two", "2027-06-01", "later"), ("three", "2026-11-01", "over"))
    waivers = tuple(ReportedWaiver("no-wildcard", name, None, None, day, "sec", why, None) for name, day, why in until)
    stale = replace(key("old", "domains:read"), last_used_at="2026-01-01T00:00:00Z")
    found = [
        finding("no-wildcard", Severity.DENY),
        finding("unused", Severity.WARN),
        finding("unused", Severity.WARN, key="x"),
        finding("hm", Severity.NOTE),
    ]
    last = replace(holding(stale), findings=tuple(found), waivers=waivers)
    text = shown(status(), last).split("For a person, soon\n")[1]
    assert text == (
        "  deny    no-wildcard: ops\n"
        "  warn    unused (2): ops, x\n"
        "  ends    waiver of no-wildcard for three ended (2026-11-01), sec: over\n"
        "  ends    waiver of no-wildcard for one ends in 7 days (2026-11-30), sec: INC-1\n"
        "  stale   Not used for 90 days or longer: old\n"
    )


def test_pauses_have_no_owner_to_tell() -> None:
    """An end of which nobody is the owner, or of a day that nobody can read, is told as far as it is known."""
    waiver = ReportedWaiver("r", "k", None, None, "2026-11-24", "", "why", None)
    text = shown(status(), replace(holding(key("k")), waivers=(waiver, replace(waiver, until="soon"))))
    assert "  ends    waiver of r for k ends in 1 day (2026-11-24): why\n" in text
    assert "(soon)" not in text


DENIED = "no-wildcard: it may do everything"


def test_what_to_do_about_what_is_held_back() -> None:
    """The hint of the rule that holds a change back stands with it; what several changes share is told once."""
    one = change("ops", scopes=([], ["*"]), outcome=Outcome.DENIED, reason=DENIED)
    hint = finding("no-wildcard", Severity.DENY, key="ops", key_id=None, hint="list the scopes that it needs")
    text = shown(status(NOT_IN_SYNC), report(account(one), mode=LIVE, findings=[hint]))
    assert f"      why       {DENIED}\n      to do     list the scopes that it needs\n" in text
    contested = replace(one, outcome=Outcome.SKIPPED, reason="contested: it was undone 3 times", name="b", key_id="k-2")
    found = [hint, replace(hint, rule="contested", key=None, key_id="k-2", hint="find out who writes the other value")]
    text = shown(status(NOT_IN_SYNC), report(account(one, contested), mode=LIVE, findings=found))
    assert "to do     find out who writes the other value" in text
    many = [replace(one, name=f"k{number}", key_id=f"k-{number}") for number in range(3)]
    shared = [replace(hint, key=each.name) for each in many]
    text = shown(status(NOT_IN_SYNC), report(account(*many), mode=LIVE, findings=shared))
    assert "  no-wildcard  to do about 3 of these: list the scopes that it needs\n" in text
    assert text.count("list the scopes that it needs") == 1
    two = report(account(*many[:2]), mode=LIVE, findings=shared[:2])
    assert "to do about 2 of these" in shown(status(NOT_IN_SYNC), two)


def test_a_hint_is_about_what_holds_back() -> None:
    """No hint is told of a rule that the reason does not name, that is waived, or about another key."""
    one = change("ops", scopes=([], ["*"]), outcome=Outcome.DENIED, reason="no-wildcard: a; x-unused: b")
    hint = finding("no-wildcard", Severity.DENY, key="ops", key_id=KEY, hint="h")
    waived = Waiver("2026-12-01", "sec", "x")
    others = (
        replace(hint, rule="unused"),
        replace(hint, waived=waived),
        replace(hint, key="other", key_id="k-9"),
        replace(hint, account_id="a-9"),
        replace(hint, hint=""),
        replace(hint, key=None, key_id=None),
    )
    assert "to do" not in shown(status(NOT_IN_SYNC), report(account(one), mode=LIVE, findings=others))
    for outcome in (Outcome.APPLIED, Outcome.FAILED):
        other = report(account(replace(one, outcome=outcome)), mode=LIVE, findings=[hint])
        assert "to do" not in shown(status(NOT_IN_SYNC), other)
    assert "to do     h\n" in shown(status(NOT_IN_SYNC), report(account(one), mode=LIVE, findings=[hint]))


def refusal(guardrail: str, message: str, sub: str | None = None, key_id: str | None = None) -> ReportedRefusal:
    return ReportedRefusal(guardrail, "a-1", sub, key_id, message, None, None)


def approvals(last: Report) -> list[str]:
    """Give the commands that a status offers."""
    return [line.strip() for line in shown(status(NOT_IN_SYNC), last).splitlines() if "reconciler apply" in line]


APPLY = "reconciler apply --digest sha256:ab"


def test_only_what_would_apply_something_is_offered() -> None:
    """What is planned is offered as it is, what guardrails refuse with those let through, and nothing else."""
    held = (change("a", outcome=Outcome.DENIED), change("b", outcome=Outcome.SKIPPED))
    assert approvals(report(account(*held), mode=LIVE)) == []
    assert "plan sha256:ab\n" in shown(status(NOT_IN_SYNC), report(account(*held), mode=LIVE))
    planned = change("c")
    assert approvals(report(account(planned), mode=Mode.PLAN)) == [APPLY]
    restore = change("d", outcome=Outcome.REFUSED, reason="restore: d: fenced; in-use: d: used today")
    refusals = [refusal("in-use", "d: used today", key_id=KEY), refusal("restore", "d: fenced", key_id=KEY)]
    last = report(account(restore), mode=LIVE, refusals=refusals)
    assert approvals(last) == [f"{APPLY} --allow restore --allow in-use"]
    assert "To apply exactly this, with what guardrails refuse:\n" in shown(status(NOT_IN_SYNC), last)
    both = report(account(planned, restore), mode=Mode.PLAN, refusals=refusals)
    assert approvals(both) == [APPLY, f"{APPLY} --allow restore --allow in-use"]
    assert approvals(report(account(restore, change("e", outcome=Outcome.APPLIED)), mode=LIVE, refusals=refusals)) == []
    assert approvals(replace(last, digest=None)) == []
    odd = report(account(planned), mode=Mode.PLAN)
    assert approvals(replace(odd, digest="sha256:ab; true")) == ["reconciler apply --digest 'sha256:ab; true'"]
    assert approvals(replace(odd, shard="3/16")) == ["reconciler apply --shard 3/16 --digest sha256:ab"]
    assert "plan" not in shown(status(NOT_IN_SYNC), report(account(change("e", outcome=Outcome.APPLIED)), mode=LIVE))


def test_what_nobody_lets_through_by_name_is_not_offered() -> None:
    """A hold and another digest cannot be allowed; refusals of other keys and accounts are not let through besides."""
    held = change("a", outcome=Outcome.REFUSED, reason="hold: on hold; restore: a: fenced")
    refusals = [
        ReportedRefusal("hold", None, None, None, "on hold", None, None),
        refusal("restore", "a: fenced", key_id=KEY),
    ]
    assert approvals(report(account(held), mode=LIVE, refusals=refusals)) == []
    over_all = change("b", outcome=Outcome.REFUSED, reason="max-changes: 9 in 2 sub accounts")
    refusals = [
        refusal("max-changes", "9 in 2 sub accounts"),
        refusal("max-switched-off", "3 of its own"),
        refusal("widening", "b: more", "s-2", "k-0"),
    ]
    last = report(account(), below("s-1", "Acme", over_all), mode=LIVE, refusals=refusals)
    assert approvals(last) == [f"{APPLY} --allow max-changes"]
    unsaid = change("c", outcome=Outcome.REFUSED)
    assert approvals(report(account(unsaid), mode=LIVE, refusals=refusals)) == []


def test_whose_keys_are_where_there_are_several_accounts() -> None:
    """Of several accounts it is said whose a key is: of those that can do most, and of what changed lately."""
    same = (key("reconciler", "api-keys:write", number=1), key("reconciler", "api-keys:write", number=2))
    accounts = (
        replace(account(), inventory=same[:1]),
        replace(below("s-1", "Acme"), inventory=same[1:]),
    )
    recent = (replace(occurrence("shop"), account_id="a-1", sub_account_id="s-1", asked_by=ASKED),)
    text = shown(status(recent=recent), report(*accounts, mode=LIVE))
    assert "  reconciler of account a-1\n" in text
    assert '  reconciler of sub account "Acme" (s-1) of account a-1\n' in text
    assert 'keys/shop.yaml:12, commit 0123456789ab, in sub account "Acme" (s-1) of account a-1\n' in text
    many = tuple(key(f"k{number:02}", "domains:read", number=number) for number in range(42))
    accounts = (replace(account(), inventory=many[:40]), replace(below("s-1", "Acme"), inventory=many[40:]))
    assert "k04 and 37 more in 2 accounts\n" in shown(status(), report(*accounts, mode=LIVE))
    unknown = (recent[0], replace(recent[0], sub_account_id="s-9", asked_by=None))
    text = shown(status(recent=unknown), None)
    assert "in sub account s-1 of account a-1" in text
    assert "no file names it, in sub account s-9 of account a-1" in text
    assert " in " not in shown(status(recent=recent), holding(*same)).split("What changed lately")[1].split("Who")[0]


def test_rules_that_are_broken_name_their_keys() -> None:
    """Each rule names the first keys that break it, unmanaged ones by their label, shared ones with how many times."""
    found = [
        *(finding("unused", Severity.WARN, key=f"k{number}", message=f"{number}") for number in range(6)),
        finding("stray", Severity.WARN, key=None, label='a "b"'),
        finding("run", Severity.WARN, key=None, label=None, account_id=None),
        *(
            finding("all", Severity.WARN, key="sender", sub_account_id=f"s-{number}", message="same")
            for number in range(2)
        ),
    ]
    last = report(account(), below("s-0", "A"), below("s-1", "B"), mode=LIVE, findings=found)
    text = shown(status(), last).split("For a person, soon\n")[1]
    assert "  warn    unused (6): k0, k1, k2, k3, k4 and 1 more\n" in text
    assert '  warn    stray: "a \\"b\\""\n' in text
    assert "  warn    run\n" in text
    assert "  warn    all (2): sender in 2 sub accounts\n" in text


def test_sub_accounts_that_could_not_be_read_go_by_name() -> None:
    """Sub accounts that could not be read go by their names, where the last report knows them."""
    told = status(Sync(in_sync=None, since=NOW))
    failed = tuple(SubAccountReadiness(f"s-{number}", None, ready=True, error="x") for number in range(2))
    one = replace(told.readiness.accounts[0], sub_accounts=SubAccountsReadiness(9, 0, 2, failed))
    told = replace(told, readiness=replace(told.readiness, accounts=(one,)))
    text = shown(told, report(account(), below("s-0", "Acme"), mode=LIVE))
    assert '  a-1\n    2 of 9 sub accounts: "Acme", s-1\n' in text


def test_a_credential_that_was_revoked_is_told_once() -> None:
    """Why an account cannot be read is said with the account, and not in the reason as well; times to the minute."""
    told = status(IN_SYNC, "account a-1 was not read since 2026-11-23T08:00:00.424648Z: 401: revoked")
    one = replace(told.readiness.accounts[0], error="401: revoked")
    text = shown(replace(told, readiness=replace(told.readiness, accounts=(one,))), holding())
    assert text.count("401: revoked") == 1
    assert "  account a-1 was not read since 2026-11-23 08:00 UTC. What follows is as the last pass left it.\n" in text


def test_a_long_one_ends_with_what_counts() -> None:
    """Of more than a screenful the beginning has scrolled away: how it stands is said once more."""
    last = report(account(*(change(f"k{number:02}", outcome=Outcome.SKIPPED) for number in range(30))), mode=LIVE)
    assert shown(status(NOT_IN_SYNC), last).endswith(
        "\nA person must act.\n  Not in sync since 2026-11-23 09:30 UTC.\n"
    )


HOSTILE = "\x1b[2Jx\n::error::\u202e##[group]"


def hostile() -> tuple[Status, Report]:
    """Every text that comes from elsewhere is one that a terminal would obey."""
    asked = AskedBy(HOSTILE, 1, 1, HOSTILE, modified=False)
    told = status(NOT_IN_SYNC, HOSTILE, rejected=HOSTILE, recent=(replace(occurrence(HOSTILE), asked_by=asked),))
    one = AccountReadiness(
        HOSTILE,
        None,
        ready=False,
        error=HOSTILE,
        sub_accounts=SubAccountsReadiness(1, 1, 1, (SubAccountReadiness(HOSTILE, None, ready=False, error=HOSTILE),)),
    )
    configuration = replace(told.readiness.configuration, problems=(HOSTILE,))
    told = replace(
        told,
        schedule=HOSTILE,
        next_at=HOSTILE,
        recent_from=HOSTILE,
        started_at=HOSTILE,
        readiness=replace(told.readiness, accounts=(one,), configuration=configuration),
    )
    held = change(HOSTILE, label=HOSTILE, outcome=Outcome.REFUSED, reason=HOSTILE)
    keys = (key(HOSTILE, HOSTILE, number=1, owner=HOSTILE), key(None, "*", number=2))
    accounts: tuple[ReportedAccount, ...] = (
        replace(account(held), inventory=(*keys, replace(keys[0], key_id=KEY))),
        below("s", HOSTILE),
    )
    refusal = ReportedRefusal(HOSTILE, "a-1", "s", None, HOSTILE, 1, 2)
    waiver = ReportedWaiver(HOSTILE, HOSTILE, None, HOSTILE, "2026-11-24", HOSTILE, HOSTILE, None)
    last = report(*accounts, mode=LIVE, findings=[finding(HOSTILE, Severity.DENY)], refusals=[refusal])
    return told, replace(last, started_at=NOW, digest=HOSTILE, waivers=(waiver,))


def test_nothing_is_obeyed() -> None:
    """No text that comes from a file or a server is one that a terminal, or a runner of CI, would obey."""
    text = shown(*hostile())
    assert text.count("\\x1b[2Jx\\n") > 20
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_widths(width: int) -> None:
    """Lines keep to the terminal's width; colour adds nothing but colour."""
    last = report(account(REFUSED, change("k", outcome=Outcome.PAUSED, reason="a reason " * 9)), mode=LIVE)
    last = replace(last, accounts=(replace(last.accounts[0], inventory=(key("shop", "domains:read", owner="me"),)),))
    recent = (replace(occurrence("shop"), asked_by=ASKED),)
    told = status(NOT_IN_SYNC, "reason " * 20, recent=recent)
    plain = render(told, last, Style(colour=False, width=width))
    assert all(width_of(line) <= max(width, 64) for line in plain.splitlines())
    coloured = render(told, last, Style(colour=True, width=width))
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
