"""``reconciler who-can`` and ``reconciler explain`` as their users meet them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reconciler.ahasend.pace import Stop
from reconciler.cli.wiring import looking_at
from reconciler.core.keys import DesiredState
from reconciler.reconcile import Live, PassInputs
from shell import FILES, SHOP, Shell
from world import ACCOUNT, FAMILY_MANAGER, OTHER, TOKEN, key, key_id, sub_account

WHO = ("who-can", "messages:send", "shop.example.com")
UNREAD_OTHER = f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n"


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


# who-can


def test_who_can(shell: Shell) -> None:
    """Each key that can is told with the files' word and the account's; nothing but GETs was sent."""
    shell.drift("*")
    assert shell.run(*WHO) == 0
    assert shell.out == (
        f"Who can {SHOP}\n\n"
        f"Account {ACCOUNT}\n"
        f"  shop  key {key_id(1)}\n"
        f"    files    by {SHOP}, from 203.0.113.0/24\n"
        "    account  by *, from 203.0.113.0/24\n"
        "    config/keys/keys.yaml:6\n"
    )
    assert shell.err == ""
    assert (shell.emulator.requests["GET"], shell.emulator.requests["PUT"]) == (1, 0)


@pytest.mark.parametrize("what", [("messages:send", "Shop.Example.com."), (SHOP,), ("messages:send:shop.example.com",)])
def test_what_may_be_written_in_other_ways(shell: Shell, what: tuple[str, ...]) -> None:
    """A domain is the same in any spelling, as an argument of its own or in the scope."""
    assert shell.run("who-can", *what, "-o", "json") == 0
    answer = json.loads(shell.out)
    assert (answer["scope"], [each["name"] for each in answer["keys"]], answer["unread"]) == (SHOP, ["shop"], [])


def test_who_can_do_what_is_for_no_domain(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scope without a domain is asked for as it is; RECONCILER_ANSWER says how to answer."""
    assert shell.run("who-can", "api-keys:write") == 0
    assert "\n  reconciler  key " in shell.out
    assert shell.run("who-can", "messages:send:all") == 0
    assert shell.out.endswith("\nNobody can, by the files or in the accounts.\n")
    monkeypatch.setenv("RECONCILER_ANSWER", "json")
    assert shell.run("who-can", "api-keys:write") == 0
    assert [each["label"] for each in json.loads(shell.out)["keys"]] == ["reconciler"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["messages:send"], "messages:send is for a domain: name one, or ask for messages:send:all, which is every"),
        (["domains:read", "shop.example.com"], "domains:read is for no domain: leave 'shop.example.com' out"),
        (["*", "shop.example.com"], "'*' for 'shop.example.com' is nothing that a key can do; for a domain there are"),
        (["messages:send", ""], "'messages:send' for '' is nothing that a key can do; for a domain there are domains:"),
        (["messages:send:all", "shop.example.com"], "is nothing that a key can do"),
        (["message:send", "shop.example.com"], "is nothing that a key can do: did you mean messages:send?"),
        (["messages:send", "a.example", "b.example"], "Got unexpected extra argument"),
        ([], "Missing argument 'WHAT'"),
        (["api-keys:read", "-o", "xml"], "'xml' is not one of 'text', 'json'"),
        (["api-keys:read", "--allow", "coverage"], "No such option '--allow'"),
        (["api-keys:read", "--actual", "x", "--check-domains"], "a saved listing holds no domains"),
    ],
)
def test_wrong_usage_of_who_can(shell: Shell, arguments: list[str], told: str) -> None:
    """What no key can do, what needs a domain, and what is unknown is wrong usage, before anything is asked."""
    assert shell.run("who-can", *arguments) == 64
    assert told in shell.err
    assert shell.out == ""
    assert shell.emulator.requests["GET"] == 0


