"""Who: teams (an AWS account each), people, memberships and access keys."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from knox.models import AbstractAuthToken

from apps.accounts.permissions import actions_of, known_actions
from apps.accounts.roles import OWN_ROLE, Role


class Team(models.Model):
    """Owner of resources and bills; to AWS clients it is an account."""

    account_id = models.CharField(max_length=12, unique=True)
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    environment = models.CharField(max_length=40, default="production")
    notify = models.JSONField(default=list)
    """Where new alarms send their news if nothing else is chosen: https://… and mailto:… addresses."""
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(account_id__regex=r"^[0-9]{12}$"), name="team_account_id_digits")
        ]

    def __str__(self) -> str:
        return self.name


class LeavingTeam(models.Model):
    """A team that is being deleted; written in the transaction that does, and gone with the team. The guard over what is billed
    (billing/money_guard.py) lets go of the usage of such a team alone."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return str(self.team_id)


class UserManager(BaseUserManager["User"]):
    """Makes people; the e-mail address is the name they sign in with."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A person with a hashed password (None: cannot sign in by password)."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # knox has no types
    """A person."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    theme = models.CharField(
        max_length=8, default="system", choices=[("system", "System"), ("light", "Light"), ("dark", "Dark")]
    )
    density = models.CharField(max_length=8, default="normal", choices=[("normal", "Normal"), ("compact", "Compact")])
    time_zone = models.CharField(max_length=64, default="UTC")
    """An IANA name, or `browser` for that of the browser."""
    shortcuts = models.BooleanField(default=True)
    """Single letters do something (WCAG 2.1.4 wants a switch)."""
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    """Runs this installation: may make teams. The first owner does."""
    created_at_ms = models.BigIntegerField(default=0)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.email


class TeamRole(models.Model):
    """A role that a team made for itself: a choice of actions."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="roles")
    name = models.CharField(max_length=40)
    description = models.CharField(max_length=200, blank=True)
    actions = models.JSONField(default=list)
    """Names of permissions.ACTIONS; others (of a version to come) count as nothing."""
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "name"], name="one_role_per_team_and_name")]

    def __str__(self) -> str:
        return self.name


class RoleHolder(models.Model):
    """What memberships and invitations have alike: one of the six roles, or one of the team's own."""

    role = models.CharField(max_length=12, choices=[*Role.choices, (OWN_ROLE, "Own role")])
    own_role = models.ForeignKey(TeamRole, null=True, blank=True, on_delete=models.PROTECT, related_name="%(class)ss")

    class Meta:
        abstract = True

    @property
    def actions(self) -> frozenset[str]:
        """What the role may do (reads the own role's row)."""
        return known_actions(self.own_role.actions) if self.own_role is not None else actions_of(self.role)

    @property
    def role_label(self) -> str:
        """The role's name as people see it (reads the own role's row)."""
        return self.own_role.name if self.own_role is not None else str(Role(self.role).label)


class Membership(RoleHolder):  # type: ignore[django-manager-missing]  # knox has no types
    """A person in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    created_at_ms = models.BigIntegerField(default=0)
    last_seen_at_ms = models.BigIntegerField(null=True, blank=True)
    """When this person last opened a page of this team, to a few minutes."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team_and_user"),
            models.CheckConstraint(
                condition=models.Q(role=OWN_ROLE, own_role__isnull=False)
                | (~models.Q(role=OWN_ROLE) & models.Q(own_role__isnull=True)),
                name="membership_has_one_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id} as {self.role}"


class Invitation(RoleHolder):
    """A place in a team that waits for whoever has the link. Accepted and revoked ones are kept."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at_ms = models.BigIntegerField()
    expires_at_ms = models.BigIntegerField()
    accepted_at_ms = models.BigIntegerField(null=True, blank=True)
    revoked_at_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["team", "created_at_ms"], name="invitations_of_team")]

    def __str__(self) -> str:
        return f"{self.email} into {self.team_id}"


class AccessRequest(models.Model):
    """A member asks for an action that their role lacks. Answered ones are kept."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="access_requests")
    action = models.CharField(max_length=40)
    """A name of permissions.ACTIONS."""
    reason = models.CharField(max_length=500, blank=True)
    created_at_ms = models.BigIntegerField()
    decided_at_ms = models.BigIntegerField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    granted = models.BooleanField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["membership", "action"],
                condition=models.Q(decided_at_ms__isnull=True),
                name="one_open_request_per_member_and_action",
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} for {self.membership_id}"


class ApiToken(AbstractAuthToken):
    """A token of the REST API: one member's, of one team. It may do what its scopes say, and never more than the member.

    knox keeps only a digest (its `digest`), the first letters to find it by (`token_key`), `created` and `expiry`.
    """

    public_id = models.CharField(max_length=24, unique=True)
    """Names the token in addresses and in the audit trail: tok_ and 16 letters."""
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    shown_prefix = models.CharField(max_length=24)
    """The token's beginning, as lists show it."""
    scopes = models.JSONField(default=list)
    """Names of permissions.ACTIONS."""
    created_at_ms = models.BigIntegerField()
    last_used_at_ms = models.BigIntegerField(null=True, blank=True)
    last_used_from = models.CharField(max_length=45, blank=True)

    def __str__(self) -> str:
        return self.public_id

    @property
    def actions(self) -> frozenset[str]:
        """What the token may do: its scopes, as far as the member may (reads the membership's rows)."""
        return self.membership.actions & frozenset(self.scopes)


class AccessKey(models.Model):
    """An AWS access key of a team. The secret must be readable to check signatures: kept encrypted (accounts/secrets.py)."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="access_keys")
    key_id = models.CharField(max_length=128, unique=True)
    secret_encrypted = models.BinaryField()
    name = models.CharField(max_length=80, blank=True)
    is_active = models.BooleanField(default=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL)
    identity = models.ForeignKey(
        "access.Identity", null=True, blank=True, on_delete=models.CASCADE, related_name="access_keys"
    )
    """The user whose key it is, with that user's rights; null: a key of the team, with all of its rights."""
    created_at_ms = models.BigIntegerField()
    last_used_at_ms = models.BigIntegerField(null=True, blank=True)
    last_used_from = models.CharField(max_length=45, blank=True)
    last_used_service = models.CharField(max_length=40, blank=True)
    ends_at_ms = models.BigIntegerField(null=True, blank=True)
    """When it stops working by itself, because another one took its place; null: never."""
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replaces")

    def __str__(self) -> str:
        return self.key_id


class SetupLink(models.Model):
    """The one-time link that finishes the seeded owner's account (setup.py). Kept after use: it closes for good."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    token_sha256 = models.CharField(max_length=64, unique=True)
    used_at_ms = models.BigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"setup of {self.user_id}"
