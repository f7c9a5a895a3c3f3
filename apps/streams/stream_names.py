"""Which stream a request means: StreamName, StreamARN, or both in agreement."""

from __future__ import annotations

from apps.accounts.principal import Principal
from apps.base.arn import parse_stream_arn
from apps.base.errors import AccessDeniedException
from apps.streams.errors import InvalidArgumentException, ResourceNotFoundException


def stream_name(principal: Principal, region: str, name: str | None, arn: str | None, action: str) -> str:
    """The stream's name. action is AWS's, for the text of a refusal: `kinesis:PutRecord`.

    Raises InvalidArgumentException (neither given, not an ARN, or they disagree), AccessDeniedException (an ARN of
    another account), ResourceNotFoundException (an ARN of another region).
    """
    if arn is None:
        if name is None:
            raise InvalidArgumentException("Either StreamName or StreamARN must be provided.")
        return name
    parsed = parse_stream_arn(arn)
    if parsed is None:
        raise InvalidArgumentException(f"Invalid StreamARN. {arn} is not the ARN of a stream.")
    if name is not None and name != parsed.name:
        raise InvalidArgumentException(f"StreamName {name} and StreamARN {arn} do not name the same stream.")
    if parsed.account_id != principal.account_id:
        raise AccessDeniedException(
            f"User: {principal.arn} is not authorized to perform: {action} on resource: {arn} "
            f"because no resource-based policy allows the {action} action"
        )
    if parsed.region != region:
        raise ResourceNotFoundException.stream(parsed.name, parsed.account_id)
    return parsed.name