def test_who_can_where_not_all_could_be_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read is told, and exits 4; where nothing could, 1. No secret is shown."""
    write("config/keys/other.yaml", UNREAD_OTHER)
    assert shell.run(*WHO, "-o", "json") == 4
    (unread,) = json.loads(shell.out)["unread"]
    assert unread["owner"] == {"account_id": OTHER, "sub_account_id": None, "name": None}
    assert "AHASEND_API_KEY_OTHER is not set" in unread["error"]
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-wrong")
    assert shell.run(*WHO) == 1
    assert "Nobody can, in what could be read.\n" in shell.out
    assert shell.out.count("FAILED") == 2
    assert "aha-sk-wrong" not in shell.out + shell.err


def test_who_can_in_sub_accounts(shell: Shell) -> None:
    """Keys of sub accounts that the files select are told with the name of theirs."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    state["accounts"][0]["sub_accounts"] = [sub_account(1, "Acme East", key(11, "sender", SHOP))]
    shell.emulator.load(state)
    shell.write(
        FILES + 'sub_accounts: [{select: {name: "Acme *"}, keys: [{name: sender, scopes: ["domains:read"]}]}]\n'
    )
    assert shell.run(*WHO, "-o", "json") == 0
    assert [(each["name"], each["sub_account_name"]) for each in json.loads(shell.out)["keys"]] == [
        ("shop", None),
        ("sender", "Acme East"),
    ]


def test_who_is_not_asked_about(shell: Shell) -> None:
    """Accounts of a saved listing that no file names are told: nobody knows what their keys can do."""
    assert shell.run("export", "--actual", "listing.json") == 0
    listing = json.loads(Path("listing.json").read_text(encoding="utf-8"))
    listing["accounts"].append(listing["accounts"][0] | {"account_id": OTHER})
    write("listing.json", json.dumps(listing))
    for command in (WHO, ("explain", "nobody"), ("explain", "shop")):
        shell.run(*command, "--actual", "listing.json")
        told = " ".join((shell.err if command == ("explain", "nobody") else shell.out).split())
        assert f"account {OTHER} is in the listing, but no file names it" in told, command


def test_who_can_without_files(shell: Shell) -> None:
    """Without files the keys of the account are looked at all the same, and that there are none is said."""
    Path("config/keys/keys.yaml").unlink()
    assert shell.run(*WHO) == 0
    assert "    files    no file names it\n" in shell.out
    assert shell.out.endswith("\n\nnote  there are no files in config/keys, so that every key counts as unmanaged\n")


def test_who_may_be_able(shell: Shell) -> None:
    """A key that may be one of the files', or that nobody can reach, is marked, in JSON too."""
    state = shell.emulator.dump()
    twins = [key(2, "twin", SHOP), key(3, "twin", "*", ip_allow_list=["10.0.0.0/8"])]
    state["accounts"][0]["keys"] += [*twins, key(4, "stray", SHOP)]
    shell.emulator.load(state)
    shell.write(FILES + '  - {name: twin, scopes: ["domains:read"]}\n')
    assert shell.run(*WHO) == 0
    assert shell.out.endswith(
        f'  unmanaged key  "stray"  key {key_id(4)}\n'
        "    files    no file names it\n"
        f"    account  by {SHOP}, from 203.0.113.0/24\n"
        f'  key that may be a desired one  "twin"  key {key_id(2)}\n'
        "    files    cannot be told\n"
        f"    account  by {SHOP}, from 203.0.113.0/24\n"
        f'  key that may be a desired one  "twin"  key {key_id(3)}\n'
        "    files    cannot be told\n"
        "    account  nobody on the public IPv4 internet is on its list, so not now; by *, from 10.0.0.0/8\n"
    )
    assert shell.run(*WHO, "-o", "json") == 0
    told = [(each["key_id"], each["unclear"], each["actual"]["reachable"]) for each in json.loads(shell.out)["keys"]]
    assert told == [
        (key_id(1), False, True),
        (key_id(4), False, True),
        (key_id(2), True, True),
        (key_id(3), True, False),
    ]


def test_who_can_do_what_is_not_known(shell: Shell) -> None:
    """A scope that this version does not know is asked for as it is, which is said, and of no other that files have."""
    shell.drift("brand:new", "domains:read")
    told = "brand:new is a scope that this version does not know: it is compared by its text"
    assert shell.run("who-can", "brand:new") == 0
    assert "    account  by brand:new, from 203.0.113.0/24\n" in shell.out
    assert shell.out.endswith(f"\n\nnote  {told}\n")
    assert shell.run("who-can", "brand:new", "-o", "json") == 0
    assert json.loads(shell.out)["notes"] == [told]
    shell.write(FILES + '  - {name: odd, scopes: ["brand:new"]}\n')
    assert shell.run("validate") == 0
    assert '"brand:new" is a scope that this version does not know' in shell.out
    assert shell.run("who-can", "domains:read", "-o", "json") == 0
    assert json.loads(shell.out)["notes"] == []


