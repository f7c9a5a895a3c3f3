"""What is pinned of a conversion, and what its configuration may say."""

import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from apps.delivery.destinations.interface import DeliveryFailed, Target
from apps.delivery.formats import plan_for, writer_for
from apps.delivery.formats.reading import check_conversion
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from tests.support.callers import document, make_identity, says
from tests.support.conversion import converting, records
from tests.support.teams import ACCOUNT_ID, REGION, TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)

NOW_MS = 1_800_000_000_000
WIDE = f"struct<{','.join(f'f{i}:int' for i in range(5_000))}>"


@pytest.fixture
def team() -> TestTeam:
    return make_team()


def create(runtime: Runtime, team: TestTeam, *columns: tuple[str, str], operation: str = "CreateTable") -> None:
    listed = [{"Name": name, "Type": kind} for name, kind in columns]
    table = {"Name": "T", "StorageDescriptor": {"Columns": listed}, "PartitionKeys": [{"Name": "p", "Type": "int"}]}
    invoke_sync(runtime, team.principal, "glue", operation, {"DatabaseName": "D", "TableInput": table})


@pytest.fixture
def table(runtime: Runtime, team: TestTeam) -> None:
    invoke_sync(runtime, team.principal, "glue", "CreateDatabase", {"DatabaseInput": {"Name": "D"}})
    create(runtime, team, ("Id", "int"), ("text", "string"))


def target(team: TestTeam, description: dict[str, Any]) -> Target:
    return Target(team.team.pk, ACCOUNT_ID, REGION, 1, "s", "arn", 1, "ExtendedS3", description)


def schema(description: dict[str, Any], **members: Any) -> dict[str, Any]:
    description["DataFormatConversionConfiguration"]["SchemaConfiguration"] |= members
    return description


@pytest.mark.usefixtures("table")
def test_the_plan_holds_the_schema_whatever_becomes_of_the_table(runtime: Runtime, team: TestTeam) -> None:
    plan = plan_for(runtime, target(team, converting()))
    assert plan["columns"] == [["Id", "int"], ["text", "string"]]
    assert plan["table"] == {
        "catalogId": ACCOUNT_ID, "databaseName": "d", "tableName": "t", "region": "us-east-1", "versionId": "0",
        "catalogArn": f"arn:aws:glue:us-east-1:{ACCOUNT_ID}:catalog",
    }  # fmt: skip
    create(runtime, team, ("id", "string"), operation="UpdateTable")
    file = io.BytesIO()
    writer = writer_for(file, converting(), plan, NOW_MS)
    assert writer.write(records(b'{"ID":7,"TEXT":"x","p":1}')) == []
    assert writer.finish() == []
    assert pq.read_table(file).to_pylist() == [{"Id": 7, "text": "x"}]
    assert plan_for(runtime, target(team, converting()))["columns"] == [["id", "string"]]
    assert plan_for(runtime, target(team, schema(converting(), VersionId="0"))) == plan


def test_nothing_is_planned_without_a_conversion(runtime: Runtime, team: TestTeam) -> None:
    description = converting()
    description["DataFormatConversionConfiguration"]["Enabled"] = False
    assert plan_for(runtime, target(team, description)) == {}
    assert plan_for(runtime, target(team, {"CompressionFormat": "GZIP"})) == {}


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "members", [{"DatabaseName": "x"}, {"TableName": "x"}, {"VersionId": "9"}, {"CatalogId": "999999999999"}]
)
def test_a_table_that_is_not_there_fails_the_batch_for_now(
    runtime: Runtime, team: TestTeam, members: dict[str, Any]
) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        plan_for(runtime, target(team, schema(converting(), **members)))
    assert (caught.value.code, caught.value.permanent) == ("DataFormatConversion.EntityNotFound", False)
    assert caught.value.error_type == "format-conversion-failed"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("columns", "orc", "text"),
    [
        ([], None, "no columns"),
        ([("a", "uniontype<int,string>")], None, "column a: The type 'uniontype' is not supported."),
        ([("a", "")], None, "column a: '' is not a type"),
        ([("a", "int")], {"BloomFilterColumns": ["b"]}, "no column b"),
        ([("a", WIDE), ("b", WIDE)], None, "more than 10000 columns"),
        ([(f"c{i}", "int") for i in range(301)], {}, "more than 300 columns"),
    ],
)
def test_a_schema_that_no_object_can_have(
    runtime: Runtime, team: TestTeam, columns: list[tuple[str, str]], orc: dict[str, Any] | None, text: str
) -> None:
    create(runtime, team, *columns, operation="UpdateTable")
    with pytest.raises(DeliveryFailed) as caught:
        plan_for(runtime, target(team, converting(orc=orc)))
    assert caught.value.code == "DataFormatConversion.InvalidSchema"
    assert caught.value.message.startswith("The schema is invalid. ")
    assert text in caught.value.message
    assert not caught.value.permanent


