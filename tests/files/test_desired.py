"""What files of desired state mean, and what is said about each kind of mistake in them."""

import json
import os
from datetime import date, timedelta
from pathlib import Path

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from reconciler.core.findings import Severity
from reconciler.core.keys import (
    AccountRef,
    KeyState,
    Pause,
    Selector,
    Source,
    SubAccountRule,
    UnmanagedAction,
    UnmanagedRule,
)
from reconciler.errors import FilesError
from reconciler.files import desired, shape
from reconciler.files.desired import Loaded, desired_schema, load_desired
from reconciler.files.document import parse

A = "11111111-1111-4111-8111-111111111111"
B = "22222222-2222-4222-8222-222222222222"
H = f"version: 1\naccount: {A}\n"
EXAMPLES = Path(__file__).parents[2] / "config" / "examples" / "keys"
SCHEMA = Path(__file__).parents[2] / "config" / "schema" / "desired.schema.json"
MISTAKES = [
    block.split("\n", 1) for block in (Path(__file__).parent / "desired_mistakes.txt").read_text().split("### ")[1:]
]


def lookup(name: str) -> str | None:
    return {"SECRET": "hunter2", "ACCOUNT": A.upper().replace("1111-", "111A-", 1) + "\n", "HALF": A[:18]}.get(name)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(*paths: str, **files: str) -> Loaded:
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text)
    return load_desired([Path(path) for path in paths or ["."]], lookup)


def refused(*paths: str, **files: str) -> list[str]:
    with pytest.raises(FilesError) as caught:
        load(*paths, **files)
    return str(caught.value).split("\n")


def noted(loaded: Loaded) -> list[tuple[str, str, str | None, str]]:
    assert all(finding.severity is Severity.NOTE and finding.hint for finding in loaded.findings)
    return [(f.rule, f.message, f.key, str(f.source)) for f in loaded.findings]


@pytest.mark.parametrize("mistake", [pytest.param(rest, id=name) for name, rest in MISTAKES])
def test_a_mistake_is_told_at_its_place(mistake: str) -> None:
    """Every mistake is told at its exact place, in words for a person, with what to write instead."""
    text, _, expected = mistake.partition("---\n")
    assert refused("a.yaml", a=text) == expected.strip().split("\n")


def test_every_field_reaches_its_value() -> None:
    """A key is what its entry says, in canonical spelling; its source is where the entry starts."""
    text = (
        f"version: 1\naccount: {{id: {A}, credential: prod-1}}\nkeys:\n"
        "- {name: z, label: Z z, id: 3C90C3CC-0D44-4B50-8888-8DD25736052A, was: [yy], scopes: ['domains:read'],\n"
        "   roles: [r], domains: [B.example.com., a.example.com, b.example.com],\n"
        "   ip_allow_list: [203.0.113.9, '2001:db8::/32'],\n"
        "   owner: o, description: d, paused: {reason: why, until: 2027-01-31}, annotations: {t: '1', a: b}}\n"
        "- {name: a, state: absent}\n"
        "roles: {r: ['messages:send:{domain}', 'suppressions:read']}\n"
    )
    (account,) = load(a=text).state.accounts
    first, last = account.keys
    assert account.account == AccountRef(A, credential="prod-1")
    assert (first.name, first.label, first.state, first.scopes) == ("a", "a", KeyState.ABSENT, None)
    assert last.scopes is not None
    assert last.scopes.texts == (
        "domains:read",
        "messages:send:{a.example.com}",
        "messages:send:{b.example.com}",
        "suppressions:read",
    )
    assert last.ip_allow_list is not None
    assert last.ip_allow_list.networks == ("203.0.113.9/32", "2001:db8::/32")
    assert (last.id, last.was, last.roles) == ("3c90c3cc-0d44-4b50-8888-8dd25736052a", ("yy",), ("r",))
    assert (last.domains, last.owner, last.description) == (("b.example.com", "a.example.com"), "o", "d")
    assert last.paused == Pause("why", date(2027, 1, 31))
    assert last.annotations == (("a", "b"), ("t", "1"))
    assert last.source == Source("a.yaml", 4, 3)


