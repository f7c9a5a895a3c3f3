"""Provisioned streams: the scaling utility (up, down, resize), and policies that do it by load.

A resize ends at even ranges, through the same splits and merges as UpdateShardCount, but without its bounds of double,
half and ten a day: those are the API's. The account's shard quota holds.

A policy looks about once a minute at what the stream's shards took: of bytes or records written, whichever is the
larger share of what they may (from the log); or of bytes that pollers read (from the metrics; fan-out consumers have
throughput of their own); or at the larger of both. At its upper mark for long enough it steps up, at its lower mark for
long enough it steps down, by shards or by percent, within its minimum and maximum; after a step it rests for its
cool-down. A stream outside its minimum and maximum is brought back into them at once, whatever the load.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db import transaction

from apps.access import audit
from apps.accounts.models import Team
from apps.base.units import MINUTE_MS, SECOND_MS
from apps.capacity.models import ScalingLoad, ScalingPolicy, ScalingUnit
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.metrics.buckets import NOTHING
from apps.metrics.names import BY_NAME
from apps.metrics.store import history
from apps.runtime import Runtime
from apps.streams import topology
from apps.streams.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from apps.streams.limits import READ_BYTES_PER_S
from apps.streams.load import Seen, look, open_shards
from apps.streams.models import Stream, StreamMode, StreamStatus
from apps.streams.operations.reshard import begin
from apps.streams.operations.stream import open_shard_count, provisioned_shards
from apps.streams.quotas import QUOTAS, limit

log = structlog.get_logger(__name__)

EVERY_MS = 5 * SECOND_MS
POLICIES_PER_ROUND = 20

NUMBERS = (
    "maximum", "up_by", "up_at_percent", "up_after_minutes", "up_cooldown_minutes", "down_by", "down_after_minutes",
    "down_cooldown_minutes",
)  # fmt: skip
NUMBER_MAX = 1_000_000
"""Of a policy: almost two years of minutes, and more shards than any stream has."""

READS_S = 60
READS_WIDTH_S = 10
"""Reads are the average over so long, in buckets of so long; the newest one may not be complete yet."""

_GET_RECORDS_BYTES = BY_NAME["GetRecords.Bytes"].number

LEASE_KEY = "policies"
"""Of kind throttling."""


@dataclass(frozen=True, slots=True)
class Resized:
    """What a resize does: shards before and after. They are equal if nothing was to be done."""

    before: int
    after: int


def step_up(count: int, by: int, unit: str) -> int:
    """The shards after a step up: so many more, or so many percent more, rounded up."""
    return count + by if unit == ScalingUnit.SHARDS else -(-count * (100 + by) // 100)


def step_down(count: int, by: int, unit: str) -> int:
    """The shards after a step down, at least one: so many fewer, or so many percent fewer, rounded down."""
    return max(1, count - by if unit == ScalingUnit.SHARDS else count * (100 - min(by, 100)) // 100)


def resize(stream: Stream, target: int, now_ms: int, by: str) -> Resized:
    """Begin to bring a provisioned stream to target shards with even ranges; a worker splits and merges.

    Raises ValidationException (on-demand), ResourceInUseException (not ACTIVE), InvalidArgumentException (no shards)
    and LimitExceededException (the account's quota). The present number is allowed and evens the ranges out. by: who
    asks, for the audit trail.
    """
    if target < 1:
        raise InvalidArgumentException(f"A stream cannot have {target} shards.")
    account_id = stream.team.account_id
    if stream.mode != StreamMode.PROVISIONED:
        raise ValidationException(
            f"Request is invalid. Stream {stream.name} under account {account_id} is in On-Demand mode."
        )
    with transaction.atomic():
        Team.objects.select_for_update(no_key=True).get(pk=stream.team_id)
        before = open_shard_count(stream)
        most = limit(stream.team_id, stream.region, "shards-per-update")
        if target > most:
            raise QUOTAS["shards-per-update"].exceeded(limit=most, current=before, wanted=target)
        current, allowed = provisioned_shards(stream.team_id), limit(stream.team_id, stream.region, "shards")
        if current + target - before > max(allowed, current):
            raise QUOTAS["shards"].exceeded(
                account=account_id, region=stream.region, current=current, limit=allowed, wanted=target - before
            )
        if not begin(stream, topology.plan_uniform(target)):
            stream.refresh_from_db()
            raise ResourceInUseException.stream_not_active(stream.name, account_id, stream.status)
        audit.of_administrator(account_id, by, "ScaleStream", str(stream.arn), f"{before} to {target} shards")
        hold.ensure("lifecycle", str(stream.pk), now_ms)
        wake("lifecycle", str(stream.pk))
    log.info("stream_resized", stream=stream.pk, before=before, after=target)
    return Resized(before, target)


def watch(policy: ScalingPolicy, now_ms: int, by: str) -> None:
    """Save a policy that was made or changed, and let the workers follow it. Raises InvalidArgumentException.

    What it has seen before the change is forgotten, its rest too. by: who asks, for the audit trail.
    """
    if not 1 <= policy.minimum <= policy.maximum:
        raise InvalidArgumentException(
            f"The minimum of {policy.minimum} must be at least 1 and at most the maximum of {policy.maximum}."
        )
    if not 0 <= policy.down_at_percent < policy.up_at_percent:
        raise InvalidArgumentException(
            f"The lower mark of {policy.down_at_percent} % must be below the upper one of {policy.up_at_percent} %."
        )
    if policy.up_by < 1 or policy.down_by < 1:
        raise InvalidArgumentException("A step must be of at least one shard or one percent.")
    for name in NUMBERS:
        if not 0 <= getattr(policy, name) <= NUMBER_MAX:
            raise InvalidArgumentException(f"{name} of {getattr(policy, name)} is not between 0 and {NUMBER_MAX}.")
    policy.busy_since_ms = policy.idle_since_ms = None
    policy.rests_until_ms = 0
    with transaction.atomic():
        policy.save()
        hold.ensure("throttling", LEASE_KEY, now_ms)
        _note(policy.stream, by, "SetScalingPolicy", sentence(policy))


def stop(stream: Stream, by: str) -> None:
    """Follow the load no more, and keep the policy."""
    with transaction.atomic():
        if ScalingPolicy.objects.filter(stream=stream, enabled=True).update(enabled=False):
            _note(stream, by, "StopScalingPolicy", "")


def forget(stream: Stream, by: str) -> None:
    """Follow the load no more, and forget the policy."""
    with transaction.atomic():
        if ScalingPolicy.objects.filter(stream=stream).delete()[0]:
            _note(stream, by, "DeleteScalingPolicy", "")


def sentence(policy: ScalingPolicy) -> str:
    """What a policy does, for people."""
    up, down = (
        f"{by} shards" if unit == ScalingUnit.SHARDS else f"{by} %"
        for by, unit in ((policy.up_by, policy.up_unit), (policy.down_by, policy.down_unit))
    )
    return (
        f"{policy.minimum} to {policy.maximum} shards by {'the larger of ' if policy.follows == ScalingLoad.BOTH else ''}"
        f"{'reads and writes' if policy.follows == ScalingLoad.BOTH else policy.follows}; "
        f"up by {up} at {policy.up_at_percent} % for {policy.up_after_minutes} min, "
        f"then {policy.up_cooldown_minutes} min of rest; "
        f"down by {down} at {policy.down_at_percent} % for {policy.down_after_minutes} min, "
        f"then {policy.down_cooldown_minutes} min of rest"
    )


def _note(stream: Stream, by: str, operation: str, message: str) -> None:
    audit.of_administrator(stream.team.account_id, by, operation, str(stream.arn), message)


def follow(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round over the policies. The checkpoint says how far the round is."""
    while True:
        rows = ScalingPolicy.objects.select_related("stream__team").filter(
            enabled=True, stream__status=StreamStatus.ACTIVE, stream__mode=StreamMode.PROVISIONED
        )
        policies = list(rows.filter(pk__gt=held.checkpoint.get("policy", 0)).order_by("pk")[:POLICIES_PER_ROUND])
        if not policies:
            hold.save_checkpoint(held, {})
            if not ScalingPolicy.objects.exists():
                return Progress.DONE
            return runtime.clock.now_ms() + EVERY_MS
        for policy in policies:
            follow_one(runtime, policy)
        hold.save_checkpoint(held, {"policy": policies[-1].pk})
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE


def follow_one(runtime: Runtime, policy: ScalingPolicy) -> Resized | None:
    """Look at one stream, and resize it if its policy says so; None if there was nothing to do."""
    now_ms = runtime.clock.now_ms()
    shards = open_shards(policy.stream)
    count = len(shards)
    bounded = min(max(count, policy.minimum), policy.maximum)
    seen = look(runtime, shards, now_ms)
    if seen is not None:
        _judge(policy, _load(runtime, policy, seen, count), seen, now_ms)
    if bounded == count and now_ms >= policy.rests_until_ms:
        bounded = _wanted(policy, count, now_ms)
    if bounded == count:
        return None
    return _step(policy, count, bounded, now_ms)


def _load(runtime: Runtime, policy: ScalingPolicy, seen: Seen, count: int) -> float | None:
    """The load that the policy looks at, in percent of what the open shards may take; None if it is not known."""
    writes = 100 * seen.total / count
    if policy.follows == ScalingLoad.WRITES:
        return writes
    reads = _reads(runtime, policy.stream, count)
    return reads if reads is None or policy.follows == ScalingLoad.READS else max(reads, writes)


def _reads(runtime: Runtime, stream: Stream, count: int) -> float | None:
    """What pollers read over the last minute, in percent; None if nobody counted, or Redis is away."""
    end_s = runtime.clock.now_ms() // SECOND_MS // READS_WIDTH_S * READS_WIDTH_S - READS_WIDTH_S
    found = history(stream.team_id, stream.pk, end_s - READS_S, end_s, READS_WIDTH_S, clock=runtime.clock)
    counted = [points for points in found.buckets if points is not None]
    if found.away or not counted:
        return None
    size_bytes = sum(points.get(_GET_RECORDS_BYTES, NOTHING).total for points in counted)
    return 100 * size_bytes / (len(counted) * READS_WIDTH_S * READ_BYTES_PER_S * count)


def _judge(policy: ScalingPolicy, percent: float | None, seen: Seen, now_ms: int) -> None:
    """Remember since when the load is high or low. A load that is not known is neither."""
    since_ms = min(seen.since_ms, now_ms)
    policy.load_percent = percent
    busy = percent is not None and percent >= policy.up_at_percent
    idle = percent is not None and percent <= policy.down_at_percent
    policy.busy_since_ms = (policy.busy_since_ms or since_ms) if busy else None
    policy.idle_since_ms = (policy.idle_since_ms or since_ms) if idle else None
    policy.save(update_fields=["load_percent", "busy_since_ms", "idle_since_ms"])


def _wanted(policy: ScalingPolicy, count: int, now_ms: int) -> int:
    """The shards that the policy wants now, within its bounds."""
    wanted = count
    if _for_long_enough(policy.busy_since_ms, policy.up_after_minutes, now_ms):
        wanted = step_up(count, policy.up_by, policy.up_unit)
    elif _for_long_enough(policy.idle_since_ms, policy.down_after_minutes, now_ms):
        wanted = step_down(count, policy.down_by, policy.down_unit)
    return min(max(wanted, policy.minimum), policy.maximum)


def _for_long_enough(since_ms: int | None, minutes: int, now_ms: int) -> bool:
    return since_ms is not None and now_ms - since_ms >= minutes * MINUTE_MS


def _step(policy: ScalingPolicy, count: int, wanted: int, now_ms: int) -> Resized | None:
    """Resize as far as the quotas of the account and of a stream allow, and rest."""
    stream = policy.stream
    most = limit(stream.team_id, stream.region, "shards-per-update")
    room = limit(stream.team_id, stream.region, "shards") - provisioned_shards(stream.team_id)
    wanted = min(wanted, count + max(0, room), max(count, most))
    if wanted == count:
        log.warning("scaling_stopped_by_quota", stream=stream.pk, shards=count)
        return None
    try:
        resized = resize(stream, wanted, now_ms, "scaling policy")
    except ResourceInUseException:
        return None  # somebody else reshards it: the next look sees what came of it
    except LimitExceededException as error:
        log.warning("scaling_stopped_by_quota", stream=stream.pk, shards=count, wanted=wanted, error=error.message)
        return None
    cooldown = policy.up_cooldown_minutes if wanted > count else policy.down_cooldown_minutes
    policy.rests_until_ms = now_ms + cooldown * MINUTE_MS
    policy.busy_since_ms = policy.idle_since_ms = None
    policy.save(update_fields=["rests_until_ms", "busy_since_ms", "idle_since_ms"])
    return resized
