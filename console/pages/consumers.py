"""Who reads a stream: pollers, and enhanced fan-out consumers, which are registered and deregistered here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.streams.models import Consumer, Stream
from apps.streams.operations.consumers import consumers_allowed
from console import calls
from console.pages import costs, samples
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame
from console.pages.stream_readers import fan_out, pollers

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
    stream: Any = find(request, name)
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
    pages = Paginator(Consumer.objects.filter(stream=stream).order_by("name"), RICH_ROWS)
    pages.count = stream.consumer_count
    page, polling = pages.get_page(request.GET.get("page")), pollers(request, stream)
    found = fan_out(request, stream, list(page))
    context = {
        **frame(request, stream, "stream-consumers"),
        **_costs(request, stream, [one.consumer.name for one in found]),
        "form": form,
        "pollers": polling,
        "polling": Paginator(polling or [], RICH_ROWS).get_page(request.GET.get("readers")),
        "page": page,
        "consumers": found,
        "changing": any(one.consumer.status != "ACTIVE" for one in found),
        "quota": consumers_allowed(stream, calls.now_ms())[1],
        "cli": samples.register_consumer_cli(str(stream.arn)),
    }
    return render(request, "stream/consumers.html", context, status=422 if request.method == "POST" else 200)


def _costs(request: TeamRequest, stream: Any, names: list[str]) -> dict[str, Any]:
    """What each consumer has cost this month, and what one more would cost; nothing for people who do not see money."""
    spent = costs.of_consumers(request, stream, names)
    if spent is None:
        return {}
    plan = costs.plan_of(request, stream)
    return {
        "spent": spent,
        "month": costs.month_words(),
        "billing_address": costs.address_of(request, f"{costs.STREAM}/{stream.name}"),
        "cost": costs.change(request, plan, plan.changed(consumers=plan.consumers + 1)),
    }


NAME_CHARS_MAX = 128


@team_page("stream:write")
def deregister(request: TeamRequest, name: str) -> HttpResponse:
    """Take a consumer away, for people who have typed its name; its subscriptions end."""
    stream = find(request, name)
    consumer = (request.POST if request.method == "POST" else request.GET).get("consumer", "")
    if not Consumer.objects.filter(stream=stream, name=consumer).exists():
        if request.method != "POST":
            raise Http404("no such consumer")
        messages.error(request, f"There is no consumer {consumer}")
        return redirect("stream-consumers", request.team.slug, name)
    form = NameForm(request.POST or None, wanted=consumer, to="deregister it", chars_max=NAME_CHARS_MAX)
    if request.method == "POST" and form.is_valid() and _deregistered(request, stream, consumer, form):
        messages.success(request, f"Consumer {consumer} is being deregistered")
        return redirect("stream-consumers", request.team.slug, name)
    context = {**frame(request, stream, "stream-consumers"), "form": form, "consumer": consumer}
    return render(request, "stream/deregister.html", context, status=422 if request.method == "POST" else 200)


def _deregistered(request: TeamRequest, stream: Stream, consumer: str, form: NameForm) -> bool:
    try:
        calls.call(request, "DeregisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName=consumer)
    except ServiceError as error:
        calls.put_error(form, error, {error.code: "name"})
        return False
    return True
