"""Enhanced fan-out consumers of a stream: register, look at, deregister."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.streams.models import Consumer
from apps.streams.operations.consumers import consumers_allowed
from console import calls
from console.pages import samples
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

FIELDS = {
    "ConsumerName": "name",
    "ResourceInUseException": "name",
    "LimitExceededException": "name",
}


class ConsumerForm(forms.Form):
    """RegisterStreamConsumer's only choice."""

    name = forms.CharField(max_length=128)


@team_page("stream:read", post="stream:write")
def consumers(request: TeamRequest, name: str) -> HttpResponse:
    """The list; POST registers one."""
    stream = find(request, name)
    form = ConsumerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            calls.call(
                request, "RegisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName=form.cleaned_data["name"]
            )
        except ServiceError as error:
            calls.put_error(form, error, FIELDS)
        else:
            messages.success(request, f"Consumer {form.cleaned_data['name']} is being registered")
            return redirect("stream-consumers", request.team.slug, name)
    found = list(Consumer.objects.filter(stream=stream).order_by("name"))
    for consumer in found:
        consumer.stream = stream
    context = {
        **frame(request, stream, "stream-consumers"),
        "form": form,
        "consumers": found,
        "changing": any(consumer.status != "ACTIVE" for consumer in found),
        "quota": consumers_allowed(stream, calls.now_ms())[1],
        "cli": samples.register_consumer_cli(str(stream.arn)),
    }
    return render(request, "stream/consumers.html", context, status=422 if request.method == "POST" else 200)


@require_POST
@team_page("stream:write")
def deregister(request: TeamRequest, name: str) -> HttpResponse:
    """Take a consumer away; its subscriptions end."""
    stream = find(request, name)
    consumer = request.POST.get("consumer", "")
    try:
        calls.call(request, "DeregisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName=consumer)
    except ServiceError as error:
        messages.error(request, error.message or error.code)
    else:
        messages.success(request, f"Consumer {consumer} is being deregistered")
    return redirect("stream-consumers", request.team.slug, name)
