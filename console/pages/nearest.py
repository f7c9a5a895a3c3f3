"""What somebody may have meant whose address names nothing: the list it belongs to, and the nearest name in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.models import Membership, Team
from apps.accounts.permissions import allowed
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream

NAMES_LOOKED_AT = 2_000
LIKE = 0.6
"""How alike two names must be, of 1."""

_AT: Final = re.compile(r"/t/([^/]+)/(streams|delivery|alarms/of|dashboards/of)/([^/]{1,300})")


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of things. singular: what one is called."""

    label: str
    singular: str
    listed: str
    one: str
    need: str
    rows: Callable[[Team], QuerySet[Any]]


PLACES: Final = {
    "streams": Place("Data streams", "data stream", "streams", "stream", "stream:read",
                     lambda team: Stream.objects.filter(team=team)),
    "delivery": Place("Delivery streams", "delivery stream", "delivery-streams", "delivery-stream", "delivery:read",
                      lambda team: DeliveryStream.objects.filter(team=team, channel_id="")),
    "alarms/of": Place("Alarms", "alarm", "alarms", "alarm", "alarm:read", lambda team: Alarm.objects.filter(team=team)),
    "dashboards/of": Place("Dashboards", "dashboard", "dashboards", "dashboard", "alarm:read",
                           lambda team: Dashboard.objects.filter(team=team)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """For the page that says that nothing is there. nearest, nearest_address: empty if no name is like it."""

    singular: str
    name: str
    label: str
    address: str
    nearest: str = ""
    nearest_address: str = ""


def guess(request: HttpRequest) -> Guess | None:
    """For members of the team that the address names, as far as they may see; None for anybody else."""
    found = _AT.match(request.path)
    user = getattr(request, "user", None)
    if found is None or user is None or not user.is_authenticated:
        return None
    mine = Membership.objects.filter(user=user, team__slug=found[1]).select_related("team", "own_role").first()
    place, name = PLACES[found[2]], unquote(found[3])
    if mine is None or not allowed(mine.actions, place.need):
        return None
    names = list(place.rows(mine.team).order_by("name").values_list("name", flat=True)[:NAMES_LOOKED_AT])
    listed = reverse(place.listed, args=[mine.team.slug])
    if name in names:
        return Guess("", name, place.label, listed)
    near = difflib.get_close_matches(name, names, 1, LIKE)
    if not near:
        return Guess(place.singular, name, place.label, listed)
    return Guess(place.singular, name, place.label, listed, near[0], reverse(place.one, args=[mine.team.slug, near[0]]))
