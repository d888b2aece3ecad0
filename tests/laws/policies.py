"""Policies as documents, how to read them from files, and what they come to."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from builders import ACCOUNT
from reconciler.core.rules import Rule
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy import load_policy

Document = dict[str, Any]

CHECKS: tuple[Document, ...] = (
    {"uses": "no-wildcard"},
    {"uses": "no-wildcard", "then": "quarantine"},
    {"uses": "max-scopes", "with": {"most": 1}, "match": {"managed": True}},
    {"uses": "forbidden-scopes", "with": {"scopes": ["messages:send:*", "api-keys:*"]}, "hint": "no"},
    {"uses": "require-ip-allow-list", "match": {"label": "a*"}},
    {"uses": "widest-network", "with": {"ipv4": 30}, "match": {"annotations": {"tier": "*", "x": "z"}}},
    {"uses": "separate-duties", "with": {"sets": {"a": ["messages:send:*"], "b": ["api-keys:*", "x:y"]}}},
    {"uses": "unused-for", "with": {"for": "30d"}, "then": "quarantine"},
    {"uses": "can-manage-keys", "with": {"except": ["k1"]}, "message": "{key.label} can manage keys {{"},
    {"uses": "duplicate-label"},
    {"uses": "unmanaged-key", "then": "quarantine"},
    {"when": '"*" in key.scopes || key.owner == ""', "message": "{key.name} is {key.state}"},
    {"when": 'key.annotations.tier == "1"', "message": "{key.age}"},
    {"when": 'change.direction == "widen"', "message": "{change.granted}"},
)
"""What rules look at; the place is in the id, so that a rule of one id is the same in every file."""
words = st.sampled_from(("on", "1", "~", "no", "2027-01-31", "é 😀", "a: b", "#", "- x", "two\nlines ", " ", "'", '"'))
texts = words | st.text("aé:#-\n {}'\"", min_size=1, max_size=6)
whys = st.fixed_dictionaries({"owner": st.just("team"), "reason": st.just("INC-1")})
rules = st.builds(
    lambda place, severity: {"id": f"r{place}", "severity": severity, **CHECKS[place]},
    st.integers(0, len(CHECKS) - 1),
    st.sampled_from(("deny", "warn", "note")),
)
waivers = st.builds(
    lambda rule, until, whose, why: {"rule": rule, "until": until, **whose, **why},
    st.sampled_from(("r0", "r3", "r11")),
    st.sampled_from(("2026-11-22", "2026-11-23", "2027-01-31")),
    st.sampled_from(({"key": "k0"}, {"key": "1"}, {"label": "a*"}, {"label": "*", "account": "1*"})),
    whys,
)
requirements = st.sampled_from(
    (
        {"can": "messages:send", "domain": "a.example"},
        {"can": "api-keys:write", "account": ACCOUNT.account_id},
        {"can": "messages:read", "domain": "A.example."},
    )
)
thresholds = st.fixed_dictionaries({}, optional={"percent": st.integers(0, 100), "at_least": st.integers(0, 9)})
names = st.lists(st.sampled_from(("k0", "k1", "k2")), unique=True)
guardrails = st.fixed_dictionaries(
    {},
    optional={
        "max_changes": thresholds,
        "max_switched_off": thresholds,
        "max_widened": thresholds,
        "allow_widening": st.booleans() | names,
        "allow_restore": names,
        "in_use": st.fixed_dictionaries(
            {"within": st.sampled_from(("15m", "24h", "30d"))}, optional={"narrowing": st.booleans(), "allow": names}
        ),
    },
)
documents: st.SearchStrategy[Document] = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "rules": st.lists(rules, max_size=5, unique_by=lambda rule: rule["id"]),
    },
    optional={
        "require": st.lists(requirements, max_size=2),
        "guardrails": guardrails,
        "waivers": st.lists(
            waivers, max_size=2, unique_by=lambda each: json.dumps({**each, "until": ""}, sort_keys=True)
        ),
    },
)
orders = st.integers(0, 999).map(Random)
RULES_THERE: Document = {
    "version": 1,
    "rules": [{"id": f"r{place}", "severity": "note", **CHECKS[place]} for place in (0, 3, 11)],
}
"""A file with the rules that waivers are for."""


def write(folder: str, texts: Sequence[str]) -> list[Path]:
    paths = [Path(folder, f"{place}.yaml") for place in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text.encode())
    return paths


def load(*texts: str) -> LoadedPolicy:
    """Read files of one policy, which lie in one folder."""
    with TemporaryDirectory() as folder:
        write(folder, texts)
        return load_policy([Path(folder)])


def dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)


def said(rule: Rule) -> tuple[object, ...]:
    """Give what a rule says, without where."""
    check = getattr(rule.check, "text", rule.check)
    return rule.id, rule.severity, check, rule.message, rule.hint, rule.match, rule.fences


def plain(loaded: LoadedPolicy) -> tuple[object, ...]:
    """Give what a policy says, without where and without its digest."""
    waivers = tuple(replace(each, source=None) for each in loaded.policy.waivers)
    required = tuple(replace(each, source=None) for each in loaded.limits.require)
    return tuple(map(said, loaded.policy.rules)), waivers, replace(loaded.limits, require=required)
