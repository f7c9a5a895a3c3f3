"""What each Firehose operation is about, for policies: the ARN of a delivery stream; and what must be allowed beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from apps.base.arn import DeliveryStreamArn
from apps.runtime import Call

Json = dict[str, Any]
Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

ARNS_CACHED = 4_096


@lru_cache(maxsize=ARNS_CACHED)
def _arn(region: str, account_id: str, name: str) -> str:
    return str(DeliveryStreamArn(region, account_id, name))


def _by_name(call: Call, params: Json) -> str:
    return _arn(call.runtime.config.region, call.principal.account_id, params["DeliveryStreamName"])


def _typed(call: Call, request: Any) -> str:
    return _arn(call.runtime.config.region, call.principal.account_id, request.name)


def _anything(_call: Call, _request: Any) -> str:
    return "*"


FIREHOSE_RESOURCES: dict[str, Locate] = {
    "CreateDeliveryStream": _by_name,
    "DeleteDeliveryStream": _by_name,
    "DescribeDeliveryStream": _by_name,
    "ListDeliveryStreams": _anything,
    "ListTagsForDeliveryStream": _by_name,
    "PutRecord": _typed,
    "PutRecordBatch": _typed,
    "StartDeliveryStreamEncryption": _by_name,
    "StopDeliveryStreamEncryption": _by_name,
    "TagDeliveryStream": _by_name,
    "UntagDeliveryStream": _by_name,
    "UpdateDestination": _by_name,
}


def _roles(value: Any) -> Iterator[str]:
    """Every role that a request hands over, wherever it stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "RoleARN" and isinstance(item, str):
                yield item
            elif name == "ParameterName" and item == "RoleArn":
                yield value["ParameterValue"]
            else:
                yield from _roles(item)
    elif isinstance(value, list):
        for item in value:
            yield from _roles(item)


def _handed_over(call: Call, params: Json) -> list[tuple[str, str]]:
    """Whoever configures a delivery stream lets it act as a role, and must be allowed to. The team itself may let it act
    as anybody; a role that does not exist limits nothing."""
    if call.principal.grants is None:
        return []
    asked = [("iam:PassRole", role) for role in dict.fromkeys(_roles(params))]
    if params.get("Tags"):
        asked.append(("firehose:TagDeliveryStream", _by_name(call, params)))
    return asked


def _key_given(call: Call, params: Json) -> list[tuple[str, str]]:
    """A customer's key: AWS lets Firehose use it by a grant, which the caller must be allowed to make."""
    key_arn = (params.get("DeliveryStreamEncryptionConfigurationInput") or {}).get("KeyARN")
    return [("kms:CreateGrant", key_arn)] if key_arn and call.principal.grants is not None else []


def _created(call: Call, params: Json) -> list[tuple[str, str]]:
    return _handed_over(call, params) + _key_given(call, params)


FIREHOSE_ALSO: dict[str, Also] = {
    "CreateDeliveryStream": _created,
    "UpdateDestination": _handed_over,
    "StartDeliveryStreamEncryption": _key_given,
}
"""What must be allowed beside, as (action, resource)."""
