"""What the role of a delivery stream allows, if there is such a role.

With AWS, a delivery stream acts as its role. Here its role limits it, if the team has one of that name: what its policies do
not allow is not done. One that does not exist limits nothing, and the console says so. Asked are s3:PutObject for every
object, kinesis:GetRecords for the source, glue:GetTableVersions for the schema of a conversion, and lambda:InvokeFunction
for a transform. Not asked: whom the role trusts, since nobody assumes it.
"""

from __future__ import annotations

from typing import Any, Final

from apps.access.models import Identity, IdentityKind
from apps.access.policy.evaluation import Grants, Question, decide, denial
from apps.access.rights import Rights, read
from apps.delivery.destinations.interface import DeliveryFailed, Target

Json = dict[str, Any]

SESSION: Final = "tidegate-delivery"


def check_put(target: Target, description: Json, bucket: str, key: str) -> None:
    """Raises DeliveryFailed if the role of an S3 description may not write an object."""
    asked = "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}"
    denied = why_not(target.team_id, target.account_id, description.get("RoleARN") or "", *asked)
    if denied:
        raise DeliveryFailed("S3.AccessDenied", denied)


def check_read(team_id: int, account_id: str, role_arn: str, stream_arn: str) -> None:
    """Raises DeliveryFailed if the role of a Kinesis source may not read the stream."""
    denied = why_not(team_id, account_id, role_arn, "kinesis:GetRecords", stream_arn)
    if denied:
        raise DeliveryFailed("Kinesis.AccessDenied", denied)


def why_not(team_id: int, account_id: str, role_arn: str, action: str, resource: str) -> str:
    """AWS's sentence about what the role's policies deny; empty: they allow it, or there is no such role."""
    rights = _rights(team_id, role_arn)
    if rights is None:
        return ""
    context: dict[str, str | tuple[str, ...]] = {
        "aws:principalarn": rights.arn,
        "aws:principalaccount": account_id,
        "aws:principaltype": "AssumedRole",
        "aws:userid": f"{rights.unique_id}:{SESSION}",
        **{f"aws:principaltag/{name.lower()}": value for name, value in rights.tags.items()},
    }
    arn = f"arn:aws:sts::{account_id}:assumed-role/{rights.name}/{SESSION}"
    grants = Grants(account_id, arn, rights.arn, context, rights.policies, rights.boundary)
    question = Question(action, resource, account_id, context)
    reason = decide(grants, question)
    return "" if reason is None else denial(grants, question, reason)


def role_problem(team_id: int, role_arn: str) -> str:
    """What the console says about a role: empty if it exists and limits, else that it does not."""
    if not role_arn or _row(team_id, role_arn) is not None:
        return ""
    return (
        f"There is no role {role_arn} here, so nothing limits what is delivered; policies of a role of that name would."
    )


def _rights(team_id: int, role_arn: str) -> Rights | None:
    row = _row(team_id, role_arn)
    return None if row is None else read([row.pk]).get(row.pk)


def _row(team_id: int, role_arn: str) -> Identity | None:
    name = role_arn.rpartition("/")[2].lower()
    roles = Identity.objects.filter(team_id=team_id, kind=IdentityKind.ROLE, name_key=name).select_related("team")
    return next((row for row in roles if row.arn.lower() == role_arn.lower()), None)
