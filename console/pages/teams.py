"""Several teams: all of one's own with a search, and a new one by people who run the installation."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from apps.accounts.models import Membership, User
from apps.teams import teams
from apps.teams.authority import Refused
from console import asker, calls
from console.pages.shell import refuse_nul

ROWS = 50
TEXT_CHARS_MAX = 80


class TeamForm(forms.Form):
    """A new team."""

    name = forms.CharField(max_length=teams.NAME_CHARS_MAX)
    slug = forms.CharField(max_length=teams.SLUG_CHARS_MAX)
    environment = forms.ChoiceField(choices=list(teams.ENVIRONMENTS.items()))


@never_cache
@login_required
def listing(request: HttpRequest) -> HttpResponse:
    """The signed-in person's teams."""
    refuse_nul(request)
    person = cast("User", request.user)
    text = request.GET.get("q", "").strip()[:TEXT_CHARS_MAX]
    mine = Membership.objects.filter(user=person).select_related("team", "own_role").order_by("team__name", "pk")
    if text:
        found = Q(team__name__icontains=text) | Q(team__slug__icontains=text) | Q(team__account_id=text)
        mine = mine.filter(found | Q(team__environment__iexact=text))
    page = Paginator(mine, ROWS).get_page(request.GET.get("page"))
    return render(request, "team/teams.html", {"page": page, "text": text, "now_ms": calls.now_ms()})


@never_cache
@login_required
def create(request: HttpRequest) -> HttpResponse:
    """A new team; its maker is its owner."""
    refuse_nul(request)
    person = cast("User", request.user)
    if not person.is_staff:
        return render(request, "team/not_staff.html", status=403)
    form = TeamForm(request.POST or None, initial={"environment": "production"})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = teams.create(calls.actor(request), person, given["slug"], given["name"], given["environment"])
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Team {made.name} created. Its account is {made.account_id}.")
            return redirect("overview", made.slug)
    return render(request, "team/new.html", {"form": form}, status=422 if request.method == "POST" else 200)
