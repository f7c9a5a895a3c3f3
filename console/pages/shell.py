"""What every page of a team stands on: who asks, for which team, with which permission; and the frame around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import SuspiciousOperation
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from apps.accounts.models import Membership, Team, User
from apps.accounts.permissions import ACTIONS, allowed, roles_with
from apps.base.units import MINUTE_MS
from apps.billing import spending_hold
from apps.billing.models import SpendingHold
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console import calls, zones
from console.calls import METER_KEY, now_ms

log = structlog.get_logger(__name__)

P = ParamSpec("P")

ANY_MEMBER = ""
"""Instead of an action: whoever is in the team may."""

SEEN_EVERY_MS = 5 * MINUTE_MS
"""How exact Membership.last_seen_at_ms is."""

THEMES = ("light", "dark", "system")
THEME_COOKIE = "theme"


class TeamRequest(HttpRequest):
    """A request that team_page has let through."""

    user: User
    team: Team
    membership: Membership
    actions: frozenset[str]
    meter_key: str
    memberships: list[Membership]
    hold: SpendingHold | None


@dataclass(frozen=True, slots=True)
class May:
    """`{% if may.stream_create %}` in templates: the same answer that the view gives."""

    actions: frozenset[str]

    def __getitem__(self, name: str) -> bool:
        """By the action's name with an underscore for the colon. An unknown one is a KeyError."""
        action = name.replace("_", ":", 1)
        if action not in ACTIONS:
            raise KeyError(name)
        return allowed(self.actions, action)


