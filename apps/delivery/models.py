"""Delivery streams and channels: tables and what must always hold of them.

A *lane* is a position in a log: one reader of one shard of the record log, with a lease of its own (kind `delivery`,
key the lane's row id) whose checkpoint says how far it is, and whose pin says what it is about to do. What a lane does
is its role: deliver to the destination, back up, process (transform, partition) into logs of the delivery stream's
own, which further lanes then deliver, or write failed records under the error prefix.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.base.arn import ChannelArn, DeliveryStreamArn


class DeliveryStreamStatus(models.TextChoices):
    """AWS's words."""

    CREATING = "CREATING"
    CREATING_FAILED = "CREATING_FAILED"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"  # of channels only
    DELETING = "DELETING"
    DELETING_FAILED = "DELETING_FAILED"


class SourceType(models.TextChoices):
    """Where the records come from: DeliveryStreamType, and the channels of a data stream."""

    DIRECT_PUT = "DirectPut"
    KINESIS_STREAM = "KinesisStreamAsSource"
    CHANNEL = "Channel"


class DestinationType(models.TextChoices):
    """What the stored description describes: AWS's <type>DestinationDescription."""

    S3 = "ExtendedS3"
    REDSHIFT = "Redshift"
    ELASTICSEARCH = "Elasticsearch"
    OPENSEARCH = "Amazonopensearchservice"
    OPENSEARCH_SERVERLESS = "AmazonOpenSearchServerless"
    SPLUNK = "Splunk"
    HTTP = "HttpEndpoint"
    ICEBERG = "Iceberg"


class DeliveryStream(models.Model):
    """A delivery stream, or a channel. The row goes when the deletion is complete.

    destination: the description of the one destination in AWS's members with all defaults filled in, without secrets;
    sealed_secrets: sealed JSON of those, by the path of the member ("EndpointConfiguration.AccessKey").
    """

    id = models.AutoField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="delivery_streams")
    region = models.CharField(max_length=40)
    name = models.CharField(max_length=128)
    channel_id = models.CharField(max_length=64, blank=True)
    """The end of a channel's ARN; empty for delivery streams."""
    source_type = models.CharField(max_length=24, choices=SourceType.choices)
    status = models.CharField(max_length=16, choices=DeliveryStreamStatus.choices, default="CREATING")
    failure = models.JSONField(default=dict)
    """AWS's FailureDescription: Type, Details; empty: none."""
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField(null=True, blank=True)
    version_id = models.PositiveIntegerField(default=1)
    """AWS's VersionId: rises with every change of the destination. DeliveryStreamVersion keeps each."""
    source_stream = models.ForeignKey(
        "streams.Stream", on_delete=models.SET_NULL, null=True, blank=True, related_name="delivery_streams"
    )
    source = models.JSONField(default=dict)
    """KinesisStreamARN, RoleARN, DeliveryStartTimestamp (UTC ms); for Direct PUT ThroughputHintInMBs if given."""
    destination_type = models.CharField(max_length=30, choices=DestinationType.choices)
    destination = models.JSONField(default=dict)
    sealed_secrets = models.TextField(blank=True)
    encryption = models.JSONField(default=dict)
    """AWS's DeliveryStreamEncryptionConfiguration: KeyARN, KeyType, Status, FailureDescription; empty: DISABLED."""
    encryption_changes_ms = models.JSONField(default=list)
    """Times of the Start- and StopDeliveryStreamEncryption calls of the last 24 hours."""
    paused_at_ms = models.BigIntegerField(null=True, blank=True)
    """Nothing is delivered while this is set; records are taken and kept."""
    extra = models.JSONField(default=dict)
    """What only channels have (apps/delivery/operations/channels.py)."""
    version = models.PositiveBigIntegerField(default=0)
    """Rises with every change that the hot path must see (catalog.py)."""
    metered_to_ms = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "name"], condition=models.Q(channel_id=""), name="one_delivery_stream_per_team_and_name"
            ),
            models.UniqueConstraint(
                fields=["team", "name"], condition=~models.Q(channel_id=""), name="one_channel_per_team_and_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> DeliveryStreamArn | ChannelArn:
        """arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME, or a channel's (reads the team's row)."""
        if self.channel_id:
            return ChannelArn(self.region, self.team.account_id, self.channel_id)
        return DeliveryStreamArn(self.region, self.team.account_id, self.name)


class DeliveryStreamVersion(models.Model):
    """A destination as it was under one VersionId: what is pinned is delivered as pinned, whatever came after."""

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="versions")
    version_id = models.PositiveIntegerField()
    destination_type = models.CharField(max_length=30, choices=DestinationType.choices)
    destination = models.JSONField(default=dict)
    sealed_secrets = models.TextField(blank=True)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery_stream", "version_id"], name="one_row_per_delivery_version")
        ]

    def __str__(self) -> str:
        return f"{self.delivery_stream_id} version {self.version_id}"


class DeliveryTag(models.Model):
    """A tag of a delivery stream or channel."""

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="tags")
    key = models.CharField(max_length=128)
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery_stream", "key"], name="one_tag_per_delivery_stream_and_key")
        ]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class LogPurpose(models.TextChoices):
    """What a log of a delivery stream's own holds."""

    DIRECT = "direct"
    """What was put into a Direct PUT delivery stream."""
    REDRIVE = "redrive"
    """Failed records that were asked to be delivered once more; the source of a stream-sourced one, beside its shards."""
    PROCESSED = "processed"
    """What the processors answered, by partition."""
    FAILED = "failed"
    """Lines for the error prefix, by error-output-type."""
    MARKS = "marks"
    """How far a process lane is: a record with each of its appends, which makes the whole append one."""


