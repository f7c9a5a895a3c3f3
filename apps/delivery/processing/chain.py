"""The processors of a delivery stream in AWS's order, whatever order they are configured in: what a subscription sent is made
readable, records are taken apart, transformed, asked for their metadata, given a partition, and a delimiter."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from apps.delivery.destinations.interface import Target
from apps.delivery.models import DestinationType
from apps.delivery.processing import configuration
from apps.delivery.processing.interface import Processed
from apps.delivery.processing.work import Item, Step, Work
from apps.delivery.record import Record
from apps.delivery.settings import partitions

if TYPE_CHECKING:
    from apps.runtime import Runtime


class Appending:
    """AppendDelimiterToRecord."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter

    def run(self, work: Work) -> None:
        """See Step.run."""
        for item in work.items:
            item.record = msgspec.structs.replace(item.record, data=item.record.data + self._delimiter)


class Steps:
    """See processing.interface.Chain."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def run(self, records: list[Record], now_ms: int) -> Processed:
        """See processing.interface.Chain.run."""
        work = Work([Item(record) for record in records], now_ms)
        for step in self._steps:
            if work.items:
                step.run(work)
        work.done.records = [item.record for item in work.items]
        return work.done


def steps_of(runtime: Runtime, target: Target, source_kind: str, *, trial: bool = False) -> list[Step]:
    """The steps that a description asks for. trial: for a dry run, which waits for a transform once and not for long.

    The imports are late: few delivery streams need them all.
    """
    description = target.description
    given = configuration.by_type(description)
    steps: list[Step] = []
    if configuration.DECOMPRESSION in given:
        from apps.delivery.processing.decompression import Decompression

        extract = given.get(configuration.EXTRACTION, {}).get("DataMessageExtraction", "").lower() == "true"
        steps.append(Decompression(extract=extract))
    if configuration.DEAGGREGATION in given:
        from apps.delivery.processing.deaggregation import Deaggregation

        delimiter = given[configuration.DEAGGREGATION].get("Delimiter")
        steps.append(Deaggregation(base64.b64decode(delimiter) if delimiter else None))
    transform = configuration.transform(target.destination_type, description)
    if transform is not None:
        from apps.delivery.processing.transforming import Transforming

        steps.append(Transforming(runtime, target, transform, from_stream=source_kind == "stream", trial=trial))
    steps += _partitioning(runtime, target, given.get(configuration.METADATA))
    if configuration.DELIMITER in given:
        steps.append(Appending(configuration.delimiter(given[configuration.DELIMITER])))
    return steps


def _partitioning(runtime: Runtime, target: Target, extraction: dict[str, str] | None) -> list[Step]:
    from apps.delivery.processing.partitioning import MetadataExtraction, Partitioning

    steps: list[Step] = []
    if extraction is not None:
        routes = target.destination_type == DestinationType.ICEBERG
        query = extraction["MetadataExtractionQuery"]
        steps.append(MetadataExtraction(runtime, target.team_id, query, routes=routes))
    if partitions(target.description):
        steps.append(Partitioning(target.description))
    return steps
