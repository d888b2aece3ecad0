"""A whole command against an emulator on a socket: files in a folder, credentials in the environment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main
from reconciler.emulator.server import Emulator
from served import served
from world import ACCOUNT, TOKEN, admin, key, key_id

SHOP = "messages:send:{shop.example.com}"
FILES = f"""version: 1
account: ${{AHASEND_ACCOUNT_ID}}
defaults: {{ip_allow_list: [203.0.113.0/24]}}
keys:
  - {{name: reconciler, scopes: ["api-keys:read", "api-keys:write"], ip_allow_list: []}}
  - {{name: shop, scopes: ["{SHOP}"]}}
"""


@dataclass
class Shell:
    """A working directory with config/keys, an emulator behind AHASEND_ENDPOINT, and the commands."""

    folder: Path
    emulator: Emulator
    capture: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def write(self, text: str) -> None:
        (self.folder / "config/keys/keys.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> int:
        code = main(arguments)
        self.out, self.err = self.capture.readouterr()
        return code

    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    def drift(self, *scopes: str, number: int = 1, **fields: Any) -> None:
        state = self.emulator.dump()
        for one in state["accounts"][0]["keys"]:
            if one["id"] == key_id(number):
                one.update({"scopes": list(scopes)} if scopes else {}, **fields)
        self.emulator.load(state)


@contextmanager
def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Open a shell in ``folder``."""
    emulator = Emulator({"accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"], "keys": keys()}]})
    (folder / "config/keys").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AHASEND_API_KEY", TOKEN)
    monkeypatch.setenv("AHASEND_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("RECONCILER_SELF_KEY_ID", key_id(0))
    with served(emulator) as address:
        monkeypatch.setenv("AHASEND_ENDPOINT", address)
        shell = Shell(folder, emulator, capture)
        shell.write(FILES)
        yield shell


def keys() -> list[dict[str, Any]]:
    return [admin(), key(1, "shop", SHOP)]
