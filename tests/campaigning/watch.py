"""Watches one pass from outside, at the moment when things happen, and keeps what it did that it must not do."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from campaigning.oracle import FENCE, FIELDS, Access, Wish, allowed_by, asked, network_set, overlap, scope_set
from reconciler.core.changes import Change
from reconciler.core.events import ChangeApplied, ChangeStarted, Event, PlanComputed
from reconciler.core.keys import RemoteKey


@dataclass
class Watch:
    """Hears of requests, answers and events of one pass; ``breaches`` says in words what broke a law.

    ``now`` gives every key as it is at the moment. ``edited`` are keys that somebody else edited during the pass.
    """

    wishes: Sequence[Wish]
    now: Callable[[], Mapping[str, Access]]
    dry: bool = False
    breaches: list[str] = field(default_factory=list)
    written: list[Change] = field(default_factory=list)
    edited: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"GET": 0, "PUT": 0})
    _planned: bool = False
    _announced: dict[str, Change] = field(default_factory=dict)
    _looks: dict[str, Access] = field(default_factory=dict)
    _writing: set[str] = field(default_factory=set)

    def event(self, event: Event) -> None:
        """Hear an event."""
        match event:
            case PlanComputed():
                self._planned = True
            case ChangeStarted(change=change):
                self._started(change)
            case ChangeApplied(change=change):
                self._applied(change)

    def sent(self, request: httpx.Request) -> None:
        """Hear that a request is sent."""
        self.counts[request.method] = self.counts.get(request.method, 0) + 1
        key_id = key_of(request)
        if request.method == "GET":
            return
        if request.method != "PUT" or key_id is None:
            self._breach(f"{request.method} {request.url.path} was sent")
        elif self.dry:
            self._breach(f"a PUT to {key_id} was sent in a dry run")
        else:
            self._put(key_id, _body_of(request.content) or {})

    def ended(self, request: httpx.Request) -> None:
        """Hear that nobody waits for an answer any more, be it that it came."""
        if request.method == "PUT":
            self._writing.discard(key_of(request) or "")

    def answered(self, request: httpx.Request, response: httpx.Response) -> None:
        """Hear what the client was told; only a sound answer to a GET of one key is a look at it."""
        key_id = key_of(request)
        body = _body_of(response.content)
        if request.method == "GET" and key_id and response.status_code == 200 and body and body.get("id") == key_id:
            self._looks[key_id] = Access.of_answer(body)

    def _breach(self, what: str) -> None:
        self.breaches.append(what)

    def _started(self, change: Change) -> None:
        if not self._planned:
            self._breach(f"the change of {change.title} started before there was a plan")
        self._announced[change.key_id or ""] = change

    def _applied(self, change: Change) -> None:
        """See that what is said to be applied is so, with all that the files want of the key."""
        key_id = change.key_id or ""
        wish = self._wish(key_id)
        if key_id in self.edited or wish is None:
            return
        now = self.now()[key_id]
        if wish.fulfilled(now) != now:
            self._breach(f"{change.title} is said to be applied, but it is {now}")

    def _wish(self, key_id: str) -> Wish | None:
        return next((wish for wish in self.wishes if wish.key_id == key_id), None)

    def _put(self, key_id: str, body: Mapping[str, object]) -> None:
        announced = self._announced.pop(key_id, None)
        look = self._looks.pop(key_id, None)
        wish = self._wish(key_id)
        if key_id in self._writing:
            self._breach(f"a second PUT to {key_id} was sent before the first one ended")
        self._writing.add(key_id)
        if wish is None or wish.hands_off:
            self._breach(f"a PUT to {key_id} was sent, which is {wish.why_not if wish else 'unmanaged'}")
        elif announced is None:
            self._breach(f"a PUT to {key_id} was sent that no event announced")
        elif look is None:
            self._breach(f"a PUT to {key_id} was sent without a look at the key before it")
        else:
            self.written.append(announced)
            if {name: _plain(diff.after) for name, diff in announced.fields.diffs.items()} != body:
                self._breach(f"the PUT to {key_id} is not what was announced: {body}")
            if announced.before is None or _access(announced.before) != look:
                self._breach(f"a PUT to {key_id} was sent although it was not any more as it had been listed")
            self._judge(wish, look, asked(body))

    def _judge(self, wish: Wish, look: Access, wanted: Mapping[str, object]) -> None:
        """Compare a write with what the files want, and with what the key was like a moment before."""
        key_id = wish.key_id or ""
        for name, value in wanted.items():
            if value != getattr(wish, name):
                self._breach(f"the PUT to {key_id} asks for {name} {value}, the files for {getattr(wish, name)}")
            if value == getattr(look, name):
                self._breach(f"the PUT to {key_id} carries {name}, which does not differ")
        differing = {name for name in FIELDS if getattr(wish.fulfilled(look), name) != getattr(look, name)}
        if wanted.keys() != differing and not (wish.networks == FENCE and wanted.keys() == {"networks"}):
            self._breach(f"the PUT to {key_id} carries {sorted(wanted)}, but {sorted(differing)} differ")
        lost = wanted.get("scopes", look.scopes)
        self._right_order(wish, [held for held in look.scopes if not allowed_by(_texts(lost), held)])

    def _right_order(self, wish: Wish, lost: Iterable[str]) -> None:
        """See that a right that moves to another key has arrived there before it leaves this one."""
        now = self.now()
        others = [
            other
            for other in self.wishes
            if other.holder == wish.holder and other.key_id != wish.key_id and other.key_id not in self.edited
        ]
        for revoked in lost:
            for other in others:
                if any(overlap(revoked, granted) for granted in _still_to_come(other, now)):
                    self._breach(f"{wish.key_id} loses {revoked}, which {other.key_id or other.name} was to have first")


def _still_to_come(wish: Wish, now: Mapping[str, Access]) -> list[str]:
    """Give the scopes that a key is to have and has not; what is switched off or goes gives nobody anything."""
    if wish.scopes is None or wish.networks == FENCE or wish.why_not in ("absent", "unclear"):
        return []
    return [granted for granted in wish.scopes if wish.key_id is None or now[wish.key_id].lacks(granted)]


def key_of(request: httpx.Request) -> str | None:
    """Give the id of the key that a request is about, if it is about one."""
    head, _, last = request.url.path.rpartition("/api-keys/")
    return last if head else None


def _body_of(content: bytes) -> dict[str, object] | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _plain(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _texts(scopes: object) -> frozenset[str]:
    return scopes if isinstance(scopes, frozenset) else frozenset()


def _access(key: RemoteKey) -> Access:
    return Access(key.label, scope_set(key.scopes.texts), network_set(key.ip_allow_list.networks))
