"""What a rule has to say about a key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from reconciler.core.keys import AccountRef, Source

OF_THE_RUN = frozenset({"config-rejected", "no-desired-state", "no-policy", "saved-listing", "shard", "starter-policy"})
"""Findings that tell how a run was made, and not what it found."""


class Severity(StrEnum):
    """How serious a finding is; a ``deny`` holds back what grants."""

    DENY = "deny"
    WARN = "warn"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """Its place in the order of severities, 0 for the most serious."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Waiver:
    """Why a finding is accepted, by whom and until when.

    Attributes:
        until: Its last day, to 24:00 UTC (ISO 8601).
        owner: Who answers for it.
        reason: Why this is accepted.
    """

    until: str
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that something breaks: which, where, and what to do. ``key`` is a name in the files."""

    rule: str
    severity: Severity
    message: str
    hint: str = ""
    account: AccountRef | None = None
    key: str | None = None
    key_id: str | None = None
    label: str | None = None
    source: Source | None = None
    waived: Waiver | None = None


def counted(texts: Sequence[str], most: int) -> str:
    """List texts in a sentence, and how many more there are than ``most``."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


_AGE = re.compile(r", [0-9]+ days? ago$")


def days_ago(day: date, today: date) -> str:
    """Say at the end of a message how long ago a day was."""
    days = (today - day).days
    return f", {days} day{'' if days == 1 else 's'} ago"


def without_age(message: str) -> str:
    """Give a message without what `days_ago` says at its end: tomorrow it is the same finding, a day older."""
    return _AGE.sub("", message)
