"""Sends messages in processes of their own, a few at a time, each of which is ended when it takes too long."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.notify.addresses import Address
from reconciler.notify.delivery import Letter, Receipt
from reconciler.notify.errand import Errand

MOST_AT_A_TIME: Final = 4
"""So many messages are under way at a time; a process takes some 50 MB, and half a second to begin."""
LONGEST_SEND: Final = 60.0
"""Seconds, from when it is its turn, after which a message counts as not delivered, and its process is ended."""
_CODE: Final = "import sys; sys.path.append(sys.argv[1]); from reconciler.notify.errand import main; main()"
_SECRETIVE: Final = ("AHASEND_", "RECONCILER_")
_PACKAGES: Final = str(Path(__file__).parents[2])


class Sender:
    """Sends messages; what is under way is ended by `end`."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_AT_A_TIME)
        self._processes: set[asyncio.subprocess.Process] = set()

    async def send(self, address: Address, letter: Letter) -> Receipt:
        """Send a message when it is its turn, and tell what became of it."""
        async with self._turns:
            try:
                process = await _begin()
            except OSError as error:
                return Receipt(f"no process could be made to send it: {(error.strerror or str(error)).lower()}")
            self._processes.add(process)
            try:
                async with asyncio.timeout(LONGEST_SEND):
                    told, _ = await process.communicate(Errand(address.url, letter).written())
                return _receipt(told)
            except TimeoutError:
                return Receipt(f"it has not answered for {LONGEST_SEND:.0f} seconds")
            finally:
                self._processes.discard(process)
                _kill(process)
                await process.wait()

    def end(self) -> None:
        """End what is under way."""
        for process in self._processes:
            _kill(process)


async def _begin() -> asyncio.subprocess.Process:
    """Begin a process that knows none of our secrets, and that no signal of a terminal ends.

    Raises:
        OSError: there can be no more processes.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRETIVE)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing is imported from the folder in which the daemon was started
        "-c",
        _CODE,
        _PACKAGES,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _receipt(told: bytes) -> Receipt:
    try:
        receipt = json.loads(told)
    except ValueError:  # it ended before: of too much memory, say
        return Receipt("what sends it ended before it was delivered")
    return Receipt(receipt["error"], tuple(receipt["taken"]))


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
