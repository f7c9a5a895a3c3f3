"""Kinesis data streams: tables and what must always hold of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.base.arn import ConsumerArn, StreamArn


class StreamStatus(models.TextChoices):
    """AWS's words."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"


class StreamMode(models.TextChoices):
    """AWS's words."""

    PROVISIONED = "PROVISIONED"
    ON_DEMAND = "ON_DEMAND"


class RecordDistributionStrategy(models.TextChoices):
    """AWS's words."""

    USER_PARTITION_KEY = "USER_PARTITION_KEY"
    AUTO = "AUTO"


class Stream(models.Model):
    """A data stream. The row goes when the deletion is complete; a new stream of the same name is a new row."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="streams")
    region = models.CharField(max_length=40)
    name = models.CharField(max_length=128)
    stream_id = models.CharField(max_length=24, unique=True)
    status = models.CharField(max_length=10, choices=StreamStatus.choices, default=StreamStatus.CREATING)
    mode = models.CharField(max_length=12, choices=StreamMode.choices, default=StreamMode.PROVISIONED)
    retention_hours = models.PositiveIntegerField(default=24)
    retention_floor_ms = models.BigIntegerField(default=0)
    """Records older than this stay invisible even if the retention was raised since: an increase does not revive."""
    max_record_size_kib = models.PositiveIntegerField(default=1024)
    created_at_ms = models.BigIntegerField()
    next_shard_index = models.PositiveIntegerField(default=0)
    plan = models.JSONField(default=list)
    """Resharding steps still to do, see topology.py; empty when there are none."""
    updates_ms = models.JSONField(default=list)
    """Times of the UpdateShardCount calls of the last 24 hours."""
    metered_states = models.JSONField(default=list)
    """What it was like, and since when, as far back as usage is not booked yet; see metered_states.py."""
    metered_to_ms = models.BigIntegerField(default=0)
    """Up to when the stream's time meters are booked; see time_meters.py."""
    stored_to_ms = models.BigIntegerField(null=True, blank=True)
    """The UTC hour up to which its storage is booked; null: nothing is kept for longer than 24 hours."""
    namesake_bytes = models.BigIntegerField(default=0)
    """What an earlier stream of the name had put in the UTC hour in which this one was created."""
    distribution_strategy = models.CharField(
        max_length=18, choices=RecordDistributionStrategy.choices, default=RecordDistributionStrategy.USER_PARTITION_KEY
    )
    warm_throughput_mibps = models.PositiveIntegerField(null=True, blank=True)
    """Asked for; null: never asked for."""
    mode_changes_ms = models.JSONField(default=list)
    """Times of the UpdateStreamMode calls of the last 24 hours."""
    shard_level_metrics = models.JSONField(default=list)
    """Names switched on by EnableEnhancedMonitoring, sorted."""
    encryption_key_arn = models.CharField(max_length=2048, blank=True)
    """The key that new records are encrypted under; empty: they are not."""
    encryption_key_id = models.CharField(max_length=2048, blank=True)
    """KeyId as the caller gave it (an id, an ARN or an alias), which is what AWS answers with."""
    encryption_changes_ms = models.JSONField(default=list)
    """Times of the StartStreamEncryption and StopStreamEncryption calls of the last 24 hours, as [start?, ms]."""
    resource_policy = models.TextField(blank=True)
    """The policy document as it was put; empty: none."""
    faults = models.JSONField(default=dict)
    """What an administrator asked to go wrong: throttle_percent, error_percent, latency_ms; empty: nothing."""
    version = models.PositiveBigIntegerField(default=0)
    """Rises with every change that the hot path must see (catalog.py)."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "name"], name="one_stream_per_team_and_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> StreamArn:
        """arn:aws:kinesis:REGION:ACCOUNT:stream/NAME (reads the team's row)."""
        return StreamArn(self.region, self.team.account_id, self.name)


class Shard(models.Model):
    """A shard. Its row id is the shard's key in the record log: 31 bits, never reused (AUTOINCREMENT).

    A row is written before its log shard is made, so that nothing in the log is ever without a row. It counts for
    clients (lists, routing) only while opened_at_ms is set and expired_at_ms is not. A child not opened yet may
    already take records, namely those that its sealed parent refuses: find it by its id.
    """

    id = models.AutoField(primary_key=True)
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="shards")
    index = models.PositiveIntegerField()
    start_hash = models.CharField(max_length=39)
    """Decimal; both ends inclusive."""
    end_hash = models.CharField(max_length=39)
    created_s = models.BigIntegerField()
    """The creation second that its sequence numbers carry; never changes. A child's is later than its parents', and
    one second after their end; so it lies up to a second (after a chain of steps, some seconds) in the future."""
    parent_index = models.PositiveIntegerField(null=True, blank=True)
    adjacent_parent_index = models.PositiveIntegerField(null=True, blank=True)
    opened_at_ms = models.BigIntegerField(null=True, blank=True)
    """Null until the shard's log is made and its parents are sealed."""
    closed_at_ms = models.BigIntegerField(null=True, blank=True)
    """Null while the shard is open. Carried by its ending sequence number."""
    expired_at_ms = models.BigIntegerField(null=True, blank=True)
    """Set when a closed shard has no record left to show; the row goes once its last meter reading is booked."""
    metered_hour_ms = models.BigIntegerField(default=0)
    """The UTC hour from which the log's meters are to be read next; see meters.py."""
    observed_at_ms = models.BigIntegerField(default=0)
    observed_bytes = models.BigIntegerField(default=0)
    observed_records = models.BigIntegerField(default=0)
    """The log's totals at observed_at_ms, from which scaling.py takes the load of the last minute (on-demand only)."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "index"], name="one_shard_per_stream_and_index")
        ]

    def __str__(self) -> str:
        return self.shard_id

    @property
    def shard_id(self) -> str:
        """AWS's name, shardId-000000000000."""
        return f"shardId-{self.index:012d}"


