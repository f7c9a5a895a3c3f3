"""Budgets are looked at: thresholds that spending has reached become alerts, and a spent budget that an owner let act holds the
team's writes, until it is no longer spent.

One lease for all teams, about a round a minute; only teams with budgets cost anything. What a team has spent is reckoned outside of the
transaction that writes down what follows from it. A clock that steps back into an earlier month tells nothing twice, and lifts
nothing until somebody changes the budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from django.db import transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import budgets, spending_hold
from apps.billing.budgets import Crossing, Spending, Standing
from apps.billing.models import Budget, BudgetAlert, SpendingHold
from apps.billing.months import Month
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

KIND, KEY = "budgets", "all"
ALERTS_KIND = "budget-alerts"

EVERY_MS = MINUTE_MS
REST = 9
"""A round is followed by a rest of so many times its length, at least EVERY_MS and at most REST_MS_MAX: a thousand teams (about
10 s of work) take a tenth of a core, and are looked at every minute and a half."""

REST_MS_MAX = 5 * MINUTE_MS
FORECAST_EVERY_MS = HOUR_MS
"""A forecast is made of full days: it hardly moves within an hour."""

TEAMS_AT_ONCE = 20
ALERTS_KEPT_MS = 400 * DAY_MS
"""Thirteen months."""


def ensure(now_ms: int) -> None:
    """There is a budget to look at now. In the caller's transaction."""
    hold.ensure(KIND, KEY, now_ms)
    wake(KIND, KEY)


