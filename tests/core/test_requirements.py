"""What must keep working: who can do it, who may be the one, and what an audit says when nobody can."""

from dataclasses import replace

import pytest

from builders import ACCOUNT, FENCE, NEWS, NOW, SHOP, SUB_ACCOUNT, below, remote
from core.rulebook import PLACE
from reconciler.core.findings import Finding, Severity
from reconciler.core.keys import EVERY_SUB_ACCOUNT, AccountRef, RemoteKey
from reconciler.core.requirements import KeysOf, Requirement, named, unmet
from reconciler.core.scopes import parse_scope

SENDING = Requirement(parse_scope(SHOP), source=PLACE)
READING = Requirement(parse_scope("domains:read"), source=PLACE)
SENDER, GLOBAL, STAR = remote("1", "a", SHOP), remote("2", "b", "messages:send:all"), remote("3", "c", "*")
OTHER = remote("4", "d", NEWS)
EVERY = AccountRef(ACCOUNT.account_id, EVERY_SUB_ACCOUNT)
LETTERS = AccountRef("abcdef00-0000-4000-8000-000000000000")
LETTERS_BELOW = AccountRef(LETTERS.account_id, "fedcba00-0000-4000-8000-000000000000")
UNREAD = KeysOf(below(9), None)


@pytest.mark.parametrize(
    ("account", "sub_account", "candidate", "concerned"),
    [
        (None, None, ACCOUNT, True),
        (None, None, SUB_ACCOUNT, True),
        (None, None, EVERY, True),
        (ACCOUNT.account_id, None, ACCOUNT, True),
        (ACCOUNT.account_id, None, SUB_ACCOUNT, False),
        (ACCOUNT.account_id, None, EVERY, False),
        ("ABCDEF*", None, LETTERS, True),
        ("abcdef*", None, LETTERS, True),
        ("1111*", None, ACCOUNT, True),
        ("2222*", None, ACCOUNT, False),
        ("2222*", None, SUB_ACCOUNT, False),
        (None, SUB_ACCOUNT.sub_account_id, ACCOUNT, False),
        (None, SUB_ACCOUNT.sub_account_id, SUB_ACCOUNT, True),
        (None, "2222*", SUB_ACCOUNT, True),
        (None, "3333*", SUB_ACCOUNT, False),
        (None, "*", ACCOUNT, False),
        (None, "*", SUB_ACCOUNT, True),
        (None, "2222*", EVERY, True),
        (None, "FEDCBA*", LETTERS_BELOW, True),
        (None, "fedcbb*", LETTERS_BELOW, False),
        ("9999*", "2222*", EVERY, False),
        ("1111*", "2222*", SUB_ACCOUNT, True),
        ("1111*", "2222*", ACCOUNT, False),
        ("2222*", "2222*", SUB_ACCOUNT, False),
    ],
)
def test_whose_keys_may_be_the_one(
    account: str | None, sub_account: str | None, candidate: AccountRef, concerned: bool
) -> None:
    """Any account may have the key, or that of an id, itself and not what is below it; or sub accounts, those alone.

    Where sub accounts could not be listed any of them may be meant; ids are alike in whatever case they are written.
    """
    assert Requirement(parse_scope(SHOP), account, sub_account).concerns(candidate) is concerned


@pytest.mark.parametrize(
    ("key", "able"),
    [
        (SENDER, True),
        (GLOBAL, True),
        (STAR, True),
        (OTHER, False),
        (remote("1", "a"), False),
        (remote("1", "a", SHOP, at=()), True),
        (remote("1", "a", SHOP, at=(FENCE,)), False),
        (remote("1", "a", SHOP, at=("10.0.0.0/8",)), False),
        (remote("1", "a", SHOP, at=("2001:db8::/32",)), False),
        (remote("1", "a", SHOP, at=("10.0.0.0/8", "198.51.100.1")), True),
        (remote("1", "a", SHOP, at=(FENCE, "198.51.100.1")), True),
    ],
)
def test_who_can(key: RemoteKey, able: bool) -> None:
    """A key can do it that covers the scope, is not switched off, and can be reached from the public internet."""
    assert SENDING.met_by(key) is able


@pytest.mark.parametrize(
    ("text", "shown"),
    [(SHOP, "messages:send for shop.example.com"), ("domains:read", "domains:read"), ("api-keys:write",) * 2],
)
def test_what_a_requirement_is_called(text: str, shown: str) -> None:
    """It is called by what can be done, and for which domain."""
    assert str(Requirement(parse_scope(text))) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, ""),
        (1, "'k1' (1)"),
        (5, "'k1' (1), 'k2' (2), 'k3' (3), 'k4' (4), 'k5' (5)"),
        (6, "'k1' (1), 'k2' (2), 'k3' (3), 'k4' (4), 'k5' (5) and 1 more"),
        (9, "'k1' (1), 'k2' (2), 'k3' (3), 'k4' (4), 'k5' (5) and 4 more"),
    ],
)
def test_how_keys_are_named(count: int, shown: str) -> None:
    """Keys are named by label and id, the first five of them."""
    assert named(remote(str(number), f"k{number}") for number in range(1, count + 1)) == shown


def keys_of(*keys: RemoteKey, account: AccountRef = ACCOUNT) -> KeysOf:
    return KeysOf(account, keys)


