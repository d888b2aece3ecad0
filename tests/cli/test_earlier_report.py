"""What ``audit --since`` makes of earlier reports: old and new ones, large ones, and those that cannot be compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from shell import Shell
from world import ACCOUNT, key, key_id

Document = dict[str, Any]


@pytest.fixture
def earlier(shell: Shell) -> Document:
    """An audit of the shell's account, saved before the shop's key was made wider."""
    Path("config/policy.yaml").write_text("version: 1\n", encoding="utf-8")
    assert shell.run("audit", "-o", "json") == 0
    shell.drift("*")
    return shell.report()


def audit(shell: Shell, document: Document) -> tuple[int, Document]:
    """Compare with a report; gives the exit code and what became of keys."""
    Path("earlier.json").write_text(json.dumps(document), encoding="utf-8")
    code = shell.run("audit", "--since", "earlier.json", "-o", "json")
    return code, shell.report()["since"] if shell.out else {}


def inventory(document: Document) -> list[Document]:
    return list(document["accounts"][0]["inventory"])


def test_a_key_that_changed_since(shell: Shell, earlier: Document) -> None:
    """A key that was made wider by hand is told with what that grants, as is one that somebody made, or deleted."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"].append(key(2, "new", "domains:read"))
    shell.emulator.load(state)
    earlier["accounts"][0]["inventory"].append({**inventory(earlier)[0], "key_id": key_id(3), "label": "old"})
    code, since = audit(shell, earlier)
    assert (code, since["not_compared"]) == (0, 0)
    assert [(each["key_id"], each["what"], each["label"]) for each in since["keys"]] == [
        (key_id(1), "changed", "shop"),
        (key_id(2), "appeared", "new"),
        (key_id(3), "gone", "old"),
    ]
    assert since["keys"][0]["fields"]["scopes"] == {"before": ["messages:send:{shop.example.com}"], "after": ["*"]}
    assert since["keys"][0]["access"]["direction"] == "widen"


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        (["office"], "'office' is not an IPv4 or IPv6 address or CIDR block"),
        (["203.0.113.0/24", "203.0.113.0/33"], "'203.0.113.0/33' is not an IPv4 or IPv6 address or CIDR block"),
        (["fe80::1%eth0"], "'fe80::1%eth0' has a zone, which means nothing to a server elsewhere: leave it out"),
        (["\x1b[2Jaha-sk-12345678"], "'\\x1b[2Jaha-sk-***' is not an IPv4 or IPv6 address or CIDR block"),
    ],
)
def test_an_earlier_report_with_what_is_no_network(
    shell: Shell, earlier: Document, networks: list[str], told: str
) -> None:
    """A report whose allow lists cannot be read is refused, whatever key has them, before anything is asked."""
    for account in (0, 1):
        document = json.loads(json.dumps(earlier))
        document["accounts"].append({**document["accounts"][0], "account_id": ACCOUNT[::-1]})
        document["accounts"][account]["inventory"][1]["ip_allow_list"] = networks
        code, since = audit(shell, document)
        assert (code, since) == (1, {})
        assert shell.err == (
            f"earlier.json: has an ip_allow_list that cannot be read: {told}\n"
            "error: 1 problem in the files, nothing was done\n"
        )
    assert shell.emulator.requests["GET"] == 1, "that of the audit which was saved"


def test_an_earlier_report_in_another_spelling(shell: Shell, earlier: Document) -> None:
    """Networks and scopes that a report spells in another way are the same."""
    shell.drift("messages:send:{shop.example.com}")
    shop = inventory(earlier)[1]
    shop["ip_allow_list"] = ["203.0.113.128/25", " 203.0.113.5/25"]
    shop["scopes"] = ["messages:send:Shop.Example.com."]
    assert audit(shell, earlier)[1]["keys"] == []


def test_an_older_report(shell: Shell, earlier: Document) -> None:
    """A report from before keys were told is compared for its findings; that its account is not is counted."""
    for name in ("as_of", "rules", "waivers", "since"):
        del earlier[name]
    for account in earlier["accounts"]:
        del account["inventory"]
    code, since = audit(shell, earlier)
    assert (code, since["keys"], since["not_compared"], since["run_id"]) == (0, [], 1, earlier["run_id"])


def test_a_newer_report(shell: Shell, earlier: Document) -> None:
    """A report of a newer version is compared by what this one knows of it."""
    earlier |= {"version": "99.0.0", "weather": {"fine": True}}
    earlier["accounts"][0]["colour"] = "red"
    for one in inventory(earlier):
        one["keeper"] = ["Zoë"]
    code, since = audit(shell, earlier)
    assert (code, [each["key_id"] for each in since["keys"]]) == (0, [key_id(1)])


def test_a_much_larger_report(shell: Shell, earlier: Document) -> None:
    """An account that had thousands of keys and has two by now has lost them all, each told once."""
    many = [{**inventory(earlier)[1], "key_id": key_id(number)} for number in range(1000, 6000)]
    earlier["accounts"][0]["inventory"] += many
    code, since = audit(shell, earlier)
    assert (code, len(since["keys"])) == (0, 5001)
    assert [each["what"] for each in since["keys"]] == ["changed", *["gone"] * 5000]
