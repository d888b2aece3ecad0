"""What the HTML file tells, before it is markup."""

from dataclasses import replace

import pytest

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import ReportedWaiver
from reconciler.core.keys import Source
from reconciler.core.networks import FENCE
from reconciler.core.plan import KeyCounts
from reconciler.core.report import AccountStatus, Mode, Report, ReportedAccount, RequestCounts, Standing
from reconciler.render.groups import Group, Owner
from reconciler.render.html import render
from reconciler.render.overview import Overview
from reconciler.render.verdict import Tone
from reconciler.render.words import summary
from render.reports import account, below, change, failed, finding, report
from render.rich import ACCOUNT, ACME, AUDITED, HOSTILE, KEYS, OTHER, PAUSES, PLANNED, RULES, key, key_id

WIDE = change("wide", scopes=([], ["domains:read"]))
NARROW = change("narrow", scopes=(["domains:read"], []))
DENY, WARN = finding("r", Severity.DENY), finding("r", Severity.WARN)
WAIVED = replace(DENY, waived=Waiver("2027-01-31", "team-sec", "INC-204"))


def outcome(one: Outcome) -> Report:
    return report(account(replace(WIDE, outcome=one)))


def audit(*findings: object) -> Report:
    return replace(report(account(), mode=Mode.AUDIT, findings=findings), digest=None)  # type: ignore[arg-type]


def keyed(*keys: object, as_of: str = "2026-11-24T09:00:00Z") -> Overview:
    """Give the overview of an audit of one account with these keys."""
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(0, len(keys)), inventory=keys)  # type: ignore[arg-type]
    return Overview(replace(report(own, mode=Mode.AUDIT), as_of=as_of))


@pytest.mark.parametrize(
    ("made", "tone", "words"),
    [
        (report(failed("401"), account(replace(WIDE, outcome=Outcome.DENIED))), Tone.BAD, "Not complete"),
        (outcome(Outcome.FAILED), Tone.BAD, "Not complete"),
        (outcome(Outcome.STALE), Tone.BAD, "Not complete"),
        (outcome(Outcome.DENIED), Tone.ACT, "A person must act"),
        (outcome(Outcome.REFUSED), Tone.ACT, "A person must act"),
        (outcome(Outcome.SKIPPED), Tone.ACT, "A person must act"),
        (replace(report(account()), refusals=PLANNED.refusals), Tone.ACT, "A person must act"),
        (audit(DENY), Tone.ACT, "A person must act"),
        (audit(WARN), Tone.LOOK, "To look at"),
        (audit(WAIVED), Tone.GOOD, "Nothing found"),
        (audit(finding("r", Severity.NOTE)), Tone.GOOD, "Only notes"),
        (audit(), Tone.GOOD, "Nothing found"),
        (outcome(Outcome.PLANNED), Tone.LOOK, "Differs"),
        (report(account(), findings=[DENY]), Tone.LOOK, "To look at"),
        (report(account(), findings=[WARN]), Tone.LOOK, "To look at"),
        (outcome(Outcome.APPLIED), Tone.GOOD, "Applied"),
        (outcome(Outcome.PAUSED), Tone.LOOK, "Paused"),
        (report(account()), Tone.GOOD, "In sync"),
        (report(account(), findings=[finding("saved-listing", Severity.NOTE)]), Tone.GOOD, "Was in sync"),
    ],
)
def test_the_verdict(made: Report, tone: Tone, words: str) -> None:
    """What is not known comes before what is held back, that before what differs, and only then all is well."""
    told = Overview(made)
    assert (told.verdict.tone, told.verdict.words) == (tone, words)
    assert told.sentence == summary(made)


def test_changes_come_in_lots() -> None:
    """What failed comes first, then what is held back, what gives more, the rest, and last what is paused."""
    outcomes = (Outcome.PAUSED, Outcome.STALE, Outcome.FAILED, Outcome.DENIED, Outcome.REFUSED, Outcome.SKIPPED)
    made = report(account(NARROW, WIDE, *(replace(NARROW, name=each.value, outcome=each) for each in outcomes)))
    changes = Overview(made).changes
    assert [(lot, [told.item.name for told in changes]) for lot, changes in changes.items()] == [
        (Group.FAILED, ["failed", "stale"]),
        (Group.HELD_BACK, ["denied", "refused", "skipped"]),
        (Group.WIDENING, ["wide"]),
        (Group.REST, ["narrow"]),
        (Group.PAUSED, ["paused"]),
    ]
    mixed = change("mixed", scopes=(["domains:read"], ["suppressions:read"]))
    assert list(Overview(report(account(mixed))).changes) == [Group.WIDENING]


