"""The rate card: what everything costs the team, beside AWS's list."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from apps.base.units import DAY_MS
from apps.billing import price_book
from apps.billing.book_rules import DAYS_AHEAD_MAX, FIRST_DAY_MS, day_text
from apps.billing.price_book import Books
from console import calls
from console.pages.billing.frame import frame
from console.pages.billing.rate_rows import by_service
from console.pages.shell import TeamRequest, team_page


class DayForm(forms.Form):
    """The day whose prices are shown."""

    on = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-11-30."})

    def clean_on(self) -> date | None:
        """Raises ValidationError beyond what books can say."""
        given: date | None = self.cleaned_data["on"]
        if given is not None and not FIRST_DAY_MS <= midnight(given) <= calls.now_ms() + DAYS_AHEAD_MAX * DAY_MS:
            raise forms.ValidationError("A day from the year 2000 on, at most five years ahead.")
        return given


@team_page("billing:read")
def rates(request: TeamRequest) -> HttpResponse:
    """The page; ?on= another day than today."""
    now_ms, region = calls.now_ms(), settings.CONFIG.region
    form = DayForm(request.GET)
    is_valid = form.is_valid()
    day = form.cleaned_data["on"] if is_valid else None
    day_ms = now_ms - now_ms % DAY_MS if day is None else midnight(day)
    lists, shipped = price_book.price_lists(region), price_book.shipped_list(region)
    prices, common = lists.of_team(request.team.pk), lists.of_team(None)
    context = {
        **frame(request, "billing-rates"),
        "form": form,
        "is_today": day is None,
        "day": day_text(day_ms),
        "day_value": request.GET.get("on", ""),
        "services": by_service(prices, common, price_book.list_prices(region), shipped, day_ms),
        "own_words": _own_words(prices, day_ms),
        "shipped": shipped,
        "read_on": day_text(midnight(date.fromisoformat(shipped.read_on))),
    }
    return render(request, "billing/rates.html", context, status=200 if is_valid else 422)


def _own_words(prices: Books, day_ms: int) -> str:
    """What is the team's own, as a sentence; empty: nothing."""
    if not prices.is_any_own(day_ms):
        return ""
    percent = prices.percent(day_ms)
    if not percent:
        return "They are marked; for all others it pays what everybody pays."
    text = price_book.number_text(abs(percent))
    return f"Everybody's prices {'plus' if percent > 0 else 'less'} {text}%, except where another one is named."


def midnight(day: date) -> int:
    """Its first millisecond, of UTC."""
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000
