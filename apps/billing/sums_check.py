"""Are the sums of usage (usage_sums.py) still what its days add up to? If not, they are made anew, and the log says so.

Booking keeps them in the transaction that books. But a worker of an earlier version, which knows nothing of them, may go on beside
an upgraded one, or somebody may have changed rows by hand: then drafts, reports and budgets would show too little, in silence.
So the last days are compared every hour, and a month as a whole before its bill is written. Bills never depend on sums.
"""

from __future__ import annotations

import structlog
from django.db import connection, transaction
from django.db.models import Sum

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing.models import UsageDay
from apps.billing.months import Month
from apps.billing.usage_sums import KeyDay, ResourceMonth, TeamDay

log = structlog.get_logger(__name__)

DAYS_COMPARED = 3
"""The present one and those before it: who books without sums books what is used now."""

OF_DAYS = """INSERT INTO billing_teamday (team_id, day_ms, meter, quantity)
SELECT team_id, day_ms, meter, SUM(quantity) FROM billing_usageday
WHERE team_id = %s AND day_ms >= %s AND day_ms < %s GROUP BY team_id, day_ms, meter"""

OF_KEYS = """INSERT INTO billing_keyday (team_id, day_ms, meter, meter_key, quantity)
SELECT team_id, day_ms, meter, meter_key, SUM(quantity) FROM billing_usageday
WHERE team_id = %s AND day_ms >= %s AND day_ms < %s GROUP BY team_id, day_ms, meter, meter_key"""

OF_MONTH = """INSERT INTO billing_resourcemonth (team_id, month_ms, resource, meter, meter_key, quantity)
SELECT team_id, CAST(%s AS bigint), resource, meter, meter_key, SUM(quantity) FROM billing_usageday
WHERE team_id = %s AND day_ms >= %s AND day_ms < %s GROUP BY team_id, resource, meter, meter_key"""


def look(team_id: int, now_ms: int) -> bool:
    """Compare the last days of a team, and put right the months of those that differ. True: there was something to put right."""
    to_ms = now_ms - now_ms % DAY_MS + DAY_MS
    days = [day_ms for day_ms in range(to_ms - DAYS_COMPARED * DAY_MS, to_ms, DAY_MS) if day_ms >= 0]
    months = sorted({Month.at(day_ms) for day_ms in days if _differ(team_id, day_ms, day_ms + DAY_MS)})
    made_anew = [put_right(team_id, month) for month in months]
    return any(made_anew)


def put_right(team_id: int, month: Month) -> bool:
    """Make the sums of a month anew if they are not what its days add up to. True: they were not."""
    if not _differ(team_id, month.start_ms, month.end_ms):
        return False
    with transaction.atomic():
        # Nobody books for the team meanwhile (booking.share_teams), and what was booked between two looks is no difference.
        Team.objects.select_for_update().get(pk=team_id)
        if not _differ(team_id, month.start_ms, month.end_ms):
            return False
        _make_anew(team_id, month)
    log.warning("usage_sums_made_anew", team=team_id, month=str(month))
    return True


def _differ(team_id: int, from_ms: int, to_ms: int) -> bool:
    kept, counted = (
        set(
            model._default_manager.filter(team_id=team_id, day_ms__gte=from_ms, day_ms__lt=to_ms)  # noqa: SLF001 - Django documents it
            .values_list("day_ms", "meter")
            .annotate(n=Sum("quantity"))
        )
        for model in (TeamDay, UsageDay)
    )
    return kept != counted


def _make_anew(team_id: int, month: Month) -> None:
    span = (team_id, month.start_ms, month.end_ms)
    for model in (TeamDay, KeyDay):
        model._default_manager.filter(team_id=team_id, day_ms__gte=span[1], day_ms__lt=span[2]).delete()  # noqa: SLF001 - Django documents it
    ResourceMonth.objects.filter(team_id=team_id, month_ms=month.start_ms).delete()
    with connection.cursor() as cursor:
        cursor.execute(OF_DAYS, span)
        cursor.execute(OF_KEYS, span)
        cursor.execute(OF_MONTH, (month.start_ms, *span))
