"""A transform's server, and a chain that calls it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.base.clock import FakeClock
from apps.delivery.processing import chain_for, transforming
from apps.delivery.processing.interface import Processed
from tests.support.delivery_batches import NOW_MS, target
from tests.support.lambda_server import LambdaServer
from tests.support.processors import function, processing
from tests.support.runtimes import memory_runtime


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """No waits between attempts."""
    monkeypatch.setattr(transforming, "WAIT_S", 0.001)
    monkeypatch.setattr(transforming, "WAIT_S_MAX", 0.002)


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    """Unsigned requests."""
    with LambdaServer() as started:
        yield started
        assert started.faults == []


@pytest.fixture
def transform(server) -> Callable[..., Processed]:
    """transform(records): through a Lambda processor at the server, a connection of the team's."""
    runtime = memory_runtime(FakeClock(NOW_MS), private_destinations="allow")

    def run(records: list[Any], *more: Any, kind: str = "direct", path: str = "", **parameters: Any) -> Processed:
        description = processing(function(**parameters), *more)
        connections = {"lambda": {"endpoint_url": server.url + path}}
        source = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks" if kind == "stream" else ""
        made = target("ExtendedS3", description, connections=connections, source_stream_arn=source)
        return chain_for(runtime, made, kind).run(records, NOW_MS)

    return run
