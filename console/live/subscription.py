"""One thing that one connection looks at: its snapshot, and what is new since it last was told."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from apps.metrics.layout import POINTS_MAX
from console.live import protocol, sources
from console.live.feeds import Feed, SecondsFeed
from console.live.hub import Hub, in_thread
from console.live.panels import ALL_PANELS, column_names, row, short
from console.live.protocol import DELIVERIES, SHARDS, STREAMS, Topic

Json = dict[str, Any]

ROWS_EVERY_S = 1.0
FACTS_EVERY_S = 5.0
TAIL_EVERY_S = {10: 5.0, 60: 10.0}
TAIL_ELSE_S = 30.0
PTS_MAX = 300
"""Points in one message: well below the size a message may have."""


@dataclass(slots=True)
class Subscription:
    """stream_id: key of the series, 0 for the topics that are lists and for the team (layout.TEAM).
    last_t: the newest time the client was told."""

    id: str
    topic: Topic
    team_id: int
    stream_id: int
    res_s: int = 1
    names: tuple[str, ...] = ()
    last_t: int = 0
    ready: bool = False
    feeds: dict[str, Feed] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def is_chart(self) -> bool:
        """Has points in time, not rows."""
        return self.topic.kind not in {SHARDS, STREAMS, DELIVERIES}

    def open(self, hub: Hub, who: Hashable, wake: Any) -> None:
        """Listen to what it needs. Before the snapshot is read, so that nothing falls between the two."""
        team_id, stream_id, clock = self.team_id, self.stream_id, hub.clock
        if self.topic.kind == STREAMS:
            fetch = partial(in_thread, sources.rows, clock, team_id, self.names)
            self.feeds["rows"] = hub.polled(("rows", team_id, self.names), ROWS_EVERY_S, fetch)
        elif self.topic.kind == DELIVERIES:
            fetch = partial(in_thread, sources.deliveries, clock, team_id, self.names)
            self.feeds["rows"] = hub.polled((DELIVERIES, team_id, self.names), ROWS_EVERY_S, fetch)
        elif self.topic.kind == SHARDS:
            fetch = partial(in_thread, sources.shards, clock, team_id, stream_id)
            self.feeds["rows"] = hub.polled((SHARDS, team_id, stream_id), ROWS_EVERY_S, fetch)
        else:
            self.feeds["pts"] = self._points(hub)
            fetch = partial(in_thread, sources.facts, stream_id)
            self.feeds["facts"] = hub.polled(("facts", stream_id), FACTS_EVERY_S, fetch)
        for name, feed in self.feeds.items():
            self.seen[name] = feed.version if name == "pts" else 0
            feed.listen((who, self.id), wake)

    def _points(self, hub: Hub) -> Feed:
        if self.res_s == 1:
            return hub.seconds(self.team_id, self.stream_id)
        arguments = (hub.clock, self.team_id, self.stream_id, self.topic.kind, self.res_s)
        every_s = TAIL_EVERY_S.get(self.res_s, TAIL_ELSE_S)
        return hub.polled(("tail", *arguments[1:]), every_s, partial(in_thread, sources.tail, *arguments))

    def close(self, hub: Hub, who: Hashable) -> None:
        """Stop listening."""
        for feed in self.feeds.values():
            hub.leave(feed, (who, self.id))

    async def snapshot(self, hub: Hub, since: float | None) -> list[Json]:
        """What the client begins with: a chart's points from since on, as far as they are kept; else nothing."""
        if not self.is_chart:
            return []
        wanted_s, since_s = sources.begin(hub.clock.now_ms() // 1_000, since, self.res_s)
        found = await in_thread(
            sources.snapshot, hub.clock, self.team_id, self.stream_id, self.topic.kind, since_s, self.res_s
        )
        self.last_t = found["t"][-1] if found["t"] else since_s
        gap = [{"op": "gap", "id": self.id, "from": wanted_s, "to": since_s}] if since_s > wanted_s else []
        return [*gap, {"op": "snap", "id": self.id, **found}]

    def news(self) -> Iterator[Json]:
        """Messages with what changed since the last call, newest values only. Empty if nothing did."""
        for name, feed in self.feeds.items():
            newer = feed.newer(self.seen[name])
            self.seen[name] = feed.version
            if newer:
                yield from getattr(self, f"_{name}")(newer, feed)

    def _pts(self, newer: dict[int, Any], feed: Feed) -> Iterator[Json]:
        times: list[int] = sorted(t for t, value in newer.items() if value is not None)[-POINTS_MAX:]
        rows = [newer[t] for t in times]
        if isinstance(feed, SecondsFeed):
            panel = ALL_PANELS[self.topic.kind]
            rows = [[short(value) for value in row(panel, points, 1, 1)] for points in rows]
        for first in range(0, len(times), PTS_MAX):
            part = rows[first : first + PTS_MAX]
            data = [list(column) for column in zip(*part, strict=True)]
            yield {"op": "pts", "id": self.id, "t": times[first : first + PTS_MAX], "d": data}
        if times:
            self.last_t = max(self.last_t, times[-1])

    def _rows(self, newer: Json, _feed: Feed) -> Iterator[Json]:
        yield {"op": "rows", "id": self.id, "set": newer}

    def _facts(self, newer: Json, _feed: Feed) -> Iterator[Json]:
        for key, fact in newer.items():
            if key == "limit":
                yield {"op": "limit", "id": self.id, "v": fact}
            elif fact is not None:
                yield {"op": "mark", "id": self.id, **fact}

    @property
    def columns(self) -> list[str]:
        """Names of the chart's columns."""
        return column_names(ALL_PANELS[self.topic.kind], self.res_s)


def refused(message: protocol.Message, code: str, **more: Any) -> Json:
    """The err answer to a message."""
    return {"op": "err", "id": message.id, "code": code, **more}
