"""Looking things up in the audit trail of a team: newest first, page by page, at a bounded cost.

A team sees entries whose caller it is, and those about what it owns. Both are asked by their own index and merged: one
query with OR would sort the whole trail. What no index knows (a person, an address, a word) is looked for in the newest
SCAN_MAX entries before the cursor; when they hold less than a page, the page says how far back it has looked, and its
cursor goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from apps.access.audit import resource_key
from apps.access.models import AuditEntry

SCAN_MAX = 20_000
"""Entries looked at for one page."""

NEWER_SPAN_MS = 120_000
"""Entries come late (data calls wait to be written), but not later than this."""

LOOKS = ("Describe", "Get", "List")
"""How operations begin that change nothing."""


@dataclass(frozen=True, slots=True)
class Position:
    """Between two entries. Written `1795163467000-12`."""

    at_ms: int
    entry_id: int

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.entry_id}"

    @classmethod
    def read(cls, text: str) -> Position | None:
        """None: it is none."""
        at_ms, dash, entry_id = text.partition("-")
        if not (dash and _is_number(at_ms) and _is_number(entry_id)):
            return None
        return cls(int(at_ms), int(entry_id))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries. All texts but outcome and resource are looked for anywhere in their column, whatever the case.

    resource: an ARN or another whole name, with what belongs to it, by its index. about: a part of such a name. who: a
    person's address, or the ARN of a caller. outcome: `ok`, `failed` or an error code. kind: `changes`, `looks`, `data`.
    """

    account_id: str
    since_ms: int = 0
    until_ms: int | None = None
    resource: str = ""
    about: tuple[str, ...] = ()
    who: tuple[str, ...] = ()
    operation: str = ""
    service: str = ""
    key: str = ""
    session: str = ""
    address: str = ""
    request_id: str = ""
    outcome: str = ""
    kind: str = ""
    words: tuple[str, ...] = ()

    @property
    def is_narrow(self) -> bool:
        """Does it ask for anything that no index knows?"""
        exact = (self.operation, self.service, self.key, self.session, self.address, self.request_id, self.outcome)
        return bool(self.kind or self.words or self.who or self.about or any(exact))


@dataclass(slots=True)
class Page:
    """rows: newest first, without their states. more: where the next page begins; None: there is none.
    looked_to_ms: how far back it has looked, if that is not to the end."""

    rows: list[AuditEntry] = field(default_factory=list)
    more: Position | None = None
    looked_to_ms: int | None = None


def page(wanted: Wanted, limit: int, before: Position | None = None, *, states: bool = False) -> Page:
    """At most limit entries older than before. states: with before and after. Four queries at most."""
    sides, floor = [], None
    for side in _sides(wanted):
        rows = _older(side, before)
        reached = _floor(rows) if wanted.is_narrow else None
        if reached is not None:
            rows, floor = rows.filter(at_ms__gte=reached), max(reached, floor or 0)
        rows = _matching(rows, wanted)
        sides.append(list((rows if states else rows.defer("before", "after"))[: limit + 1]))
    if floor is not None:  # what only one side has looked at would come before what the other has not
        sides = [[row for row in rows if row.at_ms >= floor] for rows in sides]
    found = _merged(sides, wanted.account_id)
    if len(found) > limit:
        last = found[limit - 1]
        return Page(found[:limit], Position(last.at_ms, last.pk))
    return Page(found, Position(floor, 0) if floor is not None else None, floor)


def newer(wanted: Wanted, after: Position, limit: int) -> tuple[list[AuditEntry], bool]:
    """The newest entries written since the newest one of a page, at most limit, newest first; and: are there more?"""
    sides = []
    for side in _sides(wanted):
        rows = side.filter(at_ms__gte=after.at_ms - NEWER_SPAN_MS, pk__gt=after.entry_id)
        sides.append(list(_matching(rows, wanted).defer("before", "after")[: limit + 1]))
    found = _merged(sides, wanted.account_id)
    return found[:limit], len(found) > limit


def every(wanted: Wanted, limit: int, chunk: int) -> Iterator[AuditEntry]:
    """At most limit entries with their states, newest first, read chunk by chunk."""
    before, left = None, limit
    while left > 0:
        found = page(wanted, min(chunk, left), before, states=True)
        yield from found.rows
        left -= len(found.rows)
        if found.more is None:
            return
        before = found.more


