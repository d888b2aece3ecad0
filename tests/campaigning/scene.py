"""What a seed makes up: accounts, what the files want of them, and what goes wrong meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import yaml

from campaigning.hazards import Hazards, make_hazards
from campaigning.oracle import FENCE, Access, Wish, network_set, scope, scope_set
from reconciler.core.allowable import ALLOWABLE

type_item = TypeVar("type_item")

ACCOUNTS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
CREDENTIALS = (None, "second")
DOMAINS = ("shop.example.com", "news.example.com")
FOREIGN = "messages:send:{foreign.example.net}"
UNKNOWN = ("telemetry:stream", "beta-feature:toggle")
MANAGER = (
    "api-keys:read",
    "api-keys:write",
    "domains:read",
    "sub-accounts:read",
    "sub-account-api-keys:read",
    "sub-account-api-keys:write",
)
STATIC = (
    "accounts:read",
    "accounts:billing",
    "api-keys:read",
    "api-keys:write",
    "domains:read",
    "domains:write",
    "sub-accounts:usage",
    "suppressions:read",
    "suppressions:write",
    "suppressions:wipe",
)
TARGETED = tuple(
    f"{action}:{target}"
    for action in (
        "messages:send",
        "messages:read",
        "messages:cancel",
        "webhooks:read",
        "webhooks:write",
        "routes:read",
    )
    for target in ("all", *(f"{{{domain}}}" for domain in DOMAINS))
)
LISTS: tuple[tuple[str, ...], ...] = (
    ("203.0.113.0/24",),
    ("203.0.113.0/25", "203.0.113.128/25"),
    ("203.0.113.0/25",),
    ("198.51.100.7",),
    ("198.51.100.7/32", "203.0.113.9/24"),
    ("2001:db8::/32", "198.51.100.0/24"),
    ("8.8.8.0/24",),
    (),
)
PRIVATE = ("10.0.0.0/8",)
FOR_EVER = "2999-12-31"
NOBODY = ("192.0.2.1/32",)


@dataclass(slots=True)
class Scene:
    """All that a seed makes up; ``document`` is the emulator's seed, ``files`` the documents of the files by name.

    ``selected`` are the sub accounts that the files mean, by the account above them.
    """

    seed: int
    document: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)
    selected: dict[str, frozenset[str]] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset(ALLOWABLE) - {"guardian"}
    check_domains: bool = False
    hazards: Hazards = field(default_factory=Hazards)

    @property
    def wishes_by_key(self) -> dict[str, Wish]:
        """What is wanted of the keys that are meant."""
        return {wish.key_id: wish for wish in self.wishes if wish.key_id is not None}

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, document in self.files.items():
            text = yaml.dump(document, Dumper=_Plain, sort_keys=False)
            folder.joinpath(name).write_text(text, encoding="utf-8")


def holders(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give every account and sub account of a seed."""
    return [each for one in document["accounts"] for each in (one, *one["sub_accounts"])]


def accesses(document: dict[str, Any]) -> dict[str, Access]:
    """Give every key of a seed by its id."""
    return {key["id"]: Access.of_seed(key) for each in holders(document) for key in each["keys"]}


def admin_id(account: str) -> str:
    """Give the id of the key that the reconciler uses for an account."""
    return f"{account[:8]}-0000-4000-8000-000000000000"


def make_scene(seed: int) -> Scene:
    """Make up everything from a seed."""
    return _Maker(seed).made()


