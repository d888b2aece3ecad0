"""The daemon left alone: how much it takes while nothing happens, how soon it heeds a file, whether it stays level.

``python bench/unattended.py idle|reaction|level``; `bench/run.py` runs them all.
"""

import gc
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # the daemon in virtual time is that of the tests

from bench import run as bench  # noqa: E402 # the path to it comes first

IDLE_SECONDS = 180
REACTIONS = 30
PASSES = 5_000


@contextmanager
def daemon(address: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the daemon on files in a process of its own, until the block ends."""
    environment = os.environ | {
        "AHASEND_API_KEY": bench.TOKEN,
        "AHASEND_ENDPOINT": address,
        "RECONCILER_SELF_KEY_ID": bench.SELF,
    }
    command = [*bench.RECONCILER, "run", "--desired", str(folder), *options]
    with tempfile.TemporaryFile("w+") as logs:
        process = subprocess.Popen(command, env=environment, stderr=logs, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def used(pid: int) -> tuple[float, float, int]:
    """Give the seconds of CPU, the MB in memory, and the open files of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return seconds, pages * resource.getpagesize() / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def requests(address: str, method: str) -> int:
    return int(bench.served(address)[method])


def idle() -> None:
    """1,000 keys in sync, a pass a minute: under 0.5 % of a core and 90 MB, everything switched on."""
    keys = [bench.key(number) for number in range(1, 1000)]
    with (
        bench.emulator(bench.account(keys), "--latency", "20ms") as address,
        bench.files(bench.desired(keys)) as folder,
        tempfile.TemporaryDirectory() as state,
        daemon(
            address,
            folder,
            *("--every", "60s", "--jitter", "0s", "--listen", "127.0.0.1:0"),
            *("--trail", f"{state}/trail", "--policy", str(ROOT / "config" / "policy.yaml")),
        ) as process,
    ):
        while not requests(address, "GET"):
            time.sleep(0.1)
        time.sleep(5)
        first, _, _ = used(process.pid)
        time.sleep(IDLE_SECONDS)
        last, memory, files = used(process.pid)
        share = (last - first) / IDLE_SECONDS * 100
        print(f"  {share:.2f} % of a core, {memory:.0f} MB, {files} open files, {requests(address, 'GET')} GETs")


def reaction() -> None:
    """From a file that is renamed into place to the PUT that it asks for: under 1 s at the median."""
    keys = [bench.key(number) for number in range(1, 1000)]
    with (
        bench.emulator(bench.account(keys), "--latency", "20ms") as address,
        bench.files(bench.desired(keys)) as folder,
        daemon(address, folder, "--every", "1h", "--listen", "none") as process,
    ):
        while not requests(address, "GET"):
            time.sleep(0.1)
        time.sleep(3)
        seconds = []
        for number in range(REACTIONS):
            extra = {"scopes": ["domains:read", *(["domains:write"] if number % 2 else [])]}
            (folder / ".next").write_text(bench.desired([keys[0] | extra, *keys[1:]]))
            before = requests(address, "PUT")
            began = time.perf_counter()
            (folder / ".next").rename(folder / "keys.yaml")
            while requests(address, "PUT") == before:
                assert process.poll() is None
                assert time.perf_counter() - began < 30
                time.sleep(0.01)
            seconds.append(time.perf_counter() - began)
            time.sleep(0.5)
        print(f"  median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s, of {REACTIONS}; 1,000 keys")


def level() -> None:
    """5,000 passes in virtual time, each with a change, a trail, logs and metrics: memory and open files stay level."""
    from daemon.house import Daemon, minutes, shop
    from reconciler.core.events import tell_all
    from reconciler.daemon.trail import open_trail
    from reconciler.logs import LogFormat, LogLevel, log_observer
    from reconciler.metrics import Metrics
    from world import key_id

    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        open_trail(Path(folder, "trail"), size=1 << 20, secrets=lambda: (bench.TOKEN,)) as trail,
    ):
        Path(folder, "keys").mkdir()
        world = shop(Path(folder, "keys"))
        alone = Daemon(world)
        log = log_observer(
            nowhere,
            format=LogFormat.JSON,
            level=LogLevel.DEBUG,
            secrets=lambda: (bench.TOKEN,),
            trail=lambda: trail.head,
        )
        metrics = Metrics(time.time, 60.0)
        alone.observe = tell_all(trail, log, metrics.observe)
        samples: list[tuple[int, float, int]] = []
        done = 0

        def look(_report: object) -> None:
            nonlocal done
            done += 1
            del alone.reports[:]
            metrics.exposition()
            with world.edited() as keys:
                keys[key_id(1)]["scopes"] = [f"messages:send:{{{'shop' if done % 2 else 'news'}.example.com}}"]
            if done % (PASSES // 10) == 0:
                gc.collect()
                _, memory, files = used(os.getpid())
                samples.append((done, memory, files))
                print(f"  after {done} passes {memory:.1f} MB, {files} open files", flush=True)

        alone.after = look
        began = time.perf_counter()
        alone.run(minutes(PASSES))
        (first, low, fewest), (last, high, most) = samples[1], samples[-1]
        slope = (high - low) * 1e6 / (last - first)
        print(f"  {slope:.0f} bytes a pass, {most - fewest} files more; {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    for part in sys.argv[1:] or ("reaction", "level", "idle"):
        {"idle": idle, "reaction": reaction, "level": level}[part]()
