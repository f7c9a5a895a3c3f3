"""The team's own KMS keys in the control database. Plain functions on rows; whoever calls them has a transaction.

A key whose time to be deleted has come is destroyed, material and aliases with it, as soon as anybody of its team asks
for any key.
"""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.accounts.models import Team
from apps.base.errors import AccessDeniedException
from apps.base.units import DAY_MS
from apps.encryption import wrapping
from apps.encryption.errors import (
    DisabledException,
    IncorrectKeyException,
    InvalidArnException,
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
)
from apps.encryption.management import DEFAULT_KEY
from apps.encryption.models import Alias, Key, KeyManager, KeyMaterial, KeyState

KEYS_MAX = 10_000
"""Customer keys of an account and region; AWS's quota is 100,000 in larger regions."""

ALIASES_MAX_PER_KEY = 50
"""As AWS's quota."""

UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]*):(\d{12}):key/(.+)")
ALIAS_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]*):(\d{12}):(alias/.+)")
RESERVED = "alias/aws/"

Context = dict[str, str]


class KeyStore:
    """Keys of all teams in one region. master_key_path: of the key that wraps their material."""

    def __init__(self, master_key_path: Path, region: str) -> None:
        self._master_key_path = master_key_path
        self._region = region

    # Finding

    def find(self, account_id: str, key_id: str, now_ms: int) -> Key:
        """The team's key by its id, ARN, alias or alias ARN; `alias/aws/kinesis` is made if it is not there yet.

        Raises NotFoundException, InvalidArnException.
        """
        self.destroy_due(account_id, now_ms)
        if key_id.startswith("alias/"):
            return self._by_alias(account_id, self._region, key_id, now_ms)
        if found := ALIAS_ARN.fullmatch(key_id):
            region, account, name = found.groups()
            if (region, account) != (self._region, account_id):
                raise NotFoundException.alias(key_id)
            return self._by_alias(account_id, region, name, now_ms)
        found = KEY_ARN.fullmatch(key_id)
        if found is None and key_id.startswith("arn:"):
            raise InvalidArnException(f"Invalid arn {key_id}")
        region, account, bare = found.groups() if found else (self._region, account_id, key_id)
        if not UUID_FORM.fullmatch(bare):
            raise NotFoundException.invalid(key_id)
        arn = f"arn:aws:kms:{region}:{account}:key/{bare}"
        rows = Key.objects.select_related("team").filter(team__account_id=account_id, region=region, key_id=UUID(bare))
        row = rows.first() if account == account_id else None
        if row is None:
            raise NotFoundException.key(arn)
        return row

    def _by_alias(self, account_id: str, region: str, name: str, now_ms: int) -> Key:
        alias = Alias.objects.select_related("key__team").filter(
            team__account_id=account_id, region=region, name=name
        ).first()  # fmt: skip
        if alias is not None:
            return alias.key
        if name == DEFAULT_KEY:
            return self._make_default(account_id, now_ms)
        raise NotFoundException.alias(f"arn:aws:kms:{region}:{account_id}:{name}")

    def _make_default(self, account_id: str, now_ms: int) -> Key:
        team = Team.objects.get(account_id=account_id)
        try:
            with transaction.atomic():
                key = self.create(
                    team, now_ms, KeyManager.AWS,
                    "Default key that protects my Kinesis data when no other key is defined",
                )  # fmt: skip
                Alias.objects.create(
                    team=team,
                    region=self._region,
                    name=DEFAULT_KEY,
                    key=key,
                    created_at_ms=now_ms,
                    updated_at_ms=now_ms,
                )
        except IntegrityError:  # somebody else made it meanwhile
            return Alias.objects.select_related("key__team").get(team=team, region=self._region, name=DEFAULT_KEY).key
        return key

    def destroy_due(self, account_id: str, now_ms: int) -> None:
        """Delete the team's keys whose waiting time is over, with their material: what they wrapped is lost."""
        due = Key.objects.filter(team__account_id=account_id, deletion_at_ms__lte=now_ms)
        if due.exists():
            due.delete()

    # Making and changing

    def create(self, team: Team, now_ms: int, manager: str = KeyManager.CUSTOMER, description: str = "") -> Key:
        """A new enabled key with material. Raises LimitExceededException."""
        if Key.objects.filter(team=team, region=self._region).count() >= KEYS_MAX:
            raise LimitExceededException(f"Limit of {KEYS_MAX} KMS keys of the account {team.account_id} is reached.")
        key = Key.objects.create(
            team=team, region=self._region, key_id=uuid4(), manager=manager, description=description,
            created_at_ms=now_ms, rotation_from_ms=now_ms,
            rotation_days=365 if manager == KeyManager.AWS else None,
        )  # fmt: skip
        self._add_material(key, 1, now_ms)
        return key

    def rotate(self, key: Key, now_ms: int, on_demand: bool = False) -> None:
        """New material: what is encrypted from now on is under it; what was before still opens."""
        newest = key.materials.aggregate(Max("version"))["version__max"]
        self._add_material(key, newest + 1, now_ms, on_demand)

    def _add_material(self, key: Key, version: int, now_ms: int, on_demand: bool = False) -> None:
        KeyMaterial.objects.create(
            key=key, version=version, on_demand=on_demand, created_at_ms=now_ms,
            wrapped=wrapping.new_material(self._master_key_path, key.key_id, version),
        )  # fmt: skip

    def _rotate_if_due(self, key: Key, now_ms: int) -> None:
        if key.rotation_days is None:
            return
        period_ms = key.rotation_days * DAY_MS
        if now_ms >= key.rotation_from_ms + period_ms:
            changed = Key.objects.filter(pk=key.pk, rotation_from_ms=key.rotation_from_ms).update(
                rotation_from_ms=now_ms
            )
            if changed:
                self.rotate(key, now_ms)

    # Using

    def encrypt(self, key: Key, plaintext: bytes, context: Context, now_ms: int) -> bytes:
        """A ciphertext blob under the key's newest material. Raises DisabledException, KMSInvalidStateException."""
        require_enabled(key)
        self._rotate_if_due(key, now_ms)
        material = key.materials.order_by("-version")[0]
        return wrapping.seal(self._cipher(key, material), key.key_id, material.version, plaintext, context)

    def decrypt(
        self, account_id: str, blob: bytes, context: Context, now_ms: int, wanted: Key | None = None
    ) -> tuple[Key, bytes]:
        """The key that made the blob, and the plaintext. wanted: the key that it must be.

        Raises InvalidCiphertextException, IncorrectKeyException, AccessDeniedException (no such key of the team),
        DisabledException, KMSInvalidStateException.
        """
        parsed = wrapping.parse(blob)
        self.destroy_due(account_id, now_ms)
        key = Key.objects.select_related("team").filter(team__account_id=account_id, key_id=parsed.key_id).first()
        material = None if key is None else key.materials.filter(version=parsed.version).first()
        if key is None or material is None:
            raise AccessDeniedException(
                "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
                "or you are not allowed to access."
            )
        if wanted is not None and wanted.pk != key.pk:
            raise IncorrectKeyException
        require_enabled(key)
        return key, wrapping.unseal(self._cipher(key, material), parsed, context)

    def _cipher(self, key: Key, material: KeyMaterial) -> AESGCM:
        return wrapping.open_material(self._master_key_path, key.key_id, material.version, material.wrapped)


def require_enabled(key: Key) -> None:
    """Raises DisabledException or KMSInvalidStateException."""
    if key.state == KeyState.DISABLED:
        raise DisabledException.key(key.arn)
    if key.state == KeyState.PENDING_DELETION:
        raise KMSInvalidStateException.pending_deletion(key.arn)