def test_defaults_belong_to_their_file() -> None:
    """What a key does not say comes from the defaults of its own file; what it says, even if empty, stands."""
    first = H + "defaults: {ip_allow_list: [203.0.113.0/24], owner: team}\nkeys:\n"
    first += "- {name: a, scopes: []}\n- {name: b, scopes: [], owner: '', ip_allow_list: []}\n"
    (account,) = load(a=first, b=H + "keys: [{name: c, scopes: []}]\n").state.accounts
    assert [(key.owner, key.ip_allow_list and key.ip_allow_list.networks) for key in account.keys] == [
        ("team", ("203.0.113.0/24",)),
        ("", ()),
        ("", None),
    ]
    assert [key.scopes is not None and len(key.scopes) for key in account.keys] == [0, 0, 0]


def test_off_keys_need_no_scopes_and_may_list_the_fence() -> None:
    """A quarantined or absent key needs no scopes, and may list networks, even the fence."""
    keys = (
        "keys: [{name: a, state: quarantined, ip_allow_list: [192.0.2.1]}, {name: b, state: absent, ip_allow_list: []}]"
    )
    (account,) = load(a=H + keys).state.accounts
    assert [(key.state, key.scopes) for key in account.keys] == [(KeyState.QUARANTINED, None), (KeyState.ABSENT, None)]


def test_a_network_in_two_spellings_counts_once() -> None:
    """A hundred networks fit, however often each is repeated in another spelling, in every key with that list."""
    networks = ", ".join(f"198.51.100.{n}, 198.51.100.{n}/32" for n in range(100))
    keys = "".join(f"- {{name: {name}, scopes: [], ip_allow_list: [{networks}]}}\n" for name in "ab")
    (account,) = load(a=f"{H}keys:\n{keys}").state.accounts
    assert [len(key.ip_allow_list.networks) for key in account.keys if key.ip_allow_list] == [100, 100]


@pytest.mark.parametrize("bad", ["office", ", ".join(f"198.51.100.{n}" for n in range(101))])
def test_a_bad_list_is_told_for_every_key(bad: str) -> None:
    """Two keys with the same bad list are two problems."""
    keys = (
        f"keys:\n- {{name: a, scopes: [], ip_allow_list: [{bad}]}}\n- {{name: b, scopes: [], ip_allow_list: [{bad}]}}"
    )
    assert len(refused(a=H + keys)) == 2


def test_unmanaged_is_a_word_or_a_mapping() -> None:
    """`unmanaged` gives what to do, and knows its place."""
    text = H + "unmanaged: {then: quarantine, min_age: 90m, except: ['legacy-*'], include_senders: true}\n"
    rule = UnmanagedRule(
        UnmanagedAction.QUARANTINE, timedelta(minutes=90), ("legacy-*",), True, Source("a.yaml", 3, 12)
    )
    assert load(a=text).state.accounts[0].unmanaged == rule
    assert load(a=H).state.accounts[0].unmanaged == UnmanagedRule()


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (H + "unmanaged: ignore\n", 3, 12),
        (H + '"unmanaged" :   ignore\n', 3, 17),
        (H + "unmanaged:\n  ignore\n", 4, 3),
        (H + 'roles: {r: ["a:\nunmanaged: x"]}\nunmanaged: ignore\n', 5, 12),
        (f"{{version: 1, account: {A},\nunmanaged: ignore}}\n", 2, 12),
        (H + "unmanaged:\n  ignore\nsub_accounts: [{select: {name: x},\nunmanaged: report}]\n", 4, 3),
        (H + "sub_accounts:\n- select: {name: x}\n  unmanaged: report\nunmanaged: ignore\n", 6, 12),
    ],
)
def test_unmanaged_as_a_word_has_an_exact_place(text: str, line: int, column: int) -> None:
    """The place of `unmanaged` is right however the file is laid out."""
    assert load(a=text).state.accounts[0].unmanaged.source == Source("a.yaml", line, column)


