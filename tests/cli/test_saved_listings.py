"""Saved listings as their users meet them: export makes one, and all that looks goes by it without a credential."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shell import FILES, SHOP, Shell
from world import ACCOUNT, FAMILY_MANAGER, OTHER, key, key_id, sub_account

WITH_ID = FILES.replace("${AHASEND_ACCOUNT_ID}", ACCOUNT)
EVERY_DOMAIN = "messages:send:all"
Listing = dict[str, Any]


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


def without_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that could open an account, nor where it is."""
    for name in ("AHASEND_API_KEY", "AHASEND_ACCOUNT_ID", "AHASEND_ENDPOINT", "RECONCILER_SELF_KEY_ID"):
        monkeypatch.delenv(name)


@pytest.fixture
def listing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listing]:
    """A listing of a drifted account in listing.json, and no credential left in the environment."""
    shell.drift(EVERY_DOMAIN, last_used_at="2026-01-31T12:00:00Z")
    shell.write(WITH_ID)
    assert shell.run("export", "--actual", "listing.json") == 0
    assert shell.out == "wrote 2 keys to listing.json\n"
    without_credential(monkeypatch)
    text = Path("listing.json").read_text(encoding="utf-8")
    yield json.loads(text)
    assert Path("listing.json").read_text(encoding="utf-8") == text
    assert shell.emulator.requests["GET"] == 1


def test_a_listing_holds_no_secret(listing: Listing) -> None:
    """It holds what was listed of each key, and when, but no secret of any."""
    assert listing["schema"] == "reconciler/listing/v1"
    (account,) = listing["accounts"]
    assert (account["account_id"], account["sub_accounts"]) == (ACCOUNT, None)
    assert account["keys"][1] == {
        "id": key_id(1),
        "label": "shop",
        "scopes": [EVERY_DOMAIN],
        "ip_allow_list": ["203.0.113.0/24"],
        "created_at": "2026-01-01T00:00:00Z",
        "last_used_at": "2026-01-31T12:00:00Z",
    }
    assert "aha-sk" not in json.dumps(listing)
    assert "secret" not in json.dumps(listing)


def test_a_plan_without_a_credential(shell: Shell, listing: Listing) -> None:
    """A saved listing is planned by with nothing in the environment, as of when it was saved."""
    assert shell.run("plan", "--actual", "listing.json", "--detailed-exitcode", "-o", "json") == 2
    report = shell.report()
    assert [(change["name"], change["outcome"]) for change in report["accounts"][0]["changes"]] == [("shop", "planned")]
    assert set(report["requests"].values()) == {0}
    assert listing["taken_at"] < report["started_at"] <= report["finished_at"]
    (note,) = report["findings"]
    assert (note["rule"], note["severity"]) == ("saved-listing", "note")
    taken_at = str(listing["taken_at"])
    assert note["message"] == (
        f"all is as of {taken_at[:10]} {taken_at[11:16]} UTC, when the keys were listed: ages, pauses and waivers, too"
    )


def test_an_audit_without_a_credential(shell: Shell, monkeypatch: pytest.MonkeyPatch, listing: Listing) -> None:
    """An audit goes by a listing, too, which RECONCILER_ACTUAL may name."""
    write(
        "config/policy.yaml", "version: 1\nrules: [{id: wide, uses: no-global-where-domain-would-do, severity: deny}]\n"
    )
    assert shell.run("audit", "--actual", "listing.json") == 3
    assert "shop holds messages:send:all, which reaches every domain" in shell.out
    monkeypatch.setenv("RECONCILER_ACTUAL", "listing.json")
    assert shell.run("audit", "--fail-on", "never", "-o", "json") == 0
    assert [each["rule"] for each in shell.report()["findings"]] == ["saved-listing", "wide"]


def test_questions_without_a_credential(shell: Shell, listing: Listing) -> None:
    """who-can and explain answer from a listing, too."""
    assert shell.run("who-can", "messages:send", "shop.example.com", "--actual", "listing.json") == 0
    assert "    account  by messages:send:all, from 203.0.113.0/24\n" in shell.out
    assert shell.run("explain", "shop", "--actual", "listing.json") == 0
    assert "\n  used      2026-01-31 12:00 UTC, " in shell.out


def test_answers_say_as_of_when_they_are(shell: Shell, listing: Listing) -> None:
    """An answer from a listing says when that was saved, in JSON too, and ages are those of then."""
    listing["taken_at"] = "2026-01-31T13:10:00+01:00"
    write("then.json", json.dumps(listing))
    as_of = "all is as of 2026-01-31 12:10 UTC, when the keys were listed: ages, pauses and waivers, too"
    who = ("who-can", "messages:send", "shop.example.com", "--actual", "then.json")
    assert shell.run(*who) == 0
    assert shell.out.endswith(f"\n\nnote  {as_of}\n")
    assert shell.run(*who, "-o", "json") == 0
    assert json.loads(shell.out)["notes"] == [as_of]
    assert shell.run("explain", "shop", "--actual", "then.json") == 0
    assert "\n  used      2026-01-31 12:00 UTC, 10 minutes ago; made 2026-01-01, 30 days ago\n" in shell.out
    assert shell.out.endswith(f"\n\nnote  {as_of}\n")


