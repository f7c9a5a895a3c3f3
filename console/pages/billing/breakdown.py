"""The table of Usage and cost: what a month costs, row by row, each of which leads to what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from apps.accounts.models import AccessKey
from apps.base.units import DAY_MS
from apps.billing.dimensions import DIMENSIONS, Dimension
from apps.billing.months import Month
from apps.billing.rating import added
from apps.billing.reports import OTHERS, Group, Report
from console.pages.billing.asked import Asked
from console.pages.billing.asked import Group as GroupBy
from console.pages.billing.chart import SERIES_MAX
from console.pages.billing.days import date_words

PAGE = 20

KINDS = {
    "stream": "Data stream",
    "deliverystream": "Delivery stream",
    "channel": "Channel",
    "queue": "Queue",
    "account": "Account",
}
"""What a resource's first word means."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row. sub: what it is, smaller. href: one step down; empty: nowhere. share: of all rows, 0 to 100. change: in percent
    against the month before, by the day; None: nothing to compare with. color: of its series in the chart; empty: it has none."""

    label: str
    sub: str
    href: str
    group: Group
    dimension: Dimension | None
    share: float
    change: int | None
    color: str


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A page of rows. rest_cents: what all others cost together, each rounded by itself; rest_count: how many they are."""

    lines: tuple[Line, ...]
    page: int
    pages: int
    count: int
    rest_cents: int
    rest_count: int


def make(
    asked: Asked,
    report: Report,
    before: Callable[[Sequence[str]], Mapping[str, Fraction]] | None,
    now_ms: int,
    team_id: int,
    series: Sequence[str] = (),
) -> Breakdown:
    """before: what groups of these labels cost in the month before; None: it cannot be compared. series: labels of the chart's."""
    over_ms = elapsed_ms(asked.month, asked.day_ms, now_ms)
    groups = [group for group in report.groups if _is_shown(asked, group, now_ms)]
    pages = max(1, -(-len(groups) // PAGE))
    page = min(asked.page, pages)
    shown = groups[(page - 1) * PAGE : page * PAGE] if asked.group != GroupBy.DAY else groups
    total = added(group.amount for group in groups)
    names = labels(asked, shown, team_id)
    then = None if before is None else before([group.label for group in shown])
    lines = [
        Line(*names[group.label], asked.down(group.label) or "", group, group.dimension,
             float(group.amount / total * 100) if total else 0.0, _change(asked, group, then, over_ms),
             _color(asked, group, series))
        for group in shown
    ]  # fmt: skip
    rest_cents = sum(group.cents for group in groups) - sum(group.cents for group in shown)
    is_paged = asked.group != GroupBy.DAY
    return Breakdown(tuple(lines), page, pages if is_paged else 1, len(groups), rest_cents, len(groups) - len(shown))


def _is_shown(asked: Asked, group: Group, now_ms: int) -> bool:
    """Days that have begun, and whatever cost something."""
    if asked.group == GroupBy.DAY:
        return int(group.label) <= now_ms
    return bool(group.amount) and group.label != OTHERS


def _change(asked: Asked, group: Group, before: Mapping[str, Fraction] | None, over_ms: int) -> int | None:
    if before is None or not before.get(group.label) or over_ms <= 0:
        return None
    month = asked.month.previous
    now_rate = group.amount / over_ms
    then_rate = before[group.label] / (month.end_ms - month.start_ms)
    return round((now_rate / then_rate - 1) * 100)


def _color(asked: Asked, group: Group, series: Sequence[str]) -> str:
    sold = group.dimension if asked.group == GroupBy.SERVICE else None
    label = sold.service if sold is not None else group.label
    place = series.index(label) if label in series else series.index(OTHERS) if OTHERS in series else None
    return "" if place is None or asked.group == GroupBy.DAY else f"f{place % SERIES_MAX + 1}"


def labels(asked: Asked, groups: Sequence[Group], team_id: int) -> dict[str, tuple[str, str]]:
    """How groups are called: a name, and what it is."""
    if asked.group == GroupBy.KEY:
        return _keys([group.label for group in groups], team_id)
    return {group.label: _named(asked, group.label) for group in groups}


def _named(asked: Asked, label: str) -> tuple[str, str]:
    if asked.group == GroupBy.SERVICE:
        return DIMENSIONS[label].title, DIMENSIONS[label].service
    if asked.group == GroupBy.RESOURCE:
        return resource_words(label)
    if asked.group == GroupBy.DAY:
        return date_words(int(label)), ""
    return (f"{asked.tag_key}: {label}", "") if label else (f"No tag {asked.tag_key}", "")


def resource_words(resource: str) -> tuple[str, str]:
    """`stream/orders` as (`orders`, `Data stream`)."""
    kind, _, name = resource.partition("/")
    return name or KINDS.get(kind, kind), KINDS.get(kind, kind) if name else "What no stream has used"


def _keys(keys: Sequence[str], team_id: int) -> dict[str, tuple[str, str]]:
    """Access keys by their names; what is booked under another word is that word."""
    known = dict(AccessKey.objects.filter(team_id=team_id, key_id__in=keys).values_list("key_id", "name"))
    named = {"": ("No access key", "Time and storage, which nobody calls for")}
    return {key: named.get(key) or ((known[key] or key, key) if key in known else (key, "")) for key in keys}


def elapsed_ms(month: Month, day_ms: int | None, now_ms: int) -> int:
    """How much of what is looked at is over."""
    start, end = (month.start_ms, month.end_ms) if day_ms is None else (day_ms, day_ms + DAY_MS)
    return max(0, min(now_ms, end) - start)