def test_files_of_one_account_are_merged() -> None:
    """Several files may name one account, in any spelling; one of them names the credential and the rule."""
    loaded = load(
        a=H + "keys: [{name: z, scopes: []}]\n",
        b=f"version: 1\naccount: {{id: {A.upper()}, credential: prod}}\nkeys: [{{name: a, scopes: []}}]\n",
        c=f"version: 1\naccount: {{id: {A}, credential: prod}}\nunmanaged: ignore\n",
        d=f"version: 1\naccount: {B}\n",
        e="version: 1\nroles: {r: ['*']}\n",
    )
    assert [(each.account, [key.name for key in each.keys]) for each in loaded.state.accounts] == [
        (AccountRef(A, credential="prod"), ["a", "z"]),
        (AccountRef(B), []),
    ]
    assert loaded.sources == ("a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml")


def test_a_rule_for_sub_accounts_is_what_it_says() -> None:
    """A rule has its select, its place and its keys, which have all that keys of an account have."""
    text = (
        H + "defaults: {ip_allow_list: [203.0.113.0/24], owner: o}\nknown_scopes: ['messages:snd:all']\n"
        "roles: {r: ['messages:send:{domain}']}\nsub_accounts:\n"
        "- select: {name: 'Acme *', status: active}\n  keys:\n"
        "  - {name: z, roles: [r], domains: [b.example.com], scopes: ['messages:snd:all']}\n"
        "  - {name: a, state: absent, was: [old]}\n"
        f"- {{select: {{id: {B.upper()}}}, keys: [{{name: z, id: {A}, scopes: []}}], unmanaged: ignore}}\n"
        "-\n  select: {status: parent-suspended}\n  unmanaged: {then: quarantine, min_age: 2d}\n"
    )
    (account,) = load(a=text).state.accounts
    wide, pinned, empty = account.sub_accounts
    assert (account.keys, account.unmanaged) == ((), UnmanagedRule())
    assert wide.select == Selector(name="Acme *", status="active")
    assert (wide.source, wide.unmanaged) == (Source("a.yaml", 7, 3), None)
    assert [(key.name, key.source) for key in wide.keys] == [
        ("a", Source("a.yaml", 10, 5)),
        ("z", Source("a.yaml", 9, 5)),
    ]
    first, last = wide.keys
    assert (first.state, first.was, first.owner) == (KeyState.ABSENT, ("old",), "o")
    assert last.scopes is not None
    assert last.scopes.texts == ("messages:send:{b.example.com}", "messages:snd:all")
    assert last.ip_allow_list is not None
    assert last.ip_allow_list.networks == ("203.0.113.0/24",)
    assert (pinned.select, pinned.keys[0].id) == (Selector(id=B), A)
    assert pinned.unmanaged == UnmanagedRule(UnmanagedAction.IGNORE, source=Source("a.yaml", 11, 140))
    rule = UnmanagedRule(UnmanagedAction.QUARANTINE, timedelta(days=2), source=Source("a.yaml", 14, 14))
    assert empty == SubAccountRule(Selector(status="parent-suspended"), (), Source("a.yaml", 13, 3), rule)


def test_rules_of_several_files_are_put_together() -> None:
    """Rules of one account stand in the order of their places; one name in two different selects is no mistake."""
    rule = "- {{select: {{name: {}}}, keys: [{{name: {}, scopes: []}}]}}\n".format
    first = H + "unmanaged: quarantine\nsub_accounts:\n" + rule("p", "k") + rule("q", "k")
    second = H + "sub_accounts:\n" + rule("p", "m")
    (account,) = load("b.yaml", "a.yaml", a=first, b=second).state.accounts
    assert [(each.select.name, each.source, [key.name for key in each.keys]) for each in account.sub_accounts] == [
        ("p", Source("a.yaml", 5, 3), ["k"]),
        ("q", Source("a.yaml", 6, 3), ["k"]),
        ("p", Source("b.yaml", 4, 3), ["m"]),
    ]
    assert [each.unmanaged for each in account.sub_accounts] == [None] * 3
    assert refused("a.yaml", "b.yaml", a=first, b=second.replace("name: m", "name: k")) == [
        "b.yaml:4:37: name: k is already used at a.yaml:5:30: rename one"
    ]


