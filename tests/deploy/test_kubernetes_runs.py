"""The very commands, variables and mounts of the manifests, against the emulator."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from deploy.kubelet import Command, Node, environment, what_happens, with_keys
from deploy.rendering import OVERLAYS, Document, rendered, template, workload
from reconciler.cli import main
from reconciler.emulator.server import Emulator
from served import served
from shell import FILES, SHOP, keys
from world import ACCOUNT, OTHER, TOKEN, admin, key, key_id

READER = "aha-sk-" + "r" * 64
ENTRY_POINT = [sys.executable, "-m", "reconciler"]
JOB = "reconciler-29400000"
BOTH = ["api-keys:read", "api-keys:write"]


@dataclass
class Cluster:
    """A namespace with both Secrets, a machine, and the emulator behind the network."""

    folder: Path
    emulator: Emulator
    address: str
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    out: str = ""
    err: str = ""

    def __post_init__(self) -> None:
        account = {"ahasend_account_id": ACCOUNT}
        self.secrets["reconciler-apply"] = account | {"ahasend_api_key": TOKEN, "reconciler_self_key_id": key_id(0)}
        self.secrets["reconciler-audit"] = account | {"ahasend_api_key": READER}

    def node(self, documents: list[Document]) -> Node:
        return Node(self.folder / "pod", documents, self.secrets)

    def run(self, documents: list[Document], **about: Any) -> int:
        """Run a Pod's container, in this process; gives its exit code."""
        command = self.node(documents).command(workload(documents), **about)
        with self.patch.context() as patch:
            for name in [*os.environ]:
                patch.delenv(name)
            for name, value in environment(command, AHASEND_ENDPOINT=self.address).items():
                patch.setenv(name, value)
            code = main(command.arguments)
        self.out, self.err = self.capture.readouterr()
        return code

    def drift(self) -> None:
        """Give the shop's key another scope than the files say."""
        state = self.emulator.dump()
        state["accounts"][0]["keys"][1]["scopes"] = ["domains:read"]
        self.emulator.load(state)


@pytest.fixture
def cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    reader = key(7, "auditor", "api-keys:read", secret_key=READER, ip_allow_list=[])
    emulator = Emulator({"accounts": [{"id": ACCOUNT, "domains": ["shop.example.com"], "keys": [*keys(), reader]}]})
    with served(emulator) as address:
        yield Cluster(tmp_path, emulator, address, capsys, monkeypatch)


def process(command: Command, address: str, **options: Any) -> "subprocess.Popen[str]":
    """Start what the kubelet would, in an empty folder."""
    variables = environment(command, AHASEND_ENDPOINT=address)
    return subprocess.Popen([*ENTRY_POINT, *command.arguments], env=variables, text=True, **options)


def job(documents: list[Document]) -> dict[str, Any]:
    found: dict[str, Any] = workload(documents)["spec"]["jobTemplate"]["spec"]
    return found


def test_a_pass_of_the_cron_job(cluster: Cluster) -> None:
    """Its process mends the drift with one PUT, logs JSON alone on stderr, and exits 0."""
    cluster.drift()
    documents = with_keys(rendered("cronjob"), shop=FILES)
    command = cluster.node(documents).command(workload(documents))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": cluster.folder}
    with process(command, cluster.address, **pipes) as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, cluster.emulator.requests["PUT"]) == (0, 1), err
    assert "Applied 1 of 1 change" in out
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "pass.finished"
    assert TOKEN not in out + err


def test_what_is_held_back_is_not_tried_again(cluster: Cluster) -> None:
    """A key that somebody switched off waits for a person: nothing is written, and the Job ends with that one Pod."""
    state = cluster.emulator.dump()
    state["accounts"][0]["keys"][1]["ip_allow_list"] = ["192.0.2.1/32"]
    cluster.emulator.load(state)
    documents = with_keys(rendered("cronjob"), shop=FILES)
    code = cluster.run(documents)
    assert (code, cluster.emulator.requests["PUT"]) == (3, 0), cluster.err
    assert what_happens(job(documents), code) == "FailJob"


