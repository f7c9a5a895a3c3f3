"""Queues from a synchronous test: operations through the one door, the workers' slices by hand, a clock that stands still."""

from typing import Any

import pytest

from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.leases.models import Lease
from apps.queues.models import Queue
from apps.queues.receiving import Receiving
from apps.runtime import Runtime
from apps.streams.models import Stream
from tests.support.runtimes import call, run_due

SECOND_S = 0.01
"""What a second of waiting takes here."""


class Bench:
    """One team, a stream "s" and queues on it."""

    def __init__(self, runtime: Runtime, clock: FakeClock, principal: Principal) -> None:
        self.runtime = runtime
        self.clock = clock
        self.principal = principal

        async def hurry() -> None:
            runtime.part(Receiving).second_s = SECOND_S

        runtime.wait_for(hurry())

    def __call__(self, operation: str, **params: Any) -> Any:
        return call(self.runtime, self.principal, operation, **params)

    def of(self, principal: Principal) -> "Bench":
        return Bench(self.runtime, self.clock, principal)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        from apps.base.errors import ServiceError

        with pytest.raises(ServiceError) as caught:
            self(operation, **params)
        return caught.value.code, caught.value.message

    # Set up

    def stream(self, name: str = "s", shards: int | None = None) -> Stream:
        if shards is None:
            self("CreateStream", StreamName=name)
        else:
            self("CreateStream", StreamName=name, ShardCount=shards)
        run_due(self.runtime, "lifecycle")
        return Stream.objects.select_related("team").get(name=name, team_id=self.principal.team_id)

    def queue(self, name: str = "q", stream: str = "s", start: Any = "TRIM_HORIZON", **attributes: Any) -> str:
        """The ARN of an ACTIVE queue, made if need be with its stream."""
        found = Stream.objects.filter(name=stream, team_id=self.principal.team_id).first() or self.stream(stream)
        position = start if isinstance(start, dict) else {"Type": start}
        configuration = {"StreamARN": str(found.arn), "StartingPosition": position}
        params = {"QueueAttributes": attributes} if attributes else {}
        made = self("CreateQueue", QueueName=name, StreamConfigurationList=[configuration], **params)
        self.work()
        return made["QueueDescription"]["QueueARN"]

    def work(self) -> None:
        """Let the workers do what is due to queues."""
        run_due(self.runtime, "queues")

    def row(self, arn: str) -> Queue:
        return Queue.objects.get(queue_id=arn.rpartition("/")[2])

    def work_again(self) -> None:
        """Look after all queues now."""
        Lease.objects.filter(kind="queues").update(due_at_ms=0)
        self.work()

    def put(self, *data: bytes, stream: str = "s") -> None:
        self(
            "PutRecords", StreamName=stream,
            Records=[{"PartitionKey": one.decode(), "Data": one} for one in data],
        )  # fmt: skip

    # Use

    def receive(self, arn: str, limit: int = 10, *, dead: bool = False, **params: Any) -> list[dict[str, Any]]:
        name = "ReceiveDeadLetterQueueRecords" if dead else "ReceiveQueueRecords"
        return self(name, QueueARN=arn, Limit=limit, WaitTimeSeconds=1, **params)["QueueRecords"]

    def all(self, arn: str, **params: Any) -> list[dict[str, Any]]:
        """Everything that can be received now."""
        found = []
        while some := self.receive(arn, **params):
            found += some
        return found

    def entries(self, operation: str, arn: str, *records: dict[str, Any] | str, **more: Any) -> list[str | None]:
        """Of each entry: None for a success, else its error code."""
        texts = [one if isinstance(one, str) else one["ReceiptHandle"] for one in records]
        answer = self(operation, QueueARN=arn, Entries=[{"ReceiptHandle": text, **more} for text in texts])
        codes = {one["ReceiptHandle"]: one["ErrorCode"] for one in answer["Failed"]}
        assert len(answer["Successful"]) + len(answer["Failed"]) == len(records)
        assert not {one["ReceiptHandle"] for one in answer["Successful"]} & set(codes)
        return [codes.get(text) for text in texts]

    def acknowledge(self, arn: str, *records: dict[str, Any] | str, dead: bool = False) -> list[str | None]:
        name = "AcknowledgeDeadLetterQueueRecords" if dead else "AcknowledgeQueueRecords"
        return self.entries(name, arn, *records)

    def visible_in(self, arn: str, seconds: int, *records: Any, dead: bool = False) -> list[str | None]:
        name = "UpdateDeadLetterQueueRecordsVisibility" if dead else "UpdateQueueRecordsVisibility"
        return self.entries(name, arn, *records, VisibilityTimeoutSeconds=seconds)


@pytest.fixture
def bench(runtime: Runtime, clock: FakeClock, team: Any) -> Bench:
    return Bench(runtime, clock, team.principal)
