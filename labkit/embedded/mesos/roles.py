"""Names of roles: ``ads/batch`` is below ``ads``; ``*`` is everybody's. As ``src/common/roles.cpp`` checks them."""

from __future__ import annotations

_INVALID = frozenset("\x08\x09\x0a\x0b\x0c\x0d\x20\x7f")


def why_invalid(role: str) -> str | None:
    """What is wrong with the name, None if nothing is."""
    if role == "*":
        return None
    if role.startswith("/"):
        return f"Role '{role}' cannot start with a slash"
    if role.endswith("/"):
        return f"Role '{role}' cannot end with a slash"
    if "//" in role:
        return f"Role '{role}' cannot contain two adjacent slashes"
    if not role:
        return "Role names cannot be the empty string"
    for component in role.split("/"):
        if component in (".", "..", "*"):
            return f"Role '{role}' cannot include '{component}' as a component"
        if component.startswith("-"):
            return f"Role component '{component}' is invalid because it starts with a dash"
        if not _INVALID.isdisjoint(component):
            return f"Role component '{component}' is invalid because it contains backspace or whitespace"
    return None
