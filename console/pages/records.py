"""The data viewer: get, follow, open, download. All of its state is in the address."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.streams import hashkeys
from apps.streams.models import Shard, Stream
from apps.streams.operations.shards import shown
from console import calls
from console.decoding.choice import Decoding
from console.pages import costs, reading, record_filter, record_views
from console.pages.decoding import DecodedFilter, decoding_of, pieces_of, rows_of
from console.pages.page_rows import around
from console.pages.reading import PAGE_ROWS, SCAN_ROWS, Found, Page, Positions
from console.pages.record_filter import FilterError, RecordFilter, Wanted
from console.pages.shell import TeamRequest, is_fragment, team_page
from console.pages.stream import find, frame

STARTS = {
    "newest": "Newest records",
    "oldest": "Oldest records",
    "time": "At a time, UTC",
    "at": "At sequence number",
    "after": "After sequence number",
}
"""The five starting positions; `newest` looks back from LATEST."""

BY_NUMBER = frozenset({"at", "after"})
"""Those of one shard: a sequence number says which."""

VIEWS = {"decoded": "Decoded", "json": "JSON", "raw": "Raw", "hex": "Hex", "meta": "Metadata"}

FOLLOW_ROWS = 50
"""A second. What comes quicker is counted as skipped."""

LATEST_ROWS = 8
FOLLOW_BODY_MAX = 16 * 1024
_POSITION = re.compile(r"(\d{1,9})-(\d{1,19})")
_ADDRESS = re.compile(r"(\d{1,12}):(\d{1,60})")
_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


@dataclass(slots=True)
class Query:
    """What the address asks for. problems: by field, what is wrong with it."""

    shards: list[Shard]
    """Those to read."""
    shard: str = ""
    start: str = "newest"
    at: str = ""
    at_ms: int = 0
    filter: Wanted = field(default_factory=lambda: RecordFilter(""))
    filter_text: str = ""
    positions: Positions = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    too_many: bool = False
    closed: list[Shard] = field(default_factory=list)
    """Those that all open shards leave out, and that may have records from the starting position on."""


def read_query(values: Any, shards: list[Shard], now_ms: int, decoding: Decoding) -> Query:
    """Take the address apart. Nothing is ignored: what cannot be understood is a problem at its field."""
    opened = [shard for shard in shards if shard.closed_at_ms is None]
    query = Query(opened, values.get("shard", ""), values.get("start") or "newest", values.get("at", "").strip())
    if query.shard:
        query.shards = [shard for shard in shards if f"{shard.index:04d}" == query.shard]
        if not query.shards:
            query.problems["shard"] = f"There is no shard {query.shard} (any more)."
    query.too_many = len(query.shards) > reading.SHARDS_MAX
    query.shards = query.shards[: reading.SHARDS_MAX]
    if query.start not in STARTS:
        query.start, query.problems["start"] = "newest", "This is not a starting position."
    _read_at(query, query.shards if query.shard else shards, now_ms)
    if not query.shard and query.start not in BY_NUMBER:
        query.closed = [shard for shard in shards if (shard.closed_at_ms or 0) > query.at_ms][-reading.SHARDS_MAX :]
    query.filter_text = values.get("q", "")
    try:
        query.filter = DecodedFilter(record_filter.read(query.filter_text), decoding)
    except FilterError as error:
        query.problems["q"] = str(error)
    if decoding.problem:
        query.problems["decode"] = decoding.problem
    query.positions = read_positions(values.get("from", ""))
    return query


def _read_at(query: Query, among: list[Shard], now_ms: int) -> None:
    if query.start == "time":
        at_ms = parse_time(query.at)
        if at_ms is None:
            query.problems["at"] = "Write a time like 2026-11-20T14:31:00, in UTC."
        elif at_ms > now_ms:
            query.problems["at"] = "This time is still to come."
        query.at_ms = at_ms or 0
    elif query.start in BY_NUMBER:
        if not (query.at.isascii() and query.at.isdigit()):
            query.problems["at"] = "Write a sequence number: digits only."
        elif len(among) > 1:
            number = reading.sequence.decode(query.at)
            query.shards = [
                shard
                for shard in among
                if number and (shard.index, shard.created_s) == (number.shard_index, number.created_s)
            ]
            if not query.shards:
                query.problems["at"] = "This sequence number is of none of these shards."


def parse_time(text: str) -> int | None:
    """UTC milliseconds; None for what is not a time."""
    for pattern in _TIME_FORMATS:
        try:
            return round(datetime.strptime(text.removesuffix("Z"), pattern).replace(tzinfo=UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            continue
    return None


def read_positions(text: str) -> Positions:
    """`0-1234,2-55`: shard number and ordinal. What does not fit is left out."""
    found = (_POSITION.fullmatch(part) for part in text.split(",")[: reading.SHARDS_MAX])
    return {int(match[1]): min(int(match[2]), 2**62) for match in found if match}


def write_positions(positions: Positions) -> str:
    """The counterpart of read_positions."""
    return ",".join(f"{index}-{ordinal}" for index, ordinal in sorted(positions.items()))


def get(request: TeamRequest, stream: Stream, query: Query) -> Page:
    """Read what the query asks for. Raises ServiceError."""
    limit = SCAN_ROWS if query.filter else PAGE_ROWS
    now_ms = calls.now_ms()
    if query.start == "newest":
        return _newest(request, stream, query, limit, now_ms)
    starts = {
        shard: reading.at_ordinal(shard, query.positions[shard.index], now_ms)
        if shard.index in query.positions
        else _start(query)
        for shard in query.shards
    }
    page = reading.read(request, stream.name, starts, query.filter, limit).first(PAGE_ROWS)
    page.next = {**query.positions, **page.next}
    return page


def _newest(request: TeamRequest, stream: Stream, query: Query, limit: int, now_ms: int) -> Page:
    """Look back from the end of each shard, or from where the page before began."""
    ends = {index: found.next_offset for index, found in reading.bounds(query.shards).items()}
    ends |= {index: ordinal for index, ordinal in query.positions.items() if index in ends}
    begins = {index: max(1, end - limit) for index, end in ends.items() if end > 1}
    starts = {
        shard: reading.at_ordinal(shard, begins[shard.index], now_ms)
        for shard in query.shards
        if shard.index in begins
    }  # fmt: skip
    page = reading.read(request, stream.name, starts, query.filter, limit)
    if query.positions:
        page.records = [found for found in page.records if found.ordinal < ends[found.shard.index]]
    return page.last(PAGE_ROWS, begins, ends)


def _start(query: Query) -> dict[str, Any]:
    """GetShardIterator's parameters of the chosen position."""
    match query.start:
        case "time":
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": query.at_ms}
        case "at":
            return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": query.at}
        case "after":
            return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": query.at}
    return {"ShardIteratorType": "TRIM_HORIZON"}


