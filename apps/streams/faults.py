"""Fault control: what an administrator asked to go wrong with a stream, so that its clients' retries can be tested.

Faults strike at the door of PutRecord, PutRecords, GetRecords, GetShardIterator and SubscribeToShard, when the call is
known to be good: nothing of a struck call is stored or read, and what AWS would count as a throttle is counted as one.
They strike who calls with a key, not people who look at records in the console.

In PutRecords the entries are throttled one by one at the rate asked for, but as with a real throttle it is always the
last ones of a shard that fail, so that resending the failed entries in their order keeps the order per key.
"""

from __future__ import annotations

import random
from asyncio import sleep
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.db.models import F

from apps.access import audit
from apps.access.changes import Actor
from apps.base.errors import InternalFailure
from apps.base.units import MIB, SECOND_MS
from apps.runtime import Call, Runtime
from apps.streams.errors import InvalidArgumentException
from apps.streams.models import Stream

if TYPE_CHECKING:
    from apps.streams.catalog import StreamView

log = structlog.get_logger(__name__)

LATENCY_MS_MAX = 10 * SECOND_MS
"""Longer than the patience of AWS's clients for a put (the KPL's is 6 s)."""

DELAYED_CALLS_MAX = 2_000
DELAYED_BYTES_MAX = 64 * MIB
"""Calls that one process holds back at once, and what is in them; further ones go on without a delay."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Percentages of calls (PutRecords: throttle of entries); together at most 100. latency_ms is added to each call."""

    throttle_percent: float = 0
    error_percent: float = 0
    latency_ms: int = 0

    def __bool__(self) -> bool:
        return bool(self.throttle_percent or self.error_percent or self.latency_ms)

    def check(self) -> None:
        """Raises InvalidArgumentException unless everything is within its bounds."""
        for name, percent in (("throttle", self.throttle_percent), ("error", self.error_percent)):
            if not 0 <= percent <= 100:
                raise InvalidArgumentException(f"The rate of the fault {name} must be from 0 to 100 percent.")
        if self.throttle_percent + self.error_percent > 100:
            raise InvalidArgumentException("The rates of faults together must be at most 100 percent.")
        if not 0 <= self.latency_ms <= LATENCY_MS_MAX:
            raise InvalidArgumentException(f"The added latency must be from 0 to {LATENCY_MS_MAX} ms.")

    def sentence(self) -> str:
        """`5% throttled, 1% internal failures, 200 ms added`, or `none`."""
        parts = [
            f"{self.throttle_percent:g}% throttled" if self.throttle_percent else "",
            f"{self.error_percent:g}% internal failures" if self.error_percent else "",
            f"{self.latency_ms} ms added" if self.latency_ms else "",
        ]
        return ", ".join(filter(None, parts)) or "none"


def faults_of(kept: Mapping[str, Any]) -> Faults | None:
    """What Stream.faults says; None if nothing is to go wrong, which is all that the hot path looks at."""
    faults = Faults(kept.get("throttle_percent", 0), kept.get("error_percent", 0), kept.get("latency_ms", 0))
    return faults or None


def set_faults(stream: Stream, faults: Faults, by: str | Actor) -> None:
    """Ask for faults, or with Faults() for none; web processes see it within a second. by: who asks, for the trail.

    Raises InvalidArgumentException.
    """
    faults.check()
    with transaction.atomic():
        kept = asdict(faults) if faults else {}
        Stream.objects.filter(pk=stream.pk).update(faults=kept, version=F("version") + 1)
        audit.of_administrator(stream.team.account_id, by, "SetFaults", str(stream.arn), faults.sentence())
    stream.faults = kept
    log.info("faults_set", team=stream.team_id, stream=stream.name, faults=faults.sentence(), by=str(by))


class Dice:
    """Chance and the waiting room of one process: `runtime.part(Dice)`. Tests give it a seed."""

    def __init__(self, runtime: Runtime) -> None:  # noqa: ARG002 - every part is made with its runtime
        self.chance = random.Random()  # noqa: S311 - no secret hangs on it
        self.delayed_calls = 0
        self.delayed_bytes = 0

    async def delay(self, latency_ms: int, size_bytes: int) -> None:
        """Hold a call of that size back, if there is room to wait in."""
        if self.delayed_calls >= DELAYED_CALLS_MAX or self.delayed_bytes + size_bytes > DELAYED_BYTES_MAX:
            return
        self.delayed_calls += 1
        self.delayed_bytes += size_bytes
        try:
            await sleep(latency_ms / 1000)
        finally:
            self.delayed_calls -= 1
            self.delayed_bytes -= size_bytes

    def hits(self, percent: float, of: int = 1) -> int:
        """How many of so many are struck, each by itself."""
        if not percent:
            return 0
        chance = self.chance.random
        return sum(chance() * 100 < percent for _ in range(of))


async def strike(call: Call, faults: Faults, size_bytes: int = 0) -> bool:
    """Delay a call that is known to be good, with so much in it; True: it is to be throttled. Raises InternalFailure."""
    if not await _survives(call, faults, size_bytes):
        return False
    # Of those that did not fail, so that the rate is one of all calls.
    percent = 100 * faults.throttle_percent / (100 - faults.error_percent) if faults.throttle_percent else 0
    return bool(call.runtime.part(Dice).hits(percent))


async def strike_batch(call: Call, faults: Faults, sizes: Sequence[int], size_bytes: int) -> list[int]:
    """The same for a PutRecords: sizes are the numbers of entries by shard; answers how many of each are throttled."""
    if not await _survives(call, faults, size_bytes):
        return [0] * len(sizes)
    dice = call.runtime.part(Dice)
    return [dice.hits(faults.throttle_percent, entries) for entries in sizes]


async def _survives(call: Call, faults: Faults, size_bytes: int) -> bool:
    """False if nothing strikes this caller, a person in the console."""
    if call.principal.user_id is not None:
        return False
    dice = call.runtime.part(Dice)
    if faults.latency_ms:
        await dice.delay(faults.latency_ms, size_bytes)
    if dice.hits(faults.error_percent):
        raise InternalFailure
    return True


def throttle_ms(call: Call, stream: StreamView) -> int:
    """The time that budgets are counted by: that of the call, unless a fault may have held it back. (A bucket that is
    asked by the clock and then by a time of ten seconds ago would give those ten seconds twice.)"""
    return call.now_ms if stream.faults is None else call.runtime.clock.now_ms()
