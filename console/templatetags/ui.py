"""Template tags of the console: icons, small charts, numbers and times. A builtin of every template."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import template
from django.forms import BoundField
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.permissions import roles_with
from apps.base.units import MIB
from console.pages import money, words

if TYPE_CHECKING:
    from console.pages.reading import Found

register = template.Library()

for function in (words.size, words.rate, words.duration, words.retention, words.retention_words, words.date,
                 words.date_time, words.clock_time, words.clock_minutes, words.zone, words.iso, words.figures, words.middle,
                 money.money, money.whole_money, money.amount, money.price, money.quantity, money.unit_words):  # fmt: skip
    register.filter(function.__name__, function)

SPARK_WIDTH = 84
SPARK_HEIGHT = 26
BAR_WIDTH = 56
ICONS_KEPT = 500
"""Of each look; a page has some twenty."""

VIEWER_STATE = ("shard", "start", "at", "q", "decode", "from", "view")
"""Of the data viewer's address, what stays when a record is opened."""


@register.simple_tag
def icon(name: str, extra_class: str = "") -> SafeString:
    """A Lucide icon of the sprite; decoration only, so hidden from screen readers."""
    return _icon(name, extra_class, static("vendor/lucide/icons.svg"))


@lru_cache(maxsize=ICONS_KEPT)
def _icon(name: str, extra_class: str, sprite: str) -> SafeString:
    return format_html('<svg class="i {}" aria-hidden="true"><use href="{}#{}"/></svg>', extra_class, sprite, name)


@register.simple_tag(takes_context=True)
def action(context: dict[str, Any], need: str, label: str, href: str, **options: Any) -> SafeString:
    """A link that looks like a button, for what needs a permission: `{% action "stream:write" "Edit" address %}`.

    Who may not do it sees it disabled, with the permission and the roles that have it. options: icon, class, more (words
    for screen readers alone), new (True: the key N opens it), menu (True: a line of a menu, no button).
    """
    picture = icon(options["icon"], "i-sm" if "btn-sm" in options.get("class", "") else "") if "icon" in options else ""
    words_after = format_html('<span class="sr"> {}</span>', options["more"]) if "more" in options else ""
    classes = f"{'' if options.get('menu') else 'btn'} {options.get('class', '')}".strip()
    if context["may"][need.replace(":", "_")]:
        key = SafeString(" data-new") if options.get("new") else ""
        return format_html('<a class="{}" href="{}"{}>{}{}{}</a>', classes, href, key, picture, label, words_after)
    name = f"needs-{zlib.crc32(f'{need}{label}{href}'.encode()):x}"
    return format_html(
        '<span class="tip"><a class="{}" role="link" aria-disabled="true" tabindex="0" aria-describedby="{}">{}{}{}</a>'
        "{}</span>",
        classes, name, picture, label, words_after, reason(context, need, label, name),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def menu_line(context: dict[str, Any], need: str, label: str, href: str, **options: str) -> SafeString:
    """The same as one line of a row's menu, of an element or two: lists have many of them. Who may not do it sees what it
    needs, and is led to where one asks for it. options: class."""
    if context["may"][need.replace(":", "_")]:
        return format_html('<a class="{}" href="{}">{}</a>', options.get("class", ""), href, label)
    return format_html(
        '<a class="locked" href="{}">{}<small>needs {}</small></a>', ask_address(context, need), label, need
    )


@register.simple_tag(takes_context=True)
def reason(context: dict[str, Any], need: str, label: str, name: str) -> SafeString:
    """Beside what is locked, shown while it has the pointer or the focus: what it needs, and a link to ask for it. name:
    the id that the locked thing is described by."""
    return format_html(
        '<span class="tip-box"><span role="tooltip" id="{}">Needs {}: {}</span>'
        '<a href="{}">Ask for access<span class="sr"> to {}</span></a></span>',
        name, need, ", ".join(roles_with(need)), ask_address(context, need), label,
    )  # fmt: skip


def ask_address(context: dict[str, Any], need: str) -> str:
    """Where a member of the page's team asks for a permission, and comes back from."""
    back = {"next": context["request"].get_full_path()} if context["request"].method == "GET" else {}
    return f"{reverse('access-ask', args=[context['team'].slug])}?{urlencode({'for': need, **back})}"


@register.simple_tag
def spark(values: Sequence[float | None], extra_class: str = "") -> SafeString:
    """A sparkline from zero up. None is a gap, and drawn as one."""
    top = max((value for value in values if value is not None), default=0) or 1
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    lines, areas = [], []
    for is_gap, run in groupby(enumerate(values), key=lambda pair: pair[1] is None):
        if is_gap:
            continue
        points = [(k * step, SPARK_HEIGHT - 2 - (value or 0) / top * (SPARK_HEIGHT - 4)) for k, value in run]
        points += [(points[0][0] + 1, points[0][1])] if len(points) == 1 else []
        line = " ".join(f"{'L' if k else 'M'}{x:.1f} {y:.1f}" for k, (x, y) in enumerate(points))
        lines.append(line)
        areas.append(f"{line} L{points[-1][0]:.1f} {SPARK_HEIGHT} L{points[0][0]:.1f} {SPARK_HEIGHT} Z")
    return format_html(
        '<svg class="spark {}" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="a" d="{}"/><path d="{}"/></svg>',
        extra_class, SPARK_WIDTH, SPARK_HEIGHT, " ".join(areas), " ".join(lines),
    )  # fmt: skip


@register.simple_tag
def bar(percent: float, label: str) -> SafeString:
    """A meter of 56 x 6; from 75 % amber, from 95 % red. The number is to be written beside it."""
    tone = "bad" if percent >= 95 else "warn" if percent >= 75 else ""
    return format_html(
        '<svg class="bar" viewBox="0 0 56 6" role="img" aria-label="{}"><rect class="f {}" width="{}" height="6" rx="3"/></svg>',
        label, tone, round(BAR_WIDTH * min(percent, 100) / 100),
    )  # fmt: skip


@register.simple_tag
def ago(ms: int, now_ms: int) -> SafeString:
    """A time as words, with the exact one on hover and focus. app.js keeps it true."""
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', words.iso(ms), words.date_time(ms), words.ago(ms, now_ms)
    )


@register.filter
def get(found: Mapping[str, Any], key: str) -> Any:
    """What a mapping has under a key; None for what it has not."""
    return found.get(key)


@register.filter
def count(number: float) -> str:
    """`1,204`."""
    return f"{number:,.0f}"


@register.filter
def mib(size_bytes: int) -> str:
    """A buffer's size in MiB, as AWS's hints say it."""
    return words.figures(size_bytes / MIB)


@register.filter
def figure(text: str) -> SafeString:
    """`4.7 MiB/s` with its unit set small, for the numbers of a stat strip."""
    number, _, unit = text.partition(" ")
    return format_html("{} <small>{}</small>", number, unit) if unit else format_html("{}", number)


@register.filter
def lower_first(text: str) -> str:
    """`Data streams` within a sentence; `API tokens` as it is."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


@register.filter
def counted(number: int, nouns: str) -> str:
    """`{{ 5|counted:"shard" }}` -> `5 shards`; `|counted:"entry,entries"` where an s is not enough."""
    one, _, many = nouns.partition(",")
    return words.plural(number, one, many)


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """This page's query string with some values changed; None or nothing takes a name away."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        values.pop(name, None)
        if value is not None and value != "":
            values[name] = value
    return f"?{values.urlencode()}" if values else "?"


@register.simple_tag
def attributes(values: dict[str, Any]) -> SafeString:
    """HTML attributes from a dict; names are the programmer's, values are escaped."""
    return format_html_join("", ' {}="{}"', values.items())


@register.inclusion_tag("shell/input.html")
def input(field: BoundField, label: str, **options: Any) -> dict[str, Any]:  # noqa: A001 - the tag's name in templates
    """A labelled field with its help and its errors.

    options: type, help, class, optional (True adds the word), autofocus, unit, choices; others become attributes.
    """
    given = {"type": "text", "help": "", "class": "", "optional": False, "autofocus": False, "unit": "", **options}
    known = {"type", "help", "class", "optional", "autofocus", "unit", "rows"}
    described = [f"{field.auto_id}_help"] if given["help"] else []
    described += [f"{field.auto_id}_err"] if field.errors else []
    return {
        "field": field,
        "label": label,
        "given": given,
        "value": "" if given["type"] == "password" or field.value() is None else field.value(),
        "choices": getattr(field.field, "choices", None),
        "described": " ".join(described),
        "others": {name.replace("_", "-"): value for name, value in options.items() if name not in known},
    }


@register.simple_tag(takes_context=True)
def th(context: dict[str, Any], label: str, sort: str, **options: str) -> SafeString:
    """A column's heading that sorts by it: a link, so that the order stands in the address."""
    now = context["sort"]
    state = {sort: "ascending", f"-{sort}": "descending"}.get(now)
    address = query(context, sort=f"-{sort}" if now == sort else sort, page=None, after=None, before=None)
    mark = {"ascending": icon("arrow-up"), "descending": icon("arrow-down")}.get(state or "", "")
    sorted_by = format_html(' aria-sort="{}"', state) if state else ""
    return format_html(
        '<th scope="col" class="{}"{}><a href="{}">{}{}</a></th>',
        options.get("class", ""),
        sorted_by,
        address,
        label,
        mark,
    )


@register.simple_tag(takes_context=True)
def query_from(context: dict[str, Any], positions: str) -> str:
    """This page's query string at other positions (`from` is no name for an argument), with no record open."""
    values = context["request"].GET.copy()
    values.pop("record", None)
    values["from"] = positions
    return f"?{values.urlencode()}"


@register.filter
def record_link(found: Found, request: HttpRequest) -> str:
    """The viewer as it is, with this record open. Rows that are followed come by POST: their state is in the body."""
    kept = request.POST if request.method == "POST" else request.GET
    values = {name: kept[name] for name in VIEWER_STATE if kept.get(name)}
    if request.method == "POST":
        values.pop("from", None)
    path = reverse("stream-records", kwargs=request.resolver_match.kwargs if request.resolver_match else {})
    return f"{path}?{urlencode({**values, 'record': found.address})}"
