"""The JSON Schema of policy files, for editors: it accepts what the loader accepts, and says what each field is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from reconciler.errors import FilesError
from reconciler.files.document import parse
from reconciler.files.policy import load_policy, policy_schema
from reconciler.files.rule_entries import BUILTINS

SCHEMA = Path(__file__).parents[2] / "config" / "schema" / "policy.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())
WAIVER = "rules: [{id: r, severity: deny, uses: no-wildcard}]\nwaivers: [{rule: r, until: 2027-01-31, reason: x, "


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loads(text: str) -> bool:
    Path("policy.yaml").write_text(text)
    try:
        load_policy([Path("policy.yaml")])
    except FilesError:
        return False
    return True


def is_valid(text: str) -> bool:
    valid: bool = VALIDATOR.is_valid(parse(text, "policy.yaml"))
    return valid


def rule(text: str) -> str:
    return f"rules: [{{id: r, severity: deny, {text}}}]"


GOOD = [
    "",
    "guardrails: {}",
    "guardrails: {max_changes: {percent: 0, at_least: 0}, max_switched_off: {percent: 100}, max_widened: {}}",
    "guardrails: {allow_widening: true, allow_restore: []}",
    "guardrails: {allow_widening: false, allow_restore: [a]}",
    "guardrails: {allow_widening: [a]}",
    "guardrails: {in_use: {within: 15m}}",
    "guardrails: {in_use: {within: 1d, narrowing: true, allow: [a]}}",
    "rules: []\nwaivers: []\nrequire: []",
    rule("uses: no-wildcard"),
    rule("uses: no-wildcard, with: {}, message: '{key.name}', hint: h, then: quarantine, match: {managed: false}"),
    rule("when: key.managed, message: m, hint: h, then: quarantine"),
    rule("uses: no-wildcard, match: {owner: a, label: b, account: c, sub_account: d, annotations: {e: f}}"),
    rule("uses: no-global-where-domain-would-do, with: {scopes: [a]}"),
    rule("uses: redundant-scopes"),
    rule("uses: max-scopes, with: {most: 0}"),
    rule("uses: forbidden-scopes, with: {scopes: [a, b]}"),
    rule("uses: require-ip-allow-list"),
    rule("uses: widest-network, with: {ipv4: 1}"),
    rule("uses: widest-network, with: {ipv4: 32, ipv6: 128}"),
    rule("uses: unreachable-list"),
    rule("uses: label-pattern, with: {patterns: [a]}"),
    rule("uses: require-owner, with: {owners: [a]}"),
    rule("uses: separate-duties, with: {sets: {a: [b], c: [d]}}"),
    rule("uses: unused-for, with: {for: 900s}"),
    rule("uses: never-used, with: {after: 999999d}"),
    rule("uses: older-than, with: {age: 1m}"),
    rule("uses: unmanaged-key, with: {except: []}"),
    rule("uses: duplicate-label"),
    rule("uses: identical-access"),
    rule("uses: can-manage-keys, with: {except: [a]}"),
    f"{WAIVER} owner: o, key: a}}]",
    f"{WAIVER} owner: o, label: a, account: b}}]",
    "require: [{can: domains:read}, {can: messages:send, domain: a.org, account: b, sub_account: c}]",
    "freeze: []",
    "freeze: [{cron: '0 18 * * fri', for: 62h, reason: r, time_zone: Europe/Berlin, allow_quarantine: true}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20, reason: r, account: a}, {cron: '0 * * * *', for: 1m, reason: r}]",
]

BAD = [
    "zzz: 1",
    "rules: {}",
    "rules: [a]",
    "guardrails: []",
    "guardrails: {freeze: []}",
    "guardrails: {max_changes: 3}",
    "guardrails: {max_changes: {percent: -1}}",
    "guardrails: {max_changes: {percent: 101}}",
    "guardrails: {max_changes: {percent: '1'}}",
    "guardrails: {max_changes: {percent: 1.5}}",
    "guardrails: {max_changes: {percent: true}}",
    "guardrails: {max_widened: {at_least: -1}}",
    "guardrails: {max_switched_off: {most: 1}}",
    "guardrails: {allow_widening: maybe}",
    "guardrails: {allow_widening: [1]}",
    "guardrails: {allow_widening: ['']}",
    "guardrails: {allow_widening: [a, '']}",
    "guardrails: {allow_restore: true}",
    "guardrails: {allow_restore: a}",
    "guardrails: {in_use: {}}",
    "guardrails: {in_use: {within: 15}}",
    "guardrails: {in_use: {within: 1w}}",
    "guardrails: {in_use: {within: 1d, narrowing: 1}}",
    "guardrails: {in_use: {within: 1d, allow: ['']}}",
    "rules: [{severity: deny, uses: no-wildcard}]",
    "rules: [{id: r, uses: no-wildcard}]",
    "rules: [{id: R, severity: deny, uses: no-wildcard}]",
    "rules: [{id: '', severity: deny, uses: no-wildcard}]",
    f"rules: [{{id: {'a' * 64}, severity: deny, uses: no-wildcard}}]",
    "rules: [{id: r, severity: error, uses: no-wildcard}]",
    rule("hint: h"),
    rule("when: key.managed"),
    rule("when: '', message: m"),
    rule("when: true, message: m"),
    rule("when: key.managed, message: m, uses: no-wildcard"),
    rule("when: key.managed, uses: no-wildcard"),
    rule("when: key.managed, message: m, with: {}"),
    rule("when: key.managed, message: m, with: {most: 1}"),
    rule("when: key.managed, message: m, uses: max-scopes, with: {most: 1}"),
    rule("message: m, with: {most: 1}"),
    rule("uses: no-wildcards"),
    rule("uses: no-wildcard, then: delete"),
    rule("uses: no-wildcard, message: ''"),
    rule("uses: no-wildcard, hint: ''"),
    rule("uses: no-wildcard, match: a"),
    rule("uses: no-wildcard, match: {name: a}"),
    rule("uses: no-wildcard, match: {label: ''}"),
    rule("uses: no-wildcard, match: {managed: 1}"),
    rule("uses: no-wildcard, match: {annotations: {a: 1}}"),
    rule("uses: no-wildcard, with: {scopes: [a]}"),
    rule("uses: no-wildcard, with: []"),
    rule("uses: max-scopes"),
    rule("uses: max-scopes, with: {}"),
    rule("uses: max-scopes, with: {most: -1}"),
    rule("uses: max-scopes, with: {least: 1}"),
    rule("uses: forbidden-scopes"),
    rule("uses: forbidden-scopes, with: {scopes: []}"),
    rule("uses: require-ip-allow-list, with: {scopes: ['']}"),
    rule("uses: widest-network"),
    rule("uses: widest-network, with: {}"),
    rule("uses: widest-network, with: {ipv4: 0}"),
    rule("uses: widest-network, with: {ipv4: 33}"),
    rule("uses: widest-network, with: {ipv6: 0}"),
    rule("uses: widest-network, with: {ipv6: 129}"),
    rule("uses: label-pattern"),
    rule("uses: label-pattern, with: {patterns: []}"),
    rule("uses: require-owner, with: {owners: []}"),
    rule("uses: separate-duties"),
    rule("uses: separate-duties, with: {sets: {a: [b]}}"),
    rule("uses: separate-duties, with: {sets: {a: [b], c: []}}"),
    rule("uses: unused-for"),
    rule("uses: unused-for, with: {length: 1d}"),
    rule("uses: unused-for, with: {for: 1}"),
    rule("uses: never-used, with: {after: 1000000d}"),
    rule("uses: older-than, with: {}"),
    rule("uses: unmanaged-key, with: {exceptions: [a]}"),
    rule("uses: can-manage-keys, with: {except: a}"),
    f"{WAIVER} owner: o}}]",
    f"{WAIVER} owner: o, key: a, label: b}}]",
    f"{WAIVER} key: a}}]",
    f"{WAIVER} owner: '', key: a}}]",
    f"{WAIVER} owner: o, key: ''}}]",
    f"{WAIVER} owner: o, key: a, ticket: b}}]",
    f"{WAIVER.replace('2027-01-31', 'soon')} owner: o, key: a}}]",
    "freeze: {}",
    "freeze: [a]",
    "freeze: [{reason: r}]",
    "freeze: [{cron: '* * * * *', reason: r}]",
    "freeze: [{for: 1h, reason: r}]",
    "freeze: [{from: 2026-12-20, reason: r}]",
    "freeze: [{until: 2026-12-20, reason: r}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20, reason: ''}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20, reason: r, for: 1h}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20, reason: r, cron: '* * * * *', for: 1h}]",
    "freeze: [{from: soon, until: 2026-12-20, reason: r}]",
    "freeze: [{cron: '* * * * *', for: 1w, reason: r}]",
    "freeze: [{cron: '* * * * *', for: 1h, reason: r, allow_quarantine: 1}]",
    "freeze: [{cron: '* * * * *', length: 1h, reason: r}]",
    "require: [{}]",
    "require: [{domain: a.org}]",
    "require: [{can: ''}]",
    "require: [{can: domains:read, domains: []}]",
]

BEYOND = [
    "guardrails: {in_use: {within: 14m}}",
    rule("when: key.nme == '', message: m"),
    rule("when: key.managed, message: '{key.nme}'"),
    rule("uses: forbidden-scopes, with: {scopes: [mesages:send:all]}"),
    rule("uses: unused-for, with: {for: 899s}"),
    rule("uses: never-used, with: {after: 14m}"),
    rule("uses: no-wildcard, hint: 'rotate {key.name}'"),
    rule("uses: duplicate-label, then: quarantine"),
    rule("uses: require-owner, then: quarantine"),
    rule("uses: no-wildcard, then: quarantine, match: {owner: a}"),
    rule("uses: no-wildcard, then: quarantine, match: {annotations: {a: b}}"),
    rule("uses: no-wildcard").replace("id: r", "id: coverage"),
    "rules: [{id: r, severity: deny, uses: no-wildcard}, {id: r, severity: warn, uses: no-wildcard}]",
    f"{WAIVER.replace('rule: r', 'rule: s')} owner: o, key: a}}]",
    f"{WAIVER.replace('2027-01-31', '2027-02-30')} owner: o, key: a}}]",
    f"{WAIVER} owner: o, key: a}}, {{rule: r, until: 2027-02-28, reason: z, owner: p, key: a}}]",
    "freeze: [{cron: '* * * *', for: 1h, reason: r}]",
    "freeze: [{cron: '* * * * *', for: 59s, reason: r}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-19, reason: r}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-32, reason: r}]",
    "freeze: [{from: 2026-12-20, until: 2026-12-20, reason: r, time_zone: Europe/Nowhere}]",
    "require: [{can: messages:send}]",
    "require: [{can: messages:send, domain: localhost}]",
    "require: [{can: messages:sned, domain: a.org}]",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_loader_accepts_the_schema_accepts(text: str) -> None:
    """An editor has nothing to say about a file that loads."""
    assert (loads(f"version: 1\n{text}\n"), is_valid(f"version: 1\n{text}\n")) == (True, True)


@pytest.mark.parametrize("text", [f"version: 1\n{each}" for each in BAD] + ["{}", "[]", "version", "version: 2"])
def test_what_does_not_fit_both_refuse(text: str) -> None:
    """An editor marks what does not fit into the format, as the loader does."""
    assert (loads(f"{text}\n"), is_valid(f"{text}\n")) == (False, False)


@pytest.mark.parametrize("text", BEYOND)
def test_only_the_loader_knows_what_is_meant(text: str) -> None:
    """What cannot be told by a schema is left to the loader, which refuses it."""
    assert (loads(f"version: 1\n{text}\n"), is_valid(f"version: 1\n{text}\n")) == (False, True)


def test_the_schema_is_the_one_in_the_repository() -> None:
    """The copy that editors use is the one of this version; it offers no null, and the starter policy fits it."""
    assert SCHEMA.read_text() == json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
    assert "null" not in SCHEMA.read_text()
    assert is_valid((SCHEMA.parents[1] / "policy.yaml").read_text())


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Give every schema of an object with fields of its own."""
    match node:
        case dict():
            if node.get("type") == "object" and "properties" in node:
                yield node
            for each in node.values():
                yield from objects(each)
        case list():
            for each in node:
                yield from objects(each)


