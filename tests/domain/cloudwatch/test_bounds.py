"""GetMetricData of hostile requests: an answer or AWS's error, never a failure, and never work without a bound."""

import pytest

from apps.metrics import store
from tests.domain.cloudwatch.conftest import expression, metric
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)

DAY_MS = 86_400_000
NAMESPACE = "AWS/Kinesis"


@pytest.mark.parametrize(
    "text",
    [
        "TIME_SERIES(1e999)",
        "ABS(1e999)",
        "1e999",
        "CEIL(TIME_SERIES(1e999))",
        "FILL(m, 1e999)",
        "SEARCH('{App} m', 'Sum', 1e999)",
    ],
)
def test_a_number_that_is_none_is_refused(watch, text):
    code, said = watch.refused(
        "GetMetricData", MetricDataQueries=[metric("m"), expression("e", text)], StartTime=0, EndTime=60_000
    )
    assert (code, said) == (
        "ValidationException",
        "Error in expression: a number is divided by zero, or grows too large.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "SUM([TIME_SERIES(1e308), TIME_SERIES(1e308)])",
        "AVG([TIME_SERIES(1e308), TIME_SERIES(1e308)])",
        "RUNNING_SUM(TIME_SERIES(1e308)) - TIME_SERIES(1e308) + TIME_SERIES(1e308) * TIME_SERIES(10)",
        "DIFF(RUNNING_SUM(TIME_SERIES(1e308) * -1) * 1e10)",
    ],
)
def test_points_that_grow_too_large_are_left_out(watch, text):
    assert watch.get(expression("e", text)) == {"e": []}


def test_what_is_nested_in_other_queries_is_counted_as_nested(watch):
    deep = [expression(f"e{n}", "(" * 30 + f"e{n + 1}" + ")" * 30) for n in range(28)]
    queries = [*deep, expression("e28", "TIME_SERIES(1)")]
    assert watch.refused("GetMetricData", MetricDataQueries=queries, StartTime=0, EndTime=60_000) == (
        "ValidationException",
        "Error in expression: it is nested too deeply.",
    )


def test_queries_that_name_each_other_in_a_long_row(watch):
    row = [expression(f"e{n}", f"e{n + 1} * 1") for n in range(498, 0, -1)]
    queries = [expression("e499", "TIME_SERIES(1)"), *row, expression("e0", "TIME_SERIES(1) * e1")]
    assert watch.refused("GetMetricData", MetricDataQueries=queries, StartTime=0, EndTime=60_000) == (
        "ValidationException",
        "Error in expression: too many queries name each other in a row.",
    )


@pytest.mark.parametrize(
    "queries",
    [
        [expression(f"e{n}", "TIME_SERIES(1)", Period=1) for n in range(40)],
        [expression("s", "TIME_SERIES(1)", Period=1), *[expression(f"e{n}", "s + s", Period=1) for n in range(20)]],
        [expression("s", "TIME_SERIES(1)", Period=1), expression("e", "SUM([" + "s," * 30 + "s])", Period=1)],
        [metric("m"), *[expression(f"e{n}", "FILL(m, 0)", Period=1) for n in range(40)]],
        [expression(f"e{n}", "1", Period=1) for n in range(40)],
    ],
    ids=["time-series", "operators", "aggregates", "fill", "numbers"],
)
def test_expressions_work_with_so_many_points_in_all(watch, queries):
    now_ms = watch.clock.now_ms()
    asked = {"StartTime": now_ms - 100_000_000, "EndTime": now_ms}
    code, text = watch.refused("GetMetricData", MetricDataQueries=queries, **asked)
    assert (code, text[:70]) == (
        "ValidationException",
        "The expressions work with more than 2,000,000 datapoints in all. Ask f",
    )


def test_searches_list_a_namespace_once(watch, monkeypatch):
    watch.put(Value=3)
    listed = []
    from apps.cloudwatch import listing

    before = listing.metrics
    monkeypatch.setattr(listing, "metrics", lambda *args: listed.append(args) or before(*args))
    searches = [
        expression(f"e{n}", "SUM([SEARCH('{App} m', 'Sum', 60), SEARCH('{App} x', 'Sum', 60)])") for n in range(9)
    ]
    assert watch.get(*searches) == {f"e{n}": [3] for n in range(9)}
    assert len(listed) == 1


def test_nothing_is_looked_for_before_what_is_kept(watch, team, valkey, monkeypatch):
    stream = make_stream(team.team, "s")
    asked = []
    before = store.history
    monkeypatch.setattr(store, "history", lambda *args, **more: asked.append(args) or before(*args, **more))
    old = metric("q", "IncomingBytes", "Sum", NAMESPACE, 365 * 86_400, StreamName="s")
    answer = watch(
        "GetMetricData", MetricDataQueries=[old], StartTime=-62_135_596_800_000, EndTime=watch.clock.now_ms()
    )
    assert answer["MetricDataResults"][0]["Values"] == []
    assert 1 <= len(asked) <= 456 * 24 // 600 + 2
    assert asked[0][1] == stream.pk


def test_wide_periods_count_what_they_are_put_together_from(watch, team, valkey, monkeypatch):
    monkeypatch.setattr("apps.cloudwatch.queries.LOOKED_AT_MAX", 50_000)
    for number in range(5):
        make_stream(team.team, f"s{number}")
    now_ms = watch.clock.now_ms()
    queries = [metric(f"q{n}", "IncomingBytes", "Sum", NAMESPACE, 86_400, StreamName=f"s{n}") for n in range(5)]
    code, text = watch.refused(
        "GetMetricData", MetricDataQueries=queries, StartTime=(now_ms - 450 * DAY_MS) // DAY_MS * DAY_MS, EndTime=now_ms
    )
    assert (code, text[:34]) == ("ValidationException", "You have requested more than 50,00")


@pytest.mark.parametrize("number", [0, -5])
def test_pages_have_a_datapoint(watch, number):
    asked = {"MetricDataQueries": [expression("e", "TIME_SERIES(1)")], "StartTime": 0, "EndTime": 600_000}
    code, text = watch.refused("GetMetricData", MaxDatapoints=number, **asked)
    assert (code, text) == ("InvalidParameterValueException", "The parameter MaxDatapoints must be at least 1.")
