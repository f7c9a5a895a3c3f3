"""aws-kinesis-agg: user records in KPL's format, put as few Kinesis records, read and taken apart again.

Usage: python aggregation.py (endpoint and keys from the environment); ends with 0 and one line of JSON.
"""

import base64
import json
import random

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import iter_deaggregate_records

kinesis = boto3.client("kinesis")
kinesis.create_stream(StreamName="kpl", ShardCount=3)
kinesis.get_waiter("stream_exists").wait(StreamName="kpl", WaiterConfig={"Delay": 1})

chance = random.Random(7)
users = [(f"user-{chance.randrange(50)}", chance.randbytes(chance.randrange(1, 2_000))) for _ in range(1_000)]
aggregator, put = RecordAggregator(max_size=100_000), []


def send(aggregate):
    key, hash_key, data = aggregate.get_contents()
    place = {"ExplicitHashKey": hash_key} if hash_key else {}
    put.append(kinesis.put_record(StreamName="kpl", Data=data, PartitionKey=key, **place))


for number, (key, data) in enumerate(users):  # with and without explicit hash keys
    full = aggregator.add_user_record(key, data, str(chance.getrandbits(128)) if number % 3 else None)
    if full:
        send(full)
rest = aggregator.clear_and_get()
if rest:
    send(rest)

records = []
for shard in kinesis.list_shards(StreamName="kpl")["Shards"]:
    place = {"StreamName": "kpl", "ShardId": shard["ShardId"]}
    iterator = kinesis.get_shard_iterator(ShardIteratorType="TRIM_HORIZON", **place)["ShardIterator"]
    while True:
        answer = kinesis.get_records(ShardIterator=iterator)
        records += answer["Records"]
        iterator = answer["NextShardIterator"]
        if not answer["Records"] and not answer["MillisBehindLatest"]:
            break
numbers = {answer["SequenceNumber"] for answer in put}
assert {record["SequenceNumber"] for record in records} == numbers, "other records than were put"

order = [answer["SequenceNumber"] for answer in put]
records.sort(key=lambda record: order.index(record["SequenceNumber"]))
taken_apart = [
    (user["kinesis"]["partitionKey"], base64.b64decode(user["kinesis"]["data"]))
    for user in iter_deaggregate_records(records, data_format="Boto3")
]
assert taken_apart == users, "user records differ"
kinesis.delete_stream(StreamName="kpl")
print(json.dumps({"user_records": len(users), "kinesis_records": len(records)}))
