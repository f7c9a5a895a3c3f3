"""CloudWatch by boto3 in its three protocols: the same calls, the same answers, the same errors."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.conftest import Endpoint
from tests.wire.test_services import PROTOCOLS, client


@pytest.fixture(params=PROTOCOLS["cloudwatch"])
def watch(request: pytest.FixtureRequest, endpoint: Endpoint) -> Any:
    return client(endpoint, "cloudwatch", request.param)


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """One that no other test uses, also on a server that goes on living."""
    return f"Wire/{request.node.callspec.id}/{time.time_ns()}"


def error_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_put_and_get(watch: Any, namespace: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    dimensions = [{"Name": "Ünit", "Value": "a & <b> \u20ac"}]
    data = [{"MetricName": "m", "Dimensions": dimensions, "Timestamp": now, "Values": [1.5, 4.0], "Counts": [2.0, 1.0]}]
    watch.put_metric_data(Namespace=namespace, MetricData=data)
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": "m", "Dimensions": dimensions},
            "Period": 60,
            "Stat": "Sum",
        },
        "ReturnData": False,
    }
    twice = {"Id": "twice", "Expression": "q * 2", "Label": "double"}
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=1)}
    [result] = watch.get_metric_data(MetricDataQueries=[query, twice], **span)["MetricDataResults"]
    minute = now.replace(second=0)
    assert (result["Id"], result["Label"], result["StatusCode"], result["Values"]) == (
        "twice",
        "double",
        "Complete",
        [14.0],
    )
    assert [time.astimezone(UTC) for time in result["Timestamps"]] == [minute]
    [point] = watch.get_metric_statistics(
        Namespace=namespace, MetricName="m", Dimensions=dimensions, Period=60,
        Statistics=["Average", "SampleCount"], **span,
    )["Datapoints"]  # fmt: skip
    assert (point["Average"], point["SampleCount"], point["Unit"]) == (7 / 3, 3.0, "None")
    [listed] = watch.list_metrics(Namespace=namespace)["Metrics"]
    assert listed == {"Namespace": namespace, "MetricName": "m", "Dimensions": dimensions}


def test_a_large_body_comes_packed(watch: Any, namespace: str) -> None:
    data = [{"MetricName": f"metric-{number:03d}", "Value": float(number)} for number in range(300)]
    seen = []
    watch.meta.events.register(
        "before-send.*.*", lambda request, **_: seen.append(request.headers.get("Content-Encoding"))
    )
    watch.put_metric_data(Namespace=namespace, MetricData=data)
    assert seen == [b"gzip"] or seen == ["gzip"], seen
    pages = watch.get_paginator("list_metrics").paginate(Namespace=namespace)
    assert sum(len(page["Metrics"]) for page in pages) == 300


def test_an_alarm(watch: Any, namespace: str) -> None:
    name = namespace.replace("/", "-")
    watch.put_metric_alarm(
        AlarmName=name, Namespace=namespace, MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=5.5,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=["https://hooks.example.com/x"],
    )  # fmt: skip
    [alarm] = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["StateValue"], alarm["Threshold"], alarm["ActionsEnabled"]) == ("INSUFFICIENT_DATA", 5.5, True)
    assert alarm["AlarmArn"].endswith(f":alarm:{name}")
    watch.disable_alarm_actions(AlarmNames=[name])
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a trial")
    [alarm] = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["StateValue"], alarm["StateReason"], alarm["ActionsEnabled"]) == ("ALARM", "a trial", False)
    assert len(watch.describe_alarms_for_metric(Namespace=namespace, MetricName="m")["MetricAlarms"]) == 1
    lines = watch.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    assert [line["HistoryItemType"] for line in lines] == ["StateUpdate", "ConfigurationUpdate", "ConfigurationUpdate"]
    watch.delete_alarms(AlarmNames=[name])
    with pytest.raises(ClientError) as caught:
        watch.delete_alarms(AlarmNames=[name])
    assert error_of(caught)[::2] == ("ResourceNotFound", 404)
    assert isinstance(caught.value, watch.exceptions.ResourceNotFound)


def test_errors_have_the_names_of_the_query_protocol(watch: Any, namespace: str) -> None:
    with pytest.raises(ClientError) as caught:
        watch.describe_alarms(MaxRecords=101)
    code, message, status = error_of(caught)
    assert (code, status) == ("ValidationError", 400)
    assert message.startswith("1 validation error detected: Value '101' at 'maxRecords' failed to satisfy constraint")
    with pytest.raises(ClientError) as caught:
        watch.put_metric_data(Namespace="AWS/Kinesis", MetricData=[{"MetricName": "m", "Value": 1.0}])
    assert error_of(caught) == ("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.", 400)
    assert isinstance(caught.value, watch.exceptions.InvalidParameterValueException)
    with pytest.raises(ClientError) as caught:
        watch.list_metrics(NextToken="nonsense")
    assert error_of(caught)[0] == "InvalidNextToken"
    with pytest.raises(ClientError) as caught:
        watch.set_alarm_state(AlarmName="nobody", StateValue="OK", StateReason="x")
    assert error_of(caught)[0] == "ResourceNotFound"
    assert namespace
