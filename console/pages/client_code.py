"""Code that puts and reads records in the languages that samples.py has not: Go, Java with the KCL, and curl."""

from __future__ import annotations

import base64
import shlex

from console.pages.samples import Sample, consume, endpoint, produce, region

RECORD = b'{"event": "order.placed"}'
VERSION = "Kinesis_20131202"


def put_in_all(name: str) -> list[Sample]:
    """Put one record, in six languages."""
    return [*produce(name), _go_put(name), _curl_put(name)]


def read_in_all(name: str) -> list[Sample]:
    """Read records, in six languages; Java by the Kinesis Client Library, which reads every shard."""
    found = {sample.key: sample for sample in consume(name)}
    return [found["python"], found["cli"], found["node"], _kcl(name), _go_read(name), _curl_read(name)]


def _go(imports: tuple[str, ...], body: str) -> Sample:
    lines = "\n".join(f'\t"{one}"' for one in imports)
    return Sample("go", "Go", "go", (
        f"package main\n\nimport (\n{lines}\n\n"
        '\t"github.com/aws/aws-sdk-go-v2/aws"\n\t"github.com/aws/aws-sdk-go-v2/config"\n'
        '\t"github.com/aws/aws-sdk-go-v2/service/kinesis"\n'
        f"{body}"
    ))  # fmt: skip


_GO_CLIENT = (
    "\tctx := context.Background()\n"
    '\tcfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("%s"))\n'
    "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
    "\tclient := kinesis.NewFromConfig(cfg, func(o *kinesis.Options) {\n"
    '\t\to.BaseEndpoint = aws.String("%s")\n\t})\n'
)


def _go_put(name: str) -> Sample:
    text = RECORD.decode()
    return _go(("context", "log"), (
        ")\n\nfunc main() {\n" + _GO_CLIENT % (region(), endpoint()) +
        "\t_, err = client.PutRecord(ctx, &kinesis.PutRecordInput{\n"
        f'\t\tStreamName:   aws.String("{name}"),\n\t\tPartitionKey: aws.String("customer-1"),\n'
        f"\t\tData:         []byte(`{text}`),\n\t}})\n"
        "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n}"
    ))  # fmt: skip


def _go_read(name: str) -> Sample:
    return _go(("context", "fmt", "log"), (
        '\t"github.com/aws/aws-sdk-go-v2/service/kinesis/types"\n'
        ")\n\nfunc main() {\n" + _GO_CLIENT % (region(), endpoint()) +
        f'\tstream := aws.String("{name}")\n'
        "\tlist, err := client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: stream})\n"
        "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        "\tat, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{\n"
        "\t\tStreamName:        stream,\n\t\tShardId:           list.Shards[0].ShardId,\n"
        "\t\tShardIteratorType: types.ShardIteratorTypeTrimHorizon,\n\t})\n"
        "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        "\tpage, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator})\n"
        "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        "\tfor _, record := range page.Records {\n"
        "\t\tfmt.Println(*record.PartitionKey, string(record.Data))\n\t}\n}"
    ))  # fmt: skip


def _curl(operation: str, body: str) -> str:
    return " \\\n  ".join((
        f"curl -sS {endpoint()}/",
        f'--aws-sigv4 "aws:amz:{region()}:kinesis"',
        '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
        '-H "Content-Type: application/x-amz-json-1.1"',
        f'-H "X-Amz-Target: {VERSION}.{operation}"',
        f"-d {body}",
    ))  # fmt: skip


def _curl_put(name: str) -> Sample:
    data = base64.b64encode(RECORD).decode()
    body = f'{{"StreamName": "{name}", "PartitionKey": "customer-1", "Data": "{data}"}}'
    return Sample("curl", "curl", "bash", _curl("PutRecord", shlex.quote(body)))


def _curl_read(name: str) -> Sample:
    start = f'{{"StreamName": "{name}", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}}'
    return Sample("curl", "curl", "bash", (
        "iterator=$(" + _curl("GetShardIterator", shlex.quote(start)) +
        " |\n  sed 's/.*\"ShardIterator\" *: *\"\\([^\"]*\\)\".*/\\1/')\n" +
        _curl("GetRecords", '"{\\"ShardIterator\\": \\"$iterator\\"}"')
    ))  # fmt: skip


def _kcl(name: str) -> Sample:
    """The KCL keeps who reads what in DynamoDB, which Tidegate does not have: the sample says where it is set."""
    return Sample("java", "Java, KCL", "java", (
        "// Maven: software.amazon.kinesis:amazon-kinesis-client:2.6.0. The KCL keeps its leases in DynamoDB:\n"
        "// here in one at DYNAMODB_ENDPOINT, for example DynamoDB Local at http://localhost:8000.\n"
        "import java.net.URI;\nimport java.util.UUID;\nimport software.amazon.awssdk.regions.Region;\n"
        "import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;\n"
        "import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;\n"
        "import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;\n"
        "import software.amazon.kinesis.common.*;\nimport software.amazon.kinesis.coordinator.Scheduler;\n"
        "import software.amazon.kinesis.lifecycle.events.*;\nimport software.amazon.kinesis.processor.*;\n"
        "import software.amazon.kinesis.retrieval.polling.PollingConfig;\n\n"
        "public class Main {\n"
        "    static class Printer implements ShardRecordProcessor {\n"
        "        public void initialize(InitializationInput in) {}\n"
        "        public void processRecords(ProcessRecordsInput in) {\n"
        "            in.records().forEach(r -> System.out.println(r.partitionKey()));\n        }\n"
        "        public void leaseLost(LeaseLostInput in) {}\n"
        "        public void shardEnded(ShardEndedInput in) {\n"
        "            try { in.checkpointer().checkpoint(); } catch (Exception e) { throw new RuntimeException(e); }\n        }\n"
        "        public void shutdownRequested(ShutdownRequestedInput in) {}\n    }\n\n"
        "    public static void main(String[] args) {\n"
        f'        var region = Region.of("{region()}");\n        var endpoint = URI.create("{endpoint()}");\n'
        "        var kinesis = KinesisAsyncClient.builder().region(region).endpointOverride(endpoint).build();\n"
        "        var cloudWatch = CloudWatchAsyncClient.builder().region(region).endpointOverride(endpoint).build();\n"
        "        var dynamo = DynamoDbAsyncClient.builder().region(region)\n"
        '            .endpointOverride(URI.create(System.getenv("DYNAMODB_ENDPOINT"))).build();\n'
        f'        var config = new ConfigsBuilder("{name}", "my-application", kinesis, dynamo, cloudWatch,\n'
        "            UUID.randomUUID().toString(), Printer::new);\n"
        "        new Scheduler(config.checkpointConfig(), config.coordinatorConfig(), config.leaseManagementConfig(),\n"
        "            config.lifecycleConfig(), config.metricsConfig(), config.processorConfig(),\n"
        f'            config.retrievalConfig().retrievalSpecificConfig(new PollingConfig("{name}", kinesis))).run();\n'
        "    }\n}"
    ))  # fmt: skip
