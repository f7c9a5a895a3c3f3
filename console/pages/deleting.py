"""Deleting a data stream, for people who have typed its name and seen what depends on it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from console import calls
from console.pages.dependants import dependants_of
from console.pages.name_form import NameForm
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

STREAM_NAME_CHARS_MAX = 128


class DeleteForm(NameForm):
    """The name, typed, and whether consumers go with it."""

    consumers = forms.BooleanField(required=False)


@team_page("stream:delete")
def delete(request: TeamRequest, name: str) -> HttpResponse:
    """Delete the stream, its records and its consumers."""
    stream = find(request, name)
    form = DeleteForm(request.POST or None, wanted=name, chars_max=STREAM_NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid() and _delete(request, stream, form):
        messages.success(request, f"Data stream {name} is being deleted")
        return redirect("streams", request.team.slug)
    context = {
        **frame(request, stream, "stream-configuration"),
        "form": form,
        "dependants": dependants_of(request, [stream])[name],
    }
    return render(request, "stream/delete.html", context, status=422 if request.method == "POST" else 200)


def _delete(request: TeamRequest, stream: Any, form: DeleteForm) -> bool:
    with_consumers = form.cleaned_data["consumers"]
    try:
        calls.call(request, "DeleteStream", StreamName=stream.name, EnforceConsumerDeletion=with_consumers)
    except ServiceError as error:
        calls.put_error(form, error, {"ResourceInUseException": "name" if with_consumers else "consumers"})
        return False
    return True
