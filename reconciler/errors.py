"""Every error that leaves a part of the reconciler, as one tree.

.. code-block:: text

    ReconcilerError              message, hint, exit code 1
    ├── UsageError               wrong options or values of environment variables (64)
    ├── FilesError               files that do not load, with every problem found in them
    ├── SettingsError            a credential, an endpoint, a directory or an address that is missing or wrong
    ├── OutputError              a result could not be written where it was asked for
    ├── TrailError               the trail cannot be kept, or is not what was written
    ├── NoDaemon                 no daemon answers where one was asked how it stands, or not as one does
    ├── Busy                     more is asked for at once than can be made
    ├── Interrupted              a signal asked to stop before this was done (4)
    ├── NotWritten               a write of which nobody saw that it took effect (4)
    └── RemoteError              something about the remote API (4)
        ├── Unreachable          no answer: refused, TLS, time-out, connection lost
        ├── BadAnswer            an answer that is not what the API promises
        ├── Unauthorized         401: terminal for the account
        ├── Forbidden            403: terminal for the operation
        ├── NotFound             404
        ├── Rejected             400, 409, 422 and other refusals of one request: terminal for that key
        ├── RateLimited          429
        ├── ServerFault          5xx, 408 and 425
        └── UnsoundListing       a list that repeats a cursor or shows a key twice
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from reconciler.exits import ExitCode

SHORTEST_SECRET = 8
SECRET_BEGINS = "aha-sk-"  # noqa: S105 # how each begins, and no more
MASKED = f"{SECRET_BEGINS}***"
_SECRET = re.compile(rf"{SECRET_BEGINS}[A-Za-z0-9_\-]+")


_BLANK = re.compile(
    "[\\s\\x00-\\x1f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0]"
)
"""What may break a secret that was pasted somewhere: what nobody sees."""
_PIECE: Final = 1 << 16
"""Letters that are split at a time: all words of a report at once would take several times its memory."""


def mask(text: str, *secrets: str) -> str:
    """Return ``text`` with every AhaSend secret key, and each of ``secrets``, replaced by ``aha-sk-***``.

    Also such as are broken by blanks. Of ``secrets``, what is shorter than `SHORTEST_SECRET` is a mistake: to mask it
    would garble every text. Source of the form of a secret: AhaSend's OpenAPI document, "Authentication".
    """
    bare = _bare(text) if secrets else ""
    for secret, bare_secret in _longest_first(secrets):
        if bare_secret not in bare:
            continue
        if secret in text:
            text = text.replace(secret, MASKED)
            bare = _bare(text)
        if len(bare_secret) >= SHORTEST_SECRET and bare_secret in bare:
            text = _mask_broken(text, bare, bare_secret)
            bare = _bare(text)
    return _SECRET.sub(MASKED, text) if SECRET_BEGINS in text else text


def may_hold(text: str, *secrets: str) -> bool:
    """Tell whether `mask` may change a text, or a part of it; False: it does not, which takes less time to find out."""
    if SECRET_BEGINS in text:
        return True
    bare = _bare(text) if secrets else ""
    return any(bare_secret in bare for _, bare_secret in _longest_first(secrets))


@lru_cache(maxsize=8)
def _longest_first(secrets: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Give secrets that are to be masked, each with itself without blanks; of two, one may begin with the other."""
    ordered = sorted(secrets, key=len, reverse=True)
    return tuple((secret, _bare(secret)) for secret in ordered if len(secret) >= SHORTEST_SECRET)


def _bare(text: str) -> str:
    """Give a text without blanks: without what `_BLANK` matches, which is slow where there are many of them."""
    if len(text) > _PIECE:
        return "".join([_bare(text[begin : begin + _PIECE]) for begin in range(0, len(text), _PIECE)])
    words = "".join(text.split())
    return words if words.isascii() and words.isprintable() else _BLANK.sub("", words)


def mask_all(texts: Sequence[str], *secrets: str) -> list[str]:
    """Return what `mask` returns for each of ``texts``, in little more time than for one text of their length."""
    joined = "".join(texts)
    others = (chr(number) for number in range(_FIRST_PRIVATE, _LAST_PRIVATE))
    between = next((each for each in others if each not in joined and not any(each in one for one in secrets)), None)
    if between is None:
        return [mask(text, *secrets) for text in texts]
    return mask(between.join(texts), *secrets).split(between) if texts else []


