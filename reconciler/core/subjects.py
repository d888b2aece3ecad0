"""Keys as rules see them: what a file says of a key, what the account has, and what a change would make of it.

A plan is judged by what each desired key will be; an audit by what each actual key is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.core.changes import Change
from reconciler.core.keys import AccountRef, KeySpec, KeyState, RemoteKey, Source
from reconciler.core.matching import Matched
from reconciler.core.networks import ANYWHERE, FENCED, OPEN, AllowList
from reconciler.core.plan import AccountPlan
from reconciler.core.scopes import ScopeSet
from reconciler.errors import visible

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What stands for the last use of a key that was never used."""
_NOTHING: Final = timedelta()


@dataclass(frozen=True, slots=True)
class Subject:
    """One key under judgement at a time.

    Attributes:
        now: When it is judged, with a zone.
        account: Where the key is.
        label: What AhaSend calls it, or will.
        scopes: What it may do, as the file lists it where a file does, else as the account has it.
        ip_allow_list: From where.
        managed: Whether a file names it, or may mean it.
        spec: What a file says of it, None where none does.
        remote: The key as the account has it, None where it does not exist yet.
        change: What the plan would do to it, None in an audit and where nothing is to be done.
        actual: Whether it is judged as it is, and not as it will be.
    """

    now: datetime
    account: AccountRef
    label: str
    scopes: ScopeSet
    ip_allow_list: AllowList
    managed: bool
    spec: KeySpec | None = None
    remote: RemoteKey | None = None
    change: Change | None = None
    actual: bool = True

    @property
    def name(self) -> str | None:
        """Its name in the files, None where they do not name it."""
        return self.spec.name if self.spec else None

    @property
    def id(self) -> str | None:
        """Its id at AhaSend, or the one that a file pins; None where it does not exist yet."""
        return self.remote.id if self.remote else self.spec.id if self.spec else None

    @property
    def labels(self) -> tuple[str, ...]:
        """What it is called now, and will be: a new label must not make it another key."""
        return (self.label, self.remote.label) if self.remote else (self.label,)

    @property
    def owner(self) -> str:
        """Who answers for it by the files, or nothing."""
        return self.spec.owner if self.spec else ""

    @property
    def annotations(self) -> Mapping[str, str]:
        """What else the files say of it."""
        return dict(self.spec.annotations) if self.spec else {}

    @property
    def source(self) -> Source | None:
        """The place of the key in the files."""
        return self.spec.source if self.spec else None

    @property
    def switched_off(self) -> bool:
        """Whether nobody can use it."""
        return self.ip_allow_list.fenced

    @property
    def state(self) -> KeyState:
        """What the files say it shall be; in an audit, and for a key of no file, what its allow list makes of it."""
        if self.spec is not None and not self.actual:
            return self.spec.state
        return KeyState.QUARANTINED if self.switched_off else KeyState.PRESENT

    @property
    def title(self) -> str:
        """How to call it in a sentence."""
        if self.name is not None:
            return self.name
        return repr(self.label) if self.managed else f"unmanaged key {self.label!r}"

    @property
    def age(self) -> timedelta:
        """How long it has existed; nothing for one that does not exist yet."""
        return max(self.now - self.remote.created_at, _NOTHING) if self.remote else _NOTHING

    @property
    def last_used_at(self) -> datetime | None:
        """When it was used last, as AhaSend tells 5 to 10 minutes late; None: never."""
        return self.remote.last_used_at if self.remote else None

    @property
    def idle(self) -> timedelta:
        """How long nobody used it: since the last use or, where there was none, since it was made."""
        used = self.last_used_at
        return self.age if used is None else max(self.now - used, _NOTHING)


def planned_subjects(plan: AccountPlan, now: datetime) -> Iterator[Subject]:
    """Give every desired key as it will be once the plan is carried out; one that is to go will not be.

    A key that cannot be told from others is judged by what the file says of it alone.
    """
    changes = {change.name: change for change in plan.changes if change.name is not None}
    for match in plan.matching.matches:
        spec = match.spec
        if spec.state is KeyState.ABSENT:
            continue
        remote = match.remote if isinstance(match, Matched) else None
        change = changes.get(spec.name)
        after = (change.after if change else None) or remote
        held = ScopeSet(()) if remote is None else remote.scopes
        listed = OPEN if spec.ip_allow_list is None else spec.ip_allow_list
        if spec.state is KeyState.QUARANTINED:
            listed = FENCED
        yield Subject(
            now,
            plan.account,
            spec.label,
            held if spec.scopes is None else spec.scopes,
            after.ip_allow_list if after else listed,
            managed=True,
            spec=spec,
            remote=remote,
            change=change,
            actual=False,
        )


