"""The first team, its owner and its access key: made once from the settings, from what an earlier start generated, or anew.

What was generated is written to <data dir>/credentials.json (mode 0600) before the database knows it, so that a crash in
between loses nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from apps.accounts.models import AccessKey, Membership, Team, User
from apps.accounts.roles import Role
from apps.accounts.secrets import SecretUnreadable, decrypt, encrypt
from apps.base.config import Config
from apps.base.datadir import StartRefused

DEFAULT_EMAIL = "owner@tidegate.local"
TEAM_NAME = "First team"
KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
READABLE = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the first team is signed in with. Kept as JSON under the names of these fields."""

    account_id: str = ""
    admin_email: str = ""
    admin_password: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""


@dataclass(frozen=True, slots=True)
class Seeded:
    """team and user: the rows (user None: no owner is left). credentials: as kept. made: the team is new, so that
    secrets are shown this once. key_usable: the kept access key still exists and is active."""

    team: Team
    user: User | None
    credentials: Credentials
    made: bool
    key_usable: bool


def seed(config: Config, now_ms: int) -> Seeded:
    """Make what is missing. Raises StartRefused where settings and data contradict each other."""
    kept = _read(config.credentials_path)
    team = Team.objects.order_by("id").first()
    if team is not None and config.account_id not in {"", team.account_id}:
        raise StartRefused(
            f"TIDEGATE_ACCOUNT_ID is {config.account_id}, but the first team of this data directory has the account"
            f" {team.account_id}; unset it, or set TIDEGATE_DATA_DIR to another folder."
        )
    _check_master_key(config)
    wanted = _wanted(config, kept, team)
    if wanted != kept:
        _write(config.credentials_path, wanted)
    with transaction.atomic():
        made = team is None
        if team is None:
            team = _make_team(wanted, now_ms)
        if made or config.access_key_id or config.secret_access_key:
            _make_key(team, wanted, now_ms)  # otherwise a key that was deleted in the console would come back
    user = User.objects.filter(memberships__team=team, memberships__role=Role.OWNER).order_by("id").first()
    usable = AccessKey.objects.filter(team=team, key_id=wanted.access_key_id, is_active=True).exists()
    return Seeded(team, user, wanted, made, usable)


def _wanted(config: Config, kept: Credentials, team: Team | None) -> Credentials:
    """Each value from the settings, else from an earlier start, else generated. Of a team that stands already, account,
    person and password are its own affair: only what was kept is repeated."""
    key_id = config.access_key_id or kept.access_key_id or _first_key_id(team) or "AKIA" + _random(KEY_ALPHABET, 16)
    same_key = key_id == kept.access_key_id
    secret = config.secret_access_key or (kept.secret_access_key if same_key else "") or _stored_secret(key_id)
    if team is not None:
        account, email, password = team.account_id, kept.admin_email, kept.admin_password
    else:
        account = config.account_id or kept.account_id or _random("123456789", 1) + _random("0123456789", 11)
        email = config.admin_email or kept.admin_email or DEFAULT_EMAIL
        password = config.admin_password or kept.admin_password or _password()
    return Credentials(account, email, password, key_id, secret or _random(LETTERS, 40))


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _password() -> str:
    """100 random bits in groups that can be read aloud."""
    return "-".join(_random(READABLE, 5) for _ in range(PASSWORD_GROUPS))


def _first_key_id(team: Team | None) -> str:
    key = AccessKey.objects.filter(team=team, is_active=True).order_by("id").first() if team else None
    return key.key_id if key else ""


def _stored_secret(key_id: str) -> str:
    key = AccessKey.objects.filter(key_id=key_id).first()
    return decrypt(key.secret_encrypted, key.key_id) if key else ""


def _check_master_key(config: Config) -> None:
    """Whatever secret is stored must open with the present master key."""
    key = AccessKey.objects.order_by("id").first()
    try:
        if key is not None:
            decrypt(key.secret_encrypted, key.key_id)
    except SecretUnreadable as error:
        raise StartRefused(
            f"The secrets in the database do not open with the master key {config.master_key_path};"
            " put back the key file that this data was made with."
        ) from error


def _make_team(wanted: Credentials, now_ms: int) -> Team:
    team = Team.objects.create(account_id=wanted.account_id, slug="first", name=TEAM_NAME, created_at_ms=now_ms)
    user = User.objects.create_user(wanted.admin_email, wanted.admin_password, is_staff=True, created_at_ms=now_ms)
    Membership.objects.create(team=team, user=user, role=Role.OWNER)
    return team


def _make_key(team: Team, wanted: Credentials, now_ms: int) -> None:
    """The settings' word counts: a key given there exists with the secret given there."""
    key = AccessKey.objects.filter(key_id=wanted.access_key_id).first()
    if key is None:
        sealed = encrypt(wanted.secret_access_key, wanted.access_key_id)
        AccessKey.objects.create(
            team=team, key_id=wanted.access_key_id, secret_encrypted=sealed, name="First key", created_at_ms=now_ms
        )
    elif key.team_id != team.pk:
        raise StartRefused("TIDEGATE_ACCESS_KEY_ID names a key of another team; set it to another value.")
    elif decrypt(key.secret_encrypted, key.key_id) != wanted.secret_access_key:
        key.secret_encrypted = encrypt(wanted.secret_access_key, wanted.access_key_id)
        key.save(update_fields=["secret_encrypted"])


def _read(path: Path) -> Credentials:
    try:
        found = json.loads(path.read_text())
        return Credentials(**{name: str(found.get(name, "")) for name in Credentials.__slots__})
    except FileNotFoundError:
        return Credentials()
    except (OSError, ValueError, AttributeError) as error:
        raise StartRefused(f"{path} cannot be read ({error}); repair it, or move it away.") from error


def _write(path: Path, credentials: Credentials) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({name: getattr(credentials, name) for name in Credentials.__slots__}, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
