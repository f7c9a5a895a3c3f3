"""GetPartitions, GetPartitionIndexes, GetTags: reads of what the catalogue never has, which tools make before they go on.

Whatever would make one is refused, so the empty answer is the true one.
"""

from __future__ import annotations

from typing import Any

from apps.catalogue.errors import EntityNotFoundException, InvalidInputException
from apps.catalogue.paging import of_own_catalogue, refuse
from apps.catalogue.registry import REGISTRY_ARN, SCHEMA_ARN
from apps.catalogue.tables import find, find_database
from apps.runtime import Call

Json = dict[str, Any]


def get_partitions(call: Call, params: Json) -> Json:
    """The partitions of a table, of which there are none.

    Kept from AWS: EntityNotFoundException for the table. Not kept: partitions; they are found by the prefixes of objects.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId", "QueryAsOfTime"))
    find(call.principal.team_id, params["DatabaseName"], params["TableName"])
    return {"Partitions": []}


def get_partition_indexes(call: Call, params: Json) -> Json:
    """The partition indexes of a table, of which there are none.

    Kept from AWS: EntityNotFoundException for the table. Not kept: partition indexes.
    """
    of_own_catalogue(call, params)
    find(call.principal.team_id, params["DatabaseName"], params["TableName"])
    return {"PartitionIndexDescriptorList": []}


def get_tags(call: Call, params: Json) -> Json:
    """The tags of a database, a registry or a schema, of which there are none.

    Kept from AWS: EntityNotFoundException for a database that is not there. Not kept: tags; giving some is refused.
    """
    arn = params["ResourceArn"]
    database = arn.rpartition(":database/")[2] if ":database/" in arn else ""
    if not database and not REGISTRY_ARN.fullmatch(arn) and not SCHEMA_ARN.fullmatch(arn):
        raise InvalidInputException(f"Tags of {arn} are not supported by Tidegate's catalogue.")
    if arn.split(":")[4] != call.principal.account_id:
        raise EntityNotFoundException(f"Entity not found: {arn}")
    if database:
        find_database(call.principal.team_id, database)
    return {"Tags": {}}
