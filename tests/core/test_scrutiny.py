"""What CEL takes and we do not: what could grow without end, and constants that can never be right."""

import pytest

from reconciler.core.expressions import ExpressionError, compile_expression

ADDED = "puts texts together more than 6 times: that is too costly"
DYNAMIC = "mixes types, or hides them with dyn(): only values of one known type can be checked"
NESTED = "holds lists in lists in lists: that is too costly"
VARYING = "lists more than 20 values that are not constant: that is too costly"
JOINED = "puts lists together: that is too costly; ask about each of them"
PATTERN = "this pattern is too long, or repeats too much: that is too costly"
VARIES = "a pattern must be written out: one that varies could be wrong for some key"
ACTIONS = "it is one of create, delete, quarantine, restore, update"
DIRECTIONS = "it is one of mixed, narrow, none, widen"
STATES = "it is one of absent, present, quarantined"
ZONE = "this zone would be read from a file, if there is one: write 'UTC' or '+01:00'"
NO_NETWORK = "is not an IPv4 or IPv6 address or CIDR block"
TOO_WIDE = "'0.0.0.0/0' allows every address and the API refuses it: write [] for 'usable from anywhere'"


def faults(text: str) -> list[tuple[int, int, str]]:
    """What is wrong, with its place; nothing where the expression is taken."""
    try:
        compile_expression(text)
    except ExpressionError as error:
        return [(fault.line, fault.column, fault.message) for fault in error.faults]
    return []


def doubled(times: int) -> str:
    """A text that is doubled so many times."""
    return "[key.label]" + ".map(a, a + a)" * times + '.all(a, a != "")'


def listed(count: int, also: str = "") -> str:
    return f'"x" in [{also}{", ".join(["key.label"] * count)}]'


# Values that could grow without end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key.label" + ' + "x"' * 6 + ' != ""', []),
        ("key.label" + ' + "x"' * 7 + ' != ""', [(1, 11, ADDED)]),
        ('key.owner + "" == "" || key.name' + ' + "x"' * 5 + ' != ""', []),
        ("1" + " + 1" * 7 + " == 8 && now + key.age > now", []),
        (doubled(6), []),
        (doubled(7), [(1, 106, ADDED)]),
        ("[key.label].all(a, " + " + ".join(["a"] * 8) + ' != "")', [(1, 22, ADDED)]),
        (" && ".join(['key.label + "x" != ""'] * 9), [(1, 161, ADDED)]),
    ],
)
def test_texts_put_together(text: str, expected: list[tuple[int, int, str]]) -> None:
    """Six additions of texts are taken, a seventh is not, wherever they are: doubling through map cannot go on."""
    assert faults(text) == expected


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("dyn(key.owner) == 1", [4]),
        ('[1, "a"].size() == 2', [1]),
        ('key.scopes == ["a", 1]', [15]),
        ('{"a": 1, "b": "c"}.size() == 2', [1]),
        ("[].size() == 0", [1]),
        ("key.scopes == []", []),
        ('{"a": 1}["a"] == 1', []),
        ("[null] == [null]", []),
    ],
)
def test_types_that_are_not_known(text: str, columns: list[int]) -> None:
    """Lists and mappings hold values of one type, which is known before the expression runs."""
    assert faults(text) == [(1, column, DYNAMIC) for column in columns]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("[[1]].size() == 1", []),
        ("[[[1]]].size() == 1", [1]),
        ('{"a": [1]}.size() == 1', []),
        ('[{"a": [1]}].size() == 1', [1]),
        ('{"a": {"b": {"c": 1}}}.size() == 1', [1]),
        ("key.scopes.map(a, key.scopes).size() == 1", []),
        ("key.scopes.map(a, [key.scopes]).size() == 1", [15]),
        ("[1].all(a, [{a: a}].all(b, [{1: b}].size() > 0))", [28]),
    ],
)
def test_lists_in_lists(text: str, columns: list[int]) -> None:
    """Lists may lie in lists, but no deeper: each level multiplies."""
    assert faults(text) == [(1, column, NESTED) for column in columns]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (listed(20), []),
        (listed(21), [(1, 8, VARYING)]),
        (listed(20, also='"a", ' * 300), []),
        (listed(21, also='"a", ' * 300), [(1, 8, VARYING)]),
        ("[" + "[1], " * 30 + "[1]].size() == 31", []),
        ("[" + "[key.label], " * 20 + "[key.label]].size() == 21", [(1, 1, VARYING)]),
        ('[{"a": "b"}' + ', {"a": "b"}' * 20 + "].size() == 21", []),
        ('[{"a": key.id}' + ', {"a": key.id}' * 20 + "].size() == 21", [(1, 1, VARYING)]),
    ],
)
def test_lists_of_values_that_vary(text: str, expected: list[tuple[int, int, str]]) -> None:
    """A list may hold any number of constants, also lists and mappings of them, and twenty other values."""
    assert faults(text) == expected


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('key.scopes + ["a"] == key.roles', 12),
        ("key.scopes.exists(s, s in key.roles + key.domains)", 37),
        ('b"a" + bytes(key.label) == b""', 6),
        ("key.scopes.map(s, [s] + [s]).size() == 1", 23),
    ],
)
def test_lists_put_together(text: str, column: int) -> None:
    """Lists and bytes are not put together."""
    assert faults(text) == [(1, column, JOINED)]


