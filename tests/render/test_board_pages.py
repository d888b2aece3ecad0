"""The pages of single accounts and keys: what the files say, what would change, what became of them."""

from dataclasses import replace

import pytest

from reconciler.core.changes import Outcome
from reconciler.core.findings import Severity
from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.core.report import AccountStatus, Mode, Report
from reconciler.core.status import Status
from reconciler.render.addresses import Address
from reconciler.render.board import Board
from reconciler.render.groups import Owner
from render.boards import CALM, RECENT, created, document, keyed, occurrence, section, words
from render.reports import account, below, broken, change, finding, report
from render.rich import ACCOUNT, ACME, CHANGES, KEYS, PLANNED, key, key_id
from render.statuses import IN_SYNC, NOT_IN_SYNC, status

LATE = status(IN_SYNC, "account a-1 was not read since 2026-11-23T09:40:00Z")
BELOW = f"/accounts/{ACCOUNT}/sub-accounts/{ACME}"


def at(number: int) -> str:
    return f"/accounts/{ACCOUNT}/keys/{key_id(number)}"


def stand(made: Report | None, path: str, told: Status | None = None) -> str:
    """Give what a page says of how its account or key stands."""
    return words(document(made, path, told=told), "div", class_="stand")


def test_a_key_has_a_page_of_its_own() -> None:
    """What the files say, what it may do and from where, what is found, what would change, what became of it."""
    told = status(NOT_IN_SYNC, recent=RECENT)
    made = document(PLANNED, at(1), told=told)
    assert words(made, "title") == ("storefront: Differs \N{MIDDLE DOT} A person must act \N{MIDDLE DOT} AhaSend keys")
    assert words(made, "h1") == "storefront"
    assert section(made, "files") == (
        f"What the files say Name storefront Label storefront Id {key_id(1)} Where config/keys/shop.yaml:14 "
        "Owner team-growth Last asked for config/keys/shop.yaml:14, commit 3f9c2d1e8b7a "
        "May, by the files messages:send:{shop.example.com} From, by the files 198.51.100.0/24 203.0.113.0/24"
    )
    assert section(made, "may").startswith(
        "What it may do now May messages:send:{shop.example.com}suppressions:read "
        "From 203.0.113.0/24 Made 2025-03-01 09:00 UTC Last used 2026-11-24 08:30 UTC"
    )
    assert "update mixed asked for at config/keys/shop.yaml:14, commit 3f9c2d1e8b7a, owner team-growth scopes" in (
        section(made, "change")
    )
    assert "+ 198.51.100.0/24 1 unchanged" in section(made, "change")
    assert words(made, "code", class_="command") == "reconciler trail show --key storefront FILE"
    assert section(made, "findings") == "What the policy finds Nothing."
    assert "updated mixed 2026-11-23 09:30 UTC, asked for at config/keys/shop.yaml:14" in section(made, "history")
    assert "All that is known since 2026-11-23 08:00 UTC" in section(made, "history")
    links = {each.attributes["href"] for each in made.find("a")}
    assert {f"/accounts/{ACCOUNT}", "/keys", f"/keys?like={key_id(1)}"} <= links
    assert "AhaSend keys: A person must act" in words(made, "header")


def test_a_key_that_is_found_wanting() -> None:
    """Findings have their rule, their place and what to do; waived ones by whom and until when; a pause its reason."""
    assert (
        "deny no-wildcard billing would hold * and could do everything config/keys/shop.yaml:22 What to do: list"
        in (section(document(PLANNED, at(3)), "findings"))
    )
    glass = document(PLANNED, at(6))
    assert "waived until 2026-12-05 by team-sec: INC-204" in section(glass, "findings")
    assert "in no file" in section(glass, "files")
    assert "Last used never stale" in section(glass, "may")
    old = document(PLANNED, at(4))
    assert "Paused until 2026-12-24: migration, INC-77" in section(old, "files")
    assert "switched off" in section(old, "may")
    none = keyed(key(1, "none"))
    assert "May nothing" in section(document(none, f"/accounts/a-1/keys/{key_id(1)}"), "may")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.PLANNED, "Differs What is to be changed stands below."),
        (Outcome.FAILED, "Not changed It failed; the next pass tries again."),
        (Outcome.STALE, "Not changed The key had changed meanwhile; the next pass looks again."),
        (Outcome.DENIED, "Held back A rule denies the change: a person must act."),
        (Outcome.REFUSED, "Held back A guardrail refuses the change: a person must act."),
        (Outcome.SKIPPED, "Held back The change was skipped: a person must act."),
        (Outcome.PAUSED, "Paused The files want it left as it is for now."),
        (Outcome.APPLIED, "As the files say Nothing is to be changed."),
    ],
)
def test_how_a_key_stands(outcome: Outcome, said: str) -> None:
    """The first words of a key's page are how its change stands; what was applied is as the files say."""
    own = replace(change("a", scopes=(["domains:read"], []), outcome=outcome), key_id=key_id(1))
    made = keyed(key(1, "a"), changes=(own,))
    assert stand(made, f"/accounts/a-1/keys/{key_id(1)}") == said
    heading = "What was changed in the last pass" if outcome is Outcome.APPLIED else "What would change"
    assert section(document(made, f"/accounts/a-1/keys/{key_id(1)}"), "change").startswith(heading)


