"""Files of Iceberg tables in S3, for pyiceberg: read and written through the same client as all deliveries.

So the guard on addresses, the operator's grants and the team's own endpoint hold for tables, too. pyiceberg's own ways
into S3 would know nothing of them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from apps.base.units import MIB
from apps.delivery.destinations.iceberg_guard import MAGIC, check_avro
from apps.encryption.spool import spool

READ_BYTES_MAX: Final = 64 * MIB
"""Of a file that is read whole: metadata, manifests and their lists. Data files are only written."""

SCHEMES: Final = ("s3", "s3a", "s3n")


class Objects(Protocol):
    """What is needed of S3. Each raises what the client raises; get and size FileNotFoundError for what is not there."""

    def get(self, bucket: str, key: str, bytes_max: int) -> bytes:
        """A whole object. Raises ValueError if it is longer."""
        ...

    def put(self, bucket: str, key: str, body: IO[bytes]) -> None:
        """Write an object."""
        ...

    def size(self, bucket: str, key: str) -> int:
        """How many bytes an object has."""
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""
        ...


def split(location: str) -> tuple[str, str]:
    """(bucket, key) of a location. Raises ValueError for what is not in S3."""
    parts = urlsplit(location, allow_fragments=False)
    key = location.partition("://")[2].partition("/")[2]
    if parts.scheme not in SCHEMES or not parts.netloc or not key:
        raise ValueError(f"{location[:200]!r} is not a location in S3")
    return parts.netloc, key


class S3Files(FileIO):
    """A FileIO over Objects. properties: none are used. folder: where a file waits, encrypted, while it is written."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        super().__init__({})
        self._objects = objects
        self._folder = folder

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _In(location, self._objects)

    def new_output(self, location: str) -> OutputFile:
        """A file to write."""
        return _Out(location, self._objects, self._folder)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Remove a file."""
        self._objects.delete(*split(location if isinstance(location, str) else location.location))


class _In(InputFile):
    def __init__(self, location: str, objects: Objects) -> None:
        super().__init__(location)
        self._objects = objects

    def __len__(self) -> int:
        return self._objects.size(*split(self.location))

    def exists(self) -> bool:
        return _exists(self._objects, self.location)

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 - it always is
        data = self._objects.get(*split(self.location), READ_BYTES_MAX)
        if data.startswith(MAGIC):
            check_avro(data)
        return cast("InputStream", io.BytesIO(data))


class _Out(OutputFile):
    """It is there when the stream is closed, and not before: a file that failed half way is never seen."""

    def __init__(self, location: str, objects: Objects, folder: Path) -> None:
        super().__init__(location)
        self._objects = objects
        self._folder = folder
        self._size: int | None = None

    def __len__(self) -> int:
        return self._objects.size(*split(self.location)) if self._size is None else self._size

    def exists(self) -> bool:
        return _exists(self._objects, self.location)

    def to_input_file(self) -> InputFile:
        return _In(self.location, self._objects)

    def create(self, overwrite: bool = False) -> OutputStream:
        if not overwrite and self.exists():
            raise FileExistsError(self.location)
        return cast("OutputStream", _Stream(self._folder, self._finished))

    def _finished(self, body: IO[bytes], size: int) -> None:
        self._objects.put(*split(self.location), body)
        self._size = size


class _Stream(io.RawIOBase):
    """Gathers what is written, and hands it over when it is closed, unless the block that writes failed."""

    def __init__(self, folder: Path, finished: Callable[[IO[bytes], int], None]) -> None:
        self._body = spool(folder)
        self._finished = finished
        self._is_abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self._is_abandoned:
            self._body.write(data)
        return size

    def tell(self) -> int:
        return 0 if self._is_abandoned else self._body.tell()

    def close(self) -> None:
        if self.closed:
            return
        if self._is_abandoned:
            super().close()
            return
        try:
            size = self._body.tell()
            self._body.seek(0)
            self._finished(cast("IO[bytes]", self._body), size)
        finally:
            self._body.close()
            super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()
        self.close()

    def abandon(self) -> None:
        """Hand nothing over. What is still written is forgotten: a writer of Parquet that goes writes its end."""
        if not self.closed and not self._is_abandoned:
            self._is_abandoned = True
            self._body.close()

    def __del__(self) -> None:
        """A stream that nobody closed was not finished: nothing of it is written."""
        self.abandon()


def _exists(objects: Objects, location: str) -> bool:
    try:
        objects.size(*split(location))
    except FileNotFoundError:
        return False
    return True