@pytest.mark.parametrize(
    "text",
    [
        'key.scopes.map(s, s + "x").size() == 1',
        'key.scopes.map(s, s != "*", s).size() == 1',
        'key.scopes.filter(s, s != "*").size() == 1',
        'key.annotations.exists_one(n, n != "")',
    ],
)
def test_what_macros_put_together(text: str) -> None:
    """What CEL itself puts together to make a list, one element at a time, is no mistake of the author's."""
    assert faults(text) == []


# Constants that can never be right


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^[a-z]+(-[0-9]{1,3})?$", None),
        ("a" * 200, None),
        ("a" * 201, PATTERN),
        ("é" * 200, None),
        ("a{994}", None),
        ("a{995}", PATTERN),
        ("a{0,992}", None),
        ("a{0,993}", PATTERN),
        ("a{993,}", None),
        ("a{994,}", PATTERN),
        ("a{494}b{494}", None),
        ("a{494}b{495}", PATTERN),
        ("(abc){100}", None),
        ("(abcde){91}", PATTERN),
        ("(((.*s.){10}){10}){9}x", PATTERN),
        ("[", "'[' is no pattern in RE2's syntax"),
        ("(?=a)", "'(?=a)' is no pattern in RE2's syntax"),
        ("", None),
    ],
)
def test_patterns(pattern: str, message: str | None) -> None:
    """A pattern is tried, and one that is long or repeats much is refused: it could take seconds a key."""
    assert faults(f'key.label.matches("{pattern}")') == ([] if message is None else [(1, 19, message)])
    assert faults(f'matches(key.label, "{pattern}")') == ([] if message is None else [(1, 20, message)])


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("key.label.matches(key.owner)", 22),
        ('key.label.matches("a" + "b")', 23),
        ("key.scopes.exists(s, s.matches(s))", 32),
    ],
)
def test_patterns_that_vary(text: str, column: int) -> None:
    """A pattern that is put together or read from a key is refused."""
    assert faults(text) == [(1, column, VARIES)]


@pytest.mark.parametrize("text", ["24h", "1h30m", "90s", "-1h", "0", "1.5h"])
def test_lengths_of_time(text: str) -> None:
    """CEL's units are hours and smaller."""
    assert faults(f'key.age > duration("{text}")') == []


@pytest.mark.parametrize("text", ["", "24", "h", "30 days", "d", "1.5d", "-1d", "1d12h", "1000000d"])
def test_no_lengths_of_time(text: str) -> None:
    """What is no length of time is refused before any key is asked."""
    message = f"{text!r} is not a length of time: write hours, minutes or seconds, such as '24h'"
    assert faults(f'key.age > duration("{text}")') == [(1, 20, message)]


