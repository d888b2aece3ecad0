"""Keys: where they come from, when a pause ends, when two readings of a key mean the same."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from builders import ACCOUNT, NOW, SHOP, SUB_ACCOUNT, networks, remote, scopes, spec
from reconciler.core.keys import AccountRef, Pause, RemoteKey, Source

UNTIL = date(2026, 11, 23)


def test_references_read_as_text() -> None:
    """A place is FILE:LINE:COL, an account its id and its sub account's."""
    assert str(Source("keys.yaml", 3, 5)) == "keys.yaml:3:5"
    assert str(ACCOUNT) == ACCOUNT.account_id
    assert str(SUB_ACCOUNT) == f"{ACCOUNT.account_id}/{SUB_ACCOUNT.sub_account_id}"
    assert AccountRef("a", None, "production").identity == AccountRef("a").identity == ("a", "")


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (datetime(2026, 11, 22, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC), True),
        (datetime(2026, 11, 24, tzinfo=UTC), False),
        (datetime(2026, 11, 24, 1, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 11, 24, 2, tzinfo=timezone(timedelta(hours=2))), False),
        (datetime(2026, 11, 23, 20, tzinfo=timezone(timedelta(hours=-4))), False),
    ],
)
def test_pause_ends_at_midnight_utc(now: datetime, holds: bool) -> None:
    """A pause holds through the whole of its last day in UTC, whatever the zone of the clock."""
    assert Pause("INC-1", UNTIL).holds(now) is holds


def test_pause_for_ever() -> None:
    """The last day of the calendar is a day like any other."""
    assert Pause("for ever", date.max).holds(NOW)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (remote("1", "shop", "messages:send:all"), True),
        (remote("1", "shop", "messages:send:all", SHOP), True),
        (remote("1", "shop", "messages:send:all", at=("203.0.113.0/25", "203.0.113.128/25")), True),
        (remote("1", "shop", "messages:send:all", last_used_at=NOW), True),
        (remote("1", "Shop", "messages:send:all"), False),
        (remote("1", "shop", SHOP), False),
        (remote("1", "shop", "messages:send:all", at=()), False),
    ],
)
def test_same_access(other: RemoteKey, same: bool) -> None:
    """Two readings of a key are the same when label, scopes and list mean the same; the last use decides nothing."""
    assert remote("1", "shop", "messages:send:all").same_access(other) is same


@pytest.mark.parametrize(
    ("texts", "send_only"),
    [
        ((SHOP,), True),
        (("messages:send:all", SHOP), True),
        ((), False),
        ((SHOP, "messages:read:all"), False),
        (("*",), False),
    ],
)
def test_send_only(texts: tuple[str, ...], send_only: bool) -> None:
    """A key that may do nothing but send is an application's; one without scopes is not."""
    assert remote("1", "shop", *texts).send_only is send_only


def test_labels() -> None:
    """A desired key may be called by its label and by every earlier one."""
    assert replace(spec("shop"), was=("old", "older")).labels == ("shop", "old", "older")
    assert spec("shop").scopes == scopes()
    assert spec("shop").ip_allow_list == networks("203.0.113.0/24")
