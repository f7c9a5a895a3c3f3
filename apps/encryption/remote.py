"""Key management elsewhere: AWS KMS, or whatever speaks its protocol, at the address the operator has set.

The address comes from the settings alone, never from a caller; redirects are not followed, proxies of the environment
not used, answers bounded, and every question ends in time. A question is asked again once when the connection failed or
the service answered 5xx: none of the three changes anything there.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.encryption.errors import KeyServiceSilent, Refused
from apps.encryption.management import DATA_KEY_BYTES, DEFAULT_KEY, Context, KeyInfo

CONNECT_S = 2.0
ANSWER_S = 3.0
TRIES = 2
ANSWER_BYTES_MAX = 64 * 1024
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class KmsAddress:
    """Where the key service is, and who asks. default_key: what alias/aws/kinesis means there, if it means another."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    default_key: str = ""


class RemoteKeys:
    """See KeyManagement. All teams ask with the operator's credentials."""

    def __init__(self, address: KmsAddress, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._address = address
        self._auth = SigV4Auth(Credentials(address.access_key_id, address.secret_access_key), "kms", address.region)
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def describe(self, account_id: str, key_id: str) -> KeyInfo:  # noqa: ARG002 - the protocol's
        """See KeyManagement.describe."""
        if key_id == DEFAULT_KEY and self._address.default_key:
            key_id = self._address.default_key
        known: Any = (await self._call("DescribeKey", {"KeyId": key_id})).get("KeyMetadata")
        try:
            symmetric = known.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
            encrypts = known.get("KeyUsage", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT"
            return KeyInfo(known["Arn"], known["KeyState"], symmetric and encrypts)
        except (AttributeError, KeyError, TypeError) as error:
            raise KeyServiceSilent("The key service's answer to DescribeKey is not KMS's.") from error

    async def generate_data_key(self, account_id: str, key_arn: str, context: Context) -> tuple[bytes, bytes]:  # noqa: ARG002
        """See KeyManagement.generate_data_key."""
        question = {"KeyId": key_arn, "KeySpec": "AES_256", "EncryptionContext": context}
        answer = await self._call("GenerateDataKey", question)
        return _plain_key(answer), _blob(answer, "CiphertextBlob")

    async def decrypt_data_key(self, account_id: str, key_arn: str, wrapped: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See KeyManagement.decrypt_data_key."""
        blob = base64.b64encode(wrapped).decode()
        question = {"KeyId": key_arn, "CiphertextBlob": blob, "EncryptionContext": context}
        return _plain_key(await self._call("Decrypt", question))

    async def close(self) -> None:
        """See KeyManagement.close."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _call(self, operation: str, question: dict[str, Any]) -> dict[str, Any]:
        status, body = 0, b""
        for left in reversed(range(TRIES)):
            try:
                status, body = await self._ask(operation, json.dumps(question).encode())
            except httpx.HTTPError as error:
                if left:
                    continue
                raise KeyServiceSilent(f"The key service does not answer ({type(error).__name__}).") from error
            if status < 500:
                break
        return _answer(operation, status, body)

    async def _ask(self, operation: str, body: bytes) -> tuple[int, bytes]:
        address = self._address
        signed = AWSRequest(
            "POST", address.endpoint, data=body,
            headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"},
        )  # fmt: skip
        self._auth.add_auth(signed)
        headers = {name: value for name, value in signed.headers.items() if name.lower() != "content-length"}
        headers["Accept-Encoding"] = "identity"
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S), follow_redirects=False, trust_env=False,
                limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
                transport=self._transport,
            )  # fmt: skip
        async with self._client.stream("POST", address.endpoint, content=body, headers=headers) as answer:
            read = bytearray()
            async for piece in answer.aiter_bytes():
                read += piece
                if len(read) > ANSWER_BYTES_MAX:
                    raise httpx.DecodingError("the answer is too long")
            return answer.status_code, bytes(read)


def _answer(operation: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise KeyServiceSilent(f"The key service answered {operation} with status {status} and no JSON.") from error
    if not isinstance(found, dict):
        raise KeyServiceSilent(f"The key service answered {operation} with status {status} and no object.")
    if status == 200:
        return found
    code = str(found.get("__type", "")).rpartition("#")[2]
    if status >= 500 or not code:
        raise KeyServiceSilent(f"The key service answered {operation} with status {status} {code}.")
    message = found.get("message", found.get("Message"))
    raise Refused(code, message if isinstance(message, str) else None)


def _blob(answer: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(answer[name], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyServiceSilent(f"The key service's answer has no {name}.") from error


def _plain_key(answer: dict[str, Any]) -> bytes:
    key = _blob(answer, "Plaintext")
    if len(key) != DATA_KEY_BYTES:
        raise KeyServiceSilent(f"The key service gave a data key of {len(key)} bytes.")
    return key
