"""Make a listing of so many keys and a policy of 20 rules, half of them expressions, for the benchmark of audits.

``python bench/judging.py NUMBER FOLDER`` writes ``listing.json`` and ``policy.yaml`` there. One key in twenty or so
breaks a rule; networks are those of some thousand places, scopes those of fifty domains.
"""

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

ACCOUNT = "11111111-1111-4111-8111-111111111111"
POLICY = """version: 1
rules:
  - {id: r01, uses: no-wildcard, severity: deny}
  - {id: r02, uses: forbidden-scopes, severity: warn, with: {scopes: ["accounts:*", "suppressions:wipe"]}}
  - {id: r03, uses: require-ip-allow-list, severity: warn, with: {scopes: ["messages:send:*"]}}
  - {id: r04, uses: widest-network, severity: warn, with: {ipv4: 24}}
  - {id: r05, uses: separate-duties, severity: warn, with: {sets: {a: ["messages:send:*"], b: ["api-keys:*"]}}}
  - {id: r06, uses: redundant-scopes, severity: note}
  - {id: r07, uses: unused-for, severity: warn, with: {for: 180d}}
  - {id: r08, uses: duplicate-label, severity: warn}
  - {id: r09, uses: identical-access, severity: note}
  - {id: r10, uses: max-scopes, severity: note, with: {most: 10}}
"""
EXPRESSIONS = (
    '"*" in key.scopes',
    'covers(key.scopes, "messages:send:{d1.example.com}") && key.ip_allow_list == []',
    'key.ip_allow_list != [] && !networks_within(key.ip_allow_list, ["203.0.0.0/16"])',
    'key.idle > duration("4320h")',
    'key.scopes.exists(s, s.startsWith("accounts:"))',
    'key.label.matches("^tmp-[0-9]+$")',
    'key.never_used && key.age > duration("7200h")',
    'key.managed && key.owner == ""',
    'now - key.last_used_at < duration("1h") && !key.managed',
    'key.scopes.all(s, s != "suppressions:read") && key.state == "present"',
)


def key(number: int, random: Random, places: list[str]) -> dict[str, Any]:
    scopes = {"suppressions:read", *(f"messages:{what}:{{d{random.randrange(50)}.example.com}}" for what in WHAT)}
    if number % 500 == 0:
        scopes.add("*")
    if number % 97 == 0:
        scopes.add("messages:send:all")
    return {
        "id": f"aaaaaaaa-0000-4000-8000-{number:012}",
        "label": f"service {number}",
        "scopes": sorted(scopes),
        "ip_allow_list": random.sample(places, random.randrange(1, 4)) if number % 50 else [],
        "created_at": f"2026-0{1 + number % 9}-01T00:00:00Z",
        "last_used_at": None if number % 20 == 0 else f"2026-11-{1 + number % 25:02}T10:00:00Z",
    }


WHAT = ("send", "read")


def main(number: int, folder: Path) -> None:
    random = Random(7)  # noqa: S311 # the same keys in each run
    places = [f"203.0.{random.randrange(256)}.{random.randrange(256)}/32" for _ in range(3000)]
    keys = [key(each, random, places) for each in range(number)]
    account = {"account_id": ACCOUNT, "keys": keys, "sub_accounts": None}
    record = {"schema": "reconciler/listing/v1", "taken_at": "2026-11-26T00:00:00Z", "accounts": [account]}
    (folder / "listing.json").write_text(json.dumps(record))
    rules = (
        f"  - {{id: e{place:02}, severity: deny, message: '{{key.label}} breaks it', when: '{text}'}}\n"
        for place, text in enumerate(EXPRESSIONS)
    )
    (folder / "policy.yaml").write_text(POLICY + "".join(rules))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
