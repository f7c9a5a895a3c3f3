"""Code to copy and run: the real endpoint, region and name stand in it. Marked up for colour; the text is escaped.

A sample is a list of (class, text) pieces: k keyword, s string, n number, c comment, and none.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass

from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_TOKENS = {
    "python": re.compile(
        r"(?P<s>b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*')|(?P<c>#[^\n]*)|(?P<k>\b(?:import|from|for|in|while|if|as|def|return|not|with)\b)|(?P<n>\b\d+\b)"
    ),
    "bash": re.compile(
        r"(?P<c>(?:^|(?<=\n))#[^\n]*)|(?P<s>(?<= )(?:'[^']*'|\"[^\"]*\"|https?://\S+))|(?P<n>(?<= )\d+\b)"
    ),
    "js": re.compile(
        r"(?P<s>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<c>//[^\n]*)|(?P<k>\b(?:import|from|const|new|await|for|of|while|let)\b)|(?P<n>\b\d+\b)"
    ),
    "java": re.compile(
        r"(?P<s>\"(?:[^\"\\]|\\.)*\")|(?P<c>//[^\n]*)|(?P<k>\b(?:import|static|var|new|void|class|public|final|for)\b)|(?P<n>\b\d+\b)"
    ),
    "go": re.compile(
        r"(?P<s>\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|(?P<c>//[^\n]*)|(?P<k>\b(?:package|import|func|if|for|range|nil|return)\b)|(?P<n>\b\d+\b)"
    ),
    "json": re.compile(
        r"(?P<p>\"(?:[^\"\\]|\\.)*\"(?=\s*:))|(?P<s>\"(?:[^\"\\]|\\.)*\")|(?P<k>\b(?:true|false|null)\b)|(?P<n>-?\b\d[\d.eE+-]*)"
    ),
}


def coloured(text: str, language: str) -> SafeString:
    """text as HTML, its tokens in spans."""
    pieces, at = [], 0
    for found in _TOKENS[language].finditer(text):
        pieces.append(("", text[at : found.start()]))
        pieces.append((found.lastgroup or "", found[0]))
        at = found.end()
    pieces.append(("", text[at:]))
    return format_html_join(
        "",
        "{}",
        ((format_html('<span class="{}">{}</span>', kind, piece) if kind else piece,) for kind, piece in pieces),
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """One language's code."""

    key: str
    label: str
    language: str
    text: str

    @property
    def html(self) -> SafeString:
        """With its tokens coloured."""
        return coloured(self.text, self.language)


def _cli(*lines: str) -> str:
    return " \\\n  ".join(lines)


def create_stream_cli(name: str, shards: int | None) -> Sample:
    """CreateStream from a terminal; shards None: on demand."""
    size = ("--shard-count", str(shards)) if shards else ("--stream-mode-details", "StreamMode=ON_DEMAND")
    return Sample(
        "cli",
        "CLI",
        "bash",
        _cli(
            "aws kinesis create-stream",
            f"--endpoint-url {endpoint()}",
            f"--region {region()}",
            f"--stream-name {shlex.quote(name)}",
            " ".join(size),
        ),
    )


def create_queue_cli(account_id: str) -> Sample:
    """CreateQueue from a terminal, on a stream that is to be named."""
    arn = f"arn:aws:kinesis:{region()}:{account_id}:stream/my-stream"
    return Sample(
        "cli",
        "CLI",
        "bash",
        _cli(
            "aws kinesis create-queue",
            f"--endpoint-url {endpoint()}",
            f"--region {region()}",
            "--queue-name my-queue",
            f"--stream-configuration-list StreamARN={arn},StartingPosition={{Type=LATEST}}",
        ),
    )


