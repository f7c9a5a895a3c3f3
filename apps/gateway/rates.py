"""Calls per second of the control plane: the `calls/…` rows of streams/quotas.py, of Kinesis and Firehose each operation's
own, of the services beside them all operations' together.

They are taken from the process's throttle, so several processes share them as they share the shards' budgets. Not
counted: people in the console, of whose pages each makes several calls, and what workers and commands do.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.db import Error as DatabaseError

from apps.accounts.bridge import in_thread
from apps.base.arn import parse_consumer_arn, parse_stream_arn
from apps.base.units import SECOND_MS
from apps.capacity.models import QuotaOverride
from apps.gateway.services import Route
from apps.runtime import Call, Runtime
from apps.streams.quotas import QUOTAS, Per
from apps.throttle.interface import Budget

log = structlog.get_logger(__name__)

OVERRIDES_FRESH_MS = 5 * SECOND_MS
"""An administrator's change is followed within this time."""

PREFIX = "calls/"


class ControlRates:
    """One per process: `runtime.part(ControlRates)`."""

    def __init__(self, runtime: Runtime) -> None:
        self._on = runtime.config.throttle and runtime.config.control_rates
        self._throttle = runtime.throttle
        self._overrides: dict[tuple[int, str], int] = {}
        self._read_at_ms: int | None = None

    async def take(self, found: Route, call: Call, params: Any) -> None:
        """Count one call of a control-plane operation. Raises LimitExceededException (of Kinesis) or ThrottlingException
        if it is one too many."""
        name = quota_name(found)
        if not self._on or call.principal.user_id is not None or name not in QUOTAS:
            return
        await self._renew(call.now_ms)
        quota, stream = QUOTAS[name], stream_in(params)
        account_id, team_id = call.principal.account_id, call.principal.team_id
        per_s = self._overrides.get((team_id, name), quota.default)
        bucket = f"{name}/{account_id}" if quota.per is Per.ACCOUNT else f"{name}/{account_id}/{stream}"
        if per_s and self._throttle.take(bucket, Budget(per_s, 0, per_s, 0), 1, 0, call.now_ms):
            return
        raise quota.exceeded(stream=stream, account=account_id)

    async def _renew(self, now_ms: int) -> None:
        if self._read_at_ms is not None and 0 <= now_ms - self._read_at_ms < OVERRIDES_FRESH_MS:
            return
        self._read_at_ms = now_ms
        try:
            self._overrides = await in_thread(_overrides)
        except DatabaseError as error:
            log.warning("quota_overrides_not_read", error=str(error))


def quota_name(found: Route) -> str:
    """The quota that the calls of an operation are counted for."""
    match found.service:
        case "kinesis":
            return f"{PREFIX}{found.name}"
        case "firehose":
            return f"{PREFIX}firehose:{found.name}"
        case service:
            return f"{PREFIX}{service}"


def _overrides() -> dict[tuple[int, str], int]:
    rows = QuotaOverride.objects.filter(name__startswith=PREFIX).values_list("team_id", "name", "value")
    return {(team_id, name): value for team_id, name, value in rows}


def stream_in(params: dict[str, Any]) -> str:
    """The name of the stream that a request speaks of; empty if it speaks of none."""
    if params.get("StreamName"):
        return str(params["StreamName"])
    for member in ("StreamARN", "ConsumerARN", "ResourceARN"):
        text = params.get(member) or ""
        consumer = parse_consumer_arn(text)
        arn = parse_stream_arn(text) if consumer is None else consumer.stream
        if arn is not None:
            return arn.name
    return ""
