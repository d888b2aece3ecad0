"""The account of the demo: 250 keys, 246 of them in the files, 40 of those changed by hand in every way there is."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from reconciler.emulator.server import Emulator

ACCOUNT_ID = "5f0c1f2e-8d4b-4a57-9c2e-3b1d7a6e9f00"
DEMO_KEY = "aha-sk-" + "demo" * 16
SELF_KEY_ID = "5f0c1f2e-8d4b-4a57-9c2e-000000000000"
FENCED_NAME = "service-187"
DRIFTING_NAME = "service-200"
_OFFICE = "203.0.113.0/24"
_FENCE = "192.0.2.1/32"
_DOMAINS = tuple(f"{name}.example.com" for name in ("shop", "billing", "news", "support", "status"))
_MANAGED = 245


@dataclass(frozen=True, slots=True)
class _Key:
    """A key as the files want it, or as the account has it."""

    number: int
    label: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...] = (_OFFICE,)
    quarantined: bool = False

    @property
    def name(self) -> str:
        return f"service-{self.number:03}"

    @property
    def id(self) -> str:
        return str(UUID(int=UUID(SELF_KEY_ID).int + self.number))


def _desired_key(number: int) -> _Key:
    domain = _DOMAINS[number % len(_DOMAINS)]
    scopes = (f"messages:send:{{{domain}}}", f"messages:read:{{{domain}}}", "suppressions:read")
    return _Key(number, f"Service {number:03} ({domain})", scopes, quarantined=number in (190, 191))


def _changed_by_hand(key: _Key) -> _Key:
    """Give the key as somebody left it in the dashboard: each range of numbers in another way."""
    other = f"messages:send:{{{_DOMAINS[(key.number + 1) % len(_DOMAINS)]}}}"
    equivalent = ("messages:send:all", key.scopes[0])
    ways: tuple[tuple[range, dict[str, Any]], ...] = (
        (range(1, 9), {"scopes": (*key.scopes, "suppressions:wipe")}),
        (range(20, 26), {"scopes": key.scopes[:1]}),
        (range(30, 34), {"scopes": (other, *key.scopes[1:])}),
        (range(40, 46), {"label": f"{key.label} - do not touch"}),
        (range(50, 53), {"networks": ()}),
        (range(60, 63), {"networks": ("198.51.100.0/24",)}),
        (range(70, 73), {"networks": (_OFFICE, "198.51.100.7/32")}),
        (range(80, 84), {"label": "temp", "scopes": (*key.scopes, "domains:write"), "networks": ()}),
        (range(187, 188), {"networks": (_FENCE,)}),
        (range(100, 105), {"scopes": (*equivalent, *key.scopes[1:])}),
        (range(110, 115), {"networks": ("203.0.113.0/25", "203.0.113.128/25")}),
    )
    return next((replace(key, **change) for numbers, change in ways if key.number in numbers), key)


class DemoAccount:
    """The two sides of the demo: what the files say, and what the account has."""

    def __init__(self) -> None:
        self._keys = tuple(map(_desired_key, range(1, _MANAGED + 1)))

    def seed(self) -> dict[str, object]:
        """Give the account for the emulator."""
        return {"accounts": [{"id": ACCOUNT_ID, "domains": list(_DOMAINS), "keys": [_admin(), *self._actual()]}]}

    def _actual(self) -> list[dict[str, object]]:
        managed = [_seeded(_changed_by_hand(key)) for key in self._keys]
        unmanaged = [
            _seeded(_Key(900, "storefront checkout", ("messages:send:{shop.example.com}",), ())),
            _seeded(_Key(901, "newsletter", ("messages:send:{news.example.com}",), ())),
            _seeded(_Key(902, "old importer", ("messages:read:all",), ())),
            _seeded(_Key(903, "test, delete me", ("domains:read",), ())),
        ]
        return managed + unmanaged

    def desired(self, *, quarantined: bool) -> str:
        """Give the file; with ``quarantined`` it says of the fenced key that it stays switched off."""
        lines = [
            "version: 1",
            f"account: {ACCOUNT_ID}",
            f"defaults: {{ip_allow_list: [{_OFFICE}]}}",
            'roles: {service: ["messages:send:{domain}", "messages:read:{domain}", "suppressions:read"]}',
            "keys:",
            f"  - {{name: reconciler, id: {SELF_KEY_ID}, ip_allow_list: [],",
            '     scopes: ["api-keys:read", "api-keys:write"]}',
        ]
        for key in self._keys:
            lines += _entry(key, switched_off=key.quarantined or (quarantined and key.name == FENCED_NAME))
        return "\n".join(lines) + "\n"

    def drift(self, emulator: "Emulator") -> None:
        """Give one key full access behind the reconciler's back."""
        state = emulator.dump()
        drifting = next(key for key in self._keys if key.name == DRIFTING_NAME)
        for key in state["accounts"][0]["keys"]:
            if key["id"] == drifting.id:
                key["scopes"] = ["*"]
        emulator.load(state)


def _entry(key: _Key, *, switched_off: bool) -> list[str]:
    """Write one key; some in a spelling of their own, which must not count as a difference."""
    if key.number in range(100, 105):
        access = ["    scopes:", '      - "messages:send:all"', *(f'      - "{scope}"' for scope in key.scopes[1:])]
    else:
        access = ["    roles: [service]", f"    domains: [{_DOMAINS[key.number % len(_DOMAINS)].title()}]"]
    state = ["    state: quarantined"] if switched_off else []
    return [f"  - name: {key.name}", f'    label: "{key.label}"', f"    id: {key.id}", *access, *state]


def _seeded(key: _Key) -> dict[str, object]:
    return {
        "id": key.id,
        "label": key.label,
        "scopes": list(key.scopes),
        "ip_allow_list": list(key.networks),
        "created_at": "2026-01-15T09:00:00Z",
    }


def _admin() -> dict[str, object]:
    return {
        "id": SELF_KEY_ID,
        "label": "reconciler",
        "secret_key": DEMO_KEY,
        "scopes": ["api-keys:read", "api-keys:write"],
        "ip_allow_list": [],
        "created_at": "2026-01-15T09:00:00Z",
    }
