"""Provisioned streams: the scaling utility, and policies that follow the load."""

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import AuditEntry
from apps.base.units import MIB, MINUTE_MS
from apps.capacity.models import ScalingPolicy, ScalingUnit
from apps.leases.models import Lease
from apps.streams import autoscaling
from apps.streams.errors import InvalidArgumentException, LimitExceededException, ServiceError
from apps.streams.load import open_shards
from apps.streams.topology import even_ranges
from tests.support.metrics import Process
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db

BY = "somebody"


@pytest.fixture
def s(control):
    control.create("s", shards=4)
    return control


def policy_of(control, **fields):
    policy = ScalingPolicy(stream=control.stream(), **{"minimum": 1, "maximum": 16, **fields})
    autoscaling.watch(policy, control.clock.now_ms(), BY)
    return policy


def tick(control):
    Lease.objects.filter(kind="throttling").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "throttling")
    control.settle()


def minute(control, mib):
    """A minute in which every open shard takes so many MiB (60 is all it may), and the look after it."""
    for shard in open_shards(control.stream()):
        if mib:
            control.append(shard, *[b"x" * MIB] * mib)
    control.clock.advance(MINUTE_MS)
    tick(control)
    return len(open_shards(control.stream()))


def ranges(control):
    return [(int(shard.start_hash), int(shard.end_hash)) for shard in open_shards(control.stream())]


@pytest.mark.parametrize(
    ("count", "by", "unit", "up", "down"),
    [
        (4, 2, "shards", 6, 2), (4, 50, "percent", 6, 2), (3, 25, "percent", 4, 2), (1, 10, "percent", 2, 1),
        (4, 9, "shards", 13, 1), (10, 100, "percent", 20, 1), (10, 500, "percent", 60, 1),
    ],
)  # fmt: skip
def test_steps(count, by, unit, up, down):
    assert autoscaling.step_up(count, by, unit) == up
    assert autoscaling.step_down(count, by, unit) == down


def test_a_resize_may_go_further_than_the_api_and_ends_even(s):
    done = autoscaling.resize(s.stream(), 19, s.clock.now_ms(), BY)
    assert (done.before, done.after) == (4, 19)
    s.settle()
    assert (s.status(), ranges(s)) == ("ACTIVE", even_ranges(19))
    autoscaling.resize(s.stream(), 3, s.clock.now_ms(), BY)
    s.settle()
    assert ranges(s) == even_ranges(3)
    assert s.stream().updates_ms == []
    told = AuditEntry.objects.filter(operation="ScaleStream").order_by("pk").values_list("principal", "message")
    assert list(told) == [(BY, "4 to 19 shards"), (BY, "19 to 3 shards")]


def test_a_resize_keeps_the_quotas_and_the_states(s):
    s.allow(shards=9)
    with pytest.raises(LimitExceededException, match="Limit: 9"):
        autoscaling.resize(s.stream(), 10, s.clock.now_ms(), BY)
    s.allow(shards_per_update=8)
    with pytest.raises(LimitExceededException, match="cannot be greater than 8"):
        autoscaling.resize(s.stream(), 9, s.clock.now_ms(), BY)
    with pytest.raises(InvalidArgumentException):
        autoscaling.resize(s.stream(), 0, s.clock.now_ms(), BY)
    autoscaling.resize(s.stream(), 8, s.clock.now_ms(), BY)
    with pytest.raises(ServiceError, match="instead in state UPDATING"):
        autoscaling.resize(s.stream(), 4, s.clock.now_ms(), BY)
    s.create("d", shards=None)
    with pytest.raises(ServiceError, match="On-Demand mode"):
        autoscaling.resize(s.stream("d"), 5, s.clock.now_ms(), BY)


def test_load_at_the_upper_mark_steps_up_and_rests(s):
    policy = policy_of(s, up_at_percent=75, up_by=2, up_unit=ScalingUnit.SHARDS, up_cooldown_minutes=3)
    tick(s)
    assert minute(s, 40) == 4
    assert minute(s, 50) == 6
    policy.refresh_from_db()
    assert policy.load_percent == pytest.approx(100 * 50 / 60, rel=0.01)
    tick(s)
    assert [minute(s, 50), minute(s, 50)] == [6, 6]
    assert minute(s, 50) == 8
    assert ranges(s) == even_ranges(8)


def test_load_at_the_lower_mark_steps_down_after_its_time(s):
    policy_of(s, down_at_percent=25, down_after_minutes=3, down_by=50, minimum=1, down_cooldown_minutes=2)
    tick(s)
    assert [minute(s, 0), minute(s, 20), minute(s, 1), minute(s, 0)] == [4, 4, 4, 4]
    assert minute(s, 10) == 2
    tick(s)
    assert [minute(s, 0), minute(s, 0)] == [2, 2]
    assert minute(s, 0) == 1
    assert minute(s, 0) == 1


def reading(control, valkey, mib_per_s):
    """A minute in which pollers read so much, and the look after it."""
    process = Process(valkey, control.clock)
    stream = control.stream()
    for _ in range(85):
        process.counters.add(stream.team_id, stream.pk, "GetRecords.Bytes", mib_per_s * MIB)
        process.second()
    tick(control)
    return len(open_shards(control.stream()))


def test_reads_may_be_followed_instead(s, valkey):
    policy_of(s, follows="reads", up_at_percent=50, up_by=2, up_unit=ScalingUnit.SHARDS)
    tick(s)
    assert reading(s, valkey, 5) == 6
    policy = ScalingPolicy.objects.get()
    assert policy.load_percent == pytest.approx(100 * 5 / 8, rel=0.05)