LOG_KEYS_FROM = 1 << 30
"""Logs of delivery streams have the keys of the record log from here on; shards of data streams never come so far."""


class DeliveryLog(models.Model):
    """A shard of the record log that belongs to a delivery stream. The row is written before the log is made."""

    id = models.AutoField(primary_key=True)
    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.PROTECT, related_name="logs")
    purpose = models.CharField(max_length=10, choices=LogPurpose.choices)
    created_at_ms = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.purpose} {self.log_key}"

    @property
    def log_key(self) -> int:
        """Its key in the record log."""
        return LOG_KEYS_FROM + self.pk


class LaneRole(models.TextChoices):
    """What is done with the lane's records."""

    DELIVER = "deliver"
    BACKUP = "backup"
    PROCESS = "process"
    ERRORS = "errors"


class Lane(models.Model):
    """One reader of one log. See the module's docstring. The columns from delivered_records on are for people."""

    id = models.AutoField(primary_key=True)
    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.PROTECT, related_name="lanes")
    role = models.CharField(max_length=8, choices=LaneRole.choices)
    log_key = models.IntegerField()
    """A shard of the source stream, or a DeliveryLog's."""
    source_shard = models.PositiveIntegerField(null=True, blank=True)
    """The number of the shard, for lanes on a source stream."""
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    """The lane with the role process whose answers this lane delivers."""
    label = models.TextField(blank=True)
    """Of a child: JSON of its partition keys, or the error-output-type."""
    opened_at_ms = models.BigIntegerField()
    ended_at_ms = models.BigIntegerField(null=True, blank=True)
    """Set when the log is sealed and everything of it is done."""
    used_at_ms = models.BigIntegerField(default=0)
    """When records were last written into a child's log."""
    delivered_records = models.BigIntegerField(default=0)
    delivered_bytes = models.BigIntegerField(default=0)
    delivered_at_ms = models.BigIntegerField(null=True, blank=True)
    oldest_waiting_ms = models.BigIntegerField(null=True, blank=True)
    """Arrival of the oldest record that is not delivered yet, as of the last look; null: none."""
    failing_since_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["log_key"], name="lanes_by_log")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["delivery_stream", "role", "log_key"], name="one_lane_per_delivery_stream_role_and_log"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.log_key}"


class DeliveryError(models.Model):
    """The error log of a delivery stream: one row for each cause, counted."""

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="errors")
    part = models.CharField(max_length=16)
    """Where it happened: destination, backup, processing, conversion, errors (writing the error prefix), source."""
    code = models.CharField(max_length=100)
    """AWS's error code, like HttpEndpoint.DestinationException."""
    cause = models.CharField(max_length=500)
    """The message without what differs from case to case; what rows are grouped by."""
    message = models.TextField()
    """The message of the last case."""
    count = models.BigIntegerField(default=0)
    """Cases: attempts that failed, or records."""
    first_at_ms = models.BigIntegerField()
    last_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery_stream", "part", "code", "cause"], name="one_row_per_cause")
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.cause}"


class DeliveredObject(models.Model):
    """The newest objects written to S3, for people to look into; older rows go."""

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="objects_written")
    part = models.CharField(max_length=16)
    """destination, backup or errors."""
    bucket = models.CharField(max_length=255)
    key = models.TextField()
    size_bytes = models.BigIntegerField()
    records = models.BigIntegerField()
    at_ms = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["delivery_stream", "-at_ms"], name="newest_objects")]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Connection(models.Model):
    """Where a part of a delivery stream really is, if not where the operator's environment says.

    part: s3 (destination, staging and errors), backup, lambda, or destination (HTTP, Splunk, search, Redshift).
    """

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="connections")
    part = models.CharField(max_length=16)
    endpoint_url = models.CharField(max_length=1024, blank=True)
    region = models.CharField(max_length=40, blank=True)
    access_key_id = models.CharField(max_length=256, blank=True)
    sealed_secret = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery_stream", "part"], name="one_connection_per_part")
        ]

    def __str__(self) -> str:
        return f"{self.part} at {self.endpoint_url}"


class GrantedBucket(models.Model):
    """A bucket that the operator gave a team for use with the operator's own credentials. The first team has all."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="granted_buckets")
    bucket = models.CharField(max_length=255)
    granted_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "bucket"], name="one_grant_per_team_and_bucket")
        ]

    def __str__(self) -> str:
        return self.bucket


class JobKind(models.TextChoices):
    """What a job does."""

    REDRIVE = "redrive"
    DEMO = "demo"


class JobStatus(models.TextChoices):
    """How far a job is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class DeliveryJob(models.Model):
    """Redrive of failed records, or demo data. Its checkpoint is in its lease (delivery-jobs, row id)."""

    delivery_stream = models.ForeignKey(DeliveryStream, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=8, choices=JobKind.choices)
    parameters = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=JobStatus.choices, default=JobStatus.WAITING)
    error = models.TextField(blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    records = models.BigIntegerField(default=0)
    created_at_ms = models.BigIntegerField()
    finished_at_ms = models.BigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
