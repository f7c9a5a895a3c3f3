"""The page Audit log and its parts: the list, one entry beside it, what is newer."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.access import search
from apps.access.search import Position
from console import calls
from console.pages import words
from console.pages.audit import views, wanted
from console.pages.audit.diff import compare
from console.pages.audit.rows import Row
from console.pages.audit.wanted import Asked
from console.pages.page_rows import PLAIN_ROWS
from console.pages.shell import TeamRequest, is_fragment, team_page

NEWER_MAX = 50
FOLLOWED_MAX = 500
"""Rows that following adds to a page; then it is loaded anew."""

FOLLOW_EVERY_S = 3


@team_page("audit:read")
def audit_log(request: TeamRequest) -> HttpResponse:
    """The page; for htmx the list alone, or the one entry."""
    asked = wanted.read(request.GET, request.team.account_id, calls.now_ms())
    if request.headers.get("HX-Target") == "entry" and is_fragment(request):
        return render(request, "audit/entry.html", chosen(request))
    context = {**listed(request, asked), "here": reverse("audit", args=[request.team.slug])}
    if is_fragment(request):
        return render(request, "audit/table.html", context)
    context |= chosen(request) | {"views": views.of(request), "view_form": views.ViewForm()}
    return render(request, "audit/audit.html", context)


@team_page("audit:read")
def newer(request: TeamRequest) -> HttpResponse:
    """Rows since the newest one of the page, and the place that asks for the next."""
    asked = wanted.read(request.GET, request.team.account_id, calls.now_ms())
    after = Position.read(request.GET.get("after", ""))
    shown = request.GET.get("shown", "0")
    if after is None or not (shown.isascii() and shown.isdigit() and len(shown) < 6):
        raise Http404("not a position")
    if request.GET.get("of"):
        asked = wanted.of_resource(asked, request.GET["of"][: wanted.TEXT_CHARS_MAX])
    rows, more = search.newer(asked.wanted, after, NEWER_MAX)
    count = int(shown) + len(rows)
    newest = max((row.pk for row in rows), default=after.entry_id)
    latest = max((row.at_ms for row in rows), default=after.at_ms)
    answer = render(request, "audit/newer.html", {
        "rows": [Row(row) for row in rows],
        "newer": _newer_address(request, asked, Position(max(latest, after.at_ms), newest), count),
        "every_s": FOLLOW_EVERY_S,
        "fresh": True,
        "now_ms": calls.now_ms(),
        "here": _place(request),
        "link_query": _link_query(request),
    })  # fmt: skip
    if more or count > FOLLOWED_MAX:
        answer["HX-Refresh"] = "true"
    return answer


def listed(request: TeamRequest, asked: Asked) -> dict[str, Any]:
    """What the list needs, of the whole log or of one resource."""
    before = Position.read(request.GET.get("before", ""))
    found = search.page(asked.wanted, PLAIN_ROWS, before)
    follows = request.GET.get("follow") == "1" and before is None
    newest = Position(found.rows[0].at_ms, max(row.pk for row in found.rows)) if found.rows else Position(0, 0)
    return {
        "asked": asked,
        "rows": [Row(row) for row in found.rows],
        "more": found.more,
        "looked_to_ms": found.looked_to_ms,
        "is_first": before is None,
        "follows": follows,
        "newer": _newer_address(request, asked, newest, 0) if follows else "",
        "every_s": FOLLOW_EVERY_S,
        "ranges": {key: words for key, (words, _) in wanted.RANGES.items()},
        "outcomes": wanted.OUTCOMES,
        "kinds": wanted.KINDS,
        "help": wanted.HELP,
        "now_ms": calls.now_ms(),
        "open": request.GET.get("entry", ""),
        "link_query": _link_query(request),
        "zone": words.zone(calls.now_ms()),
    }


def chosen(request: TeamRequest) -> dict[str, Any]:
    """The entry that the address names, with what it changed."""
    text = request.GET.get("entry", "")
    if not text:
        return {}
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    found = search.entry(request.team.account_id, number)
    if found is None:
        return {"entry_missing": True}
    return {"chosen": Row(found), "diff": compare(found.before, found.after), "now_ms": calls.now_ms()}


def _link_query(request: TeamRequest) -> str:
    """This page's query string for links to its entries, which add their number."""
    values = request.GET.copy()
    for name in ("entry", "after", "shown", "of", "place"):
        values.pop(name, None)
    return f"{values.urlencode()}&" if values else ""


def _place(request: TeamRequest) -> str:
    """The page that asks for what is newer: the log, or a tab of this team."""
    log = reverse("audit", args=[request.team.slug])
    place = request.GET.get("place", "")
    return place if place.startswith(log.removesuffix("audit")) else log


def _newer_address(request: TeamRequest, asked: Asked, after: Position, shown: int) -> str:
    values = request.GET.copy()
    for name in ("before", "entry", "after", "shown"):
        values.pop(name, None)
    values["after"], values["shown"] = str(after), str(shown)
    if asked.wanted.resource and "of" not in values:
        values["of"], values["place"] = asked.wanted.resource, request.path
    return f"{reverse('audit-newer', args=[request.team.slug])}?{values.urlencode()}"
