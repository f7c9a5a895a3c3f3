"""What the console itself keeps: answers of the REST API that may be asked for once more."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class IdempotentAnswer(models.Model):
    """What a request with an Idempotency-Key was answered (api/idempotency.py). status null: not yet."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    request_sha256 = models.CharField(max_length=64)
    at_ms = models.BigIntegerField(db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    location = models.CharField(max_length=2_000, blank=True)
    body_encrypted = models.BinaryField(default=b"")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "key"], name="one_answer_per_team_and_key")]

    def __str__(self) -> str:
        return self.key