@team_page("record:read")
def records(request: TeamRequest, name: str) -> HttpResponse:
    """The tab; htmx asks for the list or the inspector alone."""
    stream = find(request, name)
    now_ms = calls.now_ms()
    shards = list(shown(stream, now_ms))
    decoding = decoding_of(request)
    query = read_query(request.GET, shards, now_ms, decoding)
    target = request.headers.get("HX-Target", "") if is_fragment(request) else ""
    context: dict[str, Any] = {
        "stream": stream,
        "query": query,
        "starts": STARTS,
        "all_shards": around(shards, next((n for n, one in enumerate(shards) if one in query.shards[:1]), 0)),
        "now_ms": now_ms,
        "decoding": decoding,
    }
    context |= inspector(request, stream, shards, request.GET.get("record", ""), decoding)
    if target == "inspector":
        return render(request, "records/inspector.html", context)
    context |= listing(request, stream, query, decoding)
    if not context["address"] and context["rows"]:
        newest = context["rows"][0].found
        context |= {"address": newest.address, **shown_as(request, stream, newest, context["view"], decoding)}
    if target == "records":
        return render(request, "records/got.html", context)
    context |= {"read_cost": costs.of_reading(request, stream)}
    return render(request, "records/viewer.html", {**frame(request, stream, "stream-records"), **context})


def listing(request: TeamRequest, stream: Stream, query: Query, decoding: Decoding) -> dict[str, Any]:
    """The rows, or why there are none."""
    page, error = Page(), ""
    if not query.problems and query.shards:
        try:
            page = get(request, stream, query)
        except ServiceError as failure:
            error = failure.message or failure.code
    for found in page.records:
        reading.recent.keep(found)
    return {
        "page": page,
        "rows": rows_of(page.records, decoding),
        "error": error,
        "next": write_positions(page.next) if page.more else "",
        "newest_ms": _newest_ms(query) if not page.records and not error else 0,
        "left_closed": _left_closed(query, page),
        "backwards": query.start == "newest",
    }


