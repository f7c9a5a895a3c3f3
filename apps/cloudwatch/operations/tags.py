"""TagResource, UntagResource, ListTagsForResource: tags of alarms and dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.cloudwatch.alarms import arn_of
from apps.cloudwatch.dashboards import arn_of as dashboard_arn
from apps.cloudwatch.errors import InvalidParameterValueException, ResourceNotFoundException
from apps.cloudwatch.models import Alarm, Dashboard
from apps.runtime import Call

TAGS_MAX = 50
RESERVED = "aws:"

Json = dict[str, Any]


def tag_resource(call: Call, params: Json) -> Json:
    """Set tags of an alarm or a dashboard; those with the same key are replaced. Kept from AWS: 50 tags, the prefix aws: is AWS's."""
    found = _tagged(call, params["ResourceARN"])
    found.tags = merged(found.tags, params["Tags"])
    found.save(update_fields=["tags"])
    return {}


def untag_resource(call: Call, params: Json) -> Json:
    """Take tags away; keys that are not there are no error, as with AWS."""
    found = _tagged(call, params["ResourceARN"])
    found.tags = {key: value for key, value in found.tags.items() if key not in params["TagKeys"]}
    found.save(update_fields=["tags"])
    return {}


def list_tags_for_resource(call: Call, params: Json) -> Json:
    """The tags of an alarm or a dashboard, by key."""
    tags = _tagged(call, params["ResourceARN"]).tags
    return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}


def merged(there: dict[str, str], tags: Sequence[Json]) -> dict[str, str]:
    """Tags with others set. Raises InvalidParameterValueException."""
    after = {**there, **{tag["Key"]: tag["Value"] for tag in tags}}
    if any(tag["Key"].startswith(RESERVED) for tag in tags):
        raise InvalidParameterValueException(f"Keys of tags must not begin with {RESERVED}")
    if len(after) > TAGS_MAX:
        raise InvalidParameterValueException(f"A resource has at most {TAGS_MAX} tags.")
    return after


def _tagged(call: Call, arn: str) -> Alarm | Dashboard:
    """By its ARN. Raises ResourceNotFoundException."""
    alarm = arn_of(call.runtime.config, call.principal.account_id, "")
    dashboard = dashboard_arn(call.principal.account_id, "")
    for prefix, model in ((alarm, Alarm), (dashboard, Dashboard)):
        if arn.startswith(prefix):
            rows = model.objects.select_for_update().filter(team_id=call.principal.team_id)
            found: Alarm | Dashboard | None = rows.filter(name=arn.removeprefix(prefix)).first()
            if found is not None:
                return found
    kind = "dashboard" if arn.startswith(dashboard) else "alarm"
    raise ResourceNotFoundException(f"Resource {arn} not found.", ResourceType=kind, ResourceId=arn)
