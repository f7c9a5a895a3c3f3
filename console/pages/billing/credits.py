"""Credits, by people who run the installation: all of them with what is left, giving one, taking back an unused one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Team
from apps.billing import bills
from apps.billing.models import Credit
from apps.billing.months import Month
from apps.teams import billing_credits
from apps.teams.authority import Refused
from console import asker, calls
from console.pages.billing.frame import frame
from console.pages.billing.operator import operator_page
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest

TEAMS_MAX = 1_000
AMOUNT_CHARS_MAX = 20
MONTH_CHARS_MAX = 7


class CreditForm(forms.Form):
    """Money for a team's bills."""

    team = forms.ChoiceField(error_messages={"required": "Choose a team.", "invalid_choice": "There is no such team."})
    amount = forms.CharField(max_length=AMOUNT_CHARS_MAX)
    reason = forms.CharField(max_length=billing_credits.REASON_CHARS_MAX)
    from_month = forms.CharField(max_length=MONTH_CHARS_MAX)
    to_month = forms.CharField(max_length=MONTH_CHARS_MAX, required=False)

    def __init__(self, *arguments: Any, teams: list[Team], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].choices = [  # type: ignore[attr-defined]
            ("", "Choose a team"),
            *((str(team.pk), f"{team.name} ({team.slug})") for team in teams),
        ]


@operator_page
def credits_page(request: TeamRequest) -> HttpResponse:
    """All credits, newest first; giving one."""
    now = Month.at(calls.now_ms())
    teams = list(Team.objects.order_by("name", "pk")[:TEAMS_MAX])
    form = CreditForm(
        request.POST or None, teams=teams, initial={"from_month": str(now), "team": _asked(request, teams)}
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = billing_credits.give(
                calls.actor(request), request.user, int(given["team"]), given["amount"], given["reason"],
                given["from_month"], given["to_month"],
            )  # fmt: skip
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Credit given to {made.team.name}")
            return redirect("billing-credits", request.team.slug)
    rows = Credit.objects.select_related("team").annotate(used=Coalesce(Sum("uses__amount_cents"), 0))
    page = Paginator(rows.order_by("-created_at_ms", "-pk"), RICH_ROWS).get_page(request.GET.get("page"))
    context = {
        **frame(request, "billing-credits"),
        "form": form,
        "page": page,
        "rows": [(one, one.amount_cents - used, _state(one, used, now)) for one, used in _used(page.object_list)],
        "currency": bills.currency_of(settings.CONFIG.region, now),
        "amount_label": f"Amount in {bills.currency_of(settings.CONFIG.region, now)}",
    }
    return render(request, "billing/credits.html", context, status=422 if request.method == "POST" else 200)


@operator_page
def take_back(request: TeamRequest, credit: int) -> HttpResponse:
    """Take back a credit that no bill has used."""
    found = Credit.objects.select_related("team").filter(pk=credit).first()
    if found is None:
        raise Http404("no such credit")
    refusal = ""
    if request.method == "POST":
        try:
            billing_credits.take_back(calls.actor(request), request.user, credit)
        except Refused as error:
            refusal = str(error)
        else:
            messages.success(request, f"Credit of {found.team.name} taken back")
            return redirect("billing-credits", request.team.slug)
    context = {
        **frame(request, "billing-credits"),
        "credit": found,
        "refusal": refusal,
        "currency": bills.currency_of(settings.CONFIG.region, Month.at(calls.now_ms())),
    }
    return render(request, "billing/credit_take_back.html", context, status=422 if refusal else 200)


def _used(credits_: Any) -> list[tuple[Credit, int]]:
    """Each with what closed bills took of it."""
    return [(one, one.used) for one in credits_]


def _asked(request: TeamRequest, teams: list[Team]) -> str:
    """?team= by its short name, from a row of the showback."""
    return next((str(team.pk) for team in teams if team.slug == request.GET.get("team")), "")


def _state(credit: Credit, used: int, now: Month) -> tuple[str, str]:
    """A word and its colour."""
    if used >= credit.amount_cents:
        return "Used up", ""
    if credit.to_month and credit.to_month < str(now):
        return "Expired", ""
    if credit.from_month > str(now):
        return "Later", "tag-acc"
    return "Open", "tag-ok"
