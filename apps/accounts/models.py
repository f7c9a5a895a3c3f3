"""Who: teams (an AWS account each), people, memberships and access keys."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Team(models.Model):
    """Owner of resources and bills; to AWS clients it is an account."""

    account_id = models.CharField(max_length=12, unique=True)
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    environment = models.CharField(max_length=40, default="production")
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(account_id__regex=r"^[0-9]{12}$"), name="team_account_id_digits")
        ]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Makes people; the e-mail address is the name they sign in with."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A person with a hashed password (None: cannot sign in by password)."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    theme = models.CharField(
        max_length=8, default="system", choices=[("system", "System"), ("light", "Light"), ("dark", "Dark")]
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at_ms = models.BigIntegerField(default=0)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.email


class Role(models.TextChoices):
    """What a member may do; apps/accounts/permissions.py has the grid."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    ANALYST = "analyst", "Analyst"
    BILLING = "billing", "Billing"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    """A person in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team_and_user")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id} as {self.role}"


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
