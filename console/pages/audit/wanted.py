"""What the address of the audit log asks for: text with `name:value`, three selects. All of it stands in the query string."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.utils import timezone

from apps.access.search import Wanted
from apps.base.units import DAY_MS, HOUR_MS
from console.pages.filter_text import parts_of

TEXT_CHARS_MAX = 500
PARTS_MAX = 12

RANGES: Final = {"1h": ("Last hour", HOUR_MS), "24h": ("Last 24 hours", DAY_MS), "7d": ("Last 7 days", 7 * DAY_MS),
                 "30d": ("Last 30 days", 30 * DAY_MS)}  # fmt: skip
OUTCOMES: Final = {"ok": "Succeeded", "failed": "Failed"}
KINDS: Final = {"changes": "Changes", "looks": "Looks", "data": "Data calls"}

HELP: Final = {
    "who:ann@": "a person or caller",
    "op:DeleteStream": "an operation",
    "on:orders": "a resource; with a whole ARN that one alone",
    "key:AKIA…": "an access key or token",
    "session:…": "a browser's session",
    "from:192.0.2.": "an address",
    "outcome:AccessDeniedException": "an error's code",
    "service:kinesis": "a service",
    "request:…": "a request id",
    "since:2026-11-20T10:00": "from this time on; until: before it",
}
"""What can be written into the filter, for people."""

_TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


@dataclass(slots=True)
class Asked:
    """text, chosen: as they stand in the address. problem: what the text holds that is no filter."""

    text: str
    chosen: dict[str, str]
    wanted: Wanted
    problem: str = ""

    @property
    def is_filtered(self) -> bool:
        """Does it ask for anything less than all?"""
        return bool(self.text or any(self.chosen.values()))


def read(query: Mapping[str, str], account_id: str, now_ms: int) -> Asked:
    """Take the query string apart. What is not known becomes a problem to show, never a silent nothing."""
    text = query.get("q", "")[:TEXT_CHARS_MAX]
    known: dict[str, Iterable[str]] = {"range": RANGES, "outcome": OUTCOMES, "kind": KINDS}
    chosen = {name: query.get(name, "") if query.get(name, "") in set(values) else "" for name, values in known.items()}
    since_ms = now_ms - RANGES[chosen["range"]][1] if chosen["range"] else 0
    wanted = Wanted(account_id, since_ms=since_ms, outcome=chosen["outcome"], kind=chosen["kind"])
    asked = Asked(text, chosen, wanted)
    for part in parts_of(text)[:PARTS_MAX]:
        _take(asked, part)
    return asked


def of_resource(asked: Asked, arn: str) -> Asked:
    """The same about one resource alone: the tabs Activity."""
    return replace(asked, wanted=replace(asked.wanted, resource=arn))


def _take(asked: Asked, part: str) -> None:
    name, colon, value = part.partition(":")
    if not colon or part.startswith("arn:"):
        asked.wanted = replace(asked.wanted, words=(*asked.wanted.words, part))
    elif name in _NAMES and value:
        changed = _NAMES[name](asked.wanted, value)
        if changed is None:
            asked.problem = f"{value} is not a time. Write 2026-11-20 or 2026-11-20T10:00."
        else:
            asked.wanted = changed
    else:
        asked.problem = f"{part} is not a filter. Known are {', '.join(f'{known}:' for known in _NAMES)}."


def _time_ms(text: str) -> int | None:
    """In the person's time zone."""
    for pattern in _TIMES:
        try:
            told = datetime.strptime(text.removesuffix("Z"), pattern)  # noqa: DTZ007 - the zone is the person's
            return round(told.replace(tzinfo=timezone.get_current_timezone()).timestamp() * 1_000)
        except (ValueError, OverflowError):
            continue
    return None


def _since(wanted: Wanted, value: str) -> Wanted | None:
    at_ms = _time_ms(value)
    return None if at_ms is None else replace(wanted, since_ms=max(at_ms, wanted.since_ms))


def _until(wanted: Wanted, value: str) -> Wanted | None:
    at_ms = _time_ms(value)
    return None if at_ms is None else replace(wanted, until_ms=at_ms)


def _on(wanted: Wanted, value: str) -> Wanted:
    if value.startswith("arn:"):
        return replace(wanted, resource=value)
    return replace(wanted, about=(*wanted.about, value))


_NAMES: dict[str, Callable[[Wanted, str], Wanted | None]] = {
    "who": lambda wanted, value: replace(wanted, who=(*wanted.who, value)),
    "op": lambda wanted, value: replace(wanted, operation=value),
    "on": _on,
    "key": lambda wanted, value: replace(wanted, key=value),
    "session": lambda wanted, value: replace(wanted, session=value),
    "from": lambda wanted, value: replace(wanted, address=value),
    "outcome": lambda wanted, value: replace(wanted, outcome=value),
    "service": lambda wanted, value: replace(wanted, service=value),
    "request": lambda wanted, value: replace(wanted, request_id=value),
    "since": _since,
    "until": _until,
}