def test_rules_stand_in_the_order_of_their_places() -> None:
    """The order of rules is that of the files' names as they are shown, not that in which folders are walked."""
    Path("x").mkdir()
    for name in ("x/a.yaml", "x-y.yaml"):
        Path(name).write_text(f"{H}sub_accounts: [{{select: {{name: {name}}}, unmanaged: ignore}}]\n")
    loaded = load("x", "x-y.yaml")
    assert loaded.sources == ("x/a.yaml", "x-y.yaml")
    assert [rule.source.file for rule in loaded.state.accounts[0].sub_accounts] == ["x-y.yaml", "x/a.yaml"]


def test_aliases_may_share_rules_and_their_keys() -> None:
    """What an alias repeats is judged for each rule by itself, and a mistake in it is told wherever it stands."""
    good = H + (
        "sub_accounts:\n- {select: {name: p}, keys: &keys [{name: a, scopes: []}]}\n"
        "- {select: {name: q}, keys: *keys}\n"
    )
    (account,) = load(a=good).state.accounts
    assert [[key.name for key in each.keys] for each in account.sub_accounts] == [["a"], ["a"]]
    assert refused(a=good.replace("scopes: []", "label: 1, scopes: []")) == [
        "a.yaml:4:53: label: 1 is a number: write it in quotes",
        "a.yaml:5:29: label: 1 is a number: write it in quotes",
    ]
    assert refused(a=good.replace("q", "p")) == ["a.yaml:5:29: name: a is already used at a.yaml:4:36: rename one"]


def test_keys_of_sub_accounts_are_noted_with_the_account() -> None:
    """A note about a key of a rule has the key's place, and the account that the rule is in."""
    text = H + "sub_accounts:\n- select: {name: x}\n  keys:\n  - {name: a, label: L, scopes: ['*', 'domains:read']}\n"
    loaded = load(a=text)
    covered = "another scope of the key covers this, so it is left out of what is sent"
    assert noted(loaded) == [("covered-scope", f"domains:read: {covered}", "a", "a.yaml:6:5")]
    assert (loaded.findings[0].account, loaded.findings[0].label) == (AccountRef(A), "L")


def test_what_two_files_say_must_agree() -> None:
    """What may be said once for an account, or in all, is an error the second time, with both places."""
    first = f"version: 1\naccount: {{id: {A}, credential: one}}\nunmanaged: ignore\nroles: {{r: ['*']}}\n"
    second = first.replace("one", "two") + "keys: [{name: a, scopes: []}]\n"
    third = H + "keys: [{name: a, id: null-like, scopes: []}]\n".replace("null-like", B)
    assert refused(a=first, b=second, c=third) == [
        (
            "b.yaml:2:65: credential: two for an account that has the credential one at a.yaml:2:65: "
            "write one of them in both places"
        ),
        "b.yaml:3:1: 'unmanaged' of this account is already set at a.yaml:3:12",
        'b.yaml:4:9: the role "r" is already defined at a.yaml:4:9: keep one',
        "c.yaml:3:15: name: a is already used at b.yaml:5:8: rename one",
    ]


def test_names_and_labels_are_unique_in_their_account_only() -> None:
    """Two accounts may use one name; keys with ids may share a label, also with one that has none."""
    keys = f"keys: [{{name: a, label: X, id: {A}, scopes: []}}, {{name: b, label: X, id: {B}, scopes: []}}, "
    keys += "{name: c, label: X, was: [X], scopes: []}]\n"
    assert len(load(a=H + keys, b=f"version: 1\naccount: {B}\n{keys}").state.accounts) == 2


def test_a_file_that_cannot_be_read_hides_nothing_and_invents_nothing() -> None:
    """A broken file is told with the mistakes of the others, but a role that it may define is not missed."""
    good = H + "keys:\n- {name: a, roles: [r], scopes: [mesages:send:all]}\n"
    syntax, *others = refused(a="roles: [\n", b=good, c="version: 2\n" + H[11:])
    assert syntax.startswith("a.yaml:2:1: ")
    assert others == [
        (
            'b.yaml:4:34: scopes: "mesages:send:all" is not a known scope: write messages:send:all, '
            "or list it under known_scopes if it is right"
        ),
        "c.yaml:1:10: version: 2 is out of range: the limit is 1",
    ]


