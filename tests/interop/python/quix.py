"""quixstreams' Kinesis sink and source, without the Kafka broker that an Application would need: the sink is filled and
flushed as an Application does it, and the source's consumer reads with checkpoints, goes, and comes back where it was.
Ends with 0 and one line of JSON."""

import json
import os
import time

import boto3
from quixstreams.sinks.community.kinesis import KinesisSink, KinesisStreamNotFoundError
from quixstreams.sources.community.kinesis.consumer import KinesisConsumer

RECORDS = 1_700
kinesis = boto3.client("kinesis")
kinesis.create_stream(StreamName="quix", ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName="quix", WaiterConfig={"Delay": 1})
credentials = {
    "endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": os.environ["AWS_DEFAULT_REGION"],
    "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
}  # fmt: skip


def sink(name):
    return KinesisSink(
        stream_name=name, aws_endpoint_url=credentials["endpoint_url"], region_name=credentials["region_name"],
        aws_access_key_id=credentials["aws_access_key_id"], aws_secret_access_key=credentials["aws_secret_access_key"],
    )  # fmt: skip


try:
    sink("absent").setup()
except KinesisStreamNotFoundError:
    pass
else:
    raise AssertionError("a stream that is not there was found")

filled = sink("quix")
filled.setup()
for number in range(RECORDS):
    filled.add(
        {"number": number}, f"key-{number % 40}".encode(), int(time.time() * 1000), [], "topic", number % 2, number
    )
filled.flush()


class Checkpoints:
    """What the source keeps in its state store."""

    def __init__(self):
        self.numbers = {}

    def get(self, shard_id):
        return self.numbers.get(shard_id)

    def set(self, shard_id, number):
        self.numbers[shard_id] = number

    def commit(self, force=False):
        pass


def read(checkpoints, enough):
    seen = []
    consumer = KinesisConsumer(
        "quix", credentials, lambda record: seen.append(json.loads(record["Data"])["number"]), checkpoints, "earliest",
        max_records_per_shard=200, backoff_secs=0.2,
    )  # fmt: skip
    end = time.monotonic() + 60
    with consumer:
        while len(seen) < enough:
            assert time.monotonic() < end, f"{len(seen)} of {enough}"
            consumer.process_shards()
            consumer.commit()
    return seen


checkpoints = Checkpoints()
first = read(checkpoints, RECORDS // 2)
second = read(checkpoints, RECORDS - len(first))
assert sorted(first + second) == list(range(RECORDS)), "not every record came once"
print(json.dumps({"put": RECORDS, "read": len(first) + len(second)}))
