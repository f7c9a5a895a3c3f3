"""EnableEnhancedMonitoring and DisableEnhancedMonitoring."""

import pytest

from apps.streams.models import Stream

pytestmark = pytest.mark.django_db(transaction=True)

ALL = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
]


def on(control):
    described = control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]
    [monitoring] = described["EnhancedMonitoring"]
    return monitoring["ShardLevelMetrics"]


def switch(control, verb, *metrics):
    answer = control(f"{verb}EnhancedMonitoring", StreamName="s", ShardLevelMetrics=list(metrics))
    assert answer["StreamName"] == "s"
    assert answer["StreamARN"].endswith(":stream/s")
    return answer["CurrentShardLevelMetrics"], answer["DesiredShardLevelMetrics"]


def test_on_and_off(control):
    before = control.create("s").version
    assert on(control) == []
    assert switch(control, "Enable", "OutgoingBytes", "IncomingBytes") == ([], ["IncomingBytes", "OutgoingBytes"])
    assert Stream.objects.get().version > before
    assert switch(control, "Enable", "IncomingBytes", "IncomingRecords") == (
        ["IncomingBytes", "OutgoingBytes"],
        ["IncomingBytes", "IncomingRecords", "OutgoingBytes"],
    )
    assert on(control) == ["IncomingBytes", "IncomingRecords", "OutgoingBytes"]
    assert switch(control, "Disable", "IncomingRecords", "IteratorAgeMilliseconds")[1] == [
        "IncomingBytes",
        "OutgoingBytes",
    ]
    assert switch(control, "Enable", "ALL")[1] == ALL
    assert switch(control, "Disable", "ALL") == (ALL, [])
    assert on(control) == []


def test_what_is_refused(control, stranger):
    control.create("s")
    code, text = control.refused("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["Latency"])
    assert code == "ValidationException"
    assert "[Member must satisfy enum value set: [IncomingBytes," in text
    assert control.refused("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=[])[0] == "ValidationException"
    assert stranger.refused("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])[0] == (
        "ResourceNotFoundException"
    )
    control("DeleteStream", StreamName="s")
    assert control.refused("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])[0] == (
        "ResourceInUseException"
    )
    assert Stream.objects.get().shard_level_metrics == []
