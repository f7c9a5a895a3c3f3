"""Finding and showing what IAM's operations name; always within the caller's own team."""

from __future__ import annotations

from typing import Any

from apps.access.errors import InvalidInputException, LimitExceededException, NoSuchEntityException
from apps.access.models import Identity, ManagedPolicy
from apps.accounts.models import Team
from apps.base.errors import ValidationException
from apps.runtime import Call

TAGS_MAX = 50

PARAMETER = {"user": "UserName", "role": "RoleName", "group": "GroupName"}

Json = dict[str, Any]


def hold_team(call: Call) -> Team:
    """Hold the team's row until the transaction ends: quotas and names are used up by one call at a time."""
    return Team.objects.select_for_update(no_key=True).get(pk=call.principal.team_id)


def find(call: Call, kind: str, name: str) -> Identity:
    """A user, role or group. Raises NoSuchEntityException."""
    found = Identity.objects.filter(team_id=call.principal.team_id, kind=kind, name_key=name.lower())
    row = found.select_related("team").first()
    if row is None:
        raise NoSuchEntityException.named(kind, name)
    return row


def named(call: Call, kind: str, params: Json) -> Identity:
    """The one that the request names."""
    return find(call, kind, params[PARAMETER[kind]])


def own_user(call: Call, params: Json) -> Identity | None:
    """The user named, or else the one who calls; None: a key of the team calls, and names nobody.

    Raises NoSuchEntityException, ValidationException.
    """
    if params.get("UserName"):
        return find(call, "user", params["UserName"])
    grants = call.principal.grants
    if grants is None or grants.principal_arn.endswith(":root"):
        return None
    if ":user/" not in grants.principal_arn:
        raise ValidationException("Must specify userName when calling with non-User credentials")
    return find(call, "user", grants.principal_arn.rpartition("/")[2])


def policy(call: Call, arn: str) -> ManagedPolicy:
    """A managed policy of the team. Raises NoSuchEntityException."""
    found = ManagedPolicy.objects.select_related("team").filter(
        team_id=call.principal.team_id, name_key=arn.rpartition("/")[2].lower()
    )
    row = found.first()
    if row is None or row.arn != arn:
        raise NoSuchEntityException.policy(arn)
    return row


def tags_of(given: list[Json] | None) -> dict[str, str]:
    """Tags of a request. Raises InvalidInputException if a key stands twice, and LimitExceededException."""
    tags = {tag["Key"]: tag["Value"] for tag in given or ()}
    if len({key.lower() for key in tags}) != len(given or ()):
        raise InvalidInputException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidInputException("Tag keys that begin with aws: are reserved.")
    check_count(tags)
    return tags


def check_count(tags: dict[str, str]) -> None:
    """Raises LimitExceededException."""
    if len(tags) > TAGS_MAX:
        raise LimitExceededException("The number of tags has reached the maximum limit.")


def shown_tags(tags: dict[str, str]) -> list[Json]:
    """As answers have them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def merged(tags: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """Tags with others written over them; a key's case does not tell it from another."""
    taken = {key.lower() for key in more}
    return {**{key: value for key, value in tags.items() if key.lower() not in taken}, **more}
