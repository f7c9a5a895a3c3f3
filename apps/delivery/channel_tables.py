"""The table of a channel: made before the channel is ACTIVE, missed when somebody has dropped it.

With AWS a channel always makes a new table, and one whose table is gone is suspended for ever: it has to be made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import F

from apps.base.units import MINUTE_MS
from apps.delivery import error_log
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus
from apps.delivery.targets import target_for

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

    from apps.runtime import Runtime

OF_CHANNEL: Final = "tidegate.channel"
"""Among the table's properties: which channel made it."""

PATIENCE_MS: Final = 5 * MINUTE_MS
"""How long a bucket that cannot be written to is tried, before the channel has FAILED."""

Json = dict[str, Any]


def prepare(runtime: Runtime, channel: DeliveryStream) -> bool:
    """Make the channel's table if it has one to make; False if that is to be tried again, or has failed for good (then the
    status says so). May be repeated."""
    said: Json = channel.destination.get("Channel") or {}
    if "Schema" not in said:
        return True
    try:
        _make(runtime, channel, said)
    except DeliveryFailed as failure:
        now_ms = runtime.clock.now_ms()
        error_log.note(channel.pk, "destination", failure.code, failure.message, now_ms)
        if failure.permanent or now_ms - channel.created_at_ms >= PATIENCE_MS:
            fail(channel.pk, failure.message)
        return False
    return True


def fail(key: int, reason: str) -> None:
    """The channel has FAILED, for ever."""
    DeliveryStream.objects.filter(pk=key).exclude(status=DeliveryStreamStatus.DELETING).update(
        status=DeliveryStreamStatus.CREATING_FAILED,
        failure={"Type": "UNKNOWN_ERROR", "Details": reason[:2_048]},
        version=F("version") + 1,
    )


def _make(runtime: Runtime, channel: DeliveryStream, said: Json) -> None:
    from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
    from pyiceberg.schema import Schema

    from apps.delivery.destinations.iceberg_shelf import catalogue_for, told

    catalogue = catalogue_for(runtime, target_for(runtime, channel))
    route = channel.destination["DestinationTableConfigurationList"][0]
    database, table = route["DestinationDatabaseName"], route["DestinationTableName"]
    properties = {OF_CHANNEL: channel.channel_id, "write.parquet.compression-codec": said["Codec"]}
    try:
        with told():
            catalogue.create(
                database,
                table,
                Schema.model_validate(said["Schema"]),
                said["Location"],
                _by_hour(said["Hours"]),
                properties,
            )
    except TableAlreadyExistsError as error:
        try:
            with told():
                found = catalogue.load_table((database, table))
        except NoSuchTableError:
            found = None
        if found is None or found.metadata.properties.get(OF_CHANNEL) != channel.channel_id:
            raise DeliveryFailed(
                "Iceberg.TableAlreadyExists", f"The table {database}.{table} exists already.", permanent=True
            ) from error


def _by_hour(columns: list[str]) -> Any:
    def spec(schema: Schema) -> PartitionSpec:
        from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
        from pyiceberg.transforms import HourTransform

        return PartitionSpec(
            *(
                PartitionField(
                    schema.find_field(name).field_id, PARTITION_FIELD_ID_START + place, HourTransform(), f"{name}_hour"
                )
                for place, name in enumerate(columns)
            )
        )

    return spec
