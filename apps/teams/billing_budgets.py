"""Budgets as people manage them. Each change is one transaction with its entry in the audit trail, and what it does to a hold of
the team's writes is done in the same one.

Who is told: members who may see costs; mail goes to nobody else. A webhook's address is kept encrypted and goes through the guard
that alarms' webhooks go through. Letting a budget act is for those with billing:enforce, and so is changing the amount or the
action of one that acts, and deleting it: otherwise anybody who may set budgets could stop the team, or take away its brake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.accounts.models import Membership, Team
from apps.accounts.permissions import ACTIONS, allowed
from apps.base.config import Config
from apps.billing import budgets
from apps.billing.budgets import BUDGETS_PER_TEAM_MAX, EMAILS_MAX, NAME_CHARS_MAX, BadBudget, Spending
from apps.billing.models import BilledResource, Budget, BudgetAction
from apps.billing.months import Month
from apps.cloudwatch import actions
from apps.delivery.models import DeliveryStream
from apps.encryption.sealed_text import open_text, seal_text
from apps.streams.models import Stream
from apps.teams import spending
from apps.teams.authority import By, Gone, NotAllowed, RefusedAt, lock

RESOURCES_MAX = 500
"""Offered to choose from."""

STREAM, DELIVERY_STREAM = "stream", "deliverystream"
"""What usage of a stream and of a delivery stream is booked on, before the slash."""


class BudgetRefused(RefusedAt):
    """What the rules of budgets forbid. field: name, amount, resource, thresholds, emails, webhook, action, or empty."""

    code = "BudgetRefused"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a budget is to be. resource: as usage is booked on, stream/NAME; empty: the whole team. webhook None: as it is."""

    name: str
    amount_cents: int
    thresholds: Sequence[int]
    resource: str = ""
    on_forecast: bool = False
    emails: Iterable[str] = ()
    webhook: str | None = None
    action: str = BudgetAction.NOTHING


def create(by: By, wanted: Wanted, config: Config) -> Budget:
    """A new budget (CreateBudget). Needs billing:write; billing:enforce if it is to act. Raises NotAllowed, BudgetRefused, Gone."""
    spent = _spent(by, config)
    with transaction.atomic():
        by = lock(by, "billing:write")
        team = by.membership.team
        if Budget.objects.filter(team=team).count() >= BUDGETS_PER_TEAM_MAX:
            raise BudgetRefused(f"The team has {BUDGETS_PER_TEAM_MAX} budgets already. Delete one first.")
        row = Budget(team=team, created_at_ms=by.actor.at_ms)
        _fill(by, row, wanted, config)
        row.save()
        changes.write(by.actor, "CreateBudget", resource_name(row), None, state(row))
        _follow(team, spent, by)
    return row


def update(by: By, pk: int, wanted: Wanted, config: Config) -> Budget:
    """Change a budget (UpdateBudget). Needs billing:write, and billing:enforce where it acts, or is to. Raises as create."""
    spent = _spent(by, config)
    with transaction.atomic():
        by = lock(by, "billing:write")
        row = _one(by.membership.team, pk)
        before = state(row)
        _fill(by, row, wanted, config)
        if state(row) != before:
            row.save()
            changes.write(by.actor, "UpdateBudget", resource_name(row), before, state(row))
            _follow(by.membership.team, spent, by)
    return row


def delete(by: By, pk: int, config: Config) -> None:
    """Delete a budget with its alerts (DeleteBudget); a hold by it is lifted. Needs billing:write, and billing:enforce if it
    acts. Raises NotAllowed, Gone."""
    spent = _spent(by, config)
    with transaction.atomic():
        by = lock(by, "billing:write")
        row = _one(by.membership.team, pk)
        if budgets.acts(row):
            _need_enforce(by, "This budget throttles or pauses streams. To delete it, one")
        before = state(row)
        Budget.objects.filter(pk=row.pk).update(action=BudgetAction.NOTHING)
        spending.settle(by.membership.team, spent, by.actor.at_ms, by_person=True)
        row.delete()
        changes.write(by.actor, "DeleteBudget", resource_name(row), before, None)


def of_team(team: Team) -> list[Budget]:
    """All of them, by name."""
    return list(Budget.objects.filter(team=team).order_by("name", "pk"))


def one(team: Team, pk: int) -> Budget:
    """Raises Gone: also for another team's."""
    return _one(team, pk)


def members_who_see_costs(team: Team) -> list[str]:
    """Addresses of the members who may be told."""
    rows = Membership.objects.filter(team=team, user__is_active=True).select_related("user", "own_role", "team")
    return sorted(row.user.email for row in rows if allowed(row.actions, "billing:read"))


def resources_of(team: Team) -> list[str]:
    """What a budget can be of: streams, delivery streams, and whatever else was billed; at most RESOURCES_MAX."""
    streams = Stream.objects.filter(team=team).order_by("name").values_list("name", flat=True)
    deliveries = DeliveryStream.objects.filter(team=team, channel_id="").order_by("name").values_list("name", flat=True)
    names = [f"{STREAM}/{name}" for name in streams[:RESOURCES_MAX]]
    names += [f"{DELIVERY_STREAM}/{name}" for name in deliveries[:RESOURCES_MAX]]
    billed = BilledResource.objects.filter(team=team).order_by("resource").values_list("resource", flat=True)
    return sorted({*names, *billed[:RESOURCES_MAX]})[:RESOURCES_MAX]


