"""The formats of objects: what the engine's destinations ask for a writer, and for its plan."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from apps.delivery import settings

if TYPE_CHECKING:
    from apps.delivery.destinations.interface import Target
    from apps.delivery.formats.interface import Writer
    from apps.runtime import Runtime

Json = dict[str, Any]


def writer_for(file: IO[bytes], description: Json, plan: Json, now_ms: int) -> Writer:
    """The writer of one object of an S3 description into a file that is open for binary writing.

    plan: what plan_for answered. now_ms: when this attempt takes place, for what is said of records that fail; it does
    not go into the object.
    """
    if settings.converts(description):
        from apps.delivery.formats.conversion import ConvertingWriter  # pyarrow takes half a second

        return ConvertingWriter(file, description, plan, now_ms)
    from apps.delivery.formats.plain import PlainWriter

    return PlainWriter(file, description)


def plan_for(runtime: Runtime, target: Target) -> Json:
    """What must not change when an object is written again: for a conversion its schema; otherwise nothing.

    Raises DeliveryFailed with AWS's code when there is no schema to convert to: the batch waits for one.
    """
    if not settings.converts(target.description):
        return {}
    from apps.delivery.formats.schema import plan_of

    return plan_of(runtime, target)
