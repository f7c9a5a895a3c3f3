"""Usage of time and storage counted by hand: every interval that anything lasted, laid over every UTC hour. It knows nothing
of how metering goes about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from apps.base.units import DAY_MS, HOUR_MS

ENDLESS = 2**60
LONG_TERM_MS = 7 * DAY_MS


@dataclass
class Setting:
    """What a stream was set to from a moment on."""

    from_ms: int
    mode: str = "PROVISIONED"
    retention_ms: int = DAY_MS
    floor_ms: int = 0
    metrics: int = 0
    to_ms: int = ENDLESS


@dataclass
class History:
    """All that is known of one stream. shards, consumers: [from, to). arrivals: bytes by UTC hour."""

    settings: list[Setting]
    shards: list[tuple[int, int]] = field(default_factory=list)
    consumers: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    committed: list[tuple[int, int]] = field(default_factory=list)
    arrivals: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def change(self, at_ms: int, **what: object) -> None:
        """Something was set differently."""
        last = self.settings[-1]
        last.to_ms = at_ms
        self.settings.append(Setting(**{**vars(last), "from_ms": at_ms, "to_ms": ENDLESS, **what}))

    def end(self, at_ms: int) -> None:
        """The stream was deleted."""
        self.settings[-1].to_ms = min(self.settings[-1].to_ms, at_ms)


def shared(*spans: tuple[int, int]) -> int:
    """Milliseconds that all the spans share."""
    return max(0, min(span[1] for span in spans) - max(span[0] for span in spans))


def count(history: History, first_ms: int, to_ms: int) -> dict[tuple[str, int, str], int]:
    """(meter, hour, key) → quantity, up to a moment; storage of full hours, and of the last one where the stream ended."""
    used: dict[tuple[str, int, str], int] = defaultdict(int)
    for hour_ms in range(first_ms - first_ms % HOUR_MS, to_ms, HOUR_MS):
        hour = (hour_ms, min(hour_ms + HOUR_MS, to_ms))
        for one in history.settings:
            _time(used, history, one, hour)
        for span in history.committed:
            used["advantage-time", hour_ms, ""] += shared(span, hour)
        if hour[1] == hour_ms + HOUR_MS or history.settings[-1].to_ms <= to_ms:
            for meter, byte_ms in _stored(history, hour).items():
                used[meter, hour_ms, ""] += byte_ms // HOUR_MS
    return {name: quantity for name, quantity in used.items() if quantity}


def _time(used: dict[tuple[str, int, str], int], history: History, one: Setting, hour: tuple[int, int]) -> None:
    span = (one.from_ms, one.to_ms)
    open_ms = sum(shared(shard, span, hour) for shard in history.shards)
    used["shard-metric-time", hour[0], ""] += one.metrics * open_ms
    if one.mode == "ON_DEMAND":
        committed = sum(shared(kept, span, hour) for kept in history.committed)
        used["on-demand-time", hour[0], ""] += shared(span, hour) - committed
        return
    used["shard-time", hour[0], ""] += open_ms
    if one.retention_ms > DAY_MS:
        used["extended-retention-time", hour[0], ""] += open_ms
    for name, lives in history.consumers.items():
        for life in lives:
            used["consumer-time", hour[0], name] += sum(shared(shard, life, span, hour) for shard in history.shards)


def _stored(history: History, hour: tuple[int, int]) -> dict[str, int]:
    """Byte-milliseconds by meter."""
    found: dict[str, int] = defaultdict(int)
    for arrival_ms, size in history.arrivals.items():
        full_ms = arrival_ms + HOUR_MS  # from here on it counts as stored
        for one in history.settings:
            if full_ms <= one.floor_ms:
                continue
            span = (one.from_ms, one.to_ms)
            gone_ms = full_ms + one.retention_ms
            short = (full_ms + DAY_MS, min(gone_ms, full_ms + LONG_TERM_MS))
            long = (full_ms + LONG_TERM_MS, gone_ms)
            if one.mode == "PROVISIONED":
                found["long-term-storage"] += size * shared(long, span, hour)
                continue
            for part, meter in ((short, "on-demand-extended-storage"), (long, "on-demand-long-term-storage")):
                committed = sum(shared(part, kept, span, hour) for kept in history.committed)
                found["advantage-storage"] += size * committed
                found[meter] += size * (shared(part, span, hour) - committed)
    return found