@pytest.mark.parametrize("text", ["keys: []\nkeys: []\n", "defaults: {owner:\n}\n", "defaults: {owner:\n on}\n"])
def test_what_is_no_clear_document_is_an_error(text: str) -> None:
    """Duplicate keys, nulls and truth values of YAML 1.1 are told at their places."""
    (problem,) = refused(a=H + text)
    assert problem.startswith("a.yaml:4:1: " if "null" not in text and "keys" in text else "a.yaml:")


def test_an_account_is_filled_in() -> None:
    """`${NAME}` is filled in, whole or inside, trimmed and lower-cased."""
    loaded = load(a="version: 1\naccount: ${ACCOUNT}\n", b=f"version: 1\naccount: ${{HALF}}{A[18:]}\n")
    assert [each.account.account_id for each in loaded.state.accounts] == [A, A.replace("1111-", "111a-", 1)]


def test_an_unset_account_is_noted_on_request() -> None:
    """With ``unset="note"`` an account without a value gets a stand-in of its own; a wrong value is still a problem."""
    for name in "XY":
        Path(f"{name}.yaml").write_text(f"version: 1\naccount: ${{{name}}}\nkeys: [{{name: a, scopes: []}}]\n")
    Path("Z.yaml").write_text("version: 1\naccount: {id: 'a${X}-${SECRET}-${X}'}\n")
    loaded = load_desired([Path()], lookup, unset="note")
    assert [each.account.account_id for each in loaded.state.accounts] == ["${X}", "${Y}", "a${X}-${SECRET}-${X}"]
    assert noted(loaded) == [
        ("unset-variable", "account: ${X} has no value", None, "X.yaml:2:10"),
        ("unset-variable", "account: ${Y} has no value", None, "Y.yaml:2:10"),
        ("unset-variable", "account: ${X} has no value", None, "Z.yaml:2:15"),
    ]
    Path("Z.yaml").write_text("version: 1\naccount: ${SECRET}\n")
    with pytest.raises(FilesError) as caught:
        load_desired([Path()], lookup, unset="note")
    assert "hunter2" not in str(caught.value)


def test_odd_scopes_are_noted() -> None:
    """Unknown, repeated and covered scopes load, each with a note that says where."""
    text = (
        H + "known_scopes: ['messages:snd:all', 'messages:send:{domain}']\n"
        "roles:\n  r: ['brand:new', 'new:{domain}']\nkeys:\n"
    )
    text += "- {name: a, scopes: ['messages:snd:all', 'brand:new', 'messages:send:{domain}']}\n"
    text += "- {name: b, label: L, scopes: ['messages:send:all', 'messages:send:a.org', 'messages:send:{A.org}']}\n"
    text += "- {name: c, scopes: ['*'], roles: [r], domains: [a.org]}\n"
    loaded = load(a=text)
    unknown = "is a scope that this version does not know: it is kept and compared by its exact text"
    covered = "another scope of the key covers this, so it is left out of what is sent"
    assert noted(loaded) == [
        ("unknown-scope", f'"brand:new" {unknown}', None, "a.yaml:5:7"),
        ("unknown-scope", f'"new:{{domain}}" {unknown}', None, "a.yaml:5:20"),
        ("unknown-scope", f'"messages:snd:all" {unknown}', "a", "a.yaml:7:3"),
        ("unknown-scope", f'"brand:new" {unknown}', "a", "a.yaml:7:3"),
        ("repeated-scope", "scopes: one of them is listed twice", "b", "a.yaml:8:3"),
        ("covered-scope", f"messages:send:{{a.org}}: {covered}", "b", "a.yaml:8:3"),
        ("covered-scope", f"brand:new, new:{{a.org}}: {covered}", "c", "a.yaml:9:3"),
    ]
    assert loaded.findings[4].account == AccountRef(A)
    assert loaded.findings[4].label == "L"
    assert len(loaded.state.accounts[0].keys[1].scopes or ()) == 2


