"""The tab Configuration: retention, tags, and deletion. Each part saves alone, by the operation that AWS has for it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.streams.models import Consumer, Tag
from console import calls
from console.pages import words
from console.pages.create import TagField
from console.pages.faults_form import FaultsForm, as_fields
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

RETENTION_HOURS = (24, 8_760)
UNITS = [("hours", "hours"), ("days", "days")]


class RetentionForm(forms.Form):
    """A number and its unit."""

    amount = forms.IntegerField(min_value=1, max_value=RETENTION_HOURS[1])
    unit = forms.ChoiceField(choices=UNITS)

    def clean(self) -> dict[str, Any]:
        """Within what AWS allows."""
        given = super().clean() or self.cleaned_data
        least, most = RETENTION_HOURS
        if "amount" in given and "unit" in given and not least <= self.hours() <= most:
            self.add_error("amount", f"From {least} hours to {most // 24} days.")
        return given

    def hours(self) -> int:
        """Asked for."""
        return self.cleaned_data["amount"] * (24 if self.cleaned_data["unit"] == "days" else 1)


class TagsForm(forms.Form):
    """All tags of the stream, one a line."""

    tags = TagField(required=False)


@team_page("stream:read", post="stream:write")
def configuration(request: TeamRequest, name: str) -> HttpResponse:
    """The three parts."""
    stream = find(request, name)
    part = request.POST.get("part", "")
    context = parts(request, stream, part)
    tags, retention_form, tags_form = context["tags"], context["retention_form"], context["tags_form"]
    if part == "retention" and retention_form.is_valid() and _set_retention(request, stream, retention_form):
        messages.success(request, f"Records are kept for {words.retention_words(retention_form.hours())}")
        return redirect("stream-configuration", request.team.slug, name)
    if part == "tags" and tags_form.is_valid() and _set_tags(request, stream, tags, tags_form):
        messages.success(request, "Tags saved")
        return redirect("stream-configuration", request.team.slug, name)
    return render(request, "stream/configuration.html", context, status=422 if part else 200)


def parts(request: TeamRequest, stream: Any, part: str) -> dict[str, Any]:
    """Context of the tab: a form for each part, the one that was sent with what was written into it."""
    tags = {tag.key: tag.value for tag in Tag.objects.filter(stream=stream).order_by("key")}
    lines = "\n".join(f"{key}={value}" if value else key for key, value in tags.items())
    sent = {name: request.POST if part == name else None for name in ("retention", "tags", "faults")}
    return {
        **frame(request, stream, "stream-configuration"),
        "retention_form": RetentionForm(sent["retention"], initial=_as_units(stream.retention_hours)),
        "tags_form": TagsForm(sent["tags"], initial={"tags": lines}),
        "faults_form": FaultsForm(sent["faults"], initial=as_fields(stream)),
        "tags": tags,
    }


def _as_units(hours: int) -> dict[str, Any]:
    return {"amount": hours // 24, "unit": "days"} if hours % 24 == 0 else {"amount": hours, "unit": "hours"}


def _set_retention(request: TeamRequest, stream: Any, form: RetentionForm) -> bool:
    hours = form.hours()
    operation = ("Increase" if hours >= stream.retention_hours else "Decrease") + "StreamRetentionPeriod"
    try:
        calls.call(request, operation, StreamName=stream.name, RetentionPeriodHours=hours)
    except ServiceError as error:
        calls.put_error(form, error, {error.code: "amount", "RetentionPeriodHours": "amount"})
        return False
    return True


def _set_tags(request: TeamRequest, stream: Any, now: dict[str, str], form: TagsForm) -> bool:
    """Add what is new or changed first, so that a refusal leaves the tags as they were."""
    wanted = form.cleaned_data["tags"]
    added = {key: value for key, value in wanted.items() if now.get(key) != value}
    removed = [key for key in now if key not in wanted]
    try:
        if added:
            calls.call(request, "AddTagsToStream", StreamName=stream.name, Tags=added)
        if removed:
            calls.call(request, "RemoveTagsFromStream", StreamName=stream.name, TagKeys=removed)
    except ServiceError as error:
        calls.put_error(form, error, {error.code: "tags", "Tags": "tags", "TagKeys": "tags"})
        return False
    return True


class DeleteForm(forms.Form):
    """The name, typed."""

    name = forms.CharField(max_length=128)
    consumers = forms.BooleanField(required=False)


@team_page("stream:delete")
def delete(request: TeamRequest, name: str) -> HttpResponse:
    """Delete the stream, its records and its consumers, for people who have typed its name."""
    stream = find(request, name)
    form = DeleteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["name"] != name:
            form.add_error("name", f"Type {name} to delete it.")
        elif _delete(request, stream, form):
            messages.success(request, f"Data stream {name} is being deleted")
            return redirect("streams", request.team.slug)
    context = {
        **frame(request, stream, "stream-configuration"),
        "form": form,
        "readers": list(Consumer.objects.filter(stream=stream).order_by("name").values_list("name", flat=True)),
    }
    return render(request, "stream/delete.html", context, status=422 if request.method == "POST" else 200)


def _delete(request: TeamRequest, stream: Any, form: DeleteForm) -> bool:
    try:
        calls.call(
            request, "DeleteStream", StreamName=stream.name, EnforceConsumerDeletion=form.cleaned_data["consumers"]
        )  # fmt: skip
    except ServiceError as error:
        calls.put_error(form, error, {"ResourceInUseException": "consumers"})
        return False
    return True
