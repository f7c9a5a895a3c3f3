"""Wherever a worker dies, before or after any of its steps: the next one finds each row in its table exactly once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from apps.delivery.destinations import iceberg, iceberg_shelf
from apps.delivery.destinations.iceberg_catalogue import TeamCatalogue
from apps.delivery.destinations.iceberg_files import S3Files
from apps.runtime import Runtime
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.objects import MemoryObjects
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

SCHEMA = Schema(NestedField(1, "id", LongType(), required=True))
TABLES = ("a", "b")


class Died(BaseException):
    """The process is gone."""


class Steps:
    """Counts what changes the world outside, and dies at one of them."""

    def __init__(self) -> None:
        self.done = 0
        self.dies_at, self.after = -1, False

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            number, self.done = self.done, self.done + 1
            if number == self.dies_at and not self.after:
                raise Died
            answer = function(*args, **more)
            if number == self.dies_at:
                raise Died
            return answer

        return step


class World:
    """Two empty tables, a batch for both with a row that is none, and workers that may die."""

    def __init__(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, team_id: int) -> None:
        self.runtime, self.steps, self.objects = runtime, Steps(), MemoryObjects()
        shelf = iceberg_shelf.TeamShelf(runtime, team_id)
        self.catalogue = TeamCatalogue(shelf, S3Files(self.objects, runtime.config.data_path))
        for name in TABLES:
            self.catalogue.create("shop", name, SCHEMA, f"s3://lake/{name}")
        records = records_of([json.dumps({"id": at}).encode() for at in range(20)] + [b"bad"])
        for record in records:
            table = TABLES[record.ordinal % 2]
            record.routing = {"destinationDatabaseName": "shop", "destinationTableName": table}
        self.engine = Engine(records, piece=4)
        self.target = target("Iceberg", {}, team_id=team_id)
        for owner, name in ((self.objects, "put"), (shelf, "swap"), (self.engine, "_remember")):
            setattr(owner, name, self.steps.around(getattr(owner, name)))
        monkeypatch.setattr(iceberg_shelf, "catalogue_for", lambda *_: self.catalogue)

    def work(self) -> Any:
        return self.engine.attempt_with(lambda: iceberg.IcebergDestination(self.runtime, self.target))

    def check(self) -> None:
        found = []
        for name in TABLES:
            table = self.catalogue.load_table(f"shop.{name}")
            assert len(table.metadata.snapshots) == 1
            rows = table.scan().to_arrow()["id"].to_pylist()
            assert rows == [at for at in range(20) if TABLES[(at + 1) % 2] == name]
            found += rows
            files = table.inspect.files()["file_path"].to_pylist()
            assert sorted(files) == [f"s3://lake/{key}" for key in self.objects.names() if f"{name}/data/" in key]
        assert sorted(found) == list(range(20))


def test_every_step_may_be_the_last(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = World(runtime, monkeypatch, make_team().team.pk)
    whole.work()
    whole.check()
    count = whole.steps.done
    assert count > 10
    for number in range(count):
        for after in (False, True):
            team = make_team(f"{100_000_000_000 + 2 * number + after}", f"t{number}{after}", f"AKID{number}{after}")
            world = World(runtime, monkeypatch, team.team.pk)
            world.steps.dies_at, world.steps.after = number, after
            with pytest.raises(Died):
                world.work()
            delivered = world.work()
            assert [one.record.data for one in delivered.failed] == [b"bad"]
            assert delivered.records == 20
            world.check()
