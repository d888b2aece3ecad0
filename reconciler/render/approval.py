"""How a person applies exactly the plan that they have read: by its digest, and by what lets guardrails through."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.allowable import ALLOWABLE
from reconciler.core.changes import Outcome
from reconciler.core.report import Report, ReportedAccount, ReportedChange, ReportedRefusal

_Place = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Approval:
    """The digest of a plan that is not carried out, and what applies it.

    Attributes:
        digest: That of the plan.
        planned: Whether something would be applied by it as it is.
        allow: The guardrails that must be let through for what they refuse; none where that is of no use.
        partly_applied: Whether the pass that made the plan applied some of it: what is left has another digest.
        shard: Whose accounts alone it is of, as ``3/16``.
    """

    digest: str
    planned: bool
    allow: tuple[str, ...]
    partly_applied: bool
    shard: str | None = None

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands that apply something, each after what it applies."""
        if self.partly_applied:
            return []
        command = apply_exactly(self.digest, self.shard)
        told = [("To apply exactly what is planned here", command)] if self.planned else []
        if self.allow:
            allowed = " ".join(f"--allow {name}" for name in self.allow)
            besides = "The same, with" if told else "To apply exactly this, with"
            told.append((f"{besides} what guardrails refuse", f"{command} {allowed}"))
        return told


def approval(report: Report) -> Approval | None:
    """Give what applies the plan of a report; None where nothing differs, or where the plan is not whole."""
    outcomes = {change.outcome for change in report.changes}
    if report.digest is None or outcomes <= {Outcome.APPLIED}:
        return None
    planned, applied = Outcome.PLANNED in outcomes, Outcome.APPLIED in outcomes
    return Approval(report.digest, planned, _allowed(report), applied, report.shard)


def apply_exactly(digest: str, shard: str | None) -> str:
    """Give the command that applies exactly the plan with a digest, in accounts of the same shard."""
    return f"reconciler apply {of_shard(shard)}--digest {shlex.quote(digest)}"


def of_shard(shard: str | None) -> str:
    """Give the option that goes before others where only the accounts of a shard are meant, with a blank behind it."""
    return "" if shard is None else f"--shard {shlex.quote(shard)} "


def _allowed(report: Report) -> tuple[str, ...]:
    """Give the guardrails without which a refused change would be applied; nobody lets ``hold`` through by name."""
    about: defaultdict[_Place, list[ReportedRefusal]] = defaultdict(list)
    for refusal in report.refusals:
        about[refusal.account_id, refusal.sub_account_id, refusal.key_id].append(refusal)
    found: set[str] = set()
    for account in report.accounts:
        for change in account.changes:
            if change.outcome is Outcome.REFUSED:
                refused_by = set(_refused_by(change, account, about))
                found |= refused_by if refused_by <= {*ALLOWABLE} else set()
    return tuple(sorted(found, key=ALLOWABLE.index))


def _refused_by(
    change: ReportedChange, account: ReportedAccount, about: Mapping[_Place, Sequence[ReportedRefusal]]
) -> Iterator[str]:
    """Give the guardrails that the reason of a change names: of its key, its account, the parent of that, the run."""
    own = (account.account_id, account.sub_account_id)
    for place in {(*own, change.key_id), (*own, None), (account.account_id, None, None), (None, None, None)}:
        for refusal in about.get(place, ()):
            if f"{refusal.guardrail}: {refusal.message}" in (change.reason or ""):
                yield refusal.guardrail
