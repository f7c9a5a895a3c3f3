"""In-process sums for the running second. add() is a dict update: no lock, no I/O, called on the hot path.

A series is (team id, stream row id, metric name of names.py). flush.py takes the sums once a second with drain().
The event loop counts without a lock; a thread of the control plane that counts at the very moment of a drain may
lose that one observation. That is why nothing is billed from here: bills read the record log's meters. Work that is done
by several threads counts with add_from_thread(), which loses nothing.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass, field

from apps.metrics.latency import ENDS_MS, SERIES

Series = tuple[int, int, str]
"""(team id, stream id, metric name)."""

Stream = tuple[int, int]
"""(team id, stream id)."""

Label = str | int
"""A part of a stream: a consumer's name, or a shard's number."""

Labelled = tuple[int, int, str, Label]
"""(team id, stream id, metric name, label)."""


@dataclass(slots=True)
class Sample:
    """Sum, count, minimum and maximum of what was added: enough for Sum, Average, Minimum, Maximum, SampleCount.

    The sum of whole numbers is an int: shorter where it is stored."""

    total: float = 0
    count: int = 0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        """Count one observation."""
        self.total += value
        self.count += 1
        if value < self.least:  # noqa: PLR1730 - see Counters.add
            self.least = value
        if value > self.most:  # noqa: PLR1730
            self.most = value

    def merge(self, other: Sample) -> None:
        """Add what other counted."""
        self.total += other.total
        self.count += other.count
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)


@dataclass(slots=True)
class ShardSample:
    """What was offered to one shard and taken from it."""

    in_bytes: int = 0
    in_records: int = 0
    throttled_bytes: int = 0
    throttled_records: int = 0
    out_bytes: int = 0
    out_records: int = 0

    def merge(self, other: ShardSample) -> None:
        """Add what other counted."""
        self.in_bytes += other.in_bytes
        self.in_records += other.in_records
        self.throttled_bytes += other.throttled_bytes
        self.throttled_records += other.throttled_records
        self.out_bytes += other.out_bytes
        self.out_records += other.out_records


READERS_MAX = 1_000
"""Of all streams between two drains; further ones are not noted."""

Readers = dict[tuple[int, int, str], tuple[int, int]]
"""By team id, stream id and reader (what its usage is booked under): when it last read, and how far behind it was, in ms."""


@dataclass(slots=True)
class Counters:
    """The sums since the last drain, by series."""

    _samples: dict[Series, Sample] = field(default_factory=dict)
    _labelled: dict[Labelled, Sample] = field(default_factory=dict)
    _shards: dict[Stream, dict[int, ShardSample]] = field(default_factory=dict)
    _readers: Readers = field(default_factory=dict)
    _of_threads: dict[Series, Sample] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, team_id: int, stream_id: int, metric: str, value: float) -> None:
        """Count one observation (IncomingBytes of one call, a latency, an iterator age …)."""
        series = (team_id, stream_id, metric)
        sample = self._samples.get(series)
        if sample is None:
            sample = self._samples[series] = Sample()
        sample.total += value
        sample.count += 1
        # Not min() and max(): two calls would double the cost of an add.
        if value < sample.least:  # noqa: PLR1730
            sample.least = value
        if value > sample.most:  # noqa: PLR1730
            sample.most = value

    def add_latency(self, team_id: int, stream_id: int, metric: str, ms: float) -> None:
        """As add(), of a metric of latency.TIMED: also counts the class of the duration, for percentiles."""
        self.add(team_id, stream_id, metric, ms)
        # As latency.series_of() and add() of a 1, without the calls: once per request.
        series = (team_id, stream_id, SERIES[metric][bisect_right(ENDS_MS, ms)])
        sample = self._samples.get(series)
        if sample is None:
            sample = self._samples[series] = Sample(0, 0, 1, 1)
        sample.total += 1
        sample.count += 1

    def add_from_thread(self, team_id: int, stream_id: int, metric: str, value: float) -> None:
        """As add(), for any number of threads at once."""
        series = (team_id, stream_id, metric)
        with self._lock:
            sample = self._of_threads.get(series)
            if sample is None:
                sample = self._of_threads[series] = Sample()
            sample.add(value)

    def add_labelled(self, team_id: int, stream_id: int, metric: str, label: Label, value: float) -> None:
        """Count one observation of a consumer (also counted for the stream then, by drain) or of a shard (not so: the
        metrics of streams and of shards are different ones in AWS, too)."""
        series = (team_id, stream_id, metric, label)
        sample = self._labelled.get(series)
        if sample is None:
            sample = self._labelled[series] = Sample()
        sample.add(value)

    def add_shard_write(
        self, team_id: int, stream_id: int, shard_index: int, size_bytes: int, records: int,
        throttled_bytes: int = 0, throttled_records: int = 0,
    ) -> None:  # fmt: skip
        """Count what one call put into one shard, and what of it the shard's limits refused. For the shard map."""
        sample = self._shard(team_id, stream_id, shard_index)
        sample.in_bytes += size_bytes
        sample.in_records += records
        sample.throttled_bytes += throttled_bytes
        sample.throttled_records += throttled_records

    def add_shard_read(self, team_id: int, stream_id: int, shard_index: int, size_bytes: int, records: int) -> None:
        """Count what one GetRecords call or one fan-out event took from one shard. For the shard map."""
        sample = self._shard(team_id, stream_id, shard_index)
        sample.out_bytes += size_bytes
        sample.out_records += records

    def note_reader(self, team_id: int, stream_id: int, reader: str, now_ms: int, behind_ms: int) -> None:
        """Somebody polled a shard and was so far behind its tip. Of several shards the one that is furthest behind counts."""
        who = (team_id, stream_id, reader)
        known = self._readers.get(who)
        if known is not None:
            behind_ms = max(behind_ms, known[1])
        elif len(self._readers) >= READERS_MAX:
            return
        self._readers[who] = (now_ms, behind_ms)

    def _shard(self, team_id: int, stream_id: int, shard_index: int) -> ShardSample:
        stream = (team_id, stream_id)
        shards = self._shards.get(stream)
        if shards is None:
            shards = self._shards[stream] = {}
        sample = shards.get(shard_index)
        if sample is None:
            sample = shards[shard_index] = ShardSample()
        return sample

    def drain(self) -> dict[Series, Sample]:
        """Take what was counted per stream and start anew. Call drain_labelled first: it adds the consumers."""
        taken, self._samples = self._samples, {}
        with self._lock:
            of_threads, self._of_threads = self._of_threads, {}
        for series, sample in of_threads.items():
            known = taken.get(series)
            if known is None:
                taken[series] = sample
            else:
                known.merge(sample)
        return taken

    def drain_labelled(self) -> dict[Labelled, Sample]:
        """Take what was counted per consumer and shard and start anew; what consumers had counts for their streams."""
        taken, self._labelled = self._labelled, {}
        for (team_id, stream_id, metric, label), sample in taken.items():
            if isinstance(label, str):
                self._samples.setdefault((team_id, stream_id, metric), Sample()).merge(sample)
        return taken

    def drain_shards(self) -> dict[Stream, dict[int, ShardSample]]:
        """Take what was counted per shard and start anew."""
        taken, self._shards = self._shards, {}
        return taken

    def drain_readers(self) -> Readers:
        """Take who polled and start anew."""
        taken, self._readers = self._readers, {}
        return taken
