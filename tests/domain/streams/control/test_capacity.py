"""Capacity modes, warm throughput, distribution strategy, record size."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing.models import UsageHour
from apps.capacity.models import DemandPeak
from apps.queues.models import Queue
from apps.streams import time_meters

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"


def switch(control, mode, name="s", **params):
    control(
        "UpdateStreamMode", StreamARN=str(control.stream(name).arn), StreamModeDetails={"StreamMode": mode}, **params
    )
    assert control.status(name) == "UPDATING"
    control.settle()


def refused_switch(control, mode, **params):
    arn = str(control.stream().arn)
    return control.refused("UpdateStreamMode", StreamARN=arn, StreamModeDetails={"StreamMode": mode}, **params)


def commit(control, status="ENABLED"):
    answer = control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": status})
    return answer["MinimumThroughputBillingCommitment"]


def summary(control, name="s"):
    return control("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]


def warm(control, mibps):
    return control("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=mibps)["WarmThroughput"]


# --- modes -----------------------------------------------------------------------------------------------------------


def test_a_switch_keeps_the_shards_and_goes_through_updating(control):
    control.create("s", shards=3)
    switch(control, "ON_DEMAND")
    assert (control.status(), control.listed()) == ("ACTIVE", [0, 1, 2])
    assert summary(control)["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert control.refused("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")[0] == (
        "ValidationException"
    )
    switch(control, "PROVISIONED")
    assert control.listed() == [0, 1, 2]
    assert "RecordDistributionStrategy" not in summary(control)


def test_two_switches_within_a_day_and_the_third_after_it(control):
    control.create("s")
    switch(control, "ON_DEMAND")
    control.clock.advance(HOUR_MS)
    switch(control, "PROVISIONED")
    assert refused_switch(control, "ON_DEMAND") == (
        "LimitExceededException",
        f"Stream s under account {ACCOUNT} has been switched between capacity modes 2 times within 24 hours. Limit: 2.",
    )
    control.clock.advance(DAY_MS - HOUR_MS + 1)
    switch(control, "ON_DEMAND")


def test_the_mode_it_has_is_no_switch(control):
    control.create("s")
    for _ in range(5):
        control(
            "UpdateStreamMode", StreamARN=str(control.stream().arn), StreamModeDetails={"StreamMode": "PROVISIONED"}
        )
    assert control.status() == "ACTIVE"
    assert control.stream().mode_changes_ms == []


def test_not_while_it_is_updating(control):
    control.create("s")
    control("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")
    assert refused_switch(control, "ON_DEMAND") == (
        "ResourceInUseException",
        f"Stream s under account {ACCOUNT} not ACTIVE, instead in state UPDATING",
    )


def test_not_to_provisioned_with_queues_auto_or_too_many_shards(control):
    stream = control.create("s", shards=None, RecordDistributionStrategy="AUTO")
    queue = Queue.objects.create(
        team=stream.team, stream=stream, region=stream.region, name="q", queue_id="q" * 24, created_at_ms=1,
        visibility_timeout_s=30,
    )  # fmt: skip
    code, message = refused_switch(control, "PROVISIONED")
    assert (code, "queues" in message) == ("ResourceInUseException", True)
    queue.delete()
    code, message = refused_switch(control, "PROVISIONED")
    assert (code, "AUTO" in message) == ("InvalidArgumentException", True)
    control(
        "UpdateStreamRecordDistributionStrategy",
        StreamARN=str(stream.arn), RecordDistributionStrategy="USER_PARTITION_KEY",
    )  # fmt: skip
    control.allow(shards=3)
    code, message = refused_switch(control, "PROVISIONED")
    assert (code, "Limit: 3" in message) == ("LimitExceededException", True)
    assert control.status() == "ACTIVE"


def test_not_to_one_more_on_demand_stream_than_allowed(control):
    control.allow(on_demand_streams=1)
    control.create("other", shards=None)
    control.create("s")
    assert refused_switch(control, "ON_DEMAND")[0] == "LimitExceededException"


def test_each_mode_is_metered_for_its_own_time(control):
    control.clock.advance(HOUR_MS - control.clock.now_ms() % HOUR_MS)
    control.create("s", shards=2)
    control.clock.advance(HOUR_MS // 4)
    switch(control, "ON_DEMAND")
    control.clock.advance(HOUR_MS // 4)
    switch(control, "PROVISIONED")
    control.clock.advance(HOUR_MS // 4)
    time_meters.book([control.stream().pk], control.clock.now_ms())
    booked = dict(UsageHour.objects.values_list("meter", "quantity"))
    assert booked["shard-time"] == 2 * HOUR_MS // 2
    assert booked["on-demand-time"] == HOUR_MS // 4


def test_a_stranger_switches_nothing(control, stranger):
    stream = control.create("s")
    assert stranger.refused(
        "UpdateStreamMode", StreamARN=str(stream.arn), StreamModeDetails={"StreamMode": "ON_DEMAND"}
    )[0] in {"ResourceNotFoundException", "AccessDeniedException"}
    assert control.stream().mode == "PROVISIONED"


# --- warm throughput -------------------------------------------------------------------------------------------------


def test_warm_throughput_grows_the_stream_at_once(control):
    commit(control)
    control.create("s", shards=None)
    assert "WarmThroughput" not in summary(control)
    assert warm(control, 10) == {"TargetMiBps": 10, "CurrentMiBps": 4}
    assert control.status() == "UPDATING"
    control.settle()
    assert summary(control)["WarmThroughput"] == {"TargetMiBps": 10, "CurrentMiBps": 10}
    assert summary(control)["OpenShardCount"] == 10
    assert warm(control, 6) == {"TargetMiBps": 6, "CurrentMiBps": 10}
    control.settle()
    assert warm(control, 0) == {"TargetMiBps": 0, "CurrentMiBps": 10}
    control.settle()
    assert "WarmThroughput" not in summary(control)


def test_warm_throughput_from_the_beginning_and_with_a_switch(control):
    commit(control)
    control.create("s", shards=None, WarmThroughputMiBps=7)
    assert summary(control)["WarmThroughput"] == {"TargetMiBps": 7, "CurrentMiBps": 7}
    control.create("t", shards=2)
    switch(control, "ON_DEMAND", "t", WarmThroughputMiBps=5)
    assert summary(control, "t")["WarmThroughput"] == {"TargetMiBps": 5, "CurrentMiBps": 5}


def test_warm_throughput_needs_the_commitment_the_mode_and_the_quota(control):
    control.create("s", shards=None)
    code, message = control.refused("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=8)
    assert (code, "MinimumThroughputBillingCommitment DISABLED" in message) == ("InvalidArgumentException", True)
    commit(control)
    code, message = control.refused("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=10_241)
    assert (code, "Limit: 10240" in message) == ("LimitExceededException", True)
    control.create("p")
    assert control.refused("UpdateStreamWarmThroughput", StreamName="p", WarmThroughputMiBps=1)[0] == (
        "ValidationException"
    )
    assert refused_switch(control, "PROVISIONED", WarmThroughputMiBps=1)[0] == "ValidationException"
    assert refused_switch(control, "ON_DEMAND", WarmThroughputMiBps=1)[0] == "InvalidArgumentException"


# --- the account -----------------------------------------------------------------------------------------------------


def test_the_commitment_lasts_a_day(control):
    began = control.clock.now_ms()
    assert control("DescribeAccountSettings") == {"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}
    assert commit(control) == {
        "Status": "ENABLED", "StartedAt": began, "EarliestAllowedEndAt": began + DAY_MS,
    }  # fmt: skip
    control.clock.advance(HOUR_MS)
    assert commit(control)["StartedAt"] == began
    ending = {
        "Status": "ENABLED_UNTIL_EARLIEST_ALLOWED_END", "StartedAt": began, "EarliestAllowedEndAt": began + DAY_MS,
    }  # fmt: skip
    assert commit(control, "DISABLED") == ending
    assert commit(control)["Status"] == "ENABLED"
    assert commit(control, "DISABLED") == ending
    control.clock.advance(DAY_MS)
    assert control("DescribeAccountSettings")["MinimumThroughputBillingCommitment"] == {
        "Status": "DISABLED", "StartedAt": began, "EndedAt": began + DAY_MS,
    }  # fmt: skip
    assert commit(control)["StartedAt"] == control.clock.now_ms()


def test_after_the_day_it_ends_at_once(control):
    commit(control)
    control.clock.advance(2 * DAY_MS)
    assert commit(control, "DISABLED")["EndedAt"] == control.clock.now_ms()
    assert commit(control, "DISABLED")["Status"] == "DISABLED"


def test_not_disabled_while_a_stream_is_warm(control):
    commit(control)
    control.create("s", shards=None, WarmThroughputMiBps=5)
    code, message = control.refused("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "DISABLED"})
    assert (code, "among them s." in message) == ("ValidationException", True)
    warm(control, 0)
    commit(control, "DISABLED")


def test_one_that_is_ending_allows_nothing_new(control):
    commit(control)
    commit(control, "DISABLED")
    control.create("s", shards=None)
    assert control.refused("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=8)[0] == (
        "InvalidArgumentException"
    )


def test_the_limits_of_the_account(control, stranger):
    control.create("s", shards=3)
    control.create("t", shards=None)
    stranger.create("u", shards=2)
    control.allow(on_demand_streams=7)
    assert control("DescribeLimits") == {
        "ShardLimit": 20_000, "OpenShardCount": 3, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 7,
        "ChannelCount": 0, "ChannelCountLimit": 14,
    }  # fmt: skip


def test_fifty_consumers_with_the_commitment(control):
    arn = str(control.create("s", shards=None).arn)
    control.allow(consumers=1, consumers_advantage=2)
    control("RegisterStreamConsumer", StreamARN=arn, ConsumerName="a")
    assert control.refused("RegisterStreamConsumer", StreamARN=arn, ConsumerName="b")[0] == "LimitExceededException"
    commit(control)
    control("RegisterStreamConsumer", StreamARN=arn, ConsumerName="b")
    assert control.refused("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")[0] == "LimitExceededException"


# --- strategy and size -----------------------------------------------------------------------------------------------


def test_the_strategy_is_for_on_demand_streams(control):
    arn = str(control.create("s").arn)
    assert (
        control.refused("UpdateStreamRecordDistributionStrategy", StreamARN=arn, RecordDistributionStrategy="AUTO")[0]
        == "InvalidArgumentException"
    )
    switch(control, "ON_DEMAND")
    assert summary(control)["RecordDistributionStrategy"] == "USER_PARTITION_KEY"
    control("UpdateStreamRecordDistributionStrategy", StreamARN=arn, RecordDistributionStrategy="AUTO")
    assert summary(control)["RecordDistributionStrategy"] == "AUTO"
    assert control.status() == "ACTIVE"
    control.create("t", shards=None, RecordDistributionStrategy="AUTO")
    assert summary(control, "t")["RecordDistributionStrategy"] == "AUTO"


def test_the_size_of_records(control):
    arn = str(control.create("s").arn)
    control("UpdateMaxRecordSize", StreamARN=arn, MaxRecordSizeInKiB=10_240)
    assert summary(control)["MaxRecordSizeInKiB"] == 10_240
    for size in (1_023, 10_241):
        assert control.refused("UpdateMaxRecordSize", StreamARN=arn, MaxRecordSizeInKiB=size)[0] == (
            "ValidationException"
        )
    assert control.refused("UpdateMaxRecordSize", MaxRecordSizeInKiB=2_048)[0] == "InvalidArgumentException"
    assert summary(control)["MaxRecordSizeInKiB"] == 10_240


def test_what_a_switched_stream_had_is_remembered_as_its_need(control):
    control.create("s", shards=9)
    switch(control, "ON_DEMAND")
    assert DemandPeak.objects.get().shards == 9
