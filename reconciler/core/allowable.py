"""The guardrails by name: those that can be let through, and those that are somebody's explicit word."""

from typing import Final

GUARDIAN: Final = "guardian"
COVERAGE: Final = "coverage"
FREEZE: Final = "freeze"
"""What lets changes through while change windows are in force."""
ALLOWABLE: Final = (
    "max-changes",
    "max-switched-off",
    "max-widened",
    "empty-desired",
    GUARDIAN,
    COVERAGE,
    "restore",
    "unreachable",
    "widening",
    "in-use",
    FREEZE,
)
NEVER_ALLOWED: Final = ("digest", "hold")
