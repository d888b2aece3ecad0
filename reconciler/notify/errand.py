"""The process that sends one message: it reads address and message from stdin, and tells on stdout what became of it.

It may take no more than so much memory and time, whatever an answer holds and however slowly it comes. It ends by
itself where nobody ends it. Nothing that it does can write to the log of the daemon.
"""

import json
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass, field
from typing import Final

from reconciler.notify.addresses import instantiate
from reconciler.notify.delivery import Letter, Receipt, deliver

MOST_MEMORY: Final = 192 * 1024 * 1024
"""Bytes of memory of its own that it may have: itself, and an answer, which Apprise reads whole."""
LONGEST: Final = 75
"""Seconds after which it ends in any case, so that it does not outlive a daemon that was killed for long."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What it is to do: a message, and the address that it is for."""

    url: str = field(repr=False)
    letter: Letter = field(repr=False)

    def written(self) -> bytes:
        """Give it as it is read from stdin."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: str) -> "Errand":
        """Read what `written` wrote."""
        told = json.loads(text)
        return cls(told["url"], Letter(**{**told["letter"], "taken": tuple(told["letter"]["taken"])}))


def run(text: str) -> str:
    """Do an errand, and give the receipt as JSON."""
    errand = Errand.read(text)
    service = instantiate(errand.url)
    receipt = deliver(service, errand.letter) if service else Receipt("its address is not understood any more")
    return json.dumps(asdict(receipt))


def main() -> None:
    """Do the errand that stdin holds within bounds, and tell on stdout what became of it."""
    for bound, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, MOST_MEMORY)):
        resource.setrlimit(bound, (most, most))
    signal.alarm(LONGEST)
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for each in (1, 2):
        os.dup2(nowhere, each)
    with told:
        told.write(run(sys.stdin.read()))