@pytest.mark.parametrize(
    ("what", "meant"),
    [
        ("mesages:send:all", "messages:send:all"),
        ("message:send", "messages:send DOMAIN or messages:send:all"),
        ("messages:sned", "messages:send DOMAIN or messages:send:all"),
        ("api-key:read", "api-keys:read"),
        ("messages:send:{a b}", "messages:send:{example.com}"),
    ],
)
def test_who_can_do_what_is_misspelt(shell: Shell, what: str, meant: str) -> None:
    """A scope near one that there is was meant to be that one, unless the files or an account have it as it is."""
    assert shell.run("who-can", what) == 64
    assert f"{what!r} is not a known scope, and no key has it: did you mean {meant}?\n" in shell.err
    assert shell.out == ""
    shell.write(FILES + f'  - {{name: odd, scopes: ["{what}"]}}\nknown_scopes: ["{what}"]\n')
    assert shell.run("who-can", what) == 0
    shell.write(FILES)
    shell.drift(what)
    assert shell.run("who-can", what) == 0
    assert f"    account  by {what}, from" in shell.out


def test_who_can_shows_no_secret(shell: Shell) -> None:
    """A secret that somebody made a label is masked."""
    shell.drift(label=TOKEN)
    for form in ("text", "json"):
        assert shell.run(*WHO, "-o", form) == 0
        assert "aha-sk-***" in shell.out
        assert TOKEN not in shell.out + shell.err


# explain


def test_explain(shell: Shell) -> None:
    """A key is explained by its name, id or label: what it may do, what rules say, and what would be done."""
    shell.drift("domains:read", label="Shop")
    shell.write(FILES.replace("name: shop,", "name: shop, label: Shop,"))
    write("config/policy.yaml", "version: 1\nrules: [{id: owned, uses: require-owner, severity: deny}]\n")
    answers = set()
    for which in ("shop", key_id(1), "Shop"):
        assert shell.run("explain", which) == 0
        answers.add(shell.out)
    (answer,) = answers
    assert answer.startswith(f'shop  "Shop"\n  of        Account {ACCOUNT}\n  key       {key_id(1)}\n')
    assert "  BROKEN  owned (deny)\n          shop has no owner\n          hint: write 'owner: <team>'\n" in answer
    assert answer.endswith("      why       owned: shop has no owner\n")
    assert shell.err == ""
    assert shell.emulator.requests["PUT"] == 0


def test_explain_what_is_let_through(shell: Shell) -> None:
    """What a guardrail holds back says so; with --allow it is shown as it would be."""
    shell.drift(ip_allow_list=["192.0.2.1/32"])
    assert shell.run("explain", "shop") == 0
    assert "  ^ restore  shop  widens  refused\n" in shell.out
    assert "let it through with --allow restore" in " ".join(shell.out.split())
    assert shell.run("explain", "shop", "--allow", "restore") == 0
    assert "  ^ restore  shop  widens\n" in shell.out


@pytest.mark.parametrize(
    ("which", "hint"),
    [
        ("shpo", "did you mean 'shop'?"),
        ("stray shop", "did you mean 'stray shop!' or 'shop'?"),
        ("zzzz", "`reconciler audit -o json` lists them all"),
    ],
)
def test_a_key_that_there_is_not(shell: Shell, which: str, hint: str) -> None:
    """No such key exits 1 with the nearest names and labels."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"].append(key(5, "stray shop!", "domains:read"))
    shell.emulator.load(state)
    assert shell.run("explain", which) == 1
    assert shell.err == f"error: no key has the name, the id or the label {which!r}\n  hint: {hint}\n"
    assert shell.out == ""


def test_explain_where_not_all_could_be_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that could not be read is told below; a key that is not found may be one of its."""
    write("config/keys/other.yaml", UNREAD_OTHER)
    nobody = "\n\nnote  no key has the name, the id or the label 'elsewhere' in what could be read\n"
    for which in ("shop", "elsewhere"):
        assert shell.run("explain", which) == 4
        assert f"Account {OTHER}  FAILED\n" in shell.out
        assert shell.out.endswith(nobody) is (which == "elsewhere")
        assert ("note  " in shell.out) is (which == "elsewhere")
        assert shell.err == ""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-wrong")
    assert shell.run("explain", "shop") == 1
    assert "aha-sk-wrong" not in shell.out


