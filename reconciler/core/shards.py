"""How the accounts of a fleet are divided: each belongs to exactly one of so many shards, by its id alone.

By rendezvous hashing (Thaler and Ravishankar, 1998): of all shards an account belongs to the one whose hash together
with the account's id is the greatest. Nobody needs to agree with anybody on more than how many shards there are, and
with one shard more only those accounts move that go to the new one.
"""

from dataclasses import dataclass
from typing import Final

MOST_SHARDS: Final = 1000
"""So that the hashes of an account, one for each shard, stay cheap: a millisecond at most."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shards (1 to `MOST_SHARDS`); ``index`` is counted from 0, as Kubernetes counts completions.

    Raises:
        ValueError: there is no such shard.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise ValueError(f"there can be 1 to {MOST_SHARDS} shards, not {self.count}")
        if not 0 <= self.index < self.count:
            last = self.count - 1
            raise ValueError(f"shards are counted from 0, so that the last of {self.count} is {last}/{self.count}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def takes(self, account_id: str) -> bool:
        """Tell whether an account belongs to this shard; its sub accounts belong where it belongs."""
        return home(account_id, self.count) == self.index


def home(account_id: str, count: int) -> int:
    """Give the index of the shard, of ``count``, to which an account belongs; its id is written in lower case."""
    from hashlib import sha256  # takes milliseconds, and the command line needs to know only what a shard is

    return max(range(count), key=lambda index: sha256(f"{account_id}/{index}".encode()).digest())
