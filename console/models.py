"""What the console itself keeps: answers of the REST API that may be asked for once more, pasted schemas."""

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


class DecodingSchema(models.Model):
    """A schema that somebody pasted to read records with; links name it by its digest. kind: avro or protobuf."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=16)
    kind = models.CharField(max_length=8)
    definition = models.TextField()
    message = models.CharField(max_length=255, blank=True)
    at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "digest"], name="one_decoding_schema_per_digest")
        ]

    def __str__(self) -> str:
        return self.digest
