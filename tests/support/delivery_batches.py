"""Targets and batches for destinations, without an engine: records in memory, and a memory for what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from apps.delivery.destinations.interface import Batch, Delivered, Destination, Target
from apps.delivery.record import Record

NOW_MS = 1_790_000_000_000
Json = dict[str, Any]


def target(destination_type: str, description: Json, **fields: Any) -> Target:
    """A target of the delivery stream `orders`."""
    arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/orders"
    given = {"team_id": 1, "account_id": "123456789012", "region": "us-east-1", "delivery_stream_key": 7}
    given |= {"name": "orders", "arn": arn, "version_id": 1}
    return Target(**(given | {"destination_type": destination_type, "description": description} | fields))


def records_of(datas: list[bytes], first: int = 1, arrival_ms: int = NOW_MS - 60_000) -> list[Record]:
    """Records with these data, one after the other."""
    return [Record(data, arrival_ms, first + place) for place, data in enumerate(datas)]


class Engine:
    """Does with a batch what the engine does between attempts: keeps plan and state, counts attempts, has the clock."""

    def __init__(self, records: list[Record], lane_id: int = 3, piece: int = 1_000) -> None:
        self.records, self.lane_id, self.piece = records, lane_id, piece
        self.plan: Json = {}
        self.state: Json = {}
        self.attempt = 0
        self.now_ms = NOW_MS
        self.remembered = 0

    def batch(self) -> Batch:
        """The batch of the present attempt."""
        return Batch(
            self.lane_id, self.records[0].ordinal, self.records[-1].ordinal + 1, len(self.records),
            sum(len(record.data) for record in self.records), min(record.arrival_ms for record in self.records),
            self._pieces, self.now_ms, max(1, self.attempt), None, self.plan, dict(self.state), self._remember,
        )  # fmt: skip

    def attempt_with(self, make: Callable[[], Destination], *, again: bool = False) -> Delivered:
        """One attempt, with a destination made anew. again: after NotYet, which counts no attempt."""
        destination = make()
        if not self.plan:
            self.plan = destination.plan(self.batch())
        self.attempt += not again
        return destination.deliver(self.batch())

    def _pieces(self) -> Iterator[list[Record]]:
        for start in range(0, len(self.records), self.piece):
            yield self.records[start : start + self.piece]

    def _remember(self, state: Json) -> None:
        self.state = dict(state)
        self.remembered += 1