def actual_subjects(plan: AccountPlan, now: datetime) -> Iterator[Subject]:
    """Give every actual key as it is, with what the files say of those that they name."""
    known = {match.remote.id: match.spec for match in plan.matching.matches if isinstance(match, Matched)}
    unmanaged = {key.id for key in plan.matching.unmanaged}
    for key in plan.actual:
        yield _as_it_is(now, plan.account, key, known.get(key.id), managed=key.id not in unmanaged)


def unmanaged_subjects(plan: AccountPlan, now: datetime) -> Iterator[Subject]:
    """Give the actual keys that no file names."""
    return (_as_it_is(now, plan.account, key, None, managed=False) for key in plan.matching.unmanaged)


def other_subjects(plan: AccountPlan, now: datetime) -> Iterator[Subject]:
    """Give the actual keys that stand beside the desired ones: of no file, or perhaps one of them."""
    yield from unmanaged_subjects(plan, now)
    for key in plan.matching.reserved:
        yield _as_it_is(now, plan.account, key, None, managed=True)


def _as_it_is(now: datetime, account: AccountRef, key: RemoteKey, spec: KeySpec | None, *, managed: bool) -> Subject:
    return Subject(now, account, key.label, key.scopes, key.ip_allow_list, managed, spec, key)


# Values for expressions and messages


def _of_change(subject: Subject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give what the change grants and revokes, scopes before networks."""
    if subject.change is None:
        return (), ()
    scopes, networks = subject.change.access.scopes, subject.change.access.networks
    return scopes.granted + networks.granted, scopes.revoked + networks.revoked


_Getter = Callable[[Subject], object]
_GETTERS: Final[Mapping[str, _Getter]] = {
    "key.name": lambda subject: subject.name or "",
    "key.label": lambda subject: subject.label,
    "key.id": lambda subject: subject.id or "",
    "key.scopes": lambda subject: list(subject.scopes.texts),
    "key.roles": lambda subject: list(subject.spec.roles) if subject.spec else [],
    "key.domains": lambda subject: list(subject.spec.domains) if subject.spec else [],
    "key.ip_allow_list": lambda subject: list(subject.ip_allow_list.networks),
    "key.list_managed": lambda subject: subject.spec is not None and subject.spec.ip_allow_list is not None,
    "key.owner": lambda subject: subject.owner,
    "key.state": lambda subject: subject.state.value,
    "key.managed": lambda subject: subject.managed,
    "key.annotations": lambda subject: dict(subject.annotations),
    "key.created_at": lambda subject: subject.remote.created_at if subject.remote else subject.now,
    "key.age": lambda subject: subject.age,
    "key.never_used": lambda subject: subject.last_used_at is None,
    "key.last_used_at": lambda subject: subject.last_used_at or NEVER,
    "key.idle": lambda subject: subject.idle,
    "key.account": lambda subject: subject.account.account_id,
    "key.sub_account": lambda subject: subject.account.sub_account_id or "",
    "change.action": lambda subject: subject.change.action.value if subject.change else "",
    "change.granted": lambda subject: list(_of_change(subject)[0]),
    "change.revoked": lambda subject: list(_of_change(subject)[1]),
    "change.direction": lambda subject: subject.change.access.direction.value if subject.change else "",
    "now": lambda subject: subject.now,
}


def values(subject: Subject, names: Iterable[str]) -> dict[str, object]:
    """Give the values of variables for one key, as CEL takes them; none is ever null."""
    return {name: _GETTERS[name](subject) for name in names}


def shown(subject: Subject, names: Iterable[str]) -> dict[str, str]:
    """Give the values of variables in words, for a message; an empty allow list lets in whoever comes."""
    words = {name: in_words(value) for name, value in values(subject, names).items()}
    if "key.ip_allow_list" in words and subject.ip_allow_list.anywhere:
        words["key.ip_allow_list"] = ANYWHERE
    return words


def in_words(value: object) -> str:
    """Write a variable's value for a message, on one line: a label must not pass for a line of a report."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case timedelta():
            return span(value)
        case list():
            return visible(", ".join(value)) or "none"
        case dict():
            return visible(", ".join(f"{name}: {text}" for name, text in sorted(value.items()))) or "none"
        case _:
            return visible(str(value))


def span(length: timedelta) -> str:
    """Write a length of time in days, or in the largest unit below that there are two of."""
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(length.total_seconds()) // seconds
        if count >= 2 or (count == 1 and unit == "minute"):  # noqa: PLR2004 # "1 day" is 24 to 47 hours
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