def test_what_fails_is_tried_again(cluster: Cluster) -> None:
    """Where the API rejects the one change, the exit code is one that counts, and another Pod tries again."""
    cluster.drift()
    rule = {"method": "PUT", "path": "*", "rate": 1, "do": {"status": 400}}
    cluster.emulator.set_faults({"rules": [rule]})
    documents = with_keys(rendered("cronjob"), shop=FILES)
    code = cluster.run(documents)
    assert (code, what_happens(job(documents), code)) == (4, "Count"), cluster.err
    cluster.emulator.set_faults({"rules": []})
    assert cluster.run(documents) == 0


@pytest.mark.parametrize(("taken_from", "code"), [("reconciler", 3), ("second", 0)])
def test_the_key_in_the_secret_is_protected(cluster: Cluster, taken_from: str, code: int) -> None:
    """The id in the Secret says which key is the own one: from that alone `guardian` lets nobody take what it needs."""
    state = cluster.emulator.dump()
    state["accounts"][0]["keys"].append(key(8, "second", *BOTH, ip_allow_list=[]))
    cluster.emulator.load(state)
    named = {name: ["api-keys:read"] if name == taken_from else BOTH for name in ("reconciler", "second")}
    entries = [
        f"  - {{name: {name}, scopes: {json.dumps(scopes)}, ip_allow_list: []}}" for name, scopes in named.items()
    ]
    files = "\n".join(["version: 1", "account: ${AHASEND_ACCOUNT_ID}", "keys:", *entries, ""])
    assert cluster.run(with_keys(rendered("cronjob"), shop=files)) == code, cluster.out
    assert ("guardian" in cluster.out, cluster.emulator.requests["PUT"]) == (code == 3, 0 if code else 1)


@pytest.mark.parametrize("name", OVERLAYS)
def test_as_it_comes_it_does_nothing(cluster: Cluster, name: str) -> None:
    """With no file of keys an overlay sends no request, says what is missing, and exits 1."""
    cluster.drift()
    documents = rendered(name)
    about: dict[str, Any] = {"index": 0} if name == "sharded" else {}
    assert cluster.run(documents, **about) == 1
    assert "holds no" in cluster.err
    assert (cluster.emulator.requests["GET"], cluster.emulator.requests["PUT"]) == (0, 0)


def test_an_audit_keeps_its_reports(cluster: Cluster) -> None:
    """With a credential that can only read it judges every key, keeps its report twice, and writes nothing."""
    assert cluster.run(with_keys(rendered("audit"), shop=FILES), job=JOB) == 0, cluster.err
    assert cluster.emulator.requests["PUT"] == 0
    reports = cluster.folder / "pod/reports"
    assert sorted(each.name for each in reports.iterdir()) == [f"{JOB}.html", f"{JOB}.json"]
    report = json.loads((reports / f"{JOB}.json").read_text())
    assert (report["mode"], report["accounts"][0]["keys"]["actual"]) == ("audit", 3)
    assert "3 keys" in cluster.out
    assert READER not in "".join(each.read_text() for each in reports.iterdir()) + cluster.out + cluster.err


def test_an_audit_that_finds_something(cluster: Cluster) -> None:
    """A finding ends the Job as failed, without another try; its reports are kept, beside those of the day before."""
    documents = with_keys(rendered("audit"), shop=FILES)
    assert cluster.run(documents, job=JOB) == 0, cluster.err
    state = cluster.emulator.dump()
    state["accounts"][0]["keys"][1]["scopes"] = ["*"]
    cluster.emulator.load(state)
    code = cluster.run(documents, job="reconciler-29401440")
    assert (code, what_happens(job(documents), code)) == (3, "FailJob")
    assert "no-wildcard" in cluster.out
    assert len([*(cluster.folder / "pod/reports").iterdir()]) == 4


