"""PutMetricData, and reading back what was put."""

import random
import statistics

import pytest

from apps.metrics import series
from apps.metrics.models import Datapoint, Series
from tests.domain.cloudwatch.conftest import metric

pytestmark = pytest.mark.django_db(transaction=True)


def test_values_counts_and_statistic_sets_add_up(watch):
    watch.put(Value=1)
    watch.put(Values=[2, 5], Counts=[3, 1])
    watch.put(StatisticValues={"SampleCount": 2, "Sum": 30, "Minimum": 10, "Maximum": 20})
    wanted = {"Sum": 42, "SampleCount": 7, "Minimum": 1, "Maximum": 20, "Average": 6}
    assert {stat: watch.one(stat=stat) for stat in wanted} == {stat: [value] for stat, value in wanted.items()}


def test_minutes_are_kept_apart_and_time_may_be_given(watch):
    now_ms = watch.clock.now_ms()
    watch.put(Value=1)
    watch.put(Value=2, Timestamp=now_ms - 120_000)
    watch.put(Value=4, Timestamp=now_ms + 3_600_000)
    assert watch.one() == [2, 1]
    assert watch.get(metric("q", period=3_600), minutes=30, ahead=90)["q"] == [3, 4]
    watch.clock.advance(60_000)
    watch.put(Value=8)
    assert watch.one() == [2, 1, 8]


def test_dimensions_make_the_metric_and_their_order_does_not(watch):
    one, other = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
    watch.put(Value=1, Dimensions=[one, other])
    watch.put(Value=2, Dimensions=[other, one])
    watch.put(Value=4, Dimensions=[one])
    assert watch.one(a="1", b="2") == [3]
    assert watch.one(a="1") == [4]
    assert watch.one() == []
    assert Series.objects.count() == 2


def test_units(watch):
    watch.put(Value=1, Unit="Seconds")
    watch.put(Value=2, Unit="Milliseconds")
    assert watch.one() == [3]
    assert watch.get({**metric("q"), "MetricStat": {**metric("q")["MetricStat"], "Unit": "Seconds"}})["q"] == [1]
    now_ms = watch.clock.now_ms()
    asked = {
        "Namespace": "App",
        "MetricName": "m",
        "StartTime": now_ms - 60_000,
        "EndTime": now_ms + 60_000,
        "Period": 60,
    }
    points = watch("GetMetricStatistics", Statistics=["Sum", "Maximum"], **asked)["Datapoints"]
    start_ms = now_ms // 60_000 * 60_000
    assert sorted(points, key=lambda point: point["Sum"]) == [
        {"Timestamp": start_ms, "Unit": "Seconds", "Sum": 1, "Maximum": 1},
        {"Timestamp": start_ms, "Unit": "Milliseconds", "Sum": 2, "Maximum": 2},
    ]


def test_a_second_of_resolution(watch):
    watch.put(Value=1, StorageResolution=1)
    watch.clock.advance(1_000)
    watch.put(Value=2, StorageResolution=1)
    watch.put("coarse", Value=4)
    assert watch.get(metric("q", period=1), minutes=1)["q"] == [1, 2]
    assert watch.get(metric("q", "coarse", period=1), minutes=1)["q"] == []
    assert watch.get(metric("q"), minutes=1)["q"] == [3]