def test_keys_of_no_file() -> None:
    """A key that no file names, or that cannot be told, is not called good."""
    assert stand(CALM, at(7)) == "In no file The files know nothing of this key."
    assert stand(CALM, at(8)).startswith("Unclear A file may mean this key")
    assert stand(CALM, at(1)) == "As the files say Nothing is to be changed."


def test_nothing_is_good_while_the_daemon_is_not_well() -> None:
    """While the daemon is in doubt a key, or an account, only was as the files say."""
    assert stand(CALM, at(1), LATE).startswith("Was as the files say So it was in the last pass;")
    assert stand(CALM, BELOW, LATE).startswith("Was in sync So it was in the last pass;")
    assert "The daemon is not ready" in words(document(CALM, at(1), told=LATE), "header")


def test_a_key_that_is_gone_is_told_from_its_history() -> None:
    """A key that the account has no more has its page as long as the history knows it, under its last name."""
    gone = replace(CHANGES[5], key_id=key_id(77), name="bygone")
    told = status(recent=(occurrence(gone),))
    made = document(CALM, at(77), told=told)
    assert words(made, "h1") == "bygone"
    assert words(made, "div", class_="stand").startswith("Gone The account has no such key any more")
    assert f"Id {key_id(77)} Last asked for config/keys/shop.yaml:14" in section(made, "files")
    assert "updated mixed" in section(made, "history")
    assert made.find("h2", id="may") == []
    assert Board(CALM).page(status(), at(77), "") is None
    unnamed = replace(gone, name=None, source=None)
    made = document(CALM, at(77), told=status(recent=(occurrence(unnamed),)))
    assert words(made, "h1") == "storefront"
    assert "Last asked for" not in words(made)
    assert words(document(CALM, at(77), told=status(recent=(occurrence(replace(unnamed, label="")),))), "h1") == key_id(
        77
    )


def test_a_key_of_which_nothing_is_known() -> None:
    """Where its account was not read, or no pass has ended, a key may be there: its page says that it is not known."""
    failed = report(replace(account(name="a-1"), status=AccountStatus.FAILED, error="401"), mode=Mode.APPLY)
    assert stand(failed, "/accounts/a-1/keys/x").startswith("Not known Its account could not be read")
    assert stand(None, "/accounts/a-1/keys/x").startswith("Not known yet")
    assert words(document(None, "/accounts/a-1/keys/x"), "h1") == "x"
    assert section(document(None, "/accounts/a-1/keys/x"), "history").startswith("Its history Nothing became of it.")


def test_the_history_of_a_key_begins_before_it_was_there() -> None:
    """What was said of a key while it had no id is part of its history, in order; of very long ones 200 are shown."""
    new = created("storefront")
    told = status(
        recent=(
            occurrence(CHANGES[5], time="2026-11-23T09:00:00Z"),
            occurrence(new, Outcome.SKIPPED, time="2026-11-23T07:00:00Z"),
            occurrence(created("another"), Outcome.SKIPPED, time="2026-11-23T06:00:00Z"),
        )
    )
    made = document(CALM, at(1), told=told)
    assert [each.text for each in made.find("span", class_="what")] == ["updated", "creation held back: skipped"]
    many = tuple(occurrence(CHANGES[5], Outcome.PLANNED) for _ in range(203))
    made = document(CALM, at(1), told=status(recent=many))
    assert len(made.find("span", class_="what")) == 200
    assert "and 3 earlier." in section(made, "history")
    assert "update planned" in section(made, "history")
    paused = occurrence(CHANGES[5], Outcome.PAUSED)
    assert "update paused" in section(document(CALM, at(1), told=status(recent=(paused,))), "history")


