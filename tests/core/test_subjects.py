"""Keys as rules see them: what is wanted, what there is, and every variable of expressions and messages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from builders import (
    ACCOUNT,
    FENCE,
    LONG_AGO,
    NEWS,
    NOW,
    OFFICE,
    SHOP,
    SUB_ACCOUNT,
    networks,
    plan,
    remote,
    scopes,
    spec,
)
from reconciler.core.changes import Action
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, UnmanagedAction, UnmanagedRule
from reconciler.core.subjects import (
    NEVER,
    Subject,
    actual_subjects,
    in_words,
    planned_subjects,
    shown,
    span,
    unmanaged_subjects,
    values,
)
from reconciler.core.vocabulary import VARIABLES

QUARANTINED = KeyState.QUARANTINED
ABSENT = KeyState.ABSENT
PRESENT = KeyState.PRESENT
YEAR = NOW - LONG_AGO
HOUR = timedelta(hours=1)
LATER = NOW + HOUR


def planned(wanted: KeySpec, *keys: RemoteKey) -> Subject:
    """The one desired key as it will be."""
    (subject,) = planned_subjects(plan((wanted,), keys), NOW)
    return subject


def actual(key: RemoteKey, *specs: KeySpec) -> Subject:
    """The one actual key as it is."""
    (subject,) = actual_subjects(plan(specs, (key,)), NOW)
    return subject


def subject(key: RemoteKey | None = None, wanted: KeySpec | None = None) -> Subject:
    """A key called shop that the files may mean."""
    return Subject(NOW, ACCOUNT, "shop", scopes(), networks(OFFICE), managed=True, spec=wanted, remote=key)


# What is wanted


def test_a_key_that_changes_is_judged_as_it_will_be() -> None:
    """Label and scopes are those of the file, covered ones included; the list is the one that will be set."""
    wanted = spec("shop", "messages:send:all", SHOP, at=("198.51.100.0/24",), label="Shop", was=("old",))
    key = remote("1", "old", NEWS)
    made = planned(wanted, key)
    assert made.change is not None
    assert made == Subject(
        NOW,
        ACCOUNT,
        "Shop",
        scopes("messages:send:all", SHOP),
        networks("198.51.100.0/24"),
        managed=True,
        spec=wanted,
        remote=key,
        change=made.change,
        actual=False,
    )
    assert (made.change.action, made.change.key_id) == (Action.UPDATE, "1")


def test_a_key_in_sync_is_judged_without_a_change() -> None:
    """Nothing is to be done to it, and its list stays as the account writes it."""
    made = planned(spec("shop", SHOP), remote("1", "shop", SHOP, at=("203.0.113.0/25", "203.0.113.128/25")))
    assert (made.change, made.ip_allow_list.networks) == (None, ("203.0.113.0/25", "203.0.113.128/25"))


@pytest.mark.parametrize(
    ("wanted", "keys", "held", "listed"),
    [
        (spec("a", SHOP, at=None), (remote("1", "a", NEWS, at=("10.0.0.0/8",)),), (SHOP,), ("10.0.0.0/8",)),
        (spec("a", SHOP, at=None), (remote("1", "a", SHOP, at=("10.0.0.0/8",)),), (SHOP,), ("10.0.0.0/8",)),
        (spec("a", SHOP, at=()), (remote("1", "a", SHOP),), (SHOP,), ()),
        (spec("a", scopes=None, state=QUARANTINED), (remote("1", "a", NEWS),), (NEWS,), (FENCE,)),
        (spec("a", scopes=None, state=QUARANTINED), (remote("1", "a", NEWS, at=(FENCE,)),), (NEWS,), (FENCE,)),
        (spec("a", SHOP), (remote("1", "a", SHOP, at=(FENCE,)),), (SHOP,), (OFFICE,)),
        (spec("a", SHOP), (), (SHOP,), (OFFICE,)),
        (spec("a", SHOP, at=None), (), (SHOP,), ()),
        (spec("a", SHOP), (remote("1", "a", NEWS, at=()), remote("2", "a", NEWS)), (SHOP,), (OFFICE,)),
        (spec("a", SHOP, at=None), (remote("1", "a", NEWS), remote("2", "a", NEWS)), (SHOP,), ()),
    ],
)
def test_what_the_file_leaves_open(
    wanted: KeySpec, keys: tuple[RemoteKey, ...], held: tuple[str, ...], listed: tuple[str, ...]
) -> None:
    """What a file does not say is as the account has it; where no key is, or none can be told, a list is open."""
    made = planned(wanted, *keys)
    assert (made.scopes.texts, made.ip_allow_list.networks) == (held, listed)


def test_which_keys_are_wanted() -> None:
    """Every desired key is judged once, in the order of names, also one that is unclear or to be made; none to go."""
    specs = (
        spec("d", SHOP),
        spec("c", SHOP, label="twice"),
        spec("b", SHOP, state=ABSENT),
        spec("a", SHOP, state=QUARANTINED),
    )
    keys = (
        remote("1", "a", SHOP),
        remote("2", "b", SHOP),
        remote("3", "twice"),
        remote("4", "twice"),
        remote("5", "x"),
    )
    rule = UnmanagedRule(UnmanagedAction.QUARANTINE)
    made = list(planned_subjects(plan(specs, keys, unmanaged=rule), NOW))
    assert [(each.name, each.id, each.change and each.change.action.value) for each in made] == [
        ("a", "1", "quarantine"),
        ("c", None, "update"),
        ("d", None, "create"),
    ]
    assert {(each.managed, each.actual) for each in made} == {(True, False)}


def test_a_change_of_an_unmanaged_key_is_nobody_elses() -> None:
    """The fence of a key of no file is not taken for a change of a desired key."""
    rule = UnmanagedRule(UnmanagedAction.QUARANTINE)
    made = plan((spec("a", SHOP),), (remote("1", "a", SHOP), remote("2", "b", "domains:read")), unmanaged=rule)
    assert [change.key_id for change in made.changes] == ["2"]
    assert [each.change for each in planned_subjects(made, NOW)] == [None]


# What there is


def test_every_actual_key_is_judged_as_it_is() -> None:
    """An audit sees what the account has, whatever the files want, with what they say of keys that they name."""
    gone = spec("gone", SHOP, state=ABSENT)
    wanted = spec("shop", NEWS, at=(), id="2", label="Shop")
    keys = (remote("1", "gone", SHOP), remote("2", "old", SHOP), remote("3", "Shop"), remote("4", "else", "*"))
    made = tuple(actual_subjects(plan((gone, wanted), keys), NOW))
    assert made == (
        Subject(NOW, ACCOUNT, "gone", scopes(SHOP), networks(OFFICE), managed=True, spec=gone, remote=keys[0]),
        Subject(NOW, ACCOUNT, "old", scopes(SHOP), networks(OFFICE), managed=True, spec=wanted, remote=keys[1]),
        Subject(NOW, ACCOUNT, "Shop", scopes(), networks(OFFICE), managed=True, spec=None, remote=keys[2]),
        Subject(NOW, ACCOUNT, "else", scopes("*"), networks(OFFICE), managed=False, spec=None, remote=keys[3]),
    )
    assert all(each.actual and each.change is None for each in made)


@pytest.mark.parametrize("then", list(UnmanagedAction))
def test_unmanaged_keys(then: UnmanagedAction) -> None:
    """The keys that no file names are given apart, whatever the files want done with them; reserved ones are none."""
    keys = (remote("1", "shop"), remote("2", "shop"), remote("3", "else", "*", at=()))
    made = plan((spec("shop", id="1"),), keys, unmanaged=UnmanagedRule(then))
    assert list(unmanaged_subjects(made, NOW)) == [
        Subject(NOW, ACCOUNT, "else", scopes("*"), networks(), managed=False, remote=keys[2])
    ]


# One key


@pytest.mark.parametrize(
    ("made", "name", "key_id", "title"),
    [
        (planned(spec("shop", label="Shop", id="1"), remote("1", "Shop")), "shop", "1", "shop"),
        (planned(spec("shop", label="Shop", id="1")), "shop", "1", "shop"),
        (planned(spec("shop", label="Shop")), "shop", None, "shop"),
        (actual(remote("1", "it's")), None, "1", '''unmanaged key "it's"'''),
        (subject(remote("1", "it")), None, "1", "'shop'"),
        (subject(), None, None, "'shop'"),
    ],
)
def test_what_it_is_called(made: Subject, name: str | None, key_id: str | None, title: str) -> None:
    """A key goes by its name; without one by its label, and it is said when no file means it."""
    assert (made.name, made.id, made.title) == (name, key_id, title)


@pytest.mark.parametrize(
    ("made", "state", "switched_off"),
    [
        (planned(spec("a"), remote("1", "a")), PRESENT, False),
        (planned(spec("a", state=QUARANTINED), remote("1", "a")), QUARANTINED, True),
        (planned(spec("a", at=None), remote("1", "a", at=(FENCE,))), PRESENT, True),
        (actual(remote("1", "a"), spec("a", state=QUARANTINED)), PRESENT, False),
        (actual(remote("1", "a", at=(FENCE,)), spec("a")), QUARANTINED, True),
        (actual(remote("1", "a"), spec("a", state=ABSENT)), PRESENT, False),
        (actual(remote("1", "a", at=(FENCE,))), QUARANTINED, True),
        (actual(remote("1", "a", at=(FENCE, OFFICE))), PRESENT, False),
        (replace(actual(remote("1", "a", at=(FENCE,))), actual=False), QUARANTINED, True),
    ],
)
def test_state(made: Subject, state: KeyState, switched_off: bool) -> None:
    """A desired key has the state that its file says; what is judged as it is has the one that its list makes."""
    assert (made.state, made.switched_off) == (state, switched_off)


def test_what_only_files_say() -> None:
    """Owner, annotations and place come from the files; a key of no file has none."""
    wanted = spec("shop", owner="team", annotations=(("tier", "1"), ("on-call", "yes")))
    named, unnamed = subject(wanted=wanted), subject(remote("1", "shop"))
    assert (named.owner, named.annotations, named.source) == ("team", {"tier": "1", "on-call": "yes"}, wanted.source)
    assert (unnamed.owner, unnamed.annotations, unnamed.source) == ("", {}, None)


@pytest.mark.parametrize(
    ("made", "age", "last_used_at", "idle"),
    [
        (subject(remote("1", "a")), YEAR, None, YEAR),
        (subject(remote("1", "a", last_used_at=NOW - HOUR)), YEAR, NOW - HOUR, HOUR),
        (subject(remote("1", "a", last_used_at=LATER)), YEAR, LATER, timedelta()),
        (subject(remote("1", "a", created_at=LATER)), timedelta(), None, timedelta()),
        (subject(remote("1", "a", created_at=NOW)), timedelta(), None, timedelta()),
        (subject(), timedelta(), None, timedelta()),
    ],
)
def test_age_and_use(made: Subject, age: timedelta, last_used_at: datetime | None, idle: timedelta) -> None:
    """A key is idle since its last use, or since it was made; a clock that is behind makes nothing negative."""
    assert (made.age, made.last_used_at, made.idle) == (age, last_used_at, idle)


# Values for expressions and messages


def test_the_variables_of_a_key_that_changes() -> None:
    """Every variable has the words of the files and of the API, and a change tells scopes before networks."""
    wanted = spec(
        "shop",
        SHOP,
        at=("198.51.100.0/24",),
        label="Shop",
        was=("old",),
        roles=("sender",),
        domains=("shop.example.com",),
        owner="team",
        annotations=(("tier", "1"),),
    )
    made = planned(wanted, remote("1", "old", NEWS, last_used_at=NOW - HOUR))
    assert values(replace(made, account=SUB_ACCOUNT), VARIABLES) == {
        "key.name": "shop",
        "key.label": "Shop",
        "key.id": "1",
        "key.scopes": [SHOP],
        "key.roles": ["sender"],
        "key.domains": ["shop.example.com"],
        "key.ip_allow_list": ["198.51.100.0/24"],
        "key.list_managed": True,
        "key.owner": "team",
        "key.state": "present",
        "key.managed": True,
        "key.annotations": {"tier": "1"},
        "key.created_at": LONG_AGO,
        "key.age": YEAR,
        "key.never_used": False,
        "key.last_used_at": NOW - HOUR,
        "key.idle": HOUR,
        "key.account": SUB_ACCOUNT.account_id,
        "key.sub_account": SUB_ACCOUNT.sub_account_id,
        "change.action": "update",
        "change.granted": [SHOP, "198.51.100.0/24"],
        "change.revoked": [NEWS, OFFICE],
        "change.direction": "mixed",
        "now": NOW,
    }


def test_the_variables_of_a_key_that_nothing_is_said_of() -> None:
    """No variable is ever null: what is not there is empty, and a use that never was is long ago."""
    made = Subject(NOW, ACCOUNT, "", scopes(), networks(), managed=False)
    assert values(made, VARIABLES) == {
        "key.name": "",
        "key.label": "",
        "key.id": "",
        "key.scopes": [],
        "key.roles": [],
        "key.domains": [],
        "key.ip_allow_list": [],
        "key.list_managed": False,
        "key.owner": "",
        "key.state": "present",
        "key.managed": False,
        "key.annotations": {},
        "key.created_at": NOW,
        "key.age": timedelta(),
        "key.never_used": True,
        "key.last_used_at": NEVER,
        "key.idle": timedelta(),
        "key.account": ACCOUNT.account_id,
        "key.sub_account": "",
        "change.action": "",
        "change.granted": [],
        "change.revoked": [],
        "change.direction": "",
        "now": NOW,
    }
    assert datetime(1970, 1, 1, tzinfo=UTC) == NEVER


@pytest.mark.parametrize(("at", "managed"), [(None, False), ((), True), ((OFFICE,), True)])
def test_list_managed(at: tuple[str, ...] | None, managed: bool) -> None:
    """A list is managed when a file says one, be it empty."""
    assert values(planned(spec("a", at=at)), ["key.list_managed"]) == {"key.list_managed": managed}


def test_only_what_is_asked_for_is_given() -> None:
    """A rule pays for the variables that it names, and no others."""
    assert values(subject(), ["key.label", "now"]) == {"key.label": "shop", "now": NOW}
    assert values(subject(), ()) == {}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (False, "false"),
        (datetime(2026, 11, 23, 1, 30, 59, tzinfo=timezone(timedelta(hours=2))), "2026-11-22 23:30 UTC"),
        (timedelta(days=3), "3 days"),
        (["b", "a"], "b, a"),
        ([], "none"),
        ({"tier": "1", "on-call": "yes"}, "on-call: yes, tier: 1"),
        ({}, "none"),
        ("Shop", "Shop"),
        ("", ""),
        (1, "1"),
    ],
)
def test_in_words(value: object, words: str) -> None:
    """Values stand in messages as a person writes them: times in UTC, lists in their order, mappings by name."""
    assert in_words(value) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "less than a minute"),
        (timedelta(seconds=59, microseconds=999999), "less than a minute"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(seconds=119), "1 minute"),
        (timedelta(minutes=2), "2 minutes"),
        (timedelta(minutes=119, seconds=59), "119 minutes"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=47, minutes=59, seconds=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=364, hours=23), "364 days"),
        (timedelta(days=-3), "less than a minute"),
    ],
)
def test_span(length: timedelta, words: str) -> None:
    """A length is told in the largest unit of which it holds two, rounded down, down to one minute."""
    assert span(length) == words


@pytest.mark.parametrize("candidates", [0, 2])
def test_a_quarantined_key_is_switched_off_whatever_it_means(candidates: int) -> None:
    """A key that is to be quarantined lets nobody in, also where no actual key is meant, or several could be."""
    keys = tuple(remote(str(n), "a", SHOP, at=()) for n in range(candidates))
    (subject,) = planned_subjects(plan((spec("a", SHOP, at=(), state=KeyState.QUARANTINED),), keys), NOW)
    assert subject.switched_off
    assert subject.state is KeyState.QUARANTINED


def test_an_allow_list_in_words() -> None:
    """An open list is told as what it means; one that is closed, as what is in it."""
    made = Subject(NOW, ACCOUNT, "", scopes(), networks(), managed=False)
    assert shown(made, ["key.ip_allow_list"]) == {"key.ip_allow_list": "anywhere"}
    assert shown(made, ["key.name"]) == {"key.name": in_words("")}
    closed = replace(made, ip_allow_list=networks(OFFICE))
    assert shown(closed, ["key.ip_allow_list"]) == {"key.ip_allow_list": OFFICE}
