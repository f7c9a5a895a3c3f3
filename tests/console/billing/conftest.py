"""A team that has lived for seven weeks, with October closed."""

import pytest

from apps.base.units import DAY_MS
from apps.billing import closing
from apps.billing.models import BilledResource
from apps.billing.months import Month
from tests.support import lived_months
from tests.support.teams import REGION

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)


@pytest.fixture
def lived(team, served):
    """The months; now is 20 November 2026, some hours in."""
    now_ms = served.clock.now_ms()
    assert Month.at(now_ms) == NOVEMBER
    lived_months.live(team.team.pk, now_ms, 50, step_hours=24)
    for name, env in (
        ("stream/orders-events", "prod"),
        ("stream/payments-ledger", "prod"),
        ("stream/clickstream-web", "dev"),
    ):
        BilledResource.objects.create(team=team.team, resource=name, tags={"env": env}, seen_at_ms=now_ms)
    closing.close(team.team, REGION, OCTOBER, OCTOBER.end_ms + DAY_MS)
    return team
