"""Which buckets and Lambda functions a team may use with the operator's own keys: the first team all, others those they were
given. A function is granted by its ARN, in the same table as buckets."""

from __future__ import annotations

from apps.accounts.models import Team
from apps.delivery.models import GrantedBucket

EVERY = "*"
"""A grant of every bucket."""


def may_use(team_id: int, bucket: str) -> bool:
    """One query per attempt at a delivery: what is taken away holds from the next attempt on."""
    if GrantedBucket.objects.filter(team_id=team_id, bucket__in=(bucket, EVERY)).exists():
        return True
    return team_id == first_team_id()


def may_invoke(team_id: int, function_arn: str) -> bool:
    """The same for a function: by its ARN with or without a version. A grant of every bucket is none of functions."""
    unqualified = ":".join(function_arn.split(":")[:7])
    if GrantedBucket.objects.filter(team_id=team_id, bucket__in=(function_arn, unqualified)).exists():
        return True
    return team_id == first_team_id()


def first_team_id() -> int | None:
    """The team that was made with the data directory: the operator's own."""
    return Team.objects.order_by("id").values_list("id", flat=True).first()


def grant(team: Team, bucket: str, now_ms: int) -> bool:
    """Give a team a bucket; False if it had it."""
    return GrantedBucket.objects.get_or_create(team=team, bucket=bucket, defaults={"granted_at_ms": now_ms})[1]


def revoke(team: Team, bucket: str) -> bool:
    """Take it away again; False if it had not been given."""
    return bool(GrantedBucket.objects.filter(team=team, bucket=bucket).delete()[0])


def granted(team_id: int) -> list[str]:
    """The buckets that a team was given, by name."""
    return list(GrantedBucket.objects.filter(team_id=team_id).order_by("bucket").values_list("bucket", flat=True))
