"""Two rich reports, as the core would write them: a plan of all that can happen, and an audit of many things."""

from dataclasses import replace

from reconciler.core.changes import Action, Fields, ListDiff, Outcome, TextDiff, access_change
from reconciler.core.findings import Severity, Waiver
from reconciler.core.inventory import (
    KeyStanding,
    ReportedKey,
    ReportedPause,
    ReportedPausedKey,
    ReportedRule,
    ReportedWaiver,
)
from reconciler.core.keys import Source
from reconciler.core.networks import FENCED, AllowList
from reconciler.core.plan import NO_CREATION, KeyCounts
from reconciler.core.report import (
    AccountStatus,
    ChangedKey,
    KeyEvent,
    Mode,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedRefusal,
    RequestCounts,
    Since,
    Standing,
    UnmanagedKey,
    summarize,
)
from reconciler.core.scopes import ScopeSet
from render.reports import change, finding

ACCOUNT = "6a0d2c1e-5b7f-4c3e-9d8a-1f2e3d4c5b6a"
OTHER = "7b1e3d2f-0000-4000-8000-0000000000aa"
ACME = "8c2f4e30-0000-4000-8000-0000000000ac"
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "| a | b |\n|---|---|\n| [x](javascript:alert(1)) | `code` |",
    "\x1b[31mred\x1b[0m \x9b2J",
    "\u202egnp.exe\u2066 mirrored",
    "line\nbreak\r\n# heading\n```\n@everyone",
    "<!-- --> &amp; &#x3C; {{7*7}} {% raw %}",
)
"""Labels that would do harm in HTML, Markdown, at a terminal, and to whoever reads from left to right."""


def key_id(number: int) -> str:
    return f"3c90c3cc-0d44-4b50-8888-{number:012x}"


def key(
    number: int,
    name: str | None,
    *scopes: str,
    networks: tuple[str, ...] = (),
    label: str | None = None,
    used: str | None = "2026-11-24T08:30:00Z",
    made: str = "2025-03-01T09:00:00Z",
    owner: str = "",
    paused: ReportedPause | None = None,
    standing: KeyStanding | None = None,
) -> ReportedKey:
    """Build a key of the inventory; one without a name is in no file."""
    return ReportedKey(
        key_id(number),
        label if label is not None else name or "",
        standing or (KeyStanding.MANAGED if name else KeyStanding.UNMANAGED),
        ScopeSet.parse(scopes).texts,
        AllowList.parse(networks).networks,
        made,
        used,
        name,
        owner,
        paused,
        Source("config/keys/shop.yaml", 10 + number * 4, 5) if name else None,
    )


