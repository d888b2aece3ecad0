"""The daemon's first page: how everything stands, what differs and who asked for it, what changed, what is next."""

import gc
import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.inventory import ReportedFreeze
from reconciler.core.keys import EVERY_SUB_ACCOUNT, Source
from reconciler.core.report import AccountStatus, Mode, Report
from reconciler.core.status import AccountReadiness, Status, SubAccountReadiness, SubAccountsReadiness, Sync
from reconciler.errors import visible
from reconciler.render.board import POLICY, Board
from render.boards import CALM, COMMIT, RECENT, document, keyed, occurrence, section, words
from render.markup import Markup
from render.reports import account, below, broken, change, finding, report
from render.rich import ACCOUNT, ACME, CHANGES, HOSTILE, KEYS, PLANNED, key, key_id
from render.statuses import IN_SYNC, NOT_IN_SYNC, readiness, status

LATE = "account a-1 was not read since 2026-11-23T09:40:00Z: 401"
READ = datetime(2026, 11, 23, 9, tzinfo=UTC)


def unread(error: str | None, *failed: SubAccountReadiness, count: int = 0) -> Status:
    """How a daemon stands that could not read all, although it is not late yet."""
    below_it = SubAccountsReadiness(count, 0, count, failed)
    own = AccountReadiness("a-1", READ, ready=True, error=error, sub_accounts=below_it)
    return replace(status(), readiness=replace(readiness(), accounts=(own,)))


def test_it_says_first_whether_everything_is_in_sync_and_since_when() -> None:
    """In the largest letters, in the tab, and for a program: in sync, since when, as of when, and what comes next."""
    made = document(CALM)
    assert words(made, "h1") == "In sync"
    assert words(made, "title") == "In sync \N{MIDDLE DOT} AhaSend keys"
    (since,) = [each for each in made.find("time") if "data-for" in each.attributes]
    assert since.attributes["datetime"] == "2026-11-23T08:00:00Z"
    assert "since 2026-11-23 08:00 UTC or longer: so it was at the first pass" in words(made, "header")
    assert "Everything is in sync: 9 keys in 1 account and 1 sub account, nothing to do" in words(made, "header")
    assert "last pass 2026-11-23 10:00 UTC next pass 2026-11-23 10:05 UTC" in words(made, "header")
    times = {each.attributes["datetime"] for each in made.find("time")}
    assert {"2026-11-23T10:00:00Z", "2026-11-23T10:05:00Z", "2026-11-23T10:00:05Z"} <= times
    (root,) = made.find("html")
    assert (root.attributes["data-as-of"], root.attributes["data-tone"]) == ("2026-11-23T10:00:05Z", "good")
    assert root.attributes["data-words"] == "In sync. No person has to act."


def test_not_in_sync_is_not_called_so() -> None:
    """What differs makes it another word, with since when it does; a good word about findings says in sync besides."""
    made = document(PLANNED, told=status(NOT_IN_SYNC, mode=Mode.PLAN))
    assert words(made, "h1") == "A person must act"
    assert "not in sync since 2026-11-23 09:30 UTC Plan: 3 to update, 6 to quarantine" in words(made, "header")
    found = replace(report(account(), findings=[finding("r", Severity.WARN)], mode=Mode.APPLY))
    told = words(document(found), "header")
    assert "In sync, to look at since 2026-11-23 08:00 UTC" in told


@pytest.mark.parametrize(
    ("told", "title", "said"),
    [
        (
            status(IN_SYNC, LATE),
            "The daemon is not ready",
            "account a-1 was not read since 2026-11-23 09:40 UTC: 401 Nothing below is known",
        ),
        (
            status(rejected="the files do not load"),
            "Newer files do not load since 2026-11-23 08:00 UTC",
            "config/keys/shop.yaml:12:5: unknown field 'scops' and 2 more Those that loaded last stay in force.",
        ),
        (unread("503: later"), "Not read the last time", "a-1: 503: later; last read 2026-11-23 09:00 UTC"),
        (
            unread(None, SubAccountReadiness("s-1", None, ready=False, error=None), count=3),
            "Not read the last time",
            "s-1: it was not read in time; never read yet and 2 more",
        ),
    ],
)
def test_what_is_wrong_with_the_daemon_comes_before_all(told: Status, title: str, said: str) -> None:
    """Above everything stands what is wrong and since when; no word of the page then says that all is in sync."""
    made = document(CALM, told=told)
    (trouble,) = made.find("section", class_="trouble")
    text = re.sub(r"\s+", " ", trouble.text).strip()
    assert text.startswith(title)
    assert said in text
    assert trouble is made.find("section")[0]
    whole = " ".join(words(made, name) for name in ("title", "header", "main"))
    assert "in sync" not in whole.lower().replace("in sync since they", "")
    assert made.find("html")[0].attributes["data-tone"] != "good"
    assert "1 warning about the daemon." in (made.find("html")[0].attributes["data-words"] or "")


