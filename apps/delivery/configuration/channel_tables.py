"""Channels to streaming tables."""

from __future__ import annotations

from typing import Any

from apps.runtime import Call
from apps.streams.errors import InvalidArgumentException

Json = dict[str, Any]


def build(call: Call, given: Json, record: Json, common: Json) -> tuple[Json, Json]:  # noqa: ARG001
    """Refused. Raises InvalidArgumentException."""
    raise InvalidArgumentException(
        "S3TablesDestinationConfiguration is not supported: streaming tables take their columns from a schema registry, "
        "which Tidegate does not have. An Iceberg destination of a delivery stream writes to tables of the catalog."
    )