def test_the_auditor_cannot_write(cluster: Cluster) -> None:
    """With the audit's Secret in place of its own, a pass of the CronJob changes nothing: the API refuses the key."""
    cluster.drift()
    cluster.secrets["reconciler-apply"] = cluster.secrets["reconciler-audit"]
    assert cluster.run(with_keys(rendered("cronjob"), shop=FILES)) == 4
    assert cluster.emulator.history == []


def test_the_daemon(cluster: Cluster) -> None:
    """Its probes are answered; what new files in the ConfigMap ask for is done at once; SIGTERM ends it with 0."""
    documents = with_keys(rendered("daemon"), shop=FILES)
    node = cluster.node(documents)
    command = node.command(workload(documents))
    # All of a test machine's addresses are nobody's business: the loopback one, and a port that is free.
    command.variables["RECONCILER_LISTEN"] = "127.0.0.1:0"
    logs = cluster.folder / "logs"
    with logs.open("w") as stderr, process(command, cluster.address, stderr=stderr, cwd=cluster.folder) as running:
        try:
            address = _wait(running, logs, "daemon.started")["listen"]
            container = template(workload(documents))["spec"]["containers"][0]
            _wait(running, logs, "pass.finished")
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert _status(address + container[probe]["httpGet"]["path"]) == 200
            assert _status(address + "/metrics") == 200
            with_keys(documents, shop=FILES.replace(SHOP, "messages:send:all"))
            node.command(workload(documents))
            _wait(running, logs, "change.applied")
            assert cluster.emulator.requests["PUT"] == 1
        finally:
            running.terminate()
            assert running.wait(timeout=60) == 0


def _wait(running: "subprocess.Popen[str]", logs: Path, event: str) -> dict[str, Any]:
    """Give the first line of a log that tells an event, once it is there."""
    deadline = time.monotonic() + 60
    while True:
        text = logs.read_text()
        for line in text.splitlines(keepends=True):
            if line.endswith("\n") and (told := json.loads(line))["event"] == event:
                return dict(told)
        assert time.monotonic() < deadline, text
        assert running.poll() is None, text
        time.sleep(0.02)


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 # a loopback address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_each_account_is_one_shards(cluster: Cluster) -> None:
    """Each account differs when a Pod of the Indexed Job begins, and exactly one mends it; the others exit 0, too."""
    cluster.drift()
    state = cluster.emulator.dump()
    keys_of_other = [admin(OTHER, "aha-sk-" + "o" * 64), key(901, "shop", "domains:read")]
    state["accounts"].append({"id": OTHER, "domains": ["shop.example.com"], "keys": keys_of_other})
    cluster.secrets["reconciler-apply"] |= {"ahasend_api_key_other": "aha-sk-" + "o" * 64}
    files = FILES.replace("account: ${AHASEND_ACCOUNT_ID}", f"account: {{id: {OTHER}, credential: other}}")
    documents = with_keys(rendered("sharded"), shop=FILES, other=files)
    count = job(documents)["completions"]
    written: dict[str, list[int]] = {ACCOUNT: [], OTHER: []}
    for index in range(count):
        cluster.emulator.load(state)
        before = len(cluster.emulator.history)
        assert cluster.run(documents, index=index) == 0, cluster.err
        for change in cluster.emulator.history[before:]:
            written[change.account_id].append(index)
    assert written == {account: [share(account, count)] for account in written}
    assert written[ACCOUNT] != written[OTHER]
    assert cluster.run(documents, index=count) == 64, "a Pod that is one too many has no share"


def share(account: str, count: int) -> int:
    """Give an account's shard as docs/running.md says it: that with the greatest SHA-256 of the id and its number."""
    return max(range(count), key=lambda index: sha256(f"{account}/{index}".encode()).digest())
