"""Metrics that outlive Redis: one row per stream, bucket width and bucket start, with all its metrics in one value.

A row per metric would be ten times the rows and five times the bytes. samples is written and read by buckets.py.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Rollup(models.Model):
    """What a stream's metrics came to in one bucket (width_s 60, 300 or 3600). A bucket without traffic has no row."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    stream_id = models.BigIntegerField()
    width_s = models.PositiveIntegerField()
    start_s = models.BigIntegerField()
    samples = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "stream_id", "width_s", "start_s"], name="one_rollup_per_bucket")
        ]
        indexes: ClassVar = [models.Index(fields=["width_s", "start_s"], name="rollup_age")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.start_s}+{self.width_s}"


class Uptime(models.Model):
    """Seconds of one bucket in which a web process served and flushed. It tells "no traffic" from "nobody counted"."""

    width_s = models.PositiveIntegerField()
    start_s = models.BigIntegerField()
    seconds = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["width_s", "start_s"], name="one_uptime_per_bucket")]

    def __str__(self) -> str:
        return f"{self.seconds} s of {self.start_s}+{self.width_s}"


class StreamName(models.Model):
    """What a deleted stream was called: its metrics can be asked for by that name as long as they are kept."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=128)
    stream_id = models.BigIntegerField()
    deleted_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "stream_id"], name="one_name_per_old_stream")]
        indexes: ClassVar = [models.Index(fields=["team", "name"], name="old_stream_by_name")]

    def __str__(self) -> str:
        return self.name


class Series(models.Model):
    """A metric that was put with PutMetricData, or that another part counts by name: namespace, name and dimensions."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=64)
    """SHA-256 of namespace, name and dimensions."""
    namespace = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    dimensions = models.JSONField(default=list)
    """[[name, value], …], sorted."""
    newest_s = models.BigIntegerField(default=0)
    """The start of the newest minute with a value."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "key"], name="one_series_per_key")]
        indexes: ClassVar = [
            models.Index(fields=["team", "namespace", "name"], name="series_by_name"),
            models.Index(fields=["newest_s"], name="series_age"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class Datapoint(models.Model):
    """What a series came to in one bucket (width_s 1, 60, 300 or 3600)."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="datapoints", db_index=False)
    unit = models.CharField(max_length=20)
    width_s = models.PositiveIntegerField()
    start_s = models.BigIntegerField()
    count = models.FloatField()
    total = models.FloatField()
    least = models.FloatField()
    most = models.FloatField()
    sketch = models.BinaryField(null=True)
    """The distribution; null where a statistic set was put, which has none."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["series", "width_s", "start_s", "unit"], name="one_datapoint_per_bucket")
        ]
        indexes: ClassVar = [models.Index(fields=["width_s", "start_s"], name="datapoint_age")]

    def __str__(self) -> str:
        return f"{self.total} in {self.start_s}+{self.width_s}"
