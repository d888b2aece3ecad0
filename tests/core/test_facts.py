"""Facts: what rules ask with our own functions, where the calls stand in an expression, and what takes their place."""

import subprocess
import sys
from collections.abc import Callable
from itertools import product

import pytest

from reconciler.core.expressions import ExpressionError, batch, bind, compile_expression
from reconciler.core.facts import Call, Fact, calls, replaced
from reconciler.core.tree import Kind, Node, Tree

FENCE = "192.0.2.1/32"
OFFICE = "203.0.113.0/24"
MAY_READ = Fact("covers", "key.scopes", ("domains:read",))
AT_OFFICE = Fact("networks_within", "key.ip_allow_list", (OFFICE,))
READ = 'covers(key.scopes, "domains:read")'
OFFICES = 'networks_within(key.ip_allow_list, ["203.0.113.0/24"])'
SCOPE_LISTS = "covers is asked of a list of the key: write key.scopes or change.granted or change.revoked"
NETWORK_LIST = "networks_within is asked of a list of the key: write key.ip_allow_list"
WRITTEN_OUT = "what {} asks must be written out: it cannot vary"


def holds(text: str, **lists: object) -> bool:
    """The value for a key; ``scopes`` are its scopes, and so on."""
    values = {"key.managed": True, "key.owner": "é😀", **{f"key.{name}": value for name, value in lists.items()}}
    expression = compile_expression(text)
    return expression.holds(bind(values, expression.facts), values)


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    return [(fault.line, fault.column, fault.message) for fault in caught.value.faults]


# What they tell of a key


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ([], "domains:read", False),
        (["domains:read"], "domains:read", True),
        (["domains:read"], "domains:write", False),
        (["*"], "domains:write", True),
        (["*"], "no:such", True),
        (["*"], "*", True),
        (["domains:read"], "*", False),
        (["no:such"], "no:such", True),
        (["no:such"], "no:such:thing", False),
        (["messages:send:all"], "messages:send:all", True),
        (["messages:send:all"], "messages:send:{shop.example.com}", True),
        (["messages:send:all"], "messages:read:{shop.example.com}", False),
        (["messages:send:{shop.example.com}"], "messages:send:all", False),
        (["messages:send:{shop.example.com}"], "messages:send:shop.example.com", True),
        (["messages:send:{shop.example.com}"], "messages:send:{SHOP.example.com.}", True),
        (["messages:send:{shop.example.com}"], "messages:send:{a.shop.example.com}", False),
        (["domains:read", "messages:send:{shop.example.com}"], "messages:send:{shop.example.com}", True),
    ],
)
def test_covers(held: list[str], wanted: str, expected: bool) -> None:
    """``covers`` is the one relation between scopes; what is asked may be in any spelling."""
    assert holds(f'covers(key.scopes, "{wanted}")', scopes=held) is expected
    assert Fact("covers", "key.scopes", (wanted,)).holds({"key.scopes": held}) is expected


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        (["203.0.113.0/24"], ["203.0.113.0/24"], True),
        (["203.0.113.0/25"], ["203.0.113.0/24"], True),
        (["203.0.113.0/24"], ["203.0.113.0/25"], False),
        (["203.0.113.0/24"], ["203.0.113.0/25", "203.0.113.128/25"], True),
        (["203.0.113.0/24"], ["203.0.113.0/25", "203.0.113.129/32"], False),
        (["203.0.113.9", "198.51.100.0/24"], ["203.0.113.0/24"], False),
        (["203.0.113.9", "203.0.113.200/32"], ["203.0.113.77/24"], True),
        (["2001:db8::1"], ["2001:db8::/32"], True),
        (["2001:db9::1"], ["2001:db8::/32"], False),
        (["203.0.113.9"], ["2001:db8::/32"], False),
        (["203.0.113.9"], [], True),
        ([], [], True),
        ([], ["203.0.113.0/24"], False),
        ([], [FENCE], False),
        ([FENCE], ["203.0.113.0/24"], True),
        ([FENCE], [], True),
        ([FENCE], [FENCE], True),
        ([FENCE, "203.0.113.9"], ["203.0.113.0/24"], False),
        ([FENCE, "203.0.113.9"], ["203.0.113.0/24", FENCE], True),
        (["203.0.113.9"], [FENCE], False),
    ],
)
def test_networks_within(inner: list[str], outer: list[str], expected: bool) -> None:
    """Whoever is on the first list is on the second: an empty list is anywhere, and the fence lets nobody in."""
    written = ", ".join(f'"{network}"' for network in outer)
    assert holds(f"networks_within(key.ip_allow_list, [{written}])", ip_allow_list=inner) is expected
    fact = Fact("networks_within", "key.ip_allow_list", tuple(outer))
    assert fact.holds({"key.ip_allow_list": inner}) is expected


