"""ProcessingConfiguration: what processors may be is known by apps/delivery/processing/configuration.py."""

from __future__ import annotations

from typing import Any

from apps.delivery import settings
from apps.delivery.configuration.members import check
from apps.delivery.models import DestinationType
from apps.delivery.processing import configuration

Json = dict[str, Any]


def processing(given: Json, destination_type: DestinationType) -> Json:
    """ProcessingConfiguration as it is stored, with the processors' defaults; nothing if none is given."""
    configured = given.get("ProcessingConfiguration")
    if configured is None:
        return {}
    check(configuration.check, destination_type, given)
    processors = configuration.with_defaults(
        destination_type, given.get("RoleARN") or "", configured.get("Processors") or []
    )
    return {"ProcessingConfiguration": {"Enabled": bool(configured.get("Enabled")), "Processors": processors}}


def partition_names(description: Json) -> dict[str, set[str]]:
    """The names of partition keys that the processors answer, by "query" and "lambda" (empty: not known beforehand)."""
    names: dict[str, set[str]] = {}
    for processor in settings.processors(description):
        if processor["Type"] == "MetadataExtraction":
            names["query"] = query_names(settings.parameters(processor)["MetadataExtractionQuery"])
        elif processor["Type"] == "Lambda":
            names["lambda"] = set()
    return names


def query_names(query: str) -> set[str]:
    """The keys of the object that a query like {a:.x, b:.y} makes; texts within it are read as jq reads them."""
    names: set[str] = set()
    depth = place = 0
    begun: int | None = None
    while place < len(query):
        character = query[place]
        if character == '"':
            place = _end_of_text(query, place)
        depth += (character in "{[(") - (character in "}])")
        if depth == 1 and character in "{,":
            begun = place + 1
        if begun is not None and depth <= 1 and character in ":,}" and place >= begun:
            names.add(query[begun:place].strip().strip('"$').lstrip("."))
            begun = place + 1 if character == "," else None
        place += 1
    return names - {""}


def _end_of_text(query: str, at: int) -> int:
    """The place of the quotation mark that ends the text that begins there."""
    place = at + 1
    while place < len(query) and query[place] != '"':
        place += 2 if query[place] == "\\" else 1
    return place
