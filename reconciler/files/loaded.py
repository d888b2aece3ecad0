"""What policy files come to: apart from their reading, which a command without a policy need not load."""

from dataclasses import dataclass, field

from reconciler.core.findings import Finding
from reconciler.core.guardrails import Limits
from reconciler.core.rules import Policy


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """What policy files say, and which were read; the policy's digest is over what they say, however it is written."""

    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    findings: tuple[Finding, ...] = ()
    sources: tuple[str, ...] = ()