def team_page(
    action: str, *, post: str | None = None
) -> Callable[[Callable[Concatenate[TeamRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """A view of one team for people who may do the action (post: another action for POST).

    Signed out: to the sign-in page. No member of the team: 404, as if it did not exist. Not allowed: 403 with the
    reason and who can give it.
    """

    def decorate(view: Callable[Concatenate[TeamRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        @never_cache
        @login_required
        def guarded(request: TeamRequest, team: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            refuse_nul(request)
            enter(request, team)
            wanted = post if post and request.method == "POST" else action
            if wanted != ANY_MEMBER and not allowed(request.actions, wanted):
                return forbidden(request, wanted)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def refuse_nul(request: HttpRequest) -> None:
    """No text of ours holds a NUL, and PostgreSQL takes none. Raises SuspiciousOperation: answered with 400."""
    given = [request.GET, request.POST] if request.method == "POST" else [request.GET]
    if any("\0" in text for values in given for name, texts in values.lists() for text in (name, *texts)):
        raise SuspiciousOperation("a NUL in the query or the form")


def enter(request: TeamRequest, slug: str) -> None:
    """Set the request's team and membership. Raises Http404 for anybody who is not a member."""
    memberships = Membership.objects.filter(user=request.user).order_by("team__name")
    related = ("team", "own_role", "team__spending_hold__budget")
    request.memberships = list(memberships.select_related(*related))
    mine = next((m for m in request.memberships if m.team.slug == slug), None)
    if mine is None:
        raise Http404("no such team")
    request.membership, request.team, request.actions = mine, mine.team, mine.actions
    request.meter_key = METER_KEY
    request.hold = spending_hold.of(mine.team, now_ms())
    _note_seen(mine)
    zones.use(request)


def _note_seen(membership: Membership) -> None:
    """At most one write in SEEN_EVERY_MS."""
    now, last = now_ms(), membership.last_seen_at_ms
    if last is None or now - last >= SEEN_EVERY_MS:
        Membership.objects.filter(pk=membership.pk).update(last_seen_at_ms=now)


def forbidden(request: HttpRequest, action: str) -> HttpResponse:
    """403: which permission is missing, which roles have it, and the id that the log has it under."""
    request_id = calls.request_id(request)
    log.info("page_refused", request_id=request_id, needs=action, method=request.method, path=request.path)
    context = {"action": action, "sentence": ACTIONS[action], "roles": roles_with(action), "request_id": request_id}
    return render(request, "403.html", context, status=403)


def is_fragment(request: HttpRequest) -> bool:
    """True if htmx asks for a part of the page. It chooses the template, never the permission."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the sidebar."""

    label: str
    icon: str
    address: str
    current: bool
    count: int | None = None
    key: str = ""
    """The letter that follows G."""


SECTIONS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("", (("Overview", "layout-dashboard", "overview", "stream:read"),)),
    (
        "Streaming",
        (
            ("Data streams", "waves", "streams", "stream:read"),
            ("Delivery streams", "truck", "delivery-streams", "delivery:read"),
            ("Queues", "list-filter", "queues", "stream:read"),
            ("Import and replay", "upload", "ingestion", "stream:read"),
        ),
    ),
    (
        "Operate",
        (
            ("Metrics and alarms", "chart-line", "alarms", "alarm:read"),
            ("Audit log", "activity", "audit", "audit:read"),
        ),
    ),
    (
        "Team",
        (
            ("Access keys", "key-round", "keys", "key:read"),
            ("API tokens", "plug", "tokens", "token:write"),
            ("API reference", "circle-help", "reference", ANY_MEMBER),
            ("Members and roles", "users", "members", "member:read"),
            ("Billing", "receipt", "billing", "billing:read"),
            ("Settings", "settings", "settings", "team:read"),
        ),
    ),
)
"""Heading, then (label, icon, URL name, permission): only pages that exist."""

GO = {
    "overview": "o", "streams": "d", "delivery-streams": "f", "ingestion": "i", "alarms": "m", "audit": "a", "keys": "k",
    "tokens": "t", "queues": "q", "members": "r", "settings": "s", "billing": "b", "reference": "p", "api-reference": "p",
}  # fmt: skip
"""Letters after G, by URL name."""

FAMILIES = {"dashboard": "alarm", "doc": "delivery"}
"""Pages under the entry of another word than their own URL names begin with."""


def start_of(membership: Membership) -> str:
    """Where a member begins: the first page of the sidebar that their role opens, else the profile."""
    for _, lines in SECTIONS:
        for _, _, name, action in lines:
            if action != ANY_MEMBER and allowed(membership.actions, action):
                return reverse(name, args=[membership.team.slug])
    return reverse("profile", args=[membership.team.slug])


def sections(request: TeamRequest) -> list[tuple[str, list[Entry]]]:
    """The sidebar, as far as this member may go."""
    current = getattr(request.resolver_match, "url_name", "") or ""
    answer = []
    for heading, lines in SECTIONS:
        entries = [
            Entry(label, icon, reverse(name, args=[request.team.slug]),
                  _family(current) == _family(name), _count(request, name), GO.get(name, ""))
            for label, icon, name, action in lines
            if action == ANY_MEMBER or allowed(request.actions, action)
        ]  # fmt: skip
        if entries:
            answer.append((heading, entries))
    return answer


def _family(url_name: str) -> str:
    """`stream` of `streams` and `stream-shards`: what belongs to one entry."""
    word = url_name.partition("-")[0].rstrip("s")
    return FAMILIES.get(word, word)


def _count(request: TeamRequest, name: str) -> int | None:
    place = {"streams": 0, "delivery-streams": 1}.get(name)
    return None if place is None else list_counts(request)[place] or None


def list_counts(request: TeamRequest) -> tuple[int, int]:
    """How many data streams and how many delivery streams the team has; asked once per request, in one query."""
    known: tuple[int, int] | None = getattr(request, "_list_counts", None)
    if known is None:
        found = Team.objects.filter(pk=request.team.pk).values_list(*list_counters("pk")).get()
        known = know_list_counts(request, *found)
    return known


def list_counters(team: str) -> tuple[Coalesce, Coalesce]:
    """The same as expressions, for a query that is made anyhow. team: the name of its column with the team."""

    def counted(rows: QuerySet[Any]) -> Coalesce:
        of_team = rows.filter(team=OuterRef(team)).order_by().values("team").annotate(n=Count("*")).values("n")
        return Coalesce(Subquery(of_team, output_field=IntegerField()), 0)

    return counted(Stream.objects.all()), counted(DeliveryStream.objects.filter(channel_id=""))


def know_list_counts(request: TeamRequest, streams: int, delivery_streams: int) -> tuple[int, int]:
    """Keep them for the sidebar of this request."""
    request._list_counts = (streams, delivery_streams)  # type: ignore[attr-defined]  # noqa: SLF001
    return streams, delivery_streams


def context(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page; the frame's part only inside a team."""
    user = getattr(request, "user", None)
    person = user if isinstance(user, User) else None
    theme = person.theme if person else request.COOKIES.get(THEME_COOKIE, "system")
    answer: dict[str, Any] = {
        "theme": theme if theme in THEMES else "system",
        "density": person.density if person else "normal",
        "shortcuts": person.shortcuts if person else True,
        "zone": zones.name(),
        "endpoint": settings.CONFIG.public_address,
        "region": settings.CONFIG.region,
        "mail_is_kept": not settings.CONFIG.mail_url,
        "oidc": settings.CONFIG.oidc_name if settings.CONFIG.oidc_issuer else "",
    }
    if hasattr(request, "membership"):
        inside = cast("TeamRequest", request)
        answer |= {"team": inside.team, "membership": inside.membership, "may": May(inside.actions)}
        answer |= {"start": start_of(inside.membership), "hold": inside.hold}
        answer |= {"memberships": inside.memberships, "sections": sections(inside), "initials": initials(inside.user)}
    return answer


def initials(user: User) -> str:
    """Two letters for the account's badge: MO for Mira Okafor."""
    parts = (user.name or user.email).replace("@", " ").replace(".", " ").split()
    return "".join(part[0] for part in parts[:2]).upper()
