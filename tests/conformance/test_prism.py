"""Prism, a proxy that holds each request and each answer against AhaSend's document, stays silent during our commands.

With ``--errors`` it answers for itself what breaks the document, so a violation also fails the command.
"""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from conformance.tampered import Tampered
from conformance.tools import OPENAPI, prism
from reconciler.cli import main
from reconciler.emulator.server import Emulator
from served import served
from world import ACCOUNT, TOKEN, admin, key, key_id

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(120)]

SHOP = "messages:send:{shop.example.com}"
SELF = '{name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}'
MANY = range(1, 151)
EXTRA = {150: ["routes:write:all"]}
HEAD = "version: 1\naccount: ${AHASEND_ACCOUNT_ID}\n"


@dataclass(frozen=True)
class Case:
    """Desired state, the account that is to become so, and how many writes that takes."""

    desired: str
    account: dict[str, Any]
    writes: int


CASES = {
    "scopes, networks and labels": Case(
        f"""{HEAD}keys:
  - {SELF}
  - {{name: shop, scopes: ["{SHOP}", "suppressions:read"], ip_allow_list: [203.0.113.0/24]}}
  - {{name: open, scopes: ["messages:read:all"], ip_allow_list: []}}
  - {{name: new-label, was: [old-label], scopes: ["domains:read"]}}
""",
        {
            "keys": [
                admin(),
                key(1, "shop", SHOP, ip_allow_list=["198.51.100.7/32"]),
                key(2, "open", "messages:read:all"),
                key(3, "old-label", "domains:read"),
            ]
        },
        writes=3,
    ),
    "more than a page": Case(
        f"{HEAD}keys:\n  - {SELF}\n"
        + "".join(f'  - {{name: k{number}, scopes: ["routes:read:all"]}}\n' for number in MANY),
        {"keys": [admin(), *(key(number, f"k{number}", "routes:read:all", *EXTRA.get(number, ())) for number in MANY)]},
        writes=1,
    ),
    "sub accounts": Case(
        f"""{HEAD}keys:
  - {{name: reconciler, scopes: ["*"], ip_allow_list: []}}
sub_accounts:
  - select: {{name: "Acme *", status: active}}
    keys: [{{name: sender, scopes: ["messages:send:all"]}}]
""",
        {
            "keys": [admin(scopes=["*"])],
            "sub_accounts": [
                {"name": "Acme East", "keys": [key(1, "sender", "messages:send:all", "domains:read")]},
                {"name": "Acme West", "keys": [key(2, "sender", SHOP)], "domains": ["shop.example.com"]},
                {"name": "Umbra", "keys": [key(3, "sender", "domains:read")]},
            ],
        },
        writes=2,
    ),
    "quarantine": Case(
        f'{HEAD}keys:\n  - {SELF}\n  - {{name: shop, scopes: ["{SHOP}"], state: quarantined}}\n',
        {"keys": [admin(), key(1, "shop", SHOP)]},
        writes=1,
    ),
}  # fmt: skip


@dataclass
class Proxied:
    """An emulator, Prism in front of it, and what Prism has said since the test began."""

    emulator: Tampered
    address: str
    log: Path
    said_before: int = 0

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")[self.said_before :]

    def settle(self) -> None:
        """Wait until Prism has said all that it has to say of earlier requests: it answers first and writes later."""
        httpx.get(f"{self.address}/v2/ping", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
        wait_until(lambda: "get /v2/ping" in self.said())

    def complaints(self) -> list[str]:
        """The lines in which Prism said that something breaks the document."""
        return [line for line in self.said().splitlines() if re.search(r"[✖⚠]|\b(error|warning)\b|Violation", line)]

    def forwarded(self) -> int:
        """How many requests went through."""
        return self.said().count("Forwarding")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    command = prism()
    log = tmp_path_factory.mktemp("prism") / "log"
    emulator = Tampered({"accounts": []})
    with served(emulator) as upstream, proxy(command, upstream, log) as address:
        yield Proxied(emulator, address, log)


@pytest.fixture
def proxied(started: Proxied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proxied:
    monkeypatch.chdir(tmp_path)
    Path("config/keys").mkdir(parents=True)
    monkeypatch.setenv("AHASEND_API_KEY", TOKEN)
    monkeypatch.setenv("AHASEND_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("RECONCILER_SELF_KEY_ID", key_id(0))
    monkeypatch.setenv("AHASEND_ENDPOINT", started.address)
    started.emulator.is_tampering = False
    return replace(started, said_before=len(started.said()))


@pytest.mark.parametrize("name", CASES)
def test_silent_during_our_commands(proxied: Proxied, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan and apply do through Prism what they do without it, and Prism finds nothing to say."""
    prepare(proxied.emulator, CASES[name])
    assert main(["plan", "--detailed-exitcode"]) == 2, capsys.readouterr()
    assert main(["apply", "--allow", "max-switched-off"]) == 0, capsys.readouterr()
    assert proxied.emulator.requests["PUT"] == CASES[name].writes
    assert main(["plan", "--detailed-exitcode"]) == 0, capsys.readouterr()
    proxied.settle()
    assert not proxied.complaints()
    methods = ("GET", "PUT", "POST", "DELETE")
    assert proxied.forwarded() == sum(proxied.emulator.requests[method] for method in methods) > 3


def test_a_wrong_answer_is_noticed(proxied: Proxied) -> None:
    """Silence means something: Prism does not let an answer through that lacks a field which the document requires."""
    prepare(proxied.emulator, CASES["quarantine"])
    path = f"{proxied.address}/v2/accounts/{ACCOUNT}/api-keys"
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        assert client.get(path).status_code == 200
        proxied.emulator.is_tampering = True
        assert client.get(path).status_code == 500
    proxied.settle()
    assert len(proxied.complaints()) == 1


def prepare(emulator: Emulator, case: Case) -> None:
    """Put the case's account into the emulator and its desired state into the files."""
    emulator.load({"accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"]} | case.account]})
    emulator.forget_requests()
    Path("config/keys/keys.yaml").write_text(case.desired, encoding="utf-8")


@contextmanager
def proxy(command: str, upstream: str, log: Path) -> Iterator[str]:
    """Run Prism until the block ends; gives its address."""
    port = free_port()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [command, "proxy", str(OPENAPI), upstream, "--errors", "--port", str(port)],
            stdout=out, stderr=subprocess.STDOUT, env=os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "0"},
        )  # fmt: skip
        try:
            wait_until(lambda: "Prism is listening" in log.read_text(encoding="utf-8"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "Prism did not say it"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