_FIRST_PRIVATE, _LAST_PRIVATE = 0xE000, 0xE010
"""Characters that no secret and no text should have: no secret is found across two texts with one in between."""


def _mask_broken(text: str, bare: str, secret: str) -> str:
    """Replace a secret in a text that may have blanks in it; ``bare`` is the text without any."""
    places = [place for place, letter in enumerate(text) if not _BLANK.match(letter)]
    pieces, done, begin = [], 0, bare.find(secret)
    while begin >= 0:
        end = begin + len(secret)
        pieces += [text[done : places[begin]], MASKED]
        done, begin = places[end - 1] + 1, bare.find(secret, end)
    return "".join(pieces) + text[done:]


# What has no looks of its own although it counts as printable: joiners, fillers, selectors of variants.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]"
    "|(?<![^\x00-\x7f])[\ufe00-\ufe0f]"  # one after a picture chooses how that looks
)
# A runner of GitHub or Azure takes ##[command] and ##vso[command] for its own wherever they stand in a line of output.
_COMMAND = re.compile(r"(?<=##)(vso)?\[")


def visible(text: str) -> str:
    """Escape what a terminal would obey instead of show, and what nobody would see.

    That is control, format, bidi and zero-width characters, fillers, and what makes text a command for a CI runner.
    """
    if "##" in text:
        text = _COMMAND.sub(lambda found: f"{found[1] or ''}\\x5b", text)
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text
    text = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


_COMMAND_IN_JSON = re.compile(r"(?<=##)[\[v]")


def uncommanded(text: str) -> str:
    """Write JSON text so that it says the same, and no CI runner takes part of it for a command."""
    return _COMMAND_IN_JSON.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)


class ReconcilerError(Exception):
    """Base of all errors: a message (what, where), a hint (what to do) and an exit code."""

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(ReconcilerError):
    """An option or an environment variable has a value that cannot be used."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a file, at a 1-based place (columns in characters; line 0: the file as a whole)."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{visible(place)}: {visible(mask(self.message))}"


class FilesError(ReconcilerError):
    """Files that do not load; ``problems`` holds everything found wrong in all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SettingsError(ReconcilerError):
    """A credential, an endpoint, a directory of secrets or an address to listen on is missing or wrong."""


class OutputError(ReconcilerError):
    """A result could not be written where it was asked for."""


class TrailError(ReconcilerError):
    """The trail cannot be kept, cannot be read, or is not what was written."""


class NoDaemon(ReconcilerError):
    """No daemon answers where one was asked how it stands, or what answers is none."""


class Busy(ReconcilerError):
    """More is asked for at once than can be made."""

    def __init__(self, message: str = "busy") -> None:
        super().__init__(message)


class Interrupted(ReconcilerError):
    """A signal asked to stop before this was done."""

    exit_code = ExitCode.UNFINISHED

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)


class NotWritten(ReconcilerError):
    """A write did not take effect, or nobody could see that it did."""

    exit_code = ExitCode.UNFINISHED


class RemoteError(ReconcilerError):
    """Base of everything that can go wrong with the remote API."""

    exit_code = ExitCode.UNFINISHED


class Unreachable(RemoteError):
    """No answer came: connection refused or lost, TLS failure, time-out."""


class BadAnswer(RemoteError):
    """An answer that is not what the API promises: HTML, truncated JSON, a field of the wrong type."""


class Unauthorized(RemoteError):
    """401: the credential is missing, malformed, revoked, of another account, or the account is suspended."""


class Forbidden(RemoteError):
    """403: the calling key lacks a scope, or its address is not on the key's allow list."""


class NotFound(RemoteError):
    """404: there is no such key, or it was deleted meanwhile."""


class Rejected(RemoteError):
    """400, 409, 422 or another refusal of this one request."""


class RateLimited(RemoteError):
    """429: over the account's rate limit."""


class ServerFault(RemoteError):
    """5xx, 408 or 425: the service, or something in front of it, failed or was too slow."""


class UnsoundListing(RemoteError):
    """A list of keys that cannot be trusted: a cursor came again, a page stopped short, a key came twice."""
