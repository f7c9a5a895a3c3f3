"""The stock AWS CLI creates, describes, fills, updates and deletes a delivery stream of each kind of destination."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.interop.test_clients import CLI, running
from tests.support.firehose import LEAST

pytestmark = pytest.mark.interop

WITHIN_S = 120
ID = "destinationId-000000000001"
OPTIONS = {
    "ExtendedS3": "extended-s3-destination",
    "Redshift": "redshift-destination",
    "Elasticsearch": "elasticsearch-destination",
    "Amazonopensearchservice": "amazonopensearchservice-destination",
    "AmazonOpenSearchServerless": "amazon-open-search-serverless-destination",
    "Splunk": "splunk-destination",
    "HttpEndpoint": "http-endpoint-destination",
    "Iceberg": "iceberg-destination",
}
UPDATE = {"RetryOptions": {"DurationInSeconds": 7}}


def in_account(value: Any, account_id: str) -> Any:
    """The examples with the account of this installation."""
    return json.loads(json.dumps(value).replace("123456789012", account_id))


def test_the_aws_cli_and_every_kind_of_destination(tmp_path: Path) -> None:
    with running(tmp_path, "http") as (endpoint, environment):

        def aws(*words: str, service: str = "firehose") -> Any:
            command = [str(CLI), "--endpoint-url", endpoint, "--output", "json", service, *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WITHIN_S)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout) if done.stdout.strip() else {}

        def describe(name: str) -> Any:
            return aws("describe-delivery-stream", "--delivery-stream-name", name)["DeliveryStreamDescription"]

        account_id = aws("get-caller-identity", service="sts")["Account"]
        for kind, option in OPTIONS.items():
            name = ("--delivery-stream-name", kind)
            configuration = json.dumps(in_account(LEAST[kind], account_id))
            made = aws("create-delivery-stream", *name, f"--{option}-configuration", configuration)
            assert made["DeliveryStreamARN"].endswith(f"deliverystream/{kind}")
            deadline = time.monotonic() + WITHIN_S
            while describe(kind)["DeliveryStreamStatus"] != "ACTIVE":
                assert time.monotonic() < deadline
            assert aws("put-record", *name, "--record", '{"Data": "one"}')["RecordId"]
            records = '[{"Data": "two"}, {"Data": "three"}]'
            assert aws("put-record-batch", *name, "--records", records)["FailedPutCount"] == 0
            update = {"Prefix": "new/"} if kind == "ExtendedS3" else UPDATE
            aws(
                "update-destination", *name, "--current-delivery-stream-version-id", "1", "--destination-id", ID,
                f"--{option}-update", json.dumps(update),
            )  # fmt: skip
            described = describe(kind)
            assert described["VersionId"] == "2"
            assert update.items() <= described["Destinations"][0][f"{kind}DestinationDescription"].items()
            aws("tag-delivery-stream", *name, "--tags", "Key=team,Value=a")
            assert aws("list-tags-for-delivery-stream", *name)["Tags"] == [{"Key": "team", "Value": "a"}]
            aws("delete-delivery-stream", *name)
