"""A table that others made and write to: pyiceberg's own catalogue of Glue, and pyarrow's own way into S3."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException

from apps.base.clock import FakeClock
from apps.catalogue import errors
from apps.delivery.destinations.iceberg import IcebergDestination
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.runtimes import memory_runtime
from tests.support.s3 import KEY, REGION, SECRET, S3Server, settings_for
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

TABLE = {"DestinationDatabaseName": "shop", "DestinationTableName": "orders"}


@pytest.fixture
def runtime(clock: FakeClock, s3: S3Server) -> Iterator[Runtime]:
    built = memory_runtime(clock, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()


class Glue:
    """A boto3 client of Glue, without the socket (tests/wire/test_catalogue.py has it with one)."""

    exceptions = errors

    def __init__(self, runtime: Runtime, principal: Any) -> None:
        self._runtime, self._principal = runtime, principal
        self.meta = SimpleNamespace(region_name=REGION)

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.title() for word in name.split("_"))
        return lambda **params: invoke_sync(self._runtime, self._principal, "glue", operation, params)


def rows_of(*numbers: int) -> list[bytes]:
    return [json.dumps({"id": number, "name": f"n{number}"}).encode() for number in numbers]


def test_both_write_and_both_read(runtime: Runtime, s3: S3Server) -> None:
    team = make_team()
    theirs = GlueCatalog(
        "theirs", client=Glue(runtime, team.principal),
        **{"s3.endpoint": s3.endpoint, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET, "s3.region": REGION},
    )  # fmt: skip
    theirs.create_namespace("shop")
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string())])
    table = theirs.create_table("shop.orders", schema, location="s3://staging/lake/orders")
    to = target("Iceberg", {"DestinationTableConfigurationList": [TABLE]}, team_id=team.team.pk)
    make = lambda: IcebergDestination(runtime, to)  # noqa: E731
    assert Engine(records_of(rows_of(1, 2))).attempt_with(make).records == 2
    table.metadata.properties["commit.retry.num-retries"] = "0"
    with pytest.raises(CommitFailedException):  # theirs began before ours and lost: they are told
        table.append(pa.table({"id": [9], "name": ["late"]}, schema=schema))
    theirs.load_table("shop.orders").append(pa.table({"id": [3], "name": ["n3"]}, schema=schema))
    assert Engine(records_of(rows_of(4), first=3)).attempt_with(make).records == 1
    found = theirs.load_table("shop.orders").scan().to_arrow().sort_by("id").to_pylist()
    assert found == [{"id": number, "name": f"n{number}"} for number in (1, 2, 3, 4)]
