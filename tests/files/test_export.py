"""What is written for an account, and how it reaches its file."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.keys import AccountRef, RemoteKey, RemoteSubAccount, Selector
from reconciler.core.networks import AllowList
from reconciler.core.scopes import ScopeSet
from reconciler.files.desired import load_desired
from reconciler.files.export import SubAccountKeys, export_account
from reconciler.files.whole import write_whole

ACCOUNT = AccountRef("11111111-1111-4111-8111-111111111111")
HEADER = """\
# Written by `reconciler export`: the API keys of one AhaSend account as they are.
# Keep it in Git, name an owner for each key, and remove what a key does not need;
# then `reconciler plan` shows what that would change.
version: 1
"""


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def key(number: int, label: str, scopes: tuple[str, ...] = ("*",), networks: tuple[str, ...] = ()) -> RemoteKey:
    return RemoteKey(
        uuid(number), label, ScopeSet.parse(scopes), AllowList.parse(networks), datetime(2026, 1, 1, tzinfo=UTC)
    )


def below(number: int, name: str, *keys: RemoteKey, status: str = "active") -> SubAccountKeys:
    return SubAccountKeys(RemoteSubAccount(uuid(number), name, status), keys)


def names(*labels: str) -> list[str]:
    text = export_account(ACCOUNT, [key(number, label) for number, label in enumerate(labels)])
    return [line.split(": ")[1].strip('"') for line in text.splitlines() if line.startswith("  - name:")]


def test_an_export_reads_well() -> None:
    """The text is the one that a careful person would write, in a stable order."""
    keys = [
        key(2, "Storefront", ("messages:send:b.org", "messages:send:all", "domains:read"), ("203.0.113.9",)),
        key(1, "old importer", ("*",), ("192.0.2.1",)),
        key(3, "empty", ()),
        key(4, "7", ("messages:snd:all", "brand:new")),
    ]
    text = export_account(ACCOUNT, keys)
    assert text == export_account(ACCOUNT, reversed(keys))
    assert text == HEADER + (
        "account: 11111111-1111-4111-8111-111111111111\n"
        'known_scopes:\n  - "messages:snd:all"\n'
        "keys:\n"
        '  - name: "7"\n    label: "7"\n    id: 00000004-0000-4000-8000-000000000000\n    state: present\n'
        '    scopes:\n      - "brand:new"\n      - "messages:snd:all"\n    ip_allow_list: [] # usable from anywhere\n'
        '  - name: empty\n    label: "empty"\n    id: 00000003-0000-4000-8000-000000000000\n    state: present\n'
        "    scopes: []\n    ip_allow_list: [] # usable from anywhere\n"
        '  - name: old-importer\n    label: "old importer"\n    id: 00000001-0000-4000-8000-000000000000\n'
        '    state: quarantined\n    scopes:\n      - "*"\n    ip_allow_list:\n      - "192.0.2.1/32"\n'
        '  - name: storefront\n    label: "Storefront"\n    id: 00000002-0000-4000-8000-000000000000\n'
        '    state: present\n    scopes:\n      - "domains:read"\n      - "messages:send:all"\n'
        '    ip_allow_list:\n      - "203.0.113.9/32"\n'
    )


def test_a_credential_and_an_empty_account_are_written() -> None:
    """The account's credential is named; an account without keys is a file without keys."""
    text = export_account(AccountRef(ACCOUNT.account_id, credential="prod"), [])
    assert text == HEADER + f"account:\n  id: {ACCOUNT.account_id}\n  credential: prod\nkeys: []\n"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("Shop (new) & Co",), ["shop-new-co"]),
        (("shop", "Shop!"), ["shop-00000000", "shop-00000001"]),
        (("", "日本", "é"), ["key-00000001", "key-00000002"]),
        (("x" * 80,), ["x" * 63]),
        (("x" * 80, "x" * 81), [f"{'x' * 54}-00000000", f"{'x' * 54}-00000001"]),
        (("shop", "shop", "shop 00000000"), [f"key-{uuid(0)}", f"key-{uuid(2)}", "shop-00000001"]),
        ((f"key {uuid(7)}",), [f"key-{uuid(7)}"[:54] + "-00000000"]),
        (("on", "1e5", "true"), ["1e5", "on", "true"]),
    ],
)
def test_names_come_from_labels(labels: tuple[str, ...], expected: list[str]) -> None:
    """A name is its label's slug; namesakes and empty ones are told apart by ids, so that a new key renames none."""
    assert names(*labels) == expected


