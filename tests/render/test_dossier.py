"""What the HTML file tells, before it is markup."""

from dataclasses import replace

import pytest

from reconciler.core.changes import Action, Outcome
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import ReportedWaiver
from reconciler.core.networks import FENCE
from reconciler.core.plan import KeyCounts
from reconciler.core.report import AccountStatus, Mode, Report, ReportedAccount, RequestCounts, Standing
from reconciler.render.dossier import Dossier
from reconciler.render.exhibits import Lot, Tone
from reconciler.render.groups import Owner
from render.reports import account, below, change, failed, finding, report
from render.rich import ACCOUNT, ACME, AUDITED, KEYS, PLANNED, key, key_id

WIDE = change("wide", scopes=([], ["domains:read"]))
NARROW = change("narrow", scopes=(["domains:read"], []))
DENY, WARN = finding("r", Severity.DENY), finding("r", Severity.WARN)
WAIVED = replace(DENY, waived=Waiver("2027-01-31", "team-sec", "INC-204"))


def outcome(one: Outcome) -> Report:
    return report(account(replace(WIDE, outcome=one)))


def audit(*findings: object) -> Report:
    return replace(report(account(), mode=Mode.AUDIT, findings=findings), digest=None)  # type: ignore[arg-type]


def keyed(*keys: object, as_of: str = "2026-11-24T09:00:00Z") -> Dossier:
    """Give the dossier of an audit of one account with these keys."""
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(0, len(keys)), inventory=keys)  # type: ignore[arg-type]
    return Dossier(replace(report(own, mode=Mode.AUDIT), as_of=as_of))


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
        (audit(), Tone.GOOD, "Nothing found"),
        (outcome(Outcome.PLANNED), Tone.LOOK, "Differs"),
        (report(account(), findings=[DENY]), Tone.LOOK, "To look at"),
        (report(account(), findings=[WARN]), Tone.LOOK, "To look at"),
        (outcome(Outcome.APPLIED), Tone.GOOD, "Applied"),
        (outcome(Outcome.PAUSED), Tone.LOOK, "Paused"),
        (report(account()), Tone.GOOD, "In sync"),
    ],
)
def test_the_verdict(made: Report, tone: Tone, words: str) -> None:
    """What is not known comes before what is held back, that before what differs, and only then all is well."""
    verdict = Dossier(made).verdict
    assert (verdict.tone, verdict.words) == (tone, words)
    assert verdict.sentence.endswith(".")


def test_changes_come_in_lots() -> None:
    """What failed comes first, then what is held back, what gives more, the rest, and last what is paused."""
    outcomes = (Outcome.PAUSED, Outcome.STALE, Outcome.FAILED, Outcome.DENIED, Outcome.REFUSED, Outcome.SKIPPED)
    made = report(account(NARROW, WIDE, *(replace(NARROW, name=each.value, outcome=each) for each in outcomes)))
    lots = Dossier(made).lots
    assert [(lot, [told.item.name for told in changes]) for lot, changes in lots.items()] == [
        (Lot.FAILED, ["stale", "failed"]),
        (Lot.HELD_BACK, ["denied", "refused", "skipped"]),
        (Lot.WIDENING, ["wide"]),
        (Lot.REST, ["narrow"]),
        (Lot.PAUSED, ["paused"]),
    ]
    mixed = change("mixed", scopes=(["domains:read"], ["suppressions:read"]))
    assert list(Dossier(report(account(mixed))).lots) == [Lot.WIDENING]


def test_what_is_the_same_in_sub_accounts_is_told_once() -> None:
    """A change, a finding or a failure of many sub accounts is one, with whose it is."""
    told = Dossier(report(below("s-1", "One", WIDE), below("s-2", "Two", WIDE)))
    (once,) = told.lots[Lot.WIDENING]
    assert [owner.name for owner in once.owners] == ["One", "Two"]
    same = [finding("r", Severity.WARN, sub_account_id=each) for each in ("s-1", "s-2")]
    (found,) = Dossier(report(below("s-1", "One"), below("s-2", "Two"), findings=same)).found
    assert (found.count, len(found.all)) == (2, 1)


def test_findings_come_by_how_serious_they_are() -> None:
    """Rules come by severity, each with what it checks, what to do where that is one thing, and how many are new."""
    told = Dossier(AUDITED).found
    assert [(found.severity, found.rule, found.count, found.new) for found in told] == [
        (Severity.DENY, "no-wildcard", 1, 1),
        (Severity.WARN, "stale", 1, 0),
        (Severity.NOTE, "owned", 6, 6),
        (Severity.NOTE, "waiver-ends-soon", 1, 0),
    ]
    assert told[2].checks == "require-owner (owners: *)"
    assert told[2].hint == "write 'owner: <team>'"
    assert [once.item.rule for once in Dossier(AUDITED).waived] == ["no-wildcard"]
    two = report(account(), findings=[DENY, replace(DENY, hint="another")])
    assert Dossier(two).found[0].hint is None


def test_of_many_findings_some_are_shown() -> None:
    """Of each rule 200 findings are shown, and how many more there are is known."""
    many = [replace(WARN, key=f"k{number}", since=Standing.NEW) for number in range(250)]
    (found,) = Dossier(report(account(), findings=many)).found
    assert (len(found.shown), found.more, found.count, found.new) == (200, 50, 250, 250)


