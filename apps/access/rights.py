"""What users, roles and groups may do, read from their rows: once per change, off the event loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import structlog
from django.db.models import F

from apps.access.managed import AWS_MANAGED
from apps.access.models import Attachment, Identity, IdentityKind, InlinePolicy, PolicyVersion, TeamAccess
from apps.access.policy.document import Kind, Malformed, Policy, TooLarge, parse

log = structlog.get_logger(__name__)

PARSED_MAX = 2_000

NOTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
"""Stands for a stored policy that cannot be read: its denials are not known, so everything is denied."""

NOBODY = NOTHING.replace('"Effect"', '"Principal": "*", "Effect"')
"""The same for a resource policy."""


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """A user or role as its rows have it."""

    key: int
    kind: str
    name: str
    arn: str
    unique_id: str
    tags: dict[str, str]
    policies: tuple[Policy, ...]
    boundary: tuple[Policy, ...] | None


def changed(team_id: int) -> None:
    """Tell every process that policies of the team, or who has them, changed: in the transaction that changes them."""
    if not TeamAccess.objects.filter(team_id=team_id).update(version=F("version") + 1):
        TeamAccess.objects.create(team_id=team_id, version=1)


@lru_cache(maxsize=PARSED_MAX)
def parsed(text: str) -> Policy:
    """A stored identity policy. It was checked when it was stored."""
    try:
        return parse(text, Kind.ROLE)
    except (Malformed, TooLarge) as error:
        log.error("policy_unreadable", error=str(error))  # noqa: TRY400 - a sentence, not a bug
        return parse(NOTHING, Kind.ROLE)


@lru_cache(maxsize=PARSED_MAX)
def trust_policy(text: str) -> Policy:
    """A stored trust policy; one that cannot be read trusts nobody."""
    try:
        return parse(text, Kind.TRUST)
    except (Malformed, TooLarge) as error:
        log.error("policy_unreadable", error=str(error))  # noqa: TRY400 - a sentence, not a bug
        return Policy(())


@lru_cache(maxsize=PARSED_MAX)
def resource_policy(text: str) -> Policy | None:
    """A stored resource policy; None: there is none."""
    if not text:
        return None
    try:
        return parse(text, Kind.RESOURCE)
    except (Malformed, TooLarge) as error:
        log.error("policy_unreadable", error=str(error))  # noqa: TRY400 - a sentence, not a bug
        return parse(NOBODY, Kind.RESOURCE)


def read(keys: Iterable[int], *, groups: bool = False) -> dict[int, Rights]:
    """Users and roles (and groups, which nobody can call as) by row id; those that are gone are left out."""
    found = Identity.objects.filter(pk__in=list(keys)).select_related("team").prefetch_related("groups")
    rows = list(found if groups else found.exclude(kind=IdentityKind.GROUP))
    holders = {row.pk: [row.pk, *(group.pk for group in row.groups.all())] for row in rows}
    every = {key for some in holders.values() for key in some}
    documents: dict[int, list[str]] = {key: [] for key in every}
    for key, document in InlinePolicy.objects.filter(identity_id__in=every).values_list("identity_id", "document"):
        documents[key].append(document)
    attached = list(Attachment.objects.filter(identity_id__in=every).values_list("identity_id", "policy_arn"))
    managed = managed_documents({arn for _, arn in attached} | {row.boundary_arn for row in rows if row.boundary_arn})
    for key, arn in attached:
        documents[key].append(managed.get(arn, NOTHING))
    return {row.pk: _rights(row, [d for key in holders[row.pk] for d in documents[key]], managed) for row in rows}


def _rights(row: Identity, documents: list[str], managed: dict[str, str]) -> Rights:
    return Rights(
        row.pk,
        row.kind,
        row.name,
        row.arn,
        row.unique_id,
        row.tags,
        tuple(parsed(document) for document in documents),
        (parsed(managed.get(row.boundary_arn, NOTHING)),) if row.boundary_arn else None,
    )


def managed_documents(arns: Iterable[str]) -> dict[str, str]:
    """The documents that hold of managed policies, by ARN; those that do not exist are left out."""
    wanted = set(arns)
    found = {arn: AWS_MANAGED[arn] for arn in wanted & AWS_MANAGED.keys()}
    own = wanted - found.keys()
    if own:
        names = {arn.rpartition("/")[2].lower() for arn in own}
        versions = PolicyVersion.objects.filter(
            policy__name_key__in=names, number=F("policy__default_version")
        ).select_related("policy__team")
        found.update({v.policy.arn: v.document for v in versions if v.policy.arn in own})
    return found
