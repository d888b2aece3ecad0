"""Laws of policy files: what is said counts, not how or in which order, and the strictest wins."""

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
from laws.policies import RULES_THERE, Document, documents, dump, guardrails, load, orders, plain, said, texts, write
from laws.universe import labels, law, remotes
from reconciler.core.guardrails import Consent, Threshold, approve
from reconciler.core.keys import RemoteKey
from reconciler.core.plan import plan_account
from reconciler.core.policy import deny, judge_actual, judge_plan
from reconciler.files.desired import load_desired
from reconciler.files.loaded import LoadedPolicy
from reconciler.files.policy import load_policy

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


@settings(law, max_examples=80)
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


@settings(law, max_examples=60)
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


@settings(law, max_examples=40)
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
