"""The command palette's answers: streams and delivery streams by name, actions, pages. What a member may not do is shown with the reason,
and only when it was searched for by its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.accounts.permissions import allowed
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console.pages.shell import TeamRequest, team_page

STREAMS_SHOWN = 6
_STREAM_PATH = re.compile(r"^/t/[^/]+/streams/([a-zA-Z0-9_.~-]{1,130})(?:/|$)")

_DELIVERY_PATH = re.compile(r"^/t/[^/]+/delivery/([a-zA-Z0-9_.~-]{1,130})(?:/|$)")


@dataclass(frozen=True, slots=True)
class Option:
    """One line. needs: the missing permission, if the member lacks it."""

    icon: str
    label: str
    address: str
    hint: str = ""
    needs: str = ""


PAGES = (
    ("layout-dashboard", "Overview", "overview", "stream:read", "G O"),
    ("waves", "Data streams", "streams", "stream:read", "G D"),
    ("truck", "Delivery streams", "delivery-streams", "delivery:read", "G F"),
    ("upload", "Import and replay", "ingestion", "stream:read", "G I"),
    ("key-round", "Access keys", "keys", "key:read", "G K"),
    ("user", "Profile", "profile", "stream:read", ""),
    ("plus", "Create data stream", "stream-create", "stream:create", "N"),
    ("plus", "Create delivery stream", "delivery-create", "delivery:create", ""),
)

ACTIONS = (
    ("search", "Data viewer", "stream-records", "record:read"),
    ("play", "Send test records", "stream-put", "record:write"),
    ("split", "Split shard", "stream-split", "stream:reshard"),
    ("split", "Change the number of shards", "stream-count", "stream:reshard"),
    ("activity", "Monitoring", "stream-monitoring", "stream:read"),
    ("table-2", "Shards", "stream-shards", "stream:read"),
    ("users", "Consumers", "stream-consumers", "stream:read"),
    ("plug", "Connect", "stream-connect", "stream:read"),
    ("settings", "Configuration", "stream-configuration", "stream:read"),
)

DELIVERY_ACTIONS = (
    ("play", "Send demo data", "delivery-demo", "record:write"),
    ("table-2", "Delivered objects", "delivery-objects", "record:read"),
    ("triangle-alert", "Errors of deliveries", "delivery-errors", "delivery:read"),
    ("split", "Lanes", "delivery-lanes", "delivery:read"),
    ("repeat", "Redrive failed records", "delivery-redrive", "delivery:write"),
    ("settings", "Configuration of the delivery", "delivery-configuration", "delivery:read"),
)


@team_page("stream:read")
def palette(request: TeamRequest) -> HttpResponse:
    """The options for what is typed so far."""
    text = request.GET.get("q", "").strip()[:128]
    streams, deliveries = _streams(request, text), _deliveries(request, text)
    groups = [
        ("Streams", [_of_stream(request, stream) for stream in streams]),
        ("Delivery streams", [_of_delivery(request, delivery) for delivery in deliveries]),
    ]
    at = _here(request, streams, text)
    if at:
        actions = [_option(request, icon, label, name, action, [at]) for icon, label, name, action in ACTIONS]
        groups.append((f"Actions on {at}", _shown(actions, text, keep=bool(streams) and bool(text))))
    at = _there(request, deliveries, text)
    if at:
        actions = [_option(request, icon, label, name, action, [at]) for icon, label, name, action in DELIVERY_ACTIONS]
        keep = bool(deliveries) and bool(text) and not streams
        groups.append((f"Actions on {at}, delivery", _shown(actions, text, keep=keep)))
    pages = [_option(request, icon, label, name, action, [], hint) for icon, label, name, action, hint in PAGES]
    groups.append(("Go to", _shown(pages, text, keep=False)))
    found = [(heading, options) for heading, options in groups if options]
    return render(request, "shell/palette_options.html", {"groups": found, "text": text})


def _streams(request: TeamRequest, text: str) -> list[Stream]:
    mine = Stream.objects.filter(team=request.team)
    if text:
        mine = mine.filter(name__icontains=text)
    return list(mine.order_by("name")[:STREAMS_SHOWN])


def _deliveries(request: TeamRequest, text: str) -> list[DeliveryStream]:
    if not allowed(request.actions, "delivery:read"):
        return []
    mine = DeliveryStream.objects.filter(team=request.team, channel_id="")
    if text:
        mine = mine.filter(name__icontains=text)
    return list(mine.order_by("name")[:STREAMS_SHOWN])


def _there(request: TeamRequest, deliveries: list[DeliveryStream], text: str) -> str:
    """The delivery stream whose actions are offered: as _here."""
    if text and deliveries:
        return deliveries[0].name
    found = _DELIVERY_PATH.match(request.GET.get("at", ""))
    mine = DeliveryStream.objects.filter(team=request.team, channel_id="")
    return found[1] if found and mine.filter(name=found[1]).exists() else ""


def _of_delivery(request: TeamRequest, delivery: DeliveryStream) -> Option:
    return Option(
        "truck",
        delivery.name,
        reverse("delivery-stream", args=[request.team.slug, delivery.name]),
        f"delivery stream, {delivery.status.lower()}",
    )


def _here(request: TeamRequest, streams: list[Stream], text: str) -> str:
    """The stream whose actions are offered: the first that matches, else the one whose page is open."""
    if text and streams:
        return streams[0].name
    found = _STREAM_PATH.match(request.GET.get("at", ""))
    if found and Stream.objects.filter(team=request.team, name=found[1]).exists():
        return found[1]
    return ""


def _of_stream(request: TeamRequest, stream: Stream) -> Option:
    return Option(
        "waves",
        stream.name,
        reverse("stream", args=[request.team.slug, stream.name]),
        f"data stream, {stream.status.lower()}",
    )


def _option(
    request: TeamRequest, icon: str, label: str, name: str, action: str, arguments: list[str], hint: str = ""
) -> Option:  # fmt: skip
    needs = "" if allowed(request.actions, action) else action
    return Option(icon, label, reverse(name, args=[request.team.slug, *arguments]), hint, needs)


def _shown(options: list[Option], text: str, *, keep: bool) -> list[Option]:
    """Those that match; keep: all, as what was typed names the stream. Locked ones only by their exact name."""
    wanted = text.lower()
    return [
        option
        for option in options
        if (option.label.lower() == wanted if option.needs else keep or wanted in option.label.lower())
    ]
