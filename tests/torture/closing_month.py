"""Close a month of many streams in this process, and say how long that took: `python -m tests.torture.closing_month STREAMS TEAMS`.

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


def main(streams: int, teams: int) -> None:
    """streams: of all teams together."""
    from apps.base.config import name_django_settings

    name_django_settings()
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from apps.accounts.models import Team
    from apps.billing import checking, closing
    from apps.billing.models import UsageDay
    from apps.billing.months import Month

    call_command("migrate", verbosity=0)
    month = Month(2026, 10)
    made = [
        Team.objects.create(account_id=f"{n:012}", slug=f"t{n}", name=f"T{n}", created_at_ms=0) for n in range(teams)
    ]
    with connection.cursor() as cursor:
        for team in made:
            for meter in METERS:
                key = "" if meter.endswith("-time") else KEY
                given = {
                    "team": team.pk,
                    "meter": meter,
                    "start": month.start_ms,
                    "key": key,
                    "streams": streams // teams,
                }
                cursor.execute(ROWS[connection.vendor], given)
        cursor.execute("ANALYZE")
    before_kb, began, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), time.process_time()
    bills = []
    for team in made:
        now_ms = month.end_ms + closing.GRACE_MS
        bills += [closing.close(team, "us-east-1", one, now_ms) for one in closing.open_months(team, month)]
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    found = {
        "rows": UsageDay.objects.count(),
        "bills": len(bills),
        "cents": sum(bill.total_cents for bill in bills),
        "seconds": round(took_s, 2),
        "cpu_seconds": round(cpu_s, 2),
        "rss_before_mb": before_kb // 1024,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "agrees": checking.check(bills[0], "us-east-1").agrees,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
