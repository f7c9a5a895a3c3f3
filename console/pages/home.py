"""The address `/`: on to the person's team, or to the sign-in page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Membership, User


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The first of the person's teams; a page that says so for somebody without one."""
    assert isinstance(request.user, User)
    mine = Membership.objects.filter(user=request.user).select_related("team").order_by("team__name").first()
    if mine is None:
        return render(request, "people/no_team.html")
    return redirect("overview", mine.team.slug)
