"""Views of people who run the installation (User.is_staff): of all teams, and 404 for everybody else, as the pages are.

A token may do what its scopes and its member's role allow, and no less here: billing:read to look, billing:write to change, in
the team that it speaks for. So a token that an operator gave a program for streams never publishes prices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

from apps.accounts.models import Team
from apps.teams.authority import Refused
from console.api.request import ApiRequest
from console.api.view import ApiView, HasNeededAction

TAG: Final = "Operator"
SLUG_CHARS_MAX: Final = 50


class IsOperator(BasePermission):
    """Whoever does not run the installation finds nothing here."""

    def has_permission(self, request: ApiRequest, view: APIView) -> bool:  # type: ignore[override]  # noqa: ARG002 - its hook
        """Raises Http404."""
        if not (request.user.is_staff and request.user.is_active):
            raise Http404
        return True


class OperatorView(ApiView):
    """An address about all teams. The functions that change something ask once more, in their transaction."""

    tag = TAG
    of_all_teams = True
    permission_classes = (HasNeededAction, IsOperator)  # type: ignore[assignment]  # one more than the base view has


def team_named(slug: str, field: str = "team") -> Team:
    """By its short name. Raises ValidationError at the field."""
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise ValidationError({field: "There is no such team."})
    return found


@contextmanager
def told_at(members: Mapping[str, str]) -> Iterator[None]:
    """What is refused inside is told at the member that has another name than the rule's field."""
    try:
        yield
    except Refused as error:
        error.field = members.get(error.field, error.field)
        raise
