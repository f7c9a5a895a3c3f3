"""The processors of a delivery stream in AWS's order, whatever order they are configured in: what a subscription sent is made
readable, records are taken apart, transformed, asked for their metadata, given a partition, and a delimiter."""

from __future__ import annotations

import base64
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from apps.delivery.destinations.interface import Target
from apps.delivery.models import DestinationType
from apps.delivery.processing import configuration
from apps.delivery.processing.configuration import wanted_keys
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


class Undelimited:
    """Takes off what AppendDelimiterToRecord put behind a record when it was processed before."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter

    def run(self, work: Work) -> None:
        """See Step.run."""
        for item in work.items:
            data = item.record.data.removesuffix(self._delimiter)
            item.record = msgspec.structs.replace(item.record, data=data)


class Steps:
    """See processing.interface.Chain. once_more: the steps of records that have been through all of them before; None: the
    same ones."""

    def __init__(self, steps: list[Step], once_more: list[Step] | None = None) -> None:
        self._steps = steps
        self._once_more = once_more

    def run(self, records: list[Record], now_ms: int) -> Processed:
        """See processing.interface.Chain.run."""
        done = Processed([])
        for processed, some in groupby(records, key=lambda record: record.processed):
            steps = self._once_more if processed and self._once_more is not None else self._steps
            work = Work([Item(record) for record in some], now_ms, done)
            for step in steps:
                if work.items:
                    step.run(work)
            done.records += [item.record for item in work.items]
        return done


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


def steps_once_more(runtime: Runtime, target: Target) -> list[Step] | None:
    """The steps of a record that was processed before, and could not be delivered: it is asked for its partition or its table
    again, since lines under the error prefix do not tell them. None: only the transform knows them, so it takes all steps."""
    description = target.description
    given = configuration.by_type(description)
    if configuration.transform(target.destination_type, description) is not None and (
        target.destination_type == DestinationType.ICEBERG or (partitions(description) and wanted_keys(description)[1])
    ):
        return None
    steps = _partitioning(runtime, target, given.get(configuration.METADATA))
    if configuration.DELIMITER in given:
        delimiter = configuration.delimiter(given[configuration.DELIMITER])
        steps = [Undelimited(delimiter), *steps, Appending(delimiter)]
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
