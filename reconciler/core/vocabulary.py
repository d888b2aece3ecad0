"""What expressions and messages of rules can speak of: variables, and functions with an example of each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Type(StrEnum):
    """What kind of value a variable holds."""

    TEXT = "text"
    TEXTS = "list of text"
    TEXT_BY_NAME = "text by name"
    TRUTH = "true or false"
    MOMENT = "time"
    LENGTH = "length of time"


VARIABLES: Final[Mapping[str, Type]] = {
    "key.name": Type.TEXT,
    "key.label": Type.TEXT,
    "key.id": Type.TEXT,
    "key.scopes": Type.TEXTS,
    "key.roles": Type.TEXTS,
    "key.domains": Type.TEXTS,
    "key.ip_allow_list": Type.TEXTS,
    "key.list_managed": Type.TRUTH,
    "key.owner": Type.TEXT,
    "key.state": Type.TEXT,
    "key.managed": Type.TRUTH,
    "key.annotations": Type.TEXT_BY_NAME,
    "key.created_at": Type.MOMENT,
    "key.age": Type.LENGTH,
    "key.never_used": Type.TRUTH,
    "key.last_used_at": Type.MOMENT,
    "key.idle": Type.LENGTH,
    "key.account": Type.TEXT,
    "key.sub_account": Type.TEXT,
    "change.action": Type.TEXT,
    "change.granted": Type.TEXTS,
    "change.revoked": Type.TEXTS,
    "change.direction": Type.TEXT,
    "now": Type.MOMENT,
}
"""Every variable, none of which is ever null: absent text is empty, and an absent time is the beginning of 1970."""
HOLDS: Final[Mapping[str, str]] = {
    "key.name": "its name in the files, empty for a key of no file",
    "key.label": "what AhaSend calls it",
    "key.id": "its id, empty for one that does not exist yet",
    "key.scopes": "its scopes, as text",
    "key.roles": "the roles that the file gives it",
    "key.domains": "the domains that fill its roles",
    "key.ip_allow_list": "its networks; empty: usable from anywhere",
    "key.list_managed": "whether the file says its networks",
    "key.owner": "who answers for it, empty where nobody does",
    "key.state": "`present`, `quarantined` or `absent`",
    "key.managed": "whether a file names it",
    "key.annotations": 'text by name: `key.annotations["tier"]`, `"tier" in key.annotations`',
    "key.created_at": "when it was made",
    "key.age": "how long ago that was",
    "key.never_used": "whether it was never used",
    "key.last_used_at": "when it was used last, 5 to 10 minutes late; the beginning of 1970 if never",
    "key.idle": "how long nobody used it: since the last use, or since it was made",
    "key.account": "the id of its account",
    "key.sub_account": "the id of its sub account, empty for an account's own key",
    "change.action": "`update`, `create`, `delete`, `quarantine` or `restore`",
    "change.granted": "what the change gives: scopes, then networks (`anywhere` for an empty list)",
    "change.revoked": "what it takes",
    "change.direction": "`widen`, `narrow`, `mixed` or `none`",
    "now": "the time of the pass, or of the listing",
}
"""What each of them holds, in words."""
ABOUT_CHANGES: Final = "change."
EXAMPLES: Final = {
    "covers": 'covers(key.scopes, "messages:send:{shop.example.com}")',
    "networks_within": 'networks_within(key.ip_allow_list, ["203.0.113.0/24"])',
    "duration": 'duration("24h")',
    "timestamp": 'timestamp("2026-01-31T00:00:00Z")',
    "size": "size(key.scopes)",
    "matches": 'key.label.matches("^[a-z]+$")',
    "startsWith": 'key.label.startsWith("tmp-")',
    "endsWith": 'key.label.endsWith("-old")',
    "contains": 'key.label.contains("test")',
    "exists": 'key.scopes.exists(s, s == "*")',
    "all": 'key.scopes.all(s, s != "*")',
    "filter": 'key.scopes.filter(s, s.startsWith("accounts:"))',
    "exists_one": 'key.scopes.exists_one(s, s == "*")',
    "map": "key.domains.map(d, d.size()) == [16]",
    "has": "has(key.annotations.ticket)",
}
"""How each function is written."""
MACROS: Final = frozenset({"exists", "exists_one", "all", "filter", "map"})
"""The functions that walk along a list."""
