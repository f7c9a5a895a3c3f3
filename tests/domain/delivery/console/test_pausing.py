"""Pause and resume: the mark, the trail, and lanes that are due again."""

from apps.access.models import AuditEntry
from apps.delivery import pausing
from apps.leases.models import Lease
from tests.support.delivery_rows import make_delivery, make_lane


def test_paused_once_and_resumed_once(team):
    delivery = make_delivery(team)
    assert pausing.pause(delivery, 1_000, "mira")
    assert not pausing.pause(delivery, 2_000, "mira")
    delivery.refresh_from_db()
    assert delivery.paused_at_ms == 1_000
    assert pausing.resume(delivery, 3_000, "mira")
    assert not pausing.resume(delivery, 4_000, "mira")
    delivery.refresh_from_db()
    assert delivery.paused_at_ms is None
    assert list(AuditEntry.objects.order_by("id").values_list("operation", flat=True)) == [
        "PauseDeliveryStream",
        "ResumeDeliveryStream",
    ]


def test_only_what_is_active_is_paused(team):
    assert not pausing.pause(make_delivery(team, status="CREATING"), 1_000, "mira")


def test_lanes_are_due_again_at_once(team):
    delivery = make_delivery(team)
    lane, ended = make_lane(delivery), make_lane(delivery, ended_at_ms=5)
    pausing.pause(delivery, 1_000, "mira")
    Lease.objects.create(kind="delivery", key=str(lane.pk), due_at_ms=9_999_999)
    pausing.resume(delivery, 2_000, "mira")
    assert Lease.objects.get(key=str(lane.pk)).due_at_ms == 2_000
    assert not Lease.objects.filter(key=str(ended.pk)).exists()