class _Maker:
    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)  # noqa: S311 # it makes up stories, no secrets
        self._numbers = 0
        self._scene = Scene(seed, {"accounts": []})

    def made(self) -> Scene:
        scene = self._scene
        if self._chance(0.25):
            scene.allowed -= {self._one(("restore", "unreachable"))}
        scene.check_domains = self._chance(0.2)
        for number in range(self._one((1, 1, 2))):
            self._account(number)
        scene.hazards = make_hazards(self._dice)
        return scene

    # Dice

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share

    def _one(self, items: Sequence[type_item]) -> type_item:
        return self._dice.choice(items)

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _scope(self) -> str:
        kind = self._dice.random()
        return "*" if kind < 0.02 else self._one(STATIC if kind < 0.4 else TARGETED)

    def _some_scopes(self) -> list[str]:
        return list(dict.fromkeys(self._scope() for _ in range(self._dice.randint(1, 4))))

    # Accounts

    def _account(self, number: int) -> None:
        account = ACCOUNTS[number]
        # Half of them do not look like AhaSend's, so that no pattern alone keeps them secret.
        token = self._one(("aha-sk-", "tk.")) + "".join(self._one("abcdefghkmnpqrstuvwxyz23456789") for _ in range(64))
        self._scene.tokens[account] = token
        admin = {
            "id": admin_id(account),
            "label": "reconciler",
            "scopes": [*MANAGER],
            "ip_allow_list": [],
            "secret_key": token,
        }
        holder = {"id": account, "domains": [*DOMAINS], "keys": [admin], "sub_accounts": []}
        self._scene.document["accounts"].append(holder)
        said = {"id": account} if number == 0 else {"id": account, "credential": CREDENTIALS[number]}
        file: dict[str, Any] = {"version": 1, "account": said, "keys": []}
        self._scene.files[f"account-{number}.yaml"] = file
        default = ["203.0.113.0/24"] if self._chance(0.15) else None
        if default:
            file["defaults"] = {"ip_allow_list": default}
        made = [self._key(holder) for _ in range(self._dice.randint(1, 8 if number == 0 else 4))]
        managed = [key for key in made if self._chance(0.85)]
        for key in managed:
            self._wanted(account, file, key, default)
        self._odd_ones(holder, file)
        self._unmanaged(holder, file)
        self._split(number, file)
        if number == 0:
            self._family(holder, file, default)

    def _key(self, holder: dict[str, Any], **fields: Any) -> dict[str, Any]:
        number = self._next()
        scopes = self._some_scopes()
        if self._chance(0.05):
            scopes.append(self._one(UNKNOWN))
        networks = [*NOBODY] if self._chance(0.07) else [*self._one(LISTS)]
        key = {
            "id": f"aaaaaaaa-0000-4000-8000-{number:012}",
            "label": self._one((f"key-{number}", f"Key number {number}")),
            "scopes": scopes,
            "ip_allow_list": networks,
            "created_at": f"2001-01-01T00:{number // 60:02}:{number % 60:02}Z",
        } | fields
        holder["keys"].append(key)
        return key

    # What the files want of a key

    def _wanted(
        self, holder: str, file: dict[str, Any], key: dict[str, Any], default: list[str] | None
    ) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": f"key-{key['id'][-3:]}"}
        label = self._one((key["label"],) * 3 + (f"Renamed {key['id'][-3:]}",))
        if self._chance(0.6):
            entry["id"] = key["id"]
        elif label != key["label"]:
            entry["was"] = [key["label"]]
        entry["label"] = label
        self._want_scopes(entry, file, key["scopes"])
        self._want_state(entry, key)
        file["keys"].append(entry)
        self._scene.wishes.append(self._wish(holder, file, entry, key, default))
        return entry

    def _want_scopes(self, entry: dict[str, Any], file: dict[str, Any], had: Sequence[str]) -> None:
        wanted = [*had, *(self._scope() for _ in range(self._one((0, 0, 0, 1, 1, 2))))]
        for _ in range(self._one((0, 0, 0, 1, 1, 2))):
            if len(wanted) > 1:
                wanted.remove(self._one(wanted))
        if self._chance(0.02):
            wanted.append(FOREIGN)
        if self._chance(0.1):
            wanted = [text.replace("{", "").replace("}", "").replace("shop", "SHOP") for text in wanted]
        if self._chance(0.1) and len(wanted) > 1:
            role = f"role-{self._next()}"
            file.setdefault("roles", {})[role] = [wanted.pop()]
            if self._chance(0.5):
                file["roles"][role].append("messages:send:{domain}")
                entry["domains"] = [self._one(DOMAINS)]
            entry["roles"] = [role]
        entry["scopes"] = list(dict.fromkeys(wanted))

    def _want_state(self, entry: dict[str, Any], key: dict[str, Any]) -> None:
        fate = self._dice.random()
        if fate < 0.14:
            entry["state"] = "quarantined"
        elif fate < 0.16:
            entry["state"] = "absent"
        elif fate < 0.22:
            until = self._one(("2001-01-01", FOR_EVER, FOR_EVER))
            entry["paused"] = {"reason": "an incident", "until": until}
        if self._chance(0.65):
            same = tuple(key["ip_allow_list"]) if self._chance(0.4) else self._one(LISTS)
            entry["ip_allow_list"] = [*(PRIVATE if self._chance(0.03) else same if same != NOBODY else LISTS[0])]

    def _wish(
        self, holder: str, file: dict[str, Any], entry: dict[str, Any], key: dict[str, Any], default: list[str] | None
    ) -> Wish:
        texts = [*entry["scopes"]]
        for role in entry.get("roles", ()):
            filled = [f"{{{domain}}}" for domain in entry.get("domains", ())]
            for text in file["roles"][role]:
                texts += [text.replace("{domain}", domain) for domain in filled] if "{domain}" in text else [text]
        networks = entry.get("ip_allow_list", default)
        state = entry.get("state", "present")
        wish = Wish(
            holder,
            entry["name"],
            key["id"],
            entry["label"],
            scope_set(texts),
            FENCE if state == "quarantined" else None if networks is None else network_set(networks),
        )
        asked_for = map(scope, texts) if self._scene.check_domains and holder in ACCOUNTS else wish.scopes or ()
        wish = replace(wish, why_not="foreign" if FOREIGN in asked_for else "")
        return replace(wish, why_not=self._why_not(wish, entry, Access.of_seed(key)))

    def _why_not(self, wish: Wish, entry: dict[str, Any], now: Access) -> str:
        state = entry.get("state", "present")
        restored = now.fenced and state == "present"
        reasons = {
            "absent": state == "absent",
            "paused": entry.get("paused", {}).get("until") == FOR_EVER,
            "no networks": restored and wish.networks is None,
            "refused": (restored and "restore" not in self._scene.allowed)
            or (wish.networks == network_set(PRIVATE) and "unreachable" not in self._scene.allowed),
        }
        return next((reason for reason, holds in reasons.items() if holds), wish.why_not)

    # Whatever else files and accounts hold

    def _odd_ones(self, holder: dict[str, Any], file: dict[str, Any]) -> None:
        """Add a wish for which there is no key, and one for which there are two."""
        account = holder["id"]
        if self._chance(0.07):
            name = f"missing-{self._next()}"
            scopes = self._some_scopes()
            file["keys"].append({"name": name, "scopes": scopes})
            self._scene.wishes.append(Wish(account, name, None, name, scope_set(scopes), why_not="missing"))
        if self._chance(0.15):
            label = f"Twin {self._next()}"
            scopes = self._some_scopes()
            for _ in range(2):
                twin = self._key(holder, label=label)
                self._scene.wishes.append(Wish(account, None, twin["id"], why_not="unclear"))
                self._key(holder)
            name = f"twin-{self._next()}"
            file["keys"].append({"name": name, "label": label, "scopes": scopes})
            self._scene.wishes.append(Wish(account, name, None, label, scope_set(scopes), why_not="unclear"))

    def _unmanaged(self, holder: dict[str, Any], file: dict[str, Any]) -> None:
        """Say what becomes of keys that no file names; where they are fenced, that is a wish too."""
        then = self._one(("report", "ignore", "quarantine"))
        if then != "quarantine" or not file["keys"]:
            file["unmanaged"] = "ignore" if then == "ignore" else "report"
            return
        file["unmanaged"] = {"then": "quarantine", "except": ["reconciler*", "Key number *"]}
        ours = [wish for wish in self._scene.wishes if wish.holder == holder["id"]]
        waits = any(wish.why_not in ("missing", "unclear") for wish in ours)
        named = {wish.key_id for wish in ours}
        for key in holder["keys"]:
            excepted = key["label"].startswith(("reconciler", "Key number "))
            sends_only = all(text.startswith("messages:send:") for text in key["scopes"])
            if not (waits or key["id"] in named or excepted or sends_only):
                self._scene.wishes.append(Wish(holder["id"], None, key["id"], networks=FENCE))

    def _split(self, number: int, file: dict[str, Any]) -> None:
        """Move some keys to a file of their own."""
        if "defaults" in file or len(file["keys"]) < 2 or not self._chance(0.3):
            return
        moved = [file["keys"].pop() for _ in range(len(file["keys"]) // 2)]
        account = file["account"]["id"]
        self._scene.files[f"more-{number}.yaml"] = {"version": 1, "account": account, "keys": moved}

    # Sub accounts

    def _family(self, parent: dict[str, Any], file: dict[str, Any], default: list[str] | None) -> None:
        names = ("Acme East", "Acme West", "Beta")[: self._one((0, 0, 1, 2, 3))]
        for name in names:
            self._below(parent, name)
        if not names:
            return
        rules = [{"select": {"name": "Acme *"} | ({"status": "active"} if self._chance(0.3) else {}), "keys": []}]
        if len(names) == 3 and self._chance(0.7):
            rules.append({"select": {"id": parent["sub_accounts"][2]["id"]}, "keys": []})
        for place, rule in enumerate(rules):
            selected = parent["sub_accounts"][:2] if place == 0 else parent["sub_accounts"][2:]
            for number in range(self._dice.randint(1, 3)):
                self._rule_key(f"below-{place}-{number}", rule, selected, file, default)
            ids = {one["id"] for one in selected if one["status"] == "active" or "status" not in rule["select"]}
            self._scene.selected[parent["id"]] = self._scene.selected.get(parent["id"], frozenset()) | ids
        file["sub_accounts"] = rules

    def _below(self, parent: dict[str, Any], name: str) -> None:
        status = "suspended" if self._chance(0.15) else "active"
        number = len(parent["sub_accounts"]) + 1
        holder = {
            "id": f"bbbbbbbb-0000-4000-8000-{number:012}",
            "name": name,
            "status": status,
            "domains": [*DOMAINS],
            "keys": [],
            "created_at": f"2001-01-01T00:00:0{number}Z",
        }
        parent["sub_accounts"].append(holder)
        for _ in range(self._dice.randint(0, 2)):
            self._key(holder)

    def _rule_key(
        self,
        name: str,
        rule: dict[str, Any],
        selected: Sequence[dict[str, Any]],
        file: dict[str, Any],
        default: list[str] | None,
    ) -> None:
        """Add a key to a rule, and one with its label to most of the sub accounts that the rule selects."""
        entry: dict[str, Any] = {"name": name, "label": name}
        self._want_scopes(entry, file, self._some_scopes())
        if self._chance(0.6):
            entry["ip_allow_list"] = [*self._one(LISTS)]
        if self._chance(0.1):
            entry["state"] = "quarantined"
        rule["keys"].append(entry)
        for holder in selected:
            if holder["status"] != "active":
                key = self._key(holder, label=name)
                self._scene.wishes.append(Wish(holder["id"], name, key["id"], why_not="suspended"))
                continue
            if self._chance(0.1):
                if entry.get("state") == "quarantined":
                    continue  # it is as wanted
                scopes = self._wish(
                    "", file, entry, {"id": "", "label": "", "scopes": (), "ip_allow_list": ()}, default
                )
                self._scene.wishes.append(Wish(holder["id"], name, None, name, scopes.scopes, why_not="missing"))
                continue
            key = self._key(holder, label=name)
            self._scene.wishes.append(self._wish(holder["id"], file, entry, key, default))


class _Plain(yaml.CSafeDumper):
    """Writes what is there twice twice: a person would."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
