"""Alarms, what happened to them, what is still to be sent; dashboards; what people have set aside."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class State(models.TextChoices):
    """AWS's words."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Alarm(models.Model):
    """A metric alarm. settings: PutMetricAlarm's members by AWS's name, without name and ActionsEnabled."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=255)
    settings = models.JSONField()
    actions_enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=17, choices=State.choices, default=State.INSUFFICIENT_DATA)
    reason = models.CharField(max_length=1_023)
    reason_data = models.TextField(blank=True)
    """JSON; empty: none."""
    configured_at_ms = models.BigIntegerField()
    evaluated_at_ms = models.BigIntegerField()
    """When the state was last set, to whatever (AWS: StateUpdatedTimestamp)."""
    changed_at_ms = models.BigIntegerField()
    """When it was last set to another one."""
    due_at_ms = models.BigIntegerField()
    tags = models.JSONField(default=dict)
    muted_until_ms = models.BigIntegerField(null=True, blank=True)
    """Until then it changes its state and does nothing else. Ours, not AWS's (muting.py)."""
    version = models.PositiveBigIntegerField(default=0)
    """Rises with every change by a caller, so that an evaluation that began before it changes nothing."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "name"], name="one_alarm_per_name")]
        indexes: ClassVar = [models.Index(fields=["team", "due_at_ms"], name="alarm_due")]

    def __str__(self) -> str:
        return self.name


class HistoryKind(models.TextChoices):
    """AWS's words."""

    CONFIGURATION = "ConfigurationUpdate"
    STATE = "StateUpdate"
    ACTION = "Action"


class History(models.Model):
    """One thing that happened to an alarm. It outlives the alarm, for as long as history is kept."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    alarm_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=19, choices=HistoryKind.choices)
    at_ms = models.BigIntegerField()
    summary = models.CharField(max_length=1_400)
    data = models.TextField()
    """JSON."""

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["team", "alarm_name", "at_ms"], name="history_of_alarm"),
            models.Index(fields=["at_ms"], name="history_age"),
        ]

    def __str__(self) -> str:
        return f"{self.alarm_name}: {self.summary}"


class Delivery(models.Model):
    """An action that is still to be done: a webhook to be called, a mail to be sent."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    alarm_name = models.CharField(max_length=255)
    target = models.CharField(max_length=1_024)
    body = models.TextField()
    """JSON, as AWS sends it through SNS."""
    attempts = models.PositiveIntegerField(default=0)
    due_at_ms = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["team", "due_at_ms"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.alarm_name} to {self.target}"


class Dashboard(models.Model):
    """Widgets over metrics, as PutDashboard took them (dashboards.py reads the body)."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=255)
    body = models.TextField()
    """JSON."""
    modified_at_ms = models.BigIntegerField()
    tags = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "name"], name="one_dashboard_per_name")]

    def __str__(self) -> str:
        return self.name


class Acknowledgement(models.Model):
    """Something that needs attention, and that a person has seen: hidden from this person while it is as it was, at most
    until until_ms. concern: what it is about; state: how it was."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    concern = models.CharField(max_length=300)
    state = models.CharField(max_length=64)
    until_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user", "concern"], name="one_acknowledgement_per_concern")
        ]

    def __str__(self) -> str:
        return f"{self.concern} by {self.user_id}"