def test_without_files_and_without_an_account(shell: Shell, listing: Listing) -> None:
    """Without files the accounts are those of the listing, and nothing in the environment need name one."""
    second = listing["accounts"][0] | {"account_id": OTHER}
    write("both.json", json.dumps(listing | {"accounts": [*listing["accounts"], second]}))
    Path("config/keys/keys.yaml").unlink()
    write("config/policy.yaml", "version: 1\nrules: [{id: stray, uses: unmanaged-key, severity: deny}]\n")
    assert shell.run("audit", "--actual", "both.json", "-o", "json") == 3
    report = shell.report()
    assert [each["account_id"] for each in report["accounts"]] == [ACCOUNT, OTHER]
    assert [(each["rule"], each["account_id"]) for each in report["findings"]] == [
        ("saved-listing", None),
        ("no-desired-state", None),
        *[("stray", ACCOUNT)] * 2,
        *[("stray", OTHER)] * 2,
    ]
    assert shell.run("explain", "shop", "--actual", "both.json") == 0
    assert shell.out.count("  file      no file names it\n") == 2
    assert shell.run("who-can", "messages:send:all", "--actual", "both.json") == 0
    assert shell.out.count("    account  by messages:send:all, from 203.0.113.0/24\n") == 2
    assert shell.run("plan", "--actual", "both.json") == 1
    assert shell.err.startswith("config/keys: holds no desired-state file")


def test_what_judges_a_listing_as_of_then(shell: Shell, listing: Listing) -> None:
    """Pauses hold and keys are as old as when the listing was saved, however long ago that was."""
    listing["taken_at"] = "2026-01-31T12:10:00Z"
    write("then.json", json.dumps(listing))
    shell.write(WITH_ID.replace("name: shop,", "name: shop, paused: {reason: move, until: 2026-01-31},"))
    write("config/policy.yaml", "version: 1\nguardrails: {in_use: {within: 15m, narrowing: true}}\n")
    assert shell.run("plan", "--actual", "then.json", "-o", "json") == 0
    assert shell.report()["accounts"][0]["changes"][0]["outcome"] == "paused"
    shell.write(WITH_ID)
    assert shell.run("plan", "--actual", "then.json", "--detailed-exitcode") == 3
    assert "it was used 10 minutes before" in shell.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--actual", "gone.json"], "gone.json: cannot be read: no such file or directory"),
        (["--actual", "config/keys/keys.yaml"], "is no listing: `reconciler export --actual FILE` writes one"),
        (
            ["--actual", "listing.json", "--actual", "copy.json"],
            f"copy.json: account {ACCOUNT} is there twice, or in another listing, too: keep one",
        ),
    ],
)
def test_a_listing_that_is_none(shell: Shell, listing: Listing, arguments: list[str], told: str) -> None:
    """What is no listing, or two of one account, is an error with its file."""
    write("copy.json", json.dumps(listing))
    for command in ("plan", "audit"):
        assert shell.run(command, *arguments) == 1
        assert told in shell.err


def test_an_account_that_is_not_in_the_listing(shell: Shell, listing: Listing) -> None:
    """It is failed, with what to do: exit 4, or 1 where no account is in it."""
    write("config/keys/other.yaml", f"version: 1\naccount: {{id: {OTHER}, credential: other}}\n")
    assert shell.run("plan", "--actual", "listing.json") == 4
    assert "the account is not in the listing; save it with `reconciler export --actual FILE`" in shell.out
    Path("config/keys/keys.yaml").unlink()
    assert shell.run("audit", "--actual", "listing.json") == 1
    assert shell.run("plan", "--actual", "listing.json", "--check-domains") == 64
    assert "--check-domains needs the account: a saved listing holds no domains" in shell.err


def test_exports_of_listings(shell: Shell) -> None:
    """A listing is never overwritten unasked, may go to a device, and has sub accounts where asked for."""
    state = shell.emulator.dump()
    state["accounts"][0]["keys"][0]["scopes"] = [*FAMILY_MANAGER]
    asleep = sub_account(2, "Gone", key(12, "x", SHOP), status="suspended")
    state["accounts"][0]["sub_accounts"] = [sub_account(1, "Acme", key(11, "sender", SHOP)), asleep]
    shell.emulator.load(state)
    assert shell.run("export", "--actual", "l.json", "--sub-accounts") == 0
    assert shell.out == "wrote 3 keys of the account and 1 sub account, 1 suspended left out, to l.json\n"
    below = json.loads(Path("l.json").read_text(encoding="utf-8"))["accounts"][0]["sub_accounts"]
    assert [(each["name"], each["status"], len(each["keys"])) for each in below] == [
        ("Acme", "active", 1),
        ("Gone", "suspended", 0),
    ]
    assert shell.run("export", "--actual", "l.json") == 1
    assert shell.err == "error: l.json exists already\n  hint: pass --overwrite to replace it, or name another file\n"
    assert shell.run("export", "--actual", "l.json", "--overwrite") == 0
    assert json.loads(Path("l.json").read_text(encoding="utf-8"))["accounts"][0]["sub_accounts"] is None
    assert shell.run("export", "--actual", "/dev/null") == 0
    assert list(Path("config/keys").iterdir()) == [Path("config/keys/keys.yaml")]