def test_rules_are_told_with_what_they_found() -> None:
    """Every rule that was asked is there, those too that found nothing; what is waived does not count."""
    assert [(rule.rule, count) for rule, count in Dossier(AUDITED).rules] == [
        ("no-wildcard", 1),
        ("owned", 6),
        ("stale", 1),
        ("coverage", 0),
    ]


def test_keys_bear_marks() -> None:
    """A key is marked by its worst finding, where it stands, from where it can be used, by its age and by ``*``."""
    told = Dossier(AUDITED)
    marks = {row.holder.key.label: row.marks for row in told.rows}
    assert marks["billing"] == "deny"
    assert marks["old-importer"] == "warn off"
    assert marks["break-glass"] == "unmanaged open never wild"
    assert marks["newsletter"] == "unmanaged open stale"
    assert marks["twins"] == "unclear open"
    assert marks["storefront"] == ""
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
        "off",
    ]
    assert [mark for mark, _ in keyed(key(1, "a", "domains:read", networks=("203.0.113.1",))).facets] == []


def test_the_worst_finding_counts() -> None:
    """Findings of a key stand by severity, and only those that are not waived, of its own account."""
    one = key(1, "a", "domains:read")
    own = ReportedAccount("a-1", None, AccountStatus.OK, None, KeyCounts(1, 1), inventory=(one,))
    about = [replace(each, key_id=one.key_id) for each in (finding("n", Severity.NOTE), WARN, WAIVED)]
    about += [replace(DENY, key_id=one.key_id, account_id="a-2"), replace(DENY, key_id=None)]
    (row,) = Dossier(report(own, findings=about)).rows
    assert [each.rule for each in row.findings] == ["r", "n"]
    assert row.marks.split()[0] == "warn"


def test_rows_follow_the_matrix() -> None:
    """The table of keys has the order of the matrix, and each key the number of its row there."""
    told = Dossier(AUDITED)
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
    lots = {mark: [row.holder.key.name for row in lives.rows] for _, mark, lives in told.stale}
    assert lots == {"stale": ["older", "old"], "never": ["never"]}
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
    told = [(each.what, each.about, each.days, each.looks, each.count) for each in Dossier(AUDITED).endings]
    assert told == [
        ("waiver of no-wildcard", "break-glass", 11, "soon", 1),
        ("pause", "old-importer", 30, "", None),
        ("waiver of owned", "labels like legacy-*", 218, "", 0),
    ]
    over = ReportedWaiver("r", "k", None, "a-1", "2026-11-23", "team", "why", None)
    last = replace(over, until="2026-11-24")
    odd = replace(over, until="one day")
    endings = Dossier(replace(AUDITED, waivers=(odd, last, over))).endings
    assert [(each.about, each.days, each.looks) for each in endings if each.about != "old-importer"] == [
        ("k in account a-1", -1, "over"),
        ("k in account a-1", 0, "soon"),
        ("k in account a-1", None, ""),
    ]


def test_what_can_do_more_than_before_comes_first() -> None:
    """Of the keys that are other ones than before, those come first that gained something."""
    assert [each.item.label for each in Dossier(AUDITED).changed_keys][:2] == ["billing", "break-glass"]
    turned = replace(AUDITED, since=AUDITED.since and replace(AUDITED.since, keys=AUDITED.since.keys[::-1]))
    assert [each.item.label for each in Dossier(turned).changed_keys][:2] == ["break-glass", "billing"]
    assert Dossier(PLANNED).changed_keys == []


def test_what_was_looked_at() -> None:
    """The head tells what was read, as of when, over what, with how many requests."""
    told = Dossier(AUDITED)
    assert (told.title, told.as_of, told.made) == ("Audit", "2026-11-24 09:00 UTC", "2026-11-24 09:00 UTC")
    assert told.over == "15 keys in 1 account and 1 sub account"
    assert told.requests == [("GET", 4)]
    assert Dossier(replace(AUDITED, requests=RequestCounts())).requests == []
    assert Dossier(replace(AUDITED, as_of=None, started_at="soon")).as_of == "soon"
    assert told.standing("new") == 7
    assert [tile.told for tile in told.tiles][:4] == ["keys read", "deny", "warn", "note"]
    assert [tile.count for tile in Dossier(PLANNED).tiles][:3] == [15, 12, 3]


def test_only_what_there_is_has_a_section() -> None:
    """Sections are those that have something to tell."""
    assert [name for name, _ in Dossier(report(account())).sections] == ["findings", "ends", "checked"]
    assert [name for name, _ in Dossier(AUDITED).sections] == [
        "failures",
        "findings",
        "since",
        "who",
        "keys",
        "ages",
        "ends",
        "checked",
    ]
    assert next(name for name, _ in Dossier(PLANNED).sections) == "changes"


def test_whose_something_is_is_told_where_it_is_not_plain() -> None:
    """Of one account that is plain, but for its sub accounts; of several it is not."""
    one, both = Dossier(PLANNED), Dossier(AUDITED)
    assert not one.names(Owner(ACCOUNT))
    assert one.names(Owner(ACCOUNT, ACME))
    assert both.names(Owner(ACCOUNT))
    assert one.several
    assert not Dossier(report(account())).several


def test_keys_of_old_reports_are_not_known() -> None:
    """A report of which the keys are not known has none, and no quarantine is taken for one."""
    old = report(account(change(None, Action.QUARANTINE, label="x", networks=([], [FENCE]))))
    assert Dossier(old).rows == []
    assert key_id(1).endswith("1")
