"""What became of keys since an earlier report, at a terminal and in the last line."""

import re
from dataclasses import replace

import pytest

from reconciler.core.changes import Fields, ListDiff, TextDiff, access_change
from reconciler.core.networks import FENCED, AllowList
from reconciler.core.plan import KeyCounts
from reconciler.core.report import ChangedKey, KeyEvent, Mode, Report, ReportedAccount, Since
from reconciler.core.scopes import ScopeSet
from reconciler.render.terminal import Style, render
from reconciler.render.words import summary
from render.reports import account, below, failed, report
from render.rich import AUDITED

OFFICE = ["203.0.113.0/24"]
NOTHING = ScopeSet(())


def appeared(number: int, scopes: list[str], networks: list[str], *, name: str | None = None) -> ChangedKey:
    new, allowed = ScopeSet.parse(scopes), AllowList.parse(networks)
    label = name or f"key {number}"
    fields = Fields(TextDiff(None, label), ListDiff(None, new.texts), ListDiff(None, allowed.networks))
    access = access_change((NOTHING, new), (FENCED, allowed))
    return ChangedKey(KeyEvent.APPEARED, "a-1", None, f"k-{number}", name, label, fields, access)


def gone(number: int, scopes: list[str], networks: list[str], *, label: str = "old") -> ChangedKey:
    access = access_change((ScopeSet.parse(scopes), NOTHING), (AllowList.parse(networks), FENCED))
    return ChangedKey(KeyEvent.GONE, "a-1", None, f"k-{number}", None, label, Fields(), access)


def changed(
    name: str,
    *,
    scopes: tuple[list[str], list[str]] | None = None,
    networks: tuple[list[str], list[str]] | None = None,
    label: str | None = None,
) -> ChangedKey:
    """Build a key that has other scopes, another list or, of ``label``, another label."""
    old, new = (ScopeSet.parse(texts) for texts in scopes or ((), ()))
    before, after = (AllowList.parse(texts) for texts in networks or ((), ()))
    fields = Fields(
        TextDiff(label, name) if label is not None else None,
        ListDiff(old.texts, new.texts) if scopes else None,
        ListDiff(before.networks, after.networks) if networks else None,
    )
    access = access_change((old, new), (before, after) if networks else None)
    return ChangedKey(KeyEvent.CHANGED, "a-1", None, f"k-{name}", name, name, fields, access)


def audited(*keys: ChangedKey, accounts: tuple[ReportedAccount, ...] = (), not_compared: int = 0) -> Report:
    """An audit of one account, or of ``accounts``, compared with one of Monday."""
    made = report(*(accounts or (account(keys=KeyCounts(2, 3)),)), mode=Mode.AUDIT)
    return replace(made, since=Since("r-1", "2026-11-23T10:00:01Z", (), keys, not_compared))


def told(made: Report, width: int = 80) -> str:
    return render(made, style=Style(colour=False, width=width))


KEYS = (
    changed("analytics", label='Ana"lytics'),
    gone(7, ["messages:send:all"], OFFICE, label="st\x1bray"),
    changed("billing", networks=([], OFFICE)),
    changed("mover", scopes=(["domains:read", "routes:read:all"], ["domains:read", "webhooks:read:all"])),
    appeared(8, ["*"], []),
    changed("news", scopes=(["messages:send:all", "domains:read"], ["*"]), networks=(OFFICE, ["192.0.2.1"])),
    appeared(9, ["domains:read"], ["192.0.2.1"], name="fenced"),
    changed("shop", scopes=(["domains:read"], ["domains:read", "routes:read:all"]), networks=(OFFICE, [])),
)
GOLDEN = """\
Keys, since then

  + appeared  unmanaged key  "key 8"      widens
      key k-8
      scopes    + *
      networks  + anywhere

  + appeared  fenced                      widens
      key k-9
      scopes    + domains:read
      networks  + 192.0.2.1/32  (fence: switched off)

  ~ changed   shop                        widens
      key k-shop
      scopes    + routes:read:all
                  1 unchanged
      networks  - 203.0.113.0/24
                + anywhere

  ~ changed   mover                       mixed
      key k-mover
      scopes    - routes:read:all
                + webhooks:read:all
                  1 unchanged

  ~ changed   news                        mixed
      key k-news
      scopes    - domains:read  (still covered)
                - messages:send:all  (still covered)
                + *
      networks  - 203.0.113.0/24
                + 192.0.2.1/32  (fence: switched off)

  - gone      unmanaged key  "st\\x1bray"  narrows
      key k-7
      revokes   messages:send:all; use from 203.0.113.0/24

  ~ changed   billing                     narrows
      key k-billing
      networks  - anywhere
                + 203.0.113.0/24

  ~ changed   analytics                   same access
      key k-analytics
      label     "Ana\\"lytics" -> "analytics"

  1 account not compared: only one of the two reports has its keys

Audit: nothing found in 3 keys; since 2026-11-23: 0 new, 0 still open, 0 gone;
keys: 2 appeared, 1 gone, 5 changed.
"""