def test_a_list_that_a_file_may_not_hold_is_left_as_it_is() -> None:
    """What the loader would refuse is not written; a comment says why, and the file loads."""
    lists = [("0.0.0.0/0",), ("::ffff:203.0.113.9",), tuple(f"198.51.100.{number}" for number in range(101))]
    text = export_account(ACCOUNT, [key(number, f"k{number}", ("*",), each) for number, each in enumerate(lists)])
    comments = [line.partition("left as it is: ")[2] for line in text.splitlines() if "left as it is" in line]
    assert comments == [
        "'0.0.0.0/0' allows every address and the API refuses it: write [] for 'usable from anywhere'",
        "'::ffff:cb00:7109/128' is an IPv4 address written as IPv6, which no caller has: write '203.0.113.9/32'",
        "it holds 101 networks, and a file may list 100",
    ]


def test_a_key_that_a_file_cannot_name_is_left_out() -> None:
    """A label of no or too many characters, or of halves of them, is said in a comment of one line."""
    text = export_account(ACCOUNT, [key(1, ""), key(2, "x" * 256), key(3, "\ud800"), key(4, "a\n# b")])
    assert [line for line in text.splitlines() if line.startswith("# Left")] == [
        f"# Left out: key {uuid(1)}, whose label has 0 characters (1 to 255 can be written).",
        f"# Left out: key {uuid(2)}, whose label has 256 characters (1 to 255 can be written).",
        f"# Left out: key {uuid(3)}, whose label or scopes hold characters that no text file can.",
    ]
    assert text.count("  - name:") == 1


@pytest.mark.parametrize(
    "label", ['"\\/', "a\nb: c # d", "\x00\x1f\x7f\x85\xa0", "\u2028\u2029\ufeff", "😀 日本", "- ", "~"]
)
def test_any_label_comes_back(label: str, tmp_path: Path) -> None:
    """Whatever a label holds, it is one line of the file and comes back as it was."""
    text = export_account(ACCOUNT, [key(1, label)])
    assert len(text.splitlines()) == len(export_account(ACCOUNT, [key(1, "a")]).splitlines())
    path = tmp_path / "a.yaml"
    write_whole(path, text, overwrite=False)
    assert load_desired([path], lambda _: None).state.accounts[0].keys[0].label == label


def test_sub_accounts_are_written_as_rules() -> None:
    """Each sub account is a rule that selects its id, with its name in a comment; a comment says what is left out."""
    sub_accounts = [
        below(13, "Empty"),
        below(12, "Gone", key(9, "shop", ("messages:snd:all",)), status="suspended"),
        below(11, "Acme", key(4, "shop", ("messages:snd:all",)), key(3, "Shop", ("*",), ("192.0.2.1",)), key(2, "")),
        below(14, "Odd", key(7, "")),
        below(10, "Zed", key(8, "shop")),
    ]
    text = export_account(ACCOUNT, [key(5, "shop"), key(6, "")], sub_accounts)
    assert text == export_account(ACCOUNT, [key(6, ""), key(5, "shop")], reversed(sub_accounts))
    assert text == HEADER + (
        f"account: {ACCOUNT.account_id}\n"
        'known_scopes:\n  - "messages:snd:all"\n'
        f'keys:\n  - name: shop\n    label: "shop"\n    id: {uuid(5)}\n    state: present\n'
        '    scopes:\n      - "*"\n    ip_allow_list: [] # usable from anywhere\n'
        "sub_accounts:\n"
        f"  # Zed\n  - select: {{id: {uuid(10)}}}\n    keys:\n"
        f'      - name: shop\n        label: "shop"\n        id: {uuid(8)}\n        state: present\n'
        '        scopes:\n          - "*"\n        ip_allow_list: [] # usable from anywhere\n'
        f"  # Acme\n  - select: {{id: {uuid(11)}}}\n    keys:\n"
        f'      - name: "shop-00000003"\n        label: "Shop"\n        id: {uuid(3)}\n        state: quarantined\n'
        '        scopes:\n          - "*"\n        ip_allow_list:\n          - "192.0.2.1/32"\n'
        f'      - name: "shop-00000004"\n        label: "shop"\n        id: {uuid(4)}\n        state: present\n'
        '        scopes:\n          - "messages:snd:all"\n        ip_allow_list: [] # usable from anywhere\n'
        f"# Left out: key {uuid(6)}, whose label has 0 characters (1 to 255 can be written).\n"
        f'# Left out: key {uuid(2)} of sub account {uuid(11)} "Acme", '
        "whose label has 0 characters (1 to 255 can be written).\n"
        f'# Left out: sub account {uuid(12)} "Gone", which is suspended: '
        "its keys are of no use at present, and left alone.\n"
        f'# Left out: sub account {uuid(13)} "Empty", which has no keys.\n'
        f'# Left out: key {uuid(7)} of sub account {uuid(14)} "Odd", '
        "whose label has 0 characters (1 to 255 can be written).\n"
    )


