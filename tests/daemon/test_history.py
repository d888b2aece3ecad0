"""The history of a key: every line about it, whatever it was called, told for people."""

import json
from dataclasses import replace
from pathlib import Path

from daemon.chained import ACCOUNT, KEY, NOON, SHOP, body, opened, sealed
from reconciler.core.changes import Action, Change, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.events import ChangeApplied, ChangeFailed, ChangeSkipped, ChangeStarted, PassFinished, PassStarted
from reconciler.core.keys import AccountRef
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    Mode,
    Report,
    ReportedAccount,
    RequestCounts,
    Summary,
    report_change,
)
from reconciler.daemon.chain import Place
from reconciler.daemon.history import History, Question, look_up, tell
from reconciler.daemon.segments import read_files
from reconciler.daemon.trail import Trail

FENCE = Change(
    account=ACCOUNT,
    action=Action.QUARANTINE,
    name="shop",
    key_id=KEY,
    label="Shop",
    source=SHOP.source,
    fields=Fields(ip_allow_list=ListDiff(("198.51.100.7/32", "203.0.113.0/24"), ("192.0.2.1/32",))),
)


def write(trail: Trail, change: Change) -> None:
    trail(ChangeStarted("run", change))
    trail(ChangeApplied("run", change.ended(Outcome.APPLIED)))


def history(path: Path, key: str, account: str | None = None) -> History:
    return look_up(Question(key, account), read_files([path]), read_files([path]))


def told(path: Path, key: str = "shop") -> str:
    return tell(history(path, key))


def test_a_history_is_told(tmp_path: Path) -> None:
    """Oldest first: when, what, why, who asked, before and after; at the end the list that the key had."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(ChangeSkipped("run", SHOP.ended(Outcome.REFUSED, "hold: incident 7\n  asked for at keys/shop.yaml:12:5")))
        write(trail, SHOP)
        write(trail, FENCE)
    assert told(path) == (
        'shop  "Shop"  key 3c90c3cc-0d44-4b50-8888-8dd25736052a  account 11111111-1111-4111-8111-111111111111\n'
        "  2026-11-23T12:00:00.000Z  update: held back by a guardrail (refused)  (line 2, run run)\n"
        "      why: hold: incident 7 asked for at keys/shop.yaml:12:5\n"
        "      asked for at keys/shop.yaml:12:5\n"
        "      scopes  - messages:read:all\n"
        "  2026-11-23T12:00:00.000Z  update: the write begins  (line 3, run run)\n"
        "      asked for at keys/shop.yaml:12:5\n"
        "      scopes  - messages:read:all\n"
        "  2026-11-23T12:00:00.000Z  update: applied  (line 4, run run)\n"
        "  2026-11-23T12:00:00.000Z  quarantine: the write begins  (line 5, run run)\n"
        "      asked for at keys/shop.yaml:12:5\n"
        "      ip_allow_list  - 198.51.100.7/32\n"
        "      ip_allow_list  - 203.0.113.0/24\n"
        "      ip_allow_list  + 192.0.2.1/32 (fence: switched off)\n"
        "  2026-11-23T12:00:00.000Z  quarantine: applied  (line 6, run run)\n"
        "The list before it was fenced (2026-11-23T12:00:00.000Z): 198.51.100.7/32, 203.0.113.0/24\n"
    )


def test_the_last_list_before_a_fence_counts(tmp_path: Path) -> None:
    """Of several fences the last one tells; an empty list is said as what it is; a fence over a fence tells nothing."""
    path = tmp_path / "trail"
    open_list = replace(FENCE, fields=Fields(ip_allow_list=ListDiff((), ("192.0.2.1/32",))))
    again = replace(FENCE, fields=Fields(ip_allow_list=ListDiff(("192.0.2.1/32",), ("192.0.2.1/32",))))
    with opened(path) as trail:
        write(trail, FENCE)
    with opened(path, now=NOON.replace(hour=13)) as trail:
        write(trail, open_list)
        write(trail, again)
    text = told(path)
    assert text.endswith("The list before it was fenced (2026-11-23T13:00:00.000Z): anywhere (an empty list)\n")
    assert "      ip_allow_list  empty -> 192.0.2.1/32\n" in text


def test_a_fence_that_was_not_sent_tells_no_list(tmp_path: Path) -> None:
    """A quarantine that was held back has fenced nothing."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(ChangeSkipped("run", FENCE.ended(Outcome.REFUSED, "in-use: used today")))
    assert "before it was fenced" not in told(path)


def test_a_write_whose_outcome_is_not_known(tmp_path: Path) -> None:
    """A write that began and has no end in the trail is said to have none, at the end as before a later decision."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(ChangeStarted("run", SHOP))
        trail(PassStarted("next", Mode.APPLY, 2))
        trail(ChangeSkipped("next", SHOP.ended(Outcome.PAUSED, "audit")))
        trail(ChangeStarted("next", SHOP))
    assert told(path).count("how it ended is not in the trail") == 2


def test_several_writes_of_one_change(tmp_path: Path) -> None:
    """A PUT that is sent again is a write of its own, and the end is that of them all."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        trail(ChangeStarted("run", SHOP))
        trail(ChangeStarted("run", SHOP))
        trail(ChangeFailed("run", SHOP.ended(Outcome.FAILED, "503")))
    text = told(path)
    assert "how it ended" not in text
    assert "update: failed  (line 4, run run)\n      why: 503\n" in text