def test_what_became_of_keys_reads_like_this() -> None:
    """What gives more comes first, then what moves, takes and only renames; each with its lines as a change has."""
    assert told(audited(*KEYS, not_compared=1)) == GOLDEN


def test_nothing_is_said_where_nothing_became_of_them() -> None:
    """Without a key that is another one there is no section, and no count in the last line."""
    assert told(audited()) == ("Audit: nothing found in 3 keys; since 2026-11-23: 0 new, 0 still open, 0 gone.\n")
    assert summary(audited(KEYS[1])).endswith("0 gone; keys: 1 gone.")


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "1 account not compared: only one of the two reports has its keys"),
        (12, "12 accounts not compared: only one of the two reports has their keys"),
    ],
)
def test_what_could_not_be_compared_is_one_line(count: int, line: str) -> None:
    """How many accounts only one of the reports has read is said also where no key is another one."""
    assert told(audited(not_compared=count)).startswith(f"Keys, since then\n  {line}\n\nAudit: ")


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, "and 1 more"), (150, "and 130 more")])
def test_not_all_keys_are_shown(count: int, more: str) -> None:
    """After twenty the rest is counted; those that gain access are among the first, wherever they stand."""
    keys = [gone(number, ["domains:read"], []) for number in range(count - 1)]
    text = told(audited(*keys, appeared(count, ["*"], [])))
    assert text.count("      key k-") == min(count, 20)
    assert text.splitlines()[2] == f'  + appeared  unmanaged key  "key {count}"  widens'
    assert (f"\n\n  {more}, all of them in -o json\n\n" in text) is bool(more)


def test_the_account_of_a_key_is_told_where_there_are_several() -> None:
    """Whose the keys are stands once below the heading where that is the same for all, else with each."""
    two = (account(), failed("403"))
    key, other = KEYS[0], replace(KEYS[2], account_id="a-2")
    assert "Keys, since then\n  account a-1\n\n  - gone" in told(audited(key, KEYS[1], accounts=two))
    text = told(audited(key, other, accounts=two))
    assert "Keys, since then\n\n" in text
    assert re.findall("      of        (.*)\n", text) == ["account a-2", "account a-1"]
    assert "account" not in told(audited(key)).partition("Audit")[0]


def test_what_sub_accounts_share_is_told_once() -> None:
    """The same key that appeared in many sub accounts is one block that lists them; a key of one names that one."""
    shops = tuple(below(f"s-{number}", f"Shop {number}") for number in range(30))
    keys = [
        replace(appeared(1, ["domains:read"], []), sub_account_id=f"s-{number}", key_id=f"k-{number}")
        for number in range(29)
    ]
    text = told(audited(*keys, replace(KEYS[2], sub_account_id="s-29"), accounts=(account(), *shops)))
    assert text.count("appeared  ") == text.count("      key k-") == 1
    assert (
        "      networks  + anywhere\n"
        '      in        "Shop 0", "Shop 1", "Shop 10", "Shop 11", "Shop 12", "Shop 13",\n'
        '                "Shop 14", "Shop 15", "Shop 16", "Shop 17" and 19 more\n'
    ) in text
    assert '                + 203.0.113.0/24\n      of        sub account "Shop 29" (s-29) of account a-1\n' in text
    assert summary(audited(*keys)).endswith("keys: 29 appeared.")


def test_what_is_not_shown_counts_each_sub_account() -> None:
    """What several sub accounts share counts for each of them among those that are not shown."""
    shops = tuple(below(f"s-{number}", f"Shop {number}") for number in range(2))
    keys = [appeared(number, ["domains:read"], []) for number in range(20)]
    keys += [replace(gone(1, ["domains:read"], []), sub_account_id=f"s-{number}") for number in range(2)]
    assert "  and 2 more, all of them in -o json\n" in told(audited(*keys, accounts=(account(), *shops)))


@pytest.mark.parametrize("width", [0, 40, 80, 200])
def test_nothing_that_a_terminal_obeys_gets_through(width: int) -> None:
    """Labels, ids and times of either report come out escaped, and colours only repeat what is said."""
    evil = "\x1b[2J\u202e\n"
    since = AUDITED.since
    assert since is not None
    keys = tuple(replace(key, label=evil, key_id=evil, sub_account_id=evil) for key in since.keys)
    made = replace(AUDITED, since=replace(since, keys=keys, finished_at=evil))
    plain = told(made, width)
    assert [letter for letter in plain if not letter.isprintable() and letter != "\n"] == []
    coloured = render(made, style=Style(colour=True, width=width))
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain
