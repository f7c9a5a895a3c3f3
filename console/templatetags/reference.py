"""Filters of the API reference."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def ticks(text: str) -> SafeString:
    """`code` between backticks, as the document's Markdown has it; the rest is escaped."""
    parts = text.split("`")
    pieces = ((format_html("<code>{}</code>", part) if odd % 2 else part,) for odd, part in enumerate(parts))
    return format_html_join("", "{}", pieces)
