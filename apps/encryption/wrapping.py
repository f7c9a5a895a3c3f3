"""The cryptography of local KMS keys: material wrapped under the master key, ciphertexts under the material.

All of it is AES-256-GCM with random nonces. Wrapped material, version 1: the byte 01, 12 bytes of nonce, ciphertext and
tag; the key's id and the material's version are authenticated with it, so a row moved elsewhere does not open. The
wrapping key derives from the master key by HKDF.

A ciphertext blob, version 1: the byte 01, the key's id (16), the material's version (4), nonce (12), ciphertext and tag;
all that stands before the nonce and the encryption context are authenticated with it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.keys import derive
from apps.encryption.errors import InvalidCiphertextException

LABEL = "kms-key-material"
MATERIAL_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = b"\x01"
HEADER = Struct(">1s16sI")
MATERIAL_PLACE = Struct(">1s16sI")


class MaterialUnreadable(Exception):
    """Stored material does not open: another master key, another row's material, or damaged bytes."""


def new_material(master_key_path: Path, key_id: UUID, version: int) -> bytes:
    """Random material, wrapped: what KeyMaterial.wrapped holds."""
    nonce = os.urandom(NONCE_BYTES)
    place = MATERIAL_PLACE.pack(VERSION, key_id.bytes, version)
    wrapped = AESGCM(derive(master_key_path, LABEL)).encrypt(nonce, os.urandom(MATERIAL_BYTES), place)
    return VERSION + nonce + wrapped


def open_material(master_key_path: Path, key_id: UUID, version: int, stored: bytes | memoryview) -> AESGCM:
    """The cipher of stored material. Raises MaterialUnreadable."""
    data = bytes(stored)
    if data[:1] != VERSION:
        raise MaterialUnreadable(f"the material of key {key_id} is stored in a version that is not known")
    nonce, sealed = data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :]
    place = MATERIAL_PLACE.pack(VERSION, key_id.bytes, version)
    try:
        return AESGCM(AESGCM(derive(master_key_path, LABEL)).decrypt(nonce, sealed, place))
    except (InvalidTag, ValueError) as error:
        raise MaterialUnreadable(f"the material of key {key_id} does not open with this master key") from error


@dataclass(frozen=True, slots=True)
class Blob:
    """A ciphertext blob, taken apart."""

    key_id: UUID
    version: int
    header: bytes
    nonce: bytes
    sealed: bytes


def parse(blob: bytes) -> Blob:
    """Raises InvalidCiphertextException."""
    if len(blob) < HEADER.size + NONCE_BYTES + TAG_BYTES or blob[:1] != VERSION:
        raise InvalidCiphertextException
    _, key_id, version = HEADER.unpack_from(blob)
    end = HEADER.size + NONCE_BYTES
    return Blob(UUID(bytes=key_id), version, blob[: HEADER.size], blob[HEADER.size : end], blob[end:])


def seal(cipher: AESGCM, key_id: UUID, version: int, plaintext: bytes, context: dict[str, str]) -> bytes:
    """A ciphertext blob."""
    header, nonce = HEADER.pack(VERSION, key_id.bytes, version), os.urandom(NONCE_BYTES)
    return header + nonce + cipher.encrypt(nonce, plaintext, header + canonical(context))


def unseal(cipher: AESGCM, blob: Blob, context: dict[str, str]) -> bytes:
    """The plaintext of a blob. Raises InvalidCiphertextException."""
    try:
        return cipher.decrypt(blob.nonce, blob.sealed, blob.header + canonical(context))
    except InvalidTag:
        raise InvalidCiphertextException from None


def canonical(context: dict[str, str]) -> bytes:
    """An encryption context as bytes: the same for the same pairs in any order."""
    return json.dumps(sorted(context.items()), ensure_ascii=True, separators=(",", ":")).encode()
