"""The tabs of a delivery stream: what they show of rows and logs, and the buttons in them."""

import html
import json
import re

import pytest

from apps.access.models import AuditEntry
from apps.delivery import demo
from apps.delivery.models import DeliveredObject, DeliveryError, DeliveryJob, DeliveryLog, DeliveryStream
from apps.delivery.redrive import Lying
from apps.leases.models import Lease
from console.pages.page_rows import PLAIN_ROWS
from tests.console.conftest import make_stream, other_team, signed_in, text_of
from tests.console.delivery.conftest import settle
from tests.support.delivery_rows import make_delivery, make_lane, s3_description
from tests.support.runtimes import run_due

pytestmark = pytest.mark.usefixtures("served")

AT = "/t/first/delivery/ticker"
FRAGMENT = {"HX-Request": "true"}


def plain(response):
    text = re.sub(r"<[^>]+>", " ", text_of(response)).replace("&#x27;", "'")
    return re.sub(r"\s+", " ", text)


def test_an_unknown_one_and_a_channel_are_not_there(client, team):
    make_delivery(team, "channel", channel_id="c1")
    assert client.get("/t/first/delivery/nothing").status_code == 404
    assert client.get("/t/first/delivery/channel").status_code == 404


def test_the_path_says_where_everything_goes(client, team, served):
    make_stream(served, team, "orders")
    description = s3_description(
        CompressionFormat="GZIP", S3BackupMode="Enabled",
        S3BackupDescription={"BucketARN": "arn:aws:s3:::copies", "Prefix": "raw/"},
        ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]},
    )  # fmt: skip
    stream = team.team.streams.get() if hasattr(team.team, "streams") else None
    make_delivery(team, "ticker", destination=description, source_type="KinesisStreamAsSource", source_stream=stream)
    page = plain(client.get(AT))
    for text in ("append delimiter", "5 MiB or 300 s", "gzip", "s3://events/", "s3://copies/raw/", "Failed records to"):
        assert text in page


def test_while_it_is_made_the_head_asks_until_it_is_done(client, team, served):
    client.post("/t/first/create-delivery", {
        "name": "ticker", "source": "direct", "kind": "s3", "bucket": "events",
        "role_arn": "arn:aws:iam::123456789012:role/firehose",
    })  # fmt: skip
    assert "every 1s" in text_of(client.get(AT))
    assert "HX-Refresh" not in client.get(f"{AT}/state")
    settle(served)
    assert client.get(f"{AT}/state")["HX-Refresh"] == "true"


def test_pause_and_resume(client, delivery):
    assert "ticker is paused" in text_of(client.post(f"{AT}/pause", follow=True))
    assert DeliveryStream.objects.get().paused_at_ms
    assert "Paused" in plain(client.get(AT))
    assert "paused already" in text_of(client.post(f"{AT}/pause", follow=True))
    assert "delivers again" in text_of(client.post(f"{AT}/resume", follow=True))
    assert DeliveryStream.objects.get().paused_at_ms is None
    assert AuditEntry.objects.get(operation="PauseDeliveryStream").person == "owner@example.test"
    assert client.get(f"{AT}/pause").status_code == 405


def test_the_wait_for_the_first_delivery_counts_down(client, delivery, served):
    make_lane(delivery, oldest_waiting_ms=served.clock.now_ms() - 60_000)
    page = plain(client.get(f"{AT}/now"))
    assert "within 4 min, or when 5 MiB have come together" in page


def test_a_failure_stands_above_the_tabs(client, delivery, served):
    make_lane(delivery, oldest_waiting_ms=1, failing_since_ms=served.clock.now_ms())
    DeliveryError.objects.create(
        delivery_stream=delivery, part="destination", code="S3.NoSuchBucket", cause="x", message="No bucket.", count=3,
        first_at_ms=1, last_at_ms=2,
    )  # fmt: skip
    page = plain(client.get(f"{AT}/now?tab=delivery-stream&figures=1"))
    assert "Deliveries have failed since" in page
    assert "S3.NoSuchBucket" in page
    assert "Failing" in page
    assert "Oldest record not delivered" in page


