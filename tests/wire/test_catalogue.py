"""The Glue-compatible catalogue over the wire, by boto3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.wire.conftest import REGION, Endpoint

COLUMNS = [{"Name": "id", "Type": "bigint", "Comment": "of the order"}, {"Name": "at", "Type": "timestamp"}]


@pytest.fixture(scope="module")
def glue(endpoint: Endpoint) -> Any:
    return boto3.client(
        "glue",
        endpoint_url=endpoint.url,
        region_name=REGION,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret,
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def database(glue: Any) -> Iterator[str]:
    name = f"db_{uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": name.upper(), "Description": "d", "Parameters": {"a": "b"}})
    yield name
    glue.delete_database(Name=name)


def table(name: str, columns: list[dict[str, str]] | None = None, **more: Any) -> dict[str, Any]:
    return {"Name": name, "StorageDescriptor": {"Columns": COLUMNS if columns is None else columns}, **more}


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


def test_a_table_from_its_making_to_its_end(glue: Any, endpoint: Endpoint, database: str) -> None:
    found = glue.get_database(Name=database.upper())["Database"]
    assert (found["Name"], found["Description"], found["Parameters"]) == (database, "d", {"a": "b"})
    assert found["CatalogId"] == endpoint.account_id
    glue.create_table(
        DatabaseName=database, TableInput=table("Orders", PartitionKeys=[{"Name": "day", "Type": "date"}])
    )
    made = glue.get_table(DatabaseName=database, Name="ORDERS")["Table"]
    assert (made["Name"], made["DatabaseName"], made["VersionId"]) == ("orders", database, "0")
    assert made["StorageDescriptor"]["Columns"] == COLUMNS
    assert made["PartitionKeys"] == [{"Name": "day", "Type": "date"}]
    assert made["CreateTime"] == made["UpdateTime"]
    glue.update_table(
        DatabaseName=database, TableInput=table("orders", COLUMNS[:1], Parameters={"x": "y"}), VersionId="0"
    )
    assert glue.get_table(DatabaseName=database, Name="orders")["Table"]["Parameters"] == {"x": "y"}
    versions = glue.get_table_versions(DatabaseName=database, TableName="orders")["TableVersions"]
    assert [(one["VersionId"], len(one["Table"]["StorageDescriptor"]["Columns"])) for one in versions] == [
        ("1", 1),
        ("0", 2),
    ]
    one = glue.get_table_version(DatabaseName=database, TableName="orders", VersionId="0")["TableVersion"]
    assert one["Table"]["StorageDescriptor"]["Columns"] == COLUMNS
    glue.delete_table(DatabaseName=database, Name="orders")
    assert glue.get_tables(DatabaseName=database)["TableList"] == []


def test_what_is_not_there(glue: Any, database: str) -> None:
    gone = "EntityNotFoundException"
    assert refused(glue.get_database, Name="nope") == (gone, "Database nope not found.")
    assert refused(glue.get_table, DatabaseName=database, Name="nope") == (gone, "Table nope not found.")
    assert refused(glue.get_table, DatabaseName="nope", Name="t") == (gone, "Database nope not found.")
    assert refused(glue.create_table, DatabaseName="nope", TableInput=table("t"))[0] == gone
    assert refused(glue.get_table, CatalogId="999999999999", DatabaseName=database, Name="t")[0] == gone
    glue.create_table(DatabaseName=database, TableInput=table("t"))
    assert refused(glue.get_table_version, DatabaseName=database, TableName="t", VersionId="7")[0] == gone


def test_what_is_there_twice(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table("t"))
    exists = "AlreadyExistsException"
    assert refused(glue.create_table, DatabaseName=database, TableInput=table("T")) == (exists, "Table already exists.")
    assert refused(glue.create_database, DatabaseInput={"Name": database}) == (exists, "Database already exists.")


def test_an_update_of_a_version_that_is_not_the_newest_any_more(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table("t"))
    for version in ("0", "1"):
        glue.update_table(DatabaseName=database, TableInput=table("t"), VersionId=version, SkipArchive=True)
    code, _ = refused(glue.update_table, DatabaseName=database, TableInput=table("t", []), VersionId="1")
    assert code == "ConcurrentModificationException"
    assert glue.get_table(DatabaseName=database, Name="t")["Table"]["StorageDescriptor"]["Columns"] == COLUMNS
    versions = glue.get_table_versions(DatabaseName=database, TableName="t")["TableVersions"]
    assert [one["VersionId"] for one in versions] == ["2"]


def test_pages_and_expressions(glue: Any, database: str) -> None:
    for name in ("a1", "a2", "b1", "b2", "c"):
        glue.create_table(DatabaseName=database, TableInput=table(name, TableType="EXTERNAL_TABLE"))
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database, PaginationConfig={"PageSize": 2})
    assert [[one["Name"] for one in page["TableList"]] for page in pages] == [["a1", "a2"], ["b1", "b2"], ["c"]]
    for expression, wanted in [("a*", ["a1", "a2"]), ("a.*|c", ["a1", "a2", "c"]), ("b1", ["b1"]), ("(", [])]:
        found = glue.get_tables(DatabaseName=database, Expression=expression)["TableList"]
        assert [one["Name"] for one in found] == wanted
    named = glue.get_tables(DatabaseName=database, AttributesToGet=["NAME"], MaxResults=1)["TableList"]
    assert named == [{"Name": "a1", "DatabaseName": database}]
    assert refused(glue.get_tables, DatabaseName=database, NextToken="?")[0] == "InvalidInputException"
    errors = glue.batch_delete_table(DatabaseName=database, TablesToDelete=["a1", "nope"])["Errors"]
    assert [(one["TableName"], one["ErrorDetail"]["ErrorCode"]) for one in errors] == [
        ("nope", "EntityNotFoundException")
    ]
    assert [one["Name"] for one in glue.get_tables(DatabaseName=database)["TableList"]] == ["a2", "b1", "b2", "c"]


def test_databases_are_listed_by_name(glue: Any) -> None:
    names = [f"list_{uuid4().hex[:6]}" for _ in range(3)]
    for name in names:
        glue.create_database(DatabaseInput={"Name": name})
    pages = glue.get_paginator("get_databases").paginate(PaginationConfig={"PageSize": 1})
    found = [one["Name"] for page in pages for one in page["DatabaseList"]]
    assert [name for name in found if name in names] == sorted(names)
    for name in names:
        glue.delete_database(Name=name)


@pytest.mark.parametrize(
    "more",
    [
        {"PartitionIndexes": [{"Keys": ["a"], "IndexName": "i"}]},
        {"OpenTableFormatInput": {"IcebergInput": {"MetadataOperation": "CREATE"}}},
        {"TableInput": table("t", TargetTable={"DatabaseName": "x", "Name": "y"})},
        {"TableInput": table("t", [*COLUMNS, {"Name": "ID", "Type": "int"}])},
        {"TableInput": {"Name": "t", "StorageDescriptor": {"SchemaReference": {"SchemaVersionNumber": 1}}}},
        {"TableInput": {"Name": " "}},
    ],
)
def test_what_the_catalogue_does_not_have_is_refused_and_not_stored(
    glue: Any, database: str, more: dict[str, Any]
) -> None:
    assert refused(glue.create_table, **{"DatabaseName": database, "TableInput": table("t"), **more})[0] == (
        "InvalidInputException"
    )
    assert glue.get_tables(DatabaseName=database)["TableList"] == []


def test_what_there_never_is(glue: Any, endpoint: Endpoint, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table("t"))
    named = {"DatabaseName": database, "TableName": "t"}
    assert glue.get_partitions(**named)["Partitions"] == []
    assert glue.get_partition_indexes(**named)["PartitionIndexDescriptorList"] == []
    around = f"arn:aws:glue:{REGION}:{endpoint.account_id}"
    assert glue.get_tags(ResourceArn=f"{around}:database/{database}")["Tags"] == {}
    gone = "EntityNotFoundException"
    assert refused(glue.get_partitions, DatabaseName=database, TableName="nope")[0] == gone
    assert refused(glue.get_tags, ResourceArn=f"{around}:database/nope")[0] == gone
    assert refused(glue.get_tags, ResourceArn=f"{around}:job/x")[0] == "InvalidInputException"
    code, text = refused(glue.create_partition, **named, PartitionInput={"Values": ["a"]})
    assert (code, "holds schemas of tables" in text) == ("UnsupportedOperationException", True)


def test_a_version_may_go_but_not_the_newest(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table("t"))
    glue.update_table(DatabaseName=database, TableInput=table("t"))
    errors = glue.batch_delete_table_version(DatabaseName=database, TableName="t", VersionIds=["0", "1", "x"])["Errors"]
    assert [(one["VersionId"], one["ErrorDetail"]["ErrorCode"]) for one in errors] == [
        ("1", "InvalidInputException"),
        ("x", "EntityNotFoundException"),
    ]


def test_a_database_is_changed_but_not_renamed(glue: Any, database: str) -> None:
    glue.update_database(Name=database, DatabaseInput={"Name": database, "Description": "other"})
    assert glue.get_database(Name=database)["Database"]["Description"] == "other"
    code, _ = refused(glue.update_database, Name=database, DatabaseInput={"Name": "else"})
    assert code == "InvalidInputException"


AVRO = '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"at","type":["null","string"]}]}'
JSON_SCHEMA = '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}'


@pytest.fixture
def registry(glue: Any) -> Iterator[str]:
    name = f"registry-{uuid4().hex[:8]}"
    glue.create_registry(RegistryName=name, Description="d")
    yield name
    glue.delete_registry(RegistryId={"RegistryName": name})


def test_a_schema_and_its_versions(glue: Any, endpoint: Endpoint, registry: str) -> None:
    around = f"arn:aws:glue:{REGION}:{endpoint.account_id}"
    made = glue.create_schema(
        RegistryId={"RegistryName": registry}, SchemaName="orders", DataFormat="JSON", SchemaDefinition=JSON_SCHEMA
    )
    arn = made["SchemaArn"]
    assert arn == f"{around}:schema/{registry}/orders"
    assert (made["LatestSchemaVersion"], made["NextSchemaVersion"], made["Compatibility"]) == (1, 2, "NONE")
    by_id = glue.get_schema_version(SchemaVersionId=made["SchemaVersionId"])
    assert (by_id["SchemaDefinition"], by_id["VersionNumber"], by_id["DataFormat"]) == (JSON_SCHEMA, 1, "JSON")
    spaced = glue.register_schema_version(SchemaId={"SchemaArn": arn}, SchemaDefinition=JSON_SCHEMA.replace(" ", "  "))
    assert (spaced["SchemaVersionId"], spaced["VersionNumber"]) == (made["SchemaVersionId"], 1)
    second = glue.register_schema_version(SchemaId={"SchemaArn": arn}, SchemaDefinition='{"type":"object"}')
    assert second["VersionNumber"] == 2
    names = {"SchemaName": "orders", "RegistryName": registry}
    newest = glue.get_schema_version(SchemaId=names, SchemaVersionNumber={"LatestVersion": True})
    assert newest["SchemaVersionId"] == second["SchemaVersionId"]
    pages = glue.get_paginator("list_schema_versions").paginate(SchemaId=names, PaginationConfig={"PageSize": 1})
    assert [[one["VersionNumber"] for one in page["Schemas"]] for page in pages] == [[1], [2]]
    found = glue.get_schema_by_definition(SchemaId=names, SchemaDefinition=JSON_SCHEMA)
    assert found["SchemaVersionId"] == made["SchemaVersionId"]
    assert glue.get_schema(SchemaId=names)["LatestSchemaVersion"] == 2
    listed = glue.list_schemas(RegistryId={"RegistryArn": f"{around}:registry/{registry}"})["Schemas"]
    assert [one["SchemaArn"] for one in listed] == [arn]
    assert glue.delete_schema(SchemaId=names)["Status"] == "DELETING"
    assert refused(glue.get_schema, SchemaId=names)[0] == "EntityNotFoundException"
    assert refused(glue.get_schema_version, SchemaVersionId=made["SchemaVersionId"])[0] == "EntityNotFoundException"


def test_registries(glue: Any, registry: str) -> None:
    named = {"RegistryName": registry}
    assert refused(glue.create_registry, RegistryName=registry)[0] == "AlreadyExistsException"
    glue.update_registry(RegistryId=named, Description="other")
    found = glue.get_registry(RegistryId=named)
    assert (found["Description"], found["Status"]) == ("other", "AVAILABLE")
    pages = glue.get_paginator("list_registries").paginate(PaginationConfig={"PageSize": 1})
    assert registry in [one["RegistryName"] for page in pages for one in page["Registries"]]
    assert refused(glue.get_registry, RegistryId={})[0] == "InvalidInputException"
    assert refused(glue.get_registry, RegistryId={"RegistryName": "nope"})[0] == "EntityNotFoundException"


def test_a_schema_that_takes_no_second_version(glue: Any) -> None:
    name = f"avro-{uuid4().hex[:8]}"
    made = glue.create_schema(SchemaName=name, DataFormat="AVRO", Compatibility="DISABLED", SchemaDefinition=AVRO)
    assert made["RegistryName"] == "default-registry"
    same = {"SchemaArn": made["SchemaArn"]}
    assert glue.register_schema_version(SchemaId=same, SchemaDefinition=AVRO)["VersionNumber"] == 1
    code, text = refused(glue.register_schema_version, SchemaId=same, SchemaDefinition='"string"')
    assert (code, "DISABLED does not allow versioning" in text) == ("InvalidInputException", True)
    glue.delete_schema(SchemaId={"SchemaName": name})


@pytest.mark.parametrize(
    "params",
    [
        {"DataFormat": "PROTOBUF", "SchemaDefinition": "x"},
        {"DataFormat": "JSON", "SchemaDefinition": "{", "SchemaName": "s"},
        {"DataFormat": "JSON", "SchemaDefinition": "[1]"},
        {"DataFormat": "AVRO", "SchemaDefinition": '{"type":"record","name":"R"}'},
        {"DataFormat": "AVRO", "SchemaDefinition": AVRO, "Compatibility": "BACKWARD"},
        {"DataFormat": "AVRO", "SchemaDefinition": AVRO, "Tags": {"a": "b"}},
    ],
)
def test_what_the_registry_does_not_have_is_refused_and_not_stored(
    glue: Any, registry: str, params: dict[str, Any]
) -> None:
    named = {"RegistryId": {"RegistryName": registry}, "SchemaName": "s"}
    assert refused(glue.create_schema, **{**named, **params})[0] == "InvalidInputException"
    assert glue.list_schemas(RegistryId=named["RegistryId"])["Schemas"] == []


def test_the_validity_of_a_definition(glue: Any) -> None:
    assert glue.check_schema_version_validity(DataFormat="AVRO", SchemaDefinition=AVRO)["Valid"] is True
    found = glue.check_schema_version_validity(DataFormat="AVRO", SchemaDefinition='"text"')
    assert (found["Valid"], found["Error"]) == (False, "'text' is no type.")


def test_pyicebergs_own_glue_catalog(endpoint: Endpoint, glue: Any, database: str, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyiceberg.catalog.glue import GlueCatalog

    catalog = GlueCatalog(
        "tidegate",
        **{
            "glue.endpoint": endpoint.url, "glue.region": REGION, "glue.access-key-id": endpoint.access_key_id,
            "glue.secret-access-key": endpoint.secret, "warehouse": f"file://{tmp_path}",
        },
    )  # fmt: skip
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})
    made = catalog.create_table((database, "orders"), rows.schema)
    made.append(rows)
    made.append(rows)
    assert catalog.load_table((database, "orders")).scan().to_arrow().num_rows == 4
    assert catalog.list_tables(database) == [(database, "orders")]
    shown = glue.get_table(DatabaseName=database, Name="orders")["Table"]
    assert shown["Parameters"]["table_type"] == "ICEBERG"
    assert [(one["Name"], one["Type"]) for one in shown["StorageDescriptor"]["Columns"]] == [
        ("id", "bigint"),
        ("name", "string"),
    ]
    catalog.rename_table((database, "orders"), (database, "renamed"))
    assert catalog.load_table((database, "renamed")).scan().to_arrow().num_rows == 4
    catalog.drop_table((database, "renamed"))
    assert catalog.list_tables(database) == []
