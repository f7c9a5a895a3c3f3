"""The same JSON over HTTP, for browsers that get no websocket: the page asks every ten seconds."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.permissions import allowed
from apps.base.clock import Clock
from apps.metrics import store
from console import calls
from console.live import protocol, sources
from console.live.protocol import DELIVERIES, SHARDS, STREAMS, Topic
from console.live.standing import series_ids
from console.pages.shell import TeamRequest, enter

Json = dict[str, Any]


@never_cache
@require_GET
def live(request: TeamRequest, team: str) -> HttpResponse:
    """`?topic=…&res=…&since=…&names=…&names=…`, the words of a `sub`: what the websocket would send first. `until=…`: a
    chart of what was before that second.

    401 if nobody is signed in, 404 for a team that is not theirs or a stream that is not there, 403 without
    stream:read or delivery:read, 400 for a topic or resolution there is none of.
    """
    if not request.user.is_authenticated:
        return _refused(401, "sign_in")
    enter(request, team)
    topic = protocol.topic_of(request.GET.get("topic", ""))
    need = topic.need if topic else "stream:read"
    if not allowed(request.actions, need):
        return _refused(403, "forbidden", need=need)
    res_s, since = _whole(request.GET.get("res", "1")), _whole(request.GET.get("since", ""))
    if topic is None or res_s not in protocol.RESOLUTIONS_S:
        return _refused(400, "bad_topic")
    stream_id = 0
    if topic.stream:
        stream_id = series_ids(request.team.id, topic.of, [topic.stream]).get(topic.stream, 0)
        if not stream_id:
            return _refused(404, "not_found")
    clock = calls.runtime().clock
    names = request.GET.getlist("names")[: protocol.NAMES_MAX]
    until = _whole(request.GET.get("until", ""))
    answer = _answer(clock, request.team.id, stream_id, topic, res_s, (since, until), names)
    return JsonResponse({**answer, "now": clock.now_ms() / 1_000, "epoch": store.epoch()})


def _answer(
    clock: Clock,
    team_id: int,
    stream_id: int,
    topic: Topic,
    res_s: int,
    span: tuple[int | None, int | None],
    names: list[str],
) -> Json:
    if topic.kind == STREAMS:
        return {"op": "rows", "set": sources.rows(clock, team_id, names) or {}}
    if topic.kind == DELIVERIES:
        return {"op": "rows", "set": sources.deliveries(clock, team_id, names) or {}}
    if topic.kind == SHARDS:
        return {"op": "rows", "set": sources.shards(clock, team_id, stream_id) or {}}
    since, until = span
    now_s = clock.now_ms() // 1_000
    wanted_s, since_s = sources.begin(now_s if until is None else min(now_s, until), since, res_s)
    found = sources.snapshot(clock, team_id, stream_id, topic.kind, since_s, res_s, until)
    facts = sources.facts(stream_id)
    limit = facts.pop("limit", None)
    return {"op": "snap", **found, "gap": [wanted_s, since_s], "limit": limit, "marks": list(facts.values())}


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _refused(status: int, code: str, **more: str) -> JsonResponse:
    return JsonResponse({"op": "err", "code": code, **more}, status=status)