def test_findings_do_not_make_it_in_sync_while_something_is_not_read() -> None:
    """What is only to be looked at is not called in sync either, while an account was not read the last time."""
    found = replace(report(account(), findings=[finding("r", Severity.WARN)], mode=Mode.APPLY))
    assert words(document(found), "h1") == "In sync, to look at"
    assert words(document(found, told=unread("503")), "h1") == "Not known"


def test_what_the_last_pass_could_not_tell_is_not_told_as_good() -> None:
    """Where the last pass could not tell, and where the daemon is not ready, no sentence of it says in sync."""
    unknown = document(CALM, told=status(Sync(in_sync=None, since="2026-11-23T09:30:00Z")))
    assert words(unknown, "h1") == "Not known"
    assert "in sync" not in words(unknown, "header").lower()
    late = document(CALM, told=status(IN_SYNC, LATE))
    assert words(late, "p", class_="call") == ("What is wrong stands above; what follows is as the last pass left it.")


def test_what_was_applied_differs_no_more() -> None:
    """A change that the last pass made is history, and no difference."""
    done = replace(change("a", outcome=Outcome.APPLIED), key_id=key_id(1))
    made = document(keyed(key(1, "a"), changes=(done,)))
    assert section(made, "differs") == "What differs now 0 Nothing differs."
    assert made.find("article") == []


def test_without_reasons_or_files_it_says_so() -> None:
    """A daemon that does not say why it is not ready, and one that never loaded any files, are told as that."""
    silent = replace(status(), readiness=replace(readiness(), ready=False))
    assert "it does not say why" in words(document(CALM, told=silent), "section", class_="trouble")
    many = words(document(CALM, told=status(IN_SYNC, *map(str, range(22)))), "section", class_="trouble")
    assert "18 19 and 2 more Nothing below is known" in many
    bare = replace(readiness(rejected="nothing there"), accounts=())
    bare = replace(bare, configuration=replace(bare.configuration, loaded_at=None, problems=(), problem_count=0))
    told = words(document(CALM, told=replace(status(), readiness=bare)), "section", class_="trouble")
    assert "nothing there None are in force." in told


def test_before_the_first_pass() -> None:
    """Nothing is known before a pass has ended, and each part of the page says so."""
    made = document(None, told=status(Sync(), "account a-1 was not read yet", passes=0))
    assert words(made, "h1") == "Not known yet"
    assert "No pass has ended yet: nothing is known so far." in words(made, "header")
    assert "last pass none yet" in words(made, "header")
    assert words(made).count("Not known yet.") == 3
    assert [each.text for each in made.find("b")[:3]] == ["?", "?", "?"]
    assert "next pass not known" in words(document(None, told=replace(status(), next_at=None)), "header")


def test_what_differs_says_who_asked_for_it() -> None:
    """A difference has its key, its place in the files, the commit, the owner, and what exactly comes and goes."""
    told = section(document(PLANNED, told=status(NOT_IN_SYNC, recent=RECENT, mode=Mode.PLAN)), "differs")
    assert told.startswith("What differs now 9 update reconciler widens asked for at config/keys/shop.yaml:30, commit")
    assert (
        "update storefront mixed asked for at config/keys/shop.yaml:14, commit 3f9c2d1e8b7a, owner team-growth "
        "scopes - suppressions:read 1 unchanged networks + 198.51.100.0/24 1 unchanged"
    ) in told
    unknown = section(document(PLANNED, told=status(NOT_IN_SYNC)), "differs")
    assert "asked for at config/keys/shop.yaml:14, owner team-growth scopes" in unknown
    moved = replace(RECENT[5], asked_by=replace(RECENT[5].asked_by, line=15))  # type: ignore[type-var] # it has one
    told = section(document(PLANNED, told=status(NOT_IN_SYNC, recent=(moved,))), "differs")
    assert COMMIT[:12] not in told
    nobody = keyed(key(1, "a"), changes=(replace(change("a"), source=None, key_id=key_id(1)),))
    assert "asked for" not in section(document(nobody, told=status(NOT_IN_SYNC)), "differs")
    modified = occurrence(CHANGES[5], modified=True)
    told = section(document(PLANNED, told=status(NOT_IN_SYNC, recent=(modified,))), "differs")
    assert "commit 3f9c2d1e8b7a file modified since" in told


