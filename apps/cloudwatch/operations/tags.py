"""TagResource, UntagResource, ListTagsForResource: tags of alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.cloudwatch.alarms import arn_of
from apps.cloudwatch.errors import InvalidParameterValueException, ResourceNotFoundException
from apps.cloudwatch.models import Alarm
from apps.runtime import Call

TAGS_MAX = 50
RESERVED = "aws:"

Json = dict[str, Any]


def tag_resource(call: Call, params: Json) -> Json:
    """Set tags of an alarm; those with the same key are replaced. Kept from AWS: 50 tags, the prefix aws: is AWS's."""
    alarm = _alarm(call, params["ResourceARN"])
    alarm.tags = merged(alarm.tags, params["Tags"])
    alarm.save(update_fields=["tags"])
    return {}


def untag_resource(call: Call, params: Json) -> Json:
    """Take tags away; keys that are not there are no error, as with AWS."""
    alarm = _alarm(call, params["ResourceARN"])
    alarm.tags = {key: value for key, value in alarm.tags.items() if key not in params["TagKeys"]}
    alarm.save(update_fields=["tags"])
    return {}


def list_tags_for_resource(call: Call, params: Json) -> Json:
    """The tags of an alarm, by key."""
    tags = _alarm(call, params["ResourceARN"]).tags
    return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}


def merged(there: dict[str, str], tags: Sequence[Json]) -> dict[str, str]:
    """Tags with others set. Raises InvalidParameterValueException."""
    after = {**there, **{tag["Key"]: tag["Value"] for tag in tags}}
    if any(tag["Key"].startswith(RESERVED) for tag in tags):
        raise InvalidParameterValueException(f"Keys of tags must not begin with {RESERVED}")
    if len(after) > TAGS_MAX:
        raise InvalidParameterValueException(f"A resource has at most {TAGS_MAX} tags.")
    return after


def _alarm(call: Call, arn: str) -> Alarm:
    prefix = arn_of(call.runtime.config, call.principal.account_id, "")
    rows = Alarm.objects.select_for_update().filter(team_id=call.principal.team_id)
    alarm = rows.filter(name=arn.removeprefix(prefix)).first() if arn.startswith(prefix) else None
    if alarm is None:
        raise ResourceNotFoundException(f"Resource {arn} not found.", ResourceType="alarm", ResourceId=arn)
    return alarm
