"""What must hold of a stored shard: offsets dense, arrivals never back, sums equal to what is stored plus trimmed."""

from __future__ import annotations

from apps.recordlog.interface import ShardKey
from apps.recordlog.shard_state import ShardState, add_to, no_sums
from apps.recordlog.stored_batch import Records, payload_units, record_bytes

MAX_PROBLEMS = 20
"""Sentences kept per shard; a broken shard must not fill the memory with complaints."""


class ShardWalk:
    """See all batches of one shard in order, then its state; problems tells what was wrong."""

    def __init__(self, shard: ShardKey) -> None:
        self.shard = shard
        self.batches = 0
        self.sums = no_sums()
        self.problems: list[str] = []
        self.next_offset: int | None = None
        self.needs_key: int | None = None
        """The data key without which the walk cannot go on."""
        self.closed_keys: set[int] = set()
        """Data keys that cannot be had: their batches are seen from outside only."""
        self.unopened = 0
        self._arrival_ms = 0
        self._before: list[int] | None = None

    def see(
        self, first: int, arrival_ms: int, sums: tuple[int, int, int], before: tuple[int, int], records: Records | None
    ) -> None:
        """The next stored batch: its own sums (records, bytes, units), and the shard's (bytes, units) before it.

        records None: its data key cannot be had.
        """
        if self._before is None:
            self._before = [first - 1, *before]
        elif [first - 1, *before] != [was + seen for was, seen in zip(self._before, self.sums, strict=True)]:
            self.complain(f"the batch at {first} says that {before} came before it, which is not so")
        if self.next_offset is not None and first != self.next_offset:
            self.complain(f"offset {self.next_offset} is missing or doubled; the next batch begins at {first}")
        if arrival_ms < self._arrival_ms:
            self.complain(f"the batch at {first} arrived {self._arrival_ms - arrival_ms} ms before the one before it")
        if records is None:
            self.unopened += 1
        elif sums != _sums_of(records):
            self.complain(f"the batch at {first} says {sums}, but holds {_sums_of(records)}")
        self.batches += 1
        add_to(self.sums, *sums)
        self.next_offset, self._arrival_ms = first + sums[0], arrival_ms

    def end(self, state: ShardState) -> None:
        """The shard's state as of the last batch seen."""
        if self.next_offset is not None and self.next_offset != state.next_offset:
            self.complain(f"the last batch ends before {self.next_offset}, but the next offset is {state.next_offset}")
        if self._arrival_ms > state.floor_ms:
            self.complain(f"the last arrival {self._arrival_ms} is later than {state.floor_ms}, the shard's newest")
        if self._before is not None and self._before != state.trimmed:
            self.complain(f"{self._before} came before the oldest batch, but {state.trimmed} were trimmed")
        stored_and_trimmed = [stored + gone for stored, gone in zip(self.sums, state.trimmed, strict=True)]
        if stored_and_trimmed != state.totals[:3]:
            self.complain(f"stored and trimmed make {stored_and_trimmed}, but the totals are {state.totals[:3]}")
        if state.totals[0] != state.next_offset - 1:
            self.complain(f"{state.totals[0]} records were counted, but {state.next_offset - 1} offsets given")

    def complain(self, what: str) -> None:
        """Note what is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"Shard {self.shard}: {what}.")


def _sums_of(records: Records) -> tuple[int, int, int]:
    sizes = [record_bytes(records, i) for i in range(0, len(records), 2)]
    return len(sizes), sum(sizes), sum(map(payload_units, sizes))
