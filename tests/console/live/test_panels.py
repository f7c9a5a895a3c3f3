"""Columns of charts: rates, means, ages and shares, and what is no data."""

import re
from pathlib import Path

import pytest

from apps.metrics import firehose
from apps.metrics.buckets import Point
from apps.metrics.history import History
from apps.metrics.names import BY_NAME
from console.live.panels import DELIVERY_PANELS, PANELS, column_names, columns, row, short
from console.templatetags.charts import CHARTS

MEDIAN = 50

JS = Path(__file__).resolve().parents[3] / "static/js/panels.js"


def points(**values):
    return {BY_NAME[name.replace("__", ".")].number: Point(*value) for name, value in values.items()}


def test_a_rate_is_the_sum_by_the_seconds_and_remembers_its_busiest_second():
    found = points(IncomingBytes=(1_200, 6, 10, 700, 900), GetRecords__Bytes=(60, 1, 60, 60, 60))
    assert column_names(PANELS["bytes"], 10) == ["in_bytes", "out_bytes", "in_bytes_max", "out_bytes_max"]
    assert row(PANELS["bytes"], found, 10, 10) == [120, 6, 900, 60]


def test_outgoing_is_both_ways_of_reading():
    found = points(GetRecords__Bytes=(60, 1, 60, 60, 60), SubscribeToShardEvent__Bytes=(40, 1, 40, 40, 40))
    assert row(PANELS["bytes"], found, 1, 1) == [0, 100]


def test_latency_is_a_median_and_a_p99_in_seconds_and_the_slowest():
    names = column_names(PANELS["write-latency"], 10)
    lines = ["put_record_p50", "put_record_p99", "put_records_p50", "put_records_p99"]
    assert names == [*lines, "put_record_p99_max", "put_records_p99_max"]
    assert column_names(PANELS["write-latency"], 1) == lines
    slow = {1_103: Point(99, 99, 1, 1, 99), 1_108: Point(1, 1, 1, 1, 1)}
    found = points(PutRecords__Latency=(305, 100, 3, 8, 12)) | slow
    assert row(PANELS["write-latency"], found, 10, 10) == [None, None, 0.003, 0.003, None, 0.008]
    slow = {1_103: Point(98, 98, 1, 1, 98), 1_108: Point(2, 2, 1, 1, 2)}
    found = points(PutRecords__Latency=(310, 100, 3, 8, 12)) | slow
    assert row(PANELS["write-latency"], found, 1, 1) == [None, None, 0.003, 0.008]


def test_latency_of_what_was_stored_without_classes_is_a_gap():
    found = points(GetRecords__Latency=(12, 4, 1, 8, 12))
    assert row(PANELS["read-latency"], found, 1, 1) == [None, None]
    assert row(PANELS["read-latency"], None, 1, 1) == [None, None]


def test_delivery_latency_is_a_mean():
    found = {firehose.BY_NAME["PutRecord.Latency"].number: Point(12, 4, 1, 8, 12)}
    assert row(DELIVERY_PANELS["delivery/latency"], found, 10, 10) == [0.003, None, None, 0.008, None, None]


def test_age_is_the_highest_of_all_readers():
    found = points(
        GetRecords__IteratorAgeMilliseconds=(500, 2, 0, 500, 500),
        SubscribeToShardEvent__MillisBehindLatest=(38_200, 1, 38_200, 38_200, 38_200),
    )
    assert row(PANELS["throughput"], found, 1, 1)[3] == 38.2


def test_success_is_a_share():
    found = points(PutRecords__Success=(3, 4, 0, 1, 3))
    assert row(PANELS["success"], found, 60, 60) == [None, 0.75, None]


def test_nothing_counted_is_none_and_no_traffic_is_zero():
    assert row(PANELS["throughput"], None, 1, 1) == [None, None, None, None]
    assert row(PANELS["throughput"], {}, 1, 1) == [0, 0, 0, None]


def test_the_running_bucket_is_divided_by_what_has_passed_of_it():
    history = History(
        100, 10, [points(IncomingBytes=(100, 1, 100, 100, 100)), points(IncomingBytes=(30, 1, 30, 30, 30))]
    )
    assert columns(PANELS["bytes"], history, 113)[0] == [10, 10]
    assert columns(PANELS["bytes"], History(100, 10, []), 113) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(3_601_221.7, 3_601_000), (0.0012345, 0.001234), (0, 0), (None, None), (1.0, 1), (99.99, 99.99)],
)
def test_four_digits_are_enough(value, text):
    assert short(value) == text


def test_the_browser_draws_the_columns_that_the_server_sends():
    """static/js/panels.js names the same panels, with as many lines in the same order of kinds."""
    source = JS.read_text()
    blocks = re.split(r'\n  "?([a-z-]+)"?: \{', source.split("export const PANELS")[1].split("\n};")[0])
    found = {
        name: re.findall(r"\b(rate|mean|age|share|latency)\(", body)
        for name, body in zip(blocks[1::2], blocks[2::2], strict=True)
    }
    words = {"rate": "rate", "mean": "mean", "most": "age", "share": "share"}
    assert found == {
        # latency() makes two lines, the median and the p99
        name: ["latency" if column.percent else words[column.draw] for column in panel if column.percent != MEDIAN]
        for name, panel in PANELS.items()
    }


def test_the_monitoring_page_shows_every_panel_but_the_overviews():
    assert {chart.name for chart in CHARTS} == set(PANELS) - {"throughput"}
    for chart in CHARTS:
        lines = [line.label for line in chart.lines if line.label != "Write limit"]
        assert lines == [column.label for column in PANELS[chart.name]]