def test_the_schema_describes_every_field() -> None:
    """Each field, also of each built-in rule's parameters, has a description; nothing else may stand beside them."""
    found = list(objects(policy_schema()))
    assert {name for node in found for name in node["properties"]} > {"with", "most", "for", "except", "within", "can"}
    for node in found:
        assert node["description"]
        assert node["additionalProperties"] is False
        assert [name for name, each in node["properties"].items() if not each.get("description")] == []


PARAMETERS = {
    "no-wildcard": ("", ""),
    "no-global-where-domain-would-do": ("scopes", ""),
    "redundant-scopes": ("", ""),
    "max-scopes": ("most", "most"),
    "forbidden-scopes": ("scopes", "scopes"),
    "require-ip-allow-list": ("scopes", ""),
    "widest-network": ("ipv4 ipv6", ""),
    "unreachable-list": ("", ""),
    "label-pattern": ("patterns", "patterns"),
    "require-owner": ("owners", ""),
    "separate-duties": ("sets", "sets"),
    "unused-for": ("for", "for"),
    "never-used": ("after", "after"),
    "older-than": ("age", "age"),
    "unmanaged-key": ("except", ""),
    "duplicate-label": ("", ""),
    "identical-access": ("", ""),
    "can-manage-keys": ("except", ""),
}


