"""Iceberg: real tables in the catalogue's rows, written through pyiceberg, read back with pyiceberg and DuckDB."""

import contextlib
import datetime as dt
import io
import json
import zlib
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import HourTransform, IdentityTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
    UUIDType,
)

from apps.catalogue.models import TableVersion
from apps.delivery.destinations import iceberg, iceberg_guard, iceberg_shelf, iceberg_writing
from apps.delivery.destinations.iceberg_catalogue import TeamCatalogue
from apps.delivery.destinations.iceberg_files import S3Files
from apps.delivery.destinations.iceberg_guard import check_avro
from apps.delivery.destinations.interface import DeliveryFailed, Target
from apps.delivery.record import Record
from apps.runtime import Runtime
from tests.support.delivery_batches import Engine, records_of, target
from tests.support.objects import MemoryObjects
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db

ORDERS = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "amount", DecimalType(10, 2)),
    NestedField(3, "at", TimestamptzType()),
    NestedField(4, "customer", StringType()),
)


class Bench:
    """A team with tables, and attempts at delivering to them."""

    def __init__(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runtime, self.objects = runtime, MemoryObjects()
        self.team = make_team()
        monkeypatch.setattr(iceberg_shelf, "S3Objects", lambda *_: self.objects)

    def target(self, *tables: str, **description: Any) -> Target:
        listed = [
            {"DestinationDatabaseName": name.split(".")[0], "DestinationTableName": name.split(".")[1]}
            for name in tables
        ]
        said = {"DestinationTableConfigurationList": listed, **description}
        return target("Iceberg", said, team_id=self.team.team.pk)

    def catalogue(self) -> TeamCatalogue:
        files = S3Files(self.objects, self.runtime.config.data_path)
        return TeamCatalogue(iceberg_shelf.TeamShelf(self.runtime, self.team.team.pk), files)

    def table(self, name: str, schema: Schema = ORDERS, spec: Any = None, **properties: str) -> None:
        database, table = name.split(".")
        self.catalogue().create(database, table, schema, f"s3://lake/{database}/{table}", spec, properties)

    def rows(self, name: str, by: str = "id") -> list[dict[str, Any]]:
        return sorted(self.catalogue().load_table(name).scan().to_arrow().to_pylist(), key=lambda row: row[by])

    def deliver(self, engine: Engine, to: Target) -> Any:
        return engine.attempt_with(lambda: iceberg.IcebergDestination(self.runtime, to))


@pytest.fixture
def bench(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(runtime, monkeypatch)


def order(number: int, **changes: Any) -> bytes:
    said = {"id": number, "amount": f"{number}.50", "at": 1_790_000_000_000_000 + number, "customer": f"c{number}"}
    return json.dumps({**said, **changes}).encode()


def test_rows_of_every_type_come_back_as_they_were_sent(bench: Bench, tmp_path: Any) -> None:
    struct = StructType(NestedField(20, "x", DoubleType()), NestedField(21, "y", IntegerType(), required=True))
    schema = Schema(
        NestedField(1, "id", IntegerType(), required=True),
        NestedField(2, "yes", BooleanType()),
        NestedField(3, "number", DoubleType()),
        NestedField(4, "day", DateType()),
        NestedField(5, "bytes", BinaryType()),
        NestedField(6, "place", struct),
        NestedField(7, "tags", ListType(22, StringType(), element_required=False)),
        NestedField(8, "counts", MapType(23, StringType(), 24, LongType(), value_required=False)),
        NestedField(9, "price", DecimalType(12, 3)),
        NestedField(10, "key", UUIDType()),
        NestedField(11, "at", TimestamptzType()),
    )
    bench.table("shop.kinds", schema)
    first = {
        "id": 1, "yes": True, "number": 2, "day": "2026-07-13", "bytes": "aGk=", "place": {"x": 1.5, "y": 7},
        "tags": ["a", None], "counts": {"k": 3}, "price": 12.345, "key": "6f0b8b0e-6a54-5a1c-9b51-1f6d6d1c7e11",
        "at": "2026-07-13T14:31:07.331Z", "and": "this is no column",
    }  # fmt: skip
    second = dict.fromkeys(first) | {"id": 2}
    delivered = bench.deliver(
        Engine(records_of([json.dumps(one).encode() for one in (first, second)])), bench.target("shop.kinds")
    )
    assert (delivered.records, list(delivered.failed)) == (2, [])
    rows = bench.rows("shop.kinds")
    assert str(rows[0].pop("key")) == first["key"]
    assert rows[0] == {
        "id": 1, "yes": True, "number": 2.0, "day": dt.date(2026, 7, 13), "bytes": b"hi", "place": {"x": 1.5, "y": 7},
        "tags": ["a", None], "counts": [("k", 3)], "price": Decimal("12.345"),
        "at": dt.datetime(2026, 7, 13, 14, 31, 7, 331_000, tzinfo=dt.UTC),
    }  # fmt: skip
    assert {name: value for name, value in rows[1].items() if value is not None} == {"id": 2}
    files = bench.objects.save(tmp_path, ".parquet")
    assert duckdb.sql(f"SELECT id, price, place.y FROM read_parquet({files!r}) ORDER BY id").fetchall() == [
        (1, Decimal("12.345"), 7),
        (2, None, None),
    ]


def test_what_is_no_row_fails_by_itself(bench: Bench) -> None:
    bench.table("shop.orders")
    bad = {
        2: (b"no json", "ICEBERG_BAD_DATA"),
        3: (order(3, amount="1.234"), "ICEBERG_BAD_DATA"),
        4: (order(4).replace(b'"customer"', b'"Customer"'), "Iceberg.MissingColumnWithinRecord"),
        5: (order(5, id=None), "ICEBERG_BAD_DATA"),
        6: (order(6) + order(7), "ICEBERG_BAD_DATA"),
        7: (order(1 << 63), "ICEBERG_BAD_DATA"),
        8: (b"[1]", "ICEBERG_BAD_DATA"),
        9: (b'{"id":' + b"[" * 100_000, "ICEBERG_BAD_DATA"),
    }
    datas = [order(1), *(data for data, _ in bad.values()), order(10)]
    engine = Engine(records_of(datas), piece=3)
    delivered = bench.deliver(engine, bench.target("shop.orders"))
    assert delivered.records == 2
    assert {one.record.ordinal: one.code for one in delivered.failed} == {at: code for at, (_, code) in bad.items()}
    assert {one.error_type for one in delivered.failed} == {"iceberg-failed"}
    assert [row["id"] for row in bench.rows("shop.orders")] == [1, 10]


def test_a_repeat_commits_nothing_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.table("shop.orders")
    engine = Engine(records_of([order(at) for at in range(1, 51)] + [b"bad"]))
    to = bench.target("shop.orders")
    committed = iceberg_writing.commit

    def dies(*args: Any) -> None:
        committed(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(iceberg_writing, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        bench.deliver(engine, to)
    monkeypatch.setattr(iceberg_writing, "commit", committed)
    for _ in range(2):  # what was remembered is asked, too
        delivered = bench.deliver(engine, to)
        assert delivered.records == 50
        assert [one.record.data for one in delivered.failed] == [b"bad"]
    assert [row["id"] for row in bench.rows("shop.orders")] == list(range(1, 51))
    assert len(bench.catalogue().load_table("shop.orders").metadata.snapshots) == 1


def test_a_repeat_after_a_crash_before_the_commit_leaves_no_file_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.table("shop.orders")
    engine, to = Engine(records_of([order(1)])), bench.target("shop.orders")
    committed = iceberg_writing.commit

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(iceberg_writing, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        bench.deliver(engine, to)
    monkeypatch.setattr(iceberg_writing, "commit", committed)
    bench.deliver(engine, to)
    assert len([key for key in bench.objects.names() if key.endswith(".parquet")]) == 1


def test_lanes_that_commit_at_the_same_time_lose_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.table("shop.orders")
    to = bench.target("shop.orders")
    mine, other = Engine(records_of([order(1)]), lane_id=1), Engine(records_of([order(2)]), lane_id=2)
    committed = iceberg_writing.commit
    races = []

    def raced(table: Any, files: Any, name: str) -> None:
        if name.endswith("/1/1/2") and not races:
            races.append(name)
            bench.deliver(other, to)
        committed(table, files, name)

    monkeypatch.setattr(iceberg_writing, "commit", raced)
    bench.deliver(mine, to)
    assert races
    assert [row["id"] for row in bench.rows("shop.orders")] == [1, 2]


def test_a_stalled_worker_that_wakes_up_commits_nothing_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both look, both find nothing, both commit: the one that comes second must look again."""
    bench.table("shop.orders")
    to = bench.target("shop.orders")
    stalled, taker = Engine(records_of([order(1)])), Engine(records_of([order(1)]))
    committed = iceberg_writing.commit
    taken = []

    def raced(table: Any, files: Any, name: str) -> None:
        if not taken:
            taken.append(name)
            bench.deliver(taker, to)
        committed(table, files, name)

    monkeypatch.setattr(iceberg_writing, "commit", raced)
    bench.deliver(stalled, to)
    assert taken
    assert [row["id"] for row in bench.rows("shop.orders")] == [1]


def test_records_are_routed_and_tables_fail_apart(bench: Bench) -> None:
    bench.table("shop.orders")
    bench.table("shop.returns")
    routes = ["orders", "returns", "missing", "orders"]
    records = records_of([order(at) for at in range(1, 7)])
    for record, table in zip(records, routes, strict=False):
        record.routing = {"destinationDatabaseName": "shop", "destinationTableName": table, "operation": "insert"}
    records[4].routing = {"destinationTableName": "orders", "destinationDatabaseName": "shop", "operation": "delete"}
    engine, to = Engine(records), bench.target()
    with pytest.raises(DeliveryFailed) as caught:
        bench.deliver(engine, to)
    assert (caught.value.code, caught.value.permanent) == ("Iceberg.NoSuchTable", False)
    assert caught.value.delivered[0] == 3
    assert caught.value.remaining is not None
    assert {one.record.ordinal: one.code for one in caught.value.remaining} == {
        3: "Iceberg.NoSuchTable", 5: "Iceberg.OperationNotSupported", 6: "Iceberg.NoSuchTable",
    }  # fmt: skip
    bench.table("shop.missing")
    delivered = bench.deliver(engine, to)
    assert delivered.records == 4
    assert [one.record.ordinal for one in delivered.failed] == [5, 6]
    assert [row["id"] for row in bench.rows("shop.orders")] == [1, 4]
    assert [row["id"] for row in bench.rows("shop.returns")] == [2]
    assert [row["id"] for row in bench.rows("shop.missing")] == [3]


def test_partitions_are_written_apart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iceberg_writing, "OPEN_MAX", 2)

    def spec(schema: Schema) -> PartitionSpec:
        return PartitionSpec(
            PartitionField(schema.find_field("at").field_id, 1000, HourTransform(), "at_hour"),
            PartitionField(schema.find_field("customer").field_id, 1001, IdentityTransform(), "customer"),
        )

    bench.table("shop.orders", spec=spec)
    hour = 3_600 * 1_000_000
    datas = [order(at, at=(at % 3) * hour, customer="a/b" if at % 2 else None) for at in range(60)]
    delivered = bench.deliver(Engine(records_of(datas), piece=7), bench.target("shop.orders"))
    assert delivered.records == 60
    assert [row["id"] for row in bench.rows("shop.orders")] == list(range(60))
    table = bench.catalogue().load_table("shop.orders")
    found = table.scan(row_filter="customer = 'a/b' and at < '1970-01-01T01:00:00+00:00'").to_arrow()
    assert sorted(found["id"].to_pylist()) == [at for at in range(60) if at % 2 and at % 3 == 0]
    assert any("at_hour=1970-01-01-02/customer=a%2Fb" in key for key in bench.objects.names())


def test_a_table_that_changes_between_attempts_keeps_rows_and_failures_apart(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed under the old schema did not fail, and what failed under it is not in the table."""
    bench.table("shop.orders")
    engine, to = Engine(records_of([order(1), order(2, extra="e")])), bench.target("shop.orders")
    committed = iceberg_writing.commit

    def dies(*args: Any) -> None:
        committed(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(iceberg_writing, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        bench.deliver(engine, to)
    monkeypatch.setattr(iceberg_writing, "commit", committed)
    with bench.catalogue().load_table("shop.orders").update_schema() as update:
        update.add_column("extra", StringType())
    delivered = bench.deliver(engine, to)
    assert (delivered.records, list(delivered.failed)) == (2, [])


def test_tables_of_other_kinds_and_other_teams_are_not_written_to(bench: Bench) -> None:
    other = make_team("999999999999", "other", "AKIDOTHER")
    bench.table("shop.orders")
    engine = Engine(records_of([order(1)]))
    with pytest.raises(DeliveryFailed, match=r"Iceberg\.NoSuchTable"):
        bench.deliver(engine, target("Iceberg", bench.target("shop.orders").description, team_id=other.team.pk))
    row = TableVersion.objects.get(table__name="orders").table
    row.definition["Parameters"]["table_type"] = "EXTERNAL"
    row.save()
    with pytest.raises(DeliveryFailed, match="it is not an Iceberg table"):
        bench.deliver(engine, bench.target("shop.orders"))


def test_an_empty_batch_of_rows_makes_no_snapshot(bench: Bench) -> None:
    bench.table("shop.orders")
    delivered = bench.deliver(Engine(records_of([b"bad", b"worse"])), bench.target("shop.orders"))
    assert delivered.records == 0
    assert len(list(delivered.failed)) == 2
    assert bench.catalogue().load_table("shop.orders").metadata.snapshots == []


def test_records_without_a_route_fail(bench: Bench) -> None:
    bench.table("shop.orders")
    bench.table("shop.returns")
    delivered = bench.deliver(Engine(records_of([order(1)])), bench.target("shop.orders", "shop.returns"))
    assert [one.code for one in delivered.failed] == ["Iceberg.NoSuchTable"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("CatalogConfiguration", {"CatalogARN": "arn:aws:glue:us-east-1:123456789012:catalog/s3tablescatalog/b"}),
        ("CatalogConfiguration", {"WarehouseLocation": "s3://lake/"}),
        ("TableCreationConfiguration", {"Enabled": True}),
        ("SchemaEvolutionConfiguration", {"Enabled": True}),
    ],
)
def test_what_is_not_done_is_refused(member: str, value: Any) -> None:
    with pytest.raises(ValueError, match="not supported"):
        iceberg.check({member: value})
    table = {"DestinationDatabaseName": "d", "DestinationTableName": "t"}
    for name, given in (
        ("UniqueKeys", ["id"]),
        ("PartitionSpec", {"Identity": []}),
        ("S3ErrorOutputPrefix", "bad/"),
    ):
        with pytest.raises(ValueError, match="not supported"):
            iceberg.check({"DestinationTableConfigurationList": [{**table, name: given}]})
    iceberg.check({"DestinationTableConfigurationList": [table], "SchemaEvolutionConfiguration": {"Enabled": False}})


def test_records_are_read_in_pieces(bench: Bench) -> None:
    bench.table("shop.orders")
    records: list[Record] = records_of([order(at) for at in range(1, 1_001)])
    assert bench.deliver(Engine(records, piece=100), bench.target("shop.orders")).records == 1_000
    assert len(bench.rows("shop.orders")) == 1_000


@pytest.mark.parametrize("name", ["write.py-location-provider.impl", "py-io-impl"])
def test_a_table_cannot_name_code_that_the_worker_runs(bench: Bench, tmp_path: Any, name: str) -> None:
    bench.table("shop.orders")
    [key] = [key for key in bench.objects.names() if key.endswith(".metadata.json")]
    said = json.loads(bench.objects.get("lake", key, 1 << 20))
    said["properties"][name] = "os.mkdir.x" if name.startswith("py") else "subprocess.Popen"
    bench.objects.put("lake", key, io.BytesIO(json.dumps(said).encode()))
    with pytest.raises(DeliveryFailed, match="which is not obeyed"):
        bench.deliver(Engine(records_of([order(1)])), bench.target("shop.orders"))


def test_files_that_unpack_without_end_are_not_unpacked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iceberg_guard, "MANIFEST_BYTES_MAX", 1 << 20)
    bench.table("shop.orders")
    to = bench.target("shop.orders")
    bench.deliver(Engine(records_of([order(1)])), to)
    [key] = [key for key in bench.objects.names() if "/snap-" in key]
    good = bench.objects.get("lake", key, 1 << 20)
    check_avro(good)
    packed = zlib.compress(bytes(2 << 20))[2:-4]
    bomb = good[: good.index(good[-16:]) + 16] + b"\x02" + zigzag(len(packed)) + packed + good[-16:]
    with pytest.raises(ValueError, match="more than"):
        check_avro(bomb)
    for count in (b"\x01", zigzag(100_000), zigzag(1 << 62)):  # the first is -1
        with pytest.raises(ValueError, match="entries"):
            check_avro(good + count + zigzag(0) + good[-16:])
    bench.objects.put("lake", key, io.BytesIO(bomb))
    with pytest.raises(DeliveryFailed, match=r"Iceberg\.InvalidTable"):
        bench.deliver(Engine(records_of([order(2)], first=2)), to)
    for cut in range(0, len(good) - 16, 7):
        with contextlib.suppress(ValueError):
            check_avro(good[:cut])


def zigzag(number: int) -> bytes:
    number, out = number << 1, b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
