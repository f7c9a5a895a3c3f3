"""Objects of Iceberg tables, through the S3 client of deliveries (s3_client.py), for a team and its connection."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING, Final

from apps.base.units import MIB
from apps.delivery import role_limits
from apps.delivery.destinations.interface import DeliveryFailed, Target
from apps.delivery.objects import kms_key_arn
from apps.delivery.s3_client import READ_BYTES_MAX, S3, Read, s3_for

if TYPE_CHECKING:
    from apps.runtime import Runtime

PIECE_BYTES: Final = 1 * MIB


class S3Objects:
    """`iceberg_files.Objects`; everything raises DeliveryFailed, and what is not there FileNotFoundError."""

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._runtime = runtime
        self._target = target
        self._clients: dict[str, S3] = {}

    def get(self, bucket: str, key: str, bytes_max: int) -> bytes:
        """A whole object."""
        found = self._read(bucket, key, 0, READ_BYTES_MAX)
        if found.size_bytes > bytes_max:
            raise ValueError(f"s3://{bucket}/{key} has {found.size_bytes} bytes, more than {bytes_max}")
        pieces, at = [found.data], len(found.data)
        while at < found.size_bytes:
            pieces.append(self._read(bucket, key, at, READ_BYTES_MAX).data)
            at += len(pieces[-1])
        return b"".join(pieces)

    def put(self, bucket: str, key: str, body: IO[bytes]) -> None:
        """Write an object."""
        digest = hashlib.md5(usedforsecurity=False)
        while piece := body.read(PIECE_BYTES):
            digest.update(piece)
        body.seek(0)
        description = self._target.description
        role_limits.check_put(self._target, description, bucket, key)
        self._client(bucket).put(bucket, key, body, md5=digest.digest(), kms_key_arn=kms_key_arn(description))

    def size(self, bucket: str, key: str) -> int:
        """How many bytes an object has."""
        return self._read(bucket, key, 0, 1).size_bytes

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self._client(bucket).delete(bucket, key)

    def _read(self, bucket: str, key: str, start: int, length: int) -> Read:
        try:
            return self._client(bucket).read(bucket, key, start, length)
        except DeliveryFailed as failure:
            if failure.code == "S3.NoSuchKey":
                raise FileNotFoundError(f"s3://{bucket}/{key}") from failure
            raise

    def _client(self, bucket: str) -> S3:
        """The bucket is looked up at each first use: what the operator took away holds from the next attempt on."""
        if bucket not in self._clients:
            self._clients[bucket] = s3_for(self._runtime, self._target, bucket)
        return self._clients[bucket]
