"""What goes back to a client."""

import json
from typing import NamedTuple

from reconciler.emulator.permissions import Refused

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """What goes back: status, body, content type, further headers."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()


def json_answer(status: int, document: object) -> Answer:
    """Return a document as an answer."""
    return Answer(status, json.dumps(document, separators=(",", ":")).encode())


def message(status: int, text: str, *, headers: Headers = ()) -> Answer:
    """Return a message for people, the one form of every error and of some successes."""
    return json_answer(status, {"message": text})._replace(headers=headers)


def refusal(refused: Refused) -> Answer:
    """Return the answer to a request that was refused."""
    return message(refused.status, refused.message, headers=refused.headers)
