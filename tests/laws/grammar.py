"""A small grammar of expressions, each with what it means in Python, and the keys that they are asked about."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from hypothesis import strategies as st

from builders import ACCOUNT, FENCE, LONG_AGO, NOW, SUB_ACCOUNT
from laws.universe import BLOCKS, DAY, SCOPES, TICK, allowed, let_in, lists, moments, scope_sets
from reconciler.core.changes import Action, Change, access_change
from reconciler.core.expressions import MOST_TEXT
from reconciler.core.keys import KeySpec, KeyState, RemoteKey, Source
from reconciler.core.subjects import Subject

Truth = bool | None
"""What an expression comes to; None: it has no value."""


@dataclass(frozen=True)
class Told:
    """A text in CEL and what it means over the values of variables.

    ``names`` are the variables that it reads, ``copies`` whether it goes through their texts or copies them.
    """

    text: str
    means: Callable[[dict[str, Any]], Truth]
    names: frozenset[str] = frozenset()
    copies: bool = False

    def __repr__(self) -> str:
        return self.text

    def truth(self, shown: dict[str, Any]) -> Truth:
        """Give what it comes to; what copies text has no value where a variable that it reads holds too long a one."""
        if self.copies and any(_longest(shown[name]) > MOST_TEXT for name in self.names):
            return None
        return self.means(shown)


def _longest(value: Any) -> int:
    texts = [value] if isinstance(value, str) else [*value, *value.values()] if isinstance(value, dict) else value
    return max(map(len, texts), default=0) if isinstance(texts, list) else 0


# Keys

LONGEST = "x" * MOST_TEXT
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
words = st.sampled_from(("", "a", "shop", "Shop-1", "é", "😀", 'q"', "\\", "\n", LONGEST)) | st.text(
    letters, max_size=3
)
any_words = st.just(LONGEST + "x") | words


@st.composite
def subjects(draw: st.DrawFn, texts: st.SearchStrategy[str] = words) -> Subject:
    """One key, under judgement as it is or as it will be, with a change or without."""
    here, held, listed = draw(st.sampled_from((ACCOUNT, SUB_ACCOUNT))), draw(scope_sets), draw(lists)
    spec = remote = change = None
    if draw(st.booleans()):
        spec = draw(_specs(texts))
    if draw(st.booleans()):
        remote = RemoteKey("1", "", held, listed, draw(moments | st.just(LONG_AGO)), draw(st.none() | moments))
    if draw(st.booleans()):
        access = access_change((held, draw(scope_sets)), (listed, draw(lists)))
        change = Change(here, draw(st.sampled_from(Action)), "a", "1", "", None, access=access)
    managed, actual = draw(st.booleans()), draw(st.booleans())
    return Subject(NOW, here, draw(texts), held, listed, managed, spec, remote, change, actual)


@st.composite
def _specs(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> KeySpec:
    some = st.lists(texts, max_size=3).map(tuple)
    return KeySpec(
        draw(st.sampled_from(("a", "shop"))),
        "",
        Source("keys.yaml", 1, 1),
        None,
        draw(st.none() | lists),
        id=draw(st.none() | st.just("7")),
        state=draw(st.sampled_from(KeyState)),
        roles=draw(some),
        domains=draw(some),
        owner=draw(texts),
        annotations=tuple(draw(st.dictionaries(st.sampled_from(("tier", "x")), texts)).items()),
    )


def shown(subject: Subject) -> dict[str, Any]:
    """Give the values of variables as the documentation tells them; none is ever null."""
    spec, remote, change = subject.spec, subject.remote, subject.change
    off = subject.ip_allow_list.networks == (FENCE,)
    used, made = (remote.last_used_at, remote.created_at) if remote else (None, NOW)
    return {
        "key.name": spec.name if spec else "",
        "key.label": subject.label,
        "key.id": "1" if remote else (spec.id if spec else "") or "",
        "key.scopes": list(subject.scopes.texts),
        "key.roles": list(spec.roles) if spec else [],
        "key.domains": list(spec.domains) if spec else [],
        "key.ip_allow_list": list(subject.ip_allow_list.networks),
        "key.list_managed": spec is not None and spec.ip_allow_list is not None,
        "key.owner": spec.owner if spec else "",
        "key.state": spec.state.value if spec and not subject.actual else "quarantined" if off else "present",
        "key.managed": subject.managed,
        "key.annotations": dict(spec.annotations) if spec else {},
        "key.created_at": made,
        "key.age": max(NOW - made, timedelta()),
        "key.never_used": used is None,
        "key.last_used_at": used or datetime(1970, 1, 1, tzinfo=UTC),
        "key.idle": max(NOW - (used or made), timedelta()),
        "key.account": ACCOUNT.account_id,
        "key.sub_account": subject.account.sub_account_id or "",
        "change.action": change.action.value if change else "",
        "change.granted": [*change.access.scopes.granted, *change.access.networks.granted] if change else [],
        "change.revoked": [*change.access.scopes.revoked, *change.access.networks.revoked] if change else [],
        "change.direction": change.access.direction.value if change else "",
        "now": NOW,
    }


# What is said of one variable

OPERATORS = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
CHOICES = {
    "key.state": [state.value for state in KeyState],
    "change.action": [action.value for action in Action],
    "change.direction": ["widen", "narrow", "mixed", "none"],
}
operators = st.sampled_from(tuple(OPERATORS))
text_names = st.sampled_from(("key.name", "key.label", "key.id", "key.owner", "key.account", "key.sub_account"))
list_names = st.sampled_from(
    ("key.roles", "key.domains", "key.ip_allow_list", "key.scopes", "change.granted", "change.revoked")
)
listed = st.sampled_from((*SCOPES, "anywhere", "a", "é"))
networks = st.sampled_from((*BLOCKS, FENCE))


def quoted(text: str) -> str:
    """Write a text in CEL."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