def test_or_both(s, valkey):
    policy_of(s, follows="both", up_at_percent=40, down_at_percent=39, down_after_minutes=1)
    tick(s)
    for shard in open_shards(s.stream()):
        s.append(shard, *[b"x" * MIB] * 40)
    assert reading(s, valkey, 1) == 8


def test_reads_that_nobody_counts_decide_nothing(s):
    policy_of(s, follows="reads", down_after_minutes=0)
    tick(s)
    assert minute(s, 59) == 4
    assert ScalingPolicy.objects.get().load_percent is None


def test_a_break_in_the_load_begins_anew(s):
    policy_of(s, up_after_minutes=2, up_at_percent=50)
    tick(s)
    assert [minute(s, 40), minute(s, 20), minute(s, 40)] == [4, 4, 4]
    assert minute(s, 40) == 8


def test_the_bounds_hold_whatever_the_load(s):
    policy = policy_of(s, minimum=6, maximum=7)
    tick(s)
    assert len(open_shards(s.stream())) == 6
    policy.minimum, policy.maximum = 1, 3
    autoscaling.watch(policy, s.clock.now_ms(), BY)
    tick(s)
    assert len(open_shards(s.stream())) == 3


@pytest.mark.parametrize("quota", ["shards", "shards_per_update"])
def test_the_quota_cuts_a_step_short(s, quota):
    s.allow(**{quota: 5})
    policy_of(s, up_by=100)
    tick(s)
    assert minute(s, 59) == 5
    s.clock.advance(10 * MINUTE_MS)
    tick(s)
    assert minute(s, 59) == 5


def test_a_policy_that_is_off_or_of_an_on_demand_stream_does_nothing(s):
    policy = policy_of(s, minimum=6)
    ScalingPolicy.objects.update(enabled=False)
    tick(s)
    assert len(open_shards(s.stream())) == 4
    ScalingPolicy.objects.update(enabled=True)
    s("UpdateStreamMode", StreamARN=str(s.stream().arn), StreamModeDetails={"StreamMode": "ON_DEMAND"})
    s.settle()
    tick(s)
    assert len(open_shards(s.stream())) == 4
    s("DeleteStream", StreamName="s")
    s.settle()
    assert not ScalingPolicy.objects.filter(pk=policy.pk).exists()


def test_policies_that_make_no_sense(s):
    for fields in (
        {"minimum": 0}, {"minimum": 17}, {"up_at_percent": 25}, {"down_by": 0}, {"up_by": 0}, {"maximum": 10**19},
        {"up_after_minutes": -1}, {"down_cooldown_minutes": 10**19},
    ):  # fmt: skip
        with pytest.raises(InvalidArgumentException):
            policy_of(s, **fields)
        assert not ScalingPolicy.objects.exists(), fields


# --- the command -----------------------------------------------------------------------------------------------------


def scale(capsys, *words):
    call_command("scale", *words)
    return " ".join(capsys.readouterr().out.split())


def test_up_down_and_resize_from_the_command_line(s, capsys):
    def settle():
        Lease.objects.update(due_at_ms=0)  # the command's clock is the machine's
        s.settle()

    assert "s: 4 → 6 shards" in scale(capsys, "up", "s", "--percent", "50")
    settle()
    assert "s: 6 → 4 shards" in scale(capsys, "down", "s", "--count", "5", "--min", "4")
    settle()
    assert "stays as it is" in scale(capsys, "up", "s", "--count", "5", "--max", "4")
    assert "s: 4 → 11 shards" in scale(capsys, "resize", "s", "--count", "11")
    settle()
    printed = scale(capsys, "report", "s")
    assert "11 open shards; the largest has 9.091 % of the keys" in printed
    assert "no scaling policy" in printed


def test_a_policy_from_the_command_line(s, capsys):
    printed = scale(capsys, "policy", "s", "--max", "8", "--up-by", "2", "--down-by", "25%", "--up-at", "60")
    assert "on: 1 to 8 shards by writes; up by 2 shards at 60 %" in printed
    assert "down by 25 % at 25 %" in printed
    assert Lease.objects.get(kind="throttling", key="policies").due_at_ms is not None
    assert "on: 2 to 8 shards by writes; up by 2 shards" in scale(capsys, "policy", "s", "--min", "2")
    assert "by the larger of reads and writes; up" in scale(capsys, "policy", "s", "--follow", "both")
    assert "off: 2 to 8" in scale(capsys, "policy", "s", "--off")
    assert "no scaling policy" in scale(capsys, "policy", "s", "--remove")
    told = list(AuditEntry.objects.order_by("pk").values_list("operation", flat=True))
    assert told[-4:] == ["SetScalingPolicy", "SetScalingPolicy", "StopScalingPolicy", "DeleteScalingPolicy"]


NO_SENSE = [
    ["up", "s"], ["up", "s", "--count", "1", "--percent", "1"], ["up", "s", "--count", "0"],
    ["resize", "s", "--percent", "5"], ["resize", "s", "--count", "20001"], ["report", "nothing"],
    ["policy", "s", "--min", "2"], ["policy", "s", "--max", "-1"], ["policy", "s", "--max", "4", "--up-by", "x"],
    ["policy", "s", "--max", "4", "--min", "5"],
]  # fmt: skip


def test_words_that_make_no_sense(s):
    for words in NO_SENSE:
        with pytest.raises(CommandError):
            call_command("scale", *words)
        assert not ScalingPolicy.objects.exists(), words
        assert s.status() == "ACTIVE", words
