"""Roles and what they may do: the one grid that views, templates, the palette, the REST API and the websocket ask.

Whoever asks holds a set of actions: a member's role's, or what of it a token's scopes leave.

`record:read` is apart from `stream:read`: knowing that a stream exists is not seeing its data.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from apps.accounts.roles import Role

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
    "alarm:read": "See dashboards and alarms",
    "alarm:write": "Create, change, mute and delete dashboards and alarms",
    "key:read": "See access keys",
    "key:write": "Create, rotate, disable and delete access keys, each of which may do whatever the account may",
    "token:write": "Create and revoke API tokens of one's own",
    "token:manage": "See and revoke everybody's API tokens",
    "member:read": "See members, roles and invitations",
    "member:write": "Invite, change and remove members, and make roles",
    "audit:read": "See the audit log",
    "billing:read": "See usage, costs and bills",
    "billing:write": "Set budgets, and who is told of them",
    "billing:enforce": "Let a spent budget throttle or pause the team's streams",
    "team:read": "See the team's settings and quotas",
    "team:write": "Change the team's settings",
    "team:delete": "Transfer and delete the team",
}
"""Every action, and the sentence that explains it to a person."""

GIVEN_BY_KEYS: Final = frozenset(
    action
    for action in ACTIONS
    if action.partition(":")[0] in {"stream", "delivery", "record", "alarm", "key"} and action != "stream:faults"
)
"""What whoever has an access key of a team may do by AWS's operations: Kinesis, Firehose and CloudWatch with their data, and
by IAM's more keys. Faults are no operation of AWS's. Who makes a key, or one work again, must hold all of it."""

_LOOK = frozenset({"stream:read", "delivery:read", "alarm:read", "member:read", "team:read"})
_STREAMS = frozenset({"stream:create", "stream:write", "stream:reshard", "stream:delete"})
_DELIVERY = frozenset({"delivery:create", "delivery:write", "delivery:delete"})
_DEVELOP = frozenset(
    {"record:read", "record:write", "alarm:write", "key:read", "key:write", "token:write", "audit:read"}
)

_GRID: Final[dict[str, frozenset[str]]] = {
    Role.OWNER: frozenset(ACTIONS),
    Role.ADMIN: frozenset(ACTIONS) - {"team:delete", "billing:enforce"},
    Role.DEVELOPER: _LOOK | _STREAMS | _DELIVERY | _DEVELOP,
    Role.ANALYST: _LOOK | {"record:read", "alarm:write", "token:write", "billing:read"},
    Role.BILLING: _LOOK | {"billing:read", "billing:write", "token:write"},
    Role.VIEWER: _LOOK,
}


def allowed(actions: frozenset[str], action: str) -> bool:
    """True if who holds these actions may do this one. An action that is not in ACTIONS is a programmer's error."""
    assert action in ACTIONS, action
    return action in actions


def actions_of(role: str) -> frozenset[str]:
    """What one of the six roles may do; of any other word: nothing."""
    return _GRID.get(role, frozenset())


def known_actions(names: Iterable[str]) -> frozenset[str]:
    """Of these names, those of actions."""
    return frozenset(names) & ACTIONS.keys()


def roles_with(action: str) -> list[str]:
    """Labels of the six roles that may do this: who to ask."""
    return [Role(role).label for role, actions in _GRID.items() if action in actions]
