"""Roles and what they may do: the one grid that views, templates, the palette and the websocket ask.

`record:read` is apart from `stream:read`: knowing that a stream exists is not seeing its data.
"""

from __future__ import annotations

from typing import Final

from apps.accounts.models import Role

ACTIONS: Final[dict[str, str]] = {
    "stream:read": "See data streams, their settings and their metrics",
    "stream:create": "Create data streams",
    "stream:write": "Change retention, tags and consumers",
    "stream:reshard": "Split and merge shards and change their number",
    "stream:delete": "Delete data streams",
    "stream:faults": "Make calls of a data stream fail on purpose",
    "delivery:read": "See delivery streams, their settings, their errors and their metrics",
    "delivery:create": "Create delivery streams",
    "delivery:write": "Change, pause and resume delivery streams, and deliver failed records once more",
    "delivery:delete": "Delete delivery streams",
    "record:read": "See the records in a stream, and what was delivered of them",
    "record:write": "Put records, import files and replay streams",
    "key:read": "See access keys",
    "key:write": "Create, disable and delete access keys",
}
"""Every action, and the sentence that explains it to a person."""

_STREAMS = frozenset({"stream:read", "stream:create", "stream:write", "stream:reshard", "stream:delete"})
_DELIVERY = frozenset({"delivery:read", "delivery:create", "delivery:write", "delivery:delete"})
_RECORDS = frozenset({"record:read", "record:write"})
_KEYS = frozenset({"key:read", "key:write"})

_GRID: Final[dict[str, frozenset[str]]] = {
    Role.OWNER: frozenset(ACTIONS),
    Role.ADMIN: frozenset(ACTIONS),
    Role.DEVELOPER: _STREAMS | _DELIVERY | _RECORDS | _KEYS,
    Role.ANALYST: frozenset({"stream:read", "delivery:read", "record:read"}),
    Role.BILLING: frozenset({"stream:read", "delivery:read"}),
    Role.VIEWER: frozenset({"stream:read", "delivery:read"}),
}


def allowed(role: str, action: str) -> bool:
    """True if members with this role may do this. An action that is not in ACTIONS is a programmer's error."""
    assert action in ACTIONS, action
    return action in _GRID.get(role, frozenset())


def roles_with(action: str) -> list[str]:
    """Labels of the roles that may do this: who to ask."""
    return [Role(role).label for role, actions in _GRID.items() if action in actions]