def test_what_is_held_back_says_what_to_do() -> None:
    """Refusals and changes that are held back stand apart, each with its reason; what is shared is told once."""
    told = section(document(PLANNED, told=status(NOT_IN_SYNC, recent=RECENT)), "held")
    assert told.startswith("Held back: a person must act 5 max-changes 9 changes are more than 5; raise guardrails")
    assert "let it through with --allow restore" in told
    assert "create new-shop widens skipped asked for at config/keys/shop.yaml:40, commit 3f9c2d1e8b7a label" in told
    assert "max-changes (see above)" in told
    calm = document(CALM)
    assert section(calm, "held") == "Held back: a person must act 0 Nothing is held back."
    assert section(calm, "differs") == "What differs now 0 Nothing differs."
    held = keyed(key(1, "a"), changes=(replace(change("a", outcome=Outcome.REFUSED), key_id=key_id(1)),))
    assert "Nothing differs but what is held back." in section(document(held, told=status(NOT_IN_SYNC)), "differs")


def commands(made: Markup) -> list[str]:
    return [each.text for each in made.find("code", class_="command")]


def test_a_plan_is_approved_by_its_digest() -> None:
    """What is planned is applied by one command, what guardrails refuse by one that lets them through as well."""
    made = document(PLANNED, told=status(NOT_IN_SYNC, mode=Mode.PLAN))
    (digest,) = made.find("code", class_="digest")
    assert digest.text == PLANNED.digest
    apply = f"reconciler apply --digest {PLANNED.digest}"
    assert commands(made) == [apply, f"{apply} --allow max-changes"]
    assert f"Plan {PLANNED.digest} To apply exactly what is planned here: {apply}" in words(made)
    assert made.find("code", class_="digest")[0].attributes["tabindex"] == "0"


def test_the_digest_is_there_wherever_something_differs() -> None:
    """A daemon that applies shows it as well, without a command that would apply nothing; not where all was applied."""
    denied = replace(change("a", scopes=([], ["*"]), outcome=Outcome.DENIED), key_id=key_id(1))
    made = document(keyed(key(1, "a"), changes=(denied,)), told=status(NOT_IN_SYNC))
    assert "Plan sha256:ab" in words(made)
    assert commands(made) == []
    done = replace(change("b", outcome=Outcome.APPLIED), key_id=key_id(2))
    made = document(keyed(key(1, "a"), key(2, "b"), changes=(denied, done)), told=status(NOT_IN_SYNC))
    assert "Plan sha256:ab of which some was applied: the next pass tells the plan that is left" in words(made)
    for nothing in (CALM, keyed(key(2, "b"), changes=(done,)), None):
        assert document(nothing).find("div", class_="approve") == []


def test_what_to_do_about_one_change_stands_with_it() -> None:
    """What a rule says is to be done stands with the change that it holds back, and what several share stands once."""
    made = document(PLANNED, told=status(NOT_IN_SYNC))
    told = section(made, "held")
    assert "billing would hold * and could do everything What to do: list the scopes that it needs" in told
    assert "about" not in told
    reason = "no-wildcard: it may do everything"
    keys = [key(number, f"k{number}") for number in range(3)]
    held = tuple(
        replace(change(one.name, scopes=([], ["*"]), outcome=Outcome.DENIED, reason=reason), key_id=one.key_id)
        for one in keys
    )
    found = [
        finding("no-wildcard", Severity.DENY, key=one.name, key_id=one.key_id, hint="list the scopes") for one in keys
    ]
    made = document(replace(keyed(*keys, changes=held), findings=tuple(found)), told=status(NOT_IN_SYNC))
    told = section(made, "held")
    assert told.startswith(
        "Held back: a person must act 3 What to do about 3 of these, no-wildcard: list the scopes update k0"
    )
    assert told.count("What to do") == 1
    own = document(replace(keyed(*keys, changes=held), findings=tuple(found)), f"/accounts/a-1/keys/{key_id(1)}")
    assert "What to do: list the scopes" in section(own, "change")


