"""A scene run by real processes over a socket, which are killed again and again, and then left to finish."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from campaigning.oracle import Access
from campaigning.scene import CREDENTIALS, Scene, accesses, admin_id
from campaigning.verdict import leaks, strayed
from reconciler.emulator.server import Emulator
from served import served

KILLS = 3
MOST_QUIET = 2
SOON = 20.0
"""Seconds that nothing here may take longer than."""


class Killed:
    """The runs of one scene; ``breaches`` says what broke a law, ``lines`` what happened."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self._scene = scene
        self._folder = folder
        self._dice = random.Random(f"kills of {scene.seed}")  # noqa: S311 # it makes up stories, no secrets
        self._emulator = Emulator(scene.document, rate=1e6, burst=10**6, latency=0.005)
        self._out, self._err = folder.parent / "stdout", folder.parent / "stderr"
        self._shown: list[str] = []
        self.lines: list[str] = []
        self.breaches: list[str] = []
        self.runs = 0

    def run(self, held_back: Collection[str], wanted: Mapping[str, Access]) -> None:
        """Kill some processes, let others finish, and hold the account against the files and against ``wanted``."""
        quick = [rule for rule in self._scene.hazards.rules if "delay" not in rule["do"] and "first" not in rule]
        rules = [rule | {"rate": min(rule["rate"], 0.05)} for rule in quick]
        self._emulator.set_faults({"random_seed": self._scene.seed, "rules": rules})
        with served(self._emulator) as address:
            for _ in range(KILLS):
                self._killed(address)
            self._emulator.set_faults({})
            codes = [self._finished(address) for _ in range(MOST_QUIET)]
            wrote = len(self._emulator.history)
            codes.append(self._finished(address))
        if len(self._emulator.history) > wrote:
            self.breaches.append(f"a run with nothing to do wrote {self._emulator.history[wrote:]}")
        now = accesses(self._emulator.dump())
        for key_id in sorted(now):
            if now[key_id] != wanted[key_id]:
                self.breaches.append(f"{key_id} is {now[key_id]}, without kills it is {wanted[key_id]}")
        for key_id, wish in self._scene.wishes_by_key.items():
            if key_id not in held_back and wish.fulfilled(now[key_id]) != now[key_id]:
                self.breaches.append(f"{key_id} is not as the files want it, after exit codes {codes}")
        self.breaches += strayed(self._emulator.history, self._scene.wishes, accesses(self._scene.document))
        self.breaches += leaks(self._shown, self._scene.tokens.values())

    def _killed(self, address: str) -> None:
        at = self._emulator_requests() + self._dice.randint(4, 6 + len(self._scene.wishes))
        process = self._started(address, rate="30", burst="7")
        ends = time.monotonic() + SOON
        while process.poll() is None and self._emulator_requests() < at and time.monotonic() < ends:
            time.sleep(0.002)
        process.kill()
        self._heard(process)

    def _finished(self, address: str) -> int:
        process = self._started(address, rate="300", burst="60")
        out = self._heard(process)
        report: dict[str, Any] = json.loads(out)
        changes = [change for account in report["accounts"] for change in account["changes"]]
        self.lines += [f"  {change['name'] or change['key_id']}: {change['outcome']}" for change in changes]
        if process.returncode not in (0, 3, 4):
            self.breaches.append(f"a run without faults ended with {process.returncode}")
        return int(process.returncode)

    def _started(self, address: str, *, rate: str, burst: str) -> "subprocess.Popen[bytes]":
        allow = [option for name in sorted(self._scene.allowed) for option in ("--allow", name)]
        checks = ["--check-domains"] if self._scene.check_domains else []
        options = [*allow, *checks, "-o", "json", "--log-format", "json", "--log-level", "debug"]
        pace = ["--rate", rate, "--burst", burst]
        self.runs += 1
        # Files, not pipes: nobody reads while it runs, and one that is full would hold it up.
        with self._out.open("w") as out, self._err.open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-m", "reconciler", "apply", "--desired", str(self._folder), *pace, *options],
                cwd=self._folder.parent,
                env=self._environment() | {"AHASEND_ENDPOINT": address},
                stdout=out,
                stderr=err,
            )

    def _environment(self) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AHASEND_", "RECONCILER_"))
        }
        for credential, (account, token) in zip(CREDENTIALS, self._scene.tokens.items(), strict=False):
            suffix = f"_{credential.upper()}" if credential else ""
            environment[f"AHASEND_API_KEY{suffix}"] = token
            environment[f"RECONCILER_SELF_KEY_ID{suffix}"] = admin_id(account)
        return environment

    def _heard(self, process: "subprocess.Popen[bytes]") -> str:
        process.wait(timeout=SOON)
        out = self._out.read_text(encoding="utf-8")
        self._shown += [out, self._err.read_text(encoding="utf-8")]
        self.lines.append(
            f"run {self.runs} ended with {process.returncode}, {len(self._emulator.history)} writes so far"
        )
        return out

    def _emulator_requests(self) -> int:
        requests = self._emulator.requests
        return int(requests["GET"]) + int(requests["PUT"])
