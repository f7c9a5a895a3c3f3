"""What an operation changes, before and after: the state of its resource, by its ARN, for the audit trail.

One function per kind of resource, found in a table; what the table does not name has no state. All of it happens in the
transaction of a control-plane call that changes something. The data plane never comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.access import audit
from apps.access import states as access
from apps.access.audit import PARTS_OF_STREAMS
from apps.access.changes import state_text
from apps.access.models import AuditEntry
from apps.catalogue import states as catalogue
from apps.cloudwatch import states as cloudwatch
from apps.delivery import states as delivery
from apps.encryption import states as encryption
from apps.gateway.services import Route
from apps.queues import states as queues
from apps.runtime import Call
from apps.streams import states as streams

RESOURCES_MAX = 20
"""Of an operation that changes several at once (DeleteAlarms takes 100)."""

State = dict[str, Any]

_KINDS: dict[tuple[str, str], Callable[[str, str], State | None]] = {
    ("kinesis", "stream/"): streams.stream,
    ("kinesis", "queue/"): queues.queue,
    ("kinesis", "channel/"): delivery.channel,
    ("firehose", "deliverystream/"): delivery.delivery_stream,
    ("cloudwatch", "alarm:"): cloudwatch.alarm,
    ("cloudwatch", "dashboard/"): cloudwatch.dashboard,
    ("iam", "user/"): access.user,
    ("iam", "role/"): access.role,
    ("iam", "group/"): access.group,
    ("iam", "policy/"): access.policy,
    ("kms", "key/"): encryption.key,
    ("kms", "alias/"): encryption.alias,
    ("glue", "database/"): catalogue.database,
    ("glue", "table/"): catalogue.table,
    ("glue", "registry/"): catalogue.registry,
    ("glue", "schema/"): catalogue.schema,
}
"""By service and the beginning of an ARN's last part: functions of account id and the rest of it."""

_CHANGE_NOTHING = frozenset(
    {
        "AssumeRole", "CheckSchemaVersionValidity", "Decrypt", "Encrypt", "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext", "PutMetricData", "ReEncrypt", "SimulateCustomPolicy",
        "SimulatePrincipalPolicy",
    }
)  # fmt: skip
"""Operations that change no resource, though their names do not say so."""

_MADE = (("QueueARN",), ("ChannelDescription", "ChannelARN"), ("KeyMetadata", "Arn"))
"""Where answers of creations name what no request could."""


def of(arn: str) -> State | None:
    """The state of a resource now; None: it is not there, or has none that is kept."""
    kind = _kind(arn)
    if kind is None:
        return None
    account_id, thing = arn.split(":", 5)[4:]
    return _KINDS[kind](account_id, thing.removeprefix(kind[1]).partition(PARTS_OF_STREAMS)[0])


def _kind(arn: str) -> tuple[str, str] | None:
    parts = arn.split(":", 5)
    if len(parts) != 6:
        return None
    return next((kind for kind in _KINDS if parts[2] == kind[0] and parts[5].startswith(kind[1])), None)


class Change:
    """One call's. Made before the operation runs; note() after it."""

    def __init__(self, found: Route, call: Call, request: Any, resource: str) -> None:
        self._arns: list[str] = []
        if not found.only_reads and found.name not in _CHANGE_NOTHING:
            beside = [
                arn
                for action, arn in found.also(call, request)
                if action == found.action and _kind(arn) == _kind(resource)
            ]
            self._arns = [resource, *beside][:RESOURCES_MAX]
        self._before = {arn: of(arn) for arn in self._arns}

    def note(self, made: AuditEntry, answer: Any) -> None:
        """Write both states into the entry; of a thing that was made under an ARN of its own, that ARN."""
        if not self._arns:
            return
        new = _made_arn(answer) if made.resource.endswith("*") else None
        if new is not None:
            audit.set_resource(made, new)
            self._arns, self._before = [new], {}
        before, after = _known(self._before), _known({arn: of(arn) for arn in self._arns})
        made.before, made.after = state_text(_plain(before, after)), state_text(_plain(after, before))


def _known(states: dict[str, State | None]) -> dict[str, State]:
    return {arn: state for arn, state in states.items() if state is not None}


def _plain(states: dict[str, State], others: dict[str, State]) -> State | None:
    """The one state alone; several by their ARNs."""
    if len(states) > 1 or len(others) > 1:
        return dict(states) or None
    return next(iter(states.values()), None)


def _made_arn(answer: Any) -> str | None:
    for path in _MADE:
        value = answer
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return value
    return None
