"""In-process sums for the running second. add() is a dict update: no lock, no I/O, called on the hot path.

A series is (stream key, metric name): stream key is the Stream row's id as int (0: the team's own), metric a name of
names.py. flush.py takes the sums once a second with drain().
"""

from __future__ import annotations

from dataclasses import dataclass, field

Series = tuple[int, int, str]
"""(team id, stream id, metric name)."""


@dataclass(slots=True)
class Sample:
    """Sum, count, minimum and maximum of what was added: enough for Sum, Average, Minimum, Maximum, SampleCount."""

    total: float = 0.0
    count: int = 0
    least: float = float("inf")
    most: float = float("-inf")


@dataclass(slots=True)
class Counters:
    """The sums since the last drain, by series."""

    _samples: dict[Series, Sample] = field(default_factory=dict)

    def add(self, team_id: int, stream_id: int, metric: str, value: float) -> None:
        """Count one observation (IncomingBytes of one call, a latency, an iterator age …)."""
        series = (team_id, stream_id, metric)
        sample = self._samples.get(series)
        if sample is None:
            sample = self._samples[series] = Sample()
        sample.total += value
        sample.count += 1
        if value < sample.least:
            sample.least = value
        if value > sample.most:
            sample.most = value

    def drain(self) -> dict[Series, Sample]:
        """Take what was counted and start anew."""
        taken, self._samples = self._samples, {}
        return taken
