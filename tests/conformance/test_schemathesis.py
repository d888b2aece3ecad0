"""Schemathesis finds no disagreement between AhaSend's document and the emulator.

Three campaigns, all derandomized. The first takes the document as it was published. The second takes it sharpened, so
that each valid request must succeed. In both each request meets the same, fresh account. The third goes from answer to
next request in one account that remembers.
"""

import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from conformance.contract import ACCOUNT_PATH, SUB_ACCOUNT, SUB_ACCOUNTS
from conformance.sharpened import ACCOUNT, ACTIVE, DOMAINS, KEYS, SECRET, SUB_ACCOUNT_KEYS, link, seed, sharpen
from conformance.tampered import Tampered
from conformance.tools import document, schemathesis
from reconciler.emulator.server import Emulator
from served import served

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]

# Every check is on; `object_level_authorization` alone has nothing to do here, since it takes two users of one account.
SETTINGS = f"""
continue-on-failure = true
suppress-health-check = ["all"] # they tell of slow machines
warnings = false
[auth.openapi.BearerAuth]
bearer = "{SECRET}"
[cache]
enabled = false
[phases.examples.extra-data-sources]
responses = false
[phases.coverage.extra-data-sources]
responses = false
[phases.fuzzing.extra-data-sources]
responses = false
"""
# Nothing but a made-up bearer token is left to refuse a valid request for.
SHARPENED = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401]
"""
# Valid by the schemas, refused by the prose (400): a scope that does not exist, a cursor that no page gave, no change.
PUBLISHED = f"""
[parameters]
"path.account_id" = "{ACCOUNT}"
"path.sub_account_id" = "{ACTIVE}"
"path.key_id" = "{KEYS[0]}"
"path.domain" = "{DOMAINS[0]}"
[[operations]]
include-path-regex = "sub-accounts/.*/api-keys"
parameters = {{"path.key_id" = "{SUB_ACCOUNT_KEYS[0]}"}}
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409]
"""
# An account that remembers refuses a change that changes nothing (400). Chains follow our links alone: inferred ones
# take a sub account's identifier for an account's, which is 401.
REMEMBERED = """
[phases.stateful.inference]
algorithms = []
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409]
"""
SINGLE_REQUESTS = "examples,coverage,fuzzing"


class Forgetful(Emulator):
    """Answers each request as if it were the first: its outcome is its own, whatever was deleted before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Emulator(seed())(scope, receive, send)


@dataclass
class Campaign:
    """What schemathesis did: its exit code, what it said, and how many answers each operation gave with each status."""

    code: int
    output: str
    answers: dict[str, Counter[int]]

    def verify(self, operations: dict[str, str]) -> None:
        """Fail if schemathesis found anything, or if an operation (with its success status) never succeeded."""
        assert self.code == 0, self.output
        unreached = [
            name for name, success in operations.items() if not self.answers.get(name, Counter())[int(success)]
        ]
        assert not unreached, f"never succeeded, so nothing was checked: {unreached}\n{self.output}"


def test_the_document_as_published(tmp_path: Path) -> None:
    """No request made from the published schemas, valid or not, meets an answer that the document does not allow."""
    api = document("schemathesis")
    with served(Forgetful(seed())) as address:
        run = campaign(tmp_path, api, address, SETTINGS + PUBLISHED, phases=SINGLE_REQUESTS, examples=20)
    run.verify(successes(api))


def test_the_document_sharpened(tmp_path: Path) -> None:
    """Each request that also keeps to the document's prose succeeds, each that does not is refused."""
    api = document("schemathesis")
    with served(Forgetful(seed())) as address:
        sharpen(api, address)
        run = campaign(tmp_path, api, address, SETTINGS + SHARPENED, phases=SINGLE_REQUESTS, examples=40)
    run.verify(successes(api))


@pytest.mark.parametrize("made_at", [f"{ACCOUNT_PATH}/api-keys", SUB_ACCOUNTS, f"{SUB_ACCOUNT}/api-keys"])
def test_an_account_that_remembers(tmp_path: Path, made_at: str) -> None:
    """What was made can be used, and what was deleted cannot, over chains that feed on one another's answers."""
    api = document("schemathesis")
    with served(Emulator(seed(), rate=1e6, burst=10**6)) as address:
        sharpen(api, address)
        link(api, made_at)
        run = campaign(tmp_path, api, address, SETTINGS + REMEMBERED, phases="stateful", examples=60)
    run.verify(successes(api))
    for method in ("GET", "PUT", "DELETE"):
        (name,) = (name for name in run.answers if name.startswith(f"{method} {made_at}/{{") and name.endswith("}"))
        assert run.answers[name][404], f"never asked for what was deleted: {name}"


def test_a_wrong_answer_is_noticed(tmp_path: Path) -> None:
    """Silence means something: an answer without a field that the document requires is found."""
    api = document("schemathesis")
    emulator = Tampered(seed())
    with served(emulator) as address:
        sharpen(api, address)
        api["paths"] = {path: methods for path, methods in api["paths"].items() if path == f"{ACCOUNT_PATH}/api-keys"}
        emulator.is_tampering = True
        run = campaign(tmp_path, api, address, SETTINGS, phases=SINGLE_REQUESTS, examples=1)
    assert run.code == 1
    assert "Response violates schema" in run.output


def campaign(folder: Path, api: dict[str, Any], address: str, settings: str, *, phases: str, examples: int) -> Campaign:
    """Run schemathesis in ``folder``, where it may leave what it likes."""
    command = schemathesis()
    (folder / "openapi.json").write_text(json.dumps(api), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(settings, encoding="utf-8")
    ran = subprocess.run(
        [command, "--config-file", "schemathesis.toml", "run", "openapi.json", "--url", address, "--no-color",
         "--checks", "all", "--phases", phases, "--max-examples", str(examples), "--generation-deterministic",
         "--report", "ndjson", "--report-ndjson-path", "report.ndjson"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    return Campaign(ran.returncode, ran.stdout + ran.stderr, dict(answers(folder / "report.ndjson")))


def answers(report: Path) -> dict[str, Counter[int]]:
    """The statuses of each operation's answers, from schemathesis's own record."""
    found: dict[str, Counter[int]] = {}
    for event in map(json.loads, report.read_text(encoding="utf-8").splitlines()):
        recorder = event.get("ScenarioFinished", {}).get("recorder", {})
        for case_id, case in recorder.get("cases", {}).items():
            answer = recorder["interactions"].get(case_id, {}).get("response")
            if answer:
                name = f"{case['value']['method']} {case['value']['path']}"
                found.setdefault(name, Counter())[answer["status_code"]] += 1
    return found


def successes(api: dict[str, Any]) -> dict[str, str]:
    """Each operation with the status of its success."""
    return {
        f"{method.upper()} {path}": next(status for status in operation["responses"] if status < "300")
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }
