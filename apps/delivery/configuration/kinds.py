"""The kinds of destinations: which member of a request configures each, and the function that checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apps.base.errors import ValidationException
from apps.delivery.configuration import http, iceberg, redshift, s3, search, splunk
from apps.delivery.configuration.members import Situation
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType
from apps.wire.model import Shape, load

Json = dict[str, Any]
Build = Callable[[Json, Situation], Json]

ONE_DESTINATION = "Exactly one destination configuration is supported for a Firehose"

PLAIN_S3 = "S3"
"""S3DestinationConfiguration, the older form of ExtendedS3DestinationConfiguration, and what is shown beside it."""

BUILDS: Mapping[DestinationType, Build] = {
    DestinationType.S3: s3.extended,
    DestinationType.REDSHIFT: redshift.redshift,
    DestinationType.ELASTICSEARCH: search.elasticsearch,
    DestinationType.OPENSEARCH: search.opensearch,
    DestinationType.OPENSEARCH_SERVERLESS: search.opensearch_serverless,
    DestinationType.SPLUNK: splunk.splunk,
    DestinationType.HTTP: http.http_endpoint,
    DestinationType.ICEBERG: iceberg.iceberg,
}

NOT_BUILT = {
    "Snowflake": "Snowflake is a service that only its maker runs; it is not supported as a destination.",
}
"""Destinations of the model that Tidegate refuses, with what it says."""


def given_destination(params: Json, suffix: str) -> tuple[DestinationType, Json]:
    """The one destination of a request and its members. suffix: Configuration or Update. Raises
    InvalidArgumentException."""
    named = {
        name.removesuffix(suffix).removesuffix("Destination"): value
        for name, value in params.items()
        if name.endswith(f"Destination{suffix}") and value is not None
    }
    for name, text in NOT_BUILT.items():
        if name in named:
            raise InvalidArgumentException(text)
    if len(named) != 1:
        raise InvalidArgumentException(ONE_DESTINATION)
    [(name, value)] = named.items()
    return DestinationType(DestinationType.S3 if name == PLAIN_S3 else name), value


def build(destination_type: DestinationType, configuration: Json, situation: Situation) -> Json:
    """The description of a configuration. Raises InvalidArgumentException, ValidationException."""
    require(destination_type, configuration)
    return BUILDS[destination_type](configuration, situation)


def require(destination_type: DestinationType, configuration: Json) -> None:
    """Raises ValidationException if a member is missing that the model requires: an update that changes the type gives
    members of an <X>DestinationUpdate, where none is required, and must give all."""
    name = f"{destination_type.value}DestinationConfiguration"
    shape = load("firehose").operations["CreateDeliveryStream"].input.members[name]
    path = name[0].lower() + name[1:]
    missing = list(_missing(shape, configuration, path))
    if missing:
        texts = [f"Value null at '{at}' failed to satisfy constraint: Member must not be null" for at in missing]
        plural = "" if len(texts) == 1 else "s"
        raise ValidationException(f"{len(texts)} validation error{plural} detected: {'; '.join(texts)}")


def _missing(shape: Shape, value: Json, path: str) -> list[str]:
    found = [
        f"{path}.{name[0].lower()}{name[1:]}"
        for name in shape.members
        if name in shape.required and not _is_given(value, name)
    ]
    for name, member in shape.members.items():
        if member.type == "structure" and isinstance(value.get(name), dict):
            found += _missing(member, value[name], f"{path}.{name[0].lower()}{name[1:]}")
    return found


def _is_given(value: Json, name: str) -> bool:
    return value.get(name) is not None
