"""A team whose budget is spent: what it puts into Firehose is throttled to a tenth or refused."""

import pytest

from apps.base.errors import ServiceError
from apps.billing import spending_hold
from apps.billing.models import Budget, SpendingHold

pytestmark = pytest.mark.django_db(transaction=True)


def hold(team, now_ms, action):
    budget = Budget.objects.create(
        team=team, name="All", amount_cents=100, action=action, created_at_ms=now_ms, changed_at_ms=now_ms
    )
    SpendingHold.objects.create(team=team, action=action, budget=budget, since_ms=now_ms)


def refused(firehose, operation, **params):
    with pytest.raises(ServiceError) as caught:
        firehose(operation, DeliveryStreamName="d", **params)
    return caught.value.code, caught.value.status, caught.value.message


def test_paused_and_lifted(firehose, team, clock):
    firehose.create()
    hold(team.team, clock.now_ms(), "pause")
    clock.advance(1_001)
    code, status, message = refused(firehose, "PutRecord", Record={"Data": b"x"})
    assert (code, status) == ("ServiceUnavailableException", 503)
    assert spending_hold.PAUSED_TEXT in message
    assert refused(firehose, "PutRecordBatch", Records=[{"Data": b"x"}] * 3)[0] == code
    assert firehose.describe()["DeliveryStreamStatus"] == "ACTIVE"
    SpendingHold.objects.all().delete()
    clock.advance(1_001)
    firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"})


def test_throttled_to_a_tenth_and_the_largest_record_fits(firehose, team, clock):
    hold(team.team, clock.now_ms(), "throttle")
    firehose.create()
    firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x" * 1_024_000})
    message = refused(firehose, "PutRecord", Record={"Data": b"x" * 600_000})[2]
    assert message == f"Slow down. {spending_hold.THROTTLED_TEXT}"
    clock.advance(1_200)  # a tenth of 5 MiB/s
    firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x" * 600_000})
    answer = firehose("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": b"x" * 500_000}] * 2)
    assert answer["FailedPutCount"] == 2
    assert answer["RequestResponses"][1]["ErrorMessage"] == message
