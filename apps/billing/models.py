"""Usage: readings of cumulative meters, and the usage per hour made of their differences.

Prices and bills come with the billing issue; the readings are taken from the first day, so that nothing is lost.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class MeterReading(models.Model):
    """The last reading of one cumulative series: (resource, meter, hour, access key) of one incarnation of the log.

    resource is what was read (shard/7, stream/3); the usage it makes may be booked on another (stream/NAME).
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="+")
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    hour_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    incarnation = models.CharField(max_length=40)
    value = models.BigIntegerField()
    read_at_ms = models.BigIntegerField()
    shrunk_at_ms = models.BigIntegerField(null=True, blank=True)
    """When the value was found smaller than before: the series begins anew there, nothing is billed for the gap."""
    final = models.BooleanField(default=False)
    """The source is gone; later readings are overtaken ones."""

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["read_at_ms"], condition=models.Q(final=True), name="readings_finished")
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["resource", "meter", "hour_ms", "meter_key", "incarnation"], name="one_reading_per_series"
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.value}"


class UsageHour(models.Model):
    """What a team used of a meter in one UTC hour; the sum of the differences between readings."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="usage_hours")
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    hour_ms = models.BigIntegerField()
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "resource", "meter", "hour_ms", "meter_key"], name="one_usage_row_per_hour"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gte=0), name="usage_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.meter} {self.quantity}"