def test_errors_say_what_to_do(client, delivery, served):
    for code, message in (("S3.NoSuchBucket", "No bucket."), ("Nobody.KnowsIt", "<script>alert(1)</script>")):
        DeliveryError.objects.create(
            delivery_stream=delivery, part="destination", code=code, cause=message, message=message, count=7,
            first_at_ms=1, last_at_ms=served.clock.now_ms(),
        )  # fmt: skip
    DeliveredObject.objects.create(
        delivery_stream=delivery, part="errors", bucket="events", key="x/processing-failed/2026/a", size_bytes=9,
        records=12, at_ms=5,
    )  # fmt: skip
    response = client.get(f"{AT}/errors")
    page = plain(response)
    for text in ("7 cases", "Create the bucket", "The message says what happened", "12 failed records"):
        assert text in page
    assert "<script>alert" not in text_of(response)
    assert text_of(response).count("/redrive") == 2
    assert "No errors" in plain(signed_in_other_errors())


def signed_in_other_errors():
    other = other_team()
    make_delivery(other, "ticker")
    return signed_in(other).get("/t/second/delivery/ticker/errors")


def test_lanes_tell_fill_age_and_attempt(client, delivery, served):
    lane = make_lane(
        delivery, oldest_waiting_ms=served.clock.now_ms() - 30_000, failing_since_ms=1, delivered_records=9
    )
    served.wait_for(served.record_log.create(lane.log_key))
    from apps.recordlog.interface import Entry

    served.wait_for(served.record_log.append([Entry(lane.log_key, [None, b"x" * 1_048_576], 1, 1_048_576, 1)]))
    Lease.objects.create(
        kind="delivery", key=str(lane.pk), checkpoint={"next": 1}, pinned={"attempt": 4, "version": 1}, due_at_ms=0
    )
    child = make_lane(delivery, parent=lane, label=json.dumps([["symbol", "QXZ"]]))
    page = plain(client.get(f"{AT}/lanes"))
    for text in ("Failing, attempt 4", "1 MiB", "30 s", "symbol=QXZ", "9 rec.", "1 active partition of 500"):
        assert text in page, text
    assert "20 percent of" in text_of(client.get(f"{AT}/lanes"))
    assert child.log_key != lane.log_key
    assert "<html" not in text_of(client.get(f"{AT}/lanes", headers=FRAGMENT))


def test_many_lanes_are_paged(client, delivery, served):
    for _ in range(PLAIN_ROWS + 1):
        make_lane(delivery)
    assert f"{PLAIN_ROWS + 1} lanes" in plain(client.get(f"{AT}/lanes"))
    assert text_of(client.get(f"{AT}/lanes?page=2")).count("<tr role=") == 2


def test_objects_and_one_that_cannot_be_read(client, delivery, team):
    other = make_delivery(other_team(), "ticker")
    made = [
        DeliveredObject.objects.create(
            delivery_stream=row, part=part, bucket="events", key=f"{part}/k", size_bytes=9, records=3, at_ms=5
        )
        for row, part in ((delivery, "destination"), (delivery, "backup"), (other, "destination"))
    ]
    page = plain(client.get(f"{AT}/objects"))
    assert "destination/k" in page
    assert "2 objects" in page
    assert "destination/k" not in plain(client.get(f"{AT}/objects?part=backup"))
    assert "It cannot be shown" in plain(client.get(f"{AT}/objects/{made[0].pk}"))
    assert client.get(f"{AT}/objects/{made[0].pk}/data").status_code == 502
    for number in (made[2].pk, 2**70):
        assert client.get(f"{AT}/objects/{number}").status_code == 404
        assert client.get(f"{AT}/objects/{number}/data").status_code == 404


