"""Users, roles and groups with their policies; network endpoints; the audit trail."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class TeamAccess(models.Model):
    """What the gateway must know of a team's access control, in one row beside the team's.

    version: rises with every change of its users, roles, groups and policies, and tells the gateway to read them anew.
    audits_data: data calls are written to the audit trail, too.
    """

    team = models.OneToOneField("accounts.Team", on_delete=models.CASCADE, related_name="access")
    version = models.PositiveBigIntegerField(default=0)
    audits_data = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"access of team {self.team_id}"


class IdentityKind(models.TextChoices):
    """As it stands in ARNs."""

    USER = "user", "User"
    ROLE = "role", "Role"
    GROUP = "group", "Group"


class Identity(models.Model):
    """A user, a role or a group. A name is taken once per kind, whatever its case. A user or role that is deleted and
    made again is another one: its unique id is new."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="identities")
    kind = models.CharField(max_length=5, choices=IdentityKind.choices)
    name = models.CharField(max_length=128)
    name_key = models.CharField(max_length=128)
    """The name in lower case."""
    path = models.CharField(max_length=512, default="/")
    unique_id = models.CharField(max_length=21, unique=True)
    """AIDA…, AROA… or AGPA…"""
    description = models.CharField(max_length=1000, blank=True)
    trust_policy = models.TextField(blank=True)
    """Of a role: who may assume it."""
    max_session_s = models.PositiveIntegerField(default=3600)
    boundary_arn = models.CharField(max_length=2048, blank=True)
    """The managed policy that is its permissions boundary."""
    tags = models.JSONField(default=dict)
    groups = models.ManyToManyField("self", symmetrical=False, related_name="members", blank=True)
    """Of a user: the groups it is in."""
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "kind", "name_key"], name="one_identity_per_team_kind_and_name")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def arn(self) -> str:
        """arn:aws:iam::ACCOUNT:role/path/NAME (reads the team's row)."""
        return f"arn:aws:iam::{self.team.account_id}:{self.kind}{self.path}{self.name}"


class InlinePolicy(models.Model):
    """A policy that belongs to one identity."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="inline_policies")
    name = models.CharField(max_length=128)
    document = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identity", "name"], name="one_inline_policy_per_identity_and_name")
        ]

    def __str__(self) -> str:
        return self.name


class ManagedPolicy(models.Model):
    """A policy that stands by itself and is attached to identities by its ARN. Up to five versions; one holds."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="policies")
    name = models.CharField(max_length=128)
    name_key = models.CharField(max_length=128)
    path = models.CharField(max_length=512, default="/")
    unique_id = models.CharField(max_length=21, unique=True)
    description = models.CharField(max_length=1000, blank=True)
    default_version = models.PositiveIntegerField(default=1)
    last_version = models.PositiveIntegerField(default=1)
    tags = models.JSONField(default=dict)
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "name_key"], name="one_managed_policy_per_team_and_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        """arn:aws:iam::ACCOUNT:policy/path/NAME (reads the team's row)."""
        return f"arn:aws:iam::{self.team.account_id}:policy{self.path}{self.name}"


class PolicyVersion(models.Model):
    """One version of a managed policy: v1, v2 …"""

    policy = models.ForeignKey(ManagedPolicy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField()
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "number"], name="one_version_per_policy_and_number")
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class Attachment(models.Model):
    """A managed policy, of the team or one of AWS's own, attached to an identity."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="attachments")
    policy_arn = models.CharField(max_length=2048)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identity", "policy_arn"], name="one_attachment_per_identity_and_policy")
        ]

    def __str__(self) -> str:
        return self.policy_arn


class Endpoint(models.Model):
    """A network endpoint: a host name of its own, the addresses that may use it, and a policy on what goes through."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="endpoints")
    endpoint_id = models.CharField(max_length=22, unique=True)
    """vpce- and 17 hex digits, as the first part of the host name that callers use."""
    name = models.CharField(max_length=80, blank=True)
    cidrs = models.JSONField(default=list)
    """Address ranges that may use it; empty: nobody."""
    policy = models.TextField(blank=True)
    """Empty: everything, as AWS's default endpoint policy."""
    created_at_ms = models.BigIntegerField()

    def __str__(self) -> str:
        return self.endpoint_id


class AuditEntry(models.Model):
    """One call in the audit trail. Triggers of the database refuse to change one, and to delete one that is not older
    than AuditHorizon (audit_guard.py). No foreign keys: an entry outlives what it speaks of."""

    id = models.BigAutoField(primary_key=True)
    at_ms = models.BigIntegerField()
    account_id = models.CharField(max_length=12)
    """Of the caller."""
    principal = models.CharField(max_length=2048)
    """The caller's ARN."""
    key_id = models.CharField(max_length=128)
    """The access key, or what spoke for a person (`console`)."""
    person_id = models.BigIntegerField(null=True)
    service = models.CharField(max_length=40)
    operation = models.CharField(max_length=80)
    resource = models.CharField(max_length=2048)
    source_ip = models.CharField(max_length=45)
    """Empty: from inside."""
    endpoint_id = models.CharField(max_length=22)
    user_agent = models.CharField(max_length=256)
    request_id = models.CharField(max_length=64)
    outcome = models.CharField(max_length=80)
    """Empty: it succeeded; else the error's code."""
    message = models.CharField(max_length=512)
    """The error's text, cut."""
    is_data = models.BooleanField()
    owner_account_id = models.CharField(max_length=12)
    """Whose resource it was."""
    resource_key = models.CharField(max_length=16, null=True)  # noqa: DJ001 - added later; see the note below
    """audit.resource_key(resource): what an index holds of it."""
    person = models.CharField(max_length=254, null=True)  # noqa: DJ001
    """The e-mail address of that person then."""
    session = models.CharField(max_length=16, null=True)  # noqa: DJ001
    """Of a person in the console: changes.session_name of the session's key."""
    before = models.TextField(null=True)  # noqa: DJ001
    """The state of the resource before the change, as JSON (changes.state_text); null: not known, or it was not there."""
    after = models.TextField(null=True)  # noqa: DJ001
    """The same after it."""
    # Only columns that may be null and have no default may be added: for any other SQLite rebuilds the table, and the
    # guard's triggers go with the old one.

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["account_id", "at_ms"], name="audit_by_caller"),
            models.Index(fields=["owner_account_id", "at_ms"], name="audit_by_owner"),
            models.Index(fields=["at_ms"], name="audit_by_time"),
            models.Index(fields=["resource_key", "at_ms"], name="audit_by_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.at_ms} {self.operation}"


class AuditHorizon(models.Model):
    """Entries before this time may be deleted: one row, which only rises. Only `manage.py audit --forget-before` moves
    it, and leaves an entry of that."""

    keep_from_ms = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.keep_from_ms)
