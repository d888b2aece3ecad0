"""Roles: bundles of scopes, some with a domain to be filled in."""

import pytest

from reconciler.core.keys import Role


@pytest.mark.parametrize(
    ("scopes", "domains", "needs_domains", "filled"),
    [
        ((), ("a.example",), False, []),
        (("suppressions:read",), (), False, ["suppressions:read"]),
        (("suppressions:read",), ("a.example", "b.example"), False, ["suppressions:read"]),
        (("messages:send:all",), ("a.example",), False, ["messages:send:all"]),
        (("messages:send:{domain.example}",), ("a.example",), False, ["messages:send:{domain.example}"]),
        (("messages:send:{domain}",), ("a.example",), True, ["messages:send:{a.example}"]),
        (("messages:send:{domain}",), (), True, []),
        (
            ("messages:send:{domain}", "suppressions:read", "messages:read:{domain}"),
            ("b.example", "a.example"),
            True,
            [
                "messages:send:{b.example}",
                "messages:send:{a.example}",
                "suppressions:read",
                "messages:read:{b.example}",
                "messages:read:{a.example}",
            ],
        ),
    ],
)
def test_a_role_is_filled_from_domains(
    scopes: tuple[str, ...], domains: tuple[str, ...], needs_domains: bool, filled: list[str]
) -> None:
    """Each scope with a place for a domain is given once for each of them, every other one once; order is kept."""
    role = Role("sender", scopes, "roles.yaml")
    assert role.needs_domains is needs_domains
    assert role.filled(domains) == filled