OFFICE = ("203.0.113.0/24",)
KEYS = (
    key(1, "storefront", "messages:send:{shop.example.com}", "suppressions:read", networks=OFFICE, owner="team-growth"),
    key(2, "analytics", "statistics-transactional:read:all", label="Analytics (read only)", owner="team-data"),
    key(3, "billing", "messages:send:all", "messages:read:all", networks=("198.51.100.7/32", "203.0.113.0/25")),
    key(
        4,
        "old-importer",
        "messages:read:all",
        networks=("192.0.2.1/32",),
        used="2026-02-11T10:00:00Z",
        paused=ReportedPause("2026-12-24", "migration, INC-77"),
    ),
    key(5, "reconciler", "api-keys:read", "api-keys:write", networks=("198.51.100.0/28",), owner="team-platform"),
    key(6, None, "*", label="break-glass", used=None),
    key(7, None, "messages:send:{news.example.com}", label="newsletter", used="2025-06-30T00:00:00Z"),
    key(8, None, "webhooks:read:all", "new-thing:read", label="twins", standing=KeyStanding.UNCLEAR),
    *(
        key(
            20 + place, None, "messages:send:all", label=label, used="2026-11-20T12:00:00Z", made="2026-10-01T00:00:00Z"
        )
        for place, label in enumerate(HOSTILE)
    ),
)
BELOW = (key(40, "sender", "messages:send:all", made="2026-06-01T00:00:00Z", used=None),)
RULES = (
    ReportedRule(
        "no-wildcard", Severity.DENY, "no-wildcard", "list the scopes that it needs", Source("config/policy.yaml", 9, 5)
    ),
    ReportedRule(
        "owned",
        Severity.NOTE,
        "require-owner (owners: *)",
        "write 'owner: <team>'",
        Source("config/policy.yaml", 12, 5),
    ),
    ReportedRule(
        "stale",
        Severity.WARN,
        'key.last_used_at < now - duration("2160h") && !("keep" in key.annotations)',
        "switch it off",
        Source("config/policy.yaml", 15, 5),
    ),
    ReportedRule(
        "coverage",
        Severity.DENY,
        "some key can messages:send for shop.example.com",
        "",
        Source("config/policy.yaml", 30, 5),
    ),
)
WAIVERS = (
    ReportedWaiver(
        "no-wildcard",
        None,
        "break-glass",
        None,
        "2026-12-05",
        "team-sec",
        "INC-204",
        Source("config/policy.yaml", 21, 5),
    ),
    ReportedWaiver(
        "owned",
        None,
        "legacy-*",
        None,
        "2027-06-30",
        "team-sec",
        "until they are gone",
        Source("config/policy.yaml", 24, 5),
    ),
)
FINDINGS = (
    replace(
        finding("no-wildcard", Severity.DENY, key=None, key_id=key_id(6), label="break-glass", source=None),
        message="unmanaged key 'break-glass' holds * and may do everything",
        hint="list the scopes that it needs",
        account_id=ACCOUNT,
        waived=Waiver("2026-12-05", "team-sec", "INC-204"),
    ),
    replace(
        finding("no-wildcard", Severity.DENY, key="billing", key_id=key_id(3), label="billing"),
        message="billing would hold * and could do everything",
        hint="list the scopes that it needs",
        account_id=ACCOUNT,
        source=Source("config/keys/shop.yaml", 22, 5),
        since=Standing.NEW,
    ),
    replace(
        finding("stale", Severity.WARN, key="old-importer", key_id=key_id(4), label="old-importer"),
        message="old-importer was not used for 286 days",
        hint="switch it off",
        account_id=ACCOUNT,
        source=Source("config/keys/shop.yaml", 26, 5),
        since=Standing.OPEN,
    ),
    *(
        replace(
            finding("owned", Severity.NOTE, key=None, key_id=key_id(20 + place), label=label, source=None),
            message=f"unmanaged key {label!r} has no owner",
            hint="write 'owner: <team>'",
            account_id=ACCOUNT,
            since=Standing.NEW,
        )
        for place, label in enumerate(HOSTILE)
    ),
    replace(
        finding("waiver-ends-soon", Severity.NOTE, key=None, label=None, account_id=None),
        message="the waiver of no-wildcard for break-glass ends with 2026-12-05",
        hint="mend what it was for, or agree on a new date with team-sec: INC-204",
        source=Source("config/policy.yaml", 21, 5),
    ),
)
CROWDED = (
    "9 changes are more than 5; raise guardrails.max_changes in the policy or let it through with --allow max-changes"
)


def at(made: ReportedChange, number: int, line: int) -> ReportedChange:
    """Give a change an id and a place of its own."""
    known = None if made.action is Action.CREATE else key_id(number)
    return replace(made, key_id=known, source=made.source and Source("config/keys/shop.yaml", line, 5))


CHANGES = (
    at(change("analytics", relabelled=("Analytics", "Analytics (read only)"), label="Analytics (read only)"), 2, 18),
    at(
        change(
            "billing",
            scopes=(["messages:send:all", "messages:read:all"], ["*"]),
            outcome=Outcome.DENIED,
            reason="no-wildcard: billing would hold * and could do everything",
        ),
        3,
        22,
    ),
    at(
        change(
            "new-shop",
            Action.CREATE,
            relabelled=(None, "new-shop"),
            scopes=([], ["messages:send:{new.example.com}"]),
            networks=([], ["203.0.113.0/24"]),
            outcome=Outcome.SKIPPED,
            reason=NO_CREATION,
        ),
        0,
        40,
    ),
    at(
        change(
            "old-importer",
            Action.RESTORE,
            networks=(["192.0.2.1"], ["203.0.113.0/24"]),
            outcome=Outcome.REFUSED,
            reason="restore: old-importer: the key is fenced, somebody switched it off for a reason; "
            "let it through with --allow restore",
        ),
        4,
        26,
    ),
    at(
        change(
            "reconciler",
            scopes=(["api-keys:read", "api-keys:write"], ["api-keys:read", "api-keys:write", "domains:read"]),
        ),
        5,
        30,
    ),
    at(
        change(
            "storefront",
            scopes=(["messages:send:{shop.example.com}", "suppressions:read"], ["messages:send:{shop.example.com}"]),
            networks=(["203.0.113.0/24"], ["203.0.113.0/24", "198.51.100.0/24"]),
        ),
        1,
        14,
    ),
    *(
        at(
            replace(
                change(None, Action.QUARANTINE, label=label, networks=([], ["192.0.2.1"])),
                source=Source("config/keys/shop.yaml", 3, 8),
            ),
            20 + place,
            3,
        )
        for place, label in enumerate(HOSTILE)
    ),
)
BELOW_CHANGES = (
    replace(
        change(
            "sender",
            networks=([], ["203.0.113.0/24"]),
            outcome=Outcome.REFUSED,
            reason=f"max-changes: {CROWDED}",
        ),
        key_id=key_id(40),
    ),
)
REFUSALS = (ReportedRefusal("max-changes", ACCOUNT, ACME, None, CROWDED, 5, 9),)
PAUSES = (
    ReportedPausedKey(
        ACCOUNT,
        "old-importer",
        "2026-12-24",
        "migration, INC-77",
        "",
        Source("config/keys/shop.yaml", 26, 5),
        False,
    ),
)


