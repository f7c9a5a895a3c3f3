"""The catalogue for the rest of Tidegate: schemas, Iceberg's commit, and what is another team's."""

from typing import Any
from uuid import UUID

import pytest

from apps.accounts.principal import Principal
from apps.base.errors import ServiceError
from apps.catalogue import registry, tables
from apps.catalogue.errors import ConcurrentModificationException, EntityNotFoundException
from apps.catalogue.models import Table, TableVersion
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from tests.support.teams import TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)

NOW_MS = 1_795_163_467_000


@pytest.fixture
def team() -> TestTeam:
    return make_team()


class Glue:
    def __init__(self, runtime: Runtime, principal: Principal) -> None:
        self.runtime, self.principal = runtime, principal

    def __call__(self, operation: str, **params: Any) -> Any:
        return invoke_sync(self.runtime, self.principal, "glue", operation, params)

    def table(self, *columns: tuple[str, str], name: str = "t", **more: Any) -> dict[str, Any]:
        listed = [{"Name": column, "Type": kind} for column, kind in columns]
        return {"Name": name, "StorageDescriptor": {"Columns": listed, "Location": "s3://b/t"}, **more}


@pytest.fixture
def glue(runtime: Runtime, team: TestTeam) -> Glue:
    glue = Glue(runtime, team.principal)
    glue("CreateDatabase", DatabaseInput={"Name": "Sales"})
    return glue


def test_a_schema_under_its_versions(glue: Glue, team: TestTeam) -> None:
    keys = [{"Name": "day", "Type": "date"}]
    glue("CreateTable", DatabaseName="SALES", TableInput=glue.table(("Id", "int"), PartitionKeys=keys))
    first = tables.schema_of(team.team.pk, "Sales", "T")
    assert (first.database, first.name, first.version_id, first.location) == ("sales", "t", 0, "s3://b/t")
    assert first.columns == (("Id", "int"),)
    assert first.partition_keys == (("day", "date"),)
    glue("UpdateTable", DatabaseName="sales", TableInput=glue.table(("id", "bigint"), ("b", "string")))
    assert tables.schema_of(team.team.pk, "sales", "t").columns == (("id", "bigint"), ("b", "string"))
    assert tables.schema_of(team.team.pk, "sales", "t", "0") == first
    assert tables.schema_of(team.team.pk, "sales", "t", "LATEST").version_id == 1


@pytest.mark.parametrize(
    ("database", "table", "version", "text"),
    [
        ("nope", "t", "LATEST", "Database nope not found."),
        ("sales", "nope", "LATEST", "Table nope not found."),
        ("sales", "t", "1", "version 1 not found."),
        ("sales", "t", "99999999999999999999", "version 99999999999999999999 not found."),
        ("sales", "t", "newest", "version newest not found."),
    ],
)
def test_what_is_not_there(glue: Glue, team: TestTeam, database: str, table: str, version: str, text: str) -> None:
    glue("CreateTable", DatabaseName="sales", TableInput=glue.table(("id", "int")))
    with pytest.raises(EntityNotFoundException) as caught:
        tables.schema_of(team.team.pk, database, table, version)
    assert caught.value.message == text


def test_another_teams_tables_are_not_there(runtime: Runtime, glue: Glue) -> None:
    glue("CreateTable", DatabaseName="sales", TableInput=glue.table(("id", "int")))
    other = make_team("210987654321", "second", "AKIDOTHER")
    theirs = Glue(runtime, other.principal)
    assert theirs("GetDatabases") == {"DatabaseList": []}
    for operation, params in [
        ("GetTable", {"DatabaseName": "sales", "Name": "t"}), ("DeleteTable", {"DatabaseName": "sales", "Name": "t"}),
        ("GetTables", {"DatabaseName": "sales"}), ("DeleteDatabase", {"Name": "sales"}),
        ("UpdateTable", {"DatabaseName": "sales", "TableInput": theirs.table(("id", "int"))}),
        ("GetTableVersions", {"DatabaseName": "sales", "TableName": "t"}),
    ]:  # fmt: skip
        with pytest.raises(ServiceError) as caught:
            theirs(operation, **params)
        assert caught.value.code == "EntityNotFoundException", operation
    with pytest.raises(EntityNotFoundException):
        tables.schema_of(other.team.pk, "sales", "t")
    theirs("CreateDatabase", DatabaseInput={"Name": "sales"})
    assert theirs("GetTables", DatabaseName="sales") == {"TableList": []}
    assert Table.objects.count() == 1


def iceberg(glue: Glue, location: str) -> dict[str, Any]:
    return glue.table(("id", "int"), Parameters={"table_type": "ICEBERG", "metadata_location": location, "kept": "x"})


def test_icebergs_commit_succeeds_once(glue: Glue, team: TestTeam) -> None:
    glue("CreateTable", DatabaseName="sales", TableInput=iceberg(glue, "s3://b/1"))
    done = tables.swap_metadata(team.team.pk, "Sales", "T", "s3://b/1", "s3://b/2", NOW_MS)
    assert (done.version_id, done.parameters["metadata_location"]) == (1, "s3://b/2")
    assert done.parameters["previous_metadata_location"] == "s3://b/1"
    assert done.parameters["kept"] == "x"
    with pytest.raises(ConcurrentModificationException):
        tables.swap_metadata(team.team.pk, "sales", "t", "s3://b/1", "s3://b/3", NOW_MS)
    assert tables.schema_of(team.team.pk, "sales", "t") == done
    assert [row.version_id for row in TableVersion.objects.all()] == [1]