@team_page("record:read")
def latest(request: TeamRequest, name: str) -> HttpResponse:
    """The newest few records, for the overview. Nothing is read, and 204 answered, if there is nothing new since
    the positions in `known`."""
    stream = find(request, name)
    now_ms = calls.now_ms()
    opened = [shard for shard in shown(stream, now_ms) if shard.closed_at_ms is None][: reading.SHARDS_MAX]
    ends = {index: found.next_offset for index, found in reading.bounds(opened).items()}
    known = write_positions(ends)
    if request.GET.get("known") == known:
        return HttpResponse(status=204)
    starts = {
        shard: reading.at_ordinal(shard, max(1, ends[shard.index] - LATEST_ROWS), now_ms)
        for shard in opened
        if ends.get(shard.index, 1) > 1
    }
    page, error = Page(), ""
    try:
        page = reading.read(request, name, starts, RecordFilter(""), LATEST_ROWS)
    except ServiceError as failure:
        error = failure.message or failure.code
    rows = rows_of(page.records[-LATEST_ROWS:][::-1], decoding_of(request))
    for row in rows:
        reading.recent.keep(row.found)
    return render(request, "stream/latest.html", {"stream": stream, "rows": rows, "error": error, "known": known})


def _left_closed(query: Query, page: Page) -> list[Shard]:
    """Closed shards with records that the list leaves out, for people to choose from."""
    if query.problems or (query.start == "newest" and page.more):
        return []
    found = reading.bounds(query.closed)
    return [
        shard for shard in query.closed if shard.index in found and found[shard.index].newest_ms >= max(1, query.at_ms)
    ]


def _newest_ms(query: Query) -> int:
    """Arrival of the newest record of the shards asked for; 0: there is none."""
    return max((found.newest_ms for found in reading.bounds(query.shards).values()), default=0)


def inspector(
    request: TeamRequest, stream: Stream, shards: list[Shard], address: str, decoding: Decoding
) -> dict[str, Any]:
    """The open record, in the view that was asked for."""
    view = request.GET.get("view", "")
    context: dict[str, Any] = {"views": VIEWS, "view": view, "found": None, "address": address, "missing": ""}
    if not address:
        return context
    try:
        found = one(request, stream, shards, address)
    except ServiceError as error:
        return {**context, "missing": error.message or error.code}
    if found is None:
        return {
            **context,
            "missing": "This record is not there. It may be past the retention, or the link is mistyped.",
        }
    return {**context, **shown_as(request, stream, found, view, decoding)}


def one(request: TeamRequest, stream: Stream, shards: list[Shard], address: str) -> Found | None:
    """The record at an address of the form shard:sequence number. Raises ServiceError."""
    match = _ADDRESS.fullmatch(address)
    shard = next((s for s in shards if match and s.index == int(match[1])), None)
    return reading.one(request, stream, shard, match[2]) if match and shard else None


def shown_as(request: TeamRequest, stream: Stream, found: Found, view: str, decoding: Decoding) -> dict[str, Any]:
    """A record's data in one of the VIEWS; without a wish decoded if there was something to do, else JSON if it is
    that, else raw."""
    shown = decoding.shown([found.data])[0]
    pretty = record_views.json_view(found.data)
    best = "decoded" if shown.is_decoded else "json" if pretty is not None else "raw"
    view = view if view in VIEWS else best
    body = {"json": lambda: pretty, "hex": lambda: record_views.hex_dump(found.data), "decoded": lambda: ""}.get(
        view, lambda: record_views.raw(found.data)
    )()
    shown_bytes = record_views.HEX_BYTES if view == "hex" else record_views.SHOWN_BYTES
    path = reverse("record", args=[request.team.slug, stream.name, found.shard.index, found.number])
    return {
        "found": found,
        "view": view,
        "views": VIEWS if shown.is_decoded or view == "decoded" else {k: v for k, v in VIEWS.items() if k != "decoded"},
        "body": body,
        "shown": shown,
        "pieces": pieces_of(shown) if view == "decoded" else [],
        "cut": view != "decoded" and len(found.data) > shown_bytes,
        "shown_bytes": shown_bytes,
        "hash_key": str(int.from_bytes(hashkeys.digest_of_key(found.key))) if found.key else "",
        "key_text": record_views.visible(found.key or ""),
        "link": settings.CONFIG.public_address + path + (f"?decode={quote(decoding.value)}" if decoding.value else ""),
        "path": path,
    }


@team_page("record:read")
def record(request: TeamRequest, name: str, index: int, number: int) -> HttpResponse:
    """A record's own address: works as long as the record is kept."""
    stream = find(request, name)
    shards = list(shown(stream, calls.now_ms()))
    context = inspector(request, stream, shards, f"{index}:{number}", decoding_of(request))
    status = 200 if context["found"] else 404
    page = {**frame(request, stream, "stream-records"), **context, "alone": True}
    return render(request, "records/record.html", page, status=status)


