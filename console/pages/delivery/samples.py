"""Code to copy and run about delivery streams: the real endpoint, region and name stand in it."""

from __future__ import annotations

import json
import shlex
from typing import Any

from apps.delivery.models import DeliveryStream, SourceType
from console.pages import samples
from console.pages.samples import Sample, _cli, endpoint, region

Json = dict[str, Any]


def _boto3() -> str:
    return (
        "import boto3\n\nfirehose = boto3.client(\n"
        f'    "firehose",\n    endpoint_url="{endpoint()}",\n    region_name="{region()}",\n)\n'
    )


def first_steps(account_id: str) -> list[Sample]:
    """CreateDeliveryStream of an example in the account."""
    destination = {
        "RoleARN": f"arn:aws:iam::{account_id}:role/firehose",
        "BucketARN": "arn:aws:s3:::my-bucket",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
    }
    return create(
        {
            "DeliveryStreamName": "stock-ticker",
            "DeliveryStreamType": "DirectPut",
            "ExtendedS3DestinationConfiguration": destination,
        }
    )


def create(params: Json) -> list[Sample]:
    """CreateDeliveryStream by CLI, boto3 and as the request's JSON. Secrets are to be left out by the caller."""
    cli = _cli(
        "aws firehose create-delivery-stream",
        f"--endpoint-url {endpoint()}",
        f"--region {region()}",
        "--cli-input-json " + shlex.quote(json.dumps(params, indent=2, ensure_ascii=False)),
    )
    python = f"{_boto3()}firehose.create_delivery_stream(**{_python(params)})"
    return [
        Sample("cli", "CLI", "bash", cli),
        Sample("python", "boto3", "python", python),
        Sample("json", "JSON", "json", json.dumps(params, indent=2, ensure_ascii=False)),
    ]


def _python(value: Any, indent: int = 0) -> str:
    """A literal of Python, over several lines."""
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(key)}: {_python(one, indent + 4)},\n" for key, one in value.items()]
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list) and value:
        lines = [f"{inner}{_python(one, indent + 4)},\n" for one in value]
        return "[\n" + "".join(lines) + outer + "]"
    return repr(value) if isinstance(value, bool) or value is None else json.dumps(value, ensure_ascii=False)


def produce(row: DeliveryStream) -> list[Sample]:
    """Put one record, in four languages; into the data stream if the delivery stream reads one."""
    if row.source_type != SourceType.DIRECT_PUT:
        return samples.produce(row.source_stream.name) if row.source_stream is not None else []
    name = row.name
    text = '{"TICKER_SYMBOL": "QXZ", "PRICE": 84.51}'
    return [
        Sample("python", "Python", "python", _boto3() + (
            f'firehose.put_record(\n    DeliveryStreamName="{name}",\n    Record={{"Data": b\'{text}\\n\'}},\n)'
        )),
        # Data in the text are base64 to version 2 of the CLI, and version 1 has no option for it; fileb is bytes to both.
        # Within a parameter it takes @=, which both have since November 2024; after = it would be the data.
        Sample("cli", "CLI", "bash", f"printf '%s\\n' {shlex.quote(text)} |\n" + _cli(
            "aws firehose put-record", f"--endpoint-url {endpoint()}", f"--region {region()}",
            f"--delivery-stream-name {shlex.quote(name)}", "--record Data@=fileb:///dev/stdin",
        )),
        Sample("node", "Node", "js", (
            'import { FirehoseClient, PutRecordCommand } from "@aws-sdk/client-firehose";\n\n'
            f'const firehose = new FirehoseClient({{\n  endpoint: "{endpoint()}",\n  region: "{region()}",\n}});\n'
            f'await firehose.send(new PutRecordCommand({{\n  DeliveryStreamName: "{name}",\n'
            f"  Record: {{ Data: new TextEncoder().encode('{text}\\n') }},\n}}));"
        )),
        Sample("java", "Java", "java", (
            "import java.net.URI;\nimport software.amazon.awssdk.core.SdkBytes;\n"
            "import software.amazon.awssdk.regions.Region;\n"
            "import software.amazon.awssdk.services.firehose.FirehoseClient;\n\n"
            f'var firehose = FirehoseClient.builder()\n    .endpointOverride(URI.create("{endpoint()}"))\n'
            f'    .region(Region.of("{region()}"))\n    .build();\n'
            f'firehose.putRecord(r -> r\n    .deliveryStreamName("{name}")\n'
            '    .record(d -> d.data(SdkBytes.fromUtf8String(\n'
            '        "{\\"TICKER_SYMBOL\\": \\"QXZ\\", \\"PRICE\\": 84.51}\\n"))));'
        )),
    ]  # fmt: skip


def described(row: DeliveryStream) -> Sample:
    """The destination as DescribeDeliveryStream answers it, without secrets."""
    said = {f"{row.destination_type}DestinationDescription": row.destination}
    return Sample("json", "JSON", "json", json.dumps(said, indent=2))
