"""Who a key or session is, as policies see it: the caller's names, and the condition keys that go with them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from apps.access.policy.document import Policy
from apps.access.policy.evaluation import Grants
from apps.access.rights import NOTHING, Rights, parsed
from apps.access.sessions import Session

Values = dict[str, str | tuple[str, ...]]


def iso(at_ms: int) -> str:
    """2026-11-20T10:00:00Z, as aws:CurrentTime and aws:TokenIssueTime have it."""
    return _iso(at_ms // 1000)


@lru_cache(maxsize=1_024)
def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1_024)
def of_team(account_id: str) -> Grants:
    """A key of the team, with all of its rights: to AWS's eyes the root user."""
    return Grants(account_id, f"arn:aws:iam::{account_id}:root", f"arn:aws:iam::{account_id}:root", _root(account_id))


def of_team_session(account_id: str, session: Session) -> Grants:
    """Temporary credentials of such a key."""
    whole = of_team(account_id)
    context = {**whole.context, **_temporary(session)}
    return Grants(account_id, whole.arn, whole.principal_arn, context, session=session)


def of_user(account_id: str, rights: Rights, session: Session | None = None) -> Grants:
    """A user, by a key of its own or by temporary credentials."""
    context: Values = {
        **_common(account_id, rights, "User"),
        "aws:userid": rights.unique_id,
        "aws:username": rights.name,
        **_tags(rights.tags),
    }
    if session is not None:
        context |= _temporary(session)
    return Grants(account_id, rights.arn, rights.arn, context, rights.policies, rights.boundary, session=session)


def of_role(account_id: str, rights: Rights, session: Session, managed: dict[str, str]) -> Grants:
    """A session of a role. managed: documents of the session's managed policies; one that was deleted
    since cannot be asked what it denied, so nothing is allowed."""
    sessions: list[Policy] = [parsed(document) for document in session.policies]
    sessions += [parsed(managed.get(arn, NOTHING)) for arn in session.policy_arns]
    limited = bool(session.policies or session.policy_arns)
    context: Values = {
        **_common(account_id, rights, "AssumedRole"),
        "aws:userid": f"{rights.unique_id}:{session.name}",
        **_tags({**rights.tags, **session.tags}),
        **_temporary(session),
    }
    return Grants(
        account_id,
        f"arn:aws:sts::{account_id}:assumed-role/{rights.name}/{session.name}",
        rights.arn,
        context,
        rights.policies,
        rights.boundary,
        tuple(sessions) if limited else None,
        session,
    )


def _root(account_id: str) -> Values:
    return {
        "aws:principalarn": f"arn:aws:iam::{account_id}:root",
        "aws:principalaccount": account_id,
        "aws:principaltype": "Account",
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
        "aws:userid": account_id,
    }


def _common(account_id: str, rights: Rights, kind: str) -> Values:
    return {
        "aws:principalarn": rights.arn,
        "aws:principalaccount": account_id,
        "aws:principaltype": kind,
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
    }


def _temporary(session: Session) -> Values:
    values: Values = {"aws:tokenissuetime": iso(session.issued_ms), "aws:multifactorauthpresent": "false"}
    if session.source_identity:
        values["aws:sourceidentity"] = session.source_identity
    return values


def _tags(tags: dict[str, str]) -> Values:
    return {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}
