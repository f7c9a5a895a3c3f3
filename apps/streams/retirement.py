"""The end of a shard: last reading into the ledger, then the log, then the row. May be repeated from any point."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from apps.billing import ledger
from apps.leases import hold
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams import meters
from apps.streams.models import Shard, Stream
from apps.streams.usage_names import source_of_shard

RECORDS_PER_DROP = 50_000


def retire(runtime: Runtime, shard: Shard, until_ms: int) -> bool:
    """Remove a shard that clients do not see any more. True when it is gone, False when time was up.

    Its log is sealed first (without successors, if it was open: puts are refused from then on), so that the reading
    that follows is its last.
    """
    _seal(runtime, shard)
    with transaction.atomic():
        meters.record_log(runtime, [shard])
        ledger.finish(source_of_shard(shard.pk))
    while runtime.wait_for(runtime.record_log.drop(shard.pk, RECORDS_PER_DROP)).more:
        if runtime.clock.now_ms() >= until_ms:
            return False
    with transaction.atomic():
        Shard.objects.filter(pk=shard.pk).delete()
        Stream.objects.filter(pk=shard.stream_id).update(version=F("version") + 1)
        hold.remove("retention", str(shard.pk))
    return True


def _seal(runtime: Runtime, shard: Shard) -> None:
    try:
        runtime.wait_for(runtime.record_log.seal([shard.pk], []))
    except UnknownShard:
        return  # never made, or dropped by an earlier attempt