NOBODY = Finding(
    "coverage",
    Severity.DENY,
    "no key that is in use can do messages:send for shop.example.com, which must keep working",
    "give some key that is in use the scope, or its networks back",
    source=PLACE,
)
NOT_KNOWN = Finding(
    "coverage",
    Severity.WARN,
    "whether any key can do messages:send for shop.example.com is not known: not every account could be read",
    "see which account failed, and why",
    source=PLACE,
)
UNSURE = Finding(
    "coverage",
    Severity.WARN,
    "only keys that reach every domain can do messages:send for shop.example.com, and 2 accounts may have that domain",
    "say with 'account' or 'sub_account' in the requirement which of them has the domain",
    source=PLACE,
)


@pytest.mark.parametrize(
    ("accounts", "finding"),
    [
        ((keys_of(SENDER),), None),
        ((keys_of(OTHER, GLOBAL),), None),
        ((keys_of(STAR),), None),
        ((keys_of(),), NOBODY),
        ((keys_of(OTHER, remote("1", "a", SHOP, at=(FENCE,))),), NOBODY),
        ((keys_of(OTHER), keys_of(OTHER, account=SUB_ACCOUNT)), NOBODY),
        ((keys_of(OTHER), keys_of(SENDER, account=SUB_ACCOUNT)), None),
        ((keys_of(SENDER), UNREAD), None),
        ((keys_of(OTHER), UNREAD), NOT_KNOWN),
        ((UNREAD,), NOT_KNOWN),
        ((keys_of(GLOBAL), keys_of(account=SUB_ACCOUNT)), UNSURE),
        ((keys_of(STAR), UNREAD), UNSURE),
        ((keys_of(STAR, SENDER), keys_of(account=SUB_ACCOUNT)), None),
    ],
)
def test_what_an_audit_says(accounts: tuple[KeysOf, ...], finding: Finding | None) -> None:
    """It denies where nobody can, and warns where that is not known: unread accounts, or domains of any account."""
    assert unmet([SENDING], accounts) == ((finding,) if finding else ())


def test_what_is_for_no_domain_needs_no_account() -> None:
    """A key that can do everything is enough for what is for no domain, however many accounts there are."""
    assert unmet([READING], (keys_of(STAR), keys_of(account=SUB_ACCOUNT))) == ()


def test_an_account_that_nobody_looked_at() -> None:
    """A requirement for an account that is none of those read is a warning, not a denial."""
    elsewhere = Requirement(parse_scope("domains:read"), account="9999*", source=PLACE)
    assert unmet([elsewhere], (keys_of(STAR), UNREAD)) == (
        Finding(
            "coverage",
            Severity.WARN,
            "no account that was looked at is the one for domains:read",
            "correct the account, or remove the requirement",
            source=PLACE,
        ),
    )


def test_keys_of_other_accounts_do_not_count() -> None:
    """Where the account is named only its keys may be the one, and one that reaches every domain is enough."""
    pinned = Requirement(parse_scope(SHOP), sub_account=SUB_ACCOUNT.sub_account_id, source=PLACE)
    assert unmet([pinned], (keys_of(SENDER), keys_of(OTHER, account=SUB_ACCOUNT))) == (NOBODY,)
    assert unmet([pinned], (keys_of(OTHER), keys_of(GLOBAL, account=SUB_ACCOUNT), UNREAD)) == ()


def test_every_requirement_is_told() -> None:
    """Each requirement that does not hold has its finding, in the order of the policy."""
    account = keys_of(OTHER, remote("1", "a", "domains:read", last_used_at=NOW))
    news = Requirement(parse_scope(NEWS))
    suppressing = Requirement(parse_scope("suppressions:read"))
    found = unmet([suppressing, news, READING, SENDING], [account])
    assert [finding.message.partition(",")[0] for finding in found] == [
        "no key that is in use can do suppressions:read",
        "no key that is in use can do messages:send for shop.example.com",
    ]


ELSEWHERE = (LETTERS,)
UNSURE_OF_FOUR = replace(UNSURE, message=UNSURE.message.replace("2 accounts", "4 accounts"))


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        ((keys_of(SENDER),), None),
        ((keys_of(GLOBAL),), UNSURE),
        ((UNREAD,), NOT_KNOWN),
        (
            (keys_of(OTHER),),
            Finding(
                "coverage",
                Severity.WARN,
                "whether any key can do messages:send for shop.example.com is not known: "
                "accounts of other shards may have one, too",
                "say with 'account' in the requirement whose it is",
                source=PLACE,
            ),
        ),
    ],
)
def test_the_accounts_of_other_shards(accounts: tuple[KeysOf, ...], told: Finding | None) -> None:
    """Where an account of another shard may have the key, that none was found here proves nothing."""
    assert unmet([SENDING], accounts, ELSEWHERE) == ((told,) if told else ())


def test_how_many_may_have_it() -> None:
    """All accounts that may have the domain are counted, wherever they are looked at."""
    assert unmet([SENDING], (keys_of(GLOBAL),), (LETTERS, EVERY, below(4))) == (UNSURE_OF_FOUR,)


def test_what_other_shards_judge() -> None:
    """A requirement that is about accounts of other shards alone is their affair; one about none is told as ever."""
    theirs = Requirement(parse_scope(SHOP), LETTERS.account_id, source=PLACE)
    assert unmet([theirs], (keys_of(),), ELSEWHERE) == ()
    assert [finding.severity for finding in unmet([theirs], (keys_of(),))] == [Severity.WARN]
