"""What a Terraform-like tool does with boto3: create, wait, compare with what was declared, change, find nothing to change,
delete, wait. Ends with 0 and one line of JSON."""

import json

import boto3

kinesis = boto3.client("kinesis")
WAIT = {"Delay": 1, "MaxAttempts": 60}
DECLARED = {
    "name": "declared", "shards": 4, "retention": 48, "tags": {"team": "web", "env": "test"},
    "consumers": ["billing", "search"],
}  # fmt: skip


def seen():
    summary = kinesis.describe_stream_summary(StreamName=DECLARED["name"])["StreamDescriptionSummary"]
    tags = kinesis.list_tags_for_stream(StreamName=DECLARED["name"])["Tags"]
    consumers = kinesis.list_stream_consumers(StreamARN=summary["StreamARN"])["Consumers"]
    return {
        "name": summary["StreamName"], "shards": summary["OpenShardCount"], "retention": summary["RetentionPeriodHours"],
        "tags": {tag["Key"]: tag["Value"] for tag in tags}, "consumers": sorted(c["ConsumerName"] for c in consumers),
    }, summary["StreamARN"]  # fmt: skip


def active():
    kinesis.get_waiter("stream_exists").wait(StreamName=DECLARED["name"], WaiterConfig=WAIT)


def apply():
    """Bring what is there to what is declared; how many calls changed something."""
    name, changes = DECLARED["name"], 0
    try:
        now, arn = seen()
    except kinesis.exceptions.ResourceNotFoundException:
        kinesis.create_stream(
            StreamName=name, ShardCount=DECLARED["shards"], Tags=DECLARED["tags"],
            StreamModeDetails={"StreamMode": "PROVISIONED"},
        )  # fmt: skip
        active()
        changes, (now, arn) = 1, seen()
    if now["retention"] != DECLARED["retention"]:
        more = DECLARED["retention"] > now["retention"]
        change = kinesis.increase_stream_retention_period if more else kinesis.decrease_stream_retention_period
        change(StreamName=name, RetentionPeriodHours=DECLARED["retention"])
        changes += 1
        active()
    if now["shards"] != DECLARED["shards"]:
        kinesis.update_shard_count(StreamName=name, TargetShardCount=DECLARED["shards"], ScalingType="UNIFORM_SCALING")
        changes += 1
        active()
    removed = [key for key in now["tags"] if key not in DECLARED["tags"]]
    added = {key: value for key, value in DECLARED["tags"].items() if now["tags"].get(key) != value}
    if removed:
        kinesis.remove_tags_from_stream(StreamName=name, TagKeys=removed)
        changes += 1
    if added:
        kinesis.add_tags_to_stream(StreamName=name, Tags=added)
        changes += 1
    for consumer in DECLARED["consumers"]:
        if consumer not in now["consumers"]:
            kinesis.register_stream_consumer(StreamARN=arn, ConsumerName=consumer)
            changes += 1
    for consumer in now["consumers"]:
        if consumer not in DECLARED["consumers"]:
            kinesis.deregister_stream_consumer(StreamARN=arn, ConsumerName=consumer)
            changes += 1
    return changes


first = apply()
assert seen()[0] == DECLARED, seen()
assert apply() == 0, "applied twice, and the second time something changed"
DECLARED |= {"shards": 6, "retention": 24, "tags": {"env": "prod"}}
second = apply()
assert seen()[0] == DECLARED, seen()
assert apply() == 0
try:
    kinesis.create_stream(StreamName=DECLARED["name"], ShardCount=1)
except kinesis.exceptions.ResourceInUseException:
    pass
else:
    raise AssertionError("a stream was created twice")
kinesis.delete_stream(StreamName=DECLARED["name"], EnforceConsumerDeletion=True)
kinesis.get_waiter("stream_not_exists").wait(StreamName=DECLARED["name"], WaiterConfig=WAIT)
print(json.dumps({"first": first, "second": second}))
