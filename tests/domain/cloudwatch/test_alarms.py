"""Alarms: put, looked at by the worker, changed, told, deleted; and what they do."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail

from apps.base import outgoing
from apps.base.outgoing import OutgoingFailed
from apps.cloudwatch import actions, alarms, history
from apps.cloudwatch.models import Alarm, Delivery, History
from apps.leases.models import Lease
from tests.domain.cloudwatch.conftest import expression, metric
from workers import alarms as worker
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

HOOK, MAIL = "https://hooks.example.test/x", "mailto:on-call@example.test"
RULE: dict[str, Any] = {
    "Namespace": "App",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What webhooks were sent; `sent.answer` is what they answer."""
    calls: list[tuple[str, Any]] = []

    def post(url: str, body: bytes, _headers: Any, **_: Any) -> int:
        calls.append((url, json.loads(body)))
        return 200

    monkeypatch.setattr(outgoing, "post", post)
    return calls


def work(watch) -> None:
    """The two slices of the team, as the ticks would run them."""
    assert worker
    key = str(watch.principal.team_id)
    for kind in (alarms.KIND, alarms.ACTIONS_KIND):
        lease = Lease.objects.filter(kind=kind, key=key).first()
        if lease is not None and lease.due_at_ms is not None and lease.due_at_ms <= watch.clock.now_ms():
            slices.run(watch.runtime, kind, key)


def minute(watch, *values: float) -> None:
    """Values, then the minute passes and is looked at."""
    for value in values:
        watch.put(Value=value)
    watch.clock.advance(60_000 - watch.clock.now_ms() % 60_000 + 11_000)
    work(watch)


def put(watch, name: str = "a", **more: Any) -> None:
    watch("PutMetricAlarm", AlarmName=name, **{**RULE, **more})


