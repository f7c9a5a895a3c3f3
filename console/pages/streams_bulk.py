"""What is done to several data streams of the list at once: tags, deletion; and which columns the list has."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.base.units import DAY_MS, SECOND_MS
from apps.streams.models import Stream
from console import calls
from console.pages import words
from console.pages.dependants import dependants_of
from console.pages.shell import TeamRequest, team_page
from console.pages.streams import COLUMNS, COLUMNS_COOKIE, PAGE_ROWS
from console.pages.tag_field import TagField

NAMES_TOLD = 5
COOKIE_S = 365 * DAY_MS // SECOND_MS


class BulkTagForm(forms.Form):
    """Tags to set, and keys to take away."""

    tags = TagField(required=False)
    remove = forms.CharField(required=False, widget=forms.Textarea)

    def clean_remove(self) -> list[str]:
        """One key a line."""
        return [line.strip() for line in self.cleaned_data["remove"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        """Something must be asked for, and not both of one key."""
        given = super().clean() or self.cleaned_data
        both = set(given.get("tags") or {}) & set(given.get("remove") or [])
        if both:
            self.add_error("remove", f"{', '.join(sorted(both))}: set and removed at once.")
        if not self.errors and not given.get("tags") and not given.get("remove"):
            self.add_error("tags", "Write at least one tag.")
        return given


class BulkDeleteForm(forms.Form):
    """The names, typed once more."""

    names = forms.CharField(widget=forms.Textarea)
    consumers = forms.BooleanField(required=False)

    def typed(self) -> set[str]:
        """One name a line, or apart by spaces or commas."""
        return set(self.cleaned_data["names"].replace(",", " ").split())


@team_page("stream:write")
def tag(request: TeamRequest) -> HttpResponse:
    """Set and remove tags of the streams named by `n=`."""
    chosen = _chosen(request)
    form = BulkTagForm(request.POST or None)
    if not chosen:
        return _none_chosen(request)
    if request.method == "POST" and form.is_valid():
        failed = _each(chosen, lambda stream: _tag(request, stream, form.cleaned_data))
        _tell(request, f"Tags changed on {words.plural(len(chosen) - len(failed), 'stream')}", chosen, failed)
        return redirect("streams", request.team.slug)
    context = {"form": form, "streams": chosen}
    return render(request, "streams/tag.html", context, status=422 if request.method == "POST" else 200)


def _tag(request: TeamRequest, stream: Stream, given: dict[str, Any]) -> None:
    if given["tags"]:
        calls.call(request, "AddTagsToStream", StreamName=stream.name, Tags=given["tags"])
    if given["remove"]:
        calls.call(request, "RemoveTagsFromStream", StreamName=stream.name, TagKeys=given["remove"])


@team_page("stream:delete")
def delete(request: TeamRequest) -> HttpResponse:
    """Delete the streams named by `n=`, for people who have typed their names."""
    chosen = _chosen(request)
    form = BulkDeleteForm(request.POST or None)
    if not chosen:
        return _none_chosen(request)
    if request.method == "POST" and form.is_valid():
        names = {stream.name for stream in chosen}
        if form.typed() != names:
            form.add_error("names", _difference(names, form.typed()))
        else:
            consumers = form.cleaned_data["consumers"]
            failed = _each(chosen, lambda stream: _delete(request, stream, consumers=consumers))
            gone = words.plural(len(chosen) - len(failed), "data stream")
            _tell(request, f"{gone} being deleted", chosen, failed)
            return redirect("streams", request.team.slug)
    found = dependants_of(request, chosen)
    context = {"form": form, "streams": [(stream, found[stream.name]) for stream in chosen]}
    context["consumers"] = sum(len(one.consumers) for one in found.values())
    return render(request, "streams/delete.html", context, status=422 if request.method == "POST" else 200)


def _delete(request: TeamRequest, stream: Stream, *, consumers: bool) -> None:
    calls.call(request, "DeleteStream", StreamName=stream.name, EnforceConsumerDeletion=consumers)


def _difference(names: set[str], typed: set[str]) -> str:
    missing, other = sorted(names - typed), sorted(typed - names)
    if missing:
        return f"Not typed: {', '.join(missing[:NAMES_TOLD])}{' …' if len(missing) > NAMES_TOLD else ''}."
    return f"Not chosen: {', '.join(other[:NAMES_TOLD])}{' …' if len(other) > NAMES_TOLD else ''}."


def _chosen(request: TeamRequest) -> list[Stream]:
    """The team's streams named in the address or the form; a page of the list has no more."""
    names = (request.POST if request.method == "POST" else request.GET).getlist("n")[:PAGE_ROWS]
    return list(Stream.objects.filter(team=request.team, name__in=names).order_by("name"))


def _none_chosen(request: TeamRequest) -> HttpResponse:
    return render(request, "streams/none_chosen.html", status=422 if request.method == "POST" else 200)


def _each(chosen: list[Stream], do: Any) -> dict[str, str]:
    """Do it to each, whatever becomes of the others. What went wrong, by name."""
    failed = {}
    for stream in chosen:
        try:
            do(stream)
        except ServiceError as error:
            failed[stream.name] = error.message or error.code
    return failed


def _tell(request: TeamRequest, done: str, chosen: list[Stream], failed: dict[str, str]) -> None:
    if len(failed) < len(chosen):
        messages.success(request, done)
    for name, why in list(failed.items())[:NAMES_TOLD]:
        messages.error(request, f"{name}: {why}")
    if len(failed) > NAMES_TOLD:
        messages.error(request, f"{len(failed) - NAMES_TOLD} more were refused")


@require_POST
@team_page("stream:read")
def columns(request: TeamRequest) -> HttpResponse:
    """Keep which columns this browser shows, and go back to the list as it was."""
    chosen = [name for name in COLUMNS if name in request.POST.getlist("column")]
    query = QueryDict(request.POST.get("query", "").lstrip("?")).urlencode()
    answer = redirect(reverse("streams", args=[request.team.slug]) + (f"?{query}" if query else ""))
    secure = settings.SESSION_COOKIE_SECURE
    value = ".".join(chosen)
    answer.set_cookie(COLUMNS_COOKIE, value, max_age=COOKIE_S, httponly=True, samesite="Lax", secure=secure)
    return answer
