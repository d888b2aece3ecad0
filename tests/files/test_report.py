"""The report's JSON: the shape that scripts build on, its schema, and the way back."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from reconciler.core.changes import AccessChange, Action, Delta, Direction, Fields, ListDiff, Outcome, TextDiff
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import (
    KeyStanding,
    ReportedFreeze,
    ReportedKey,
    ReportedPause,
    ReportedPausedKey,
    ReportedRule,
    ReportedWaiver,
)
from reconciler.core.keys import Source
from reconciler.core.plan import KeyCounts
from reconciler.core.report import (
    SCHEMA,
    AccountStatus,
    ChangedKey,
    KeyEvent,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    Since,
    UnmanagedKey,
    summarize,
)
from reconciler.errors import FilesError
from reconciler.files.report import load_report, report_schema
from reconciler.render.json import render as dump_report

CHANGE = ReportedChange(
    action=Action.UPDATE,
    name="storefront",
    key_id="k-1",
    label="Ladentür",
    source=Source("shop.yaml", 12, 5),
    fields=Fields(scopes=ListDiff(("domains:read", "messages:read:all"), ("domains:read",))),
    access=AccessChange(Direction.NARROW, Delta(revoked=("messages:read:all",)), Delta()),
    outcome=Outcome.PLANNED,
    reason=None,
)
ACCOUNT = ReportedAccount(
    "a-1",
    None,
    AccountStatus.OK,
    None,
    KeyCounts(12, 14, 3, 1),
    (CHANGE,),
    (UnmanagedKey("k-9", "old", ("domains:read",), (), None),),
    inventory=(
        ReportedKey(
            "k-1",
            "Ladentür",
            KeyStanding.MANAGED,
            ("domains:read", "messages:read:all"),
            (),
            "2025-03-01T09:00:00Z",
            "2026-11-23T09:00:00Z",
            "storefront",
            "team-growth",
            ReportedPause("2026-12-24", "migration runs"),
            Source("shop.yaml", 12, 5),
        ),
    ),
)
FINDING = ReportedFinding(
    rule="no-wildcard",
    severity=Severity.DENY,
    account_id="a-1",
    sub_account_id=None,
    key="ops",
    key_id=None,
    label="ops",
    message="ops may do everything",
    hint="list the scopes",
    source=Source("shop.yaml", 3, 5),
    waived=Waiver("2027-01-31", "team-sec", "INC-204"),
)
REFUSAL = ReportedRefusal("max-changes", "a-1", None, None, "9 are more than 5", 5, 9)
REPORT = Report(
    schema=SCHEMA,
    version="0.1.0",
    mode=Mode.PLAN,
    run_id="r-1",
    started_at="2026-11-23T10:00:00Z",
    finished_at="2026-11-23T10:00:01Z",
    digest="sha256:ab",
    policy=None,
    accounts=(ACCOUNT,),
    findings=(FINDING,),
    refusals=(REFUSAL,),
    summary=summarize((ACCOUNT,), (FINDING,)),
    requests=RequestCounts(GET=3),
    since=Since(
        "r-0",
        "2026-11-22T10:00:00Z",
        (),
        (ChangedKey(KeyEvent.CHANGED, "a-1", None, "k-1", "storefront", "Ladentür", CHANGE.fields, CHANGE.access),),
        not_compared=1,
        as_of="2026-11-22T09:00:00Z",
    ),
    as_of="2026-11-23T10:00:00Z",
    rules=(ReportedRule("no-wildcard", Severity.DENY, "no-wildcard", "list the scopes", Source("policy.yaml", 3, 5)),),
    waivers=(ReportedWaiver("no-wildcard", "ops", None, None, "2027-01-31", "team-sec", "INC-204", None),),
    pauses=(
        ReportedPausedKey(
            "a-1", "storefront", "2026-12-24", "migration runs", "team-growth", Source("shop.yaml", 12, 5), False
        ),
    ),
    freezes=(
        ReportedFreeze("year end", "2027-01-03T23:00:00Z", "1111*", allow_quarantine=True, source=None),
        ReportedFreeze("moving", "2026-11-24T00:00:00Z", None, False, Source("policy.yaml", 9, 5)),
    ),
    shard="3/16",
)
DUMPED: dict[str, Any] = {
    "schema": "reconciler/report/v1",
    "version": "0.1.0",
    "mode": "plan",
    "run_id": "r-1",
    "started_at": "2026-11-23T10:00:00Z",
    "finished_at": "2026-11-23T10:00:01Z",
    "digest": "sha256:ab",
    "policy": None,
    "accounts": [
        {
            "account_id": "a-1",
            "sub_account_id": None,
            "status": "ok",
            "error": None,
            "keys": {"desired": 12, "actual": 14, "list_not_managed": 3, "list_open": 1},
            "changes": [
                {
                    "action": "update",
                    "name": "storefront",
                    "key_id": "k-1",
                    "label": "Ladentür",
                    "source": {"file": "shop.yaml", "line": 12, "column": 5},
                    "fields": {
                        "scopes": {"before": ["domains:read", "messages:read:all"], "after": ["domains:read"]},
                    },
                    "access": {
                        "direction": "narrow",
                        "scopes": {"granted": [], "revoked": ["messages:read:all"]},
                        "networks": {"granted": [], "revoked": []},
                    },
                    "outcome": "planned",
                    "reason": None,
                }
            ],
            "unmanaged": [
                {"key_id": "k-9", "label": "old", "scopes": ["domains:read"], "ip_allow_list": [], "last_used_at": None}
            ],
            "sub_account_name": None,
            "inventory": [
                {
                    "key_id": "k-1",
                    "label": "Ladentür",
                    "standing": "managed",
                    "scopes": ["domains:read", "messages:read:all"],
                    "ip_allow_list": [],
                    "created_at": "2025-03-01T09:00:00Z",
                    "last_used_at": "2026-11-23T09:00:00Z",
                    "name": "storefront",
                    "owner": "team-growth",
                    "paused": {"until": "2026-12-24", "reason": "migration runs"},
                    "source": {"file": "shop.yaml", "line": 12, "column": 5},
                }
            ],
        }
    ],
    "findings": [
        {
            "rule": "no-wildcard",
            "severity": "deny",
            "account_id": "a-1",
            "sub_account_id": None,
            "key": "ops",
            "key_id": None,
            "label": "ops",
            "message": "ops may do everything",
            "hint": "list the scopes",
            "source": {"file": "shop.yaml", "line": 3, "column": 5},
            "waived": {"until": "2027-01-31", "owner": "team-sec", "reason": "INC-204"},
            "since": None,
        }
    ],
    "refusals": [
        {
            "guardrail": "max-changes",
            "account_id": "a-1",
            "sub_account_id": None,
            "key_id": None,
            "message": "9 are more than 5",
            "limit": 5,
            "actual": 9,
        }
    ],
    "summary": {
        "update": 1,
        "create": 0,
        "delete": 0,
        "quarantine": 0,
        "restore": 0,
        "unchanged": 11,
        "unmanaged": 1,
        "planned": 1,
        "applied": 0,
        "failed": 0,
        "stale": 0,
        "denied": 0,
        "refused": 0,
        "skipped": 0,
        "paused": 0,
        "findings": {"deny": 0, "warn": 0, "note": 0},
    },
    "requests": {"GET": 3, "PUT": 0, "POST": 0, "DELETE": 0},
    "since": {
        "run_id": "r-0",
        "finished_at": "2026-11-22T10:00:00Z",
        "gone": [],
        "keys": [
            {
                "what": "changed",
                "account_id": "a-1",
                "sub_account_id": None,
                "key_id": "k-1",
                "name": "storefront",
                "label": "Ladentür",
                "fields": {"scopes": {"before": ["domains:read", "messages:read:all"], "after": ["domains:read"]}},
                "access": {
                    "direction": "narrow",
                    "scopes": {"granted": [], "revoked": ["messages:read:all"]},
                    "networks": {"granted": [], "revoked": []},
                },
            }
        ],
        "not_compared": 1,
        "as_of": "2026-11-22T09:00:00Z",
    },
    "as_of": "2026-11-23T10:00:00Z",
    "rules": [
        {
            "rule": "no-wildcard",
            "severity": "deny",
            "checks": "no-wildcard",
            "hint": "list the scopes",
            "source": {"file": "policy.yaml", "line": 3, "column": 5},
            "why": "",
        }
    ],
    "waivers": [
        {
            "rule": "no-wildcard",
            "key": "ops",
            "label": None,
            "account": None,
            "until": "2027-01-31",
            "owner": "team-sec",
            "reason": "INC-204",
            "source": None,
        }
    ],
    "pauses": [
        {
            "account_id": "a-1",
            "name": "storefront",
            "until": "2026-12-24",
            "reason": "migration runs",
            "owner": "team-growth",
            "source": {"file": "shop.yaml", "line": 12, "column": 5},
            "of_sub_accounts": False,
        }
    ],
    "freezes": [
        {
            "reason": "year end",
            "until": "2027-01-03T23:00:00Z",
            "account": "1111*",
            "allow_quarantine": True,
            "source": None,
        },
        {
            "reason": "moving",
            "until": "2026-11-24T00:00:00Z",
            "account": None,
            "allow_quarantine": False,
            "source": {"file": "policy.yaml", "line": 9, "column": 5},
        },
    ],
    "shard": "3/16",
}


def problems(text: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        load_report(text, "r.json")
    return [str(problem) for problem in caught.value.problems]


def test_a_report_is_written_in_this_shape_and_order() -> None:
    """Every field is there, in the order of the documentation, two spaces deep, with letters as they are."""
    assert dump_report(REPORT) == json.dumps(DUMPED, indent=2, ensure_ascii=False) + "\n"


def test_a_report_loads_back_into_the_same_value() -> None:
    """What was written is read as the same value, with its tuples and its words."""
    assert load_report(dump_report(REPORT)) == REPORT


@pytest.mark.parametrize("name", ["Acme East", "", 'a", "b\\', "Zoë\n\x1b[2J\u202e", None])
def test_a_sub_account_and_its_name_load_back(name: str | None) -> None:
    """A sub account comes back with its name, whatever that holds, and suspended if it was."""
    below = ReportedAccount("a-1", "s-1", AccountStatus.SUSPENDED, None, KeyCounts(3), sub_account_name=name)
    report = replace(REPORT, accounts=(ACCOUNT, below))
    text = dump_report(report)
    assert load_report(text) == report
    dumped = json.loads(text)["accounts"][1]
    assert (dumped["sub_account_id"], dumped["sub_account_name"], dumped["status"]) == ("s-1", name, "suspended")
    Draft202012Validator(report_schema()).validate(json.loads(text))


def test_a_report_from_before_sub_accounts_had_names_loads() -> None:
    """Where the name is not there at all, the account has none."""
    document = json.loads(json.dumps(DUMPED))
    del document["accounts"][0]["sub_account_name"]
    assert load_report(json.dumps(document)) == REPORT


def test_a_report_from_before_keys_and_rules_were_told_loads() -> None:
    """Where nothing of this is there at all, keys are not known, none was compared, and no rule or waiver is told."""
    document = json.loads(json.dumps(DUMPED))
    for name in ("as_of", "rules", "waivers", "pauses", "freezes", "shard"):
        del document[name]
    del document["accounts"][0]["inventory"]
    del document["since"]["keys"], document["since"]["not_compared"], document["since"]["as_of"]
    assert load_report(json.dumps(document)) == replace(
        REPORT,
        accounts=(replace(ACCOUNT, inventory=None),),
        since=Since("r-0", "2026-11-22T10:00:00Z", ()),
        as_of=None,
        rules=(),
        waivers=(),
        pauses=(),
        freezes=(),
        shard=None,
    )


@pytest.mark.parametrize("inventory", [None, ()])
def test_an_account_without_keys_is_not_one_whose_keys_are_not_known(inventory: tuple[()] | None) -> None:
    """That an account has no key and that nobody knows its keys are two things, also when read back."""
    report = replace(REPORT, accounts=(replace(ACCOUNT, inventory=inventory),))
    text = dump_report(report)
    assert load_report(text) == report
    assert json.loads(text)["accounts"][0]["inventory"] == (None if inventory is None else [])
    Draft202012Validator(report_schema()).validate(json.loads(text))


def test_a_key_that_is_gone_has_no_fields() -> None:
    """A key that is gone is written with an empty object of fields, and one that appeared with nulls before."""
    gone = ChangedKey(KeyEvent.GONE, "a-1", None, "k-8", None, "old", Fields(), AccessChange())
    appeared = replace(gone, what=KeyEvent.APPEARED, fields=Fields(TextDiff(None, "old"), ListDiff(None, ("*",))))
    report = replace(REPORT, since=Since("r-0", "2026-11-22T10:00:00Z", (), (gone, appeared)))
    text = dump_report(report)
    assert [each["fields"] for each in json.loads(text)["since"]["keys"]] == [
        {},
        {"label": {"before": None, "after": "old"}, "scopes": {"before": None, "after": ["*"]}},
    ]
    assert load_report(text) == report


def test_a_label_of_a_created_key_has_no_before() -> None:
    """A null inside a field stays: the key does not exist yet."""
    fields = Fields(TextDiff(None, "new"), ListDiff(None, ()), ListDiff(None, ()))
    report = replace(REPORT, accounts=(replace(ACCOUNT, changes=(replace(CHANGE, fields=fields),)),))
    dumped = json.loads(dump_report(report))
    assert dumped["accounts"][0]["changes"][0]["fields"]["label"] == {"before": None, "after": "new"}
    assert load_report(dump_report(report)) == report


def test_half_a_character_is_escaped() -> None:
    """A report can always be encoded as UTF-8, even with half of a surrogate pair in it."""
    text = dump_report(replace(REPORT, run_id="a\ud800b"))
    assert '"a\\ud800b"' in text
    assert text.encode()
    assert problems(text)


def test_the_schema_holds_for_what_is_written() -> None:
    """The schema is valid draft 2020-12, and accepts a report as it is written."""
    schema = report_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(dump_report(REPORT)))


@pytest.mark.parametrize(
    "broken",
    [
        {"mode": "guess"},
        {"schema": "reconciler/report/v2"},
        {"accounts": None},
        {"refusals": [{}]},
        {"digest": 7},
        {"rules": None},
        {"waivers": [{"rule": "no-wildcard"}]},
        {"since": {**DUMPED["since"], "keys": [{**DUMPED["since"]["keys"][0], "what": "moved"}]}},
        {"since": {**DUMPED["since"], "not_compared": None}},
        {"accounts": [{**DUMPED["accounts"][0], "inventory": [{"key_id": "k-1"}]}]},
    ],
)
def test_the_schema_and_the_loader_refuse_the_same(broken: dict[str, object]) -> None:
    """What the schema refuses does not load either."""
    document = {**DUMPED, **broken}
    assert not Draft202012Validator(report_schema()).is_valid(document)
    assert problems(json.dumps(document))


def test_what_does_not_load_is_told_with_its_field() -> None:
    """Each problem names the file and the path of the field."""
    document = json.loads(json.dumps(DUMPED))
    document["mode"] = "guess"
    document["refusals"][0]["limit"] = "5"
    assert problems(json.dumps(document)) == [
        "r.json: mode: Input should be 'plan', 'apply' or 'audit'",
        "r.json: refusals[0].limit: Input should be a valid integer",
    ]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "\ud800"])
def test_what_is_no_json_is_a_problem(text: str) -> None:
    """Broken, bottomless and foreign text ends in the one error of files."""
    assert problems(text)


def test_a_newer_report_loads() -> None:
    """Fields that this version does not know are passed over, wherever they stand."""
    assert load_report(json.dumps({**DUMPED, "weather": "fine"})) == REPORT
    document = json.loads(json.dumps(DUMPED))
    document["accounts"][0]["inventory"][0]["mood"] = document["since"]["keys"][0]["mood"] = {"of": ["the", "day"]}
    assert load_report(json.dumps(document)) == REPORT


def test_a_change_without_fields_is_written_so() -> None:
    """A change whose key could not be told has an empty object, not one full of nulls."""
    report = replace(REPORT, accounts=(replace(ACCOUNT, changes=(replace(CHANGE, fields=Fields()),)),))
    assert '"fields": {},' in dump_report(report)
    assert load_report(dump_report(report)) == report


def test_writing_needs_no_pydantic() -> None:
    """Importing the module, as every command does, does not load pydantic."""
    code = "import sys, reconciler.files.report; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