def look(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round over the teams that have budgets. The checkpoint says how far the round is, and when forecasts were
    last made."""
    now_ms = runtime.clock.now_ms()
    at = dict(held.checkpoint) or {"team": 0}
    if not at["team"]:
        at["began_ms"] = now_ms
        at["forecast"] = not 0 <= now_ms - at.get("forecast_at_ms", 0) < FORECAST_EVERY_MS
    while True:
        teams = _next_teams(at["team"])
        if not teams:
            return _round_is_over(runtime, held, at)
        for team in teams:
            _look_at(runtime, team, with_forecast=at["forecast"])
            at["team"] = team.pk
            if runtime.clock.now_ms() >= until_ms:
                hold.save_checkpoint(held, at)
                return Progress.MORE
        hold.save_checkpoint(held, at)


def _next_teams(after: int) -> list[Team]:
    ids = Budget.objects.filter(team_id__gt=after).order_by("team_id").values_list("team_id", flat=True).distinct()
    return list(Team.objects.filter(pk__in=list(ids[:TEAMS_AT_ONCE])).order_by("pk"))


def _round_is_over(runtime: Runtime, held: Held, at: dict[str, int]) -> Progress | int:
    now_ms = runtime.clock.now_ms()
    forecast_at_ms = now_ms if at["forecast"] else at.get("forecast_at_ms", 0)
    hold.save_checkpoint(held, {"team": 0, "forecast_at_ms": forecast_at_ms})
    if at["forecast"]:
        BudgetAlert.objects.filter(at_ms__lt=now_ms - ALERTS_KEPT_MS).delete()
    rest_ms = min(max(EVERY_MS, REST * (now_ms - at["began_ms"])), REST_MS_MAX)
    return now_ms + rest_ms if Budget.objects.exists() else Progress.DONE


def _look_at(runtime: Runtime, team: Team, *, with_forecast: bool) -> None:
    try:
        look_at(runtime, team, with_forecast=with_forecast)
    except Exception:  # one team's trouble is not to keep the others' budgets from being looked at
        log.exception("budgets_not_looked_at", team=team.pk)


def look_at(runtime: Runtime, team: Team, *, with_forecast: bool = True) -> None:
    """A team's budgets now. May be repeated: each threshold is told once."""
    now_ms, region = runtime.clock.now_ms(), runtime.config.region
    this = Month.at(now_ms)
    for month in budgets.months_to_look_at(now_ms):
        rows = list(Budget.objects.filter(team=team, created_at_ms__lt=month.end_ms).order_by("pk"))
        spending = Spending(team, region, month, now_ms)
        standings = spending.standings(rows, with_forecast=False)
        if month == this and with_forecast:
            foretelling = [row for row in rows if row.on_forecast]
            standings |= spending.standings(foretelling, with_forecast=True)
        spent = spending.statement.total_cents if month == this and any(map(budgets.acts, rows)) else None
        if not _crossed(rows, month, standings) and (month != this or _is_settled(team, rows, spent, now_ms)):
            continue  # as nearly always: nothing is written, and no writer waits
        with transaction.atomic():
            if Team.objects.select_for_update().filter(pk=team.pk).first() is None:
                return
            _alert(team, month, standings, now_ms)
            is_new = spent is None and any(map(budgets.acts, Budget.objects.filter(team=team)))
            if month == this and not is_new:  # what somebody switched on meanwhile waits for the next round
                settle(team, spent or 0, now_ms)


def _crossed(
    rows: Sequence[Budget], month: Month, standings: dict[int, Standing]
) -> list[tuple[Budget, list[Crossing]]]:
    """What there is to tell, by budget."""
    told = budgets.told_of([row.pk for row in rows], month)
    found = [(row, budgets.crossings(row, standings[row.pk], told.get((row.pk, row.amount_cents), ()))) for row in rows]
    return [(row, some) for row, some in found if some]


def _is_settled(team: Team, rows: Sequence[Budget], spent_cents: int | None, now_ms: int) -> bool:
    """Is there nothing to begin, change or lift? spent_cents None: none of the budgets acts."""
    present = SpendingHold.objects.filter(team=team).first()
    wanted = None if spent_cents is None else budgets.holding(rows, spent_cents)
    if present is None or wanted is None:
        return present is wanted
    as_wanted = (present.budget_id, present.action) == (wanted.pk, wanted.action)
    return as_wanted and not spending_hold.is_over(present, now_ms)


def _alert(team: Team, month: Month, standings: dict[int, Standing], now_ms: int) -> None:
    """Write down what is crossed, in the caller's transaction; budgets that were made meanwhile wait for the next round."""
    rows = [row for row in Budget.objects.filter(team=team).order_by("pk") if row.pk in standings]
    made = [alert for row, found in _crossed(rows, month, standings) for alert in _alerts(row, month, found, now_ms)]
    BudgetAlert.objects.bulk_create(made)
    if any(alert.due_at_ms is not None for alert in made):
        hold.ensure(ALERTS_KIND, str(team.pk), now_ms)
        wake(ALERTS_KIND, str(team.pk))


def _alerts(row: Budget, month: Month, found: Sequence[Crossing], now_ms: int) -> list[BudgetAlert]:
    """One of them tells for all."""
    loudest = budgets.loudest(found)
    is_told = bool(row.emails or row.webhook_sealed)
    return [
        BudgetAlert(
            budget=row,
            month=str(month),
            threshold=one.percent,
            forecast=one.forecast,
            spent_cents=one.figure_cents,
            amount_cents=row.amount_cents,
            at_ms=now_ms,
            due_at_ms=now_ms if one is loudest and is_told else None,
        )
        for one in found
    ]


def settle(team: Team, spent_cents: int, now_ms: int, *, by_person: bool = False) -> None:
    """Begin, change or lift the hold of the team's writes as its budgets are now, in the caller's transaction, with the team's
    row locked. spent_cents: by all of the team in the month of now_ms. by_person: somebody changed a budget, so a hold that
    began in a later month, before the clock stepped back, follows it as well."""
    present = SpendingHold.objects.select_related("budget").filter(team=team).first()
    if present is not None and Month.at(present.since_ms) > Month.at(now_ms) and not by_person:
        return
    if present is not None and spending_hold.is_over(present, now_ms):
        _lift(team, present, now_ms, f"{Month.at(present.since_ms).title} is over.")
        present = None
    budget = budgets.holding(Budget.objects.filter(team=team), spent_cents)
    if budget is None:
        if present is not None:
            _lift(team, present, now_ms, "The budget is not spent any more, or its action was switched off.")
    elif present is None:
        _begin(team, budget, spent_cents, now_ms)
    elif (present.action, present.budget_id) != (budget.action, budget.pk):
        before = _state(present)
        present.action, present.budget = budget.action, budget
        present.save(update_fields=["action", "budget"])
        _write(team, "ChangeSpendingHold", now_ms, before, _state(present))


def _begin(team: Team, budget: Budget, spent_cents: int, now_ms: int) -> None:
    made = SpendingHold.objects.create(team=team, action=budget.action, budget=budget, since_ms=now_ms)
    log.warning("spending_held", team=team.pk, budget=budget.pk, action=budget.action)
    _write(team, "HoldSpending", now_ms, None, {**_state(made), "SpentCents": spent_cents})


def _lift(team: Team, present: SpendingHold, now_ms: int, reason: str) -> None:
    before = _state(present)
    present.delete()
    log.info("spending_hold_lifted", team=team.pk, reason=reason)
    _write(team, "LiftSpendingHold", now_ms, {**before, "Reason": reason}, None)


def _state(row: SpendingHold) -> dict[str, object]:
    return {
        "Action": row.action,
        "Budget": row.budget.name,
        "AmountCents": row.budget.amount_cents,
        "SinceMs": row.since_ms,
    }


def _write(
    team: Team, operation: str, now_ms: int, before: dict[str, object] | None, after: dict[str, object] | None
) -> None:
    """In the trail as Tidegate's own doing."""
    changes.write(Actor(team.account_id, "", "", now_ms), operation, f"team/{team.slug}", before, after)
