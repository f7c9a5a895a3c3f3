"""One round of metering: the logs of all shards, then the time of all streams, their storage, accounts and queues.

Up to trusted time (billing/clock_guard.py). In this order, so that storage, which follows from what the ledger has of
arrivals, comes after them. A round takes as many slices as it needs; the checkpoint says how far it is, and when it began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing import billed_resources, clock_guard, ledger
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.queues import meters as queue_meters
from apps.runtime import Runtime
from apps.streams import account_meters, meters, storage_meters, time_meters
from apps.streams.models import Shard, Stream, StreamStatus, Tag
from apps.streams.usage_names import resource_of

EVERY_MS = MINUTE_MS
SHARDS_PER_ROUND = 100
STREAMS_PER_ROUND = 50
"""In one transaction each, as all the others."""

ROUND_MAX_MS = HOUR_MS
"""A round that began longer ago begins anew: what it read first is too old for the rest."""


def read_all(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round."""
    now_ms = clock_guard.trusted_ms(runtime.clock.now_ms())
    since_ms = held.checkpoint.get("since", 0)
    if not since_ms <= now_ms <= since_ms + ROUND_MAX_MS:
        hold.save_checkpoint(held, {"since": now_ms})
    for step in (_read_shards, _read_streams, _read_stored):
        while step(runtime, held):
            if runtime.clock.now_ms() >= until_ms:
                return Progress.MORE
    now_ms = clock_guard.trusted_ms(runtime.clock.now_ms())
    account_meters.book_all(now_ms)
    queue_meters.book_all(now_ms)
    ledger.prune_finished(now_ms)
    hold.save_checkpoint(held, {})
    return runtime.clock.now_ms() + EVERY_MS


def _read_shards(runtime: Runtime, held: Held) -> bool:
    """Some of them; False if there are no more. Also those that have expired: their last reading may be to come."""
    rows = Shard.objects.select_related("stream").filter(pk__gt=held.checkpoint.get("shard", 0))
    shards = list(rows.order_by("pk")[:SHARDS_PER_ROUND])
    if shards:
        meters.record_log(runtime, shards)
        hold.save_checkpoint(held, {**held.checkpoint, "shard": shards[-1].pk})
    return bool(shards)


def _read_streams(runtime: Runtime, held: Held) -> bool:
    rows = Stream.objects.exclude(status=StreamStatus.DELETING).filter(pk__gt=held.checkpoint.get("stream", 0))
    streams = list(rows.order_by("pk")[:STREAMS_PER_ROUND])
    if not streams:
        return False
    now_ms = clock_guard.trusted_ms(runtime.clock.now_ms())
    if time_meters.book([one.pk for one in streams], now_ms):
        note_tags(streams, now_ms)
        hold.save_checkpoint(held, {**held.checkpoint, "stream": streams[-1].pk})
    return True


def _read_stored(runtime: Runtime, held: Held) -> bool:
    now_ms = clock_guard.trusted_ms(runtime.clock.now_ms())
    keys = storage_meters.due(now_ms, held.checkpoint.get("stored", 0), 1)
    for key in keys:
        storage_meters.book(key, now_ms)
        hold.save_checkpoint(held, {**held.checkpoint, "stored": key})
    return bool(keys)


def note_tags(streams: Sequence[Stream], now_ms: int) -> None:
    """Keep the tags of streams as they are now, for bills that outlive them."""
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for key, name, value in Tag.objects.filter(stream__in=streams).values_list("stream_id", "key", "value"):
        tags[key][name] = value
    billed_resources.note({(one.team_id, resource_of(one)): tags[one.pk] for one in streams}, now_ms)
