"""What the ledger had before there were bills."""

import importlib

import pytest
from django.db import connection

from apps.base.units import HOUR_MS
from apps.billing.models import UsageHour

pytestmark = pytest.mark.django_db

MONEY = importlib.import_module("apps.billing.migrations.0003_money")


def test_hours_of_on_demand_streams_lose_what_only_provisioned_ones_pay(team):
    """A switch in the middle of an hour leaves it as it is; who has neither, as a late hour, too."""
    times = {0: ["on-demand-time"], 1: ["shard-time"], 2: ["on-demand-time", "shard-time"], 3: []}
    counted = ("records-in", "payload-units", "consumer-time")
    for hour, meters in times.items():
        for meter in (*meters, *counted):
            where = {"resource": "stream/s", "meter": meter, "hour_ms": hour * HOUR_MS, "meter_key": "k"}
            UsageHour.objects.create(team=team.team, quantity=5, **where)
    UsageHour.objects.create(
        team=team.team, resource="stream/t", meter="payload-units", hour_ms=0, meter_key="k", quantity=5
    )
    with connection.cursor() as cursor:
        cursor.execute(MONEY.NOT_SOLD_ON_DEMAND)
    rows = UsageHour.objects.filter(meter__in=counted[1:]).values_list("resource", "hour_ms", "meter")
    left = {("stream/s", hour * HOUR_MS, meter) for hour in (1, 2, 3) for meter in counted[1:]}
    assert set(rows) == left | {("stream/t", 0, "payload-units")}
    assert UsageHour.objects.filter(meter="records-in").count() == 4
