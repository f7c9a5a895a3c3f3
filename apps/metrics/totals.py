"""Totals since a process began, for Prometheus: they only ever rise while it lives, and every scrape sees all processes.

A scrape reaches one web process of several, so each process keeps its totals in Redis, under a name of its own that dies
with it:

    tg:total:<team>:<process>      field <stream>      value msgpack {metric: [total, count]}
    tg:total:<team>                set of processes, by when they were last heard

Names of metrics are as in what is stored of a stream (names.stored_under).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack

from apps.metrics.counters import Labelled, Sample, Series, Stream
from apps.metrics.firehose import table_of
from apps.metrics.names import BY_NAME, SHARD_LEVEL, stored_under

EVERY_S = 5
"""How often a process writes; Prometheus asks every 15 to 60 s."""

KEPT_S = 300
"""A process not heard for so long is gone. One without traffic is heard, too."""

STREAMS_MAX = 5_000
"""Streams of one process; those without traffic for longest begin anew when they are heard again, under the same name and from 0,
which Prometheus knows as a restart."""

TEAMS_KEY = "tg:total"

Counted = dict[int | str, list[float]]
Commands = list[tuple[Any, ...]]


class Totals:
    """Of one process. Not safe for threads: its owner is the flusher."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(4)
        self._streams: dict[Stream, Counted] = {}
        self._changed: set[Stream] = set()
        self._written_s = 0

    def add(self, samples: Mapping[Series, Sample], labelled: Mapping[Labelled, Sample]) -> None:
        """Count what was drained."""
        for (team_id, stream_id, name), sample in samples.items():
            metric = table_of(stream_id).get(name)
            if metric is not None:
                self._add((team_id, stream_id), metric.number, sample)
        for (team_id, stream_id, name, label), sample in labelled.items():
            if name in (BY_NAME if isinstance(label, str) else SHARD_LEVEL):
                self._add((team_id, stream_id), stored_under(name, label), sample)
        while len(self._streams) > STREAMS_MAX:
            gone = next(iter(self._streams))
            del self._streams[gone]
            self._changed.discard(gone)

    def _add(self, stream: Stream, key: int | str, sample: Sample) -> None:
        counted = self._streams.pop(stream, None) or {}
        self._streams[stream] = counted
        of = counted.setdefault(key, [0, 0])
        of[0] += sample.total
        of[1] += sample.count
        self._changed.add(stream)

    def recall(self) -> None:
        """Redis may have forgotten: write all of it again."""
        self._changed.update(self._streams)
        self._written_s = 0

    def due(self, now_s: int) -> bool:
        """Is it time to write?"""
        return abs(now_s - self._written_s) >= EVERY_S and bool(self._streams)

    def commands(self, streams: Iterable[Stream], now_s: int) -> Commands:
        """What tells Redis the totals of these streams, and that the process lives."""
        commands: Commands = []
        teams = {team_id for team_id, _ in self._streams}
        for stream in streams:
            packed = msgpack.packb(self._streams[stream])
            commands.append(("HSET", key(stream[0], self.process), stream[1], packed))
        for team_id in teams:
            commands += [
                ("EXPIRE", key(team_id, self.process), KEPT_S),
                ("ZADD", f"{TEAMS_KEY}:{team_id}", now_s, self.process),
                ("ZREMRANGEBYSCORE", f"{TEAMS_KEY}:{team_id}", 0, now_s - KEPT_S),
                ("EXPIRE", f"{TEAMS_KEY}:{team_id}", KEPT_S),
            ]
        return commands

    def pending(self) -> list[Stream]:
        """Streams that changed since they were last written."""
        return list(self._changed)

    def written(self, streams: Iterable[Stream], now_s: int) -> None:
        """Redis has them."""
        self._changed.difference_update(streams)
        self._written_s = now_s


def key(team_id: int, process: str) -> str:
    """The hash of a process's totals of a team."""
    return f"{TEAMS_KEY}:{team_id}:{process}"
