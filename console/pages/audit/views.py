"""Saved views: filters that a person keeps under a name, in one team."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console import calls
from console.models import SavedView
from console.pages.shell import TeamRequest, team_page

VIEWS_MAX = 30
"""Of one person in one team."""

KEPT = ("q", "range", "outcome", "kind")


class ViewForm(forms.Form):
    """A name, and the query string that it stands for."""

    name = forms.CharField(max_length=40)
    query = forms.CharField(max_length=1_000, required=False)

    def clean_query(self) -> str:
        """The filters of the address and nothing else."""
        given = dict(parse_qsl(self.cleaned_data["query"]))
        return urlencode({name: given[name] for name in KEPT if given.get(name)})


def of(request: TeamRequest) -> QuerySet[SavedView]:
    """This person's, by name."""
    return SavedView.objects.filter(team=request.team, user=request.user).order_by("name")


@require_POST
@team_page("audit:read")
def save(request: TeamRequest) -> HttpResponse:
    """Keep the filters of the page under a name; one of that name is replaced."""
    form = ViewForm(request.POST)
    if not form.is_valid():
        problems = " ".join(str(error) for errors in form.errors.values() for error in errors)
        messages.error(request, f"The view was not saved. {problems}")
        return redirect("audit", request.team.slug)
    name, query = form.cleaned_data["name"], form.cleaned_data["query"]
    is_new = not of(request).filter(name=name).exists()
    if is_new and of(request).count() >= VIEWS_MAX:
        messages.error(request, f"You have {VIEWS_MAX} views in this team already. Delete one first.")
    else:
        _write(request, name, query)
        messages.success(request, f"View {name} is saved")
    return redirect(f"{reverse('audit', args=[request.team.slug])}?{query}")


def _write(request: TeamRequest, name: str, query: str) -> None:
    try:
        with transaction.atomic():
            SavedView.objects.update_or_create(
                team=request.team, user=request.user, name=name,
                defaults={"query": query}, create_defaults={"query": query, "created_at_ms": calls.now_ms()},
            )  # fmt: skip
    except IntegrityError:
        of(request).filter(name=name).update(query=query)  # saved twice at once


@require_POST
@team_page("audit:read")
def delete(request: TeamRequest, view: int) -> HttpResponse:
    """Forget one of one's own."""
    found = of(request).filter(pk=view).first()
    if found is None:
        raise Http404("no such view")
    found.delete()
    messages.success(request, f"View {found.name} is deleted")
    return redirect("audit", request.team.slug)
