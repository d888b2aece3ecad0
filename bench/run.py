"""The benchmarks: whole commands against the emulator in a process of its own, and the core in memory.

Figures are for comparing within one run. ``python bench/run.py [NAME ...]`` runs some of them.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the fleet of keys is that of the tests

import fleet

ACCOUNT = UUID(int=1 << 100)
TOKEN = "aha-sk-" + "b" * 64
SELF = str(UUID(int=(1 << 101)))
BELOW = UUID(int=1 << 102)
FAMILY = {
    1: ["messages:send:all"],
    2: ["messages:read:all", "suppressions:read"],
    3: ["statistics-transactional:read:all"],
}
HEAD = ["version: 1", f"account: {ACCOUNT}"]
RECONCILER = [sys.executable, "-m", "reconciler"]


def key(number: int, *scopes: str, account: UUID = ACCOUNT) -> dict[str, Any]:
    return {
        "id": str(UUID(int=account.int + number)),
        "label": f"Key {number}",
        "scopes": list(scopes) or [f"messages:send:{{shop-{number}.example.com}}", "suppressions:read"],
        "ip_allow_list": ["203.0.113.0/24"],
        "created_at": "2026-01-01T00:00:00Z",
    }


def desired(keys: list[dict[str, Any]], account: UUID = ACCOUNT) -> str:
    lines = ["version: 1", f"account: {account}", "keys:"]
    for number, one in enumerate(keys):
        lines += [
            f"  - name: key-{number:06}",
            f"    id: {one['id']}",
            f'    label: "{one["label"]}"',
            f"    scopes: {json.dumps(one['scopes'])}",
            f"    ip_allow_list: {json.dumps(one['ip_allow_list'])}",
            "    owner: team-x",
        ]
    return "\n".join(lines) + "\n"


def account(keys: list[dict[str, Any]], sub_accounts: int = 0) -> dict[str, Any]:
    """Give a seed of one account, perhaps with so many sub accounts of three keys each."""
    admin = key(0, "*") | {"id": SELF, "label": "self", "secret_key": TOKEN, "ip_allow_list": []}
    domains = sorted({s.split("{")[1][:-1] for one in keys for s in one["scopes"] if "{" in s})
    below = [
        {
            "id": str(UUID(int=BELOW.int + (number << 16))),
            "name": f"Customer {number}",
            "keys": [key(n, *FAMILY[n], account=UUID(int=BELOW.int + (number << 16))) for n in (1, 2, 3)],
        }
        for number in range(sub_accounts)
    ]
    one = {"id": str(ACCOUNT), "domains": domains, "keys": [admin, *keys], "sub_accounts": below}
    return {"accounts": [one]}


def family() -> str:
    """Give the files for every sub account that :func:`account` makes."""
    entries = [
        f'      - {{name: k{n}, label: "Key {n}", scopes: {json.dumps(scopes)}, ip_allow_list: [203.0.113.0/24]}}'
        for n, scopes in FAMILY.items()
    ]
    return "\n".join([*HEAD, "sub_accounts:", '  - select: {name: "Customer *"}', "    keys:", *entries, ""])


@contextmanager
def seeded(seed: dict[str, Any]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.json"
        path.write_text(json.dumps(seed))
        yield path


@contextmanager
def emulator(seed: dict[str, Any], *options: str) -> Iterator[str]:
    """Run the emulator in a process of its own; gives its address."""
    with seeded(seed) as path:
        command = [*RECONCILER, "emulator", "--port", "0", "--seed", str(path), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def command(address: str, folder: Path, *arguments: str) -> tuple[float, float, dict[str, Any]]:
    """Run one command; gives its seconds, its peak memory in MB, and its report."""
    environment = os.environ | {
        "AHASEND_API_KEY": TOKEN,
        "AHASEND_ENDPOINT": address,
        "RECONCILER_SELF_KEY_ID": SELF,
        "RECONCILER_LOG_LEVEL": "error",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    name, *rest = arguments
    began = time.perf_counter()
    process = subprocess.Popen(
        [*RECONCILER, name, "--desired", str(folder), "-o", "json", *rest],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    text = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - began, usage.ru_maxrss / 1024, json.loads(text)


def served(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/_emulator/requests") as answer:  # noqa: S310 # a loopback address
        return dict(json.load(answer))


@contextmanager
def files(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "keys.yaml").write_text(text)
        yield Path(folder)


LIMITS = ("--latency", "20ms", "--rate-limit", "100", "--burst", "200")


def in_sync() -> None:
    """1,000 keys in sync: 10 GETs, under 1.5 s and 100 MB."""
    keys = [key(number) for number in range(1, 1000)]
    with emulator(account(keys), *LIMITS) as address, files(desired(keys)) as folder:
        for _ in range(3):
            seconds, memory, report = command(address, folder, "plan")
            changes = len(report["accounts"][0]["changes"])
            print(f"  {seconds:.2f} s, {memory:.0f} MB, {report['requests']}, {changes} changes")
        print(f"  the emulator saw {served(address)}")


def drifted() -> None:
    """250 keys, 40 drifted: 3 GETs for the list, one GET and one PUT a change, then nothing."""
    keys = [key(number) for number in range(1, 250)]
    actual = [
        one | ({"scopes": [*one["scopes"], "domains:read"]} if place < 40 else {}) for place, one in enumerate(keys)
    ]
    with emulator(account(actual), *LIMITS) as address, files(desired(keys)) as folder:
        for _ in range(2):
            seconds, memory, report = command(address, folder, "apply")
            print(f"  {seconds:.2f} s, {memory:.0f} MB, {report['requests']}, applied {report['summary']['applied']}")
        print(f"  the emulator saw {served(address)}")


def pace() -> None:
    """300 changes at a pace of 100 and bursts of 200: at least 95 % of what the limit allows, no 429."""
    keys = [key(number) for number in range(1, 301)]
    actual = [one | {"scopes": [*one["scopes"], "domains:read"]} for one in keys]
    with emulator(account(actual), *LIMITS) as address, files(desired(keys)) as folder:
        seconds, _, report = command(
            address, folder, "apply", "--rate", "100", "--burst", "200", "--allow", "max-changes"
        )
        saw = served(address)
        requests = saw["GET"] + saw["PUT"]
        least = (requests - 200) / 100
        took = _seconds(report)
        print(f"  {requests} requests: {least:.2f} s at the limit, {took:.2f} s the pass, {seconds:.2f} s the command")
        print(f"  applied {report['summary']['applied']}, statuses {saw['statuses']}")
        print(f"  {requests / (200 + 100 * took):.1%} of the requests that the limit allows in the time of the pass")


def planning() -> None:
    """100,000 desired against 100,000 actual keys, in memory: under 3 s, growing linearly."""
    from reconciler.core.keys import AccountRef, DesiredAccount, KeySpec, RemoteKey, Source
    from reconciler.core.networks import AllowList
    from reconciler.core.plan import digest, plan_account
    from reconciler.core.scopes import ScopeSet

    for total in (25_000, 50_000, 100_000):
        for pinned in (True, False):
            specs, remotes = [], []
            for number in range(total):
                one = key(number)
                scopes = ScopeSet.parse(one["scopes"])
                networks = AllowList.parse(one["ip_allow_list"])
                drift = ScopeSet.parse([*one["scopes"], "domains:read"]) if number % 10 == 0 else scopes
                source = Source("keys.yaml", number, 5)
                pin = one["id"] if pinned else None
                specs.append(KeySpec(f"key-{number}", one["label"], source, scopes, networks, id=pin))
                remotes.append(RemoteKey(one["id"], one["label"], drift, networks, datetime.now(UTC)))
            wanted = DesiredAccount(AccountRef(str(ACCOUNT)), tuple(specs))
            began = time.perf_counter()
            plan = plan_account(wanted, remotes, datetime.now(UTC))
            planned = time.perf_counter() - began
            digest(plan.changes)
            digested = time.perf_counter() - began - planned
            kind = "ids" if pinned else "labels"
            print(f"  {total:7} keys, by {kind}: {planned:.2f} s, digest {digested:.2f} s")


def loading() -> None:
    """100,000 keys from 24 MB of YAML in four files: under 6 s and 300 MB."""
    with tempfile.TemporaryDirectory() as folder:
        size = 0
        for file in range(4):
            owner = UUID(int=ACCOUNT.int + file * 10**9)
            text = desired([key(file * 25_000 + n, account=owner) for n in range(25_000)], owner)
            size += len(text)
            Path(folder, f"{file}.yaml").write_text(text)
        program = (
            "from collections import deque\n"
            "import sys, time, resource; from pathlib import Path\n"
            "from yaml._yaml import CParser\n"
            "from reconciler.files.desired import load_desired\n"
            "began = time.perf_counter()\n"
            "for file in Path(sys.argv[1]).glob('*'):\n"
            "    deque(iter(CParser(file.read_text()).get_event, None), 0)\n"
            "print(f'libyaml alone {time.perf_counter() - began:.2f} s;', end=' ')\n"
            "began = time.perf_counter()\n"
            "loaded = load_desired([Path(sys.argv[1])], {}.get)\n"
            "print(sum(len(a.keys) for a in loaded.state.accounts), f'keys: {time.perf_counter() - began:.2f} s,',"
            " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, 'MB')\n"
        )
        print(f"  {size / 1e6:.0f} MB of YAML,", end=" ", flush=True)
        subprocess.run([sys.executable, "-c", program, folder], check=True)


def starting() -> None:
    """``--help`` within 4 times and ``plan`` on 10 keys within 15 times the start of a bare Python."""
    keys = [key(number) for number in range(1, 11)]

    def best(run: Callable[[], object]) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        return sorted(times)[len(times) // 2]

    bare = best(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
    shown = best(lambda: subprocess.run([*RECONCILER, "--help"], check=True, stdout=subprocess.DEVNULL))
    with emulator(account(keys)) as address, files(desired(keys)) as folder:
        planned = best(lambda: command(address, folder, "plan"))
    print(f"  bare Python {bare:.3f} s")
    print(f"  --help {shown:.3f} s, {shown / bare:.1f} times that")
    print(f"  plan {planned:.3f} s, {planned / bare:.1f} times that")


def sub_accounts() -> None:
    """1,000 sub accounts with 3 keys each, in sync, latency 50 ms, pace 100: at least 95 % of what the pace allows."""
    with emulator(account([], 1000), "--latency", "50ms", "--rate-limit", "100", "--burst", "200") as address:
        for burst in (50, 200):
            with files(family()) as folder:
                seconds, memory, report = command(address, folder, "plan", "--rate", "100", "--burst", str(burst))
            took = _seconds(report)
            requests = report["requests"]["GET"]
            print(
                f"  bursts of {burst}: {requests} GETs in {took:.2f} s ({seconds:.2f} s the command), {memory:.0f} MB, "
                f"{report['summary']['unchanged']} keys unchanged, {requests / (burst + 100 * took):.1%} of the pace"
            )
        print(f"  the emulator saw {served(address)}")


def _seconds(report: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def many_sub_accounts() -> None:
    """10,000 sub accounts with 3 keys each on a virtual clock: requests, time at the pace, under 300 MB."""
    program = Path(__file__).with_name("many.py")
    with files(family()) as folder, seeded(account([], 10_000)) as seed:
        subprocess.run([sys.executable, str(program), str(folder), str(seed), TOKEN], check=True)


def client() -> None:
    """CPU a request of the client: 3,000 lists of 3 keys, without a pace to wait for."""
    with emulator(account([], 3000), "--rate-limit", "100000", "--burst", "100000") as address:
        subprocess.run([sys.executable, str(Path(__file__).with_name("client.py")), address, TOKEN], check=True)


def emulating() -> None:
    """Requests a second that the emulator answers on one core, in process and over a socket."""
    with seeded(account([key(number) for number in range(1, 1000)], 100)) as seed:
        subprocess.run([sys.executable, str(Path(__file__).with_name("emulating.py")), str(seed)], check=True)


def judging() -> None:
    """Audit of a saved listing by 20 rules, half of them expressions; 100,000 keys: under 10 s and 600 MB, linear."""
    program = Path(__file__).with_name("judging.py")
    environment = os.environ | {"AHASEND_ACCOUNT_ID": "11111111-1111-4111-8111-111111111111"}
    for number in (25_000, 50_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, str(program), str(number), folder], check=True)
            for output in ("text", "json"):
                arguments = ["--policy", "policy.yaml", "--actual", "listing.json", "-o", f"{output}=report"]
                began = time.perf_counter()
                process = subprocess.Popen([*RECONCILER, "audit", *arguments], env=environment, cwd=folder)
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - began
                assert os.waitstatus_to_exitcode(status) == 3
                each = seconds / number * 1e6
                told = f"{seconds:.2f} s, {each:.0f} us a key, {usage.ru_maxrss // 1024} MB"
                print(f"  {number:,} keys to {output}: {told}", flush=True)


def reporting() -> None:
    """Audit of 5,000 keys on the emulator without latency, to each format and to all: HTML under 5 s and 5 MB."""
    arguments = ["audit", "--policy", "config/policy", "--log-level", "error"]
    with tempfile.TemporaryDirectory() as name, emulator(fleet.seed(5000)) as address:
        folder = Path(name)
        fleet.write(folder, 5000)
        environment = os.environ | {"AHASEND_API_KEY": fleet.TOKEN, "AHASEND_ENDPOINT": address}
        for formats in (["html"], ["text"], ["json"], ["markdown"], ["sarif"], ["html", "json", "markdown", "sarif"]):
            outputs = [part for each in formats for part in ("-o", f"{each}={each}")]
            began = time.perf_counter()
            process = subprocess.Popen([*RECONCILER, *arguments, *outputs], env=environment, cwd=folder)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            assert os.waitstatus_to_exitcode(status) == 3
            sizes = ", ".join(f"{each} {(folder / each).stat().st_size / 1e6:.2f} MB" for each in formats)
            print(f"  {seconds:.2f} s, {usage.ru_maxrss // 1024} MB of memory; {sizes}", flush=True)


def unattended() -> None:
    """The daemon left alone: how soon it heeds a file, whether it stays level, what it takes while nothing happens."""
    subprocess.run([sys.executable, str(Path(__file__).with_name("unattended.py"))], check=True)


def status_page() -> None:
    """The daemon's pages of 5,000 keys as served, in sync or differing, with 0, 2 and 10 secrets: the first, 200 ms."""
    with tempfile.TemporaryDirectory() as folder:
        fleet.write(Path(folder), 5000)
        arguments = ["plan", "--policy", "config/policy", "--actual", "listing.json", "-o", "json=report.json"]
        subprocess.run([*RECONCILER, *arguments], cwd=folder, check=True)
        for kind in ("in-sync", "differing"):
            program = Path(__file__).with_name("status_page.py")
            subprocess.run([sys.executable, str(program), str(Path(folder) / "report.json"), kind], check=True)


BENCHMARKS = (
    in_sync,
    drifted,
    pace,
    sub_accounts,
    many_sub_accounts,
    client,
    emulating,
    loading,
    starting,
    planning,
    judging,
    reporting,
    unattended,
    status_page,
)


def main(names: list[str]) -> None:
    for benchmark in BENCHMARKS:
        if not names or benchmark.__name__ in names:
            print(f"{benchmark.__name__}: {benchmark.__doc__}", flush=True)
            benchmark()
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