def webhook_of(row: Budget, config: Config) -> str:
    """Its address; empty: none."""
    return open_text(config.master_key_path, row.webhook_sealed) if row.webhook_sealed else ""


def resource_name(row: Budget) -> str:
    """How the audit trail names it."""
    return f"budget/{row.name}"


def state(row: Budget) -> dict[str, Any]:
    """As the trail keeps it."""
    return {
        "Name": row.name,
        "AmountCents": row.amount_cents,
        "Of": row.resource or "the whole team",
        "Thresholds": list(row.thresholds),
        "OnForecast": row.on_forecast,
        "Emails": list(row.emails),
        "WebhookSecret": row.webhook_sealed,
        "Action": str(row.action),
        "ActionBy": row.action_by,
    }


def _one(team: Team, pk: int) -> Budget:
    found = Budget.objects.filter(team=team, pk=pk).first()
    if found is None:
        raise Gone("There is no such budget.")
    return found


def _spent(by: By, config: Config) -> int:
    """By the whole team this month: what a hold depends on. Reckoned before the transaction, which is to be short."""
    team, now_ms = by.membership.team, by.actor.at_ms
    return Spending(team, config.region, Month.at(now_ms), now_ms).statement.total_cents


def _follow(team: Team, spent_cents: int, by: By) -> None:
    """What a change does at once, and what the next round is woken for."""
    spending.settle(team, spent_cents, by.actor.at_ms, by_person=True)
    spending.ensure(by.actor.at_ms)


def _fill(by: By, row: Budget, wanted: Wanted, config: Config) -> None:
    """Write what is wanted into the row, checked. Raises BudgetRefused, NotAllowed."""
    acted = row.pk is not None and budgets.acts(row)
    before = row.amount_cents, str(row.action), row.resource
    try:
        budgets.check_amount(wanted.amount_cents)
        row.thresholds = budgets.checked_thresholds(list(wanted.thresholds))
    except BadBudget as error:
        raise BudgetRefused(str(error), error.field) from error
    row.name, row.amount_cents, row.on_forecast = _name(row, wanted.name), wanted.amount_cents, wanted.on_forecast
    row.resource = _resource(row, wanted.resource)
    row.emails = _emails(row, wanted.emails)
    if wanted.webhook is not None and wanted.webhook != webhook_of(row, config):
        row.webhook_sealed = _webhook(wanted.webhook, config)
    row.action = _action(row, wanted.action)
    if (acted or budgets.acts(row)) and (row.amount_cents, str(row.action), row.resource) != before:
        _need_enforce(by, "Letting a budget throttle or pause streams, and changing what it does then,")
        if str(row.action) != before[1]:
            row.action_by = by.actor.person if budgets.acts(row) else ""
            row.action_at_ms = by.actor.at_ms if budgets.acts(row) else None
    row.changed_at_ms = by.actor.at_ms


def _need_enforce(by: By, what: str) -> None:
    if not allowed(by.actions, "billing:enforce"):
        raise NotAllowed(f"{what} needs the permission billing:enforce: {ACTIONS['billing:enforce'].lower()}.")


def _name(row: Budget, name: str) -> str:
    words = " ".join(name.split())
    if not words or len(words) > NAME_CHARS_MAX:
        raise BudgetRefused(f"A name has 1 to {NAME_CHARS_MAX} characters.", "name")
    if Budget.objects.filter(team=row.team, name__iexact=words).exclude(pk=row.pk).exists():
        raise BudgetRefused(f"There is a budget {words} already.", "name")
    return words


def _resource(row: Budget, resource: str) -> str:
    """What it is of already stays possible: streams are deleted, and what they cost stays."""
    if resource in ("", row.resource):
        return resource
    kind, _, name = resource.partition("/")
    known = (
        (kind == STREAM and Stream.objects.filter(team=row.team, name=name).exists())
        or (kind == DELIVERY_STREAM and DeliveryStream.objects.filter(team=row.team, name=name, channel_id="").exists())
        or BilledResource.objects.filter(team=row.team, resource=resource).exists()
    )
    if not known:
        raise BudgetRefused("The team has no such resource, and nothing was billed for one of this name.", "resource")
    return resource


def _emails(row: Budget, emails: Iterable[str]) -> list[str]:
    """An address that is on the list already stays, though its member may have left: nothing is sent there then."""
    given = list(dict.fromkeys(email.strip().lower() for email in emails if email.strip()))
    if len(given) > EMAILS_MAX:
        raise BudgetRefused(f"At most {EMAILS_MAX} addresses.", "emails")
    may = {email.lower() for email in members_who_see_costs(row.team)} | set(row.emails)
    strangers = [email for email in given if email not in may]
    if strangers:
        raise BudgetRefused(f"{strangers[0]} is no member of this team who may see costs.", "emails")
    return given


def _webhook(url: str, config: Config) -> str:
    if not url:
        return ""
    wrong = (
        "It is no web address."
        if url.startswith(actions.MAILTO)
        else actions.check(url, allow_private=config.outgoing_private)
    )
    if wrong:
        raise BudgetRefused(wrong, "webhook")
    return seal_text(config.master_key_path, url)


def _action(row: Budget, action: str) -> str:
    if action not in BudgetAction.values:
        raise BudgetRefused(f"An action is one of {', '.join(BudgetAction.values)}.", "action")
    if action != BudgetAction.NOTHING and row.resource:
        raise BudgetRefused("Only a budget of the whole team can throttle or pause.", "action")
    return action