def test_demo_data_are_sent_counted_and_stopped(client, delivery, served):
    kept = DeliveryLog.objects.create(delivery_stream=delivery, purpose="direct", created_at_ms=1)
    served.wait_for(served.record_log.create(kept.log_key))
    assert "TICKER_SYMBOL" in text_of(client.get(f"{AT}/demo"))
    assert client.post(f"{AT}/demo", {"rate": "50", "total": "1000"})["Location"] == AT
    run_due(served, "delivery-jobs", "delivery_jobs")
    assert "50 of 1,000 records" in plain(client.get(f"{AT}/now"))
    again = client.post(f"{AT}/demo", {"rate": "50", "total": "1000"})
    assert again.status_code == 422
    assert "already" in plain(again)
    job = DeliveryJob.objects.get()
    assert "Stopped" in text_of(client.post(f"{AT}/jobs/{job.pk}/cancel", follow=True))
    assert "had ended already" in text_of(client.post(f"{AT}/jobs/{job.pk}/cancel", follow=True))
    assert "Stopped" in plain(client.get(f"{AT}/jobs"))
    assert client.post(f"{AT}/jobs/{2**70}/cancel").status_code == 404


def test_a_page_without_the_figures_asks_for_none(client, delivery):
    """The browser would look for their place again and again."""
    for tab, figures in (("", True), ("/demo", False), ("/objects", False)):
        asks = re.search(r'id="delivery-now".*? hx-get="([^"]+)"', text_of(client.get(AT + tab)))
        assert asks is not None, tab
        there = 'id="delivery-figures"'
        page, answer = text_of(client.get(AT + tab)), text_of(client.get(html.unescape(asks[1])))
        assert (there in page, there in answer) == (figures, figures), tab


@pytest.mark.parametrize("given", [{"rate": "7", "total": "1"}, {"rate": "50", "total": "0"}, {"rate": "50"}])
def test_demo_data_within_bounds_only(client, delivery, given):
    assert client.post(f"{AT}/demo", given).status_code == 422
    assert not DeliveryJob.objects.exists()


def test_another_teams_job_is_not_there(client, delivery, served):
    job = demo.start(make_delivery(other_team(), "ticker"), 1, 1, served.clock.now_ms())
    assert client.post(f"{AT}/jobs/{job.pk}/cancel").status_code == 404
    job.refresh_from_db()
    assert job.status == "WAITING"


@pytest.mark.parametrize(("lying", "offered"), [(Lying([], is_all=True), False), (Lying([], is_all=False), True)])
def test_a_redrive_is_offered_where_there_may_be_something(client, delivery, monkeypatch, lying, offered):
    monkeypatch.setattr("apps.delivery.redrive.found", lambda *_args, **_more: lying)
    page = text_of(client.get(f"{AT}/redrive"))
    assert ("Nothing to redrive" in page) != offered
    assert ("id_error_type" in page) == offered


def test_a_redrive_under_way_is_named_instead_of_another(client, delivery):
    client.post(f"{AT}/redrive", {})
    page = text_of(client.get(f"{AT}/redrive"))
    assert "being redriven already" in page
    assert "btn-primary" not in page


def test_without_failures_no_page_offers_to_redrive(client, delivery, served):
    for path in ("", "/jobs"):
        assert "/redrive" not in text_of(client.get(AT + path))
    page = text_of(client.get(f"{AT}/errors"))
    assert "Redrive failed records" not in page
    assert "Look under the error prefix" in page


def test_the_page_of_what_is_tested_belongs_to_delivery_streams(client, delivery):
    marked = re.search(r'<a href="([^"]+)"[^>]*aria-current="page"', text_of(client.get("/t/first/docs/tested")))
    assert marked
    assert marked[1] == "/t/first/delivery"


def test_redrive_is_asked_for_once_and_its_errors_stand_at_the_field(client, delivery):
    assert "It could not be listed" in plain(client.get(f"{AT}/redrive"))
    assert client.post(f"{AT}/redrive", {"from_time": "yesterday"}).status_code == 422
    assert client.post(f"{AT}/redrive", {"error_type": "../x"}).status_code == 422
    assert client.post(f"{AT}/redrive", {"from_time": "2099-01-01T00:00"}).status_code == 422
    assert not DeliveryJob.objects.exists()
    answer = client.post(f"{AT}/redrive", {"error_type": "processing-failed"})
    assert answer["Location"] == f"{AT}/jobs"
    assert DeliveryJob.objects.get().parameters["error_type"] == "processing-failed"
    assert "already" in plain(client.post(f"{AT}/redrive", {}))
