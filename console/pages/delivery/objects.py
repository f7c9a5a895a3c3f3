"""The tab Delivered: the newest objects that were written, and what stands in one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any, cast

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from apps.delivery import looking
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.looking import Seen
from apps.delivery.models import DeliveredObject, DestinationType
from apps.delivery.object_file import ObjectFile
from console import calls
from console.live.hub import in_thread
from console.pages.delivery.advice import PARTS
from console.pages.delivery.detail import find, frame
from console.pages.shell import TeamRequest, is_fragment, team_page

PAGE_OBJECTS = 50
PAGE_DIGITS_MAX = 6
NAME_CHARACTERS_MAX = 200
PIECE_BYTES = 1_048_576


@team_page("record:read")
def objects(request: TeamRequest, name: str) -> HttpResponse:
    """The list, newest first; for htmx the table alone."""
    row = find(request, name)
    part = request.GET.get("part", "")
    text = request.GET.get("page", "")
    page = max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS_MAX else 1
    rows = DeliveredObject.objects.filter(delivery_stream=row).order_by("-at_ms", "-pk")
    if part in PARTS:
        rows = rows.filter(part=part)
    total = rows.count()
    context = {
        **frame(request, row, "delivery-objects"),
        "objects": list(rows[(page - 1) * PAGE_OBJECTS : page * PAGE_OBJECTS]),
        "parts": {key: PARTS[key] for key in ("destination", "backup", "errors")},
        "part": part if part in PARTS else "",
        "total": total,
        "page": page,
        "pages": max(1, math.ceil(total / PAGE_OBJECTS)),
        "writes_objects": row.destination_type in {DestinationType.S3, DestinationType.REDSHIFT},
    }
    return render(request, "delivery/objects_table.html" if is_fragment(request) else "delivery/objects.html", context)


def _object(row: Any, number: int) -> DeliveredObject:
    """One of the delivery stream's own. Raises Http404."""
    found = None
    if number < 2**63:
        rows = DeliveredObject.objects.filter(delivery_stream=row, pk=number)
        found = rows.select_related("delivery_stream__team").first()
    if found is None:
        raise Http404("no such object")
    return found


@team_page("record:read")
def looking_at(request: TeamRequest, name: str, number: int) -> HttpResponse:
    """The beginning of an object."""
    row = find(request, name)
    found = _object(row, number)
    return _shown(request, row, found, looking.look(calls.runtime(), found))


def _shown(request: TeamRequest, row: Any, found: DeliveredObject, seen: Seen, status: int = 200) -> HttpResponse:
    context = {
        **frame(request, row, "delivery-objects"),
        "object": found,
        "part_words": PARTS.get(found.part, found.part),
        "seen": seen,
    }
    return render(request, "delivery/object.html", context, status=status)


@team_page("record:read")
def download(request: TeamRequest, name: str, number: int) -> HttpResponse:
    """The whole object, as it lies in the bucket."""
    row = find(request, name)
    found = _object(row, number)
    try:
        file = looking.opened(calls.runtime(), found)
    except DeliveryFailed as error:
        return _shown(request, row, found, Seen(problem=f"{error.code}: {error.message}"), status=502)
    return cast("HttpResponse", attachment(file, found.key))


def attachment(file: ObjectFile, key: str) -> StreamingHttpResponse:
    """The whole of an object, to be saved under the end of its key."""
    answer = StreamingHttpResponse(_pieces(file), content_type="application/octet-stream")
    answer["Content-Length"] = str(file.size_bytes)
    plain = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in key.rpartition("/")[2])
    answer["Content-Disposition"] = f'attachment; filename="{plain[-NAME_CHARACTERS_MAX:] or "object"}"'
    return answer


async def _pieces(file: ObjectFile) -> AsyncIterator[bytes]:
    """A range at a time, read on a thread: neither the loop nor the memory has to hold an object."""
    while piece := await in_thread(file.read, PIECE_BYTES):
        yield piece