def unmanaged(keys: tuple[ReportedKey, ...]) -> tuple[UnmanagedKey, ...]:
    """Give those that no file names."""
    return tuple(
        UnmanagedKey(one.key_id, one.label, one.scopes, one.ip_allow_list, one.last_used_at)
        for one in keys
        if one.standing is KeyStanding.UNMANAGED
    )


def _accounts(changes: tuple[ReportedChange, ...]) -> tuple[ReportedAccount, ...]:
    own = ReportedAccount(
        ACCOUNT, None, AccountStatus.OK, None, KeyCounts(8, len(KEYS), 2, 1), changes, unmanaged(KEYS), None, KEYS
    )
    below = BELOW_CHANGES if changes else ()
    acme = ReportedAccount(
        ACCOUNT, ACME, AccountStatus.OK, None, KeyCounts(1, 1), below, (), "Acme | <b>Inc</b>", BELOW
    )
    asleep = ReportedAccount(ACCOUNT, f"{ACME[:-1]}d", AccountStatus.SUSPENDED, None, KeyCounts(1), (), (), "Sleepy")
    return own, acme, asleep


def _report(mode: Mode, accounts: tuple[ReportedAccount, ...], refusals: tuple[ReportedRefusal, ...] = ()) -> Report:
    findings = FINDINGS if mode is Mode.AUDIT else tuple(replace(one, since=None) for one in FINDINGS)
    summary = summarize(accounts, findings)
    complete = all(one.status is not AccountStatus.FAILED for one in accounts)
    return Report(
        schema="reconciler/report/v1",
        version="0.1.0",
        mode=mode,
        run_id="0f8b6a1c2d3e4f50617283940a5b6c7d",
        started_at="2026-11-24T09:00:00Z",
        finished_at="2026-11-24T09:00:01.250000Z",
        digest=f"sha256:{'ab' * 32}" if complete and mode is not Mode.AUDIT else None,
        policy=f"sha256:{'cd' * 32}",
        accounts=accounts,
        findings=findings,
        refusals=refusals,
        summary=summary if mode is not Mode.AUDIT else replace(summary, unchanged=0),
        requests=RequestCounts(GET=4),
        as_of="2026-11-24T09:00:00Z",
        rules=RULES if mode is Mode.AUDIT else RULES[:-1],  # a plan does not ask what must keep working
        waivers=WAIVERS,
        pauses=PAUSES,
    )


PLANNED = _report(Mode.PLAN, _accounts(CHANGES), REFUSALS)
"""A plan with every kind of change, hostile labels, a refusal, findings and waivers."""


def _changed_keys() -> tuple[ChangedKey, ...]:
    nothing, wide = ScopeSet(()), ScopeSet.parse(["*"])
    had, has = ScopeSet.parse(["messages:send:all"]), ScopeSet.parse(["messages:send:all", "messages:read:all"])
    everywhere, office = AllowList(()), AllowList.parse(OFFICE)
    return (
        ChangedKey(
            KeyEvent.CHANGED,
            ACCOUNT,
            None,
            key_id(3),
            "billing",
            "billing",
            Fields(scopes=ListDiff(had.texts, has.texts)),
            access_change((had, has), (office, office)),
        ),
        ChangedKey(
            KeyEvent.APPEARED,
            ACCOUNT,
            None,
            key_id(6),
            None,
            "break-glass",
            Fields(TextDiff(None, "break-glass"), ListDiff(None, wide.texts), ListDiff(None, ())),
            access_change((nothing, wide), (FENCED, everywhere)),
        ),
        ChangedKey(
            KeyEvent.GONE,
            ACCOUNT,
            None,
            key_id(9),
            None,
            HOSTILE[0],
            Fields(),
            access_change((had, nothing), (office, FENCED)),
        ),
    )


AUDITED = replace(
    _report(
        Mode.AUDIT,
        (
            *_accounts(()),
            ReportedAccount(OTHER, None, AccountStatus.FAILED, "401: the key is revoked <b>", KeyCounts(3)),
        ),
    ),
    since=Since(
        "0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e",
        "2026-10-24T09:00:01Z",
        (
            replace(
                FINDINGS[2],
                key="news",
                key_id=key_id(99),
                label="news",
                message="news was not used for 120 days",
                since=None,
                source=None,
            ),
        ),
        _changed_keys(),
        1,
        "2026-10-24T09:00:00Z",
    ),
)
"""An audit that is compared with an earlier one; one account could not be read."""
BOTH = {"plan": PLANNED, "audit": AUDITED}
