"""STS: who am I, and temporary credentials."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from apps.access import callers, rights, sessions
from apps.access.errors import MalformedPolicyDocumentException, PackedPolicyTooLargeException
from apps.access.ids import secret, session_key_id
from apps.access.models import Identity, IdentityKind
from apps.access.policy.document import Kind, Malformed, TooLarge, parse
from apps.access.policy.evaluation import Grants, Question, decide
from apps.access.sessions import Session
from apps.access.source import request_values, source_of
from apps.base.errors import AccessDeniedException, ValidationException
from apps.base.units import SECOND_MS
from apps.runtime import Call

ROLE_S_DEFAULT = 3_600
CHAINED_S_MAX = 3_600
USER_S_DEFAULT = 43_200
ROOT_S_MAX = 3_600
"""Seconds that credentials last: AWS's defaults and limits (of users' own: the model's)."""

POLICY_ARNS_MAX = 10
TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX = 128, 256
PACKED_BYTES_MAX = 4_096
"""Session policies and tags, packed. AWS does not tell its own format's size."""

Json = dict[str, Any]


def get_caller_identity(call: Call, _params: Json) -> Json:
    """The caller's account, ARN and unique id.

    Kept from AWS: nobody needs a permission, and no policy can take it. A key of the team is AWS's root user.
    Not kept: nothing.
    """
    grants = call.principal.grants or callers.of_team(call.principal.account_id)
    return {"UserId": grants.context["aws:userid"], "Account": call.principal.account_id, "Arn": grants.arn}


def get_session_token(call: Call, params: Json) -> Json:
    """Temporary credentials with the caller's own rights.

    Kept from AWS: 15 minutes to 36 hours (12 by default), an hour for the root user; not with temporary credentials.
    Ours: they end with the key that asked for them. Refused: multi-factor devices.
    Not kept: AWS takes IAM away from such credentials; here they may what their user may.
    """
    _refuse_devices(params)
    grants = call.principal.grants
    if grants is not None and grants.session is not None:
        raise AccessDeniedException("Cannot call GetSessionToken with session credentials")
    asked_s = params.get("DurationSeconds") or USER_S_DEFAULT
    lasts_s = asked_s if grants is not None else min(asked_s, ROOT_S_MAX)
    session = _new_session(call, lasts_s, issuer=call.principal.meter_key)
    return {"Credentials": _credentials(call, session)}


def assume_role(call: Call, params: Json) -> Json:
    """Temporary credentials of a role.

    Kept from AWS: the role's trust policy and, unless it names the caller itself, the caller's own policies must allow
    it; session policies (one, and ten managed ones) that only limit; session tags, transitive ones, source identity;
    ExternalId; up to the role's MaxSessionDuration, an hour when a role assumes a role. Roles that trust each other
    in a circle do no harm: each step is a call, and none lasts longer than an hour. A role that does not exist is
    refused with the same text as one that does not trust.
    Refused: multi-factor devices, ProvidedContexts, MinimumSessionTokenSize.
    Not kept: AWS's root user may not assume roles; here keys of the team may.
    """
    _refuse_devices(params)
    if params.get("ProvidedContexts") or params.get("MinimumSessionTokenSize"):
        raise ValidationException(
            "ProvidedContexts and MinimumSessionTokenSize are not part of this version of Tidegate."
        )
    grants = call.principal.grants or callers.of_team(call.principal.account_id)
    role = _role(params["RoleArn"])
    tags, transitive = _tags(grants.session, params)
    source_identity = _source_identity(grants.session, params)
    if role is None or not _may_assume(call, params, role, grants, tags):
        raise AccessDeniedException(
            f"User: {grants.arn} is not authorized to perform: sts:AssumeRole on resource: {params['RoleArn']}"
        )
    policies, packed = _session_policies(params, tags)
    session = _new_session(
        call,
        _lasts_s(params, role, grants),
        name=params["RoleSessionName"],
        role_key=role.pk,
        role_unique_id=role.unique_id,
        policies=policies,
        policy_arns=_policy_arns(role, params),
        tags=tags,
        transitive=transitive,
        source_identity=source_identity,
    )
    answer: Json = {
        "Credentials": _credentials(call, session),
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.unique_id}:{session.name}",
            "Arn": f"arn:aws:sts::{role.team.account_id}:assumed-role/{role.name}/{session.name}",
        },
    }
    if policies or tags:
        answer["PackedPolicySize"] = packed
    if source_identity:
        answer["SourceIdentity"] = source_identity
    return answer


OPERATIONS: dict[str, Callable[..., Any]] = {
    "AssumeRole": assume_role,
    "GetCallerIdentity": get_caller_identity,
    "GetSessionToken": get_session_token,
}

OTHERWISE = "It is not part of Tidegate's STS."


