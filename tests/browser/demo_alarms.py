"""Alarms and a dashboard as they look in everyday use; one alarm goes off by what demo_data counts."""

import json
from typing import Any

import boto3

from tests.browser import demo_data
from tests.support.processes import Up

STREAM = {"Name": "StreamName", "Value": "orders-events"}
ALARMS: tuple[dict[str, Any], ...] = (
    {"AlarmName": "orders-events-iterator-age", "MetricName": "GetRecords.IteratorAgeMilliseconds", "Statistic": "Maximum",
     "Period": 10, "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "Threshold": 30_000.0,
     "AlarmActions": ["mailto:on-call@acme.example", "https://hooks.acme.example/tidegate"],
     "AlarmDescription": "Billing lags behind. See the runbook, page 4."},
    {"AlarmName": "orders-events-near-write-limit", "MetricName": "IncomingBytes", "Statistic": "Sum", "Period": 60,
     "EvaluationPeriods": 5, "Threshold": 270_000_000.0, "AlarmActions": ["mailto:on-call@acme.example"]},
    {"AlarmName": "orders-events-silent", "MetricName": "IncomingRecords", "Statistic": "Sum", "Period": 300,
     "EvaluationPeriods": 1, "Threshold": 100.0, "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching"},
)  # fmt: skip


def chart(title: str, stat: str, *metrics: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "metric",
        "width": 12,
        "height": 6,
        "properties": {"title": title, "stat": stat, "metrics": [*metrics], **more},
    }


NAMES = ("AWS/Kinesis", "IncomingBytes", "StreamName")
DASHBOARD = {
    "widgets": [
        {"type": "text", "width": 24, "height": 2,
         "properties": {"markdown": "# Checkout\nWhat the shop sends and who is behind. Questions: #data-platform."}},
        chart("Incoming", "Sum", [*NAMES, "orders-events", {"label": "orders"}], [*NAMES, "payments-ledger", {"label": "payments"}],
              annotations={"horizontal": [{"value": 270_000_000, "label": "Write limit"}]}),
        chart("Who is behind", "Maximum", ["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "orders-events"]),
        chart("Now", "Sum", [*NAMES, "orders-events", {"label": "orders"}], [*NAMES, "clickstream-web", {"label": "clicks"}],
              view="singleValue"),
    ]
}  # fmt: skip


def seed(running: Up) -> None:
    """All of it, by CloudWatch's API."""
    client = boto3.client(
        "cloudwatch",
        endpoint_url=running.endpoint,
        region_name="us-east-1",
        aws_access_key_id=demo_data.SETTINGS["TIDEGATE_ACCESS_KEY_ID"],
        aws_secret_access_key=demo_data.SETTINGS["TIDEGATE_SECRET_ACCESS_KEY"],
    )
    for alarm in ALARMS:
        client.put_metric_alarm(
            **{"ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching", **alarm},
            Namespace="AWS/Kinesis", Dimensions=[STREAM],
        )  # fmt: skip
    client.put_dashboard(DashboardName="checkout", DashboardBody=json.dumps(DASHBOARD))
    client.close()
