"""ProcessingConfiguration: which processors a destination may have, in which number."""

from __future__ import annotations

from collections import Counter
from typing import Any

from apps.delivery import settings
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

Json = dict[str, Any]


def processing(given: Json, destination_type: DestinationType) -> Json:
    """ProcessingConfiguration as it is stored; nothing if none is given."""
    configured = given.get("ProcessingConfiguration")
    if configured is None:
        return {}
    processors = configured.get("Processors") or []
    _check_kinds([processor["Type"] for processor in processors], destination_type, given)
    return {"ProcessingConfiguration": {"Enabled": bool(configured.get("Enabled")), "Processors": processors}}


def _check_kinds(kinds: list[str], destination_type: DestinationType, given: Json) -> None:
    several = [kind for kind, count in Counter(kinds).items() if count > 1]
    if several:
        raise InvalidArgumentException(f"Only one processor of type {several[0]} may be specified.")
    partitions = settings.partitions(given) or destination_type == DestinationType.ICEBERG
    if "MetadataExtraction" in kinds and not partitions:
        raise InvalidArgumentException(
            "MetadataExtraction processor can only be present when Dynamic Partitioning is enabled."
        )
    if "CloudWatchLogProcessing" in kinds and "Decompression" not in kinds:
        raise InvalidArgumentException(
            "CloudWatchLogProcessing processor can only be present together with a Decompression processor."
        )


def partition_names(description: Json) -> dict[str, set[str]]:
    """The names of partition keys that the processors answer, by "query" and "lambda" (empty: not known beforehand)."""
    names: dict[str, set[str]] = {}
    for processor in settings.processors(description):
        if processor["Type"] == "MetadataExtraction":
            names["query"] = query_names(settings.parameters(processor).get("MetadataExtractionQuery", ""))
        elif processor["Type"] == "Lambda":
            names["lambda"] = set()
    return names


def query_names(query: str) -> set[str]:
    """The keys of the object that a query like {a:.x,b:.y} makes."""
    names, depth, at, text = set(), 0, 0, query.strip()
    for place, character in enumerate(text):
        depth += (character in "{[(") - (character in "}])")
        if depth == 1 and character in "{,":
            at = place + 1
        elif depth == 1 and character == ":" and at:
            names.add(text[at:place].strip().strip('"'))
            at = 0
    return names
