"""Managed policies: made, versioned, attached; AWS's own ones beside the team's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from apps.access import names
from apps.access.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    LimitExceededException,
    NoSuchEntityException,
    NoSuchPolicy,
    checked,
)
from apps.access.ids import unique_id
from apps.access.managed import AWS_MANAGED
from apps.access.models import Attachment, Identity, ManagedPolicy, PolicyVersion
from apps.access.paging import page
from apps.access.policy.document import Kind
from apps.access.rights import changed
from apps.base.errors import ValidationException
from apps.runtime import Call

POLICIES_MAX = 1_500
ATTACHED_MAX = 10
VERSIONS_MAX = 5
"""Per account, per identity, per policy: AWS's quotas."""

Json = dict[str, Any]


def create_policy(call: Call, params: Json) -> Json:
    """A managed policy, version v1.

    Kept from AWS: checks, 6,144 characters, quota of 1,500, path, description, tags. Not kept: nothing.
    """
    team, name = names.hold_team(call), params["PolicyName"]
    rows = ManagedPolicy.objects.filter(team=team)
    if rows.filter(name_key=name.lower()).exists():
        raise EntityAlreadyExistsException(f"A policy called {name} already exists. Duplicate names are not allowed.")
    if rows.count() >= POLICIES_MAX:
        raise LimitExceededException.quota("PoliciesPerAccount", POLICIES_MAX)
    document = checked(params["PolicyDocument"], Kind.MANAGED)
    row = ManagedPolicy.objects.create(
        team=team,
        name=name,
        name_key=name.lower(),
        path=params.get("Path") or "/",
        unique_id=unique_id("policy"),
        description=params.get("Description") or "",
        tags=names.tags_of(params.get("Tags")),
        created_at_ms=call.now_ms,
        updated_at_ms=call.now_ms,
    )
    PolicyVersion.objects.create(policy=row, number=1, document=document, created_at_ms=call.now_ms)
    return {"Policy": _shown(row)}


def get_policy(call: Call, params: Json) -> Json:
    """A managed policy, without its document.

    Kept from AWS: AWS's own ones too. Not kept: nothing.
    """
    arn = params["PolicyArn"]
    if arn in AWS_MANAGED:
        return {"Policy": _shown_of_aws(call, arn)}
    row = names.policy(call, arn)
    shown = _shown(row)
    return {"Policy": {**shown, "Description": row.description, "Tags": names.shown_tags(row.tags)}}


def list_policies(call: Call, params: Json) -> Json:
    """Managed policies by ARN.

    Kept from AWS: Scope, OnlyAttached, PathPrefix, PolicyUsageFilter, pages. Not kept: nothing.
    """
    scope = params.get("Scope") or "All"
    own = ManagedPolicy.objects.select_related("team").filter(team_id=call.principal.team_id)
    shown = [_shown(row) for row in own] if scope in {"All", "Local"} else []
    shown += [_shown_of_aws(call, arn) for arn in AWS_MANAGED] if scope in {"All", "AWS"} else []
    if params.get("OnlyAttached"):
        shown = [one for one in shown if one["AttachmentCount"]]
    if params.get("PolicyUsageFilter") == "PermissionsBoundary":
        shown = [one for one in shown if one["PermissionsBoundaryUsageCount"]]
    prefix = params.get("PathPrefix") or "/"
    shown = [one for one in shown if one["Path"].startswith(prefix)]
    return page("Policies", shown, params, lambda one: str(one["Arn"]), lambda one: one)


