"""The operations of Data Streams that are about channels: what each is, and which resource it is about.

They belong to the service kinesis, but stand on this floor; apps/gateway/services.py puts them beside the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.base.arn import parse_stream_arn
from apps.delivery.operations import channel_tags, channels
from apps.runtime import Call

Json = dict[str, Any]
Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

CHANNEL_OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateChannel": channels.create_channel,
    "DescribeChannel": channels.describe_channel,
    "ListChannels": channels.list_channels,
    "UpdateChannel": channels.update_channel,
    "DeleteChannel": channels.delete_channel,
    "TagResource": channel_tags.tag_resource,
    "UntagResource": channel_tags.untag_resource,
    "ListTagsForResource": channel_tags.list_tags_for_resource,
}
"""The last three take the place of those of apps/streams, which know no channels."""


def _channel(_call: Call, params: Json) -> str:
    return str(params["ChannelARN"])


def _new(call: Call, params: Json) -> str:
    """A channel that is to be made, whose ARN is not known before; or the stream it is to read, if that is of another
    account, which opens it for this to nobody."""
    for configured in params.get("StreamConfigurationList") or ():
        parsed = parse_stream_arn(configured.get("StreamARN") or "")
        if parsed is not None and parsed.account_id != call.principal.account_id:
            return str(parsed)
    return f"arn:aws:kinesis:{call.runtime.config.region}:{call.principal.account_id}:channel/*"


def _anything(_call: Call, _params: Json) -> str:
    return "*"


CHANNEL_RESOURCES: dict[str, Locate] = {
    "CreateChannel": _new,
    "DescribeChannel": _channel,
    "ListChannels": _anything,
    "UpdateChannel": _channel,
    "DeleteChannel": _channel,
}


def _handed_over(call: Call, params: Json) -> list[tuple[str, str]]:
    """Whoever makes a channel lets it act as a role, and must be allowed to; the team itself may let it act as anybody."""
    if call.principal.grants is None:
        return []
    asked = [("iam:PassRole", str(params["ServiceExecutionRoleARN"]))]
    if params.get("Tags"):
        asked.append(("kinesis:TagResource", _new(call, params)))
    return asked


CHANNEL_ALSO: dict[str, Also] = {"CreateChannel": _handed_over}
"""What must be allowed beside, as (action, resource)."""