@pytest.mark.parametrize(("days", "hours"), [("0d", "0h"), ("1d", "24h"), ("30d", "720h"), ("999999d", "23999976h")])
def test_days(days: str, hours: str) -> None:
    """A number of days is told in hours, which CEL takes; in a time it means nothing."""
    assert faults(f'key.age > duration("{days}")') == [(1, 20, f"write {days!r} as {hours!r}")]
    assert faults(f'key.age > duration("{hours}")') == []
    message = f"{days!r} is not a time: write it as '2026-01-31T00:00:00Z'"
    assert faults(f'now > timestamp("{days}")') == [(1, 17, message)]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2026-01-31T00:00:00Z", True),
        ("2026-01-31T00:00:00.5+01:00", True),
        ("2026-01-31", False),
        ("2026-02-30T00:00:00Z", False),
        ("2026-01-31T00:00:00", False),
        ("", False),
    ],
)
def test_times(text: str, right: bool) -> None:
    """A time has a day, a time of the day and a zone."""
    message = f"{text!r} is not a time: write it as '2026-01-31T00:00:00Z'"
    assert faults(f'now > timestamp("{text}")') == ([] if right else [(1, 17, message)])


def test_times_that_vary() -> None:
    """Numbers, and texts that are read from a key, are left to the key."""
    assert faults("now > timestamp(0) && timestamp(key.owner) < now && duration(key.owner) < key.age") == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("messages:send:{shop.example.com}", None),
        ("messages:send:Shop.example.com", None),
        ("*", None),
        ("company:thing", None),
        ("mesages:send:all", "'mesages:send:all' is not a known scope: write messages:send:all"),
        (
            "messages:send",
            "'messages:send' is not a known scope: write messages:send:all or messages:send:{example.com}",
        ),
    ],
)
def test_scopes_that_are_asked_for(wanted: str, message: str | None) -> None:
    """A scope that is asked for is known in any spelling, or unlike every known one."""
    assert faults(f'covers(key.scopes, "{wanted}")') == ([] if message is None else [(1, 20, message)])


@pytest.mark.parametrize("name", ["key.scopes", "change.granted", "change.revoked"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*", None),
        ("company:thing", None),
        ("203.0.113.0/24", None),
        ("messages:send:{shop.example.com}", None),
        (
            "messages:send:{Shop.example.com}",
            "'messages:send:{Shop.example.com}' is never listed so: write messages:send:{shop.example.com}",
        ),
        (
            "messages:send:shop.example.com",
            "'messages:send:shop.example.com' is never listed so: write messages:send:{shop.example.com}",
        ),
        ("domains:reed", "'domains:reed' is not a known scope: write domains:read"),
    ],
)
def test_scopes_that_are_looked_for(name: str, text: str, message: str | None) -> None:
    """A list of scopes holds canonical spellings, so that another one would never be found in it."""
    assert faults(f'"{text}" in {name}') == ([] if message is None else [(1, 1, message)])


@pytest.mark.parametrize("text", ['"domains:reed" in key.roles', "key.label in key.scopes", '"domains:reed" in ["a"]'])
def test_other_members(text: str) -> None:
    """Any text may be in a list that is not one of scopes, and any value may be looked for in one."""
    assert faults(text) == []


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ('key.ip_allow_list, ["203.0.113.0/24", "2001:db8::1"]', []),
        ("key.ip_allow_list, []", []),
        ('key.ip_allow_list, ["0.0.0.0/0"]', [(1, 37, TOO_WIDE)]),
        (
            'key.ip_allow_list, ["203.0.113.9", "home", "0.0.0.0/0"]',
            [(1, 52, f"'home' {NO_NETWORK}"), (1, 60, TOO_WIDE)],
        ),
    ],
)
def test_networks(lists: str, expected: list[tuple[int, int, str]]) -> None:
    """Networks that are asked for are such as a file may ask for."""
    assert faults(f"networks_within({lists})") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("203.0.113.0/24", None),
        ("203.0.113.7/32", None),
        ("2001:db8::/32", None),
        ("192.0.2.1/32", None),
        ("203.0.113.7", "'203.0.113.7' is never listed so: write 203.0.113.7/32"),
        ("203.0.113.7/24", "'203.0.113.7/24' is never listed so: write 203.0.113.0/24"),
        ("2001:DB8::/32", "'2001:DB8::/32' is never listed so: write 2001:db8::/32"),
        ("0.0.0.0/0", TOO_WIDE),
        ("anywhere", f"'anywhere' {NO_NETWORK}"),
        ("", f"'' {NO_NETWORK}"),
    ],
)
def test_networks_that_are_looked_for(text: str, message: str | None) -> None:
    """An allow list holds canonical spellings, so that another one would never be found in it."""
    assert faults(f'"{text}" in key.ip_allow_list') == ([] if message is None else [(1, 1, message)])


