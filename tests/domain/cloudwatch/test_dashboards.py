"""Dashboards: put, told, listed, deleted; what a body may say."""

import json
from typing import Any

import pytest

from apps.base.errors import ServiceError
from apps.cloudwatch import dashboards
from apps.cloudwatch.models import Alarm, History
from tests.domain.cloudwatch.test_alarms import HOOK, minute, put, sent, state, told

__all__ = ["sent"]

pytestmark = pytest.mark.django_db(transaction=True)

LINE = ["AWS/Kinesis", "IncomingBytes", "StreamName", "orders"]


def body(*widgets: Any, **more: Any) -> str:
    return json.dumps({"widgets": list(widgets), **more})


def chart(*metrics: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "metric", "properties": {"metrics": list(metrics) or [LINE], **properties}}


def refusals(watch, text: str) -> list[tuple[str, str]]:
    with pytest.raises(ServiceError) as caught:
        watch("PutDashboard", DashboardName="d", DashboardBody=text)
    assert caught.value.code == "DashboardInvalidInputError"
    return [(one["DataPath"], one["Message"]) for one in caught.value.members["dashboardValidationMessages"]]


def test_a_dashboard_is_put_told_listed_and_deleted(watch, stranger):
    text = body(chart(title="In"), {"type": "text", "properties": {"markdown": "# Hello"}})
    assert watch("PutDashboard", DashboardName="one", DashboardBody=text) == {"DashboardValidationMessages": []}
    watch.clock.advance(1_000)
    watch("PutDashboard", DashboardName="two", DashboardBody=body())
    told = watch("GetDashboard", DashboardName="one")
    assert told["DashboardBody"] == text
    assert told["DashboardArn"].endswith(":dashboard/one")
    entries = watch("ListDashboards")["DashboardEntries"]
    assert [(one["DashboardName"], one["Size"]) for one in entries] == [("one", len(text)), ("two", len(body()))]
    assert entries[0]["LastModified"] < entries[1]["LastModified"]
    assert [one["DashboardName"] for one in watch("ListDashboards", DashboardNamePrefix="tw")["DashboardEntries"]] == [
        "two"
    ]
    assert stranger("ListDashboards")["DashboardEntries"] == []
    assert stranger.refused("GetDashboard", DashboardName="one")[0] == "DashboardNotFoundError"
    assert stranger.refused("DeleteDashboards", DashboardNames=["one"])[0] == "DashboardNotFoundError"
    assert watch.refused("DeleteDashboards", DashboardNames=["one", "three"])[0] == "DashboardNotFoundError"
    watch("DeleteDashboards", DashboardNames=["one", "two"])
    assert watch("ListDashboards")["DashboardEntries"] == []


def test_what_is_not_drawn_is_told_and_what_cannot_be_drawn_is_refused(watch):
    text = body(chart(legend={"position": "right"}, view="singleValue"), start="-P7D", variables=[])
    answer = watch("PutDashboard", DashboardName="d", DashboardBody=text)
    assert [one["DataPath"] for one in answer["DashboardValidationMessages"]] == [
        "/variables", "/widgets/0/properties/legend",
    ]  # fmt: skip
    assert dashboards.read(text, "us-east-1").back_s == 7 * 86_400
    for text, path in (
        ("[1", ""),
        ("[]", "/widgets"),
        (body({"type": "explorer", "properties": {}}), "/widgets/0/type"),
        (body(chart(view="pie")), "/widgets/0/properties/view"),
        (body(chart(region="eu-west-1")), "/widgets/0/properties/region"),
        (body(chart(stat="p99", period=61)), "/widgets/0/properties/period"),
        (body(chart([*LINE, {"stat": "p99"}])), "/widgets/0/properties/metrics/0/stat"),
        (body(chart(["AWS/Kinesis"])), "/widgets/0/properties/metrics/0"),
        (body({**chart(), "width": 25}), "/widgets/0/width"),
        (body(*[chart()] * 501), "/widgets"),
    ):
        assert refusals(watch, text)[0][0] == path, text[:80]
    assert watch.refused("PutDashboard", DashboardName="a b", DashboardBody=body())[0] == "DashboardInvalidInputError"


def test_short_hands_labels_and_expressions_become_queries():
    metrics = [
        [*LINE, {"id": "a", "stat": "Sum", "label": "In", "color": "#ff0000"}],
        [".", "IncomingRecords", ".", "."],
        ["...", "payments", {"period": 60, "visible": False}],
        [{"expression": "a / 2", "label": "Half"}],
    ]
    read = dashboards.read(body(chart(*metrics, period=300)), "us-east-1")
    assert read.messages == []
    queries = [one.asked(900) for one in read.widgets[0].series]
    names = [
        (
            q["MetricStat"]["Metric"]["MetricName"],
            q["MetricStat"]["Metric"]["Dimensions"][0]["Value"],
            q["MetricStat"]["Period"],
        )
        for q in queries[:3]
    ]
    assert names == [
        ("IncomingBytes", "orders", 300),
        ("IncomingRecords", "orders", 300),
        ("IncomingRecords", "payments", 60),
    ]
    assert [q["MetricStat"]["Stat"] for q in queries[:3]] == ["Sum", "Average", "Average"]
    assert [q["ReturnData"] for q in queries] == [True, True, False, True]
    assert queries[3] == {"Id": queries[3]["Id"], "Expression": "a / 2", "Label": "Half", "ReturnData": True}


def test_tags_of_a_dashboard(watch, stranger):
    watch("PutDashboard", DashboardName="d", DashboardBody=body(), Tags=[{"Key": "team", "Value": "core"}])
    arn = watch("GetDashboard", DashboardName="d")["DashboardArn"]
    watch("TagResource", ResourceARN=arn, Tags=[{"Key": "tier", "Value": "1"}])
    watch("UntagResource", ResourceARN=arn, TagKeys=["team"])
    assert watch("ListTagsForResource", ResourceARN=arn) == {"Tags": [{"Key": "tier", "Value": "1"}]}
    assert stranger.refused("ListTagsForResource", ResourceARN=arn)[0] == "AccessDeniedException"
    assert watch.refused("ListTagsForResource", ResourceARN=f"{arn}s")[0] == "ResourceNotFoundException"


def test_a_muted_alarm_changes_its_state_and_calls_nobody(watch, sent):
    put(watch, AlarmActions=[HOOK])
    Alarm.objects.update(muted_until_ms=watch.clock.now_ms() + 600_000)
    minute(watch, 9)
    assert state(watch) == "ALARM"
    assert sent == []
    assert "muted" in History.objects.filter(kind="Action").get().summary
    assert "muted_until_ms" not in told(watch)
    minute(watch, 1)
    Alarm.objects.update(muted_until_ms=watch.clock.now_ms())
    minute(watch, 9)
    assert len(sent) == 1
