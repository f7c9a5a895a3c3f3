"""Producers that remember what was answered, and the comparison with what is stored afterwards.

Every attempt, retries included, carries its own id. An attempt answered with success must be stored exactly once; an
unanswered one at most once; a refused one never. Within a partition key, what is stored keeps the order of attempts.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

KEYS_PER_PRODUCER = 5
RECORDS_PER_CALL = 20


def client(endpoint: str, key: str, secret: str):
    """A client without retries of its own: every attempt is ours to count."""
    return boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=BotoConfig(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )


@dataclass
class Outcome:
    """Attempt ids by what the client saw; ids are `producer-number`, rising per producer."""

    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    sequence_numbers: dict[str, str] = field(default_factory=dict)


class Producer(threading.Thread):
    """Puts batches until told to stop; one thread, so its attempts are ordered."""

    def __init__(self, name: str, kinesis, stream: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        self.kinesis, self.stream, self.stop, self.outcome, self.number = kinesis, stream, stop, Outcome(), 0

    def run(self) -> None:
        while not self.stop.is_set():
            self.attempt([self._record() for _ in range(RECORDS_PER_CALL)])

    def _record(self) -> dict[str, object]:
        self.number += 1
        key = f"{self.name}.{self.number % KEYS_PER_PRODUCER}"
        return {"PartitionKey": key, "Data": json.dumps({"id": f"{self.name}-{self.number}", "pad": "x" * 80}).encode()}

    def attempt(self, records: list[dict[str, object]]) -> None:
        ids = [json.loads(record["Data"])["id"] for record in records]
        try:
            answer = self.kinesis.put_records(StreamName=self.stream, Records=records)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            (self.outcome.refused if status < 500 else self.outcome.unanswered).update(ids)
            time.sleep(0.05)
            return
        except BotoCoreError:
            self.outcome.unanswered.update(ids)
            time.sleep(0.05)
            return
        for attempt_id, result in zip(ids, answer["Records"], strict=True):
            if "ErrorCode" in result:
                bucket = self.outcome.unanswered if result["ErrorCode"] == "InternalFailure" else self.outcome.refused
                bucket.add(attempt_id)
            else:
                self.outcome.acknowledged.add(attempt_id)
                self.outcome.sequence_numbers[attempt_id] = result["SequenceNumber"]


def read_back(kinesis, stream: str) -> list[list[dict]]:
    """Every record of every shard from the start, patiently; one list a shard."""
    shards = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict] = []
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            records += answer["Records"]
            iterator = answer.get("NextShardIterator")
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
        shards.append(records)
    return shards


def problems(outcomes: list[Outcome], shards: list[list[dict]]) -> list[str]:
    """What is wrong, as sentences; empty when every promise was kept."""
    stored = Counter(json.loads(record["Data"])["id"] for records in shards for record in records)
    acknowledged = set().union(*(outcome.acknowledged for outcome in outcomes))
    refused = set().union(*(outcome.refused for outcome in outcomes))
    known = acknowledged | refused | set().union(*(outcome.unanswered for outcome in outcomes))
    found = [f"{attempt} was acknowledged and is not stored" for attempt in acknowledged - stored.keys()]
    found += [f"{attempt} is stored {times} times" for attempt, times in stored.items() if times > 1]
    found += [f"{attempt} was refused and is stored" for attempt in refused & stored.keys()]
    found += [f"{attempt} was never put" for attempt in stored.keys() - known]
    found += _numbers_differ(outcomes, shards)
    return found + _disorder(shards)


def _numbers_differ(outcomes: list[Outcome], shards: list[list[dict]]) -> list[str]:
    stored = {json.loads(record["Data"])["id"]: record["SequenceNumber"] for records in shards for record in records}
    return [
        f"{attempt} was answered with {number} and is stored as {stored[attempt]}"
        for outcome in outcomes
        for attempt, number in outcome.sequence_numbers.items()
        if attempt in stored and stored[attempt] != number
    ]


def _disorder(shards: list[list[dict]]) -> list[str]:
    found = []
    for records in shards:
        numbers = [int(record["SequenceNumber"]) for record in records]
        if numbers != sorted(set(numbers)):
            found.append("sequence numbers of a shard do not rise")
        last: dict[str, int] = {}
        for record in records:
            number = int(json.loads(record["Data"])["id"].rsplit("-", 1)[1])
            if number <= last.get(record["PartitionKey"], 0):
                found.append(
                    f"key {record['PartitionKey']}: attempt {number} stands after {last[record['PartitionKey']]}"
                )
            last[record["PartitionKey"]] = number
    return found
