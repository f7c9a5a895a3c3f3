"""Rollups of metrics that outlive Redis: one row per series, width and bucket start."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Rollup(models.Model):
    """Sum, count, minimum and maximum of one series over one bucket (width_s 60, 300 or 3600)."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    stream_id = models.BigIntegerField()
    metric = models.CharField(max_length=64)
    width_s = models.PositiveIntegerField()
    start_s = models.BigIntegerField()
    total = models.FloatField()
    count = models.BigIntegerField()
    least = models.FloatField()
    most = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream_id", "metric", "width_s", "start_s", "team"], name="one_rollup_per_bucket")
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.metric} {self.start_s}+{self.width_s}"