@pytest.mark.parametrize("zone", ["UTC", "+01:00", "-11:30", "05:45"])
def test_zones(zone: str) -> None:
    """A time is read in UTC, or at an offset from it."""
    assert faults(f'now.getHours("{zone}") >= 8 && key.created_at.getFullYear() > 2025') == []
    assert faults(f'now.getDayOfWeek("{zone}") == 0') == []


@pytest.mark.parametrize("zone", ["", "Z", "utc", "UTC ", "+1:00", "+01", "+01:000", "Europe/Berlin", "/dev/zero"])
def test_zones_that_would_be_read_from_files(zone: str) -> None:
    """A zone with a name would depend on the machine, and its file could be any."""
    assert faults(f'now.getHours("{zone}") >= 8') == [(1, 14, ZONE)]


@pytest.mark.parametrize(("zone", "column"), [("key.owner", 16), ('"U" + "TC"', 17), ("key.scopes[0]", 23)])
def test_zones_that_vary(zone: str, column: int) -> None:
    """A zone is written out: any other could be a name."""
    assert faults(f"now.getDate({zone}) == 1") == [(1, column, ZONE)]


def test_lengths_of_time_have_no_zone() -> None:
    """The hours of a length of time are asked without one."""
    assert faults("key.age.getHours() > 24 && now.getMinutes() < 30") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('key.state == "absent" || key.state == "present" || key.state == "quarantined"', []),
        ('key.state == "gone"', [(1, 14, f"key.state is never 'gone': {STATES}")]),
        ('"gone" == key.state', [(1, 1, f"key.state is never 'gone': {STATES}")]),
        ('key.state != "Present"', [(1, 14, f"key.state is never 'Present': {STATES}")]),
        (
            'key.state in ["present", "gone", "off"]',
            [
                (1, 26, f"key.state is never 'gone': {STATES}"),
                (1, 34, f"key.state is never 'off': {STATES}"),
            ],
        ),
        ('change.action in ["create", "delete", "quarantine", "restore", "update"]', []),
        ('change.action == "fence"', [(1, 18, f"change.action is never 'fence': {ACTIONS}")]),
        ('change.direction in ["mixed", "narrow", "none", "widen"]', []),
        ('change.direction != "up"', [(1, 21, f"change.direction is never 'up': {DIRECTIONS}")]),
        ("key.state == key.owner", []),
        ('key.owner == "gone" && key.owner in ["gone"] && "gone" != key.label', []),
        ("key.managed == true && 1 != 2", []),
        ('// é\n "é😀" == key.owner && key.state == "gone"', [(2, 36, f"key.state is never 'gone': {STATES}")]),
    ],
)
def test_words_that_a_variable_never_is(text: str, expected: list[tuple[int, int, str]]) -> None:
    """What is compared with a state, an action or a direction is one of them: else the rule would never be broken."""
    assert faults(text) == expected


def test_a_mistake_is_told_once() -> None:
    """A fault that two parts of the tree show at one place is told once."""
    assert faults("key.scopes.map(s, dyn(s)).size() == 1") == [(1, 15, DYNAMIC), (1, 22, DYNAMIC)]
