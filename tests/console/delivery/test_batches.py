"""Batch sizes, channels on the list, pausing from it."""

import pytest

from apps.delivery import metrics
from apps.delivery.models import DeliveryError, DeliveryStream
from console.pages.delivery.batches import batches_of
from tests.console.conftest import text_of
from tests.support.delivery_rows import make_delivery
from tests.support.metrics import process, valkey, valkey_server

__all__ = ["process", "valkey", "valkey_server"]

pytestmark = pytest.mark.usefixtures("served")


def test_sizes_of_batches(client, team, clock, valkey, process):
    row = make_delivery(team)
    for size in (500, 40_000, 60_000):
        for metric, value in (("DeliveryToS3.Bytes", size), ("DeliveryToS3.Records", 10)):
            metrics.count(process.counters, team.team.id, row.pk, metric, value)
        process.second()
        clock.advance(120_000)
    process.flush(final=True)
    found = batches_of(team.team.id, row)
    assert found.total == 3
    assert {one.label: one.count for one in found.classes if one.count} == {"below 1 KiB": 1, "10 to 100 KiB": 2}
    assert [(one.size_bytes, one.records) for one in found.newest] == [(60_000, 10), (40_000, 10), (500, 10)]
    page = text_of(client.get("/t/first/delivery/ticker"))
    assert "10 to 100 KiB" in page


def test_without_metrics_it_says_so(client, team):
    make_delivery(team)
    assert "The metrics do not answer" in text_of(client.get("/t/first/delivery/ticker"))


def test_channels_are_listed_with_their_newest_error(client, team):
    channel = make_delivery(team, "to-lake", channel_id="c-1")
    for code, at_ms in (("S3.AccessDenied", 5), ("S3.NoSuchBucket", 9)):
        DeliveryError.objects.create(
            delivery_stream=channel, code=code, message="The bucket is gone", count=1, first_at_ms=1, last_at_ms=at_ms,
        )  # fmt: skip
    page = text_of(client.get("/t/first/delivery"))
    for words in ("to-lake", "c-1", "S3.NoSuchBucket", "Create your first delivery stream"):
        assert words in page
    assert "S3.AccessDenied" not in page
    make_delivery(team)
    assert "to-lake" in text_of(client.get("/t/first/delivery"))


def test_pausing_and_resuming_from_the_list(client, team):
    make_delivery(team)
    answer = client.post("/t/first/delivery/ticker/pause", {"back": "list"})
    assert answer["Location"] == "/t/first/delivery"
    assert DeliveryStream.objects.get().paused_at_ms
    assert "Resume" in text_of(client.get("/t/first/delivery"))
    assert 'name="at" value="q=tick&amp;page=1"' in text_of(client.get("/t/first/delivery?q=tick&page=1"))
    told = {"back": "list", "at": "page=2&q=a%26b&next=//elsewhere&sort=-created"}
    answer = client.post("/t/first/delivery/ticker/resume", told)
    assert answer["Location"] == "/t/first/delivery?q=a%26b&sort=-created&page=2"
    assert DeliveryStream.objects.get().paused_at_ms is None