def test_what_is_no_list() -> None:
    """A fact about a variable that holds no list is a mistake of ours, and told as one."""
    with pytest.raises(TypeError, match=r"^key\.owner is no list$"):
        Fact("covers", "key.owner", ("*",)).holds({"key.owner": "*"})


# Where they may stand

Model = Callable[[bool, bool], bool]
"""The value of an expression, of whether the key may read domains and whether it is used from the office alone."""


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (READ, lambda reads, _: reads),
        (f"!{READ}", lambda reads, _: not reads),
        (f"{READ} && {OFFICES}", lambda reads, at_office: reads and at_office),
        (f"{OFFICES}||!{READ}", lambda reads, at_office: at_office or not reads),
        (f"{READ} == {OFFICES}", lambda reads, at_office: reads == at_office),
        (f"!{READ} || {OFFICES} && {READ}", lambda reads, at_office: not reads or at_office),
        (f"{READ} != {READ}", lambda *_: False),
        (f"((({READ})) && ({OFFICES}))", lambda reads, at_office: reads and at_office),
        (f"{READ} ? {OFFICES} : true", lambda reads, at_office: at_office if reads else True),
        (f"key.managed ? {READ} : {OFFICES}", lambda reads, _: reads),
        (f"!key.managed?{READ}:{OFFICES}", lambda _, at_office: at_office),
        (f"{OFFICES} ? {READ} : !{READ}", lambda reads, at_office: reads == at_office),
        (f"[{READ}, {OFFICES}] == [true, true]", lambda reads, at_office: reads and at_office),
        (f"[{READ}][0]", lambda reads, _: reads),
        (f"false in [{READ}, {OFFICES}]", lambda reads, at_office: not (reads and at_office)),
        (f'{{"a": {READ}, "b": {OFFICES}}}["b"]', lambda _, at_office: at_office),
        (f'string({READ}) == "true"', lambda reads, _: reads),
    ],
)
def test_operators_and_lists(text: str, model: Model) -> None:
    """A call may stand wherever a truth may: alone, twice, in conditions, in lists and mappings."""
    check(text, model)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (f"[1, 2].all(n, {READ} || n > 2)", lambda reads, _: reads),
        (f"[1, 2].exists(n, n == 2 && {READ} && {OFFICES})", lambda reads, at_office: reads and at_office),
        (f"[1, 2].exists_one(n, n == 1 && {READ})", lambda reads, _: reads),
        (f"[1, 2].filter(n, {OFFICES}).size() == 2", lambda _, at_office: at_office),
        (f"[1].map(n, {READ}) == [true]", lambda reads, _: reads),
        (f"[1].map(n, {OFFICES}, {READ}) == [true]", lambda reads, at_office: reads and at_office),
        (f"[{READ}, {OFFICES}].exists(each, each)", lambda reads, at_office: reads or at_office),
        (f"[1].all(n, [2].all(m, {READ} && n < m)) && {OFFICES}", lambda reads, at_office: reads and at_office),
        (f"[{OFFICES}].all(covers, covers && {READ})", lambda reads, at_office: reads and at_office),
        (f'key.scopes.all(s, s != "x") && {READ}', lambda reads, _: reads),
    ],
)
def test_loops(text: str, model: Model) -> None:
    """A call may stand in a loop, and in what it goes over; a variable of the loop may have its name."""
    check(text, model)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ('covers (key.scopes, "domains:read")', lambda reads, _: reads),
        ('covers\n\t (\r\n key.scopes\n,\n"domains:read"\n)\n', lambda reads, _: reads),
        ('covers(key.scopes,"domains:read")', lambda reads, _: reads),
        ('covers((key.scopes), ("domains:read"))', lambda reads, _: reads),
        ('covers(key . scopes, "domains:read")', lambda reads, _: reads),
        ('covers(key.`scopes`, "domains:read")', lambda reads, _: reads),
        ('.covers(.key.scopes, "domains:read")', lambda reads, _: reads),
        ('networks_within(key.ip_allow_list, ["203.0.113.0/24",])', lambda _, at_office: at_office),
        ('networks_within(key.ip_allow_list, ([("203.0.113.0/24")]))', lambda _, at_office: at_office),
        ('covers // why (\n(key.scopes, "domains:read")', lambda reads, _: reads),
        ('covers( // ) "\n key.scopes, // (\n "domains:read" // \')\n) && true', lambda reads, _: reads),
        (f"{READ} // {OFFICES}", lambda reads, _: reads),
        (f"// {OFFICES}\n{READ} // (\n&& true", lambda reads, _: reads),
        (f'// covers(\n\n"covers(" != ")" && {READ} && ")" != "("', lambda reads, _: reads),
        (f"'//' != \"\" && {READ} && '//' != \"\"", lambda reads, _: reads),
        (f'"é😀" == key.owner && {READ} && "é" != "" && {OFFICES}', lambda reads, at_office: reads and at_office),
        (f"// é😀\n{OFFICES} &&\n\n  {READ}", lambda reads, at_office: reads and at_office),
        (f"{OFFICES} && 'covers(key.scopes' != \")\"", lambda _, at_office: at_office),
    ],
)
def test_white_space_comments_and_texts(text: str, model: Model) -> None:
    """A call is found however it is laid out, and whatever stands around it in comments and texts, in any script."""
    check(text, model)


