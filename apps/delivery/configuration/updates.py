"""UpdateDestination: what the stored destination becomes. The same type: the members given are laid over it, the others
stay; another type: it is replaced, and everything must be given."""

from __future__ import annotations

import copy
from typing import Any

from apps.delivery import settings
from apps.delivery.configuration.kinds import build
from apps.delivery.configuration.members import Situation
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

RENAMED = {"S3DestinationDescription": "S3Configuration", "S3BackupDescription": "S3BackupConfiguration"}
"""Members of descriptions by their names in configurations."""

LAID_OVER = {"S3Update": "S3Configuration", "S3BackupUpdate": "S3BackupConfiguration"}
"""Members of updates whose own members are laid over those of a configuration's."""

SEARCH = frozenset({DestinationType.ELASTICSEARCH, DestinationType.OPENSEARCH})
ALONE = frozenset({DestinationType.OPENSEARCH_SERVERLESS, DestinationType.HTTP})
"""Nothing changes to or from these (with AWS, too)."""

WHOLE_BACKUPS = ("AllData", "AllDocuments", "AllEvents", "Enabled")

Json = dict[str, Any]


def updated(before: tuple[DestinationType, Json], update: tuple[DestinationType, Json], situation: Situation) -> Json:
    """The new description. before: type and description with its secrets. Raises InvalidArgumentException."""
    old_type, old = before
    new_type, given = update
    if new_type == old_type:
        configuration = laid_over(old, given)
    else:
        _check_change(old_type, new_type)
        configuration = {LAID_OVER.get(name, name): value for name, value in given.items()}
    description = build(new_type, configuration, situation)
    _check_backup(new_type, old, description, same_type=new_type == old_type)
    if settings.partitions(old) != settings.partitions(description):
        raise InvalidArgumentException(
            "Dynamic Partitioning can be enabled only when a delivery stream is created, and cannot be disabled."
        )
    return description


def laid_over(old: Json, given: Json) -> Json:
    """A description as a configuration, with the members of an update laid over it."""
    given = dict(
        sorted(given.items(), key=lambda member: member[0] == "Password")
    )  # laid over what its address takes away
    configuration = copy.deepcopy({RENAMED.get(name, name): value for name, value in old.items()})
    for name, value in given.items():
        if name in LAID_OVER:
            target = LAID_OVER[name]
            configuration[target] = {**configuration.get(target, {}), **value}
        elif name == "DataFormatConversionConfiguration":
            # Switching it off keeps what it was: "set it to false … while preserving the configuration details".
            configuration[name] = {**configuration.get(name, {}), **value}
        elif name == "EndpointConfiguration":
            configuration[name] = _endpoint(configuration.get(name, {}), value)
        elif name == "ClusterJDBCURL":
            if value != configuration.get(name):
                configuration.pop("Password", None)  # it stays with its address, like an access key
            configuration[name] = value
        elif name in {"DomainARN", "ClusterEndpoint"}:
            configuration = {
                key: kept for key, kept in configuration.items() if key not in {"DomainARN", "ClusterEndpoint"}
            }
            configuration[name] = value
        else:
            configuration[name] = value
    return configuration


def _endpoint(old: Json, given: Json) -> Json:
    """The access key stays with its address: it is never sent to another one that nobody gave it for."""
    if given.get("AccessKey") is None and given["Url"] == old.get("Url") and "AccessKey" in old:
        return {**given, "AccessKey": old["AccessKey"]}
    return given


def _check_change(old: DestinationType, new: DestinationType) -> None:
    for one in (old, new):
        if one in ALONE:
            raise InvalidArgumentException(
                f"Changing the destination type to or from {one.value} is not supported at this time"
            )
    if (old in SEARCH) != (new in SEARCH):
        raise InvalidArgumentException(
            "Switching between Amazon OpenSearch Service and other services is not supported."
        )


def _check_backup(destination_type: DestinationType, old: Json, new: Json, *, same_type: bool) -> None:
    before, after = old.get("S3BackupMode"), new.get("S3BackupMode")
    if not same_type or before == after:
        return
    if before in WHOLE_BACKUPS:
        raise InvalidArgumentException(f"S3BackupMode cannot be changed from {before} to {after}.")
    if destination_type in SEARCH | {DestinationType.OPENSEARCH_SERVERLESS}:
        raise InvalidArgumentException("S3BackupMode cannot be changed after the delivery stream was created.")