@dataclass(frozen=True, slots=True)
class NewStream:
    """What a stream is to be. shards None: on demand. key: a KMS key; empty: no encryption."""

    name: str
    shards: int | None
    tags: dict[str, str]
    max_record_kib: int | None = None
    retention_hours: int = 24
    key: str = ""

    @property
    def calls(self) -> list[tuple[str, dict[str, object]]]:
        """CreateStream, and what can only follow when the stream is there."""
        body: dict[str, object] = {"StreamName": self.name}
        if self.shards:
            body["ShardCount"] = self.shards
        else:
            body["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}
        if self.max_record_kib:
            body["MaxRecordSizeInKiB"] = self.max_record_kib
        if self.tags:
            body["Tags"] = self.tags
        found = [("CreateStream", body)]
        if self.retention_hours > RETENTION_DEFAULT:
            hours: dict[str, object] = {"StreamName": self.name, "RetentionPeriodHours": self.retention_hours}
            found.append(("IncreaseStreamRetentionPeriod", hours))
        if self.key:
            found.append(
                ("StartStreamEncryption", {"StreamName": self.name, "EncryptionType": "KMS", "KeyId": self.key})
            )
        return found


RETENTION_DEFAULT = 24
_CLI_OPTIONS = {
    "StreamName": "--stream-name", "ShardCount": "--shard-count", "StreamModeDetails": "--stream-mode-details",
    "MaxRecordSizeInKiB": "--max-record-size-in-ki-b", "Tags": "--tags",
    "RetentionPeriodHours": "--retention-period-hours", "EncryptionType": "--encryption-type", "KeyId": "--key-id",
}  # fmt: skip


def create_stream(wanted: NewStream) -> list[Sample]:
    """The same stream by CLI, boto3 and as the requests' JSON."""
    calls = wanted.calls
    cli, python = [], [_boto3()]
    for number, (operation, body) in enumerate(calls):
        if number == 1:
            cli.append(_aws("wait stream-exists", {"StreamName": wanted.name}))
            python.append(f'kinesis.get_waiter("stream_exists").wait(StreamName={json.dumps(wanted.name)})\n')
        cli.append(_aws(_dashed(operation), body))
        arguments = "\n".join(f"    {member}={json.dumps(value)}," for member, value in body.items())
        python.append(f"kinesis.{_dashed(operation).replace('-', '_')}(\n{arguments}\n)\n")
    bodies: object = calls[0][1] if len(calls) == 1 else [{"operation": name, "request": body} for name, body in calls]
    return [
        Sample("cli", "CLI", "bash", "\n".join(cli)),
        Sample("python", "boto3", "python", "".join(python).rstrip()),
        Sample("json", "JSON", "json", json.dumps(bodies, indent=2)),
    ]


def _aws(command: str, body: dict[str, object]) -> str:
    def shown(value: object) -> str:
        if isinstance(value, dict) and list(value) == ["StreamMode"]:
            return f"StreamMode={value['StreamMode']}"
        return shlex.quote(json.dumps(value) if isinstance(value, dict) else str(value))

    options = [f"{_CLI_OPTIONS[member]} {shown(value)}" for member, value in body.items()]
    return _cli(f"aws kinesis {command}", f"--endpoint-url {endpoint()}", f"--region {region()}", *options)


def _dashed(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", operation).lower()


def endpoint() -> str:
    """Where AWS clients are pointed at."""
    return settings.CONFIG.public_address


def region() -> str:
    """The region of signatures and ARNs."""
    return settings.CONFIG.region


def _boto3() -> str:
    return (
        "import boto3\n\nkinesis = boto3.client(\n"
        f'    "kinesis",\n    endpoint_url="{endpoint()}",\n    region_name="{region()}",\n)\n'
    )


def produce(name: str) -> list[Sample]:
    """Put one record, in four languages."""
    return [
        Sample("python", "Python", "python", _boto3() + (
            f'kinesis.put_record(\n    StreamName="{name}",\n    PartitionKey="customer-1",\n'
            "    Data=b'{\"event\": \"order.placed\"}',\n)"
        )),
        # Data after --data is base64 to version 2 of the CLI and text to version 1; fileb is bytes to both.
        Sample("cli", "CLI", "bash", "printf '{\"event\": \"order.placed\"}' |\n" + _cli(
            "aws kinesis put-record", f"--endpoint-url {endpoint()}", f"--region {region()}",
            f"--stream-name {shlex.quote(name)}", "--partition-key customer-1", "--data fileb:///dev/stdin",
        )),
        Sample("node", "Node", "js", (
            'import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";\n\n'
            f'const kinesis = new KinesisClient({{\n  endpoint: "{endpoint()}",\n  region: "{region()}",\n}});\n'
            f'await kinesis.send(new PutRecordCommand({{\n  StreamName: "{name}",\n  PartitionKey: "customer-1",\n'
            '  Data: new TextEncoder().encode(\'{"event": "order.placed"}\'),\n}));'
        )),
        Sample("java", "Java", "java", (
            "import java.net.URI;\nimport software.amazon.awssdk.core.SdkBytes;\n"
            "import software.amazon.awssdk.regions.Region;\n"
            "import software.amazon.awssdk.services.kinesis.KinesisClient;\n\n"
            f'var kinesis = KinesisClient.builder()\n    .endpointOverride(URI.create("{endpoint()}"))\n'
            f'    .region(Region.of("{region()}"))\n    .build();\n'
            f'kinesis.putRecord(r -> r\n    .streamName("{name}")\n    .partitionKey("customer-1")\n'
            '    .data(SdkBytes.fromUtf8String("{\\"event\\": \\"order.placed\\"}")));'
        )),
    ]  # fmt: skip


def consume(name: str) -> list[Sample]:
    """Read a shard from its oldest record, in four languages."""
    return [
        Sample("python", "Python", "python", _boto3() + (
            f'shards = kinesis.list_shards(StreamName="{name}")["Shards"]\n'
            f'iterator = kinesis.get_shard_iterator(\n    StreamName="{name}",\n    ShardId=shards[0]["ShardId"],\n'
            '    ShardIteratorType="TRIM_HORIZON",\n)["ShardIterator"]\n'
            'for record in kinesis.get_records(ShardIterator=iterator)["Records"]:\n'
            '    print(record["PartitionKey"], record["Data"])'
        )),
        Sample("cli", "CLI", "bash", (
            "iterator=$(" + _cli(
                "aws kinesis get-shard-iterator", f"--endpoint-url {endpoint()}", f"--region {region()}",
                f"--stream-name {shlex.quote(name)}", "--shard-id shardId-000000000000",
                "--shard-iterator-type TRIM_HORIZON", "--query ShardIterator --output text",
            ) + ")\n" + _cli(
                "aws kinesis get-records", f"--endpoint-url {endpoint()}", f"--region {region()}",
                '--shard-iterator "$iterator"',
            )
        )),
        Sample("node", "Node", "js", (
            "import {\n  KinesisClient, ListShardsCommand, GetShardIteratorCommand, GetRecordsCommand,\n"
            '} from "@aws-sdk/client-kinesis";\n\n'
            f'const kinesis = new KinesisClient({{\n  endpoint: "{endpoint()}",\n  region: "{region()}",\n}});\n'
            f'const {{ Shards }} = await kinesis.send(new ListShardsCommand({{ StreamName: "{name}" }}));\n'
            "const { ShardIterator } = await kinesis.send(new GetShardIteratorCommand({\n"
            f'  StreamName: "{name}",\n  ShardId: Shards[0].ShardId,\n  ShardIteratorType: "TRIM_HORIZON",\n}}));\n'
            "const { Records } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));\n"
            "console.log(Records);"
        )),
        Sample("java", "Java", "java", (
            "import java.net.URI;\nimport software.amazon.awssdk.regions.Region;\n"
            "import software.amazon.awssdk.services.kinesis.KinesisClient;\n"
            "import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;\n\n"
            f'var kinesis = KinesisClient.builder()\n    .endpointOverride(URI.create("{endpoint()}"))\n'
            f'    .region(Region.of("{region()}"))\n    .build();\n'
            f'var shard = kinesis.listShards(r -> r.streamName("{name}")).shards().get(0);\n'
            "var iterator = kinesis.getShardIterator(r -> r\n"
            f'    .streamName("{name}")\n    .shardId(shard.shardId())\n'
            "    .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).shardIterator();\n"
            "for (var record : kinesis.getRecords(r -> r.shardIterator(iterator)).records())\n"
            '    System.out.println(record.partitionKey() + " " + record.data().asUtf8String());'
        )),
    ]  # fmt: skip


def environment(key_id: str, secret: str) -> Sample:
    """The credentials of an access key as environment variables."""
    return Sample(
        "env", "Environment", "bash",
        f"export AWS_ACCESS_KEY_ID={shlex.quote(key_id)}\nexport AWS_SECRET_ACCESS_KEY={shlex.quote(secret)}\n"
        f"export AWS_REGION={region()}\n" + "\n".join(f"export AWS_ENDPOINT_URL_{one}={endpoint()}" for one in SERVED),
    )  # fmt: skip


SERVED = ("KINESIS", "FIREHOSE", "CLOUDWATCH")
"""Services as AWS's clients name them in the environment: calls of others, as of S3, go on to where they went."""

PROFILE = "tidegate"


def credentials_file(key_id: str, secret: str) -> str:
    """A profile of ~/.aws/credentials, which all of AWS's clients read."""
    return (
        f"[{PROFILE}]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\nregion = {region()}\n"
        f"endpoint_url = {endpoint()}\n"
    )


def credentials_csv(key_id: str, secret: str) -> str:
    """The two columns of AWS's own file."""
    return f"Access key ID,Secret access key\r\n{key_id},{secret}\r\n"


def list_streams_curl(token: str) -> Sample:
    """A first call of the REST API."""
    return Sample(
        "curl", "curl", "bash",
        f"curl {endpoint()}/api/v1/streams \\\n  -H {shlex.quote(f'Authorization: Bearer {token}')}",
    )  # fmt: skip


def register_consumer_cli(arn: str) -> Sample:
    """RegisterStreamConsumer from a terminal."""
    return Sample("cli", "CLI", "bash", _cli(
        "aws kinesis register-stream-consumer", f"--endpoint-url {endpoint()}", f"--region {region()}",
        f"--stream-arn {arn}", "--consumer-name my-application",
    ))  # fmt: skip