def check(text: str, model: Model) -> None:
    for reads, at_office in product((False, True), repeat=2):
        scopes = ["domains:read"] if reads else ["domains:write"]
        networks = ["203.0.113.9/32"] if at_office else ["198.51.100.0/24"]
        expected = model(reads, at_office)
        assert holds(text, scopes=scopes, ip_allow_list=networks) is expected
        values = {"key.managed": True, "key.owner": "é😀", "key.scopes": scopes, "key.ip_allow_list": networks}
        expression = compile_expression(text)
        together = batch([expression, compile_expression("key.managed")])
        assert together is not None
        assert together.holds(bind(values, expression.facts), values) == [expected, True]


@pytest.mark.parametrize(
    ("literal", "asked"),
    [
        ('"a)b"', "a)b"),
        ("'(a'", "(a"),
        (r'"a\")b"', 'a")b'),
        (r"'a\')b'", "a')b"),
        ('"a\')b"', "a')b"),
        ("'a\")b'", 'a")b'),
        (r'"a\\"', "a\\"),
        (r'"a\\\")"', 'a\\")'),
        (r'"\u0061)\x28\051"', "a)()"),
        ('"a//)"', "a//)"),
        ('""', ""),
        ('"é😀)"', "é😀)"),
        (r'r"a\)"', "a\\)"),
        (r"R'a\b)'", "a\\b)"),
        ('"""a"b)"c"""', 'a"b)"c'),
        ('"""a\n)\n"""', "a\n)\n"),
        (r'"""a\""")"""', 'a""")'),
        ("'''a'b)'''", "a'b)"),
        (r"'''\'''('''", "'''("),
        (r'r"""a")\"b"""', 'a")\\"b'),
        (r"R'''a')\'b'''", "a')\\'b"),
        ('""""""', ""),
    ],
)
def test_texts_that_are_asked_for(literal: str, asked: str) -> None:
    """A call ends where its own parenthesis does: those in texts of any form do not count."""
    text = f'(covers(key.scopes, ({literal}))) && !(key.owner == ")")'
    assert compile_expression(text).facts == (Fact("covers", "key.scopes", (asked,)),)
    assert holds(text, scopes=[asked])
    assert not holds(text, scopes=["x"])


# What takes their place


