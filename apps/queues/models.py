"""Queues as their owners set them up. What was handed out of a queue and not acknowledged is in store.py, not here."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.base.arn import QueueArn


class QueueStatus(models.TextChoices):
    """AWS's words."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"


class StartingPosition(models.TextChoices):
    """AWS's words."""

    LATEST = "LATEST"
    TRIM_HORIZON = "TRIM_HORIZON"
    AT_TIMESTAMP = "AT_TIMESTAMP"


class Queue(models.Model):
    """A queue on one stream. Its row id is its key in the store: 31 bits, never reused (AUTOINCREMENT).

    The row goes when the deletion is complete; a new queue of the same name is a new row with another ARN.
    """

    id = models.AutoField(primary_key=True)
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="queues")
    stream = models.ForeignKey("streams.Stream", on_delete=models.PROTECT, related_name="queues")
    region = models.CharField(max_length=40)
    name = models.CharField(max_length=128)
    queue_id = models.CharField(max_length=24, unique=True)
    """The end of its ARN, which is not derived from the name."""
    status = models.CharField(max_length=10, choices=QueueStatus.choices, default=QueueStatus.CREATING)
    created_at_ms = models.BigIntegerField()
    opened_at_ms = models.BigIntegerField(null=True, blank=True)
    """When it became ACTIVE; its time counts from then."""
    metered_to_ms = models.BigIntegerField(default=0)
    """Up to when its time is booked; see meters.py."""
    start_type = models.CharField(max_length=12, choices=StartingPosition.choices, default=StartingPosition.LATEST)
    start_given_ms = models.BigIntegerField(null=True, blank=True)
    """The Timestamp of AT_TIMESTAMP as it was given."""
    start_ms = models.BigIntegerField(default=0)
    """Records that arrived from here on are delivered; 0 for TRIM_HORIZON."""
    start_effective_ms = models.BigIntegerField(null=True, blank=True)
    """What DescribeQueue says once the queue is ACTIVE: start_ms, or what the stream still had then if that is later."""
    visibility_timeout_s = models.PositiveIntegerField()
    max_receive_count = models.PositiveIntegerField(null=True, blank=True)
    """Null: dead-letter handling is off."""
    resource_policy = models.TextField(blank=True)
    """The policy document as it was put; empty: none."""
    version = models.PositiveIntegerField(default=0)
    """Rises with every change that the data plane must see; the store carries the one that is in force."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "name"], name="one_queue_per_team_and_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> QueueArn:
        """arn:aws:kinesis:REGION:ACCOUNT:queue/ID (reads the team's row)."""
        return QueueArn(self.region, self.team.account_id, self.queue_id)


class QueueTag(models.Model):
    """A tag of a queue."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="tags")
    key = models.CharField(max_length=128)
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["queue", "key"], name="one_tag_per_queue_and_key")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