def test_an_account_has_a_page_of_its_own() -> None:
    """Its numbers, what differs in it, keys that do not exist yet among it, its keys, sub accounts and history."""
    made = document(PLANNED, f"/accounts/{ACCOUNT}", told=status(NOT_IN_SYNC, recent=RECENT))
    assert words(made, "h1") == ACCOUNT
    assert words(made, "div", class_="stand") == "A person must act Changes are held back."
    assert words(made, "dl", class_="facts") == "Keys in the files 8 Keys there 14 In no file 8"
    told = section(made, "change")
    assert told.startswith("What differs 12")
    assert (
        "create new-shop widens skipped asked for at config/keys/shop.yaml:40, commit 3f9c2d1e8b7a "
        "there is no such key yet label"
    ) in told
    assert "What to do: list the scopes that it needs" in told
    assert f'href="{at(1)}"' in (Board(PLANNED).page(status(), f"/accounts/{ACCOUNT}", "") or "")
    assert "Keys 14" in section(made, "keys")
    assert "Acme | <b>Inc</b> 1 held back 1 key" in section(made, "below")
    assert "Sleepy suspended" in section(made, "below")
    assert "storefront updated mixed" in section(made, "history")
    assert len(made.find("tr")) == len(KEYS) + 1


def test_a_sub_account_has_one_too() -> None:
    """It goes by its name, leads to its parent, and lists no sub accounts."""
    made = document(PLANNED, BELOW, told=status(NOT_IN_SYNC))
    assert words(made, "h1") == "Acme | <b>Inc</b>"
    assert f"Sub account {ACME}" in words(made)
    assert f"/accounts/{ACCOUNT}" in {each.attributes["href"] for each in made.find("a")}
    assert made.find("h2", id="below") == []
    assert "What became of its keys lately Nothing." in words(made)
    assert "max-changes" in section(made, "change")
    sleepy = document(PLANNED, f"{BELOW[:-1]}d")
    assert words(sleepy, "div", class_="stand") == "Suspended Its keys are left alone."


def test_how_an_account_stands() -> None:
    """An account that was read is in sync or differs; of one that was not, nothing is known; or it is not looked at."""
    assert stand(CALM, BELOW) == "In sync Its own keys are as the files say."
    wide = report(account(change("a", scopes=([], ["*"]))), mode=Mode.APPLY)
    assert stand(wide, "/accounts/a-1") == "Differs Some of its keys are not as the files say."
    failed = report(
        broken("s-1", "Shop", "403: no"), broken(EVERY_SUB_ACCOUNT, None, "502"), account(), mode=Mode.APPLY
    )
    made = document(failed, "/accounts/a-1/sub-accounts/s-1")
    assert words(made, "div", class_="stand") == "Not read Nothing is known of its keys."
    assert "403: no" in words(made)
    assert "Which sub accounts it has is not known: 502" in words(document(failed, "/accounts/a-1"))
    unsaid = report(account(), broken(EVERY_SUB_ACCOUNT, None, None), mode=Mode.APPLY)
    assert stand(unsaid, "/accounts/a-1").startswith("Was in sync So it was in the last pass;")
    assert "not known: the list of sub accounts could not be read" in words(document(unsaid, "/accounts/a-1"))
    assert stand(None, "/accounts/a-9") == "Not known yet No pass has told of it since the daemon began."
    assert stand(CALM, "/accounts/a-1") == "Not looked at The last pass tells of no such account."
    gone = status(recent=(occurrence(CHANGES[5], below="s-9"),))
    assert stand(CALM, f"/accounts/{ACCOUNT}/sub-accounts/s-9", gone).startswith("Not looked at")


def test_findings_about_an_account_stand_there() -> None:
    """What is found about no key, or about one that is not there, is told on the page of its account."""
    found = (
        finding("coverage", Severity.DENY, key=None, label=None, message="no key can send", account_id="a-1"),
        finding("r", Severity.WARN, key="ops", sub_account_id=EVERY_SUB_ACCOUNT, message="of all sub accounts"),
        finding("of-the-run", Severity.WARN, key=None, account_id=None, message="of no account"),
    )
    made = document(replace(report(account(), mode=Mode.APPLY), findings=found), "/accounts/a-1")
    told = section(made, "findings")
    assert "coverage no key can send" in told
    assert "of all sub accounts" in told
    assert "of no account" not in told


