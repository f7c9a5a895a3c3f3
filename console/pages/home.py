"""The address `/`: on to the person's team, or to the sign-in page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Membership, User
from console.pages.shell import start_of


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The first of the person's teams; a page that says so for somebody without one."""
    assert isinstance(request.user, User)
    rows = Membership.objects.filter(user=request.user).select_related("team", "own_role")
    mine = rows.order_by("team__name").first()
    if mine is None:
        return render(request, "people/no_team.html")
    return redirect(start_of(mine))
