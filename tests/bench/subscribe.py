"""Put one record, and wait for its SubscribeToShard event: raw sockets, so that the client costs little.

python -m tests.bench.subscribe --endpoint http://127.0.0.1:4567 --access-key K --secret-key S
"""

from __future__ import annotations

import argparse
import json
import random
import select
import statistics
import time

import boto3

from tests.bench.loadgen import Conn, Signer, data, ms, pct

SAMPLES = 300


class Subscription:
    """The open response of one SubscribeToShard call; bytes are searched, never decoded."""

    def __init__(self, signer: Signer, consumer_arn: str, shard_id: str) -> None:
        self.connection = Conn(signer)
        body = {"ConsumerARN": consumer_arn, "ShardId": shard_id, "StartingPosition": {"Type": "LATEST"}}
        self.connection.start(signer.wire("SubscribeToShard", json.dumps(body).encode()))
        self.seen = b""
        self.wait_for(b"initial-response")

    def wait_for(self, text: bytes, timeout_s: float = 5.0) -> None:
        """Return once text came; raise TimeoutError after timeout_s."""
        until = time.perf_counter() + timeout_s
        while text not in self.seen:
            left = until - time.perf_counter()
            if left <= 0 or not select.select([self.connection.sock], [], [], left)[0]:
                raise TimeoutError(f"{text!r} did not come; last bytes {self.seen[-300:]!r}")
            self.seen = self.seen[-65_536:] + self.connection.sock.recv(1 << 20)


def measure(endpoint: str, access_key: str, secret_key: str, samples: int = SAMPLES) -> dict[str, object]:
    """p50 and p99 in ms from the start of PutRecord to the event's arrival."""
    signer = Signer(endpoint, access_key, secret_key, "us-east-1")
    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
    name = f"subscribe-{random.getrandbits(32):x}"
    client.create_stream(StreamName=name, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = client.register_stream_consumer(StreamARN=arn, ConsumerName="bench")["Consumer"]["ConsumerARN"]
    while client.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
        time.sleep(0.05)
    subscription, put = Subscription(signer, consumer, "shardId-000000000000"), Conn(signer)
    generator = random.Random(5)
    times = [_one(signer, subscription, put, name, generator) for _ in range(samples + 50)][50:]
    client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
    return {
        "samples": samples,
        "p50_ms": ms(pct(times, 0.5)),
        "p99_ms": ms(pct(times, 0.99)),
        "mean_ms": ms(statistics.fmean(times)),
    }


def _one(signer: Signer, subscription: Subscription, put: Conn, name: str, generator: random.Random) -> float:
    time.sleep(generator.random() * 0.004)
    body = json.dumps({"StreamName": name, "Data": data(generator, 100), "PartitionKey": "fixed"}).encode()
    request = signer.wire("PutRecord", body)
    began = time.perf_counter()
    status, answer = put.call(request)
    if status != 200:
        raise SystemExit(f"PutRecord answered {status}: {answer[:200]!r}")
    subscription.wait_for(json.loads(answer)["SequenceNumber"].encode())
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--endpoint", "--access-key", "--secret-key"):
        parser.add_argument(option, required=True)
    given = parser.parse_args()
    print(json.dumps(measure(given.endpoint, given.access_key, given.secret_key)))