class ConsumerStatus(models.TextChoices):
    """AWS's words."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    DELETING = "DELETING"


class Consumer(models.Model):
    """A registered enhanced fan-out consumer."""

    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="consumers")
    name = models.CharField(max_length=128)
    status = models.CharField(max_length=10, choices=ConsumerStatus.choices, default=ConsumerStatus.CREATING)
    resource_policy = models.TextField(blank=True)
    """As Stream.resource_policy."""
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "name"], name="one_consumer_per_stream_and_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> ConsumerArn:
        """<stream arn>/consumer/NAME:CREATION_SECONDS (reads stream and team)."""
        return ConsumerArn(self.stream.arn, self.name, self.created_at_ms // 1000)


class Tag(models.Model):
    """A tag of a stream."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="tags")
    key = models.CharField(max_length=128)
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["stream", "key"], name="one_tag_per_stream_and_key")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class ConsumerTag(models.Model):
    """A tag of a registered consumer."""

    consumer = models.ForeignKey(Consumer, on_delete=models.CASCADE, related_name="tags")
    key = models.CharField(max_length=128)
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["consumer", "key"], name="one_tag_per_consumer_and_key")
        ]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class IngestionKind(models.TextChoices):
    """What a job reads."""

    IMPORT = "import"
    REPLAY = "replay"


class IngestionStatus(models.TextChoices):
    """How far a job is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Ingestion(models.Model):
    """A job that puts what is kept elsewhere into a stream. Its checkpoint is in its lease (ingestion, row id)."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="ingestions")
    kind = models.CharField(max_length=8, choices=IngestionKind.choices)
    source = models.JSONField()
    """import: file, name, sealed_key, key_field. replay: stream (row id), name, from_ms, to_ms. See ingestion.py."""
    target = models.ForeignKey(Stream, on_delete=models.SET_NULL, null=True, related_name="ingestions")
    target_name = models.CharField(max_length=128)
    status = models.CharField(max_length=9, choices=IngestionStatus.choices, default=IngestionStatus.WAITING)
    error = models.TextField(blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    """Progress in units of the source: bytes of the file, or milliseconds of the range times shards."""
    records = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    """What was put so far; data and keys."""
    created_at_ms = models.BigIntegerField()
    finished_at_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["team", "-created_at_ms"], name="ingestions_of_team")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} into {self.target_name}"


class LogMark(models.Model):
    """A record of the record log that a copy must have to have all that was metered (log_marks.py); the newest counts."""

    incarnation = models.CharField(max_length=40)
    """Of the log."""
    offset = models.BigIntegerField()
    arrival_ms = models.BigIntegerField()
    name = models.CharField(max_length=32)
    """What the record holds, found by chance: no other log has it there."""
    older_at_ms = models.BigIntegerField(default=0)
    """When the log was last found to be an older copy; 0: never."""

    class Meta:
        indexes: ClassVar = [models.Index(fields=["incarnation", "offset"], name="log_marks_of_a_log")]

    def __str__(self) -> str:
        return f"{self.incarnation} {self.offset}"