def test_a_variable_takes_the_place_of_a_call() -> None:
    """In the evaluable text a variable stands for each call, and everything else is as it was."""
    expression = compile_expression(f"{OFFICES} || // é\n !{READ} && {OFFICES}")
    office, reads = AT_OFFICE.name, MAY_READ.name
    assert expression.evaluable == f" {office}  || // é\n ! {reads}  &&  {office} "
    assert expression.text == f"{OFFICES} || // é\n !{READ} && {OFFICES}"
    assert expression.facts == (AT_OFFICE, MAY_READ)
    assert expression.names == {"key.scopes", "key.ip_allow_list"}


def test_nothing_to_replace() -> None:
    """An expression without calls is evaluated as it is written."""
    expression = compile_expression('key.owner == "covers(key.scopes)" // covers(key.scopes, "*")')
    assert (expression.evaluable, expression.facts) == (expression.text, ())
    assert calls(Tree(Node(1, Kind.CONSTANT), {}, {}, {}), "true") == ()
    assert replaced("true", ()) == "true"


def test_the_same_question_is_one_fact() -> None:
    """A question that two rules write in different ways is one fact, and has one name."""
    spellings = (READ, "covers (key . scopes,\n r'domains:read' // why\n)", f"!{READ} && {READ}")
    assert [compile_expression(text).facts for text in spellings] == [(MAY_READ,)] * 3


def test_different_questions_are_different_facts() -> None:
    """A name tells function, variable and question; it is one that no rule would choose."""
    facts = (
        MAY_READ,
        AT_OFFICE,
        Fact("covers", "change.granted", ("domains:read",)),
        Fact("covers", "key.scopes", ("domains:write",)),
        Fact("networks_within", "key.ip_allow_list", ()),
        Fact("networks_within", "key.ip_allow_list", (OFFICE, FENCE)),
        Fact("networks_within", "key.ip_allow_list", (FENCE, OFFICE)),
        Fact("networks_within", "key.ip_allow_list", (OFFICE + FENCE,)),
    )
    names = {fact.name for fact in facts}
    assert len(names) == len(facts)
    assert all(name.removeprefix("_fact_").isalnum() and len(name) == len("_fact_") + 24 for name in names)


def test_calls_in_their_order() -> None:
    """Calls are given in their order in the text, from the first letter of the name to the parenthesis."""
    asked = Node(3, Kind.CONSTANT, string="*"), Node(5, Kind.LIST)
    held = Node(2, Kind.NAME, "key.scopes"), Node(4, Kind.NAME, "key.ip_allow_list")
    later = Node(1, Kind.CALL, "networks_within", children=(held[1], asked[1]))
    earlier = Node(6, Kind.CALL, "covers", children=(held[0], asked[0]))
    text = 'covers(key.scopes, "*") || networks_within (key.ip_allow_list, [])'
    tree = Tree(Node(7, Kind.CALL, "_||_", children=(later, earlier)), {}, {}, {1: 43, 6: 6})
    assert calls(tree, text) == (
        Call(Fact("covers", "key.scopes", ("*",)), 0, 23),
        Call(Fact("networks_within", "key.ip_allow_list", ()), 27, len(text)),
    )


def test_a_call_that_is_never_closed() -> None:
    """A text that is not the one the tree was made of is a mistake of ours, and told as one."""
    children = Node(2, Kind.NAME, "key.scopes"), Node(3, Kind.CONSTANT, string="*")
    tree = Tree(Node(1, Kind.CALL, "covers", children=children), {}, {}, {1: 6})
    with pytest.raises(ValueError, match=r"^the parentheses of a call are never closed$"):
        calls(tree, 'covers(key.scopes, ")"')


