"""Pages of people who run the installation (User.is_staff): for everybody else they do not exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import Http404, HttpResponse

from console.pages.shell import ANY_MEMBER, TeamRequest, team_page

P = ParamSpec("P")


def operator_page(view: Callable[Concatenate[TeamRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """A view about all teams, in the frame of one that the operator is a member of. Others: 404."""

    @wraps(view)
    def guarded(request: TeamRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not (request.user.is_staff and request.user.is_active):
            raise Http404("no such page")
        return view(request, *args, **kwargs)

    return team_page(ANY_MEMBER)(guarded)
