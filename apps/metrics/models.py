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