def test_percentiles_are_honest(watch):
    numbers = random.Random(4)
    values = [numbers.lognormvariate(3, 1) for _ in range(2_000)]
    for first in range(0, len(values), 150):
        watch.put(Values=values[first : first + 150])
    watch.clock.advance(60_000)
    more = [numbers.uniform(-5, 0) for _ in range(150)]
    watch.put(Values=more)
    everything = sorted(values + more)
    for percent in (0, 1, 50, 90, 99, 99.9, 100):
        [found] = watch.get(metric("q", stat=f"p{percent:g}", period=3_600), minutes=10)["q"]
        exact = everything[min(len(everything) - 1, max(0, round(len(everything) * percent / 100) - 1))]
        assert found == pytest.approx(exact, rel=0.04), percent
    assert watch.get(metric("q", stat="Average", period=3_600))["q"] == [pytest.approx(statistics.fmean(everything))]
    watch.put("set", StatisticValues={"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2})
    assert watch.one("set", "p50") == []
    watch.put("sole", StatisticValues={"SampleCount": 5, "Sum": 10, "Minimum": 2, "Maximum": 2})
    assert watch.one("sole", "p50") == [2]


HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("code", "text", "datum"),
    [
        ("MissingRequiredParameterException", "MetricData.member.1.Value", {}),
        ("InvalidParameterCombinationException", "mutually exclusive", {"Value": 1, "Values": [1]}),
        ("InvalidParameterValueException", "same size", {"Values": [1, 2], "Counts": [1]}),
        ("InvalidParameterValueException", "same size", {"Value": 1, "Counts": [1]}),
        ("InvalidParameterValueException", "1 to 150", {"Values": [1] * 151}),
        ("InvalidParameterValueException", "1 to 150", {"Values": []}),
        ("InvalidParameterValueException", "The value nan for parameter", {"Value": float("nan")}),
        ("InvalidParameterValueException", "The value inf for parameter", {"Value": float("inf")}),
        ("InvalidParameterValueException", "The value 1e+200 for parameter", {"Value": 1e200}),
        ("InvalidParameterValueException", "Counts is invalid", {"Values": [1], "Counts": [0]}),
        ("InvalidParameterValueException", "StorageResolution must be 1 or 60", {"Value": 1, "StorageResolution": 30}),
        ("InvalidParameterValueException", "past two weeks", {"Value": 1, "Timestamp": -15 * 24 * HOUR_MS}),
        ("InvalidParameterValueException", "two hours ahead", {"Value": 1, "Timestamp": 3 * HOUR_MS}),
        ("ValidationException", "enum value set", {"Value": 1, "Unit": "Fortnights"}),
        (
            "InvalidParameterValueException",
            "more than once",
            {"Value": 1, "Dimensions": [{"Name": "a", "Value": "1"}] * 2},
        ),
        (
            "ValidationException",
            "dimensions",
            {"Value": 1, "Dimensions": [{"Name": str(n), "Value": "v"} for n in range(31)]},
        ),
        (
            "InvalidParameterValueException",
            "Minimum must be at most",
            {"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}},
        ),
    ],
)
def test_what_is_refused_stores_nothing(watch, code, text, datum):
    if "Timestamp" in datum:
        datum = {**datum, "Timestamp": watch.clock.now_ms() + datum["Timestamp"]}
    data = [{"MetricName": "fine", "Value": 1}, {"MetricName": "m", **datum}]
    found = watch.refused("PutMetricData", Namespace="App", MetricData=data)
    assert found[0] == code
    assert text.replace("member.1", "member.2") in found[1]
    assert not Datapoint.objects.exists()


def test_namespaces_of_aws_and_entities(watch):
    one = [{"MetricName": "m", "Value": 1}]
    assert watch.refused("PutMetricData", Namespace="AWS/Kinesis", MetricData=one) == (
        "InvalidParameterValueException",
        "The value AWS/ for parameter Namespace is invalid.",
    )
    assert watch.refused("PutMetricData", Namespace="App")[0] == "MissingRequiredParameterException"
    assert watch.refused("PutMetricData", Namespace="App", MetricData=one, StrictEntityValidation=True)[0] == (
        "InvalidParameterValueException"
    )


def test_other_teams_see_nothing(watch, stranger):
    watch.put(Value=1)
    assert stranger.one() == []
    assert stranger("ListMetrics")["Metrics"] == []
    stranger.put(Value=5)
    assert (watch.one(), stranger.one()) == ([1], [5])


def test_a_team_has_so_many_metrics_and_idle_ones_make_room(watch, stranger, monkeypatch):
    monkeypatch.setattr(series, "SERIES_MAX", 3)
    for name in "abc":
        watch.put(name, Value=1)
    code, text = watch.refused("PutMetricData", Namespace="App", MetricData=[{"MetricName": "d", "Value": 1}])
    assert (code, text[:26]) == ("LimitExceededFault", "The account has 3 metrics,")
    watch.put("a", Value=1)
    stranger.put("d", Value=1)
    watch.clock.advance(16 * 24 * HOUR_MS)
    watch.put("b", Value=1)
    watch.put("d", Value=1)
    names = {row.name for row in Series.objects.filter(team_id=watch.principal.team_id)}
    assert names >= {"b", "d"}
    assert len(names) == 3


def test_old_values_go_by_their_width(watch):
    watch.put(Value=1, StorageResolution=1)
    watch.clock.advance(4 * HOUR_MS)
    assert series.prune(watch.clock) == 1
    watch.clock.advance(16 * 24 * HOUR_MS)
    assert series.prune(watch.clock) == 1
    assert sorted(Datapoint.objects.values_list("width_s", flat=True)) == [300, 3_600]
    now_ms = watch.clock.now_ms()
    asked = {"Namespace": "App", "MetricName": "m", "StartTime": now_ms - 17 * 24 * HOUR_MS, "EndTime": now_ms}
    assert [
        p["Sum"]
        for p in watch(
            "GetMetricStatistics",
            Period=300,
            Statistics=["Sum"],
            **asked | {"EndTime": asked["StartTime"] + 24 * HOUR_MS},
        )["Datapoints"]
    ] == [1]
    watch.clock.advance(440 * 24 * HOUR_MS)
    assert series.prune(watch.clock) == 3
    assert not Series.objects.exists()


def test_a_request_looks_at_so_much(watch):
    now_ms = watch.clock.now_ms()
    day = {"StartTime": now_ms - 60 * 24 * HOUR_MS, "EndTime": now_ms}
    queries = [metric(f"q{number}") for number in range(100)]
    assert watch.refused("GetMetricData", MetricDataQueries=queries, **day) == (
        "ValidationException",
        "You have requested more than 1,000,000 datapoints in all. Ask for fewer metrics, longer periods or less time.",
    )
    wide = {**day, "StartTime": now_ms - 14 * 24 * HOUR_MS}
    code, text = watch.refused("GetMetricData", MetricDataQueries=[metric("q", period=1)], **wide)
    assert (code, text[:30]) == ("ValidationException", "You have requested up to 1,209")
