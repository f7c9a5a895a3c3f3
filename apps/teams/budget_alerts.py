"""Telling of budgets: mail to members, a call of the webhook, what came of each.

The alert's row is there before anybody is told (spending.py), and each result is written down before the next one is tried: who
dies in between tells one recipient once more. So everybody is told at least once; a repeated call of a webhook has the same id.
What fails is tried again as alarms' actions are, then given up; the alert says so.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from django.core.mail import EmailMessage
from django.db import transaction

from apps.access import changes
from apps.base.units import SECOND_MS
from apps.billing import bills
from apps.billing.models import Budget, BudgetAction, BudgetAlert
from apps.billing.months import Month
from apps.cloudwatch.actions import ATTEMPTS_MAX, DEADLINE_S, RETRY_AFTER_MS, call_webhook
from apps.cloudwatch.alarms import iso
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.teams import billing_budgets
from apps.teams.authority import By, lock

log = structlog.get_logger(__name__)

WEBHOOK = "webhook"
"""Among the recipients, which are addresses otherwise."""

HEADERS = {"content-type": "application/json; charset=UTF-8", "user-agent": "Tidegate-Budget"}
AT_ONCE = 5
DEADLINE_MS = round(DEADLINE_S * SECOND_MS)
SUBJECT_CHARS_MAX = 200
REASON_CHARS_MAX = 200

ACTS = {
    BudgetAction.THROTTLE: "Writes of the team's streams get a tenth of their throughput",
    BudgetAction.PAUSE: "Writes of the team's streams are refused",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one recipient."""

    who: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. number: the alert's; 0 of a test. figure_cents: spent, or foreseen if forecast is set. webhook: where to;
    may: those who may be told by mail."""

    budget: Budget
    month: Month
    percent: int
    forecast: bool
    figure_cents: int
    amount_cents: int
    at_ms: int
    currency: str
    webhook: str
    may: frozenset[str]
    number: int = 0


def tell(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """Tell of a team's alerts that are due: MORE, DONE if nothing is left, or when the next one is due."""
    rows = BudgetAlert.objects.filter(budget__team_id=int(held.key), due_at_ms__isnull=False)
    while runtime.clock.now_ms() + DEADLINE_MS < until_ms:
        alert = rows.select_related("budget__team").order_by("due_at_ms", "pk").first()
        if alert is None:
            return Progress.DONE
        assert alert.due_at_ms is not None
        if alert.due_at_ms > runtime.clock.now_ms():
            return alert.due_at_ms
        _tell(runtime, alert, until_ms)
    return Progress.MORE


def test(runtime: Runtime, by: By, pk: int) -> list[Told]:
    """Tell everybody of a budget once, marked as a test, and wait; no retries (TestBudgetNotification). Needs billing:write. Not
    in a transaction: it waits for networks. Raises NotAllowed, Gone."""
    with transaction.atomic():
        by = lock(by, "billing:write")
        budget = billing_budgets.one(by.membership.team, pk)
    message = _message(runtime, budget, Month.at(by.actor.at_ms), by.actor.at_ms)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda who: _send(runtime, message, who), recipients(budget)))
    told = {one.who: one.text for one in found}
    changes.write(by.actor, "TestBudgetNotification", billing_budgets.resource_name(budget), None, {"Told": told})
    return found


def recipients(budget: Budget) -> list[str]:
    """Whom it tells: addresses, and WEBHOOK if it has one."""
    return [*budget.emails, *([WEBHOOK] if budget.webhook_sealed else [])]


def _tell(runtime: Runtime, alert: BudgetAlert, until_ms: int) -> None:
    """One attempt, or what there is time for: those who are left have their turn in the next slice."""
    attempt = alert.attempts + 1
    message = _of_alert(runtime, alert)
    for who in recipients(alert.budget):
        before = alert.told.get(who, {})
        if before.get("ok") or before.get("tries", 0) >= attempt:
            continue
        if runtime.clock.now_ms() + DEADLINE_MS >= until_ms:
            return
        told = _send(runtime, message, who)
        alert.told = {**alert.told, who: {"ok": told.ok, "text": told.text, "tries": attempt}}
        alert.save(update_fields=["told"])
    failed = [who for who in recipients(alert.budget) if not alert.told[who]["ok"]]
    alert.attempts = attempt
    over = not failed or attempt >= ATTEMPTS_MAX
    alert.due_at_ms = None if over else runtime.clock.now_ms() + RETRY_AFTER_MS[attempt - 1]
    alert.save(update_fields=["attempts", "due_at_ms"])
    log.info("budget_alert", alert=alert.pk, attempts=attempt, failed=len(failed), over=over)


