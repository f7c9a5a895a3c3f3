"""What the address of Usage and cost asks for: a month, how to group it, and what of it.

Each row of the page leads one step down: meter, resource, day, hour, and at last the readings behind an hour. Where one is,
stands in the address, so that every view can be shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from apps.base.units import DAY_MS
from apps.billing.dimensions import DIMENSIONS, SERVICES
from apps.billing.months import Month
from apps.billing.reports import By, Period, Where
from console.pages.billing.days import day_text

TEXT_CHARS_MAX = 200
PAGE_DIGITS_MAX = 6
NO_KEY = "-"
"""In an address: usage that is of no access key."""


class Group(StrEnum):
    """service: the rows are the meters, with their service."""

    SERVICE = "service"
    RESOURCE = "resource"
    TAG = "tag"
    KEY = "key"
    DAY = "day"
    HOUR = "hour"


BY = {
    Group.SERVICE: By.DIMENSION, Group.RESOURCE: By.RESOURCE, Group.TAG: By.TAG, Group.KEY: By.KEY, Group.DAY: By.DAY,
}  # fmt: skip

WORDS = {
    Group.SERVICE: "Service", Group.RESOURCE: "Stream", Group.TAG: "Tag", Group.KEY: "Access key", Group.DAY: "Day",
}  # fmt: skip
"""The choices, in order."""


@dataclass(frozen=True, slots=True)
class Asked:
    """tag_key: what By.TAG groups by, and of the filter in where. day_ms: only that day. problem: what could not be read."""

    month: Month
    group: Group
    where: Where
    tag_key: str
    day_ms: int | None
    page: int
    per_month: bool
    values: dict[str, str]
    problem: str = ""

    @property
    def period(self) -> Period:
        """The month, or the day."""
        return Period.of(self.month) if self.day_ms is None else Period(self.day_ms, self.day_ms + DAY_MS)

    def link(self, **changes: str | None) -> str:
        """The query string with some values changed; None takes one away. A page is left with it."""
        values = {**self.values, "page": None, "per": None, **changes}
        return "?" + urlencode({name: value for name, value in values.items() if value is not None})

    @property
    def next_group(self) -> Group:
        """One step down from here, once a row is chosen: what is not fixed yet."""
        fixed = {self.group}
        fixed |= {Group.SERVICE} if self.where.dimension else set()
        fixed |= {Group.RESOURCE} if self.where.resource else set()
        fixed |= {Group.DAY} if self.day_ms is not None else set()
        return next((group for group in (Group.SERVICE, Group.RESOURCE, Group.DAY) if group not in fixed), Group.HOUR)

    def down(self, label: str) -> str | None:
        """The query string of what a row is made of; None: it leads nowhere in one step."""
        following = str(self.next_group)
        if self.group == Group.SERVICE:
            return self.link(dimension=label, group=following)
        if self.group == Group.RESOURCE:
            return self.link(resource=label, group=following)
        if self.group == Group.DAY:
            return self.link(day=day_text(int(label)), group=following)
        if self.group == Group.KEY:
            return self.link(key=label or NO_KEY, group=following)
        if self.group == Group.TAG:
            return self.link(tag=self.tag_key, value=label, group=following)
        return None


def read(given: QueryDict, now_ms: int, tag_keys: list[str]) -> Asked:
    """From the query string. What it does not understand is left out, and said."""
    values = {name: str(given[name])[:TEXT_CHARS_MAX] for name in _NAMES if name in given}
    problems: list[str] = []
    month = _month(values, now_ms, problems)
    day_ms = _day(values, month, problems)
    group = _one_of(values, "group", Group, Group.SERVICE, problems)
    where = _where(values, problems)
    tag_key = values.get("tag") or (tag_keys[0] if tag_keys else "")
    if group == Group.HOUR and (not where.dimension or day_ms is None):
        values.pop("group")
        group = Group.SERVICE
    page = str(given.get("page", ""))
    number = int(page) if page.isdecimal() and len(page) <= PAGE_DIGITS_MAX else 1
    per_month = given.get("per") == "month"
    return Asked(month, group, where, tag_key, day_ms, max(1, number), per_month, values, " ".join(problems))


_NAMES = ("month", "group", "service", "dimension", "resource", "key", "tag", "value", "day")


def _month(values: dict[str, str], now_ms: int, problems: list[str]) -> Month:
    try:
        month = Month.named(values["month"]) if values.get("month") else Month.at(now_ms)
    except ValueError:
        problems.append(f"“{values.pop('month')}” is no month: write it as 2026-11.")
        return Month.at(now_ms)
    if month.start_ms > now_ms:
        problems.append(f"{month.title} has not begun.")
        values.pop("month")
        return Month.at(now_ms)
    return month


def _day(values: dict[str, str], month: Month, problems: list[str]) -> int | None:
    text = values.get("day", "")
    if not text:
        values.pop("day", None)
        return None
    try:
        day_ms = round(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1_000
    except ValueError:
        day_ms = -1
    if not month.start_ms <= day_ms < month.end_ms:
        problems.append(f"“{values.pop('day')}” is no day of {month.title}: write it as {month}-01.")
        return None
    return day_ms


def _one_of(values: dict[str, str], name: str, choices: Any, default: Any, problems: list[str]) -> Any:
    if not values.get(name):
        return default
    try:
        return choices(values[name])
    except ValueError:
        problems.append(f"“{values.pop(name)}” is no way to group.")
        return default


def _where(values: dict[str, str], problems: list[str]) -> Where:
    for name, known in (("service", SERVICES), ("dimension", DIMENSIONS)):
        if values.get(name) and values[name] not in known:
            problems.append(f"There is no {'service' if name == 'service' else 'meter'} “{values.pop(name)}”.")
    for name in ("service", "dimension", "resource", "key"):
        if not values.get(name):
            values.pop(name, None)
    key = values.get("key")
    tag = (values["tag"], values["value"]) if values.get("tag") and "value" in values else None
    return Where(
        resource=values.get("resource", ""),
        service=values.get("service", ""),
        dimension=values.get("dimension", ""),
        key=None if key is None else "" if key == NO_KEY else key,
        tag=tag,
    )
