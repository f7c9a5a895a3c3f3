"""What is put is booked by what the stream is paid by at that moment: its mode, and the account's commitment."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS, KIB
from apps.billing.models import UsageHour
from apps.capacity import commitment
from apps.leases.models import Lease
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db(transaction=True)

FRESH_MS = 1_001
"""A catalogue's snapshot is never older than a second."""


@pytest.fixture
def s(control):
    """On-demand, made 20 minutes after the full hour."""
    control.clock.set(control.clock.now_ms() - control.clock.now_ms() % HOUR_MS + HOUR_MS // 3)
    control.create("s", shards=None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    return control


def put(control, *sizes):
    """Records of so many bytes, keys included."""
    records = [{"PartitionKey": f"{i:04}", "Data": b"x" * (size - 4)} for i, size in enumerate(sizes)]
    answer = control("PutRecords", StreamName="s", Records=records)
    assert answer["FailedRecordCount"] == 0
    control.clock.advance(FRESH_MS)


def booked(control):
    """Usage of what was put, by meter and key."""
    Lease.objects.filter(kind="metering").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "metering")
    rows = (
        UsageHour.objects.filter(resource="stream/s", team=control.principal.team_id)
        .exclude(meter__endswith="-time")
        .exclude(meter__contains="storage")
    )
    found = {}
    for row in rows:
        assert row.meter_key == control.principal.meter_key
        found[row.meter] = found.get(row.meter, 0) + row.quantity
    return found


def test_on_demand_is_paid_by_bytes_each_record_rounded_up(s):
    put(s, 5, 1_023, 1_024, 1_025, 5_000)
    put(s, 100, 200)
    s("PutRecord", StreamName="s", PartitionKey="abcd", Data=b"x" * (3 * KIB))
    assert booked(s) == {
        "records-in": 8,
        "bytes-in": 5 + 1_023 + 1_024 + 1_025 + 5_000 + 300 + 4 + 3 * KIB,
        "on-demand-bytes-in": (1 + 1 + 1 + 2 + 5 + 2 + 4) * KIB,
    }


def test_a_switch_of_the_mode_in_mid_hour_leaves_both_to_be_paid_for_what_they_were(s):
    put(s, 100)
    assert booked(s) == {"records-in": 1, "bytes-in": 100, "on-demand-bytes-in": KIB}
    s("UpdateStreamMode", StreamARN=str(s.stream().arn), StreamModeDetails={"StreamMode": "PROVISIONED"})
    s.settle()
    s.clock.advance(FRESH_MS)
    put(s, 30_000, 50)
    assert booked(s) == {"records-in": 3, "bytes-in": 30_150, "on-demand-bytes-in": KIB, "payload-units": 3}
    assert booked(s) == {"records-in": 3, "bytes-in": 30_150, "on-demand-bytes-in": KIB, "payload-units": 3}


def test_a_commitment_counts_within_a_second_and_ends_by_itself_at_its_time(s):
    put(s, 2_000)
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    began_ms = s.clock.now_ms()
    s.clock.advance(FRESH_MS)
    put(s, 3_000)
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "DISABLED"})
    s.clock.set(began_ms + DAY_MS - 400)
    s("PutRecord", StreamName="s", PartitionKey="abcd", Data=b"x")
    s.clock.set(began_ms + DAY_MS)
    s("PutRecord", StreamName="s", PartitionKey="abcd", Data=b"x")
    assert booked(s) == {
        "records-in": 4,
        "bytes-in": 5_010,
        "on-demand-bytes-in": 2 * KIB + KIB,
        "advantage-bytes-in": 3 * KIB + KIB,
    }


def test_a_commitment_is_nothing_to_provisioned_streams_and_to_other_teams(s, stranger):
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    stranger.create("s", shards=None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    stranger("PutRecord", StreamName="s", PartitionKey="abcd", Data=b"x")
    s.create("p", shards=1)
    s("PutRecord", StreamName="p", PartitionKey="abcd", Data=b"x" * KIB)
    s.clock.advance(FRESH_MS)
    booked(s)
    paid = UsageHour.objects.exclude(meter__in=("records-in", "bytes-in")).exclude(meter__endswith="-time")
    assert set(paid.values_list("team_id", "resource", "meter", "quantity")) == {
        (s.principal.team_id, "stream/p", "payload-units", 1),
        (stranger.principal.team_id, "stream/s", "on-demand-bytes-in", KIB),
    }


def test_one_who_takes_the_end_of_the_commitment_back_keeps_it(s):
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    began_ms = s.clock.now_ms()
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "DISABLED"})
    s.clock.advance(FRESH_MS)
    put(s, 10)
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    assert commitment.span(commitment.newest(s.principal.team_id)) == (began_ms, commitment.FOR_EVER_MS)
    s.clock.set(began_ms + 2 * DAY_MS)
    put(s, 10)
    assert "on-demand-bytes-in" not in booked(s)
