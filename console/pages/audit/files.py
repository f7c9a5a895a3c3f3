"""The audit log as a file: what the filters leave, as CSV or JSON, sent while it is read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.http import Http404, HttpResponse

from apps.access import search
from apps.access.models import AuditEntry
from apps.access.search import Wanted
from console import calls
from console.downloads import CSV, JSON, download
from console.pages import words
from console.pages.audit import wanted
from console.pages.audit.rows import Row
from console.pages.shell import TeamRequest, team_page

ENTRIES_MAX = 100_000
CHUNK = 1_000

COLUMNS = (
    "time", "who", "principal", "key", "session", "address", "user_agent", "service", "operation", "resource", "result",
    "message", "request_id", "account_id", "owner_account_id", "before", "after",
)  # fmt: skip

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that spreadsheets run."""


@team_page("audit:read")
def export(request: TeamRequest) -> HttpResponse:
    """At most ENTRIES_MAX entries, newest first."""
    if request.GET.get("as") not in _FORMS:
        raise Http404("no such format")
    kind, form = _FORMS[request.GET["as"]]
    asked = wanted.read(request.GET, request.team.account_id, calls.now_ms())
    if request.GET.get("of"):
        asked = wanted.of_resource(asked, request.GET["of"][: wanted.TEXT_CHARS_MAX])
    name = f"audit-{request.team.slug}.{request.GET['as']}"
    return download(request, form(asked.wanted), name, kind)


def _csv(asked: Wanted) -> Iterator[bytes]:
    yield _lines([COLUMNS])
    for rows in _chunks(asked):
        yield _lines([[_cell(value) for value in _values(row).values()] for row in rows])


def _json(asked: Wanted) -> Iterator[bytes]:
    begun = False
    yield b"["
    for rows in _chunks(asked):
        texts = [json.dumps(_values(row, parse=True), ensure_ascii=False) for row in rows]
        yield ((",\n" if begun else "\n") + ",\n".join(texts)).encode(errors="replace")
        begun = True
    yield b"\n]\n"


_FORMS: dict[str, tuple[str, Callable[[Wanted], Iterator[bytes]]]] = {
    "csv": (CSV, _csv),
    "json": (JSON, _json),
}


def _chunks(asked: Wanted) -> Iterator[list[AuditEntry]]:
    rows = search.every(asked, ENTRIES_MAX, CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _values(entry: AuditEntry, *, parse: bool = False) -> dict[str, Any]:
    """By COLUMNS. parse: states as what they are, not as text."""
    row = Row(entry)
    states = [json.loads(text) if parse and text else text for text in (entry.before, entry.after)]
    values = (
        words.iso(entry.at_ms), row.who, entry.principal, entry.key_id, entry.session or "", entry.source_ip,
        entry.user_agent, entry.service, entry.operation, entry.resource, entry.outcome or "ok", entry.message,
        entry.request_id, entry.account_id, entry.owner_account_id, *states,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="replace")
