"""Template tags of the billing pages."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.billing.bills import StatementLine
from apps.billing.months import Month
from apps.billing.rating import decimal_text
from console.pages.billing import days
from console.templatetags.ui import BAR_WIDTH

register = template.Library()

for function in (days.day_words, days.date_words, days.hour_words, days.clock_words, days.time_words, days.day_text):
    register.filter(function.__name__, function)


@register.simple_tag
def share_bar(percent: float) -> SafeString:
    """How much of everything a row is; the figure stands beside it."""
    return format_html(
        '<svg class="bar" viewBox="0 0 56 6" aria-hidden="true"><rect class="f" width="{}" height="6" rx="3"/></svg>',
        round(BAR_WIDTH * min(percent, 100) / 100),
    )


@register.filter
def exact(value: Fraction) -> str:
    """Decimal text with as many as 12 places, for titles."""
    return decimal_text(value)


@register.simple_tag(takes_context=True)
def page_query(context: dict[str, Any], name: str, number: int) -> str:
    """This page's query string at another page of one of its lists."""
    values = context["request"].GET.copy()
    values[name] = str(number)
    return f"?{values.urlencode()}"


@register.filter
def month_words(name: str) -> str:
    """`Nov 2026` of 2026-11."""
    word, year = Month.named(name).title.split()
    return f"{word[:3]} {year}"


@register.filter
def days_of(line: StatementLine) -> str:
    """`1 to 30 Nov`: the days of a line, of UTC."""
    return days.span_words(line.from_ms, line.to_ms)
