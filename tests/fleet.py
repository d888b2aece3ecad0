"""An account as a company of some size has it: what its files say, what it has, and what its policy wants.

Everything follows from the number of keys: the same number gives the same account, down to the last use of each key.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

ACCOUNT = "6a0d2c1e-5b7f-4c3e-9d8a-1f2e3d4c5b6a"
TOKEN = "aha-sk-" + "f" * 64
SELF = "6a0d2c1e-0000-4000-8000-000000000000"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
DOMAINS = [
    f"{name}.example.{top}" for name in ("shop", "news", "app", "pay", "care", "events") for top in ("com", "org")
]
TEAMS = ("growth", "payments", "support", "platform", "data", "events")
OFFICES = ("203.0.113.0/24", "198.51.100.0/28", "198.51.100.64/27", "203.0.113.7/32", "198.51.100.200/32")
SERVICES = (
    "receipts",
    "newsletter",
    "signup",
    "alerts",
    "digest",
    "invoices",
    "tickets",
    "returns",
    "surveys",
    "imports",
)
STARTER = Path(__file__).parent.parent / "config" / "policy.yaml"
WAIVERS = f"""version: 1
waivers:
  - rule: no-wildcard
    label: "break-glass*"
    until: {NOW.date() + timedelta(days=9)}
    owner: team-security
    reason: INC-204
  - rule: require-owner
    label: "tmp-*"
    until: {NOW.date() + timedelta(days=120)}
    owner: team-security
    reason: they go with the old shop
"""


def _scopes(number: int, random: Random) -> list[str]:
    domain = DOMAINS[number % len(DOMAINS)]
    match number % 20:
        case 0:
            return [f"messages:send:{{{domain}}}", f"messages:read:{{{domain}}}", "suppressions:read"]
        case 1:
            return ["statistics-transactional:read:all", "messages:read:all"]
        case 2:
            return [f"webhooks:read:{{{domain}}}", f"webhooks:write:{{{domain}}}"]
        case 3:
            return ["suppressions:read", "suppressions:write", f"messages:send:{{{random.choice(DOMAINS)}}}"]
        case 4:
            return ["messages:send:all"]
        case _:
            return [f"messages:send:{{{domain}}}"]


def _key(number: int, random: Random) -> dict[str, Any]:
    made = NOW - timedelta(days=random.randrange(10, 1100), hours=random.randrange(24))
    idle = timedelta(minutes=random.randrange(10, 6000)) if number % 9 else timedelta(days=random.randrange(40, 700))
    used = max(made + timedelta(hours=1), NOW - idle)
    stray = number % 23 == 5
    service = SERVICES[number % len(SERVICES)]
    return {
        "id": f"6a0d2c1e-0000-4000-8000-{number:012}",
        "label": f"{'tmp-' if stray else ''}{service}-{number:04}",
        "scopes": ["*"] if number % 613 == 5 else _scopes(number, random),
        "ip_allow_list": [] if number % 17 == 3 else sorted({random.choice(OFFICES) for _ in range(1 + number % 3)}),
        "created_at": made.isoformat(),
        "last_used_at": None if number % 41 == 11 else used.isoformat(),
    }


def keys(count: int) -> list[dict[str, Any]]:
    """Give so many keys as a seed of the emulator has them, the reconciler's own and one for emergencies among them."""
    random = Random(11)  # noqa: S311 # the same keys in each run
    own = {"label": "reconciler", "scopes": ["api-keys:read", "api-keys:write"], "ip_allow_list": []}
    own |= {"id": SELF, "secret_key": TOKEN, "created_at": "2025-02-03T08:00:00Z", "last_used_at": NOW.isoformat()}
    glass = {"label": "break-glass", "scopes": ["*"], "ip_allow_list": ["198.51.100.0/28"], "last_used_at": None}
    glass |= {"id": f"{SELF[:-1]}1", "created_at": "2024-05-06T08:00:00Z"}
    return [own, glass, *(_key(number, random) for number in range(2, count))]


def seed(count: int) -> dict[str, Any]:
    """Give a seed of the emulator."""
    return {"accounts": [{"id": ACCOUNT, "domains": DOMAINS, "keys": keys(count)}]}


def listing(count: int) -> dict[str, Any]:
    """Give what ``export --actual`` would save of it."""
    kept = ("id", "label", "scopes", "ip_allow_list", "created_at", "last_used_at")
    listed = [{name: one[name] for name in kept} for one in keys(count)]
    account = {"account_id": ACCOUNT, "keys": listed, "sub_accounts": None}
    return {"schema": "reconciler/listing/v1", "taken_at": NOW.isoformat(), "accounts": [account]}


def desired(count: int) -> str:
    """Give the file that names most of its keys, each as it is."""
    lines = ["version: 1", f"account: {ACCOUNT}", "keys:"]
    for number, one in enumerate(keys(count)):
        if number == 1 or one["label"].startswith("tmp-"):
            continue
        lines += [
            f"  - name: {one['label']}",
            f"    scopes: {json.dumps(one['scopes'])}",
            f"    ip_allow_list: {json.dumps(one['ip_allow_list'])}",
        ]
        lines += [f"    owner: team-{TEAMS[number % len(TEAMS)]}"] if number % 7 else []
        lines += ["    paused: {reason: the old shop moves, until: 2026-12-15}"] if number % 311 == 6 else []
    return "\n".join(lines) + "\n"


def write(folder: Path, count: int) -> None:
    """Write files, policy, seed and listing into a folder, where the commands look for them."""
    (folder / "config/keys").mkdir(parents=True, exist_ok=True)
    (folder / "config/keys/keys.yaml").write_text(desired(count), encoding="utf-8")
    (folder / "config/policy").mkdir(exist_ok=True)
    (folder / "config/policy/rules.yaml").write_text(STARTER.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "config/policy/waivers.yaml").write_text(WAIVERS, encoding="utf-8")
    (folder / "seed.json").write_text(json.dumps(seed(count)), encoding="utf-8")
    (folder / "listing.json").write_text(json.dumps(listing(count)), encoding="utf-8")
