"""The client's CPU for each request: ADDRESS TOKEN; then the profile's top entries."""

import asyncio
import cProfile
import io
import pstats
import resource
import sys
import time

from reconciler.ahasend.client import ClientConfig, Endpoint, ReadSession, open_reads
from reconciler.ahasend.pace import Paces, Stop, in_flight
from reconciler.core.events import Event
from reconciler.core.keys import AccountRef, RemoteSubAccount

ACCOUNT = AccountRef("00000010-0000-0000-0000-000000000000")


async def read(address: str, token: str) -> int:
    """Read every sub account's keys, as many at once as there are connections; gives the number of requests."""

    def ignore(_event: Event) -> None:
        """Nobody is told."""

    config = ClientConfig(Endpoint(address), Paces(1e6, 10**6), Stop(), ignore, lambda _account, _refused: token)
    async with open_reads(config) as session:
        listed = await session.reader(ACCOUNT).list_sub_accounts()
        await in_flight(listed, lambda one: _keys(session, one), 16)
        return session.requests.GET


async def _keys(session: ReadSession, one: RemoteSubAccount) -> None:
    await session.reader(AccountRef(ACCOUNT.account_id, one.id)).list_keys()


def main(address: str, token: str) -> None:
    asyncio.run(read(address, token))
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    requests = asyncio.run(read(address, token))
    took, ended = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = ended.ru_utime - used.ru_utime + ended.ru_stime - used.ru_stime
    print(f"  {requests} GETs in {took:.2f} s: {cpu / requests * 1000:.2f} ms CPU each, {requests / took:.0f} a second")
    profile = cProfile.Profile()
    profile.runcall(asyncio.run, read(address, token))
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(15)
    print("\n".join(f"  {line}" for line in text.getvalue().splitlines() if line.strip()))


if __name__ == "__main__":
    main(*sys.argv[1:])
