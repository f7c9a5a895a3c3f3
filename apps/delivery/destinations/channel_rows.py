"""Records of channels to streaming tables: JSON as it is, or behind the header of the schema registry's serializers.

The header (AWS Glue Schema Registry, "wire format"): the byte 3, a byte for the compression (0 none, 5 zlib), the 16 bytes
of the schema version's UUID; then the JSON.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from apps.base.units import MIB
from apps.catalogue import registry
from apps.catalogue.errors import EntityNotFoundException
from apps.delivery.destinations.iceberg_rows import BAD_DATA, BadRow, Rows

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

    from apps.delivery.destinations.interface import Target

VERSION: Final = 3
PLAIN, ZLIB = 0, 5
HEADER_BYTES: Final = 18
UNPACKED_BYTES_MAX: Final = 32 * MIB
"""A record has 10 MiB; what is compressed is more, but not without end."""

WRONG_SCHEMA: Final = "Channel.SchemaMismatch"


class ChannelRows(Rows):
    """Rows that may lack columns which may be null: a JSON schema's optional properties."""

    def __init__(self, schema: Schema, target: Target) -> None:
        super().__init__(schema, sparse=True)
        channel: dict[str, Any] = target.description["Channel"]
        self._team_id = target.team_id
        self._is_framed = channel["RecordFormatType"] == "GSR_JSON"
        self._schema_name = tuple(channel["SchemaARN"].split("/")[1:])
        self._known: dict[UUID, bool] = {}

    def row(self, data: bytes) -> list[Any]:
        """The values of a record. Raises BadRow."""
        return super().row(self._payload(data) if self._is_framed else data)

    def _payload(self, data: bytes) -> bytes:
        if len(data) < HEADER_BYTES or data[0] != VERSION or data[1] not in {PLAIN, ZLIB}:
            raise BadRow(BAD_DATA, "The record does not begin with the header of a schema registry's serializer.")
        version = UUID(bytes=data[2:HEADER_BYTES])
        if not self._is_of_schema(version):
            raise BadRow(WRONG_SCHEMA, f"The record's schema version {version} is not one of the channel's schema.")
        if data[1] == PLAIN:
            return data[HEADER_BYTES:]
        try:
            unpacking = zlib.decompressobj()
            found = unpacking.decompress(data[HEADER_BYTES:], UNPACKED_BYTES_MAX)
        except zlib.error as error:
            raise BadRow(BAD_DATA, f"The record cannot be decompressed: {error}") from error
        if not unpacking.eof:
            raise BadRow(BAD_DATA, "The record is cut short, or too large when it is decompressed.")
        return found

    def _is_of_schema(self, version: UUID) -> bool:
        if version not in self._known:
            try:
                found = registry.version_of(self._team_id, version)
            except EntityNotFoundException:
                self._known[version] = False
            else:
                self._known[version] = (found.registry, found.name) == self._schema_name
        return self._known[version]
