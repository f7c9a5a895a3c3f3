"""Usage added up beforehand, so that pages do not add up millions of rows: kept in the transaction that books (booking.py).

Drafts, reports and budgets read these. Bills are closed and checked from the ledger's own rows, so a sum that were wrong would
show as a difference between a draft and its bill, and checking.py names it.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class TeamDay(models.Model):
    """UsageDay of a team by meter, all resources and keys together: a few hundred rows a month, whatever the team has."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    day_ms = models.BigIntegerField()
    meter = models.CharField(max_length=64)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "day_ms", "meter"], name="one_row_per_team_day_and_meter")
        ]

    def __str__(self) -> str:
        return f"{self.team_id} {self.day_ms} {self.meter} {self.quantity}"


class KeyDay(models.Model):
    """The same told apart by what it is booked under: access keys, and names of consumers."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    day_ms = models.BigIntegerField()
    meter = models.CharField(max_length=64)
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "day_ms", "meter", "meter_key"], name="one_row_per_team_day_meter_and_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.team_id} {self.day_ms} {self.meter} {self.meter_key} {self.quantity}"


class ResourceMonth(models.Model):
    """UsageDay by month of UTC: what tables by resource and by tag add up."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    month_ms = models.BigIntegerField()
    """Its first midnight."""
    resource = models.CharField(max_length=200)
    meter = models.CharField(max_length=64)
    meter_key = models.CharField(max_length=128)
    quantity = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "month_ms", "resource", "meter", "meter_key"], name="one_usage_row_per_month"
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.month_ms} {self.meter} {self.quantity}"
