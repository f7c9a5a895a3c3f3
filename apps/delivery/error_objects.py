"""Records that were given up, as lines in objects under the error prefix: one object for each error-output-type of a batch.

The same rules as for all objects: what names them is pinned first (`plan_failed`), so that whoever repeats finds the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from apps.delivery import formats, prefixes
from apps.delivery.destinations.interface import Batch, Target, Written
from apps.delivery.destinations.s3 import moment_of, plain
from apps.delivery.objects import Assembly, Filled, assembling, open_bucket
from apps.delivery.prefixes import Moment
from apps.delivery.record import Failed, Record
from apps.delivery.settings import errors_s3

if TYPE_CHECKING:
    from apps.delivery.formats.interface import Writer
    from apps.runtime import Runtime

Json = dict[str, Any]


def plan_failed(target: Target, error_types: Iterable[str], batch: Batch) -> Json:
    """What must not change when lines about failed records of this batch are written once more: their keys, without the
    extension of the compression. target: the destination's or the one of the part "errors"."""
    description = description_of(target)
    return {
        "keys": {
            one: error_key(target, moment_of(target, description, batch, one)) for one in sorted(set(error_types))
        },
    }


def write_failed(
    runtime: Runtime, target: Target, batch_identity: str, failed: Iterable[Failed], plan: Json
) -> list[Written]:
    """Write a line for each failed record into the object of its error-output-type, all of which were planned. Raises
    DeliveryFailed; then some of the objects may be there, and are written again under the same keys."""
    description = plain(description_of(target))
    keys: dict[str, str] = plan["keys"]
    written: list[Written] = []
    with ExitStack() as stack:
        lines: dict[str, _Lines] = {}
        with assembling():
            for one in failed:
                if one.error_type not in keys:
                    raise ValueError(f"{one.error_type} of {batch_identity} was not planned")
                if one.error_type not in lines:
                    lines[one.error_type] = _Lines(stack.enter_context(Assembly(runtime)), description)
                lines[one.error_type].add(one)
            for made in lines.values():
                made.writer.finish()
        for error_type, made in lines.items():
            key = keys[error_type] + made.writer.extension
            s3, bucket = open_bucket(runtime, target, description, key)
            filled = Filled(made.records, made.writer.content_encoding)
            written.append(made.assembly.put(s3, bucket, key, filled, description))
    return written


class _Lines:
    """One object that is being put together."""

    def __init__(self, assembly: Assembly, description: Json) -> None:
        self.assembly = assembly
        self.writer: Writer = formats.writer_for(assembly, description, {}, 0)  # type: ignore[arg-type]
        self.records = 0

    def add(self, failed: Failed) -> None:
        self.writer.write([Record(failed.line(), failed.record.arrival_ms, failed.record.ordinal)])
        self.records += 1


def description_of(target: Target) -> Json:
    """The S3 description whose error prefix takes what failed."""
    return target.description if target.part == "errors" else errors_s3(target.destination_type, target.description)


def error_key(target: Target, moment: Moment) -> str:
    """The key of an object of lines. An error prefix that cannot be evaluated must not hold failed records up: they then
    go to the default one."""
    description = description_of(target)
    name = prefixes.object_name(target.name, target.version_id, moment)
    try:
        return prefixes.checked_key(prefixes.error_prefix(description, moment) + name)
    except ValueError:
        return prefixes.error_prefix({}, moment) + name
