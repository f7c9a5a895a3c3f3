"""Corrections of usage and flags, by people who run the installation: what was noticed, what was put right, putting right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Team
from apps.billing import flags
from apps.billing.meters import METERS
from apps.billing.models import Correction
from apps.teams import billing_corrections
from apps.teams.authority import Gone, Refused
from apps.teams.billing_corrections import Wanted
from console import asker, calls
from console.pages.billing.frame import frame
from console.pages.billing.operator import operator_page
from console.pages.page_rows import FEW_ROWS, RICH_ROWS
from console.pages.shell import TeamRequest

TEAMS_MAX = 1_000
HOUR_FORMAT = "%Y-%m-%d %H:%M"


class CorrectionForm(forms.Form):
    """Usage of one hour to be put right."""

    team = forms.ChoiceField(error_messages={"required": "Choose a team.", "invalid_choice": "There is no such team."})
    resource = forms.CharField(max_length=200)
    meter = forms.ChoiceField(
        error_messages={"required": "Choose a meter.", "invalid_choice": "There is no such meter."}
    )
    hour = forms.CharField(max_length=20)
    meter_key = forms.CharField(max_length=128, required=False)
    quantity = forms.CharField(max_length=24)
    note = forms.CharField(max_length=billing_corrections.NOTE_CHARS_MAX)

    def __init__(self, *arguments: Any, teams: list[Team], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].choices = [  # type: ignore[attr-defined]
            ("", "Choose a team"),
            *((str(team.pk), f"{team.name} ({team.slug})") for team in teams),
        ]
        self.fields["meter"].choices = [  # type: ignore[attr-defined]
            ("", "Choose a meter"),
            *((meter.name, f"{meter.name}, {meter.unit}") for meter in METERS.values()),
        ]

    def clean_hour(self) -> int:
        """As UTC ms."""
        try:
            time = datetime.strptime(self.cleaned_data["hour"].strip(), HOUR_FORMAT).replace(tzinfo=UTC)
        except ValueError as error:
            raise forms.ValidationError("Write the hour as 2026-11-05 14:00, UTC.") from error
        return round(time.timestamp()) * 1_000

    def clean_quantity(self) -> int:
        """Commas may part the thousands."""
        try:
            return int(self.cleaned_data["quantity"].replace(",", "").replace(" ", ""))
        except ValueError as error:
            raise forms.ValidationError(
                "Write a whole number of the meter's unit, with a minus to take usage off."
            ) from error

    def wanted(self) -> Wanted:
        """Of a form that is valid."""
        given = self.cleaned_data
        return Wanted(
            given["resource"].strip(),
            given["meter"],
            given["hour"],
            given["quantity"],
            given["note"],
            given["meter_key"],
        )


@operator_page
def corrections(request: TeamRequest) -> HttpResponse:
    """Flags, all corrections, and a form for one; also what acknowledges a flag."""
    if request.method == "POST" and "flag" in request.POST:
        return _acknowledge(request)
    teams = list(Team.objects.order_by("name", "pk")[:TEAMS_MAX])
    form = CorrectionForm(request.POST or None, teams=teams)
    if request.method == "POST" and form.is_valid():
        try:
            made = billing_corrections.correct(
                calls.actor(request), request.user, int(form.cleaned_data["team"]), form.wanted()
            )
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Usage of {made.team.name} corrected")
            return redirect("billing-corrections", request.team.slug)
    rows = Correction.objects.select_related("team").order_by("-booked_at_ms", "-pk")
    page = Paginator(rows, RICH_ROWS).get_page(request.GET.get("page"))
    shown_flags = Paginator(flags.every(), FEW_ROWS).get_page(request.GET.get("flags"))
    context = {
        **frame(request, "billing-corrections"),
        "form": form,
        "flags": shown_flags,
        "page": page,
        "rows": [(one, f"{one.quantity:+,}", METERS[one.meter].unit) for one in page.object_list],
    }
    return render(request, "billing/corrections.html", context, status=422 if request.method == "POST" else 200)


def _acknowledge(request: TeamRequest) -> HttpResponse:
    given = request.POST["flag"]
    try:
        if not (given.isascii() and given.isdigit() and len(given) < 19):
            raise Gone("There is no such flag any more.")
        billing_corrections.acknowledge(calls.actor(request), request.user, int(given))
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Flag acknowledged")
    return redirect("billing-corrections", request.team.slug)