def _role(arn: str) -> Identity | None:
    """The role of an ARN, of any team; its trust policy decides who may know of it."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("role/"):
        return None
    name_key = parts[5].rpartition("/")[2].lower()
    found = Identity.objects.select_related("team").filter(
        team__account_id=parts[4], kind=IdentityKind.ROLE, name_key=name_key
    )
    row = found.first()
    return row if row is not None and row.arn == arn else None


def _may_assume(call: Call, params: Json, role: Identity, grants: Grants, tags: dict[str, str]) -> bool:
    """Do trust policy and the caller's policies allow all that the request wants?"""
    trust = rights.trust_policy(role.trust_policy)
    context: dict[str, str | tuple[str, ...]] = {
        **grants.context,
        **request_values(grants.names | trust.names, call, source_of(call), role.tags, params),
        "sts:rolesessionname": params["RoleSessionName"],
    }
    for key, name in (("sts:externalid", "ExternalId"), ("sts:sourceidentity", "SourceIdentity")):
        if params.get(name) is not None:
            context[key] = params[name]
    if params.get("TransitiveTagKeys"):
        context["sts:transitivetagkeys"] = tuple(params["TransitiveTagKeys"])
    actions = ["sts:AssumeRole"]
    actions += ["sts:TagSession"] if tags or params.get("TransitiveTagKeys") else []
    actions += ["sts:SetSourceIdentity"] if params.get("SourceIdentity") else []
    asked = (Question(action, role.arn, role.team.account_id, context, trust, must_be_named=True) for action in actions)
    return all(decide(grants, one) is None for one in asked)


def _lasts_s(params: Json, role: Identity, grants: Grants) -> int:
    """How long the session lasts. Raises ValidationException."""
    asked_s = params.get("DurationSeconds")
    if grants.session is not None and grants.session.role_key is not None:
        if asked_s is not None and asked_s > CHAINED_S_MAX:
            raise ValidationException(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        return asked_s or CHAINED_S_MAX
    if asked_s is not None and asked_s > role.max_session_s:
        raise ValidationException("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return asked_s or min(ROLE_S_DEFAULT, role.max_session_s)


def _tags(before: Session | None, params: Json) -> tuple[dict[str, str], tuple[str, ...]]:
    """Session tags and which of them go on to the next role. Raises ValidationException."""
    given = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()}
    lower = {key.lower() for key in given}
    if len(lower) != len(params.get("Tags") or ()):
        raise ValidationException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(
        len(k) > TAG_KEY_CHARS_MAX or len(v) > TAG_VALUE_CHARS_MAX or k.lower().startswith("aws:")
        for k, v in given.items()
    ):
        raise ValidationException("Invalid session tag.")
    transitive = tuple(params.get("TransitiveTagKeys") or ())
    if not {key.lower() for key in transitive} <= lower:
        raise ValidationException("Transitive tag keys must be among the session tags that are passed.")
    if before is None:
        return given, transitive
    kept = {key: before.tags[key] for key in before.transitive if key in before.tags}
    if lower & {key.lower() for key in kept}:
        raise AccessDeniedException(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."
        )
    return {**given, **kept}, (*transitive, *kept)


def _source_identity(before: Session | None, params: Json) -> str:
    given = params.get("SourceIdentity") or ""
    if before is not None and before.source_identity:
        if given and given != before.source_identity:
            raise AccessDeniedException("SourceIdentity cannot be changed once it is set.")
        return before.source_identity
    return str(given)


def _session_policies(params: Json, tags: dict[str, str]) -> tuple[tuple[str, ...], int]:
    """The session policy's document, and how full it makes the token, in percent.

    Raises MalformedPolicyDocumentException and PackedPolicyTooLargeException.
    """
    documents = (params["Policy"],) if params.get("Policy") is not None else ()
    for document in documents:
        try:
            parse(document, Kind.SESSION)
        except Malformed as error:
            raise MalformedPolicyDocumentException(str(error)) from None
        except TooLarge:
            raise PackedPolicyTooLargeException(
                "Packed policy consumes 100% of allotted space, please use smaller policy."
            ) from None
    packed = len(zlib.compress(msgspec.json.encode([documents, tags])))
    percent = -(-packed * 100 // PACKED_BYTES_MAX)
    if percent > 100:
        raise PackedPolicyTooLargeException(
            f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )
    return documents, percent


def _policy_arns(role: Identity, params: Json) -> tuple[str, ...]:
    """Managed session policies: the role's account's, or AWS's. Raises ValidationException."""
    arns = tuple(policy["arn"] for policy in params.get("PolicyArns") or ())
    if len(arns) > POLICY_ARNS_MAX:
        raise ValidationException(f"PolicyArns has more than {POLICY_ARNS_MAX} members.")
    if not all(
        arn.startswith(("arn:aws:iam::aws:policy/", f"arn:aws:iam::{role.team.account_id}:policy/")) for arn in arns
    ):
        raise ValidationException("PolicyArns must be of the role's account.")
    missing = set(arns) - rights.managed_documents(arns).keys()
    if missing:
        raise ValidationException(f"Policy {min(missing)} does not exist or is not attachable.")
    return arns


def _refuse_devices(params: Json) -> None:
    if params.get("SerialNumber") or params.get("TokenCode"):
        raise AccessDeniedException("MultiFactorAuthentication failed with invalid MFA one time pass code.")


def _new_session(call: Call, lasts_s: int, **members: Any) -> Session:
    return Session(
        key_id=session_key_id(),
        secret=secret(),
        issued_ms=call.now_ms,
        expires_ms=call.now_ms + lasts_s * SECOND_MS,
        **members,
    )


def _credentials(call: Call, session: Session) -> Json:
    return {
        "AccessKeyId": session.key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": sessions.seal(call.runtime.config.master_key_path, session),
        "Expiration": session.expires_ms,
    }
