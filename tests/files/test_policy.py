"""What policy files mean, and what is said about mistakes in them."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from reconciler.core.guardrails import Limits, Threshold
from reconciler.errors import FilesError
from reconciler.files.policy import LoadedPolicy, load_policy, policy_schema

SCHEMA = Path(__file__).parents[2] / "config" / "schema" / "policy.schema.json"
ONLY = "this version knows guardrails.max_changes, max_switched_off and allow_restore; remove it"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> LoadedPolicy:
    Path("policy.yaml").write_text(text)
    return load_policy([Path("policy.yaml")])


def refused(text: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        load(text)
    return str(caught.value).replace("policy.yaml:", "").split("\n")


@pytest.mark.parametrize(
    ("guardrails", "limits"),
    [
        ("", Limits()),
        ("guardrails: {}", Limits()),
        ("guardrails: {max_changes: {}}", Limits()),
        ("guardrails: {max_changes: {percent: 0}}", Limits(max_changes=Threshold(0, 5))),
        ("guardrails: {max_changes: {at_least: 0}}", Limits(max_changes=Threshold(30, 0))),
        ("guardrails: {max_switched_off: {percent: 100, at_least: 9}}", Limits(max_switched_off=Threshold(100, 9))),
        ("guardrails: {allow_restore: [a, b]}", Limits(allow_restore=("a", "b"))),
    ],
)
def test_what_is_not_said_is_the_default(guardrails: str, limits: Limits) -> None:
    """Each part of the guardrails may be left out, and is then as without a policy."""
    assert load(f"version: 1\n{guardrails}\n").limits == limits


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("guardrails: {}\n", ["1:1: 'version' is missing: the version of this format: 1"]),
        ("version: 2\n", ["1:10: version: 2 is out of range: the limit is 1"]),
        (
            "version: 1\nguardrail: {}\n",
            ["2:1: unknown field 'guardrail': did you mean 'guardrails'?"],
        ),
        (
            "version: 1\nguardrails: {max_change: {}, max_changes: {percnt: 1}}\n",
            [
                "2:14: unknown field 'max_change': did you mean 'max_changes'?",
                "2:44: unknown field 'percnt': did you mean 'percent'?",
            ],
        ),
        (
            "version: 1\nguardrails: {max_changes: {percent: 101, at_least: -1}}\n",
            [
                "2:37: percent: 101 is out of range: the limit is 100",
                "2:52: at_least: -1 is out of range: the limit is 0",
            ],
        ),
        (
            'version: 1\nguardrails: {max_changes: {percent: "30", at_least: 1.5}, max_switched_off: 3}\n',
            [
                '2:37: percent: "30" is text: write a whole number',
                "2:53: at_least: 1.5 is a number: write a whole number",
                "2:77: max_switched_off: 3 is a number: write a mapping, 'field: value' on lines of its own",
            ],
        ),
        ("version: 1\nguardrails: {allow_restore: [1]}\n", ["2:30: allow_restore: 1 is a number: write it in quotes"]),
        ("version: 1\nrules: []\n", [f"2:1: 'rules' is not supported yet: {ONLY}"]),
        ("version: 1\nwaivers: []\n", [f"2:1: 'waivers' is not supported yet: {ONLY}"]),
        ("version: 1\nrequire: []\n", [f"2:1: 'require' is not supported yet: {ONLY}"]),
        (
            "version: 1\nguardrails:\n  allow_widening: true\n  freeze: []\n  max_widened: 1\n  in_use: {}\n",
            [
                f"3:3: 'allow_widening' is not supported yet: {ONLY}",
                f"4:3: 'freeze' is not supported yet: {ONLY}",
                f"5:3: 'max_widened' is not supported yet: {ONLY}",
                f"6:3: 'in_use' is not supported yet: {ONLY}",
            ],
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(text: str, problems: list[str]) -> None:
    """Every mistake is told at its exact place; what only a later version understands is never ignored."""
    assert refused(text) == problems


def test_a_missing_file_is_an_error() -> None:
    """A policy that is not there is an error here; whether it must be there is its caller's affair."""
    with pytest.raises(FilesError, match=r"^gone\.yaml: cannot be read: no such file or directory$"):
        load_policy([Path("gone.yaml")])


def test_the_digest_is_of_what_the_file_says() -> None:
    """Comments, order and layout do not change the digest; any value does."""
    first = load("version: 1\nguardrails: {max_changes: {percent: 1, at_least: 2}}\n").digest
    assert first == load("# why\nguardrails:\n  max_changes: {at_least: 2, percent: 1}\nversion: 1\n").digest
    assert first != load("version: 1\nguardrails: {max_changes: {percent: 1, at_least: 3}}\n").digest
    assert load("version: 1\n").digest == "sha256:2430f1a2ad2982d0067885488a4c89e21ad1d7c83b115ba8f1b20acc88dfaea8"


def test_the_schema_is_the_one_in_the_repository() -> None:
    """The copy that editors use is what this version accepts; it offers no null and describes every field."""
    schema = policy_schema()
    assert SCHEMA.read_text() == json.dumps(schema, indent=2) + "\n"
    assert "null" not in json.dumps(schema)
    for node in (schema, *schema["$defs"].values()):
        assert node["additionalProperties"] is False
        assert all(each["description"] for each in node["properties"].values())
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"version": 1, "guardrails": {"max_changes": {"percent": 30}}})
    assert not validator.is_valid({"version": 1, "rules": []})
