"""What keys are used for: encrypt, decrypt, and data keys."""

from __future__ import annotations

import os
from typing import Any

from apps.base.errors import ValidationException
from apps.encryption.errors import (
    DryRunOperationException,
    InvalidCiphertextException,
    InvalidGrantTokenException,
    UnsupportedOperationException,
)
from apps.encryption.keystore import require_enabled
from apps.encryption.models import Key
from apps.encryption.operations.asked import key, store
from apps.runtime import Call

ALGORITHM = "SYMMETRIC_DEFAULT"
SPEC_BYTES = {"AES_256": 32, "AES_128": 16}

Json = dict[str, Any]


def encrypt(call: Call, params: Json) -> Json:
    """Up to 4,096 bytes, encrypted.

    Kept from AWS: encryption context, DryRun. Not kept: other algorithms; grant tokens are refused.
    """
    _check(params, "EncryptionAlgorithm")
    row = _usable(call, params, params["KeyId"])
    blob = _seal(call, row, params["Plaintext"], params.get("EncryptionContext"))
    return {"CiphertextBlob": blob, "KeyId": row.arn, "EncryptionAlgorithm": ALGORITHM}


def decrypt(call: Call, params: Json) -> Json:
    """What was encrypted here, plain again.

    Kept from AWS: the key is found by the ciphertext, and must be the one named, if one is; DryRun. Not kept: other
    algorithms, DryRunModifiers and Recipient; grant tokens are refused.
    """
    _check(params, "EncryptionAlgorithm")
    row, plaintext = _open(call, params.get("CiphertextBlob"), params.get("KeyId"), params.get("EncryptionContext"))
    if params.get("DryRun"):
        raise DryRunOperationException
    return {"KeyId": row.arn, "Plaintext": plaintext, "EncryptionAlgorithm": ALGORITHM}


def re_encrypt(call: Call, params: Json) -> Json:
    """What was encrypted here, under another key, without being shown.

    Kept from AWS: both contexts, DryRun. Not kept: other algorithms, DryRunModifiers; grant tokens are refused.
    """
    _check(params, "SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm")
    source, plaintext = _open(
        call, params.get("CiphertextBlob"), params.get("SourceKeyId"), params.get("SourceEncryptionContext")
    )
    row = _usable(call, params, params["DestinationKeyId"])
    return {
        "CiphertextBlob": _seal(call, row, plaintext, params.get("DestinationEncryptionContext")),
        "SourceKeyId": source.arn,
        "KeyId": row.arn,
        "SourceEncryptionAlgorithm": ALGORITHM,
        "DestinationEncryptionAlgorithm": ALGORITHM,
    }


def generate_data_key(call: Call, params: Json) -> Json:
    """Random bytes to encrypt with, plain and encrypted under the key.

    Kept from AWS: KeySpec or NumberOfBytes, one of the two; encryption context; DryRun. Not kept: Recipient; grant
    tokens are refused.
    """
    _check(params)
    size = _data_key_bytes(params)
    row = _usable(call, params, params["KeyId"])
    plaintext = os.urandom(size)
    blob = _seal(call, row, plaintext, params.get("EncryptionContext"))
    return {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": row.arn}


def generate_data_key_without_plaintext(call: Call, params: Json) -> Json:
    """The same, encrypted only.

    Kept from AWS: as GenerateDataKey; AES_256 if nothing is said. Not kept: grant tokens are refused.
    """
    if params.get("KeySpec") is None and params.get("NumberOfBytes") is None:
        params = {**params, "KeySpec": "AES_256"}
    answer = generate_data_key(call, params)
    del answer["Plaintext"]
    return answer


def _data_key_bytes(params: Json) -> int:
    spec, size = params.get("KeySpec"), params.get("NumberOfBytes")
    if (spec is None) == (size is None):
        raise ValidationException("Please specify either number of bytes or key spec.")
    return SPEC_BYTES[str(spec)] if size is None else int(size)


def _check(params: Json, *algorithms: str) -> None:
    for name in algorithms:
        if params.get(name) not in (None, ALGORITHM):
            raise UnsupportedOperationException(f"{name} {params[name]} is not part of this version of Tidegate.")
    for name in ("Recipient", "DryRunModifiers"):
        if params.get(name):
            raise UnsupportedOperationException(f"{name} is not part of this version of Tidegate.")
    if params.get("GrantTokens"):
        raise InvalidGrantTokenException("There are no grants in this version of Tidegate.")


def _usable(call: Call, params: Json, key_id: str) -> Key:
    row = key(call, key_id)
    require_enabled(row)
    if params.get("DryRun"):
        raise DryRunOperationException
    return row


def _seal(call: Call, row: Key, plaintext: bytes, context: dict[str, str] | None) -> bytes:
    return store(call).encrypt(row, plaintext, context or {}, call.now_ms)


def _open(
    call: Call, blob: bytes | None, key_id: str | None, context: dict[str, str] | None
) -> tuple[Key, bytes]:  # fmt: skip
    if blob is None:
        raise InvalidCiphertextException
    wanted = None if key_id is None else key(call, key_id)
    return store(call).decrypt(call.principal.account_id, blob, context or {}, call.now_ms, wanted)
