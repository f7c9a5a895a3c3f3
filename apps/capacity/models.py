"""What accounts are allowed and committed to, and what streams are to grow and shrink by."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class QuotaOverride(models.Model):
    """A quota of one team that an administrator changed; name is one of streams/quotas.py's table."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="quota_overrides")
    name = models.CharField(max_length=80)
    value = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "name"], name="one_override_per_team_and_quota")
        ]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Commitment(models.Model):
    """One minimum throughput billing commitment of a team, past ones too, for bills. The newest row is the present one."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="commitments")
    started_at_ms = models.BigIntegerField()
    ends_at_ms = models.BigIntegerField(null=True, blank=True)
    """When it ended, or will; null: nobody asked for its end. Never within a day of the start."""
    metered_to_ms = models.BigIntegerField(default=0)
    """Up to when its time is booked (streams/account_meters.py)."""

    def __str__(self) -> str:
        return f"{self.team_id} since {self.started_at_ms}"


class DemandPeak(models.Model):
    """How many shards an on-demand stream needed on a day: twice its highest load, or what it was split to."""

    stream = models.ForeignKey("streams.Stream", on_delete=models.CASCADE, related_name="demand_peaks")
    day = models.PositiveIntegerField()
    """Days since 1970, UTC."""
    shards = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["stream", "day"], name="one_peak_per_stream_and_day")]

    def __str__(self) -> str:
        return f"{self.stream_id} needed {self.shards} on day {self.day}"


class ScalingUnit(models.TextChoices):
    """How a step is measured."""

    SHARDS = "shards"
    PERCENT = "percent"


class ScalingLoad(models.TextChoices):
    """What a policy looks at."""

    WRITES = "writes"
    READS = "reads"
    BOTH = "both"


class ScalingPolicy(models.Model):
    """How a provisioned stream follows its load by itself. See streams/autoscaling.py."""

    stream = models.OneToOneField("streams.Stream", on_delete=models.CASCADE, related_name="scaling_policy")
    enabled = models.BooleanField(default=True)
    minimum = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    maximum = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    """Open shards; the stream is kept between the two."""
    follows = models.CharField(max_length=6, choices=ScalingLoad.choices, default=ScalingLoad.WRITES)
    """both: whichever is the larger share of what the shards may take, or give to pollers."""
    up_at_percent = models.PositiveIntegerField(default=75, validators=[MaxValueValidator(1000)])
    """Of what the open shards may take; at this load for up_after_minutes there is a step up."""
    up_after_minutes = models.PositiveIntegerField(default=1)
    up_by = models.PositiveIntegerField(default=100)
    up_unit = models.CharField(max_length=7, choices=ScalingUnit.choices, default=ScalingUnit.PERCENT)
    up_cooldown_minutes = models.PositiveIntegerField(default=5)
    """After a step up nothing more is done for so long."""
    down_at_percent = models.PositiveIntegerField(default=25, validators=[MaxValueValidator(1000)])
    down_after_minutes = models.PositiveIntegerField(default=15)
    down_by = models.PositiveIntegerField(default=50)
    down_unit = models.CharField(max_length=7, choices=ScalingUnit.choices, default=ScalingUnit.PERCENT)
    down_cooldown_minutes = models.PositiveIntegerField(default=60)
    """After a step down nothing more is done for so long."""
    busy_since_ms = models.BigIntegerField(null=True, blank=True)
    idle_since_ms = models.BigIntegerField(null=True, blank=True)
    """Since when the load is at or above the one mark, or at or below the other, without a break."""
    rests_until_ms = models.BigIntegerField(default=0)
    """The end of the cool-down."""
    load_percent = models.FloatField(null=True, blank=True)
    """As last seen; null: not yet."""

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(minimum__gte=1, maximum__gte=models.F("minimum")), name="scaling_within_bounds"
            ),
            models.CheckConstraint(
                condition=models.Q(down_at_percent__lt=models.F("up_at_percent")), name="scaling_marks_apart"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id} between {self.minimum} and {self.maximum}"