def test_what_is_the_same_in_sub_accounts_is_told_once() -> None:
    """A change, a finding or a failure of many sub accounts is one, with whose it is."""
    told = Overview(report(below("s-1", "One", WIDE), below("s-2", "Two", WIDE)))
    (once,) = told.changes[Group.WIDENING]
    assert [owner.name for owner in once.owners] == ["One", "Two"]
    same = [finding("r", Severity.WARN, sub_account_id=each) for each in ("s-1", "s-2")]
    (found,) = Overview(report(below("s-1", "One"), below("s-2", "Two"), findings=same)).found
    assert (found.count, len(found.all)) == (2, 1)


def test_findings_come_by_how_serious_they_are() -> None:
    """Rules come by severity, each with what it checks, what to do where that is one thing, and how many are new."""
    told = Overview(AUDITED).found
    assert [(found.severity, found.rule, found.count, found.new) for found in told] == [
        (Severity.DENY, "no-wildcard", 1, 1),
        (Severity.WARN, "stale", 1, 0),
        (Severity.NOTE, "owned", 6, 6),
        (Severity.NOTE, "waiver-ends-soon", 1, 0),
    ]
    assert told[2].checks == "require-owner (owners: *)"
    assert told[2].hint == "write 'owner: <team>'"
    assert [once.item.rule for once in Overview(AUDITED).waived] == ["no-wildcard"]
    two = report(account(), findings=[DENY, replace(DENY, hint="another")])
    assert Overview(two).found[0].hint is None


def test_of_many_findings_some_are_shown() -> None:
    """Of each rule 1,000 findings are shown, and how many more there are is known."""
    many = [replace(WARN, key=f"k{number}", since=Standing.NEW) for number in range(1050)]
    (found,) = Overview(report(account(), findings=many)).found
    assert (len(found.shown), found.more, found.count, found.new) == (1000, 50, 1050, 1050)


def test_rules_are_told_with_what_they_found() -> None:
    """Every rule that was asked is there, those too that found nothing; what is waived does not count."""
    assert [(rule.rule, count) for rule, count in Overview(AUDITED).rules] == [
        ("no-wildcard", 1),
        ("owned", 6),
        ("stale", 1),
        ("coverage", 0),
    ]


def test_keys_bear_marks() -> None:
    """A key is marked by its worst finding, where it stands, from where it can be used, by its age and by ``*``."""
    told = Overview(AUDITED)
    marks = {row.holder.key.label: row.marks for row in told.rows}
    assert marks["billing"] == "deny new"
    assert marks["old-importer"] == "warn off"
    assert marks["break-glass"] == "unmanaged open never wild"
    assert marks["newsletter"] == "unmanaged open stale"
    assert marks["twins"] == "unclear open"
    assert marks["storefront"] == ""
    assert marks[HOSTILE[0]] == "note unmanaged open new"
    assert told.marks["open"] == sum("open" in each.split() for each in marks.values()) > 5
    assert [mark for mark, _ in told.facets] == [
        "deny",
        "warn",
        "note",
        "unmanaged",
        "unclear",
        "open",
        "wild",
        "stale",
        "never",
        "new",
        "off",
    ]
    assert [mark for mark, _ in keyed(key(1, "a", "domains:read", networks=("203.0.113.1",))).facets] == []


def test_the_worst_finding_counts() -> None:
    """Findings of a key stand by severity, and only those that are not waived, of its own account."""
    one = key(1, "a", "domains:read")
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(1, 1), inventory=(one,))
    about = [replace(each, key_id=one.key_id) for each in (finding("n", Severity.NOTE), WARN, WAIVED)]
    about += [replace(DENY, key_id=one.key_id, account_id="a-2"), replace(DENY, key_id=None)]
    (row,) = Overview(report(own, findings=about)).rows
    assert [each.rule for each in row.findings] == ["r", "n"]
    assert [each.severity for each in row.waived] == [Severity.DENY]
    assert row.marks.split()[:2] == ["warn", "note"]


def test_rows_follow_the_matrix() -> None:
    """The table of keys has the order of the matrix, and each key the number of its row there."""
    told = Overview(AUDITED)
    assert [row.row for row in told.rows] == list(range(len(KEYS) + 1))
    assert told.rows[0].holder.key.label == "break-glass"
    assert told.columns == told.matrix.columns


