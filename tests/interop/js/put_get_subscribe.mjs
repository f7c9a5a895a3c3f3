// @aws-sdk/client-kinesis v3 puts, gets and subscribes, over HTTP/2 as it does by default.
// Usage: node put_get_subscribe.mjs ENDPOINT ACCESS_KEY SECRET_KEY; ends with 0 and one line of JSON, or with a reason.
import assert from "node:assert/strict";
import {
  KinesisClient, CreateStreamCommand, DeleteStreamCommand, DescribeStreamSummaryCommand, PutRecordCommand,
  PutRecordsCommand, ListShardsCommand, GetShardIteratorCommand, GetRecordsCommand, RegisterStreamConsumerCommand,
  DescribeStreamConsumerCommand, SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";

const [endpoint, accessKeyId, secretAccessKey] = process.argv.slice(2);
const client = new KinesisClient({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey } });
const handler = client.config.requestHandler.constructor.name;
const name = `js-${Date.now().toString(36)}`;
const text = (data) => Buffer.from(data).toString("utf8");

async function until(what, check) {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    if (await check()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited 20 s for ${what}`);
}

await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: 1 }));
let summary;
await until("ACTIVE", async () => {
  summary = (await client.send(new DescribeStreamSummaryCommand({ StreamName: name }))).StreamDescriptionSummary;
  return summary.StreamStatus === "ACTIVE";
});
const { Shards } = await client.send(new ListShardsCommand({ StreamName: name }));
assert.equal(Shards.length, 1);
const ShardId = Shards[0].ShardId;

const { Consumer } = await client.send(
  new RegisterStreamConsumerCommand({ StreamARN: summary.StreamARN, ConsumerName: "js" }));
await until("the consumer", async () =>
  (await client.send(new DescribeStreamConsumerCommand({ ConsumerARN: Consumer.ConsumerARN })))
    .ConsumerDescription.ConsumerStatus === "ACTIVE");
const { EventStream } = await client.send(new SubscribeToShardCommand({
  ConsumerARN: Consumer.ConsumerARN, ShardId, StartingPosition: { Type: "LATEST" } }));

const sent = [];
for (let i = 0; i < 10; i++) {
  sent.push(`single ${i} \u00e9\u{1F30A}`);
  await client.send(new PutRecordCommand({ StreamName: name, PartitionKey: `k${i}`, Data: Buffer.from(sent.at(-1)) }));
}
const batch = Array.from({ length: 200 }, (_, i) => `batch ${i}`);
sent.push(...batch);
const put = await client.send(new PutRecordsCommand({
  StreamName: name, Records: batch.map((line, i) => ({ PartitionKey: `k${i}`, Data: Buffer.from(line) })) }));
assert.equal(put.FailedRecordCount ?? 0, 0);

const pushed = [];
for await (const event of EventStream) {
  assert.ok(event.SubscribeToShardEvent, JSON.stringify(event));
  assert.ok(event.SubscribeToShardEvent.ContinuationSequenceNumber);
  pushed.push(...event.SubscribeToShardEvent.Records.map((record) => text(record.Data)));
  if (pushed.length >= sent.length) break;
}
assert.deepEqual(pushed, sent);

let { ShardIterator } = await client.send(new GetShardIteratorCommand({
  StreamName: name, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
const read = [];
await until("the records", async () => {
  const answer = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 100 }));
  ShardIterator = answer.NextShardIterator;
  read.push(...answer.Records.map((record) => text(record.Data)));
  return read.length >= sent.length;
});
assert.deepEqual(read, sent);
await assert.rejects(client.send(new DescribeStreamSummaryCommand({ StreamName: "absent" })),
  (error) => error.name === "ResourceNotFoundException");
await client.send(new DeleteStreamCommand({ StreamName: name, EnforceConsumerDeletion: true }));
console.log(JSON.stringify({ handler, put: sent.length, read: read.length, pushed: pushed.length }));
process.exit(0);