def test_explain_a_key_that_cannot_be_told(shell: Shell) -> None:
    """Where two keys could be meant that stands instead of the id, and both of them are explained below."""
    shell.drift(label="reconciler")
    assert shell.run("explain", "reconciler") == 0
    told = f" key cannot be told: 2 keys could be meant, {key_id(0)}, {key_id(1)}: pin the id file "
    assert " ".join(shell.out.split()).count(told) == 1
    assert [line for line in shell.out.splitlines() if line.startswith("  key       aaaa")] == [
        f"  key       {key_id(0)}",
        f"  key       {key_id(1)}",
    ]
    assert shell.out.count('key that may be a desired one  "reconciler"\n') == 2


def test_explain_a_key_that_is_to_be_fenced(shell: Shell) -> None:
    """What a rule about changes says of switching off a key of no file is told with the change."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"].append(key(5, "stray", "domains:read"))
    shell.emulator.load(state)
    shell.write(f"{FILES}unmanaged: {{then: quarantine}}\n")
    rule = (
        "{id: asked, when: 'change.action == \"quarantine\"', message: '{key.label} goes', severity: deny, hint: ask}"
    )
    write("config/policy.yaml", f"version: 1\nrules: [{rule}]\n")
    assert shell.run("explain", "stray") == 0
    assert "  BROKEN  asked (deny)\n          stray goes\n          hint: ask\n" in shell.out
    assert '  # quarantine  unmanaged key  "stray"  narrows\n' in shell.out
    assert shell.run("explain", "shop") == 0
    assert "  -       asked (deny): about changes, and there is none\n" in shell.out


FAMILY = """sub_accounts:
  - select: {name: "Acme *"}
    keys: [{name: sender, scopes: ["domains:read", "suppressions:read"]}]
"""


def test_explain_what_holds_back_a_family(shell: Shell) -> None:
    """A limit over all sub accounts holds back their keys alone; a key of their parent is told nothing of it."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    shops = [sub_account(number, f"Acme {number}", key(10 + number, "sender", "domains:read")) for number in (1, 2)]
    state["accounts"][0]["sub_accounts"] = shops
    shell.emulator.load(state)
    shell.drift("domains:read")
    shell.write(FILES.replace('"api-keys:write"', '"api-keys:write", "sub-accounts:read"') + FAMILY)
    write("config/policy.yaml", "version: 1\nguardrails: {max_changes: {percent: 0, at_least: 1}}\n")
    family = "max-changes: 2 changes in 2 sub accounts, but the limit is 1"
    assert shell.run("explain", "sender", "--allow", "guardian") == 0
    assert " ".join(shell.out.split()).count(family) == 2
    assert shell.run("explain", "shop", "--allow", "guardian") == 0
    assert "in 2 sub accounts" not in " ".join(shell.out.split())


@pytest.mark.parametrize(
    "arguments",
    [[], ["a", "b"], ["a", "--allow", "hold"], ["a", "-o", "json"], ["a", "--check-domains", "--actual", "x"]],
)
def test_wrong_usage_of_explain(shell: Shell, arguments: list[str]) -> None:
    """What explain does not know is wrong usage."""
    assert shell.run("explain", *arguments) == 64
    assert shell.emulator.requests["GET"] == 0


def test_a_command_that_looks_holds_nothing_that_writes() -> None:
    """Were one of them ever given what could write, it would stop at once."""
    access = Live(lambda: pytest.fail("it was opened"))
    inputs = PassInputs("r", DesiredState(()), access, lambda event: None, Stop())
    with pytest.raises(RuntimeError, match="must not hold anything that could write"):
        looking_at(inputs)


# Interrupted


@pytest.mark.parametrize("arguments", [WHO, ("explain", "shop")])
def test_interrupted_while_it_reads(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Ended by a signal before anything could be read it exits 4, since a retry may help, and says so."""
    shell.emulator.set_faults({"rules": [{"method": "GET", "path": "*", "rate": 1, "do": {"status": 503}}]})
    command = [sys.executable, "-m", "reconciler", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not shell.emulator.requests["GET"]:
            assert time.monotonic() < deadline, "no request came"
            time.sleep(0.01)
        process.terminate()
        out, _ = process.communicate()
    assert process.returncode == 4
    assert f"Account {ACCOUNT}  FAILED\n  interrupted\n" in out
