"""Close a month of many streams, and say how long that took: `python -m tests.torture.closing_month STREAMS TEAMS [make|close]`.

The usage is made by SQL: eight meters, 31 days. Prints one line of JSON. Needs a data directory of its own, or DATABASE_URL.
"""

import json
import resource
import sys
import time

METERS = (
    "records-in", "bytes-in", "payload-units", "bytes-out", "fan-out-bytes",
    "shard-time", "consumer-time", "extended-retention-time",
)  # fmt: skip
MONTH_MS = 1_790_812_800_000
"""October 2026."""
KEY = "AKIAEXAMPLE123456789"
ROWS = {
    "sqlite": """INSERT INTO billing_usageday (team_id, resource, meter, day_ms, meter_key, quantity)
        WITH RECURSIVE d(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 30),
                       s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %(streams)s)
        SELECT %(team)s, 'stream/s' || s.n, %(meter)s, %(start)s + d.n * 86400000, %(key)s, 1000000 + s.n * 7 + d.n FROM d, s""",
    "postgresql": """INSERT INTO billing_usageday (team_id, resource, meter, day_ms, meter_key, quantity)
        SELECT %(team)s, 'stream/s' || s.n, %(meter)s, %(start)s + d.n * 86400000::bigint, %(key)s, 1000000 + s.n * 7 + d.n
        FROM generate_series(0, 30) d(n), generate_series(1, %(streams)s) s(n)""",
}

SUMS = """INSERT INTO billing_teamday (team_id, day_ms, meter, quantity)
    SELECT team_id, day_ms, meter, SUM(quantity) FROM billing_usageday GROUP BY team_id, day_ms, meter"""


def main(streams: int, teams: int, steps: str) -> None:
    """streams: of all teams together. steps: make, close, or both."""
    from apps.base.config import name_django_settings

    name_django_settings()
    import django

    django.setup()
    found = {}
    if "make" in steps:
        make(streams, teams)
    if "close" in steps:
        found = close()
    sys.stdout.write(json.dumps(found) + "\n")


def make(streams: int, teams: int) -> None:
    """Teams, and their usage."""
    from django.core.management import call_command
    from django.db import connection

    from apps.accounts.models import Team

    call_command("migrate", verbosity=0)
    for n in range(teams):
        team = Team.objects.create(account_id=f"{n:012}", slug=f"t{n}", name=f"T{n}", created_at_ms=0)
        with connection.cursor() as cursor:
            for meter in METERS:
                key = "" if meter.endswith("-time") else KEY
                given = {"team": team.pk, "meter": meter, "start": MONTH_MS, "key": key, "streams": streams // teams}
                cursor.execute(ROWS[connection.vendor], given)
    with connection.cursor() as cursor:
        cursor.execute(SUMS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def close() -> dict[str, float]:
    """Close what is open, and check all bills."""
    from apps.accounts.models import Team
    from apps.billing import bills, checking, closing, usage
    from apps.billing.models import Bill, BillLine, UsageDay
    from apps.billing.months import Month

    month, region = Month.at(MONTH_MS), "us-east-1"
    before_kb, began, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), time.process_time()
    for team in Team.objects.all():
        for one in closing.open_months(team, month):
            closing.close(team, region, one, month.end_ms + closing.GRACE_MS)
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    made = list(Bill.objects.order_by("pk"))
    first = Team.objects.order_by("pk")[0]
    return {
        "rows": UsageDay.objects.count(),
        "bills": len(made),
        "lines": BillLine.objects.count(),
        "cents": sum(bill.total_cents for bill in made),
        "once": bills.without_credits(first, region, month, 0, usage.counted).total_cents,
        "agree": sum(checking.check(bill, region).agrees for bill in made),
        "seconds": round(took_s, 2),
        "cpu_seconds": round(cpu_s, 2),
        "rss_before_mb": before_kb // 1024,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "make close")
