"""Channels from a synchronous test: operations through the one door, the workers' slices by hand, a real S3 server."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.base.errors import ServiceError
from apps.runtime import Runtime
from apps.streams.models import Stream
from tests.support.runtimes import call, memory_runtime, run_due
from tests.support.s3 import S3Server, settings_for
from tests.support.teams import make_team

ROLE = "arn:aws:iam::123456789012:role/r"
OWNER = "123456789012"


def bucket(name: str, **more: Any) -> dict[str, Any]:
    return {"BucketARN": f"arn:aws:s3:::{name}", "ExpectedBucketOwner": OWNER, **more}


class Bench:
    """One team, streams and channels on them."""

    def __init__(self, runtime: Runtime, clock: FakeClock, principal: Principal) -> None:
        self.runtime, self.clock, self.principal = runtime, clock, principal

    def __call__(self, operation: str, **params: Any) -> Any:
        return call(self.runtime, self.principal, operation, **params)

    def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            self(operation, **params)
        return caught.value.code, caught.value.message

    def of(self, principal: Principal) -> "Bench":
        return Bench(self.runtime, self.clock, principal)

    def stream(self, name: str = "s", shards: int | None = None) -> str:
        """The ARN of an ACTIVE stream; on demand without a number of shards."""
        self("CreateStream", StreamName=name, **({} if shards is None else {"ShardCount": shards}))
        run_due(self.runtime, "lifecycle")
        return str(Stream.objects.select_related("team").get(name=name, team_id=self.principal.team_id).arn)

    def request(self, name: str = "c", stream: str = "", record: str = "JSON", **changes: Any) -> dict[str, Any]:
        """A CreateChannel request; changes: members of StorageConfiguration, or `top`, `destination` for members above."""
        top, destination = changes.pop("top", {}), changes.pop("destination", {})
        storage = {**bucket("events"), "CompressionType": "NONE", **changes}
        return {
            "ChannelName": name,
            "ServiceExecutionRoleARN": ROLE,
            "StreamConfigurationList": [{"StreamARN": stream, "RecordConfiguration": {"RecordFormatType": record}}],
            "S3DestinationConfiguration": {"StorageConfiguration": storage, **destination},
            **top,
        }

    def channel(self, *args: Any, **changes: Any) -> str:
        """The ARN of an ACTIVE channel."""
        answer = self("CreateChannel", **self.request(*args, **changes))
        self.settle()
        return answer["ChannelDescription"]["ChannelARN"]

    def put(self, *datas: bytes, stream: str = "s") -> None:
        for number, data in enumerate(datas):
            self("PutRecord", StreamName=stream, PartitionKey=f"k{number}", Data=data)

    def settle(self) -> None:
        """Life of streams and channels."""
        for kind, module in (("lifecycle", ""), ("delivery-streams", "delivery")):
            run_due(self.runtime, kind, module)

    def deliver(self, later_s: int = 301) -> None:
        """Let what waits get old enough, and deliver it."""
        self.clock.advance(later_s * 1000)
        self.settle()
        run_due(self.runtime, "delivery")

    def describe(self, arn: str) -> Any:
        return self("DescribeChannel", ChannelARN=arn)["ChannelDescription"]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server) -> S3Server:
    s3_server.reset()
    for name in ("events", "letters"):
        s3_server.make_bucket(name)
    return s3_server


@pytest.fixture
def bench(clock: FakeClock, s3: S3Server, transactional_db: None) -> Iterator[Bench]:
    built = memory_runtime(clock, throttle=False, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield Bench(built, clock, make_team().principal)
    built.close_in_thread()