def test_an_empty_side_gives_its_room_to_the_other() -> None:
    """What differs and what is held back stand side by side only where both are there and nearly as long."""
    keys = [key(number, f"k{number}") for number in range(9)]

    def beside(planned: int, held: int) -> bool:
        outcomes = [Outcome.PLANNED] * planned + [Outcome.REFUSED] * held
        changes = tuple(
            replace(change(one.name, outcome=outcome), key_id=one.key_id)
            for one, outcome in zip(keys, outcomes, strict=False)
        )
        made = document(keyed(*keys, changes=changes), told=status(NOT_IN_SYNC))
        return bool(made.find("div", class_="pair"))

    assert [beside(2, 0), beside(0, 2), beside(2, 6), beside(1, 4), beside(4, 1), beside(3, 3)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_links_lead_to_keys() -> None:
    """A change leads to its key, also below a sub account; one of many sub accounts and a new key to the account."""
    made = document(PLANNED, told=status(NOT_IN_SYNC, recent=RECENT))
    links = {each.text: each.attributes["href"] for each in made.find("a")}
    assert links["storefront"] == f"/accounts/{ACCOUNT}/keys/{key_id(1)}"
    assert links["sender"] == f"/accounts/{ACCOUNT}/sub-accounts/{ACME}/keys/{key_id(40)}"
    assert links["new-shop"] == f"/accounts/{ACCOUNT}"
    wide = change("sender", scopes=([], ["domains:read"]))
    many = document(report(below("s-1", "Shop", wide), below("s-2", "Other", wide)))
    assert {each.text: each.attributes["href"] for each in many.find("a")}["sender"] == "/accounts/a-1"
    assert "in 2 sub accounts of account a-1: Other s-2, Shop s-1" in words(many)


def test_of_very_many_differences_some_are_shown() -> None:
    """From the 26th on differences are counted, with a link to all keys that differ, or are held back."""
    keys = [key(number, f"k{number:02}") for number in range(60)]
    changes = tuple(
        replace(change(one.name, scopes=([], ["*"])), key_id=one.key_id, outcome=outcome)
        for one, outcome in zip(keys, [Outcome.PLANNED] * 30 + [Outcome.REFUSED] * 30, strict=True)
    )
    made = document(keyed(*keys, changes=changes), told=status(NOT_IN_SYNC))
    assert len(made.find("article")) == 50
    assert section(made, "differs").endswith("and 5 more: the keys that differ")
    assert section(made, "held").endswith("and 5 more: the keys that are held back")
    links = {each.attributes["href"] for each in made.find("a")}
    assert {"/keys?mark=differs", "/keys?mark=held"} <= links


def test_what_changed_lately_says_by_which_commit() -> None:
    """What was written is told, the newest first, with when, why the pass began, and the commit; decisions are not."""
    made = document(PLANNED, told=status(NOT_IN_SYNC, recent=RECENT))
    told = section(made, "lately")
    assert told.startswith(
        "What changed lately analytics Analytics (read only) updated same access 2026-11-23 09:30 UTC, "
        "asked for at config/keys/shop.yaml:18, commit 3f9c2d1e8b7a, pass begun by files what, exactly label"
    )
    assert "switched off narrows" in told
    assert "held back" not in told
    assert "All that is known since 2026-11-23 08:00 UTC" in told
    failed = [occurrence(CHANGES[5], outcome, trigger=None) for outcome in (Outcome.FAILED, Outcome.STALE)]
    told = section(document(CALM, told=status(recent=tuple(failed))), "lately")
    assert "storefront update failed 2026-11-23 09:30 UTC" in told
    assert "the reason of it" in told
    assert "storefront update not made: the key had changed" in told
    assert "begun by" not in told


def test_a_long_history_is_folded() -> None:
    """Ten writes are shown, a hundred more are folded."""
    many = tuple(occurrence(CHANGES[5], time=f"2026-11-23T09:{number % 60:02}:00Z") for number in range(120))
    made = document(CALM, told=status(recent=many))
    assert len(made.find("span", class_="what")) == 110
    assert "100 earlier" in section(made, "lately")
    ids = [each.attributes["id"] for each in made.find("li") if "id" in each.attributes]
    assert len(ids) == len(set(ids)) == 110
    newer = (occurrence(CHANGES[5], time="2026-11-23T09:00:00Z"), *many)
    later = {each.attributes.get("id") for each in document(CALM, told=status(recent=newer)).find("li")}
    assert set(ids[:-1]) <= later
    assert "Nothing was written." in section(document(CALM), "lately")
    assert "Nothing was written: this daemon only plans." in section(
        document(CALM, told=status(mode=Mode.PLAN)), "lately"
    )


def test_who_can_do_what_is_the_matrix_of_the_report() -> None:
    """Each key has its line with a link to its page; keys that share a line lead to the table of those like it."""
    made = document(CALM)
    assert "break-glass anywhere" in section(made, "who")
    keys = [key(number, f"k{number:02}", "domains:read") for number in range(41)]
    many = document(keyed(*keys))
    assert "41 keys anywhere such as k00, k01 anywhere" in section(many, "who")
    (link,) = [each for each in many.find("a") if each.text == "41 keys"]
    assert link.attributes["href"] == f"/keys?like={key_id(0)}"
    assert document(keyed()).find("section", **{"aria-labelledby": "who"}) == []


def test_what_needs_a_person_soon() -> None:
    """Rules that are broken, waivers that end, change windows and stale keys are there; where none is, that is said."""
    made = document(PLANNED, told=status(NOT_IN_SYNC))
    told = section(made, "soon")
    assert "deny no-wildcard 1 time billing would hold * and could do everything" in told
    assert "owned" not in told
    assert "11 days left waiver of no-wildcard for labels like break-glass until 2026-12-05, agreed by team-sec" in told
    assert "break-glass 633 days old and never used" in told
    assert "newsletter 512 days since it was used" in told
    assert "2 keys have no ip_allow_list in the files" in told
    freeze = ReportedFreeze("black friday", "2026-11-30T00:00:00Z", None, False, Source("p.yaml", 3, 5))
    told = section(document(replace(keyed(), freezes=(freeze,))), "soon")
    assert told == "What needs a person soon Frozen until 2026-11-30 00:00 UTC: black friday p.yaml:3"
    assert "Nothing: no waiver or pause ends within two weeks" in section(document(keyed(key(1, "a"))), "soon")
    over = replace(CALM, waivers=(replace(CALM.waivers[0], until="2026-11-01", owner=""),))
    assert "over waiver of no-wildcard" in section(document(over), "soon")


def test_many_stale_keys_and_findings_are_counted() -> None:
    """Of many stale keys the five longest unused are shown, of a rule that is broken often only how often."""
    keys = [key(number, f"k{number:02}", used=f"2025-01-{number + 1:02}T00:00:00Z") for number in range(9)]
    keys.append(replace(key(20, "unknown"), created_at="?", last_used_at=None))
    found = [finding("r", Severity.WARN, key=f"k{number}", message=f"message {number}") for number in range(6)]
    told = section(document(replace(keyed(*keys), findings=tuple(found))), "soon")
    assert told.endswith(
        "Rules that are broken warn r 6 times Stale keys k00 692 days since it was used k01 691 days since it was used "
        "k02 690 days since it was used k03 689 days since it was used k04 688 days since it was used "
        "9 not used for 90 days, 0 never used"
    )


def test_what_was_not_read_is_told() -> None:
    """Accounts that the last pass could not read stand first, those of many sub accounts once."""
    unlisted = report(account(), broken("s-1", "Shop", "403"), broken(EVERY_SUB_ACCOUNT, None, None))
    made = document(unlisted, told=status(Sync(in_sync=None)))
    told = section(made, "failures")
    assert "Shop s-1: 403" in told
    assert "all sub accounts of a-1: it could not be read" in told
    assert "In what was read nothing differed." in section(made, "differs")
    assert "Shop s-1 not read" in section(made, "accounts")


REVOKED = "listing the keys of account a-2: 401 Unauthorized: invalid API key; was the key revoked?"


def revoked(*, ready: bool) -> Status:
    """How a daemon stands of which the credential of one account was revoked."""
    sub_account = SubAccountReadiness("s-1", READ, ready=True, error=REVOKED)
    below_it = SubAccountsReadiness(3, 0, 2, (sub_account,))
    own = AccountReadiness("a-2", READ, ready=ready, error=REVOKED, sub_accounts=below_it)
    reasons = () if ready else (f"account a-2 was not read since 2026-11-23T09:00:00.424648Z: {REVOKED}",)
    told = status(NOT_IN_SYNC)
    return replace(told, readiness=replace(readiness(*reasons), accounts=(own,)))


@pytest.mark.parametrize("ready", [True, False])
def test_a_credential_that_was_revoked_is_told_once(ready: bool) -> None:
    """Why an account cannot be read stands once, with its sub accounts by name, and no time to the microsecond."""
    accounts = (
        account(change("shop", outcome=Outcome.REFUSED)),
        replace(broken("s-1", "Acme", REVOKED), account_id="a-2"),
        replace(broken("s-2", "Bolt", REVOKED), account_id="a-2"),
        replace(broken("s-3", None, REVOKED), account_id="a-2", sub_account_id=None),
    )
    made = document(report(*accounts, mode=Mode.APPLY), told=revoked(ready=ready))
    assert " ".join(words(made, name) for name in ("header", "main")).count("invalid API key") == 1
    (trouble,) = made.find("section", class_="trouble")
    title = "Not read the last time" if ready else "The daemon is not ready"
    late = "" if ready else ", too long ago"
    assert (
        re.sub(r"\s+", " ", trouble.text)
        .strip()
        .startswith(
            f"{title} a-2: {REVOKED}; last read 2026-11-23 09:00 UTC{late} "
            "Acme s-1: for the same reason; last read 2026-11-23 09:00 UTC and 1 more "
        )
    )
    assert made.find("h2", id="failures") == []
    assert "a-2 not read" in section(made, "accounts")
    assert ("not in sync since" in words(made, "header")) is ready


def test_what_else_could_not_be_read_stands_below() -> None:
    """An account of the last pass that the headline does not tell of is told below, even while it tells of others."""
    unlisted = broken(EVERY_SUB_ACCOUNT, None, "502")
    other = replace(unlisted, account_id="a-2", error="504")
    accounts = (account(), replace(broken("s-1", "Acme", "403"), account_id="a-3"), unlisted)
    made = document(report(*accounts, other, mode=Mode.APPLY), told=revoked(ready=True))
    assert "Acme s-1: 403" in section(made, "failures")
    assert "all sub accounts of a-1: 502" in section(made, "failures")
    assert "all sub accounts of a-2: 504" in section(made, "failures")
    only = document(report(account(), unlisted, mode=Mode.APPLY), told=status(Sync(in_sync=None)))
    assert "a-1 14 keys, nothing differed sub accounts not read" in section(only, "accounts")
    alone = report(replace(account(), status=AccountStatus.FAILED, error="401"), mode=Mode.APPLY)
    assert "a-1 not read" in section(document(alone, told=status(Sync(in_sync=None))), "accounts")


def test_since_when_is_kept_in_every_state_where_it_is_known() -> None:
    """Rejected files leave standing since when the accounts are as the older ones say, and what differs since when."""
    made = document(CALM, told=status(rejected="no"))
    assert "as the older files say since 2026-11-23 08:00 UTC" in words(made, "p", class_="since")
    made = document(PLANNED, told=status(NOT_IN_SYNC, rejected="no"))
    assert words(made, "p", class_="since") == "not in sync since 2026-11-23 09:30 UTC"
    assert document(CALM, told=status(IN_SYNC, LATE)).find("p", class_="since") == []
    assert document(CALM, told=unread("503")).find("p", class_="since") == []
    assert document(report(), told=status(Sync(in_sync=True), passes=0)).find("p", class_="since") == []


def test_broken_rules_lead_to_their_keys() -> None:
    """Each entry of a rule that is broken leads to its key, and names the account where there are several."""
    found = (
        finding("r", Severity.WARN, key_id=key_id(1)),
        finding("r", Severity.WARN, key=None, label=None, sub_account_id="s-1", message="no key of it can send"),
        finding("r", Severity.WARN, key=None, key_id=key_id(2), label="stray", sub_account_id=EVERY_SUB_ACCOUNT),
        finding("r", Severity.WARN, key=None, account_id=None, message="about the run"),
    )
    made = document(replace(report(account(), below("s-1", "Shop"), mode=Mode.APPLY), findings=found))
    told = section(made, "soon")
    assert "ops may do everything ops in a-1 no key of it can send in Shop s-1 ops may do everything stray in" in told
    assert "stray in all sub accounts of a-1 about the run" in told
    assert "about the run" in told
    links = {each.text: each.attributes["href"] for each in made.find("a")}
    assert links["ops"] == f"/accounts/a-1/keys/{key_id(1)}"
    alone = document(replace(report(account(), mode=Mode.APPLY), findings=found[:1]))
    assert section(alone, "soon").endswith("r 1 time ops may do everything ops")


def test_accounts_are_listed_where_there_are_several() -> None:
    """Those stand first that need somebody: not read, held back, differing; from the 13th on they are counted."""
    made = document(PLANNED, told=status(NOT_IN_SYNC))
    told = section(made, "accounts")
    assert told.index("3 held back") < told.index("1 held back") < told.index("Sleepy")
    assert "suspended" in told
    many = [below(f"s-{number:02}", f"Shop {number:02}") for number in range(14)]
    told = section(document(report(*many, mode=Mode.APPLY)), "accounts")
    assert "Shop 11 s-11 3 keys, as the files say" in told
    assert "and 2 more: their parents' pages list them." in told
    doubted = section(document(report(*many, mode=Mode.APPLY), told=status(IN_SYNC, LATE)), "accounts")
    assert "nothing differed" in doubted
    assert "as the files say" not in doubted
    assert document(keyed(key(1, "a"))).find("h2", id="accounts") == []


def test_a_dry_run_says_that_it_only_plans() -> None:
    """At the top and at the foot of the page; a daemon that applies says nothing of the kind."""
    made = document(PLANNED, told=status(NOT_IN_SYNC, mode=Mode.PLAN))
    assert "dry run only plans, writes nothing" in words(made, "header")
    assert "a dry run: it only plans and writes nothing" in words(made, "footer")
    assert "dry run" not in words(document(CALM), "header") + words(document(CALM), "footer")


def pages(made: Report, told: Status) -> list[str]:
    """Give every page that some page leads to, each once."""
    board, found, left = Board(made), {}, ["/"]
    while left:
        path, _, query = left.pop().partition("?")
        text = board.page(told, path, query)
        assert text is not None, path
        found[path] = text
        links = [each.attributes["href"] or "" for each in document(made, path, query, told).find("a")]
        left += [link for link in links if link.startswith("/") and link.partition("?")[0] not in found]
    return list(found.values())


def test_each_page_is_one_whole_document() -> None:
    """Every page that links lead to is there, well-formed, needs no other file, and names each part it speaks of."""
    found = pages(PLANNED, status(NOT_IN_SYNC, LATE, rejected="x", recent=RECENT, mode=Mode.PLAN))
    assert len(found) > 15
    for text in found:
        made = words_of(text)
        assert text.endswith("</html>\n")
        ids = [each.attributes["id"] for each in made.elements if "id" in each.attributes]
        assert len(ids) == len(set(ids))
        assert not any(each.attributes.get("src") or each.attributes.get("style") for each in made.elements)
        assert {each.attributes.get("rel") for each in made.find("link")} == {"icon"}
        assert {
            each.attributes["aria-labelledby"] for each in made.find("section") if "class" not in each.attributes
        } <= {*ids}
        assert {each.attributes["method"] for each in made.find("form")} <= {"get"}


def words_of(text: str) -> Markup:
    return Markup(text)


def test_hostile_labels_are_texts() -> None:
    """A label, a reason or a commit that is markup is seen as what it is, on every page and in every title."""
    evil = "<script>alert(1)</script>\u202e"
    spoilt = tuple(
        replace(each, reason=evil, asked_by=replace(each.asked_by, commit=evil, file=evil) if each.asked_by else None)
        for each in RECENT
    )
    told = status(NOT_IN_SYNC, evil, rejected=evil, recent=spoilt)
    for text in pages(PLANNED, replace(told, schedule=evil, version=evil)):
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
    front = document(PLANNED, told=told)
    assert {visible(label) for label in HOSTILE} <= {each.text for each in front.find("q", class_="text")}


def test_the_policy_allows_its_own_script_and_style_alone() -> None:
    """The policy has the hashes of what is in the page, lets it ask the daemon alone, and be framed by nobody."""
    made = document(CALM)
    for name in ("script", "style"):
        (own,) = made.find(name)
        digest = b64encode(hashlib.sha256(own.text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'; " in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    for rule in (
        "img-src data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert rule in POLICY


def test_without_a_script_it_is_fetched_again() -> None:
    """A browser without scripts fetches the page every half minute; the table of keys less often, for who is typing."""
    assert [each.attributes["content"] for each in document(CALM).find("meta", **{"http-equiv": "refresh"})] == ["30"]
    (slow,) = document(CALM, "/keys").find("meta", **{"http-equiv": "refresh"})
    assert slow.attributes["content"] == "120"


@pytest.mark.parametrize("path", ["/", "/keys", f"/accounts/{ACCOUNT}", f"/accounts/{ACCOUNT}/keys/{key_id(1)}"])
def test_when_it_was_asked_for_changes_nothing_else(path: str) -> None:
    """A page that is asked for later says the same but for that, so that a server may know that it has not changed."""
    told = status(NOT_IN_SYNC, LATE, rejected="no", recent=RECENT)
    configuration = replace(told.readiness.configuration, age_seconds=9.0)
    later = replace(told, as_of="2026-11-25T03:04:05Z", readiness=replace(told.readiness, configuration=configuration))
    first, second = (Board(PLANNED).page(each, path, "") or "" for each in (told, later))
    assert first != second
    second = second.replace("2026-11-25T03:04:05Z", "2026-11-23T10:00:05Z")
    assert first == second.replace("2026-11-25 03:04 UTC", "2026-11-23 10:00 UTC")


def test_the_garbage_collector_is_as_before() -> None:
    """It does not run while a page is made, and afterwards as before, also when there is no page."""
    assert gc.isenabled()
    assert Board(CALM).page(status(), "/", "") is not None
    assert gc.isenabled()
    gc.disable()
    try:
        assert Board(CALM).page(status(), "/nothing", "") is None
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/nothing",
        "//",
        "/keys/",
        "/accounts",
        "/accounts/",
        "/accounts//keys/a",
        "/accounts/a/keys",
        "/accounts/a/b/c/d/e",
        "/accounts/nobody",
    ],
)
def test_there_is_no_other_page(path: str) -> None:
    """What is no address of ours, and an account that nobody knows, has no page."""
    assert Board(CALM).page(status(), path, "") is None


def test_an_address_without_a_page_leads_back() -> None:
    """Where no page is a document says so, in the manner of all, and leads to those that there are."""
    text = Board(PLANNED).missing(status(NOT_IN_SYNC, LATE), "/keys/<b>aha-sk-0123456789abcdef")
    made = Markup(text)
    assert words(made, "h1") == "There is no such page"
    assert "Nothing is shown at /keys/<b>aha-sk-***." in words(made)
    assert {"/", "/keys"} <= {each.attributes["href"] for each in made.find("a")}
    assert "The daemon is not ready" in words(made, "header")
    assert "data-missing" in made.find("html")[0].attributes
    assert "data-missing" not in document(CALM).find("html")[0].attributes
    assert "Nothing is shown" not in Board(None).missing(status(), "")


def test_no_line_number_is_broken() -> None:
    """A place in a file may be broken at its folders, and nowhere in its line number; copied, it is as it was."""
    made = document(PLANNED, told=status(NOT_IN_SYNC))
    assert "config/keys/shop.yaml:14" in {each.text for each in made.find("code", class_="spot")}
    assert {each.text for each in made.find("span", class_="line")} >= {":14", ":22"}


def test_on_a_phone_each_cell_says_what_it_is() -> None:
    """Each cell of the table of keys bears its heading; each line of the matrix has from where in its first cell."""
    made = document(PLANNED, "/keys")
    labels = [each.attributes.get("data-label") for each in made.find("td")]
    assert labels[:6] == ["Account", "In the files", "May", "From", "Last used", "Findings"]
    headings = [each.text for each in made.find("th", scope="col")]
    assert headings == ["Key", *labels[:6]]
    front = document(PLANNED)
    assert len(front.find("span", class_="from-below")) == len(KEYS) + 1
    keys = [key(number, f"k{number:02}", "domains:read", networks=(f"10.0.{number}.0/24",)) for number in range(41)]
    assert "nobody: no public IPv4" in document(keyed(*keys)).find("span", class_="from-below")[0].text
    keys = [key(number, f"k{number:02}", networks=(f"203.0.113.{number}/32",)) for number in range(41)]
    assert document(keyed(*keys)).find("span", class_="from-below")[0].text == "41 different lists"
    keys = [key(number, f"k{number:02}", networks=() if number else ("0.0.0.0/0",)) for number in range(41)]
    assert document(keyed(*keys)).find("span", class_="from-below")[0].text == "anywhere"