def entry(account_id: str, entry_id: int) -> AuditEntry | None:
    """One entry with its states; None: there is none that this team may see."""
    found = AuditEntry.objects.filter(pk=entry_id).first()
    if found is None or account_id not in {found.account_id, found.owner_account_id}:
        return None
    return _as_seen(found, account_id)


def _as_seen(row: AuditEntry, account_id: str) -> AuditEntry:
    """Without what is not this team's to know: the state of a thing of another team, and who the people of a team are
    that used a thing of this one."""
    if row.owner_account_id != account_id:
        row.before = row.after = None
    if row.account_id != account_id:
        row.person_id = row.person = row.session = None
    return row


def _sides(wanted: Wanted) -> list[QuerySet[AuditEntry]]:
    rows = AuditEntry.objects.order_by("-at_ms", "-id")
    if wanted.since_ms:
        rows = rows.filter(at_ms__gte=wanted.since_ms)
    if wanted.until_ms is not None:
        rows = rows.filter(at_ms__lt=wanted.until_ms)
    if wanted.resource:
        mine = Q(owner_account_id=wanted.account_id) | Q(account_id=wanted.account_id)
        return [rows.filter(mine, resource_key=resource_key(wanted.resource))]
    return [rows.filter(owner_account_id=wanted.account_id), rows.filter(account_id=wanted.account_id)]


def _older(rows: QuerySet[AuditEntry], before: Position | None) -> QuerySet[AuditEntry]:
    if before is None:
        return rows
    earlier = Q(at_ms__lt=before.at_ms) | Q(at_ms=before.at_ms, pk__lt=before.entry_id)
    return rows.filter(earlier, at_ms__lte=before.at_ms)


def _floor(rows: QuerySet[AuditEntry]) -> int | None:
    """The time of the last entry that is looked at; None: all are."""
    found = rows.values_list("at_ms", flat=True)[SCAN_MAX : SCAN_MAX + 1]
    return next(iter(found), None)


def _matching(rows: QuerySet[AuditEntry], wanted: Wanted) -> QuerySet[AuditEntry]:
    exact = {
        "operation__icontains": wanted.operation, "service__iexact": wanted.service, "key_id__icontains": wanted.key,
        "session": wanted.session, "source_ip__startswith": wanted.address, "request_id": wanted.request_id,
    }  # fmt: skip
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    for who in wanted.who:
        rows = rows.filter(_person(wanted, who) | Q(principal__icontains=who))
    for about in wanted.about:
        rows = rows.filter(resource__icontains=about)
    for word in wanted.words:
        rows = rows.filter(
            Q(operation__icontains=word) | Q(resource__icontains=word) | _person(wanted, word)
            | Q(principal__icontains=word) | Q(outcome__icontains=word) | Q(message__icontains=word)
        )  # fmt: skip
    return _of_kind(_with_outcome(rows, wanted.outcome), wanted.kind)


def _person(wanted: Wanted, text: str) -> Q:
    """Of the team alone: who is in another one cannot be found out by searching."""
    return Q(person__icontains=text, account_id=wanted.account_id)


def _with_outcome(rows: QuerySet[AuditEntry], outcome: str) -> QuerySet[AuditEntry]:
    if outcome == "ok":
        return rows.filter(outcome="")
    if outcome == "failed":
        return rows.exclude(outcome="")
    return rows.filter(outcome__iexact=outcome) if outcome else rows


def _of_kind(rows: QuerySet[AuditEntry], kind: str) -> QuerySet[AuditEntry]:
    looks = Q()
    for word in LOOKS:
        looks |= Q(operation__startswith=word)
    if kind == "data":
        return rows.filter(is_data=True)
    if kind == "looks":
        return rows.filter(looks, is_data=False)
    return rows.filter(~looks, is_data=False) if kind == "changes" else rows


def _merged(sides: list[list[AuditEntry]], account_id: str) -> list[AuditEntry]:
    """Newest first; what both have, once."""
    found = {row.pk: _as_seen(row, account_id) for rows in sides for row in rows}
    return sorted(found.values(), key=lambda row: (row.at_ms, row.pk), reverse=True)