@team_page("record:read")
def download(request: TeamRequest, name: str, index: int, number: int) -> HttpResponse:
    """A record's data, byte for byte."""
    stream = find(request, name)
    found = None
    try:
        found = one(request, stream, list(shown(stream, calls.now_ms())), f"{index}:{number}")
    except ServiceError as error:
        return HttpResponse(error.message or error.code, status=429, content_type="text/plain; charset=utf-8")
    if found is None:
        raise Http404("no such record")
    return _attachment(found.data, "application/octet-stream", f"{name}-{index:04d}-{number}.bin")


@team_page("record:read")
def export(request: TeamRequest, name: str) -> HttpResponse:
    """The records of the page as lines of JSON, data in base64 as AWS's JSON has it."""
    stream = find(request, name)
    now_ms = calls.now_ms()
    query = read_query(request.GET, list(shown(stream, now_ms)), now_ms, decoding_of(request))
    if query.problems:
        raise Http404("not a query")
    page = get(request, stream, query)
    lines = [json.dumps(_as_aws(found)) for found in page.records]
    return _attachment("".join(f"{line}\n" for line in lines).encode(), "application/x-ndjson", f"{name}.ndjson")


def _as_aws(found: Found) -> dict[str, Any]:
    return {
        "ShardId": found.shard.shard_id,
        "SequenceNumber": found.number,
        "PartitionKey": found.key,
        "ApproximateArrivalTimestamp": found.arrival_ms / 1000,
        "Data": base64.b64encode(found.data).decode(),
    }


def _attachment(body: bytes, kind: str, file_name: str) -> HttpResponse:
    response = HttpResponse(body, content_type=kind)
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_POST
@team_page("record:read")
def follow(request: TeamRequest, name: str) -> HttpResponse:
    """What arrived since the positions sent: at most FOLLOW_ROWS, the newest, and how many were skipped.

    The page asks once a second. Without positions it begins at the end of each shard. A shard that closes is read to its end
    and then left behind.
    """
    stream = find(request, name)
    now_ms = calls.now_ms()
    decoding = decoding_of(request)
    query = read_query(request.POST, list(shown(stream, now_ms)), now_ms, decoding)
    if query.problems.get("q") or len(request.POST.get("from", "")) > FOLLOW_BODY_MAX:
        return JsonResponse({"error": query.problems.get("q", "too long")}, status=422)
    known = query.positions
    query.shards += [shard for shard in query.closed if shard.index in known]
    ends = {index: found.next_offset for index, found in reading.bounds(query.shards).items()}
    if not known:
        return JsonResponse({"from": write_positions(ends), "rows": "", "shown": 0, "skipped": 0})
    try:
        page, skipped = _arrived(request, stream, query, ends, now_ms)
    except ServiceError as error:
        return JsonResponse({"error": error.message or error.code, "from": write_positions(known)}, status=503)
    for found in page.records:
        reading.recent.keep(found)
    rows = rows_of(page.records[::-1], decoding)
    context = {"rows": rows, "stream": stream, "team": request.team, "request": request}
    return JsonResponse({
        "from": write_positions(_to_go_on_from(query, ends, {**ends, **known, **page.next})),
        "rows": render_to_string("records/rows.html", context),
        "shown": len(rows),
        "skipped": skipped,
        "more": page.more,
    })  # fmt: skip


def _to_go_on_from(query: Query, ends: Positions, read: Positions) -> Positions:
    """Positions without those of closed shards that have nothing more to give."""
    closed = {shard.index for shard in query.closed}
    return {index: at for index, at in read.items() if index not in closed or at < ends.get(index, 1)}


def _arrived(request: TeamRequest, stream: Stream, query: Query, ends: Positions, now_ms: int) -> tuple[Page, int]:
    """Read what is new in each shard, but no further back than one read can carry; the rest is skipped."""
    limit = SCAN_ROWS if query.filter else FOLLOW_ROWS
    starts, skipped = {}, 0
    for shard in query.shards:
        end, at = ends.get(shard.index, 1), query.positions.get(shard.index, 1)
        if at < end:
            skipped += max(0, end - limit - at)
            starts[shard] = reading.at_ordinal(shard, max(at, end - limit), now_ms)
    page = reading.read(request, stream.name, starts, query.filter, limit, patient=False)
    cut = max(0, len(page.records) - FOLLOW_ROWS)
    page.records = page.records[cut:]
    return page, skipped + cut
