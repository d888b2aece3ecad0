"""One plan over the emulator in the same process, on a clock whose time jumps: FOLDER SEED TOKEN."""

import asyncio
import gc
import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from reconciler.ahasend.client import ClientConfig, Endpoint, open_reads
from reconciler.ahasend.pace import Paces, Stop
from reconciler.core.events import Event
from reconciler.core.memory import Memory
from reconciler.core.report import Report
from reconciler.emulator.server import Emulator
from reconciler.files.desired import load_desired
from reconciler.reconcile import DryRun, PassInputs, run_pass
from virtual_time import run_virtual

RATE, BURST, LATENCY = 100.0, 200, 0.05


def resident() -> float:
    """Give the memory in use now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main(folder: str, seed: str, token: str) -> None:
    document = json.loads(Path(seed).read_text())
    gc.collect()
    before = resident()

    async def work() -> tuple[Report, float]:
        clock = asyncio.get_running_loop().time
        emulator = Emulator(document, latency=LATENCY, rate=RATE, burst=BURST, clock=clock)
        stop = Stop()

        def ignore(_event: Event) -> None:
            """Nobody is told."""

        config = ClientConfig(
            Endpoint("http://127.0.0.1:1"),
            Paces(RATE, BURST),
            stop,
            ignore,
            lambda _account, _refused: token,
            make_transport=lambda: httpx.ASGITransport(emulator),
        )
        desired = load_desired([Path(folder)], lambda _name: None).state
        inputs = PassInputs("bench", desired, DryRun(lambda: open_reads(config)), ignore, stop)
        began = clock()
        report, _ = await run_pass(inputs, datetime.now(UTC), Memory())
        return report, clock() - began

    began = time.perf_counter()
    report, took = run_virtual(work())
    requests = report.requests.GET
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {requests} GETs, {took:.1f} s at the pace ({requests / (BURST + RATE * took):.1%} of it)")
    print(f"  {report.summary.unchanged} keys unchanged in {len(report.accounts)} accounts")
    print(f"  {time.perf_counter() - began:.1f} s of real time; {before:.0f} MB before, {peak:.0f} MB at the peak,")
    print("  the emulator and its keys included")


if __name__ == "__main__":
    main(*sys.argv[1:])
