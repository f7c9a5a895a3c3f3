"""The tab Monitoring: what leads to an alarm, figures per shard, CSV."""

import csv
import io
import re

import pytest

from apps.accounts.roles import Role
from apps.metrics import store
from apps.metrics.buckets import Point
from apps.metrics.history import History
from apps.metrics.names import BY_NAME, stored_under
from apps.streams.models import Stream
from tests.console.conftest import signed_in_as, text_of

PAGE = "/t/first/streams/orders/monitoring"

pytestmark = pytest.mark.usefixtures("stream")


def of(total, most=0.0):
    return Point(total, 1, 0, most, total)


@pytest.fixture
def measured(monkeypatch):
    """Two buckets were counted, the others were not."""

    def history(team_id, stream_id, from_s, to_s, width_s, *, clock, classes=False):
        start = from_s - from_s % width_s
        buckets = [None] * ((to_s - start) // width_s)
        buckets[-2] = {}
        buckets[-1] = {
            BY_NAME["IncomingBytes"].number: of(600_000),
            stored_under("IncomingBytes", 1): of(1_200_000),
            stored_under("IteratorAgeMilliseconds", 0): of(40_000, 40_000),
            BY_NAME["PutRecords.Latency"].number: Point(1_300, 100, 3, 600, 1_300),
        }
        if classes:
            buckets[-1] |= {1_103: Point(98, 98, 1, 1, 98), 1_132: Point(2, 2, 1, 1, 2)}
        return History(start, width_s, buckets)

    monkeypatch.setattr(store, "history", history)


def test_each_chart_leads_to_an_alarm_on_its_metric(client, team, served):
    page = text_of(client.get(PAGE))
    for metric in ("IncomingBytes", "GetRecords.IteratorAgeMilliseconds", "PutRecords.Latency"):
        assert f"/t/first/alarms/create?of=stream/orders&amp;metric={metric}" in page
    assert "data-compare" in page
    assert "alarms/create" not in text_of(signed_in_as(team, Role.VIEWER).get(PAGE)).partition("data-live-group")[2]


def test_latencies_are_a_median_and_a_p99(client, team, served):
    page = text_of(client.get(PAGE))
    for operation in ("PutRecord", "PutRecords", "GetRecords"):
        for percentile in ("p50", "p99"):
            assert f'data-column="{operation} {percentile}"' in page  # the legend
            assert f">{operation} {percentile}</th>" in page  # the table
    dashes = {
        dash for panel in page.split("data-live-panel")[3:5] for dash in re.findall('stroke-dasharray="([^"]+)"', panel)
    }
    assert len(dashes) == 4  # no two lines of a chart differ in their colour alone


def test_shards_have_figures_where_they_are_counted(client, measured):
    assert "Shard-level metrics are off" in text_of(client.get(PAGE))
    Stream.objects.update(shard_level_metrics=["IncomingBytes", "IteratorAgeMilliseconds"])
    part = text_of(client.get(PAGE + "/shards?span=1h", headers={"HX-Request": "true"}))
    assert "<html" not in part
    assert "19.5 KiB/s</td>" in part  # 1,200,000 bytes in a minute
    assert ">40 s<" in part
    assert "Outgoing" not in part
    for span in ("5m", "6h", "24h", "7d", "nonsense"):
        assert client.get(f"{PAGE}/shards?span={span}").status_code == 200


@pytest.mark.parametrize(
    ("chosen", "rows", "rate"), [("5m", 300, "600000"), ("1h", 360, "60000"), ("7d", 336, "333.3")]
)
def test_the_figures_are_downloaded(client, measured, chosen, rows, rate):
    answer = client.get(f"{PAGE}.csv?range={chosen}")
    assert answer["Content-Disposition"] == f'attachment; filename="orders-{chosen}.csv"'
    found = list(csv.DictReader(io.StringIO(text_of(answer))))
    assert abs(len(found) - rows) <= 1
    assert found[0]["bytes.in_bytes (B/s)"] == ""
    assert float(found[-2]["bytes.in_bytes (B/s)"]) == 0
    assert float(found[-1]["bytes.in_bytes (B/s)"]) >= float(rate)
    assert found[-1]["write-latency.put_records_p50 (s)"] == "0.003"
    assert 0.512 <= float(found[-1]["write-latency.put_records_p99 (s)"]) <= 0.6
    assert found[-1]["write-latency.put_record_p99 (s)"] == found[-2]["write-latency.put_records_p99 (s)"] == ""
    assert found[-1]["time_utc"].endswith("Z")
    assert client.get(f"{PAGE}.csv?range=1y").status_code == 404