def _of_alert(runtime: Runtime, alert: BudgetAlert) -> Message:
    month = Month.named(alert.month)
    return _message(runtime, alert.budget, month, alert.at_ms, alert)


def _message(runtime: Runtime, budget: Budget, month: Month, at_ms: int, alert: BudgetAlert | None = None) -> Message:
    """alert None: a test."""
    return Message(
        budget=budget,
        month=month,
        percent=budget.thresholds[0] if alert is None else alert.threshold,
        forecast=alert is not None and alert.forecast,
        figure_cents=0 if alert is None else alert.spent_cents,
        amount_cents=budget.amount_cents if alert is None else alert.amount_cents,
        at_ms=at_ms,
        currency=bills.currency_of(runtime.config.region, month),
        webhook=billing_budgets.webhook_of(budget, runtime.config),
        may=frozenset(email.lower() for email in billing_budgets.members_who_see_costs(budget.team)),
        number=0 if alert is None else alert.pk,
    )


def _send(runtime: Runtime, message: Message, who: str) -> Told:
    """Reads nothing of the database: several run at once."""
    if who == WEBHOOK:
        ok, text = call_webhook(runtime, message.webhook, msgspec.json.encode(body_of(runtime, message)), HEADERS)
        return Told(who, ok, text)
    if who.lower() not in message.may:
        return Told(who, True, "Not sent: no longer a member who may see costs")
    try:
        EmailMessage(subject_of(message), text_of(runtime, message), to=[who]).send()
    except Exception as error:  # noqa: BLE001 - a mail server can fail in any way; it is tried again
        return Told(who, False, f"{type(error).__name__}: {error}"[:REASON_CHARS_MAX])
    return Told(who, True, "Sent" if runtime.config.mail_url else "Kept in the data directory: no mail server is set")


def subject_of(message: Message) -> str:
    """One line."""
    test = "" if message.number else "Test: "
    text = f"{test}Budget {message.budget.name}: {message.percent} % {_verb(message)} ({message.budget.team.name})"
    return " ".join(text.split())[:SUBJECT_CHARS_MAX]


def text_of(runtime: Runtime, message: Message) -> str:
    """The mail."""
    budget, team = message.budget, message.budget.team
    amount = money(message.amount_cents, message.currency)
    lines = [
        f"The budget {budget.name} of the team {team.name} is {amount} a month, for {budget.resource or 'all usage'}."
    ]
    if not message.number:
        lines += ["", "This is a test that somebody asked for. Nothing was reached."]
    elif message.forecast:
        lines += [
            "",
            f"By the forecast, {message.month.title} will have cost about {_figure(message)}: {message.percent} % or more.",
        ]
    else:
        lines += ["", f"{message.month.title} has cost {_figure(message)} so far: {message.percent} % or more."]
    if _has_acted(message):
        lines += [
            "",
            f"{ACTS[BudgetAction(budget.action)]} until the month is over, the budget is raised or its action is switched off.",
        ]
    lines += ["", f"Times are UTC. No payment is taken. {address_of(runtime, budget)}"]
    return "\n".join(lines)


def body_of(runtime: Runtime, message: Message) -> dict[str, Any]:
    """What a webhook gets. id: the same however often it is called."""
    budget, team = message.budget, message.budget.team
    return {
        "type": "budget.threshold",
        "id": f"budget-alert-{message.number}" if message.number else f"budget-test-{message.at_ms}",
        "test": not message.number,
        "at": iso(message.at_ms),
        "month": str(message.month),
        "kind": "forecast" if message.forecast else "spent",
        "threshold_percent": message.percent,
        "figure_cents": message.figure_cents,
        "amount_cents": message.amount_cents,
        "currency": message.currency,
        "budget": {"id": budget.pk, "name": budget.name, "resource": budget.resource, "action": str(budget.action)},
        "acted": _has_acted(message),
        "team": {"slug": team.slug, "name": team.name, "account_id": team.account_id},
        "url": address_of(runtime, budget),
    }


def address_of(runtime: Runtime, budget: Budget) -> str:
    """The budget's page."""
    return f"{runtime.config.public_address}/t/{budget.team.slug}/billing/budgets/{budget.pk}"


def money(cents: int, currency: str) -> str:
    """`1,250.00 USD`."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02} {currency}"


def _figure(message: Message) -> str:
    return money(message.figure_cents, message.currency)


def _verb(message: Message) -> str:
    return "foreseen" if message.forecast else "spent"


def _has_acted(message: Message) -> bool:
    """Does this alert come with a hold?"""
    acts = message.budget.action != BudgetAction.NOTHING and not message.budget.resource
    return bool(message.number) and acts and not message.forecast and message.percent >= 100
