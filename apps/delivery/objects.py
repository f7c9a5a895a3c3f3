"""Objects for S3: put together in an encrypted file without a name, then written in one request, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from apps.delivery import role_limits
from apps.delivery.destinations.interface import Target, Written
from apps.delivery.s3_client import S3, s3_for
from apps.encryption.spool import spool

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

ASSEMBLING_MAX: Final = 2
"""Objects that one process puts together at a time: compression and conversion need a core and memory each; the uploads
that follow wait for the network, and are not counted."""

_assembling = threading.BoundedSemaphore(ASSEMBLING_MAX)


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written into an object."""

    records: int
    content_encoding: str = ""


class Assembly(io.RawIOBase):
    """An object that is being put together: bytes are added, and digested on the way. To be closed by whoever makes it."""

    def __init__(self, runtime: Runtime) -> None:
        self._body = spool(runtime.config.data_path)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def writable(self) -> bool:
        """Yes; and that is all."""
        return True

    def write(self, data: Any) -> int:
        """Add bytes."""
        view = memoryview(data).cast("B")
        self._md5.update(view)
        self._body.write(view)
        self._size += len(view)
        return len(view)

    def tell(self) -> int:
        """How much was written."""
        return self._size

    def put(self, s3: S3, bucket: str, key: str, filled: Filled, description: Json) -> Written:
        """Write it, as the bucket's description says. Raises DeliveryFailed."""
        self._body.seek(0)
        s3.put(
            bucket,
            key,
            self._body,
            md5=self._md5.digest(),
            content_encoding=filled.content_encoding,
            kms_key_arn=kms_key_arn(description),
            storage_class=description.get("StorageClass") or "",
            expected_owner=description.get("ExpectedBucketOwner") or "",
        )
        return Written(bucket, key, self._size, filled.records)

    def close(self) -> None:
        """Forget it."""
        if not self.closed:
            self._body.close()
        super().close()


def write_object(
    runtime: Runtime, target: Target, description: Json, key: str, fill: Callable[[IO[bytes]], Filled | None]
) -> Written | None:
    """Let `fill` write an object's bytes, then put it into the bucket of an S3 description under the key. None if fill answers
    None: then nothing is written. Raises DeliveryFailed."""
    s3, bucket = open_bucket(runtime, target, description, key)
    with Assembly(runtime) as assembly:
        with assembling():
            filled = fill(assembly)  # type: ignore[arg-type]  # RawIOBase is no IO[bytes] to mypy
        return None if filled is None else assembly.put(s3, bucket, key, filled, description)


def assembling() -> threading.Semaphore:
    """To be held while an object is put together."""
    return _assembling


def open_bucket(runtime: Runtime, target: Target, description: Json, key: str) -> tuple[S3, str]:
    """The client and the name of a description's bucket, if the key may be written there. Raises DeliveryFailed."""
    bucket = bucket_of(description)
    s3 = s3_for(runtime, target, bucket)
    role_limits.check_put(target, description, bucket, key)
    return s3, bucket


def bucket_of(description: Json) -> str:
    """The name in BucketARN."""
    return str(description.get("BucketARN") or "").rpartition(":")[2]


def kms_key_arn(description: Json) -> str:
    """The key that the description wants objects encrypted with; empty: none."""
    configured = (description.get("EncryptionConfiguration") or {}).get("KMSEncryptionConfig") or {}
    return str(configured.get("AWSKMSKeyARN") or "")
