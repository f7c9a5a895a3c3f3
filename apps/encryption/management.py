"""Key management: the interface behind which the keys live that wrap data keys.

Two are built: local.py (the team's own keys, in the control database) and remote.py (AWS KMS, or what speaks like it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from apps.encryption.errors import DisabledException, KMSInvalidStateException
from apps.encryption.models import KeyState

DATA_KEY_BYTES = 32
DEFAULT_KEY = "alias/aws/kinesis"
"""The key that is there without being made."""

Context = dict[str, str]
"""AWS's encryption context: authenticated with the wrapped key, and needed to unwrap it."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What is known of a key. usable_for_data: symmetric, made to encrypt."""

    arn: str
    state: str
    usable_for_data: bool = True

    def check(self) -> None:
        """Raises DisabledException or KMSInvalidStateException unless it may be used now."""
        if self.state == KeyState.DISABLED:
            raise DisabledException.key(self.arn)
        if self.state == KeyState.PENDING_DELETION:
            raise KMSInvalidStateException.pending_deletion(self.arn)
        if self.state != KeyState.ENABLED:
            raise KMSInvalidStateException(f"{self.arn} is in state {self.state}.")
        if not self.usable_for_data:
            raise KMSInvalidStateException(f"{self.arn} key usage is not ENCRYPT_DECRYPT with a symmetric key.")


class KeyManagement(Protocol):
    """All raise ServiceError with the key service's own codes, and KeyServiceSilent when it does not answer."""

    async def describe(self, account_id: str, key_id: str) -> KeyInfo:
        """The key by its id, ARN, alias or alias ARN, in the name of an account."""
        ...

    async def generate_data_key(self, account_id: str, key_arn: str, context: Context) -> tuple[bytes, bytes]:
        """A new data key: 32 plain bytes, and the same wrapped."""
        ...

    async def decrypt_data_key(self, account_id: str, key_arn: str, wrapped: bytes, context: Context) -> bytes:
        """The plain bytes of a wrapped data key."""
        ...

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...
