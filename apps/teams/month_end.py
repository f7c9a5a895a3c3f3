"""The end of the month: closing what is over, team by team, once metering has read all of it.

Nothing is closed while the clock is not to be trusted, or stands more than a minute behind the newest record. Whatever keeps a
month open for two days after its end is flagged.
"""

from __future__ import annotations

import contextlib

import structlog

from apps.accounts.models import Team
from apps.base.units import HOUR_MS, MINUTE_MS, SECOND_MS
from apps.billing import clock_guard, closing, flags, rounds, sums_check
from apps.billing.models import FlagKind
from apps.billing.months import Month
from apps.delivery.models import DeliveryStream
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.models import Lease
from apps.leases.progress import Progress
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard, Stream, StreamStatus

log = structlog.get_logger(__name__)

KIND, KEY = "closing", "months"
"""The lease of the work."""

METERING = "metering"
"""The kind of the leases whose rounds must be through."""

EVERY_MS = HOUR_MS
AGAIN_MS = 10 * MINUTE_MS
"""When to look again while the clock is in the way."""

BEHIND_MS = MINUTE_MS
SHARDS_LOOKED_AT = 100
TEAMS_PER_QUERY = 100


def ensure(now_ms: int) -> None:
    """There is something to close in the end. May be repeated."""
    hold.ensure(KIND, KEY, now_ms + EVERY_MS)


def look(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice: close what is due. The checkpoint says which team is next, and how far the month is that is closed now."""
    now_ms = runtime.clock.now_ms()
    if not clock_guard.is_steady(clock_guard.state_now(now_ms), now_ms) or _waits_for_clock(runtime, now_ms):
        return now_ms + AGAIN_MS
    read_ms = rounds.through_ms(frozenset(Lease.objects.filter(kind=METERING).values_list("key", flat=True)))
    until, over = closing.newest_over(min(now_ms, read_ms)), closing.newest_over(now_ms)
    while teams := list(_teams_after(held.checkpoint.get("team", 0))):
        for team in teams:
            sums_check.look(team.pk, now_ms)
            if until < over:
                _flag_unread(team, over, now_ms)
            if not _close_all(runtime, held, team, until, until_ms):
                return Progress.MORE
            hold.save_checkpoint(held, {"team": team.pk})
            if runtime.clock.now_ms() >= until_ms:
                return Progress.MORE
    hold.save_checkpoint(held, {})
    return runtime.clock.now_ms() + EVERY_MS


def _teams_after(key: int) -> list[Team]:
    return list(Team.objects.filter(pk__gt=key).order_by("pk")[:TEAMS_PER_QUERY])


def _close_all(runtime: Runtime, held: Held, team: Team, until: Month, until_ms: int) -> bool:
    """Close a team's months in their order; False if the time is up. One that cannot be closed keeps later ones open: credits
    are spent in order."""
    for month in closing.open_months(team, until):
        now_ms = runtime.clock.now_ms()
        waiting = _not_read(team, month)
        if waiting:
            closing.flag_waiting(team, month, waiting, now_ms)
            return True
        try:
            if not _close(runtime, held, team, month, until_ms):
                return False
        except closing.Unpriced as error:
            log.warning("month_not_closed", team=team.pk, month=str(month), why=str(error))
            return True
    return True


def _close(runtime: Runtime, held: Held, team: Team, month: Month, until_ms: int) -> bool:
    whose = {"of": team.pk, "month": str(month)}
    known = held.checkpoint if whose.items() <= held.checkpoint.items() else {}
    days = {int(day_ms): found for day_ms, found in known.get("days", {}).items()}
    before = {**whose, "team": held.checkpoint.get("team", 0)}

    def after_day() -> bool:
        if runtime.clock.now_ms() < until_ms:
            return True
        hold.save_checkpoint(held, {**before, "days": days})
        return False

    bill = closing.close(team, runtime.config.region, month, runtime.clock.now_ms(), days, after_day)
    return bill is not None


def _not_read(team: Team, month: Month) -> str:
    """Why the usage of the month is not complete; empty: it is."""
    streams = Stream.objects.filter(team=team, metered_to_ms__lt=month.end_ms).exclude(
        status__in=(StreamStatus.CREATING, StreamStatus.DELETING)
    )
    deliveries = DeliveryStream.objects.filter(
        team=team, metered_to_ms__lt=month.end_ms, created_at_ms__lt=month.end_ms
    )
    names = [f"data stream {name}" for name in streams.values_list("name", flat=True)[:3]]
    names += [f"delivery stream {name}" for name in deliveries.values_list("name", flat=True)[:3]]
    return f"the usage of {', '.join(names)} is not read to its end." if names else ""


def _flag_unread(team: Team, over: Month, now_ms: int) -> None:
    for month in closing.open_months(team, over)[-1:]:
        closing.flag_waiting(team, month, "metering has not read everything since.", now_ms)


def _waits_for_clock(runtime: Runtime, now_ms: int) -> bool:
    """The clock stands behind records that are stored: it went back. Flagged as long as it does."""
    behind_ms = _newest_ms(runtime) - now_ms
    if behind_ms <= BEHIND_MS:
        flags.settle(FlagKind.NOT_CLOSED, None, "")
        return False
    text = f"The clock is {behind_ms // SECOND_MS:,} seconds behind the newest record: no month is closed until it has caught up."
    flags.raise_flag(None, FlagKind.NOT_CLOSED, "", text, now_ms)
    return True


def _newest_ms(runtime: Runtime) -> int:
    """Arrival of the newest record of the shards that were made last; 0: there is none."""
    shards = Shard.objects.filter(closed_at_ms=None, opened_at_ms__isnull=False).order_by("-pk")
    newest_ms = 0
    for key in shards.values_list("pk", flat=True)[:SHARDS_LOOKED_AT]:
        with contextlib.suppress(UnknownShard):  # made a moment ago
            newest_ms = max(newest_ms, runtime.wait_for(runtime.record_log.bounds(key)).newest_ms)
    return newest_ms
