"""Who is at the other end, and what may this person see now: asked at the start, at each subscription, each minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.utils.crypto import constant_time_compare

from apps.accounts.models import Membership, User
from apps.accounts.permissions import allowed
from apps.delivery.metrics import series_key
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream


@dataclass(frozen=True, slots=True)
class Standing:
    """A member of a team, as of when it was looked up."""

    user_id: int
    team_id: int
    actions: frozenset[str]

    def may(self, need: str) -> bool:
        """Does the role have this permission?"""
        return allowed(self.actions, need)


def signed_in(session_key: str | None) -> int | None:
    """The person whose session it is, or None: signed out, password changed, or switched off since."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user_id = session.get(SESSION_KEY) if session_key else None
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return user.pk


def standing(user_id: int, team_slug: str) -> Standing | None:
    """The person's place in the team, or None if there is none."""
    mine = Membership.objects.filter(user_id=user_id, team__slug=team_slug).select_related("own_role").first()
    return Standing(user_id, mine.team_id, mine.actions) if mine else None


def series_ids(team_id: int, of: str, names: Iterable[str]) -> dict[str, int]:
    """Of those of these names that the team has: keys of their series. of: stream, delivery or channel."""
    if of == "stream":
        return dict(Stream.objects.filter(team_id=team_id, name__in=set(names)).values_list("name", "id"))
    rows = DeliveryStream.objects.filter(team_id=team_id, name__in=set(names))
    rows = rows.exclude(channel_id="") if of == "channel" else rows.filter(channel_id="")
    return {name: series_key(pk) for name, pk in rows.values_list("name", "id")}
