"""Budgets: how they stand, create, change, delete; what was told to whom; a test of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.accounts.permissions import allowed, roles_with
from apps.billing import bills, budgets
from apps.billing.budgets import Spending
from apps.billing.models import Budget, BudgetAlert, SpendingHold
from apps.billing.months import Month
from apps.teams import billing_budgets, budget_alerts
from apps.teams.authority import Gone, NotAllowed, Refused
from console import asker, calls
from console.pages.billing import budget_rows
from console.pages.billing.budget_form import ACTIONS, BudgetForm, initial_of, initial_of_new
from console.pages.billing.budget_rows import Row
from console.pages.billing.frame import frame
from console.pages.name_form import NameForm
from console.pages.shell import TeamRequest, team_page

PAGE = "billing-budgets"
ALERTS_SHOWN = 50

Json = dict[str, Any]


@team_page("billing:read")
def listing(request: TeamRequest) -> HttpResponse:
    """All of them, as they stand now."""
    now_ms = calls.now_ms()
    rows = _rows(request, billing_budgets.of_team(request.team), now_ms)
    return render(
        request, "billing/budgets.html", {**_frame(request, now_ms), "rows": rows, "template": budgets.TEMPLATE}
    )


@team_page("billing:read")
def detail(request: TeamRequest, budget: int) -> HttpResponse:
    """One, with what it told."""
    now_ms = calls.now_ms()
    found = _one(request, budget)
    [row] = _rows(request, [found], now_ms)
    history = BudgetAlert.objects.filter(budget=found).order_by("-at_ms", "-threshold", "-pk")
    page = Paginator(history, ALERTS_SHOWN).get_page(request.GET.get("page"))
    context = {
        "row": row,
        "budget": found,
        "alerts": budget_rows.alerts(list(page.object_list)),
        "page": page,
        "webhook": _webhook_host(found),
        "now_ms": now_ms,
    }
    return render(request, "billing/budget.html", {**_frame(request, now_ms), **context})


@team_page("billing:write")
@sensitive_post_parameters("webhook")
def create(request: TeamRequest) -> HttpResponse:
    """The form, filled in with a template; POST makes the budget."""
    start = initial_of_new(request.user.email, request.GET.get("of", "")[:200])
    form = _form(request, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            made = billing_budgets.create(asker.by(request), form.wanted(), settings.CONFIG)
        except Refused as error:
            _put_refused(form, error)
        else:
            messages.success(request, f"Budget {made.name} is created. It is looked at within a minute.")
            return redirect("billing-budget", request.team.slug, made.pk)
    return _form_page(request, form, None)


@team_page("billing:write")
@sensitive_post_parameters("webhook")
def edit(request: TeamRequest, budget: int) -> HttpResponse:
    """The same of a budget that there is."""
    found = _one(request, budget)
    form = _form(request, initial=initial_of(found))
    if request.method == "POST" and form.is_valid():
        try:
            billing_budgets.update(asker.by(request), found.pk, form.wanted(), settings.CONFIG)
        except Gone as error:
            raise Http404("no such budget") from error
        except Refused as error:
            _put_refused(form, error)
        else:
            messages.success(request, f"Budget {form.cleaned_data['name']} is saved.")
            return redirect("billing-budget", request.team.slug, found.pk)
    return _form_page(request, form, found)


@team_page("billing:write")
def delete(request: TeamRequest, budget: int) -> HttpResponse:
    """After its name was typed."""
    found = _one(request, budget)
    form = NameForm(request.POST or None, wanted=found.name, chars_max=budgets.NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid():
        try:
            billing_budgets.delete(asker.by(request), found.pk, settings.CONFIG)
        except Gone as error:
            raise Http404("no such budget") from error
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Budget {found.name} is deleted. Nobody is told of it any more.")
            return redirect(PAGE, request.team.slug)
    context = {
        "form": form,
        "budget": found,
        "told": len(budget_alerts.recipients(found)),
        "alerts": found.alerts.count(),
        "holds": SpendingHold.objects.filter(team=request.team, budget=found).exists(),
        "locked": budgets.acts(found) and not allowed(request.actions, "billing:enforce"),
        "enforcers": roles_with("billing:enforce"),
    }
    return render(request, "billing/budget_delete.html", context, status=422 if request.method == "POST" else 200)


@require_POST
@team_page("billing:write")
def test(request: TeamRequest, budget: int) -> HttpResponse:
    """Tell everybody once, marked as a test."""
    try:
        told = budget_alerts.test(calls.runtime(), asker.by(request), budget)
    except Gone as error:
        raise Http404("no such budget") from error
    except NotAllowed as error:
        messages.error(request, str(error))
        told = []
    for one in told:
        who = "The webhook" if one.who == budget_alerts.WEBHOOK else one.who
        (messages.success if one.ok else messages.error)(request, f"{who}: {one.text}")
    return redirect("billing-budget", request.team.slug, budget)


def _rows(request: TeamRequest, found: list[Budget], now_ms: int) -> list[Row]:
    spending = Spending(request.team, settings.CONFIG.region, Month.at(now_ms), now_ms)
    standings = spending.standings(found, with_forecast=True)
    hold = request.hold
    return [Row(one, standings[one.pk], hold if hold and hold.budget_id == one.pk else None) for one in found]


def _frame(request: TeamRequest, now_ms: int) -> Json:
    month = Month.at(now_ms)
    return {**frame(request, PAGE), "month": month, "currency": bills.currency_of(settings.CONFIG.region, month)}


def _one(request: TeamRequest, pk: int) -> Budget:
    try:
        return billing_budgets.one(request.team, pk)
    except Gone as error:
        raise Http404("no such budget") from error


def _form(request: TeamRequest, initial: Json) -> BudgetForm:
    members = billing_budgets.members_who_see_costs(request.team)
    also = [email for email in initial.get("emails", ()) if email not in members]
    resources = billing_budgets.resources_of(request.team)
    return BudgetForm(request.POST or None, initial=initial, members=[*members, *also], resources=resources)


def _form_page(request: TeamRequest, form: BudgetForm, found: Budget | None) -> HttpResponse:
    chosen = form["emails"].value() or []
    resource = form["resource"].value() or ""
    context = {
        "form": form,
        "budget": found,
        "people": [(email, email in chosen) for email, _ in form.fields["emails"].choices],  # type: ignore[attr-defined]
        "resources": sorted({*form.resources, *([resource] if resource else [])}),
        "action_cards": [(str(value), *words) for value, words in ACTIONS.items()],
        "may_enforce": allowed(request.actions, "billing:enforce"),
        "enforcers": roles_with("billing:enforce"),
        "webhook": _webhook_host(found) if found is not None else "",
        "acts": found is not None and budgets.acts(found),
        "currency": bills.currency_of(settings.CONFIG.region, Month.at(calls.now_ms())),
    }
    return render(request, "billing/budget_form.html", context, status=422 if request.method == "POST" else 200)


def _webhook_host(found: Budget) -> str:
    """All of the address that is shown: the rest may be a secret."""
    address = billing_budgets.webhook_of(found, settings.CONFIG)
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/…" if address else ""


def _put_refused(form: BudgetForm, error: Refused) -> None:
    asker.put_refused(form, error)