def test_a_key_is_followed_through_its_names(tmp_path: Path) -> None:
    """Asked by name, label or id, the same key is told with all that it was called, and no other one."""
    path = tmp_path / "trail"
    renamed = replace(SHOP, name="store", label="Store", fields=Fields(label=TextDiff("Shop", "Store")))
    other = replace(SHOP, key_id="other", name="other", label="Other")
    with opened(path) as trail:
        write(trail, SHOP)
        write(trail, other)
        write(trail, renamed)
    for called in ("shop", "Shop", "store", "Store", KEY, KEY.upper()):
        found = history(path, called)
        assert [line.seq for line in found.told] == [2, 3, 6, 7]
        assert [json.loads(line)["seq"] for line in found.lines] == [2, 3, 6, 7]
    assert history(path, "Shop").others == {"other", "Other"}
    assert "      label  'Shop' -> 'Store'\n" in told(path)


def test_one_account_can_be_chosen(tmp_path: Path) -> None:
    """Keys of one name in several accounts are told one after the other, or those of one account or sub account."""
    path = tmp_path / "trail"
    below = replace(SHOP, account=AccountRef(ACCOUNT.account_id, "acme"), key_id=None, source=None, name=None)
    with opened(path) as trail:
        write(trail, SHOP)
        trail(ChangeSkipped("run", below.ended(Outcome.SKIPPED)))
    assert len(history(path, "Shop").told) == 3
    assert len(history(path, "Shop", ACCOUNT.account_id.upper()).told) == 3
    assert [line.seq for line in history(path, "Shop", "acme").told] == [4]
    assert history(path, "Shop", "elsewhere").told == []
    text = told(path, "Shop")
    assert f'\n\nunmanaged  "Shop"  no key yet  account {ACCOUNT.account_id}, sub account acme\n' in text
    assert text.endswith("update: held back (skipped)  (line 4, run run)\n      scopes  - messages:read:all\n")


def test_a_dry_run_is_told_as_one(tmp_path: Path) -> None:
    """What a dry run planned was not done, and is not told as if it was; a key that does not exist yet had nothing."""
    path = tmp_path / "trail"
    create = replace(
        SHOP,
        action=Action.CREATE,
        key_id=None,
        fields=Fields(TextDiff(None, "Shop"), ListDiff(None, ("domains:read",))),
    )
    account = ReportedAccount(ACCOUNT.account_id, None, AccountStatus.OK, None, None, (report_change(create),))  # type: ignore[arg-type]
    made = Report(SCHEMA, "0", Mode.PLAN, "run", "t", "t", None, None, (account,), (), (), Summary(), RequestCounts())
    with opened(path) as trail:
        trail(PassStarted("run", Mode.PLAN, 1))
        trail(PassFinished("run", made, 1.0))
    text = told(path)
    assert "create: would be made (a dry run)" in text
    assert "      label  none -> 'Shop'\n      scopes  none -> domains:read\n" in text


def test_lines_that_are_not_understood_are_counted(tmp_path: Path) -> None:
    """A line that was changed, or has another shape, is passed over; the rest is told."""
    path = tmp_path / "trail"
    with opened(path) as trail:
        write(trail, SHOP)
    lines = path.read_bytes().splitlines(keepends=True)
    lines.append(sealed(body(1, "decision", name="shop"))[0])
    places = [(Place("trail", number), line) for number, line in enumerate((*lines, b"what?\n"), 1)]
    found = look_up(Question("shop"), places, places)
    assert (len(found.told), found.unclear) == (2, 2)


def test_a_hostile_label_is_escaped(tmp_path: Path) -> None:
    """What a label, a reason or a file's name holds cannot move a terminal's cursor, and shows no secret."""
    path = tmp_path / "trail"
    bad = "a\n\x1b[31m\u202eb"
    with opened(path) as trail:
        write(trail, replace(SHOP, label=bad, fields=Fields(label=TextDiff(bad, f"{bad} aha-sk-x"))))
        trail(ChangeSkipped("run", replace(SHOP, key_id=None).ended(Outcome.DENIED, bad)))
    text = told(path)
    assert all(line.isprintable() for line in text.splitlines())
    assert "aha-sk-x" not in text


def test_the_commit_is_told(tmp_path: Path) -> None:
    """Who asked is told with the commit, and whether the file was modified since."""
    asked = {"file": "a.yaml", "line": 1, "column": 2, "commit": "c" * 40}
    path = tmp_path / "trail"
    with opened(path) as trail:
        write(trail, SHOP)
    record = json.loads(path.read_bytes().splitlines()[1])
    del record["hash"]
    lines = [sealed({**record, "asked_by": {**asked, "modified": modified}})[0] for modified in (False, True)]
    places = [(Place("trail", number), line) for number, line in enumerate(lines)]
    text = tell(look_up(Question("shop"), places, places))
    assert f"asked for at a.yaml:1:2, commit {'c' * 40}\n" in text
    assert f"asked for at a.yaml:1:2, commit {'c' * 40} (the file was modified)\n" in text
