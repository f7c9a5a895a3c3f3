"""KMS keys of teams, their material and aliases; and the data keys that streams are encrypted with."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class KeyState(models.TextChoices):
    """AWS's words."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


class KeyManager(models.TextChoices):
    """AWS's words. AWS: made by us on first use; nobody may disable or delete it."""

    CUSTOMER = "CUSTOMER"
    AWS = "AWS"


class Key(models.Model):
    """A symmetric KMS key of a team. Its material is in rows of their own, the newest of which encrypts."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="kms_keys")
    region = models.CharField(max_length=40)
    key_id = models.UUIDField(unique=True)
    manager = models.CharField(max_length=8, choices=KeyManager.choices, default=KeyManager.CUSTOMER)
    state = models.CharField(max_length=16, choices=KeyState.choices, default=KeyState.ENABLED)
    description = models.CharField(max_length=8192, blank=True)
    tags = models.JSONField(default=dict)
    created_at_ms = models.BigIntegerField()
    deletion_at_ms = models.BigIntegerField(null=True, blank=True)
    """When key and material go for ever; set while PendingDeletion."""
    rotation_days = models.PositiveIntegerField(null=True, blank=True)
    """New material every so many days; null: never by itself."""
    rotation_from_ms = models.BigIntegerField(default=0)
    """When the running period of rotation began."""

    def __str__(self) -> str:
        return str(self.key_id)

    @property
    def arn(self) -> str:
        """arn:aws:kms:REGION:ACCOUNT:key/ID (reads the team's row)."""
        return f"arn:aws:kms:{self.region}:{self.team.account_id}:key/{self.key_id}"


class KeyMaterial(models.Model):
    """32 bytes of a key, wrapped under the master key (wrapping.py). Deleting the row destroys them."""

    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="materials")
    version = models.PositiveIntegerField()
    wrapped = models.BinaryField()
    on_demand = models.BooleanField(default=False)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["key", "version"], name="one_material_per_version")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.version}"


class Alias(models.Model):
    """A name of a key; begins with alias/."""

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="kms_aliases")
    region = models.CharField(max_length=40)
    name = models.CharField(max_length=256)
    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="aliases")
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "region", "name"], name="one_alias_per_team_and_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        """arn:aws:kms:REGION:ACCOUNT:alias/NAME (reads the team's row)."""
        return f"arn:aws:kms:{self.region}:{self.team.account_id}:{self.name}"


class StreamDataKey(models.Model):
    """A data key of a stream, wrapped by its KMS key. Its row id is the number that stored batches carry: 32 bits,
    never reused (AUTOINCREMENT)."""

    id = models.AutoField(primary_key=True)
    stream_key = models.BigIntegerField()
    """Row id of the stream; the row goes with the stream's last record, and with it all that could open them."""
    stream_arn = models.CharField(max_length=256)
    """Bound to the wrapped key as its encryption context."""
    account_id = models.CharField(max_length=12)
    """The team's, in whose name the key service is asked."""
    key_arn = models.CharField(max_length=2048)
    wrapped = models.BinaryField()
    created_at_ms = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["stream_key", "key_arn", "-id"], name="data_keys_of_stream")]

    def __str__(self) -> str:
        return f"{self.pk} of {self.stream_arn}"
