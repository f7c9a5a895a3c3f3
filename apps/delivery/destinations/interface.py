"""What a destination is: plan, then deliver. The engine (apps/delivery/delivering.py) does the rest.

A *batch* is an extent of a lane: records [first, end) that are delivered together. Before anything leaves, the engine asks
`plan`, and stores its answer (the pin) with the extent and the VersionId. Whoever repeats the batch, after a crash or a
failure, gets the same records and the same plan, so all names (object keys, request ids, document ids) must come from the
plan or from the records, never from a clock or from chance.

`deliver` is called until it returns Delivered or raises a failure that is permanent, or the retry duration is over; the
engine waits between two calls (a due time in the lane's lease, no sleeping worker). What must be remembered between two
calls (staged objects, documents that are still to be sent) is written with `batch.remember`: it changes the pin at once.
Its argument is the whole state, which replaces what was remembered before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from apps.delivery.record import Failed, Record

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The delivery stream as a destination sees it.

    description: the stored description of the destination (AWS's members, defaults filled in) under the pinned VersionId;
    secrets: by path of the member; connections: overrides by part (endpoint_url, region, access_key_id,
    secret_access_key; all optional).
    part: which of the parts this is: "destination", "backup" (description is then the backup's S3 description).
    """

    team_id: int
    account_id: str
    region: str
    delivery_stream_key: int
    name: str
    arn: str
    version_id: int
    destination_type: str
    description: Json
    secrets: dict[str, str] = field(default_factory=dict)
    connections: dict[str, Json] = field(default_factory=dict)
    source_stream_arn: str = ""
    part: str = "destination"


@dataclass(slots=True)
class Batch:
    """Records of one lane that are delivered together. lane_id, first and end (exclusive) name it for ever.

    pieces: reads the records, anew at each call, in order, in lists of at most about 4 MiB.
    plan: what plan() answered; empty while plan() runs. state: what was remembered at earlier attempts.
    oldest_ms: arrival of the oldest record. size_bytes and count: of the data of all.
    attempt: 1 at the first call. now_ms: the clock's time at this attempt; do not put it into names or contents.
    partition_keys: of all the records, if the delivery stream partitions.
    """

    lane_id: int
    first: int
    end: int
    count: int
    size_bytes: int
    oldest_ms: int
    pieces: Callable[[], Iterator[list[Record]]]
    now_ms: int
    attempt: int = 1
    partition_keys: dict[str, str] | None = None
    plan: Json = field(default_factory=dict)
    state: Json = field(default_factory=dict)
    remember: Callable[[Json], None] = lambda _state: None

    @property
    def identity(self) -> str:
        """Its name for ever: what uuid5 names of requests and objects derive from."""
        return f"{self.lane_id}/{self.first}/{self.end}"


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was put into S3."""

    bucket: str
    key: str
    size_bytes: int
    records: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """Records of a batch that were not delivered, read from the log as they are iterated, as often as that is done: so many
    need not fit into memory.

    one: a record and its place in the batch, from 0 → the record as a failed one, or None if it was delivered.
    """

    batch: Batch
    one: Callable[[Record, int], Failed | None]

    def __iter__(self) -> Iterator[Failed]:
        place = 0
        for piece in self.batch.pieces():
            for record in piece:
                failed = self.one(record, place)
                place += 1
                if failed is not None:
                    yield failed


@dataclass(frozen=True, slots=True)
class Delivered:
    """The batch is done. records and size_bytes: what the destination took. failed: records it never will take; they go
    to the error prefix; it may be lazy (Remaining), and may be iterated more than once. written: objects put into S3 on
    the way. metrics: further observations, by name."""

    records: int
    size_bytes: int
    failed: Iterable[Failed] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    metrics: list[tuple[str, float]] = field(default_factory=list)


class DeliveryFailed(Exception):
    """This attempt failed. code and message: AWS's, for the error log and the error prefix.

    permanent: trying again cannot help. remaining: the records that were not delivered, if not all of the batch. It may
    be lazy (Remaining below): iterate it, piece by piece, only when the batch is given up. error_type: AWS's
    error-output-type of what is given up, if not the destination's. keep: False if AWS keeps nothing of the batch when it
    is given up (an HTTP endpoint's 413).
    waited_ms: how long of this attempt passed in waiting for the destination's answer. AWS does not count it in the retry
    duration. metrics: observations of the attempt, by name, as Delivered has them. delivered: (records, bytes) of the batch
    that the destination did take, at this and earlier attempts; they count when the batch is given up.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        permanent: bool = False,
        error_type: str = "",
        remaining: Iterable[Failed] | None = None,
        keep: bool = True,
        waited_ms: int = 0,
        metrics: list[tuple[str, float]] | None = None,
        delivered: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.permanent, self.error_type, self.remaining, self.keep = permanent, error_type, remaining, keep
        self.waited_ms, self.metrics, self.delivered = waited_ms, metrics or [], delivered


class NotYet(Exception):
    """Neither delivered nor failed: the destination took the batch and has still to confirm it (Splunk's indexers).

    Before it is raised, what was sent is remembered (batch.remember). The engine gives the lane the due time
    now + look_again_ms and then calls deliver again with the same batch and state and the same `attempt`: it counts no
    attempt, writes no error, and starts or stops no retry clock. It is deliver that ends the waiting, by DeliveryFailed.
    """

    def __init__(self, look_again_ms: int) -> None:
        super().__init__(f"again in {look_again_ms} ms")
        self.look_again_ms = look_again_ms


class Destination(Protocol):
    """One kind of destination, made anew for each attempt: `destination_for(runtime, target)`. Synchronous; every wait
    on the network has a timeout; nothing is kept in memory that grows with the batch, but for 16 MiB."""

    error_type: str
    """AWS's error-output-type of records that it does not take."""

    def plan(self, batch: Batch) -> Json:
        """Everything that must not change on a repeat: evaluated keys, schema, table. Raises DeliveryFailed (then what
        cannot be planned is given up, or tried again, as with deliver)."""
        ...

    def deliver(self, batch: Batch) -> Delivered:
        """Send the batch as planned. Raises DeliveryFailed."""
        ...

    def failed_extra(self, batch: Batch, record: Record) -> Json:
        """Members that a line under the error prefix has beside the common ones (esDocumentId …), when the whole batch
        is given up."""
        ...


@runtime_checkable
class KeepsItself(Protocol):
    """A destination that keeps what is given up in a way of its own, when its DeliveryFailed says keep=False (Redshift, whose
    objects are in the bucket already)."""

    def given_up(self, batch: Batch) -> list[Written]:
        """Do what is to be done at the end, under names from the plan. Raises DeliveryFailed: then once more, later."""
        ...