def test_another_teams_table_is_no_schema(runtime: Runtime, team: TestTeam, table: None) -> None:
    other = make_team("210987654321", "second", "AKIDOTHER")
    theirs = Target(other.team.pk, "210987654321", REGION, 1, "s", "arn", 1, "ExtendedS3", converting())
    with pytest.raises(DeliveryFailed, match="EntityNotFound"):
        plan_for(runtime, theirs)


@pytest.mark.usefixtures("table")
def test_a_role_that_exists_limits_what_is_read(runtime: Runtime, team: TestTeam) -> None:
    around = f"arn:aws:glue:{REGION}:{ACCOUNT_ID}"
    role = make_identity(team.team, "role", "r", document(says(action="glue:Get*", resource=f"{around}:table/d/t")))
    description = schema(converting(), RoleARN=role.arn)
    with pytest.raises(DeliveryFailed, match=f"glue:GetTableVersions on resource: {around}:catalog") as caught:
        plan_for(runtime, target(team, description))
    assert (caught.value.code, caught.value.permanent) == ("DataFormatConversion.AccessDenied", False)
    around_all = [f"{around}:catalog", f"{around}:database/d", f"{around}:table/d/*"]
    wide = make_identity(team.team, "role", "wide", document(says(action="glue:Get*", resource=around_all)))
    assert plan_for(runtime, target(team, schema(converting(), RoleARN=wide.arn)))["columns"]


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("SchemaConfiguration", {"VersionId": "newest"}, "VersionId must be LATEST"),
    ("SchemaConfiguration", {"RoleARN": None}, "RoleARN must be specified"),
    ("SchemaConfiguration", {"DatabaseName": None}, "DatabaseName must be specified"),
    ("SchemaConfiguration", {"TableName": ""}, "TableName must be specified"),
    ("InputFormatConfiguration", {"Deserializer": {}}, "One of OpenXJsonSerDe and HiveJsonSerDe"),
    ("InputFormatConfiguration", {"Deserializer": {"OpenXJsonSerDe": {}, "HiveJsonSerDe": {}}}, "only one of"),
    ("InputFormatConfiguration", {"Deserializer": {"HiveJsonSerDe": {"TimestampFormats": ["ww"]}}}, "not supported"),
    (
        "InputFormatConfiguration",
        {"Deserializer": {"HiveJsonSerDe": {"TimestampFormats": ["yyyy"] * 101}}},
        "at most 100",
    ),
    ("OutputFormatConfiguration", {"Serializer": {}}, "One of ParquetSerDe and OrcSerDe"),
    ("OutputFormatConfiguration", {"Serializer": {"ParquetSerDe": {}, "OrcSerDe": {}}}, "only one of"),
    ("OutputFormatConfiguration", {"Serializer": {"ParquetSerDe": {"MaxPaddingBytes": 8}}}, "not padded"),
    ("OutputFormatConfiguration", {"Serializer": {"OrcSerDe": {"EnablePadding": True}}}, "not padded"),
    (
        "OutputFormatConfiguration",
        {"Serializer": {"OrcSerDe": {"BloomFilterColumns": ["a"], "BloomFilterFalsePositiveProbability": 0.0}}},
        "between 0 and 1",
    ),
]


@pytest.mark.parametrize(("part", "members", "text"), CHANGES)
def test_what_cannot_be_carried_out_is_refused(part: str, members: dict[str, Any], text: str) -> None:
    configuration = converting()["DataFormatConversionConfiguration"]
    check_conversion(configuration)
    configuration[part] |= members
    with pytest.raises(ValueError, match=text):
        check_conversion(configuration)


@pytest.mark.parametrize("part", ["SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"])
def test_what_is_missing_is_asked_for_when_it_is_enabled(part: str) -> None:
    configuration = converting()["DataFormatConversionConfiguration"]
    del configuration[part]
    with pytest.raises(ValueError, match="must be specified when data format conversion is enabled"):
        check_conversion(configuration)
    check_conversion({**configuration, "Enabled": False})
    check_conversion({"Enabled": False})
