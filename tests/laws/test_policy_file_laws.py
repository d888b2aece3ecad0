"""Laws of policy files: what is said counts, not how or in which order; the strictest wins; no file is a surprise."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ACCOUNT, NOW, whole
from laws.universe import labels, law, remotes
from reconciler.core.guardrails import Consent, Threshold, approve
from reconciler.core.keys import RemoteKey
from reconciler.core.plan import plan_account
from reconciler.core.policy import deny, judge_actual, judge_plan
from reconciler.core.rules import Rule
from reconciler.errors import FilesError, Problem
from reconciler.files.desired import load_desired
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


# How it is written


class PlainDumper(yaml.CSafeDumper):
    """Writes what is shared in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@st.composite
def styles(draw: st.DrawFn, document: Document) -> str:
    """The same document in some style of YAML."""
    turned = shuffled(document, draw(orders))
    if draw(st.integers(0, 3)) == 0:
        text = json.dumps(turned, indent=draw(st.sampled_from((None, 2))), ensure_ascii=False)
    else:
        text = yaml.dump(
            turned,
            Dumper=draw(st.sampled_from((PlainDumper, yaml.CSafeDumper))),
            default_flow_style=draw(st.sampled_from((True, False, None))),
            allow_unicode=draw(st.booleans()),
            sort_keys=False,
            width=draw(st.sampled_from((20, 1000))),
            explicit_start=draw(st.booleans()),
        )
    text = f"# why\n{text}\n# end\n"
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def shuffled(value: Any, random: Random) -> Any:
    """Put the fields of every mapping into another order."""
    match value:
        case dict():
            return {name: shuffled(value[name], random) for name in random.sample(list(value), len(value))}
        case list():
            return [shuffled(each, random) for each in value]
        case _:
            return value


@st.composite
def written_twice(draw: st.DrawFn) -> tuple[str, str]:
    document = draw(documents)
    same: Document = {"owner": draw(texts), "reason": draw(texts)}
    document["waivers"] = [{**each, **same} for each in document.get("waivers", ())]
    document["rules"] = [
        *document["rules"],
        {"id": "free", "severity": "warn", "uses": "no-wildcard", "hint": draw(texts)},
    ]
    document["rules"] += [
        rule for rule in RULES_THERE["rules"] if rule["id"] not in {each["id"] for each in document["rules"]}
    ]
    return draw(styles(document)), draw(styles(document))


@settings(law, max_examples=120)
@given(written_twice())
def test_the_style_of_a_file_says_nothing(written: tuple[str, str]) -> None:
    """The same content in any style of YAML is the same policy with the same digest."""
    one, other = map(load, written)
    assert plain(one) == plain(other)
    assert one.policy.digest == other.policy.digest
    other_said = load(written[0], "version: 1\n")
    assert other_said.policy.digest != one.policy.digest


# Order


@st.composite
def policies(draw: st.DrawFn) -> list[Document]:
    return [RULES_THERE, *draw(st.lists(documents, max_size=2))]


@st.composite
def keys_of_files(draw: st.DrawFn) -> list[Document]:
    keys = []
    for place in range(draw(st.integers(0, 4))):
        key: Document = {"name": f"k{place}", "scopes": draw(some_scopes)}
        if draw(st.booleans()):
            key |= {"id": f"00000000-0000-4000-8000-{place:012}", "label": draw(labels)}
        keys.append(key | draw(more_of_a_key))
    return keys


some_scopes = st.lists(st.sampled_from(("*", "messages:send:a.example", "api-keys:write")), max_size=3)
more_of_a_key = st.fixed_dictionaries(
    {},
    optional={
        "ip_allow_list": st.lists(st.sampled_from(("172.32.0.0/29", "172.31.255.248/30")), max_size=2),
        "owner": st.just("team-a"),
        "state": st.sampled_from(("present", "quarantined")),
    },
)