def told(watch, name: str = "a") -> dict[str, Any]:
    [alarm] = watch("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    return alarm


def state(watch, name: str = "a") -> str:
    return told(watch, name)["StateValue"]


def test_states_follow_the_metric_and_actions_are_done_once(watch, sent):
    put(watch, AlarmActions=[HOOK, MAIL], OKActions=[HOOK], InsufficientDataActions=[MAIL])
    assert state(watch) == "INSUFFICIENT_DATA"
    minute(watch, 3)
    assert state(watch) == "OK"
    assert [(url, message["NewStateValue"]) for url, message in sent] == [(HOOK, "OK")]
    minute(watch, 3, 4)
    found = told(watch)
    assert found["StateValue"] == "ALARM"
    assert found["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [7] was greater than")
    assert json.loads(found["StateReasonData"])["recentDatapoints"] == [7]
    minute(watch, 6)
    minute(watch, 9)
    assert [message["NewStateValue"] for _, message in sent] == ["OK", "ALARM"]
    message = sent[-1][1]
    assert message["AlarmName"] == "a"
    assert message["AWSAccountId"] == watch.principal.account_id
    assert message["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{watch.principal.account_id}:alarm:a"
    assert message["Trigger"]["MetricName"] == "m"
    [letter] = mail.outbox
    assert letter.to == ["on-call@example.test"]
    assert letter.subject == "ALARM: a"
    assert "Threshold Crossed" in letter.body
    assert not Delivery.objects.exists()


def test_so_many_actions_may_wait(watch, stranger, monkeypatch):
    monkeypatch.setattr(alarms, "WAITING_MAX", 3)
    for team in (watch, stranger):
        put(team, AlarmActions=[HOOK, MAIL], OKActions=[HOOK])
    for value in ("ALARM", "OK", "ALARM", "OK"):
        watch("SetAlarmState", AlarmName="a", StateValue=value, StateReason="tried")
    stranger("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="tried")
    assert Delivery.objects.filter(team_id=watch.principal.team_id).count() == 3
    assert Delivery.objects.filter(team_id=stranger.principal.team_id).count() == 2
    lines = watch("DescribeAlarmHistory", AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
    assert [line["HistorySummary"] for line in lines] == ["Failed to execute actions"] * 2
    assert json.loads(lines[0]["HistoryData"])["error"] == "3 actions of the account wait already."
    assert state(watch) == "OK"


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -float("inf")])
def test_a_threshold_is_a_number(watch, threshold):
    code, text = watch.refused("PutMetricAlarm", AlarmName="a", **{**RULE, "Threshold": threshold})
    assert (code, text) == ("ValidationException", f"The value {threshold} for parameter Threshold is invalid.")
    assert not Alarm.objects.exists()


def test_an_alarm_that_cannot_be_evaluated_holds_up_no_other(watch, sent, monkeypatch):
    put(watch, "broken")
    put(watch, "fine")
    minute(watch, 9)
    assert [state(watch, name) for name in ("broken", "fine")] == ["ALARM", "ALARM"]
    before = alarms.verdict_on

    def verdict_on(alarm, reader):
        if alarm.name == "broken":
            raise RuntimeError("a bug")
        return before(alarm, reader)

    monkeypatch.setattr(alarms, "verdict_on", verdict_on)
    minute(watch, 1)
    assert [state(watch, name) for name in ("broken", "fine")] == ["INSUFFICIENT_DATA", "OK"]
    assert told(watch, "broken")["StateReason"] == "Unchecked: the alarm could not be evaluated."


def test_m_of_n_and_missing_data(watch, sent):
    put(watch, EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="notBreaching", AlarmActions=[HOOK])
    for values, expected in (([9], "OK"), ([], "OK"), ([9], "ALARM"), ([], "ALARM"), ([], "ALARM"), ([1], "OK")):
        minute(watch, *values)
        assert state(watch) == expected, values
    assert len(sent) == 1


def test_silence(watch):
    put(watch, "missing")
    put(watch, "breaching", TreatMissingData="breaching")
    put(watch, "ignore", TreatMissingData="ignore")
    for _ in range(4):
        minute(watch)
    assert {name: state(watch, name) for name in ("missing", "breaching", "ignore")} == {
        "missing": "INSUFFICIENT_DATA",
        "breaching": "ALARM",
        "ignore": "INSUFFICIENT_DATA",
    }
    assert told(watch, "missing")["StateReason"] == "Unchecked: Initial alarm creation"


def test_an_alarm_on_an_expression(watch):
    queries = [
        {**metric("errors", "e"), "ReturnData": False},
        {**metric("all", "n"), "ReturnData": False},
        expression("share", "100 * errors / all"),
    ]
    single = ("Namespace", "MetricName", "Statistic", "Period")
    rule = {name: value for name, value in RULE.items() if name not in single}
    watch("PutMetricAlarm", AlarmName="a", Metrics=queries, **rule)
    watch.put("e", Value=6)
    watch.put("n", Value=100)
    minute(watch)
    assert state(watch) == "ALARM"
    watch.put("e", Value=4)
    watch.put("n", Value=100)
    minute(watch)
    assert state(watch) == "OK"


def test_an_alarm_on_a_stream(watch, process, team):
    from tests.support.stream_rows import make_stream

    stream = make_stream(team.team, "s")
    dimensions = [{"Name": "StreamName", "Value": "s"}]
    put(
        watch,
        Namespace="AWS/Kinesis",
        MetricName="WriteProvisionedThroughputExceeded",
        Threshold=0,
        Dimensions=dimensions,
    )
    process.counters.add(stream.team_id, stream.pk, "WriteProvisionedThroughputExceeded", 1)
    process.second()
    process.flush(final=True)
    minute(watch)
    assert state(watch) == "ALARM"
    assert (
        len(
            watch(
                "DescribeAlarmsForMetric",
                Namespace="AWS/Kinesis",
                MetricName="WriteProvisionedThroughputExceeded",
                Dimensions=dimensions,
            )["MetricAlarms"]
        )
        == 1
    )
    rule = {**RULE, "Namespace": "AWS/Kinesis", "ExtendedStatistic": "p99"}
    del rule["Statistic"]
    assert watch.refused("PutMetricAlarm", AlarmName="p", **rule)[0] == "ValidationException"


def failing(problem: Exception | int, calls: list[str]) -> Callable[..., int]:
    def post(url: str, *_: Any, **__: Any) -> int:
        calls.append(url)
        if isinstance(problem, Exception):
            raise problem
        return problem

    return post


@pytest.mark.parametrize("problem", [OutgoingFailed("nobody there"), RuntimeError("a bug"), 500])
def test_a_webhook_that_fails_is_tried_five_times(watch, monkeypatch, problem):
    calls: list[str] = []
    monkeypatch.setattr(outgoing, "post", failing(problem, calls))
    put(watch, AlarmActions=[HOOK])
    watch("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="a trial")
    for _ in range(200):
        work(watch)
        watch.clock.advance(5_000)
    assert len(calls) == actions.ATTEMPTS_MAX
    assert not Delivery.objects.exists()
    lines = watch("DescribeAlarmHistory", AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
    assert [line["HistorySummary"] for line in lines] == [f"Failed to execute action {HOOK}"]
    assert json.loads(lines[0]["HistoryData"])["attempts"] == 5


def test_a_webhook_that_recovers(watch, monkeypatch, sent):
    good, calls = outgoing.post, []
    monkeypatch.setattr(outgoing, "post", failing(503, calls))
    put(watch, AlarmActions=[HOOK])
    watch("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="a trial")
    work(watch)
    monkeypatch.setattr(outgoing, "post", good)
    watch.clock.advance(6_000)
    work(watch)
    assert (len(calls), len(sent)) == (1, 1)


def test_history_tells_it_all(watch, sent):
    put(watch, AlarmActions=[HOOK])
    put(watch, AlarmActions=[HOOK], Threshold=6)
    minute(watch, 9)
    watch("DisableAlarmActions", AlarmNames=["a", "nobody"])
    minute(watch, 1)
    minute(watch, 9)
    assert len(sent) == 1
    watch("EnableAlarmActions", AlarmNames=["a"])
    watch("DeleteAlarms", AlarmNames=["a"])
    lines = watch("DescribeAlarmHistory", AlarmName="a", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [line["HistorySummary"] for line in lines] == [
        'Alarm "a" created',
        'Alarm "a" updated',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Successfully executed action {HOOK}",
        'Alarm "a" updated',
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        'Alarm "a" updated',
        'Alarm "a" deleted',
    ]
    pages, token = [], None
    for _ in range(5):
        page = watch("DescribeAlarmHistory", MaxRecords=2, **({"NextToken": token} if token else {}))
        pages += [line["HistorySummary"] for line in page["AlarmHistoryItems"]]
        token = page.get("NextToken")
    assert (pages, token) == ([line["HistorySummary"] for line in reversed(lines)], None)
    watch.clock.advance(31 * 24 * 3_600_000)
    assert history.prune(watch.clock.now_ms()) == 9


def test_a_state_set_by_hand_holds_until_the_next_look(watch, sent):
    put(watch, OKActions=[HOOK])
    minute(watch, 1)
    watch("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="trying", StateReasonData='{"by":"me"}')
    found = told(watch)
    assert (found["StateValue"], found["StateReason"], found["StateReasonData"]) == ("ALARM", "trying", '{"by":"me"}')
    assert watch.refused("SetAlarmState", AlarmName="a", StateValue="OK", StateReason="", StateReasonData="{")[0] == (
        "InvalidFormatFault"
    )
    assert watch.refused("SetAlarmState", AlarmName="b", StateValue="OK", StateReason="")[0] == "ResourceNotFound"
    minute(watch, 1)
    assert state(watch) == "OK"
    assert len(sent) == 2


def test_a_change_during_an_evaluation_wins(watch, monkeypatch):
    put(watch)
    original = alarms.verdict_on

    def meanwhile(alarm, reader):
        put(watch, Threshold=100)
        return original(alarm, reader)

    monkeypatch.setattr(alarms, "verdict_on", meanwhile)
    watch.put(Value=9)
    watch.clock.advance(70_000)
    alarm = Alarm.objects.select_related("team").get()
    alarms._evaluate(watch.runtime, alarm)
    assert state(watch) == "INSUFFICIENT_DATA"
    assert told(watch)["Threshold"] == 100


def test_describing(watch, stranger):
    for name in ("a1", "a2", "b"):
        put(watch, name, AlarmActions=[HOOK] if name == "b" else [])
    watch("SetAlarmState", AlarmName="a2", StateValue="OK", StateReason="x")

    def names(**params: Any) -> list[str]:
        return [alarm["AlarmName"] for alarm in watch("DescribeAlarms", **params)["MetricAlarms"]]

    assert names() == ["a1", "a2", "b"]
    assert names(AlarmNamePrefix="a") == ["a1", "a2"]
    assert names(StateValue="OK") == ["a2"]
    assert names(ActionPrefix="https://hooks") == ["b"]
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    page = watch("DescribeAlarms", MaxRecords=2)
    assert names(MaxRecords=2, NextToken=page["NextToken"]) == ["b"]
    assert stranger("DescribeAlarms")["MetricAlarms"] == []
    assert stranger("DescribeAlarmHistory")["AlarmHistoryItems"] == []
    assert stranger.refused("DeleteAlarms", AlarmNames=["b"])[0] == "ResourceNotFound"
    assert watch.refused("DeleteAlarms", AlarmNames=["a1", "nobody"])[0] == "ResourceNotFound"
    assert names() == ["a1", "a2", "b"]
    watch("DeleteAlarms", AlarmNames=["a1", "b"])
    assert names() == ["a2"]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (
            "Invalid action arn:aws:sns:us-east-1:1:t in AlarmActions: Tidegate has no such",
            {"AlarmActions": ["arn:aws:sns:us-east-1:1:t"]},
        ),
        ("Only https is called", {"OKActions": ["http://example.test/"]}),
        ("Private and local addresses are not called", {"OKActions": ["https://127.0.0.1/"]}),
        ("It is no mail address", {"OKActions": ["mailto:nobody"]}),
        ("It is no mail address", {"OKActions": ["mailto:a@example.test%0ABcc:b@example.test"]}),
        ("Member must have length less than or equal to 5", {"OKActions": [HOOK] * 6}),
        ("needs anomaly detection", {"ComparisonOperator": "LessThanLowerThreshold"}),
        ("Option never is not supported for TreatMissingData", {"TreatMissingData": "never"}),
        ("DatapointsToAlarm must be less than or equal", {"DatapointsToAlarm": 2}),
        ("across more than a day", {"EvaluationPeriods": 1_441}),
        ("must be 1, 5, 10, 20, 30, or a multiple of 60", {"Period": 90}),
        ("The value tm90 for parameter Stat is not supported", {"Statistic": None, "ExtendedStatistic": "tm90"}),
        ("Exactly one of Statistic and ExtendedStatistic", {"ExtendedStatistic": "p90"}),
        ("The parameter Threshold is required", {"Threshold": None}),
        ("The parameter EvaluationInterval is not supported", {"EvaluationInterval": 60}),
        ("must not begin with aws:", {"Tags": [{"Key": "aws:a", "Value": "b"}]}),
        ("The parameters Metrics and MetricName are mutually exclusive", {"Metrics": [metric("q")]}),
    ],
)
def test_what_is_refused(watch, text, change):
    params = {name: value for name, value in {**RULE, **change}.items() if value is not None}
    code, message = watch.refused("PutMetricAlarm", AlarmName="a", **params)
    assert code in {"ValidationException", "InvalidParameterValueException"}
    assert text in message
    assert not Alarm.objects.exists()
    assert not History.objects.exists()


def test_tags(watch, stranger):
    put(watch, Tags=[{"Key": "b", "Value": "2"}])
    put(watch, Tags=[{"Key": "ignored on an update", "Value": ""}])
    arn = told(watch)["AlarmArn"]
    watch("TagResource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}])
    assert watch("ListTagsForResource", ResourceARN=arn)["Tags"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "3"},
    ]
    watch("UntagResource", ResourceARN=arn, TagKeys=["b", "nobody"])
    assert watch("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert watch.refused("ListTagsForResource", ResourceARN=arn + "x")[0] == "ResourceNotFoundException"
    assert stranger.refused("ListTagsForResource", ResourceARN=arn)[0] in {
        "AccessDeniedException",
        "ResourceNotFoundException",
    }
    tags = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert watch.refused("TagResource", ResourceARN=arn, Tags=tags)[0] == "InvalidParameterValueException"
