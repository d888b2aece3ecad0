"""What the commands of deploy/kubernetes take: memory and processor time with 100, 1,000 and 5,000 keys.

``python bench/footprint.py`` prints the table of docs/how-to/run-on-kubernetes.md, a row a command; with numbers, that
of so many keys. Every fifth key has a scope too many when ``apply`` begins, unless there are more than 5,000: so many
changes would run out of time. ``run`` makes three passes, and is asked for metrics and its page after each.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # the fleet of keys is that of the tests

import fleet  # noqa: E402 # the path to it comes first
from bench import run as bench  # noqa: E402 # the path to it comes first

RECONCILER = [sys.executable, "-m", "reconciler"]
CALM = ["--policy", "config/policy", "--log-level", "error"]
MENDED = 5000
Taken = tuple[float, float, float]
"""Peak of memory in MiB, seconds of a processor, seconds."""


def environment(address: str) -> dict[str, str]:
    """Give what a container finds: the emulator in the API's place, and a compiled package."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"AHASEND_API_KEY": fleet.TOKEN, "AHASEND_ENDPOINT": address, "RECONCILER_SELF_KEY_ID": fleet.SELF}


def command(folder: Path, address: str, *arguments: str) -> Taken:
    """Run one command to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*RECONCILER, *arguments, *CALM],
        cwd=folder,
        env=environment(address),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 3), arguments
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def apply(folder: Path, address: str) -> Taken:
    return command(folder, address, "apply", "--allow", "max-changes")


def audit(folder: Path, address: str) -> Taken:
    return command(folder, address, "audit", "-o", "text", "-o", "json=audit.json", "-o", "html=audit.html")


def run(folder: Path, address: str) -> Taken:
    """Make three passes; gives what they took until then, and the seconds for which it was there."""
    began = time.perf_counter()
    arguments = ["run", "--every", "1h", "--listen", "127.0.0.1:0", "--policy", "config/policy", "--log-format", "json"]
    process = subprocess.Popen(
        [*RECONCILER, *arguments], cwd=folder, env=environment(address), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    ended, web = 0, ""
    for line in process.stderr:
        web = found[1] if (found := re.search(r'"listen": ?"(http[^"]+)"', line)) else web
        if '"pass.finished"' not in line:
            continue
        for path in ("/metrics", "/", "/readyz"):
            with urllib.request.urlopen(web + path) as answer:  # noqa: S310 # a loopback address
                answer.read()
        ended += 1
        if ended == 3:
            break
        process.send_signal(signal.SIGHUP)
    process.terminate()
    process.stderr.read()
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime, time.perf_counter() - began


COMMANDS: tuple[Callable[[Path, str], Taken], ...] = (apply, audit, run)


def main(counts: list[int]) -> None:
    """Print a row for each command and number of keys."""
    print("| keys | command | peak of memory | processor | time |\n|---|---|---|---|---|")
    for count in counts:
        seed = fleet.seed(count)
        for one in seed["accounts"][0]["keys"][5::5] if count <= MENDED else ():
            one["scopes"] = [*one["scopes"], "domains:write"]
        with tempfile.TemporaryDirectory() as name, bench.emulator(seed) as address:
            fleet.write(Path(name), count)
            for measured in COMMANDS:
                memory, processor, seconds = measured(Path(name), address)
                took = f"{memory:.0f} MiB | {processor:.1f} s | {max(1, round(seconds))} s"
                print(f"| {count:,} | `{measured.__name__}` | {took} |", flush=True)
            sizes = {each: (Path(name) / f"audit.{each}").stat().st_size / 1e6 for each in ("json", "html")}
            desired = (Path(name) / "config/keys/keys.yaml").stat().st_size / 1024
            print(f"  reports: {sizes}, files: {desired:.0f} KiB", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [100, 1000, 5000])