def turned(document: Document, random: Random) -> Document:
    """Put rules, waivers, requirements and keys into another order."""
    return {
        name: random.sample(value, len(value)) if isinstance(value, list) else value for name, value in document.items()
    }


def judge(policies: list[Document], keys: list[Document], actual: Sequence[RemoteKey], order: Random | None) -> object:
    """Load everything, plan, judge and approve; give all that it comes to, without places in the policy's files."""
    halves = [{"version": 1, "account": ACCOUNT.account_id, "keys": each} for each in (keys[:2], keys[2:])]
    if order:
        policies, halves = (
            [turned(each, order) for each in order.sample(some, len(some))] for some in (policies, halves)
        )
        actual = order.sample(actual, len(actual))
    policy = load(*map(dump, policies))
    with TemporaryDirectory() as folder:
        (desired,) = load_desired(write(folder, list(map(dump, halves))), lambda _: None).state.accounts
    judged = judge_plan(policy.policy, desired, plan_account(desired, actual, NOW), NOW)
    approval = approve(whole(deny(judged.plan, judged.findings)), Consent(policy.limits), NOW)
    audited = judge_actual(policy.policy, desired, judged.plan, NOW)
    return (
        plain(policy),
        *(Counter(replace(each, source=None) for each in found) for found in (judged.findings, audited)),
        approval.plan.digest,
        tuple(replace(change, source=None) for change in approval.plan.changes),
        approval.refusals,
    )


@settings(law, max_examples=100)
@given(policies(), keys_of_files(), remotes(0, 3), orders)
def test_order_never_matters(
    policies: list[Document], keys: list[Document], actual: tuple[RemoteKey, ...], order: Random
) -> None:
    """In whichever order rules, files and keys come, findings, plan, digest, limits and refusals are the same."""
    actual = tuple(replace(key, id=f"00000000-0000-4000-8000-{key.id:0>12}") for key in actual)
    assert judge(policies, keys, actual, order) == judge(policies, keys, actual, None)