def of(name: str, text: str, means: Callable[[Any], Truth], *, copies: bool = False) -> Told:
    """Tell something of one variable, which ``@`` stands for in the text."""
    return Told(text.replace("@", name), lambda shown: means(shown[name]), frozenset({name}), copies)


@st.composite
def about_text(draw: st.DrawFn) -> Told:
    """What texts are, begin with, hold, or look like."""
    name, word, sign = draw(text_names), draw(words), draw(operators)
    number, pattern = draw(st.sampled_from((0, 1, MOST_TEXT))), draw(st.sampled_from(("^[a-z]+", "é", "s.o", "(?i)SH")))
    said = (
        of(name, f"@ {sign} {quoted(word)}", lambda text: OPERATORS[sign](text, word)),
        of(name, f"@.startsWith({quoted(word)})", lambda text: text.startswith(word)),
        of(name, f"@.endsWith({quoted(word)})", lambda text: text.endswith(word)),
        of(name, f"@.contains({quoted(word)})", lambda text: word in text, copies=True),
        of(name, f"size(@) {sign} {number}", lambda text: OPERATORS[sign](len(text), number), copies=True),
        of(name, f"@.matches({quoted(pattern)})", lambda text: bool(re.search(pattern, text)), copies=True),
        of(name, f"@ + {quoted(word)} == {quoted(word + word)}", lambda text: text == word, copies=True),
    )
    return draw(st.sampled_from(said))


@st.composite
def about_lists(draw: st.DrawFn) -> Told:
    """What stands on a list, and how much."""
    name, number, sign = draw(list_names), draw(st.integers(0, 3)), draw(operators)
    word = draw(networks if name == "key.ip_allow_list" else listed)  # any other text on it would be a mistake

    def at(texts: list[str]) -> Truth:
        return texts[number] == word if number < len(texts) else None

    said = (
        of(name, f"{quoted(word)} in @", lambda texts: word in texts),
        of(name, f"size(@) {sign} {number}", lambda texts: OPERATORS[sign](len(texts), number)),
        of(name, f"@[{number}] == {quoted(word)}", at),
        of(name, f"@.exists(s, s == {quoted(word)})", lambda texts: word in texts),
        of(
            name,
            f"@.all(s, size(s) {sign} {number})",
            lambda texts: all(OPERATORS[sign](len(t), number) for t in texts),
            copies=True,
        ),
    )
    return draw(st.sampled_from(said))


@st.composite
def collecting(draw: st.DrawFn) -> Told:
    """What CEL counts or collects while it walks along a list."""
    name, begin, number = draw(list_names), draw(listed)[:5], draw(st.integers(0, 3))

    def count(texts: list[str]) -> int:
        return sum(text.startswith(begin) for text in texts)

    step = f"s, s.startsWith({quoted(begin)})"
    said = (
        of(name, f"@.exists_one({step})", lambda texts: count(texts) == 1),
        of(name, f"size(@.filter({step})) > {number}", lambda texts: count(texts) > number),
        of(
            name,
            f"@.map(s, size(s)).exists(n, n > {number})",
            lambda texts: any(len(t) > number for t in texts),
            copies=True,
        ),
        of(name, f"size(@) + {number} == 3", lambda texts: len(texts) + number == 3),
    )
    return draw(st.sampled_from(said))


# Our functions are computed outside of CEL: each call is found again in the text, however it is written.
LAYOUTS = (
    "covers(@, {})",
    "covers (@,{})",
    ". covers( @ ,\n {}\n)",
    "covers // (why) \" is\n((@), // ) '\n({}))",
    "(covers(@, {})) == true",
    '"covers(" != ")" && covers(@, {})',
)


