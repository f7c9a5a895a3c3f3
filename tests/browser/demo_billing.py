"""Two months of usage of the demo's team, the first of them closed, and a credit."""

CODE = """
from apps.base.clock import SystemClock
from apps.billing import closing
from apps.billing.models import BilledResource, Credit
from apps.billing.months import Month
from tests.support import lived_months
team.refresh_from_db()
now, day = SystemClock().now_ms(), 86_400_000
this = Month.at(now)
lived_months.live(team.pk, now, (now - this.previous.start_ms) // day + 10)
for resource, tags in (("orders-events", {"core": "", "env": "prod"}), ("payments-ledger", {"core": "", "env": "prod"}),
                       ("clickstream-web", {"web": "", "env": "prod"}), ("iot-telemetry-eu", {"edge": "", "env": "dev"})):
    BilledResource.objects.get_or_create(
        team=team, resource=f"stream/{resource}", defaults={"tags": tags, "seen_at_ms": now}
    )
Credit.objects.create(team=team, amount_cents=2_500, reason="Trial of fan-out", from_month=str(this), created_at_ms=now)
for month in (this.previous.previous, this.previous):
    closing.close(team, "us-east-1", month, now)
"""
