"""Changes that are no operation of AWS's (members, roles, tokens, keys, settings …) in the audit trail, with the state
before and after; and who made a change, for those and for AWS's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.access import audit
from apps.access.models import AuditEntry

SERVICE = "console"

STATE_BYTES_MAX = 8 * 1024
"""Of each of before and after, as JSON."""

MEMBER_CHARS_MAX = 1_024
"""Of one text in a state that is too long; then of ever less, until all fits."""

ITEMS_MAX = 100
SESSION_CHARS = 12

CUT = "…"
NOTE = "(cut)"
"""The member of a state that says that something was left out."""

MASK = "****"

_SECRET_NAME = re.compile(r"(?i)(password|passphrase|secret|private_?key|access_?key|hec_?token)$")
"""The ends of names like Password and AccessKey, but not of SecretARN and AccessKeyId."""

_PASSWORD_AT = re.compile(r"(\w://)[^/@\s]*:[^/@\s]*@")

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where. account_id: of the team; empty for what belongs to no team. principal: the
    ARN. key_id: the access key, the token's public id, or `console`. person: the e-mail address. session: session_name().
    at_ms: UTC."""

    account_id: str
    principal: str
    key_id: str
    at_ms: int
    person_id: int | None = None
    person: str = ""
    session: str = ""
    address: str = ""
    agent: str = ""
    request_id: str = ""

    def __str__(self) -> str:
        return self.person or self.principal


def write(
    actor: Actor,
    operation: str,
    resource: str,
    before: State | None,
    after: State | None,
    *,
    outcome: str = "",
    message: str = "",
) -> None:
    """Write one change, in the transaction that is open, if one is.

    operation: a verb and a noun, as AWS's (`InviteMember`). resource: what was changed, for people to read and to filter
    by: an ARN, or `member/ann@example.com`, `token/tok_…`, `role/Auditors`. before, after: the thing's members by name,
    without secrets; None where it was not there before, or is not after. outcome, message: of what failed, a code and a
    sentence; empty: it is done.
    """
    audit.write(
        AuditEntry(
            at_ms=actor.at_ms,
            account_id=actor.account_id,
            owner_account_id=actor.account_id,
            service=SERVICE,
            operation=operation,
            resource=audit.text(resource, audit.RESOURCE_CHARS),
            resource_key=audit.resource_key(resource),
            endpoint_id="",
            outcome=outcome,
            message=audit.text(message, audit.MESSAGE_CHARS),
            is_data=False,
            before=state_text(before),
            after=state_text(after),
            **who(actor),
        )
    )


def who(actor: Actor) -> dict[str, Any]:
    """The columns of an entry that say who and from where."""
    return {
        "principal": audit.text(actor.principal, audit.RESOURCE_CHARS),
        "key_id": audit.text(actor.key_id, audit.NAME_CHARS),
        "person_id": actor.person_id,
        "person": audit.text(actor.person, audit.PERSON_CHARS),
        "session": actor.session,
        "source_ip": actor.address,
        "user_agent": audit.text(actor.agent, audit.AGENT_CHARS),
        "request_id": actor.request_id,
    }


def session_name(session_key: str) -> str:
    """What a session is called in the trail and in the list of sessions: of its key, which lets people in, a digest."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:SESSION_CHARS] if session_key else ""


def state_text(state: State | None) -> str | None:
    """A state as JSON of at most STATE_BYTES_MAX bytes; what is too long is cut, and a member says so. Whatever is named
    like a secret, and a password in an address, is masked: nothing can be taken out of the trail afterwards."""
    if state is None:
        return None
    state = _masked(state)
    text = _json(state)
    limit = MEMBER_CHARS_MAX
    while len(text) > STATE_BYTES_MAX and limit:
        text = _json({**_shorter(state, limit), NOTE: "Longer than the trail keeps."})
        limit //= 4
    return (text if len(text) <= STATE_BYTES_MAX else _json({NOTE: "Longer than the trail keeps."})).decode()


def _json(state: State) -> bytes:
    text = orjson.dumps(state, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return text.replace(b"\\u0000", b"")


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _PASSWORD_AT.sub(rf"\1{MASK}@", value)
    if isinstance(value, Mapping):
        return {name: MASK if _is_secret(name, value[name]) else _masked(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _is_secret(name: Any, value: Any) -> bool:
    return bool(value) and isinstance(value, str) and _SECRET_NAME.search(str(name)) is not None


def _shorter(value: Any, limit: int) -> Any:
    """The same with texts and lists cut. limit: characters of a text; lists keep at most ITEMS_MAX of it."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[:limit] + CUT
    if isinstance(value, Mapping):
        return {name: _shorter(value[name], limit) for name in list(value)[: min(limit, ITEMS_MAX)]}
    if isinstance(value, list | tuple):
        return [_shorter(item, limit) for item in value[: min(limit, ITEMS_MAX)]]
    return value