@pytest.mark.parametrize("status", ["active", "suspended", "new\n- word"])
@pytest.mark.parametrize(
    "name",
    [
        "a\n  - select: {name: '*'}",
        "\r\n\x00\x85",
        "\u2028\u2029\ufeff\ud800",
        "# : {",
        '"',
        "x" * 10_000,
        "\u202e",
        "",
    ],
)
def test_no_name_of_a_sub_account_breaks_out_of_its_comment(name: str, status: str, tmp_path: Path) -> None:
    """Whatever a sub account is called, the file has one rule for it, or none, and no line is endless."""
    text = export_account(ACCOUNT, [], [below(1, name, key(2, "a"), status=status), below(3, name)])
    expected = export_account(ACCOUNT, [], [below(1, "Acme", key(2, "a"), status=status), below(3, "Acme")])
    assert [line for line in text.split("\n") if "#" not in line] == [
        line for line in expected.split("\n") if "#" not in line
    ]
    assert all(line.isprintable() and len(line) < 300 for line in text.split("\n"))
    path = tmp_path / "a.yaml"
    write_whole(path, text, overwrite=False)
    (account,) = load_desired([path], lambda _: None).state.accounts
    assert [rule.select for rule in account.sub_accounts] == [Selector(id=uuid(1))] * (status == "active")


def test_what_a_left_out_key_may_do_is_not_written() -> None:
    """A scope of a key that is left out, or of a suspended sub account, is not listed as known."""
    odd = ("messages:snd:all",)
    text = export_account(ACCOUNT, [key(1, "", odd)], [below(2, "x", key(3, "a", odd), status="parent-suspended")])
    assert "known_scopes" not in text
    assert "snd" not in text


def test_secrets_are_left_out(tmp_path: Path) -> None:
    """What looks like a secret key, where it should never be, is not written; the file loads, and says what to do."""
    secret = "aha-sk-" + "s" * 64
    labelled = replace(key(1, "a"), label=secret)
    text = export_account(ACCOUNT, [labelled, key(2, "b")], [below(1, f"Acme {secret}", key(3, "c"))])
    assert "sss" not in text
    assert "whose label or scopes hold what looks like a secret key" in text
    path = tmp_path / "a.yaml"
    path.write_text(text)
    (account,) = load_desired([path], lambda _: None).state.accounts
    assert [spec.name for spec in account.keys] == ["b"]


def test_a_domain_that_is_none(tmp_path: Path) -> None:
    """A scope that the account has and whose target no file would be believed to mean is marked as right."""
    odd = replace(key(1, "a"), scopes=ScopeSet.parse(["messages:send:{localhost}"]))
    path = tmp_path / "a.yaml"
    path.write_text(export_account(ACCOUNT, [odd]))
    (account,) = load_desired([path], lambda _: None).state.accounts
    assert account.keys[0].scopes == odd.scopes
