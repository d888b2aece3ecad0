"""Control of the emulator by whoever runs it, outside the API's paths, without a key and uncounted."""

from collections.abc import Callable
from typing import Any, Protocol

from reconciler.emulator.answers import Answer, json_answer, message, refusal
from reconciler.emulator.bodies import parsed
from reconciler.emulator.faults import FaultError
from reconciler.emulator.permissions import Refused
from reconciler.emulator.seed import SeedError

PREFIX = "/_emulator/"


class Controlled(Protocol):
    """What can be asked of an emulator."""

    @property
    def requests(self) -> dict[str, Any]:
        """How many API requests came."""

    def forget_requests(self) -> None:
        """Count from zero again."""

    def dump(self) -> dict[str, Any]:
        """Return all accounts as a seed."""

    def load(self, seed: object) -> None:
        """Replace all accounts."""

    def set_faults(self, document: object) -> None:
        """Replace all rules."""

    def delete_domain(self, account_id: str, domain: str) -> bool:
        """Delete a domain of an account."""


def control(emulator: Controlled, method: str, path: str, body: bytes) -> Answer:
    """Answer a request to a control path."""
    match method, path.removeprefix(PREFIX).split("/"):
        case "GET", ["requests" | "state" as name]:
            return json_answer(200, emulator.requests if name == "requests" else emulator.dump())
        case "DELETE", ["requests"]:
            emulator.forget_requests()
        case "PUT", ["state"]:
            return _replaced(emulator.load, body)
        case "PUT", ["faults"]:
            return _replaced(emulator.set_faults, body)
        case "DELETE", ["domains", account_id, domain] if emulator.delete_domain(account_id.lower(), domain):
            pass
        case _, ["requests" | "state" | "faults"]:
            return message(405, "method not allowed")
        case _:
            return message(404, "not found")
    return message(200, "done")


def _replaced(replace: Callable[[object], None], body: bytes) -> Answer:
    try:
        replace(parsed(body))
    except Refused as refused:
        return refusal(refused)
    except (SeedError, FaultError) as error:
        return message(400, str(error))
    return message(200, "done")
