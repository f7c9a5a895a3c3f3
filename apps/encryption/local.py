"""Key management on the team's own keys: what a Tidegate without TIDEGATE_KMS_ENDPOINT uses."""

from __future__ import annotations

import os

from django.db import transaction

from apps.accounts.bridge import in_thread
from apps.base.clock import Clock
from apps.encryption.keystore import KeyStore
from apps.encryption.management import DATA_KEY_BYTES, Context, KeyInfo


class LocalKeys:
    """See KeyManagement. Each call is one transaction in a thread."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def describe(self, account_id: str, key_id: str) -> KeyInfo:
        """See KeyManagement.describe."""
        return await in_thread(self._describe, account_id, key_id)

    async def generate_data_key(self, account_id: str, key_arn: str, context: Context) -> tuple[bytes, bytes]:
        """See KeyManagement.generate_data_key."""
        return await in_thread(self._generate, account_id, key_arn, context)

    async def decrypt_data_key(self, account_id: str, key_arn: str, wrapped: bytes, context: Context) -> bytes:
        """See KeyManagement.decrypt_data_key."""
        return await in_thread(self._decrypt, account_id, key_arn, wrapped, context)

    async def close(self) -> None:
        """See KeyManagement.close."""

    def _describe(self, account_id: str, key_id: str) -> KeyInfo:
        key = self._store.find(account_id, key_id, self._clock.now_ms())
        return KeyInfo(key.arn, key.state)

    def _generate(self, account_id: str, key_arn: str, context: Context) -> tuple[bytes, bytes]:
        now_ms = self._clock.now_ms()
        plaintext = os.urandom(DATA_KEY_BYTES)
        with transaction.atomic():
            key = self._store.find(account_id, key_arn, now_ms)
            return plaintext, self._store.encrypt(key, plaintext, context, now_ms)

    def _decrypt(self, account_id: str, key_arn: str, wrapped: bytes, context: Context) -> bytes:
        now_ms = self._clock.now_ms()
        key = self._store.find(account_id, key_arn, now_ms)
        return self._store.decrypt(account_id, wrapped, context, now_ms, key)[1]
