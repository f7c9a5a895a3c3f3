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


class BrowserSession(models.Model):
    """A session of Django's (sessions.py), with what its person needs to recognise it."""

    key_sha256 = models.CharField(max_length=64, primary_key=True)
    """Of the key in the cookie: a copy of the database lets nobody in."""
    session_data = models.TextField()
    expire_date = models.DateTimeField(db_index=True)
    user = models.ForeignKey("accounts.User", null=True, on_delete=models.CASCADE, related_name="+")
    """Null before somebody has signed in."""
    started_at_ms = models.BigIntegerField(default=0)
    seen_at_ms = models.BigIntegerField(default=0)
    """To a few minutes."""
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What it is called on pages and in the audit trail (access/changes.py: session_name)."""
        return self.key_sha256[:12]


class SavedView(models.Model):
    """Filters of the audit log that a person keeps under a name. query: the address's query string."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=1_000, blank=True)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user", "name"], name="one_saved_view_per_name")
        ]

    def __str__(self) -> str:
        return self.name
