"""Lease: exactly one owner of a piece of background work, and its checkpoint, in one row."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Lease(models.Model):
    """KCL's lease table in SQL. hold.py has the only statements that change a row."""

    kind = models.CharField(max_length=32)
    key = models.CharField(max_length=200)
    owner = models.CharField(max_length=80, blank=True)
    counter = models.BigIntegerField(default=0)
    expires_at_ms = models.BigIntegerField(default=0)
    due_at_ms = models.BigIntegerField(null=True, blank=True)
    checkpoint = models.JSONField(default=dict)
    pinned = models.JSONField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "key"], name="one_lease_per_kind_and_key")]
        indexes: ClassVar = [
            models.Index(fields=["kind", "due_at_ms"], name="lease_due"),
            models.Index(fields=["kind", "expires_at_ms"], condition=~models.Q(owner=""), name="lease_held"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"
