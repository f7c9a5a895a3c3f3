"""Readings of the meters, into the ledger."""

from __future__ import annotations

from django.db import transaction

from apps.billing import clock_flags, rounds
from apps.delivery import meters as delivery_meters
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import metering, read_usage
from apps.teams import month_end
from workers.slices import slice as work


@work("metering", ttl_ms=30_000, deadline_ms=10_000)
def read(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """Key "readings": see apps.streams.metering; key "delivery": see apps.delivery.meters; key "reads": see
    apps.streams.read_usage, which has its turn after each round of readings too."""
    rounds.begin(held.key, clock_flags.look(runtime.clock.now_ms()))
    progress = _read(runtime, held, until_ms)
    if progress is not Progress.MORE:
        with transaction.atomic():
            hold.confirm(held)  # who was overtaken ends no round that another one has begun
            rounds.end(held.key)
        month_end.ensure(runtime.clock.now_ms())
    return progress


def _read(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    if held.key == delivery_meters.KEY:
        return delivery_meters.read_all(runtime, held, until_ms)
    if held.key == read_usage.KEY:
        return read_usage.count_all(runtime, held, until_ms)
    progress = metering.read_all(runtime, held, until_ms)
    if progress is not Progress.MORE:
        read_usage.ensure(runtime.clock.now_ms())
    return progress