def test_the_schema_knows_the_parameters_of_each_built_in_rule() -> None:
    """For each built-in rule an editor offers its parameters, and says which of them must be there."""
    schema = policy_schema()["$defs"]["RuleEntry"]
    told = {}
    for each in schema["allOf"]:
        parameters = each["then"]["properties"]["with"]
        needed = parameters.get("required", [])
        told[each["if"]["properties"]["uses"]["const"]] = (" ".join(parameters["properties"]), " ".join(needed))
    assert told == PARAMETERS
    assert schema["properties"]["uses"]["enum"] == list(PARAMETERS)


def test_the_schema_tells_why_each_built_in_rule_is_there() -> None:
    """What an editor shows for the parameters of a built-in rule is its reason, not what its parameters are."""
    told = {
        each["if"]["properties"]["uses"]["const"]: each["then"]["properties"]["with"]["description"]
        for each in policy_schema()["$defs"]["RuleEntry"]["allOf"]
    }
    assert told == {name: each.reason for name, each in BUILTINS.items()}
    assert len(set(told.values())) == len(PARAMETERS)


def test_the_schema_says_where_parameters_must_be_there() -> None:
    """An editor asks for `with` where a built-in rule has nothing to go by without it."""
    needed = {
        each["if"]["properties"]["uses"]["const"]
        for each in policy_schema()["$defs"]["RuleEntry"]["allOf"]
        if each["then"].get("required") == ["with"]
    }
    assert needed == {name for name, (_, must) in PARAMETERS.items() if must} | {"widest-network"}