def test_a_folder_is_read_whole() -> None:
    """A folder is read recursively and sorted; names with a dot are skipped, links inside it followed, once."""
    Path("top/sub").mkdir(parents=True)
    Path("top/..data").mkdir()
    Path("top/sub.yaml").mkdir()
    for number, name in enumerate(["top/b.yml", "top/sub/c.YAML", "top/..data/a.yaml", "top/.d.yaml", "top/e.txt"]):
        Path(name).write_text(f"version: 1\naccount: {A[:-1]}{number}\n")
    Path("top/a.yaml").symlink_to("..data/a.yaml")
    Path("top/again.yaml").symlink_to("b.yml")
    Path("top/inner").symlink_to("sub")
    loaded = load("top", "top", "top/b.yml")
    assert loaded.sources == ("top/a.yaml", "top/again.yaml", "top/sub/c.YAML")
    assert loaded.findings == ()


def test_links_out_of_a_folder_are_noted() -> None:
    """A link that leads out of the folder is not followed, and said so unless its name begins with a dot."""
    Path("out").mkdir()
    Path("in").mkdir()
    Path("out/x.yaml").write_text("nonsense")
    Path("in/a.yaml").write_text(H)
    for name, target in {"b.yaml": "x.yaml", "c": ".", ".d": ".", "e.txt": "x.yaml", "f.yaml": "gone"}.items():
        Path(f"in/{name}").symlink_to(f"../out/{target}")
    message = "is a link that leads out of its folder: it was not followed"
    assert [(finding.rule, finding.message) for finding in load("in").findings] == [
        ("link-not-followed", f"{link} {message}") for link in ("in/b.yaml", "in/c", "in/f.yaml")
    ]


def test_paths_that_hold_nothing_are_errors() -> None:
    """A missing path, a folder without YAML files, a broken or circular link inside, a folder that cannot be read."""
    Path("empty/sub").mkdir(parents=True)
    Path("broken").mkdir()
    Path("broken/a.yaml").symlink_to("b.yaml")
    Path("broken/c.yaml").symlink_to("c.yaml")
    assert refused("empty", "broken", "gone.yaml") == [
        "broken/a.yaml: cannot be read: no such file or directory",
        "broken/c.yaml: cannot be read: too many levels of symbolic links",
        (
            "empty: holds no desired-state file (*.yaml, *.yml): nothing to do; "
            "`reconciler export` writes them from the account"
        ),
        "gone.yaml: cannot be read: no such file or directory",
    ]


def test_a_folder_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed is told, not skipped."""

    def denied(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    Path("a.yaml").write_text(H + "keys: [{name: a, roles: [r]}]")
    monkeypatch.setattr(os, "scandir", denied)
    assert refused(".", "a.yaml") == [".: cannot be read: permission denied"]


def test_a_path_is_shown_on_one_line() -> None:
    """A file's name may hold anything, but a message stays one line of readable text."""
    Path("a\nb.yaml").write_text("")
    Path(os.fsdecode(b"\xff.yaml")).write_text("")
    assert [problem.split(": ")[0] for problem in refused(".")] == [r"\xff.yaml", r"a\x0ab.yaml"]


def test_a_run_reads_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files together may not pass the limit of a run; what lies beyond it is not judged."""
    monkeypatch.setattr(desired, "MAX_RUN_BYTES", 1024 * 1024)
    comment = f"# {'x' * 600_000}\n"
    problems = refused(a=comment + H + "keys: [{name: a, roles: [r]}]", b=comment, c="nonsense")
    assert problems == ["b.yaml: the files hold more than 1 MiB together: read fewer in one run"]


def test_problems_of_one_file_are_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many problems of a file the rest of it is only said to exist."""
    monkeypatch.setattr(shape, "MAX_PROBLEMS", 2)
    problems = refused(a=H + "keys:\n" + "".join(f"- {{name: n{n}}}\n" for n in range(9)))
    assert len(problems) == 3
    assert "a.yaml:6:3: more than 2 problems: the rest is not shown" in problems