def test_large_accounts_are_shown_in_parts() -> None:
    """A hundred keys and a hundred changes are shown with how many more there are; sub accounts a page at a time."""
    keys = [key(number, f"k{number:03}", "domains:read") for number in range(150)]
    changes = tuple(replace(change(one.name, scopes=([], ["*"])), key_id=one.key_id) for one in keys[:120])
    made = document(keyed(*keys, changes=changes), "/accounts/a-1", told=status(NOT_IN_SYNC))
    assert len(made.find("tr")) == 101
    assert section(made, "keys").endswith("The 100 that can do most; all 150")
    assert section(made, "change").endswith("and 20 more.")
    many = report(account(), *(below(f"s-{number:03}", f"Shop {number:03}") for number in range(250)), mode=Mode.APPLY)
    first = document(many, "/accounts/a-1")
    assert "Shop 099" in section(first, "below")
    assert "Shop 100" not in section(first, "below")
    assert words(first, "nav", class_="pages") == "page 1 of 3 next"
    last = document(many, "/accounts/a-1", "page=9")
    assert words(last, "nav", class_="pages") == "before page 3 of 3"
    assert "Shop 249" in section(last, "below")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (Address("a"), "/accounts/a"),
        (Address("a", None, "k"), "/accounts/a/keys/k"),
        (Address("a", "s"), "/accounts/a/sub-accounts/s"),
        (Address("a", "s", "k"), "/accounts/a/sub-accounts/s/keys/k"),
        (Address("keys", "keys", "keys"), "/accounts/keys/sub-accounts/keys/keys/keys"),
    ],
)
def test_an_address_is_a_path(address: Address, path: str) -> None:
    """Each account and each key has its path, and each path leads back."""
    assert str(address) == path
    assert Address.read(path) == address


def test_odd_ids_make_no_odd_paths() -> None:
    """What an id holds beside letters and digits is quoted; what is about all sub accounts is at the parent's."""
    assert (
        str(Address("a b/c?d#e<", "\u00e4", "\ud800")) == "/accounts/a%20b%2Fc%3Fd%23e%3C/sub-accounts/%C3%A4/keys/%3F"
    )
    assert Address.of(Owner("a", EVERY_SUB_ACCOUNT)) == Address("a")


def command(made: Report | None, path: str) -> str:
    return words(document(made, path), "code", class_="command")


def test_the_command_for_the_trail_works_in_any_shell() -> None:
    """A key of no file is looked up by its id, whatever its label holds; a name with blanks would be quoted."""
    assert command(CALM, at(20)) == f"reconciler trail show --key {key_id(20)} FILE"
    assert command(None, "/accounts/a-1/keys/x%20y") == "reconciler trail show --key x%20y FILE"
    assert command(None, "/accounts/a-1/keys/x; y") == "reconciler trail show --key 'x; y' FILE"


def test_what_the_files_ask_for() -> None:
    """What a change asks for is what the files say; without one that is as it is; of a key of no file, nothing."""
    assert "May, by the files what it may do now From, by the files from where it may now" in (
        section(document(CALM, at(1)), "files")
    )
    fenced = section(document(PLANNED, at(4)), "files")
    assert "May, by the files what it may do now From, by the files 203.0.113.0/24" in fenced
    for number in (6, 8):
        assert "by the files" not in section(document(CALM, at(number)), "files")
    own = replace(
        change("a", scopes=(["*"], []), networks=(["10.0.0.0/8"], []), outcome=Outcome.SKIPPED), key_id=key_id(1)
    )
    told = section(document(keyed(key(1, "a", "*"), changes=(own,)), f"/accounts/a-1/keys/{key_id(1)}"), "files")
    assert told.endswith("May, by the files nothing From, by the files anywhere")
    done = replace(own, outcome=Outcome.APPLIED)
    told = section(document(keyed(key(1, "a"), changes=(done,)), f"/accounts/a-1/keys/{key_id(1)}"), "files")
    assert told.endswith("May, by the files what it may do now From, by the files from where it may now")
