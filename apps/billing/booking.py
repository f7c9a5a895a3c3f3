"""Usage rows: what the ledger has found out, added to the hour, the day, the day's sums and the commitment's hour, or, where the month is
frozen, written down as a correction.

A month is frozen before its bill is made (freeze), for good. Booking shares a lock on the team's row, freezing takes it alone:
so every difference is either in what the bill adds up or a correction, never in neither. On SQLite, transactions that write
follow one another anyhow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import clock_guard, commitment, flags
from apps.billing.models import (
    CommittedHour,
    Correction,
    CorrectionReason,
    FlagKind,
    FrozenMonth,
    UsageDay,
    UsageHour,
)
from apps.billing.months import Month
from apps.billing.usage_sums import KeyDay, ResourceMonth, TeamDay

ROWS_PER_STATEMENT = 100

Key = tuple[int, str, str, int, str]
"""(team, resource, meter, hour in UTC ms, meter key)."""


def share_teams(team_ids: Iterable[int]) -> None:
    """Keep these teams' months from being frozen until the transaction ends; before any other lock of the ledger."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        table = Team._meta.db_table  # noqa: SLF001 - Django documents it
        cursor.execute(
            f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",  # noqa: S608 - the model's own name
            [sorted(set(team_ids))],
        )


def freeze(team_id: int, month: Month, now_ms: int) -> bool:
    """From now on usage of the month becomes corrections of the month after. In a transaction of its own, and short: booking
    waits for it. Answers False if it was frozen before."""
    Team.objects.select_for_update().get(pk=team_id)
    _, made = FrozenMonth.objects.get_or_create(team_id=team_id, month=str(month), defaults={"frozen_at_ms": now_ms})
    return made


def frozen_months(team_ids: Iterable[int]) -> set[tuple[int, str]]:
    """(team, month) of all that are frozen."""
    return set(FrozenMonth.objects.filter(team_id__in=set(team_ids)).values_list("team_id", "month"))


def open_month(team_id: int, now_ms: int) -> Month:
    """The month whose bill has what is corrected now: the present one by a clock that is believed, or the one after
    the newest that is frozen."""
    newest = FrozenMonth.objects.filter(team_id=team_id).order_by("-month").values_list("month", flat=True).first()
    present = Month.at(clock_guard.trusted_ms(now_ms))
    return present if newest is None else max(present, Month.named(newest).next)


def book(deltas: Mapping[Key, int], at_ms: int) -> None:
    """Add quantities to the usage, in the caller's transaction, which holds share_teams."""
    months = {key: str(Month.at(key[3])) for key in deltas}
    frozen = frozen_months(key[0] for key in deltas)
    late = {key: quantity for key, quantity in deltas.items() if (key[0], months[key]) in frozen}
    _add_all({key: quantity for key, quantity in deltas.items() if key not in late})
    _correct(late, at_ms)


def _add_all(deltas: Mapping[Key, int]) -> None:
    days: dict[Key, int] = defaultdict(int)
    committed: dict[tuple[int, int, str], int] = defaultdict(int)
    for (team_id, resource, meter, hour_ms, meter_key), quantity in deltas.items():
        days[team_id, resource, meter, hour_ms - hour_ms % DAY_MS, meter_key] += quantity
        if meter in commitment.COUNTED:
            committed[team_id, hour_ms, meter] += quantity
    _add(UsageHour, ("team_id", "resource", "meter", "hour_ms", "meter_key"), deltas)
    _add(UsageDay, ("team_id", "resource", "meter", "day_ms", "meter_key"), days)
    add_sums(days)
    _add(CommittedHour, ("team_id", "hour_ms", "meter"), committed)


def add_sums(days: Mapping[Key, int]) -> None:
    """What is added to UsageDay, to its sums. The keys have days in the place of hours."""
    of_teams: dict[tuple[int, int, str], int] = defaultdict(int)
    of_keys: dict[tuple[int, int, str, str], int] = defaultdict(int)
    of_months: dict[tuple[int, int, str, str, str], int] = defaultdict(int)
    months = {day_ms: Month.at(day_ms).start_ms for day_ms in {key[3] for key in days}}
    for (team_id, resource, meter, day_ms, meter_key), quantity in days.items():
        of_teams[team_id, day_ms, meter] += quantity
        of_keys[team_id, day_ms, meter, meter_key] += quantity
        of_months[team_id, months[day_ms], resource, meter, meter_key] += quantity
    _add(TeamDay, ("team_id", "day_ms", "meter"), of_teams)
    _add(KeyDay, ("team_id", "day_ms", "meter", "meter_key"), of_keys)
    _add(ResourceMonth, ("team_id", "month_ms", "resource", "meter", "meter_key"), of_months)


def _add(
    model: type[UsageHour | UsageDay | TeamDay | KeyDay | ResourceMonth | CommittedHour],
    names: tuple[str, ...],
    quantities: Mapping[Any, int],
) -> None:
    """Raise each row by its quantity, made if it is not there; in the order of keys, so that two who book do not wait for each
    other crosswise. The keys have the columns that are named."""
    table = model._meta.db_table  # noqa: SLF001 - Django documents it
    columns = ", ".join(names)
    mark = f"({', '.join(['%s'] * (len(names) + 1))})"
    keys = sorted(quantities)
    with connection.cursor() as cursor:
        for first in range(0, len(keys), ROWS_PER_STATEMENT):
            some = keys[first : first + ROWS_PER_STATEMENT]
            cursor.execute(
                f"INSERT INTO {table} ({columns}, quantity) VALUES {', '.join([mark] * len(some))} "  # noqa: S608 - names are the models' own
                f"ON CONFLICT ({columns}) DO UPDATE SET quantity = {table}.quantity + excluded.quantity",
                [value for key in some for value in (*key, quantities[key])],
            )


def _correct(late: Mapping[Key, int], at_ms: int) -> None:
    """Usage of frozen months: a correction each, billed with the month that is open, and a flag for each resource."""
    open_months = {team_id: open_month(team_id, at_ms) for team_id in {key[0] for key in late}}
    Correction.objects.bulk_create(
        Correction(
            team_id=team_id,
            resource=resource,
            meter=meter,
            hour_ms=hour_ms,
            meter_key=meter_key,
            quantity=late[team_id, resource, meter, hour_ms, meter_key],
            reason=CorrectionReason.LATE,
            booked_at_ms=at_ms,
            bill_month=str(open_months[team_id]),
        )
        for team_id, resource, meter, hour_ms, meter_key in sorted(late)
    )
    for team_id, resource in sorted({key[:2] for key in late}):
        of = max(Month.at(key[3]) for key in late if key[:2] == (team_id, resource))
        text = f"Usage of {resource} came after {of.title} was closed; the bill of {open_months[team_id].title} has it."
        flags.raise_flag(team_id, FlagKind.LATE, resource, text, at_ms)
