"""What is known of each account from pass to pass: since when it differs or is in sync, and when it was read."""

from reconciler.core.report import Report
from reconciler.metrics.catalogue import (
    ACCOUNT_FAILED,
    ACCOUNT_SUCCESS,
    DRIFT_AGE,
    IN_SYNC_SINCE,
    KEYS,
    KeyState,
    Metric,
    Values,
)
from reconciler.metrics.figures import DRIFT, PAUSED, Family, families

_KINDS = (("false", DRIFT), ("true", PAUSED))
"""Values of the label ``paused``, and the states that it stands for."""


class Accounts:
    """The accounts of the last pass; those that the files no longer name are forgotten.

    What could not be read says nothing: then all stays as it was known, but that nobody can call it in sync.
    """

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._differs_since: dict[tuple[str, ...], float | None] = {}
        self._values: dict[Metric, Values] = {}

    def learn(self, report: Report, began: float, ended: float) -> None:
        """Take notice of what a pass saw, which ``began`` and ``ended`` then, in unix seconds."""
        seen = families(report, self._families)
        known = {each: family.states for each, family in seen.items() if family.members}
        read = {(each,): ended for each, family in seen.items() if family.whole}
        before = self._values.get(ACCOUNT_SUCCESS, {})
        self._differs_since = {
            (each, paused): self._since((each, paused), began) if any(states[one] for one in of_kind) else None
            for each, states in known.items()
            for paused, of_kind in _KINDS
        }
        self._values = {
            ACCOUNT_SUCCESS: {labels: at for labels, at in before.items() if labels[0] in seen} | read,
            ACCOUNT_FAILED: {(each,): float(not family.whole) for each, family in seen.items()},
            KEYS: {(each, one): float(states[one]) for each, states in known.items() for one in KeyState},
            IN_SYNC_SINCE: self._in_sync_since(seen, ended),
        }
        self._families = seen

    def values(self, now: float) -> dict[Metric, Values]:
        """Give the series about accounts; ages are those of ``now``, in unix seconds."""
        ages: Values = {each: 0.0 if since is None else now - since for each, since in self._differs_since.items()}
        return self._values | {DRIFT_AGE: ages}

    def _since(self, labels: tuple[str, ...], began: float) -> float:
        since = self._differs_since.get(labels)
        return began if since is None else since

    def _in_sync_since(self, seen: dict[str, Family], ended: float) -> Values:
        before = self._values.get(IN_SYNC_SINCE, {})
        return {
            (each,): ended if family.mended else before.get((each,), ended)
            for each, family in seen.items()
            if family.whole and not any(family.states[state] for state in DRIFT)
        }
