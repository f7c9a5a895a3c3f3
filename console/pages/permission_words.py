"""The permissions as people read them: by resource, with what is dangerous marked, and where a member has each from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from apps.accounts.permissions import ACTIONS, roles_with

RESOURCES: Final = {
    "stream": "Data streams",
    "delivery": "Delivery streams",
    "record": "Records",
    "alarm": "Metrics and alarms",
    "key": "Access keys",
    "token": "API tokens",
    "member": "Members and roles",
    "audit": "Audit log",
    "billing": "Usage and cost",
    "team": "Team",
}

DANGERS: Final = {
    "stream:delete": "Deletes records for good",
    "stream:faults": "Makes clients fail",
    "delivery:delete": "What waits is not delivered",
    "record:read": "Shows what is in the records",
    "key:write": "A key may do all that clients can",
    "token:manage": "Ends other people's programs",
    "member:write": "Gives all permissions that they have to others",
    "billing:enforce": "A spent budget stops writes",
    "team:delete": "Ends the team",
}
"""What to think twice about before giving it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One action. granted: the person or role has it. locked: why it cannot be chosen; empty: it can."""

    action: str
    verb: str
    sentence: str
    danger: str
    granted: bool = False
    locked: str = ""
    roles: str = ""
    """The six roles that have it, as words."""


def by_resource(granted: Iterable[str], mine: frozenset[str] | None = None) -> list[tuple[str, str, list[Permission]]]:
    """(key, heading, permissions) of every resource. mine: what whoever chooses may give; None: nobody chooses."""
    has = frozenset(granted)
    rows: dict[str, list[Permission]] = {key: [] for key in RESOURCES}
    for action, sentence in ACTIONS.items():
        resource, _, verb = action.partition(":")
        locked = "" if mine is None or action in mine else "You do not have it yourself"
        roles = ", ".join(roles_with(action))
        rows[resource].append(Permission(action, verb, sentence, DANGERS.get(action, ""), action in has, locked, roles))
    return [(key, RESOURCES[key], rows[key]) for key in RESOURCES]