def test_a_file_that_vanishes_is_shown_without_a_place() -> None:
    """A file that is gone when its places are looked up still has its problems told."""
    Path("a.yaml").write_text("version: 1\naccount: ${GONE}\n")

    def removing(_name: str) -> None:
        Path("a.yaml").unlink()

    with pytest.raises(FilesError, match=r"^a\.yaml: account: \$\{GONE\} has no value"):
        load_desired([Path("a.yaml")], removing)


def test_the_schema_is_the_one_in_the_repository() -> None:
    """The copy that editors use is what this version accepts."""
    assert SCHEMA.read_text() == json.dumps(desired_schema(), indent=2) + "\n"


def test_the_schema_offers_no_null_and_describes_every_field() -> None:
    """No field may be null, every object is closed, and every field says what it is for."""
    schema = desired_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "null" not in json.dumps(schema)
    for node in (schema, *schema["$defs"].values()):
        assert node["additionalProperties"] is False
        assert all(each["description"] for each in node["properties"].values())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_fits_the_schema(path: Path) -> None:
    """Each example names the schema that it fits."""
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../../schema/desired.schema.json\n")
    jsonschema.validate(parse(text, path.name), desired_schema())


def test_the_examples_load() -> None:
    """The examples together are a desired state without remarks."""
    loaded = load_desired([EXAMPLES], {"AHASEND_ACCOUNT_ID": A}.get)
    assert loaded.findings == ()
    assert [len(account.keys) for account in loaded.state.accounts] == [4, 1, 1]
    assert [len(rule.keys) for account in loaded.state.accounts for rule in account.sub_accounts] == [1, 1]


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1},
        {"version": 1, "roles": {"r": ["*"]}, "keys": []},
        {"version": 1, "account": A, "keys": [{"name": "a"}]},
        {"version": 1, "account": A, "keys": [{"name": "a", "scopes": None}]},
        {"version": 1, "account": A, "keys": [{"name": "a", "scope": []}]},
        {"version": 1, "account": A, "unmanaged": "delete"},
        {"version": 1, "roles": {"r": ["*"]}, "sub_accounts": []},
        {"version": 1, "account": A, "sub_accounts": [{"unmanaged": "ignore"}]},
        {"version": 1, "account": A, "sub_accounts": [{"select": {}, "unmanaged": "ignore"}]},
        {"version": 1, "account": A, "sub_accounts": [{"select": {"status": "deleted"}, "unmanaged": "ignore"}]},
        {"version": 1, "account": A, "sub_accounts": [{"select": {"name": "*"}}]},
        {"version": 1, "account": A, "sub_accounts": [{"select": {"name": "*"}, "keys": []}]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(document: dict[str, object]) -> None:
    """What an editor does not mark should load; so the schema refuses missing fields as well."""
    assert not jsonschema.Draft202012Validator(desired_schema()).is_valid(document)


@pytest.mark.parametrize("scope", ["messages:send:{example,com}", "messages:send:{localhost}", "messages:read:{a..b}"])
@pytest.mark.parametrize("place", ["keys", "roles"])
def test_a_scope_for_what_is_no_domain(tmp_path: Path, scope: str, place: str) -> None:
    """A comma for a dot is a mistake, in a key as in a role, unless the file says that the scope is right."""
    head = "version: 1\naccount: 11111111-1111-4111-8111-111111111111\n"
    keys = f'keys: [{{name: a, scopes: ["{scope}"]}}]\n' if place == "keys" else "keys: []\n"
    roles = f'roles: {{r: ["{scope}"]}}\n' if place == "roles" else ""
    path = tmp_path / "a.yaml"
    path.write_text(head + roles + keys)
    with pytest.raises(FilesError, match="is not a domain name"):
        load_desired([path], lambda _: None)
    path.write_text(head + f'known_scopes: ["{scope}"]\n' + roles + keys)
    assert load_desired([path], lambda _: None).state.accounts
