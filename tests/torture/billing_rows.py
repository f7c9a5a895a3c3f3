"""Looks into the database of a running Tidegate, as a process of its own: makes teams, and tells what the ledger has.

TIDEGATE_DATA_DIR=… python -m tests.torture.billing_rows teams 5 BUCKET
TIDEGATE_DATA_DIR=… python -m tests.torture.billing_rows ledger
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.server import ROOT, clean_environment
from tests.torture.counting_clients import Key

KEYS = 2


@dataclass(frozen=True)
class Ledger:
    """hours, days: (account id, resource, meter, meter key): quantity, added up from UsageHour and from UsageDay.
    shard_times: (account id, stream): the milliseconds that the rows of its shards say, up to where time is metered.
    read_to_ms: up to when everything is read at least. shrunk: series that were found smaller than before."""

    hours: dict[tuple[str, ...], int]
    days: dict[tuple[str, ...], int]
    shard_times: dict[tuple[str, str], int]
    read_to_ms: int
    shrunk: int

    def of(self, account_id: str, resource: str, meter: str, key: str | None = None) -> int:
        """Of one meter; key None: of all keys."""
        found = (account_id, resource, meter)
        return sum(n for where, n in self.hours.items() if where[:3] == found and key in (None, where[3]))


def make_teams(data_dir: Path, count: int, bucket: str) -> list[list[Key]]:
    """Teams with KEYS keys each, which may use the bucket."""
    told = _run(data_dir, "teams", str(count), bucket)
    return [[Key(*one) for one in keys] for keys in told]


def ledger(data_dir: Path) -> Ledger:
    """As it is now."""
    told = _run(data_dir, "ledger")
    return Ledger(
        {tuple(where): n for where, n in told["hours"]},
        {tuple(where): n for where, n in told["days"]},
        {(account, stream): ms for account, stream, ms in told["shard_times"]},
        told["read_to_ms"],
        told["shrunk"],
    )


def _run(data_dir: Path, *arguments: str) -> Any:
    environment = clean_environment() | {"TIDEGATE_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "tests.torture.billing_rows", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _teams(count: int, bucket: str) -> list[Any]:
    from apps.accounts import keys
    from apps.accounts.models import Team
    from apps.base.clock import SystemClock
    from apps.delivery.grants import grant

    now_ms = SystemClock().now_ms()
    made = []
    for number in range(count):
        account = f"{number + 1:012d}"
        team = Team.objects.create(account_id=account, slug=f"t{number}", name=f"T{number}", created_at_ms=now_ms)
        grant(team, bucket, now_ms)
        rows = [keys.create(team, None, "", now_ms) for _ in range(KEYS)]
        made.append([(account, row.key_id, secret, at) for at, (row, secret) in enumerate(rows)])
    return made


def _ledger() -> dict[str, Any]:
    from django.db.models import Min, Sum

    from apps.billing.models import MeterReading, UsageDay, UsageHour
    from apps.delivery.models import DeliveryStream
    from apps.streams.models import Stream

    def sums(model: Any) -> list[Any]:
        rows = model.objects.values_list("team__account_id", "resource", "meter", "meter_key").annotate(Sum("quantity"))
        return [(row[:4], row[4]) for row in rows]

    read_to_ms = [model.objects.aggregate(n=Min("metered_to_ms"))["n"] or 0 for model in (Stream, DeliveryStream)]
    times = []
    for stream in Stream.objects.select_related("team"):
        lifetimes = stream.shards.exclude(opened_at_ms=None).values_list("opened_at_ms", "closed_at_ms")
        total = sum((closed or stream.metered_to_ms) - opened for opened, closed in lifetimes)
        times.append((stream.team.account_id, stream.name, total))
    shrunk = MeterReading.objects.exclude(shrunk_at_ms=None).count()
    return {
        "hours": sums(UsageHour), "days": sums(UsageDay), "shard_times": times, "read_to_ms": min(read_to_ms),
        "shrunk": shrunk,
    }  # fmt: skip


def main(what: str, *given: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    import django

    django.setup()
    from django.db import transaction

    with transaction.atomic():
        told = _teams(int(given[0]), given[1]) if what == "teams" else _ledger()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