@st.composite
def about_access(draw: st.DrawFn) -> Told:
    """What scopes cover, and within which networks a list is."""
    layout, wanted = draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(SCOPES))
    blocks = draw(st.lists(st.sampled_from(BLOCKS), max_size=4))
    asked = draw(
        st.sampled_from((quoted(wanted), f"'{wanted}'", f'r"{wanted}"', f'"""{wanted}"""', f"R'''{wanted}'''"))
    )
    within = layout.replace("covers", "networks_within").format(f"[{', '.join(map(quoted, blocks))}]")
    said = (
        of("key.scopes", layout.format(asked), lambda held: wanted in allowed(tuple(held))),
        of("key.ip_allow_list", within, lambda held: let_in(tuple(held)) <= let_in(tuple(blocks))),
    )
    return draw(st.sampled_from(said))


@st.composite
def about_annotations(draw: st.DrawFn) -> Told:
    """What annotations there are and what they say; one that is not there says nothing."""
    name, word = draw(st.sampled_from(("tier", "x"))), draw(words)

    def at(said: dict[str, str]) -> Truth:
        return said[name] == word if name in said else None

    told = (
        of("key.annotations", f"{quoted(name)} in @", lambda said: name in said),
        of("key.annotations", f"has(@.{name})", lambda said: name in said),
        of("key.annotations", f"@.{name} == {quoted(word)}", at),
        of("key.annotations", f"@[{quoted(name)}] == {quoted(word)}", at),
        of("key.annotations", f"@.exists(n, @[n] == {quoted(word)})", lambda said: word in said.values()),
    )
    return draw(st.sampled_from(told))


@st.composite
def about_times(draw: st.DrawFn) -> Told:
    """How long something lasts or when it was, to the microsecond."""
    length = draw(st.sampled_from((0, 1, 30, 60))) * DAY + draw(st.integers(-1, 1)) * TICK
    sign, span = draw(operators), draw(st.sampled_from(("key.age", "key.idle")))
    moment, at = NOW - length, draw(st.sampled_from(("key.created_at", "key.last_used_at")))
    duration = f'duration("{length // TICK}us")'
    timestamp = f'timestamp("{moment.isoformat().replace("+00:00", "Z")}")'
    since = of(at, f"now - @ {sign} {duration}", lambda held: OPERATORS[sign](NOW - held, length))
    said = (
        of(span, f"@ {sign} {duration}", lambda held: OPERATORS[sign](held, length)),
        of(at, f"@ {sign} {timestamp}", lambda held: OPERATORS[sign](held, moment)),
        replace(since, names=frozenset({"now", at})),
    )
    return draw(st.sampled_from(said))


@st.composite
def about_choices(draw: st.DrawFn) -> Told:
    """Which of a few words something is."""
    name = draw(st.sampled_from(tuple(CHOICES)))
    choice, sign = draw(st.sampled_from(CHOICES[name])), draw(st.sampled_from(("==", "!=")))
    return of(name, f"@ {sign} {quoted(choice)}", lambda held: OPERATORS[sign](held, choice))


names_of_truths = ("key.managed", "key.list_managed", "key.never_used")
truths = st.sampled_from(
    (*(of(n, "@", bool) for n in names_of_truths), Told("true", lambda _: True), Told("false", lambda _: False))
)

# Put together


def either(one: Truth, other: Truth) -> Truth:
    """``||``: what is true is so whatever the other is, also where that has no value."""
    if one is True or other is True:
        return True
    return None if one is None or other is None else False


def opposite(one: Truth) -> Truth:
    """``!``."""
    return None if one is None else not one


def both(one: Truth, other: Truth) -> Truth:
    """``&&``."""
    return opposite(either(opposite(one), opposite(other)))


def same(one: Truth, other: Truth) -> Truth:
    """``==``."""
    return None if one is None or other is None else one is other


def chosen(one: Truth, then: Truth, otherwise: Truth) -> Truth:
    """``? :``."""
    return None if one is None else then if one else otherwise


def _joined(text: str, means: Callable[..., Truth]) -> Callable[[tuple[Told, ...]], Told]:
    """Put expressions together, ``@`` for each in the text."""

    def join(parts: tuple[Told, ...]) -> Told:
        texts = iter(part.text for part in parts)
        return Told(
            re.sub("@", lambda _: f"({next(texts)}\n)", text),
            lambda shown: means(*(part.means(shown) for part in parts)),
            frozenset[str]().union(*(part.names for part in parts)),
            any(part.copies for part in parts),
        )

    return join


def _grown(inner: st.SearchStrategy[Told]) -> st.SearchStrategy[Told]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner).map(_joined("!@", opposite)),
        pairs.map(_joined("@ && @", both)),
        pairs.map(_joined("@ || @ // why", either)),
        pairs.map(_joined("@ == @\n", same)),
        st.tuples(inner, inner, inner).map(_joined("@ ? @\n: @", chosen)),
    )


_atoms = st.one_of(
    about_text(), about_lists(), about_access(), about_annotations(), about_times(), about_choices(), truths
)
expressions = st.recursive(_atoms, _grown, max_leaves=4)
any_expressions = st.recursive(_atoms | collecting(), _grown, max_leaves=4)
