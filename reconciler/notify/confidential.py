"""Tells which parts of an address are secrets: those that are masked in every text, so that no others may be.

What is an ordinary word, a host, or the id of something is none, wherever a service has it: masked everywhere it would
garble scopes, names and ids of keys.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from reconciler.core.keys import UUID_PATTERN
from reconciler.errors import SHORTEST_SECRET

if TYPE_CHECKING:
    from apprise import NotifyBase

MOST_PARTS: Final = 16
"""So many secrets an address has at most, the most certain first; its path is one of them as a whole."""
_ID: Final = re.compile(UUID_PATTERN)
_LONG: Final = 16
_VERY_LONG: Final = 20
_CHANGES: Final = 3
_WORDS: Final = re.compile(r"[A-Za-z]?[a-z]*(?:[-_.:@ ][A-Za-z]?[a-z]*)*")
_TURNS: Final = re.compile(r"[a-z](?=[0-9])|[0-9](?=[a-z])", re.IGNORECASE)
_NAMES_A_SECRET: Final = re.compile(r"token|key|secret|pass|pwd|auth|sig|cred", re.IGNORECASE)


def secrets_of(url: str, split: SplitResult, service: "NotifyBase", name: str) -> tuple[str, ...]:
    """Give the address, and each part of it that is a secret; as it is written and decoded.

    Args:
        url: The address.
        split: The same in its parts.
        service: What sends to it, and knows what of it is private.
        name: What it is called where people see it, which holds no secret.
    """
    private = _private(service)
    parts = (url, *_of_login(split, private), *_of_path(split, private), *_of_query(split), *private)
    forms = dict.fromkeys(form for each in parts for form in (each, unquote(each)))
    return tuple(islice((form for form in forms if len(form) >= SHORTEST_SECRET and form not in name), MOST_PARTS))


def _private(service: "NotifyBase") -> tuple[str, ...]:
    """Give the parts that the service itself hides where it shows its address, and that are no ordinary words."""
    bare, hidden = (
        urlsplit(str(service.url(privacy=privacy)))  # type: ignore[no-untyped-call] # Apprise's is not
        for privacy in (False, True)
    )
    shown = {unquote(part) for part in _cut(hidden)}
    parts = (unquote(part) for part in _cut(bare))
    return tuple(part for part in parts if part not in shown and not _is_ordinary(part))


def _cut(split: SplitResult) -> Iterator[str]:
    for part in (*split.netloc.split("@"), *split.path.split("/")):
        yield part
        yield from unquote(part).split(":")


def _is_ordinary(part: str) -> bool:
    return len(part) < _LONG and _WORDS.fullmatch(part) is not None


def _of_login(split: SplitResult, private: Iterable[str]) -> Iterator[str]:
    login = split.netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    if password:
        yield from (login, password)
    if unquote(user) in private:
        yield user


def _of_path(split: SplitResult, private: Iterable[str]) -> Iterator[str]:
    """Give the path as a whole where anything in it is no ordinary word, and what in it looks as if it were made up."""
    segments = [each for each in split.path.split("/") if each]
    if any(not _is_ordinary(each) and not _ID.fullmatch(each) for each in map(unquote, segments)):
        yield split.path
    yield from (each for each in segments if unquote(each) in private or _is_made_up(unquote(each)))


def _of_query(split: SplitResult) -> Iterator[str]:
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if _is_made_up(value) or (_NAMES_A_SECRET.search(name) and not _is_ordinary(value)):
            yield value


def _is_made_up(part: str) -> bool:
    """Tell whether a part is no word, name or id that anybody would write anywhere else."""
    if _ID.fullmatch(part) or "@" in part or "://" in part or len(part) < SHORTEST_SECRET:
        return False
    has_digit = any(letter.isdigit() for letter in part)
    if has_digit and part.lower() != part != part.upper():
        return True
    if len(part) >= _LONG and len(_TURNS.findall(part)) >= _CHANGES:
        return True
    return len(part) >= _VERY_LONG and part.isalnum()