def delete_policy(call: Call, params: Json) -> None:
    """Delete a policy that is attached to nobody, with its one version.

    Kept from AWS: DeleteConflict while it is attached or has other versions. Not kept: nothing.
    """
    row = names.policy(call, params["PolicyArn"])
    if _attachments(call, row.arn) or _boundaries(call, row.arn):
        raise DeleteConflictException("Cannot delete a policy attached to entities.")
    if row.versions.count() > 1:
        raise DeleteConflictException(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    row.delete()
    changed(call.principal.team_id)


def create_policy_version(call: Call, params: Json) -> Json:
    """One more version, which holds if SetAsDefault is given.

    Kept from AWS: five versions. Not kept: nothing.
    """
    names.hold_team(call)
    row = names.policy(call, params["PolicyArn"])
    if row.versions.count() >= VERSIONS_MAX:
        raise LimitExceededException(
            f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you must delete "
            "an existing version."
        )
    document = checked(params["PolicyDocument"], Kind.MANAGED)
    row.last_version += 1
    row.updated_at_ms = call.now_ms
    if params.get("SetAsDefault"):
        row.default_version = row.last_version
    row.save(update_fields=["last_version", "default_version", "updated_at_ms"])
    made = PolicyVersion.objects.create(
        policy=row, number=row.last_version, document=document, created_at_ms=call.now_ms
    )
    changed(row.team_id)
    return {"PolicyVersion": _shown_version(row, made)}


def get_policy_version(call: Call, params: Json) -> Json:
    """A version with its document, percent-encoded.

    Kept from AWS: AWS's own ones have v1. Not kept: nothing.
    """
    arn = params["PolicyArn"]
    if arn in AWS_MANAGED and params["VersionId"] == "v1":
        document = quote(AWS_MANAGED[arn], safe="")
        return {"PolicyVersion": {"Document": document, "VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}}
    row = names.policy(call, arn)
    found = _version(row, params["VersionId"])
    return {"PolicyVersion": {"Document": quote(found.document, safe=""), **_shown_version(row, found)}}


def list_policy_versions(call: Call, params: Json) -> Json:
    """Versions of a policy.

    Kept from AWS: pages. Not kept: nothing.
    """
    if params["PolicyArn"] in AWS_MANAGED:
        version = {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}
        return {"Versions": [version], "IsTruncated": False}
    row = names.policy(call, params["PolicyArn"])
    return page(
        "Versions", row.versions.all(), params, lambda one: f"{one.number:010d}", lambda one: _shown_version(row, one)
    )


def delete_policy_version(call: Call, params: Json) -> None:
    """Delete a version that does not hold.

    Kept from AWS: DeleteConflict for the one that does. Not kept: nothing.
    """
    row = names.policy(call, params["PolicyArn"])
    found = _version(row, params["VersionId"])
    if found.number == row.default_version:
        raise DeleteConflictException("Cannot delete the default version of a policy.")
    found.delete()


def set_default_policy_version(call: Call, params: Json) -> None:
    """Let another version hold; everywhere within a second.

    Kept from AWS: its errors. Not kept: nothing.
    """
    row = names.policy(call, params["PolicyArn"])
    row.default_version = _version(row, params["VersionId"]).number
    row.updated_at_ms = call.now_ms
    row.save(update_fields=["default_version", "updated_at_ms"])
    changed(row.team_id)


def attach(kind: str) -> Callable[[Call, Json], None]:
    """Attach…Policy for one kind."""

    def attach_policy(call: Call, params: Json) -> None:
        """Attach a managed policy; one that is attached already is no error.

        Kept from AWS: ten policies each; own ones and AWS's. Not kept: nothing.
        """
        names.hold_team(call)
        row, arn = names.named(call, kind, params), params["PolicyArn"]
        if arn not in AWS_MANAGED:
            try:
                names.policy(call, arn)
            except NoSuchEntityException:
                raise NoSuchPolicy(arn) from None
        if row.attachments.exclude(policy_arn=arn).count() >= ATTACHED_MAX:
            raise LimitExceededException.quota(f"PoliciesPer{kind.title()}", ATTACHED_MAX)
        Attachment.objects.get_or_create(identity=row, policy_arn=arn)
        changed(row.team_id)

    return attach_policy


def detach(kind: str) -> Callable[[Call, Json], None]:
    """Detach…Policy for one kind."""

    def detach_policy(call: Call, params: Json) -> None:
        """Detach a managed policy.

        Kept from AWS: NoSuchEntity if it is not attached. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        gone, _ = row.attachments.filter(policy_arn=params["PolicyArn"]).delete()
        if not gone:
            raise NoSuchEntityException(f"Policy {params['PolicyArn']} was not found.")
        changed(row.team_id)

    return detach_policy


def list_attached(kind: str) -> Callable[[Call, Json], Json]:
    """ListAttached…Policies for one kind."""

    def list_attached_policies(call: Call, params: Json) -> Json:
        """Attached managed policies.

        Kept from AWS: PathPrefix, pages. Not kept: nothing.
        """
        arns = names.named(call, kind, params).attachments.values_list("policy_arn", flat=True)
        prefix = params.get("PathPrefix") or "/"
        wanted = [arn for arn in arns if _path(arn).startswith(prefix)]
        return page(
            "AttachedPolicies",
            wanted,
            params,
            str,
            lambda arn: {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn},
        )

    return list_attached_policies


def list_entities_for_policy(call: Call, params: Json) -> Json:
    """Who has a policy attached.

    Kept from AWS: EntityFilter, PathPrefix, PolicyUsageFilter. Not kept: pages; there is one.
    """
    arn, wanted = params["PolicyArn"], params.get("EntityFilter")
    if arn not in AWS_MANAGED:
        names.policy(call, arn)
    rows = Identity.objects.filter(team_id=call.principal.team_id, path__startswith=params.get("PathPrefix") or "/")
    as_boundary = params.get("PolicyUsageFilter") == "PermissionsBoundary"
    rows = rows.filter(boundary_arn=arn) if as_boundary else rows.filter(attachments__policy_arn=arn)
    answer: Json = {"PolicyGroups": [], "PolicyUsers": [], "PolicyRoles": [], "IsTruncated": False}
    for row in rows.order_by("name_key"):
        word = row.kind.title()
        if wanted in {None, word}:
            answer[f"Policy{word}s"].append({f"{word}Name": row.name, f"{word}Id": row.unique_id})
    return answer


def tag_policy(call: Call, params: Json) -> None:
    """Set tags of a managed policy.

    Kept from AWS: 50, keys without regard to case. Not kept: nothing.
    """
    row = names.policy(call, params["PolicyArn"])
    row.tags = names.merged(row.tags, names.tags_of(params["Tags"]))
    names.check_count(row.tags)
    row.save(update_fields=["tags"])


def untag_policy(call: Call, params: Json) -> None:
    """Take tags of a managed policy away.

    Kept from AWS: keys that are not there are no error. Not kept: nothing.
    """
    row = names.policy(call, params["PolicyArn"])
    gone = {key.lower() for key in params["TagKeys"]}
    row.tags = {key: value for key, value in row.tags.items() if key.lower() not in gone}
    row.save(update_fields=["tags"])


def list_policy_tags(call: Call, params: Json) -> Json:
    """Tags of a managed policy.

    Kept from AWS: pages. Not kept: nothing.
    """
    tags = {} if params["PolicyArn"] in AWS_MANAGED else names.policy(call, params["PolicyArn"]).tags
    return page("Tags", names.shown_tags(tags), params, lambda one: str(one["Key"]), lambda one: one)


def _version(row: ManagedPolicy, version_id: str) -> PolicyVersion:
    digits = version_id.removeprefix("v").partition(".")[0]
    if not digits.isdecimal() or len(digits) > 9:
        raise ValidationException(f"Value '{version_id}' at 'versionId' is not of the form v1.")
    found = row.versions.filter(number=int(digits)).first()
    if found is None:
        raise NoSuchEntityException(f"Policy {row.arn} version {version_id} does not exist or is not attachable.")
    return found


def _path(arn: str) -> str:
    return "/" + arn.partition(":policy/")[2].rpartition("/")[0]


def _attachments(call: Call, arn: str) -> int:
    return Attachment.objects.filter(identity__team_id=call.principal.team_id, policy_arn=arn).count()


def _boundaries(call: Call, arn: str) -> int:
    return Identity.objects.filter(team_id=call.principal.team_id, boundary_arn=arn).count()


def _shown(row: ManagedPolicy) -> Json:
    identities = Identity.objects.filter(team_id=row.team_id)
    return {
        "PolicyName": row.name,
        "PolicyId": row.unique_id,
        "Arn": row.arn,
        "Path": row.path,
        "DefaultVersionId": f"v{row.default_version}",
        "AttachmentCount": identities.filter(attachments__policy_arn=row.arn).count(),
        "PermissionsBoundaryUsageCount": identities.filter(boundary_arn=row.arn).count(),
        "IsAttachable": True,
        "CreateDate": row.created_at_ms,
        "UpdateDate": row.updated_at_ms,
    }


def _shown_of_aws(call: Call, arn: str) -> Json:
    return {
        "PolicyName": arn.rpartition("/")[2],
        "PolicyId": "ANPA" + arn.rpartition("/")[2].upper().ljust(17, "A")[:17],
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": "v1",
        "AttachmentCount": _attachments(call, arn),
        "PermissionsBoundaryUsageCount": _boundaries(call, arn),
        "IsAttachable": True,
        "CreateDate": 0,
        "UpdateDate": 0,
    }


def _shown_version(row: ManagedPolicy, version: PolicyVersion) -> Json:
    return {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == row.default_version,
        "CreateDate": version.created_at_ms,
    }
