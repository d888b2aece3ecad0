"""The client of the AhaSend API: which keys exist, and the one call that changes one.

Law: a session that reads holds nothing that could write. Only errors of :mod:`reconciler.errors` leave this package.
"""

from reconciler.ahasend.client import (
    ClientConfig,
    Endpoint,
    KeyReader,
    KeyWriter,
    Limits,
    ReadSession,
    WriteSession,
    open_reads,
    open_writes,
)
from reconciler.ahasend.pace import Pace, Paces, Stop

__all__ = [
    "ClientConfig",
    "Endpoint",
    "KeyReader",
    "KeyWriter",
    "Limits",
    "Pace",
    "Paces",
    "ReadSession",
    "Stop",
    "WriteSession",
    "open_reads",
    "open_writes",
]