def test_a_change_between_the_look_and_the_commit_is_seen(
    glue: Glue, team: TestTeam, monkeypatch: pytest.MonkeyPatch
) -> None:
    glue("CreateTable", DatabaseName="sales", TableInput=iceberg(glue, "s3://b/1"))
    find = tables.find

    def late(*args: Any) -> Table:
        row = find(*args)
        monkeypatch.setattr(tables, "find", find)
        tables.swap_metadata(team.team.pk, "sales", "t", "s3://b/1", "s3://b/theirs", NOW_MS)
        return row

    monkeypatch.setattr(tables, "find", late)
    with pytest.raises(ConcurrentModificationException):
        tables.swap_metadata(team.team.pk, "sales", "t", "s3://b/1", "s3://b/mine", NOW_MS)
    found = tables.schema_of(team.team.pk, "sales", "t")
    assert (found.version_id, found.parameters["metadata_location"]) == (1, "s3://b/theirs")


def test_limits(glue: Glue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.catalogue.operations.databases.DATABASES_MAX", 1)
    monkeypatch.setattr("apps.catalogue.operations.tables.TABLES_MAX", 1)
    monkeypatch.setattr("apps.catalogue.operations.tables.VERSIONS_MAX", 1)
    glue("CreateTable", DatabaseName="sales", TableInput=glue.table(("id", "int")))
    for operation, params in [
        ("CreateDatabase", {"DatabaseInput": {"Name": "more"}}),
        ("CreateTable", {"DatabaseName": "sales", "TableInput": glue.table(("id", "int"), name="more")}),
        ("UpdateTable", {"DatabaseName": "sales", "TableInput": glue.table(("id", "int"))}),
    ]:
        with pytest.raises(ServiceError) as caught:
            glue(operation, **params)
        assert caught.value.code == "ResourceNumberLimitExceededException", operation
    glue("UpdateTable", DatabaseName="sales", TableInput=glue.table(("id", "int")), SkipArchive=True)


def test_who_comes_second_at_the_same_moment_gets_the_same_error(
    glue: Glue, team: TestTeam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if neither had seen the other: the row is looked for before it is there."""
    glue("CreateTable", DatabaseName="sales", TableInput=glue.table(("id", "int")))
    glue("CreateRegistry", RegistryName="r")
    glue("CreateSchema", RegistryId={"RegistryName": "r"}, SchemaName="s", DataFormat="JSON")
    monkeypatch.setattr("django.db.models.query.QuerySet.exists", lambda _self: False)
    for operation, params in [
        ("CreateDatabase", {"DatabaseInput": {"Name": "sales"}}),
        ("CreateTable", {"DatabaseName": "sales", "TableInput": glue.table(("id", "int"))}),
        ("CreateRegistry", {"RegistryName": "r"}),
        ("CreateSchema", {"RegistryId": {"RegistryName": "r"}, "SchemaName": "s", "DataFormat": "JSON"}),
    ]:
        with pytest.raises(ServiceError) as caught:
            glue(operation, **params)
        assert caught.value.code == "AlreadyExistsException", operation


def test_registered_schemas(runtime: Runtime, glue: Glue, team: TestTeam) -> None:
    made = glue("CreateSchema", SchemaName="s", DataFormat="JSON", SchemaDefinition="{}")
    glue("RegisterSchemaVersion", SchemaId={"SchemaArn": made["SchemaArn"]}, SchemaDefinition='{"type":"object"}')
    mine = team.team.pk, team.principal.account_id
    newest = registry.newest_of(*mine, made["SchemaArn"])
    assert (newest.registry, newest.name, newest.number, newest.definition) == (
        "default-registry", "s", 2, '{"type":"object"}'
    )  # fmt: skip
    first = registry.version_of(team.team.pk, UUID(made["SchemaVersionId"]))
    assert (first.number, first.definition) == (1, "{}")
    other = make_team("210987654321", "second", "AKIDOTHER")
    with pytest.raises(EntityNotFoundException):
        registry.version_of(other.team.pk, first.version_id)
    with pytest.raises(EntityNotFoundException):
        registry.newest_of(other.team.pk, "210987654321", made["SchemaArn"])
    for arn in ("", "arn:aws:glue:us-east-1:123456789012:schema/r/s", made["SchemaArn"] + "x"):
        with pytest.raises(EntityNotFoundException):
            registry.newest_of(*mine, arn)


def test_expressions_of_names(glue: Glue) -> None:
    for name in ("aab", "abab", "b", "a" * 200):
        glue("CreateTable", DatabaseName="sales", TableInput={"Name": name})
    for expression, expected in {
        "*": 4, "a*b": 2, "*ab*ab": 1, "a.*": 3, "*b*": 3, "aab|b": 2, "^b$": 1, "*ba*": 1, "a": 0,
        "*a" * 100 + "*b": 0,  # a matcher that goes back would try for ever
    }.items():  # fmt: skip
        found = glue("GetTables", DatabaseName="sales", Expression=expression)["TableList"]
        assert len(found) == expected, expression