def load_all(*policies: list[Document], backwards: bool = False) -> LoadedPolicy:
    """Read several policies, each a folder of its own."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, str(place)) for place in range(len(policies))]
        for path, each in zip(paths, policies, strict=True):
            path.mkdir()
            write(str(path), list(map(dump, each)))
        return load_policy(paths[::-1] if backwards else paths)


@settings(law, max_examples=60)
@given(policies(), policies(), orders)
def test_the_order_of_policies_says_nothing(one: list[Document], other: list[Document], order: Random) -> None:
    """In whichever order policies and files come, they say the same; of each rule the most serious counts."""
    straight, backwards = load_all(one, other), load_all(one, other, backwards=True)
    turned = load_all(order.sample(other, len(other)), order.sample(one, len(one)))
    assert straight.policy.digest == backwards.policy.digest == turned.policy.digest
    assert plain(straight) == plain(backwards)
    assert list(map(said, straight.policy.rules)) == list(map(said, turned.policy.rules))
    assert replace(straight.limits, require=()) == replace(turned.limits, require=())
    every = [rule for document in (*one, *other) for rule in document["rules"]]
    assert {rule.id: rule.severity.value for rule in straight.policy.rules} == {
        name: min((rule["severity"] for rule in every if rule["id"] == name), key=("deny", "warn", "note").index)
        for name in {rule["id"] for rule in every}
    }


# The strictest wins


@law
@given(st.lists(guardrails, min_size=1, max_size=3), st.integers(0, 200))
def test_limits_are_as_strict_as_in_each_file(said: list[Document], listed: int) -> None:
    """Several files let through nothing that one of them, by itself, would not."""
    each = [load(dump({"version": 1, "guardrails": one})).limits for one in said]
    both = load(*(dump({"version": 1, "guardrails": one}) for one in said)).limits
    for name in ("max_changes", "max_switched_off", "max_widened"):
        speaking = [getattr(limits, name) for limits, one in zip(each, said, strict=True) if one.get(name)]
        merged: Threshold | None = getattr(both, name)
        assert merged is not None or not speaking
        assert all(merged.of(listed) <= one.of(listed) for one in speaking if merged and one)
    for limits in each:
        assert (
            both.allow_widening is None
            or limits.allow_widening is None
            or {*both.allow_widening} <= {*limits.allow_widening}
        )
        assert limits.allow_widening is None or both.allow_widening is not None
    for limits, one in zip(each, said, strict=True):
        assert "allow_restore" not in one or {*both.allow_restore} <= {*limits.allow_restore}
        if limits.in_use:
            assert both.in_use
            assert both.in_use.within >= limits.in_use.within
            assert both.in_use.narrowing >= limits.in_use.narrowing
            assert {*both.in_use.allow} <= {*limits.in_use.allow}


# Whatever is in a file

FIELDS = (
    *(
        "version",
        "rules",
        "waivers",
        "require",
        "guardrails",
        "id",
        "severity",
        "when",
        "uses",
        "with",
        "message",
        "hint",
    ),
    *(
        "match",
        "then",
        "scopes",
        "most",
        "ipv4",
        "sets",
        "for",
        "age",
        "except",
        "patterns",
        "rule",
        "key",
        "label",
        "until",
    ),
    *("account", "owner", "reason", "can", "domain", "percent", "at_least", "max_changes", "allow_widening", "in_use"),
)
junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.integers(),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
        st.sampled_from(FIELDS),
        st.sampled_from(
            (
                "{key.name}",
                "{key.nme}",
                "{",
                "}}",
                "key.owner == 1",
                "key.scopes.exists(",
                "2026-02-30",
                "",
                "*",
                "9" * 30 + "d",
            )
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Give every container of a document with each of its keys or indexes."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            names = list(each) if isinstance(each, dict) else list(range(len(each)))
            found += [(each, name) for name in names]
            waiting += [each[name] for name in names]
    return found


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """A policy in which a few values are others, gone, or there twice."""
    document = json.loads(json.dumps(draw(documents)))
    for _ in range(draw(st.integers(1, 3))):
        container, name = draw(st.sampled_from(places(document) or [(document, "version")]))
        match draw(st.sampled_from(("other", "other", "gone", "more"))):
            case "other":
                container[name] = draw(junk)
            case "gone":
                container.pop(name)
            case _ if isinstance(container, list):
                container.append(draw(junk | st.just(container[name])))
            case _:
                container[draw(st.sampled_from(FIELDS))] = draw(junk)
        if not document:
            break
    return dump(document)


@settings(law, max_examples=400)
@given(spoilt() | junk.map(dump))
def test_no_file_is_a_surprise(text: str) -> None:
    """Whatever is in a policy file, it loads or is refused with problems, each on one line and at a place in it."""
    problems = refusal(text)
    lines = text.split("\n")
    assert problems is None or problems
    for problem in problems or ():
        assert str(problem).isprintable()
        assert problem.line == 0 or 1 <= problem.column <= len(lines[problem.line - 1]) + 1


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(law, max_examples=300)
@given(
    st.sampled_from(("when", "message", "hint")),
    anything
    | st.lists(st.sampled_from(("key.", "name", "{", "}", "==", '"', "\n", "scopes", "in", " ")), max_size=9).map(
        "".join
    ),
)
def test_no_text_of_a_rule_is_a_surprise(field: str, text: str) -> None:
    """Whatever text an expression, a message or a hint is, the file loads or is refused at a place in it."""
    rule = {"id": "r", "severity": "warn", "when": "true", "message": "m", field: text}
    problems = refusal(yaml.dump({"version": 1, "rules": [rule]}, Dumper=yaml.CSafeDumper))
    assert problems is None or all(str(problem).isprintable() and problem.line for problem in problems)


def refusal(text: str) -> tuple[Problem, ...] | None:
    try:
        load(text)
    except FilesError as error:
        return error.problems
    return None
