"""Objects in memory, in the place of S3, where a test is about what is written and not about the way there."""

from __future__ import annotations

from pathlib import Path
from typing import IO


class MemoryObjects:
    """`apps.delivery.destinations.iceberg_files.Objects`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def get(self, bucket: str, key: str, bytes_max: int) -> bytes:
        data = self._get(bucket, key)
        if len(data) > bytes_max:
            raise ValueError(key)
        return data

    def put(self, bucket: str, key: str, body: IO[bytes]) -> None:
        self._kept[bucket, key] = body.read()

    def size(self, bucket: str, key: str) -> int:
        return len(self._get(bucket, key))

    def delete(self, bucket: str, key: str) -> None:
        self._kept.pop((bucket, key), None)

    def names(self) -> list[str]:
        return sorted(key for _, key in self._kept)

    def save(self, folder: Path, suffix: str) -> list[str]:
        """Those that end so, as files; their paths."""
        paths = []
        for number, ((_, key), data) in enumerate(sorted(self._kept.items())):
            if key.endswith(suffix):
                path = folder / f"{number}{suffix}"
                path.write_bytes(data)
                paths.append(str(path))
        return paths

    def _get(self, bucket: str, key: str) -> bytes:
        try:
            return self._kept[bucket, key]
        except KeyError:
            raise FileNotFoundError(f"s3://{bucket}/{key}") from None