def test_stale_keys_are_those_that_could_be_used() -> None:
    """Keys that nobody used for 90 days are told, the longest first, by whether they ever were; not those off."""
    day = "2026-{}T09:00:00Z"
    told = keyed(
        key(1, "fresh", used=day.format("11-01")),
        key(2, "old", used=day.format("03-01")),
        key(3, "older", used=day.format("01-01")),
        key(4, "off", used=None, networks=(FENCE,)),
        key(5, "never", used=None),
        key(6, "new", used=None, made=day.format("11-01")),
    )
    changes = {mark: [row.holder.key.name for row in lives.rows] for _, mark, lives in told.stale}
    assert changes == {"stale": ["older", "old"], "never": ["never"]}
    (_, _, used), (_, _, never) = told.stale
    assert [(bar.made, bar.used) for bar in never.bars] == [(0.0, None)]
    assert [bar.used is not None and 0 < bar.used < 100 for bar in used.bars] == [True, True]
    assert not used.more
    assert sum(share.count for share in told.last_uses) == 6
    assert keyed(key(1, "fresh")).stale == []


def test_of_many_stale_keys_some_have_a_bar() -> None:
    """Forty of them have one, those that were unused for longest."""
    keys = [key(number, f"k{number:03}", used=None, made=f"20{number:02}-01-01T00:00:00Z") for number in range(11, 26)]
    many = [replace(each, key_id=f"{each.key_id}-{copy}") for each in keys for copy in range(4)]
    ((_, _, lives),) = keyed(*many).stale
    assert lives.more
    assert len(lives.bars) == 40
    assert lives.bars[0].made == 0.0


def test_waivers_and_pauses_have_their_ends() -> None:
    """They are told with the days that are left and how many findings need them, those first that end first."""
    told = [(each.what, each.about, each.days, each.looks, each.count) for each in Overview(AUDITED).endings]
    assert told == [
        ("waiver of no-wildcard", "labels like break-glass", 11, "soon", 1),
        ("pause", f"old-importer of account {ACCOUNT}", 30, "", None),
        ("waiver of owned", "labels like legacy-*", 218, "", 0),
    ]
    over = ReportedWaiver("r", "k", None, "a-1", "2026-11-23", "team", "why", None)
    last = replace(over, until="2026-11-24")
    odd = replace(over, until="one day")
    endings = Overview(replace(AUDITED, waivers=(odd, last, over), pauses=())).endings
    assert [(each.about, each.days, each.looks) for each in endings] == [
        ("k in account a-1", -1, "over"),
        ("k in account a-1", 0, "soon"),
        ("k in account a-1", None, ""),
    ]


def test_what_can_do_more_than_before_comes_first() -> None:
    """Of the keys that are other ones than before, those come first that gained something."""
    assert [each.item.label for each in Overview(AUDITED).changed_keys][:2] == ["billing", "break-glass"]
    turned = replace(AUDITED, since=AUDITED.since and replace(AUDITED.since, keys=AUDITED.since.keys[::-1]))
    assert [each.item.label for each in Overview(turned).changed_keys][:2] == ["break-glass", "billing"]
    assert Overview(PLANNED).changed_keys == []


def test_what_was_looked_at() -> None:
    """The head tells what was read, as of when, over what, with how many requests."""
    told = Overview(AUDITED)
    assert (told.title, told.as_of, told.made) == ("Audit", "2026-11-24 09:00 UTC", "2026-11-24 09:00 UTC")
    assert told.over == "15 keys in 1 account and 1 sub account"
    assert told.requests == [("GET", 4)]
    assert Overview(replace(AUDITED, requests=RequestCounts())).requests == []
    assert Overview(replace(AUDITED, as_of=None, started_at="soon")).as_of == "soon"
    assert told.standing("new") == 7
    assert [tile.told for tile in told.tiles][:4] == ["keys read", "deny", "warn", "note"]
    assert told.account_ids == [ACCOUNT, OTHER]
    assert told.policy_files == ["config/policy.yaml"]
    tiles = {tile.told: tile.count for tile in Overview(PLANNED).tiles}
    assert tiles == {
        "keys read": 15,
        "changes": 13,
        "failed": 0,
        "held back": 4,
        "deny": 1,
        "warn": 1,
        "note": 7,
        "usable from anywhere now": 11,
        "may do everything now": 1,
        "not used for 90 days": 1,
        "90 days old and never used": 2,
        "in no file": 8,
    }
    applied = Overview(replace(PLANNED, mode=Mode.APPLY)).tiles
    assert [tile.told for tile in applied[4:]][:1] == ["applied"]
    assert "usable from anywhere" in [tile.told for tile in applied]


def test_what_is_not_known_is_not_told_as_none() -> None:
    """Where no key is known, numbers of keys are not known, either; where some account was not read, not all is."""
    nothing = Overview(report(failed("401"), mode=Mode.AUDIT))
    assert not nothing.known
    assert not nothing.whole
    assert {tile.count for tile in nothing.tiles[1:]} == {None}
    assert Overview(AUDITED).known
    assert not Overview(AUDITED).whole
    assert Overview(PLANNED).whole