# What cannot be asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('covers(["a"], "*")', [(1, 8, SCOPE_LISTS)]),
        ('covers(key.scopes.map(s, s), "*")', [(1, 22, SCOPE_LISTS)]),
        ('key.scopes.all(s, covers([s], "*"))', [(1, 26, SCOPE_LISTS)]),
        ('[key.scopes].all(scopes, covers(scopes, "*"))', [(1, 33, SCOPE_LISTS)]),
        ('covers({"key.scopes": ["*"]}.`key.scopes`, "*")', [(1, 29, SCOPE_LISTS)]),
        ("covers(key.scopes, key.owner)", [(1, 23, WRITTEN_OUT.format("covers"))]),
        ("key.scopes.all(s, covers(key.scopes, s))", [(1, 38, WRITTEN_OUT.format("covers"))]),
        ('covers(key.scopes, ["*"][0])', [(1, 25, WRITTEN_OUT.format("covers"))]),
        ('covers(key.scopes, "domains:" + "read")', [(1, 31, WRITTEN_OUT.format("covers"))]),
        ("networks_within(key.ip_allow_list, key.roles)", [(1, 39, WRITTEN_OUT.format("networks_within"))]),
        ("networks_within(key.ip_allow_list, [key.owner])", [(1, 36, WRITTEN_OUT.format("networks_within"))]),
        (
            'networks_within(key.ip_allow_list, ["203.0.113.0/24", key.owner])',
            [(1, 36, WRITTEN_OUT.format("networks_within"))],
        ),
        (
            'networks_within(key.ip_allow_list, {"home": ["203.0.113.0/24"]}["home"])',
            [(1, 64, WRITTEN_OUT.format("networks_within"))],
        ),
        (
            'key.managed ||\n  networks_within(["203.0.113.9"], key.ip_allow_list)',
            [
                (2, 19, NETWORK_LIST),
                (2, 39, WRITTEN_OUT.format("networks_within")),
            ],
        ),
    ],
)
def test_questions_that_vary(text: str, expected: list[tuple[int, int, str]]) -> None:
    """A question is written out and asked of a list of the key or of the change: what a loop would ask is refused."""
    assert faults(text) == expected


@pytest.mark.parametrize("name", ["key.scopes", "change.granted", "change.revoked"])
def test_lists_of_scopes(name: str) -> None:
    """Each list that holds scopes may be asked what it covers."""
    expression = compile_expression(f'covers({name}, "domains:read")')
    assert expression.facts == (Fact("covers", name, ("domains:read",)),)
    for held in (["*"], ["domains:write"]):
        values = {name: held}
        assert expression.holds(bind(values, expression.facts), values) is (held == ["*"])


@pytest.mark.parametrize("name", ["key.roles", "key.domains", "key.ip_allow_list"])
def test_lists_without_scopes(name: str) -> None:
    """A list that holds no scopes would cover nothing, for every key."""
    assert faults(f'covers({name}, "domains:read")') == [(1, 11, SCOPE_LISTS)]


@pytest.mark.parametrize("name", ["key.scopes", "key.roles", "key.domains", "change.granted", "change.revoked"])
def test_lists_without_networks(name: str) -> None:
    """Nothing but an allow list is sure to hold networks; what a change grants may be scopes."""
    assert faults(f'networks_within({name}, ["203.0.113.0/24"])') == [(1, 17 + name.index("."), NETWORK_LIST)]


@pytest.mark.parametrize(
    "text",
    [
        'covers // covers\n(key.scopes, "*")',
        '!key.managed && covers // what it covers\n\n (key.scopes, "*") || !key.managed',
        'networks_within // networks_within(\n(key.ip_allow_list, ["203.0.113.0/24"])',
        '[true].all(covers, covers // covers\n (key.scopes, "*")\n)',
    ],
)
def test_a_comment_inside_a_call(text: str) -> None:
    """A comment between the name of a call and its parenthesis changes nothing, whatever it says."""
    assert not holds(text, scopes=["domains:read"], ip_allow_list=["198.51.100.0/24"])


# What they take

STEADY = f"""
from reconciler.core.expressions import bind, compile_expression
expression = compile_expression('''{READ} || {OFFICES} || covers(change.granted, "x") || key.managed''')
values = {{
    "key.scopes": [f"messages:send:{{{{shop{{n}}.example.com}}}}" for n in range(9)],
    "key.ip_allow_list": ["198.51.100.0/24", "203.0.113.0/24"],
    "change.granted": ["domains:write"],
    "key.managed": True,
}}
def pages(times):
    for _ in range(times):
        assert expression.holds(bind(values, expression.facts), values)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
before = pages(2_000)
print(pages(100_000) - before)
"""


def test_memory_stays_level() -> None:
    """A hundred thousand evaluations with facts leave less than four megabytes behind: forty bytes each."""
    done = subprocess.run([sys.executable, "-c", STEADY], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 4096 < 4_000_000
