"""Two months of usage of the demo's team, the first of them closed, a credit, and two corrections."""

from apps.base.clock import SystemClock
from apps.billing.months import Month

PAGE = "/t/first/billing"
LAST_MONTH = Month.at(SystemClock().now_ms()).previous
BY_STREAM = f"{PAGE}?group=resource&dimension=payload-unit"
_DAY = f"{LAST_MONTH}-14"
_HOUR = f"month={LAST_MONTH}&day={_DAY}&dimension=payload-unit&resource=stream%2Forders-events"
HOURS = f"{PAGE}?{_HOUR}&group=hour"
READINGS = f"{PAGE}/readings?{_HOUR}&hour=12"
STATEMENT = f"{PAGE}/statements/{LAST_MONTH}"

CODE = """
from apps.base.clock import SystemClock
from apps.billing import closing, flags, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import BilledResource, BillingFlag, Correction, Credit
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
late = Series("shard/late", "bytes-out", this.start_ms - 3_600_000, "AKIALATEREADER000000", "log")
ledger.record([Reading(team.pk, "stream/orders-events", late, 70 * 2**30, now)])
Correction.objects.create(
    team=team, resource="stream/iot-telemetry-eu", meter="fan-out-bytes", hour_ms=this.previous.start_ms, meter_key="etl",
    quantity=-3 * 2**30, reason="manual", note="A consumer in a loop", booked_at_ms=now, booked_by="ops@example.com",
    bill_month=str(this),
)
for flag in BillingFlag.objects.all():
    flags.acknowledge(flag.pk, "ops@example.com", now)
"""
