// AWS SDK for Java v2, as it is: CBOR and HTTP/2 by default. Puts, gets, subscribes, reads from a time, and meets an error.
// Usage: java -cp 'lib/*' PutGetSubscribe.java ENDPOINT; keys from the environment. Ends with one line of JSON, or a stack trace.

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;

public class PutGetSubscribe {
  static final String NAME = "java-" + Long.toString(System.nanoTime(), 36);
  static KinesisAsyncClient kinesis;

  public static void main(String[] arguments) throws Exception {
    kinesis = KinesisAsyncClient.builder().endpointOverride(URI.create(arguments[0])).region(Region.US_EAST_1).build();
    kinesis.createStream(r -> r.streamName(NAME).shardCount(1)).join();
    try (var waiter = kinesis.waiter()) {
      waiter.waitUntilStreamExists(r -> r.streamName(NAME)).join();
    }
    String arn = kinesis.describeStreamSummary(r -> r.streamName(NAME)).join().streamDescriptionSummary().streamARN();
    String shard = kinesis.listShards(r -> r.streamName(NAME)).join().shards().get(0).shardId();
    String consumer = consumer(arn);

    List<String> pushed = Collections.synchronizedList(new ArrayList<>());
    CountDownLatch enough = new CountDownLatch(210);
    CompletableFuture<Void> subscribed = subscribe(consumer, shard, ShardIteratorType.LATEST, null, pushed, enough);
    Thread.sleep(500); // LATEST begins when the call arrives, and nothing tells that before the first event
    List<String> sent = put();
    if (!enough.await(30, TimeUnit.SECONDS)) throw new AssertionError("pushed only " + pushed.size());
    check(sent.equals(pushed), "other records were pushed than were put");
    subscribed.cancel(true);

    check(sent.equals(read(shard, r -> r.shardIteratorType(ShardIteratorType.TRIM_HORIZON))), "other records were read");
    Instant hourAgo = Instant.now().minus(Duration.ofHours(1)).truncatedTo(java.time.temporal.ChronoUnit.MILLIS);
    List<String> sinceThen = read(shard, r -> r.shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(hourAgo));
    check(sent.equals(sinceThen), "AT_TIMESTAMP read " + sinceThen.size());
    try {
      kinesis.describeStreamSummary(r -> r.streamName("absent")).join();
      throw new AssertionError("a stream that is not there was found");
    } catch (CompletionException error) {
      check(error.getCause() instanceof ResourceNotFoundException, "another error: " + error.getCause());
    }
    kinesis.deleteStream(r -> r.streamName(NAME).enforceConsumerDeletion(true)).join();
    System.out.printf("{\"put\": %d, \"read\": %d, \"pushed\": %d}%n", sent.size(), sinceThen.size(), pushed.size());
    System.exit(0);
  }

  static String consumer(String arn) throws Exception {
    String consumer =
        kinesis.registerStreamConsumer(r -> r.streamARN(arn).consumerName("java")).join().consumer().consumerARN();
    for (int i = 0; i < 400; i++) {
      var now = kinesis.describeStreamConsumer(r -> r.consumerARN(consumer)).join().consumerDescription();
      if (now.consumerStatus() == ConsumerStatus.ACTIVE) return consumer;
      Thread.sleep(50);
    }
    throw new AssertionError("the consumer did not become ACTIVE");
  }

  static CompletableFuture<Void> subscribe(
      String consumer, String shard, ShardIteratorType type, Instant at, List<String> into, CountDownLatch enough) {
    var handler = SubscribeToShardResponseHandler.builder()
        .subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(event -> {
          check(event.continuationSequenceNumber() != null, "an event without a number to continue from");
          for (var record : event.records()) {
            into.add(record.data().asUtf8String());
            enough.countDown();
          }
        }).build())
        .build();
    return kinesis.subscribeToShard(
        r -> r.consumerARN(consumer).shardId(shard).startingPosition(p -> p.type(type).timestamp(at)), handler);
  }

  static List<String> put() {
    List<String> sent = new ArrayList<>();
    var numbers = new HashSet<String>();
    for (int i = 0; i < 10; i++) {
      String text = "single " + i + " \u00e9\ud83c\udf0a", key = "k" + i;
      sent.add(text);
      numbers.add(kinesis.putRecord(r -> r.streamName(NAME).partitionKey(key).data(SdkBytes.fromUtf8String(text)))
          .join().sequenceNumber());
    }
    List<PutRecordsRequestEntry> entries = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      String text = "batch " + i;
      sent.add(text);
      entries.add(PutRecordsRequestEntry.builder().partitionKey("k" + i)
          .data(SdkBytes.fromByteArray(text.getBytes(StandardCharsets.UTF_8))).build());
    }
    var answer = kinesis.putRecords(r -> r.streamName(NAME).records(entries)).join();
    check(answer.failedRecordCount() == null || answer.failedRecordCount() == 0, "records failed");
    answer.records().forEach(result -> numbers.add(result.sequenceNumber()));
    check(numbers.size() == sent.size(), "sequence numbers repeat");
    return sent;
  }

  static List<String> read(String shard, java.util.function.Consumer<GetShardIteratorRequest.Builder> start) {
    var request = GetShardIteratorRequest.builder().streamName(NAME).shardId(shard);
    start.accept(request);
    String iterator = kinesis.getShardIterator(request.build()).join().shardIterator();
    List<String> found = new ArrayList<>();
    while (true) {
      String from = iterator;
      var answer = kinesis.getRecords(r -> r.shardIterator(from).limit(100)).join();
      answer.records().forEach(record -> found.add(record.data().asUtf8String()));
      if (answer.records().isEmpty() && answer.millisBehindLatest() == 0) return found;
      iterator = answer.nextShardIterator();
    }
  }

  static void check(boolean good, String what) {
    if (!good) throw new AssertionError(what);
  }
}
