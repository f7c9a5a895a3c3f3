"""The resharding torture against a server: boto3 in threads, without retries of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from tests.bench.server import Server
from tests.torture.resharding import Plan, Refused, Result, torture
from tests.torture.traffic import client as boto_client

THREADS = 64
"""More than there are shards and actors: a subscription holds one while it waits for an event."""


class OverHttp:
    """A client of a server; each thread has a boto3 client of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._pool = ThreadPoolExecutor(THREADS, "boto3")
        self._own = threading.local()

    async def call(self, operation: str, **params: Any) -> Any:
        return await self._in_thread(self._call, operation, params)

    async def subscribe(self, **params: Any) -> AsyncIterator[dict[str, Any]]:
        stream = (await self.call("SubscribeToShard", **params))["EventStream"]
        events = iter(stream)
        try:
            while (event := await self._in_thread(self._next, events)) is not None:
                yield event["SubscribeToShardEvent"]
        finally:
            stream.close()

    async def pause(self) -> None:
        await asyncio.sleep(0.05)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _call(self, operation: str, params: dict[str, Any]) -> Any:
        if not hasattr(self._own, "client"):
            self._own.client = boto_client(self.server.endpoint, self.server.access_key, self.server.secret_key)
        with _refusals():
            return self._own.client._make_api_call(operation, params)

    @staticmethod
    def _next(events: Any) -> Any:
        with _refusals():
            return next(events, None)


@contextlib.contextmanager
def _refusals() -> Any:
    try:
        yield
    except ClientError as error:
        raise Refused(error.response["Error"]["Code"], str(error)) from error


async def run_over_http(server: Server, plan: Plan) -> Result:
    """One seeded run on a stream of its own. The subscriber stays: it would have to wait five seconds to return."""
    client, name = OverHttp(server), f"torture-{plan.seed}"
    try:
        await client.call("CreateStream", StreamName=name, ShardCount=plan.shards)
        while True:
            summary = (await client.call("DescribeStreamSummary", StreamName=name))["StreamDescriptionSummary"]
            if summary["StreamStatus"] == "ACTIVE":
                break
            await client.pause()
        made = {"StreamARN": summary["StreamARN"], "ConsumerName": "reader"}
        arn = (await client.call("RegisterStreamConsumer", **made))["Consumer"]["ConsumerARN"]
        while True:
            answer = await client.call("DescribeStreamConsumer", ConsumerARN=arn)
            if answer["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE":
                break
            await client.pause()
        result = await torture(client, name, plan, arn, leaves=0.0)
        await client.call("DeleteStream", StreamName=name, EnforceConsumerDeletion=True)
        return result
    finally:
        client.close()