def test_as_of_when_keys_are_shown_is_told() -> None:
    """A plan shows keys without its changes, an apply with what was applied; where nothing differs that is plain."""
    assert "as they are before the changes of this plan; findings are" in Overview(PLANNED).before_or_after
    assert "as they are after what was applied; findings" in Overview(replace(PLANNED, mode=Mode.APPLY)).before_or_after
    assert Overview(AUDITED).before_or_after == ""
    assert Overview(report(account())).before_or_after == ""
    assert Overview(AUDITED).of_actual
    assert Overview(PLANNED).approvable


def test_requirements_count_each_for_itself() -> None:
    """Of several things that must keep working each has its own findings, and no one's words stand for all."""
    places = [Source("config/policy.yaml", line, 5) for line in (30, 31)]
    rules = [replace(RULES[-1], source=place, checks=f"c{place.line}") for place in places]
    unmet = finding("coverage", Severity.DENY, key=None, label=None, source=places[1])
    told = Overview(replace(report(account(), mode=Mode.AUDIT, findings=[unmet]), rules=tuple(rules)))
    assert [(rule.checks, count) for rule, count in told.rules] == [("c30", 0), ("c31", 1)]
    assert [found.checks for found in told.found] == [""]


def test_pauses_say_whose_they_are() -> None:
    """A pause of a rule for sub accounts says so; of several accounts each says which."""
    below_it = replace(PAUSES[0], of_sub_accounts=True)
    told = Overview(replace(report(account()), pauses=(PAUSES[0], below_it))).endings
    assert [each.about for each in told] == ["old-importer", f"old-importer of sub accounts of account {ACCOUNT}"]
    several = Overview(replace(AUDITED, waivers=())).endings
    assert [each.about for each in several] == [f"old-importer of account {ACCOUNT}"]


def test_each_waiver_counts_what_it_is_for() -> None:
    """Waivers that differ only in what they are for count each its own findings."""
    same = [
        ReportedWaiver("r", "a", None, None, "2027-01-31", "sec", "why", None),
        ReportedWaiver("r", "b", None, None, "2027-01-31", "sec", "why", None),
        ReportedWaiver("r", None, "tmp-*", None, "2027-01-31", "sec", "why", None),
        ReportedWaiver("r", "a", None, "a-9", "2027-01-31", "sec", "why", None),
        ReportedWaiver("other", "a", None, None, "2027-01-31", "sec", "why", None),
    ]
    accepted = Waiver("2027-01-31", "sec", "why")
    found = [
        finding("r", Severity.WARN, key="a", label="A", waived=accepted),
        finding("r", Severity.WARN, key=None, label="tmp-1", waived=accepted),
    ]
    told = Overview(replace(report(account(), mode=Mode.AUDIT, findings=found), waivers=tuple(same)))
    assert [(each.what, each.about, each.count) for each in told.endings] == [
        ("waiver of other", "a", 0),
        ("waiver of r", "a", 1),
        ("waiver of r", "a in account a-9", 0),
        ("waiver of r", "b", 0),
        ("waiver of r", "labels like tmp-*", 1),
    ]


def test_only_what_there_is_has_a_section() -> None:
    """Sections are those that have something to tell."""
    assert [name for name, _ in Overview(report(account())).sections] == ["findings", "ends", "checked"]
    assert [name for name, _ in Overview(AUDITED).sections] == [
        "failures",
        "findings",
        "since",
        "who",
        "keys",
        "ages",
        "ends",
        "checked",
    ]
    assert next(name for name, _ in Overview(PLANNED).sections) == "changes"


def test_whose_something_is_is_told_where_it_is_not_plain() -> None:
    """Of one account that is plain, but for its sub accounts; of several it is not."""
    one, both = Overview(PLANNED), Overview(AUDITED)
    assert not one.names(Owner(ACCOUNT))
    assert one.names(Owner(ACCOUNT, ACME))
    assert both.names(Owner(ACCOUNT))
    assert one.several
    assert not Overview(report(account())).several


def test_keys_of_old_reports_are_not_known() -> None:
    """A report of which the keys are not known has none, and no quarantine is taken for one."""
    old = report(account(change(None, Action.QUARANTINE, label="x", networks=([], [FENCE]))))
    assert Overview(old).rows == []
    assert key_id(1).endswith("1")


def test_a_browser_shows_so_many_keys() -> None:
    """The table holds ten thousand keys, those that can do most, and the page says how many there are."""
    one = key(1, "a", "domains:read")
    many = [replace(one, key_id=f"{number:06}") for number in range(10_001)]
    wide = replace(key(2, "z", "*"), key_id="zz")
    told = keyed(*many, wide)
    assert len(told.shown_rows) == 10_000
    assert told.shown_rows[0].holder.key is wide
    assert "The table holds the 10,000 keys that can do most; all 10,002 of them are in" in render(told.report)
    assert "The table holds" not in render(AUDITED)
