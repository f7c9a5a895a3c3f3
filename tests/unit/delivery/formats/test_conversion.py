"""JSON to Parquet and ORC: read back by pyarrow and DuckDB, row by row."""

import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import orc

from apps.delivery.error_log import cause_of
from tests.support.conversion import convert, converting


def moment(*parts: int) -> datetime:
    """UTC without saying so, as columns have it."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type,misc]


COLUMNS = [
    ("tiny", "tinyint"), ("small", "smallint"), ("whole", "int"), ("big", "bigint"), ("single", "float"), ("real", "double"),
    ("flag", "boolean"), ("text", "string"), ("fixed", "char(4)"), ("short", "varchar(3)"), ("bytes", "binary"),
    ("day", "date"), ("at", "timestamp"), ("money", "decimal(12,2)"), ("list", "array<int>"), ("dict", "map<string,double>"),
    ("object", "struct<a:int,b:string,c:array<struct<d:date,e:decimal(5,1)>>>"),
    ("deep", "array<map<string,array<bigint>>>"),
]  # fmt: skip


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
REAL = st.floats(allow_nan=False, allow_infinity=False)
# What a reader in nanoseconds can still say, which pyarrow's ORC reader is.
AT = st.datetimes(moment(1700, 1, 1), moment(2250, 1, 1))
DAY = st.dates(date(1, 1, 1), date(9999, 12, 31))
VALUES = {
    "tiny": whole(8), "small": whole(16), "whole": whole(32), "big": whole(64),
    "single": st.floats(width=32, allow_nan=False, allow_infinity=False), "real": REAL, "flag": st.booleans(),
    "text": TEXT, "fixed": TEXT, "short": TEXT, "bytes": st.binary(max_size=6), "day": DAY, "at": AT,
    "money": st.decimals(-9_999_999_999, 9_999_999_999, places=2), "list": st.lists(maybe(whole(32)), max_size=3),
    "dict": st.dictionaries(TEXT.map(str.lower), maybe(REAL), max_size=3),
    "object": st.fixed_dictionaries(
        {}, optional={
            "a": maybe(whole(32)), "b": maybe(TEXT),
            "c": maybe(st.lists(maybe(st.fixed_dictionaries(
                {}, optional={"d": DAY, "e": st.decimals(-9_999, 9_999, places=1)}
            )), max_size=2)),
        }
    ),
    "deep": st.lists(maybe(st.dictionaries(st.sampled_from("xyz"), st.lists(whole(64), max_size=2), max_size=2)), max_size=2),
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={name: maybe(values) for name, values in VALUES.items()}), min_size=1, max_size=8
)
SPELLED = st.sampled_from([str.lower, str.upper, str.title])


def said(value: Any) -> Any:
    """A value as JSON has it."""
    match value:
        case datetime():
            return f"{value.strftime('%Y').zfill(4)}-{value:%m-%d %H:%M:%S.%f}"
        case date():
            return f"{value.strftime('%Y').zfill(4)}-{value:%m-%d}"
        case Decimal():
            return str(value)
        case bytes():
            import base64

            return base64.b64encode(value).decode()
        case list():
            return [said(item) for item in value]
        case dict():
            return {key: said(item) for key, item in value.items()}
    return value


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a reader of the object must see it: every column, and every field of a struct."""
    found = {name: row.get(name) for name, _ in COLUMNS}
    for name, length in (("fixed", 4), ("short", 3)):
        if found[name] is not None:
            found[name] = found[name][:length]
    if found["object"] is not None:
        fields = {name: found["object"].get(name) for name in "abc"}
        if fields["c"] is not None:
            fields["c"] = [item and {"d": item.get("d"), "e": item.get("e")} for item in fields["c"]]
            fields["c"] = [{"d": None, "e": None} if item == {} else item for item in fields["c"]]
        found["object"] = fields
    return found


def plain(value: Any, name: str) -> Any:
    """What pyarrow answers, with maps as dictionaries."""
    if name == "dict" and value is not None:
        return dict(value)
    if name == "deep" and value is not None:
        return [None if item is None else dict(item) for item in value]
    return value


def read_parquet(packed: bytes) -> list[dict[str, Any]]:
    return pq.ParquetFile(io.BytesIO(packed), coerce_int96_timestamp_unit="us").read().to_pylist()


def read_orc(packed: bytes) -> list[dict[str, Any]]:
    table = orc.ORCFile(io.BytesIO(packed)).read()
    place = table.schema.get_field_index("at")
    if place >= 0:
        table = table.set_column(place, "at", table.column(place).cast("timestamp[us]"))
    return table.to_pylist()


BOTH = [(converting(), read_parquet), (converting(orc={}), read_orc)]


@settings(max_examples=25, deadline=None)
@given(rows=ROWS, spell=SPELLED, more=st.booleans())
def test_every_type_comes_back_from_parquet_and_orc(rows, spell, more):
    lines = [
        json.dumps(
            {**{spell(key): item for key, item in said(row).items()}, **({"Other": [1]} if more else {})}
        ).encode()
        for row in rows
    ]
    for description, read in BOTH:
        packed, failed = convert(COLUMNS, *lines, description=description)
        assert failed == []
        found = [{name: plain(value, name) for name, value in row.items()} for row in read(packed)]
        assert found == [expected(row) for row in rows]


@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_duckdb_reads_the_same_from_parquet(rows, tmp_path_factory):
    packed, failed = convert(COLUMNS, *(json.dumps(said(row)).encode() for row in rows))
    assert failed == []
    path = tmp_path_factory.mktemp("duck") / "rows.parquet"
    path.write_bytes(packed)
    relation = duckdb.connect().execute("select * from read_parquet(?)", [str(path)])
    names = [column[0] for column in relation.description]
    assert names == [name for name, _ in COLUMNS]
    assert [dict(zip(names, row, strict=True)) for row in relation.fetchall()] == [expected(row) for row in rows]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'{"a":1}', [1]), (b'{"a":1}{"a":2}', [1, 2]), (b' {"a":1}\n{"a":2}\r\n\t{"a":3} ', [1, 2, 3]),
        (b'{\n"a":\n1}\n{"a"\n:2}', [1, 2]), (b'{"a":1,"a":2}', [2]), (b'{"A":1,"a":2}', [2]), (b"{}", [None]),
        (b'{"a":null}', [None]), (b'{"a":"7"}{"a":8.0}{"a":"0x10"}', [7, 8, 16]),
    ],
)  # fmt: skip
def test_a_record_is_one_object_or_several(data, rows):
    packed, failed = convert([("a", "int")], data)
    assert failed == []
    assert [row["a"] for row in read_parquet(packed)] == rows


PARSE, MALFORMED = "DataFormatConversion.ParseError", "DataFormatConversion.MalformedData"


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        ("int", b"", PARSE), ("int", b" \n", PARSE), ("int", b"{", PARSE), ("int", b"plain text", PARSE),
        ("int", b'{"a":1},{"a":2}', PARSE), ("int", b'{"a":01}', PARSE), ("int", b'{"a":1}x', PARSE),
        ("string", b'{"a":"\xff"}', PARSE), ("string", b'{"a":"\xed\xa0\x80"}', PARSE), ("string", b'{"a":"\\ud800"}', PARSE),
        ("string", b"\xef\xbb\xbf{}", PARSE), ("string", b'{"a":"\x00"}', PARSE), ("double", b'{"a":NaN}', PARSE),
        ("double", b'{"a":1e999}', PARSE), ("int", b"[" * 100_000, PARSE), ("int", b'{"a":' * 3_000 + b"1" + b"}" * 3_000, PARSE),
        ("int", b'{"a":' + b"9" * 5_000 + b"}", PARSE), ("int", b'[{"a":1}]', MALFORMED), ("int", b'{"a":1}[{"a":1}]', MALFORMED),
        ("int", b"1", MALFORMED), ("int", b'"a"', MALFORMED), ("int", b"null", MALFORMED),
        ("int", b'{"a":2147483648}', MALFORMED), ("tinyint", b'{"a":128}', MALFORMED), ("bigint", b'{"a":9223372036854775808}', MALFORMED),
        ("int", b'{"a":1.5}', MALFORMED), ("int", b'{"a":true}', MALFORMED),
        ("int", b'{"a":""}', MALFORMED), ("int", b'{"a":"1_0"}', MALFORMED),
        ("int", b'{"a":{}}', MALFORMED), ("int", b'{"a":[1]}', MALFORMED), ("float", b'{"a":1e39}', MALFORMED),
        ("float", b'{"a":"x"}', MALFORMED), ("double", b'{"a":"1e999"}', MALFORMED), ("double", b'{"a":"1 "}', MALFORMED),
        ("boolean", b'{"a":1}', MALFORMED), ("boolean", b'{"a":"yes"}', MALFORMED), ("date", b'{"a":"2024-02-30"}', MALFORMED),
        ("date", b'{"a":"0000-01-01"}', MALFORMED), ("date", b'{"a":1}', MALFORMED),
        ("timestamp", b'{"a":"2024-13-01 00:00:00"}', MALFORMED),
        ("timestamp", b'{"a":"yesterday"}', MALFORMED), ("timestamp", b'{"a":1e300}', MALFORMED),
        ("timestamp", b'{"a":99999999999999999999}', MALFORMED), ("timestamp", b'{"a":{}}', MALFORMED),
        ("decimal(4,2)", b'{"a":100}', MALFORMED), ("decimal(4,2)", b'{"a":"99.995"}', MALFORMED),
        ("decimal(4,2)", b'{"a":1e99999}', MALFORMED),
        ("decimal(4,2)", b'{"a":"x"}', MALFORMED), ("decimal(4,2)", b'{"a":true}', MALFORMED), ("binary", b'{"a":"*"}', MALFORMED),
        ("binary", b'{"a":1}', MALFORMED), ("map<string,int>", b'{"a":[]}', MALFORMED), ("map<int,int>", b'{"a":{"x":1}}', MALFORMED),
        ("map<string,int>", b'{"a":{"x":"y"}}', MALFORMED), ("struct<b:int>", b'{"a":1}', MALFORMED),
        ("struct<b:int>", b'{"a":{"b":"x"}}', MALFORMED),
        ("array<int>", b'{"a":[1,"x"]}', MALFORMED), ("array<struct<b:map<int,int>>>", b'{"a":[{"b":{"1":1}},{"b":{"x":1}}]}', MALFORMED),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_fails_alone(kind, data, code):
    packed, failed = convert([("a", kind)], b"{}", data, b"{}")
    (one,) = failed
    assert (one.code, one.error_type, one.record.ordinal, one.attempts) == (code, "format-conversion-failed", 1, 1)
    assert len(one.message) < 300
    assert read_parquet(packed) == [{"a": None}, {"a": None}]


@pytest.mark.parametrize(("description", "read"), BOTH, ids=["parquet", "orc"])
def test_a_record_fails_as_a_whole(description, read):
    lines = [b'{"a":1}', b'{"a":2}{"a":"x"}{"a":3}', b'{"a":4}{"a":5}', b"?"]
    packed, failed = convert([("a", "int")], *lines, description=description)
    assert [one.record.ordinal for one in failed] == [1, 3]
    assert [row["a"] for row in read(packed)] == [1, 4, 5]


def test_the_line_of_a_failed_record():
    _, (one,) = convert([("a", "int")], b'{"a":"x"}')
    line = json.loads(one.line())
    message = "Data does not match the schema. a: “x” is not a valid int."
    assert line == {
        "attemptsMade": 1, "arrivalTimestamp": 1_799_999_995_000, "errorCode": MALFORMED, "errorMessage": message,
        "lastErrorCode": MALFORMED, "lastErrorMessage": message, "attemptEndingTimestamp": 1_800_000_000_000,
        "rawData": "eyJhIjoieCJ9", "sequenceNumber": "40", "subSequenceNumber": 0,
        "dataCatalogTable": {"databaseName": "d", "tableName": "t", "versionId": "3"},
    }  # fmt: skip


AT_UTC = moment(2017, 2, 7, 15, 13, 1)


@pytest.mark.parametrize(
    ("given", "micros"),
    [
        ('"2017-02-07T15:13:01.39256Z"', 392_560), ('"2017-02-07T15:13:01Z"', 0), ('"2017-02-07T16:13:01+01:00"', 0),
        ('"2017-2-7 15:13:01.14"', 140_000), ('"2017-02-07 15:13:01.123456789"', 123_456), ("1486480381", 0),
        ("1486480381123", 123_000), ("1486480381.123", 123_000), ('"1486480381"', 0), ('"1486480381123"', 123_000),
        ('"1486480381.5"', 500_000),
    ],
)  # fmt: skip
def test_the_five_forms_of_openx_timestamps(given, micros):
    packed, failed = convert([("a", "timestamp"), ("d", "decimal(3,1)")], f'{{"a":{given}}}'.encode())
    assert failed == []
    assert read_parquet(packed)[0]["a"] == AT_UTC + timedelta(microseconds=micros)


def test_times_at_the_ends_of_the_calendar():
    packed, failed = convert(
        [("a", "timestamp")], b'{"a":"0001-01-01 00:00:00"}', b'{"a":"9999-12-31 23:59:59.999999"}', b'{"a":-1}'
    )
    assert failed == []
    assert [row["a"] for row in read_parquet(packed)] == [
        moment(1, 1, 1),
        moment(9999, 12, 31, 23, 59, 59, 999_999),
        moment(1969, 12, 31, 23, 59, 59),
    ]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("string", "1", "1"), ("string", "1.5", "1.5"), ("string", "true", "true"), ("string", '{"b":[1,null]}', '{"b":[1,null]}'),
        ("string", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("varchar(2)", "12345", "12"), ("double", '"1.5e2"', 150.0), ("double", "9007199254740993", 9007199254740992.0),
        ("double", '"Infinity"', math.inf), ("float", "3", 3.0), ("boolean", '"TRUE"', True), ("array<int>", "5", [5]),
        ("array<array<int>>", "[1]", [[1]]), ("decimal(38,10)", "1234567890123456789012345678.0123456789",
         Decimal("1234567890123456789012345678.0123456789")), ("decimal(3,1)", "1.25", Decimal("1.3")),
        ("decimal(5,0)", '"1e3"', Decimal(1000)), ("map<string,int>", '{"UPPER":1}', [("upper", 1)]),
        ("struct<b:int>", '{"B":"4"}', {"b": 4}), ("binary", '"aGk="', b"hi"), ("date", '"2024-1-2"', date(2024, 1, 2)),
    ],
)  # fmt: skip
def test_openx_is_lenient(kind, given, value):
    packed, failed = convert([("a", kind)], f'{{"a":{given}}}'.encode())
    assert failed == []
    assert read_parquet(packed)[0]["a"] == value


@pytest.mark.parametrize(
    ("options", "columns", "data", "row"),
    [
        ({}, ["userid"], '{"userId":"x"}', {"userid": "x"}),
        ({"CaseInsensitive": False}, ["userid"], '{"userId":"x","userid":"y"}', {"userid": "y"}),
        ({"CaseInsensitive": False}, ["userId"], '{"userId":"x","userid":"y"}', {"userId": "x"}),
        ({"ColumnToJsonKeyMappings": {"ts": "timestamp"}}, ["ts"], '{"timestamp":"x","ts":"y"}', {"ts": "x"}),
        ({"ColumnToJsonKeyMappings": {"ts": "timeStamp"}}, ["ts"], '{"TIMESTAMP":"x"}', {"ts": "x"}),
        (
            {"CaseInsensitive": False, "ColumnToJsonKeyMappings": {"userid": "userId"}},
            ["userid"],
            '{"userId":"x"}',
            {"userid": "x"},
        ),
        ({"ConvertDotsInJsonKeysToUnderscores": True}, ["a_b"], '{"a.b":"x"}', {"a_b": "x"}),
        ({}, ["a_b"], '{"a.b":"x"}', {"a_b": None}),
    ],
)
def test_how_openx_finds_keys(options, columns, data, row):
    packed, failed = convert(
        [(name, "string") for name in columns], data.encode(), description=converting(openx=options)
    )
    assert failed == []
    assert read_parquet(packed) == [row]


def test_mappings_and_dots_hold_within_structs():
    options = {"ColumnToJsonKeyMappings": {"ts": "timestamp"}, "ConvertDotsInJsonKeysToUnderscores": True}
    packed, failed = convert(
        [("s", "struct<ts:int,a_b:int>")], b'{"S":{"Timestamp":1,"A.B":2}}', description=converting(openx=options)
    )
    assert failed == []
    assert read_parquet(packed) == [{"s": {"ts": 1, "a_b": 2}}]


HIVE = [
    ("int", "1", 1), ("int", '"1"', None), ("int", "1.5", None), ("double", "1", 1.0), ("double", '"1"', None),
    ("boolean", "true", True), ("boolean", '"true"', None), ("string", "1", "1"), ("string", "true", "true"),
    ("string", "{}", None), ("array<int>", "1", None), ("binary", '"aGk="', b"aGk="), ("map<int,int>", '{"1":2}', [(1, 2)]),
    ("timestamp", '"2017-02-07 15:13:01.5"', AT_UTC + timedelta(microseconds=500_000)),
    ("timestamp", '"2017-02-07T15:13:01Z"', None), ("timestamp", "1486480381", None), ("date", '"2024-1-2"', date(2024, 1, 2)),
    ("decimal(3,1)", "1.5", Decimal("1.5")), ("bigint", "9223372036854775808", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "value"), HIVE)
def test_hive_is_strict(kind, given, value):
    packed, failed = convert([("a", kind)], f'{{"A":{given}}}'.encode(), description=converting(hive={}))
    if value is None:
        assert [one.code for one in failed] == [MALFORMED]
    else:
        assert failed == []
        assert read_parquet(packed)[0]["a"] == value


def test_hives_timestamp_formats_in_their_order():
    formats = {"TimestampFormats": ["dd/MMM/yyyy:HH:mm:ss Z", "millis", "yyyyMMdd'T'HHmm"]}
    packed, failed = convert(
        [("a", "timestamp"), ("b", "date")],
        b'{"a":"07/Feb/2017:16:13:01 +0100","b":"20170207T0000"}',
        b'{"a":1486480381123,"b":1486480381123}',
        b'{"a":"2017-02-07 15:13:01","b":"2017-02-07"}',
        description=converting(hive=formats),
    )
    assert failed == []
    assert [row["a"] for row in read_parquet(packed)] == [AT_UTC, AT_UTC + timedelta(microseconds=123_000), AT_UTC]
    assert {row["b"] for row in read_parquet(packed)} == {date(2017, 2, 7)}


LINES = [json.dumps({"a": i, "b": "x" * (i * 7919 % 3_000), "c": i / 3}).encode() for i in range(3_000)]
LINES[1_500] = b"{broken"
THREE = [("a", "bigint"), ("b", "string"), ("c", "double")]


@pytest.mark.parametrize(("description", "read"), BOTH, ids=["parquet", "orc"])
def test_the_same_records_give_the_same_object_however_they_are_read(description, read):
    once, failed = convert(THREE, *LINES, description=description)
    by_sevens, again = convert(THREE, *LINES, description=description, pieces=7)
    assert once == by_sevens
    assert [one.record.ordinal for one in failed] == [one.record.ordinal for one in again] == [1_500]
    rows = read(once)
    assert [row["a"] for row in rows] == [i for i in range(3_000) if i != 1_500]


def test_row_groups_are_written_as_they_fill(monkeypatch):
    monkeypatch.setattr("apps.delivery.formats.columnar.ROW_GROUP_BYTES", 1 << 20)
    packed, _ = convert(THREE, *LINES)
    groups = pq.ParquetFile(io.BytesIO(packed)).metadata.num_row_groups
    assert groups >= 3
    assert len(read_parquet(packed)) == 2_999


def test_tiny_rows_of_a_wide_table_are_taken_apart(monkeypatch):
    monkeypatch.setattr("apps.delivery.formats.conversion.CELLS_MAX", 100)
    monkeypatch.setattr("apps.delivery.formats.columns.CELLS_MAX", 1_000)
    columns = [(f"c{i}", "int") for i in range(20)]
    packed, failed = convert(columns, *[b"{}" * 10] * 7, b"{}" * 51)
    assert [one.record.ordinal for one in failed] == [7]
    assert "too many" in failed[0].message
    assert len(read_parquet(packed)) == 70


def test_batches_of_a_wide_table_are_put_together(monkeypatch):
    """A large record is a batch of its own, with an array for each column."""
    monkeypatch.setattr("apps.delivery.formats.columnar.ARRAYS_MAX", 40)
    monkeypatch.setattr("apps.delivery.formats.conversion.CHUNK_BYTES", 10)
    columns = [(f"c{i}", "int") for i in range(20)]
    packed, failed = convert(columns, *[b'{"c3":%d}      ' % n for n in range(50)])
    assert (failed, [row["c3"] for row in read_parquet(packed)]) == ([], list(range(50)))
    assert pq.ParquetFile(io.BytesIO(packed)).metadata.num_row_groups == 1


WIDE = f"struct<{','.join(f'f{i}:int' for i in range(100))}>"


@pytest.mark.parametrize(
    ("kind", "one", "most"),
    [
        (WIDE, b'{"a":{"f1":1}}', b"{}" * 101),
        (f"array<{WIDE}>", b'{"a":[{"f1":1}]}', b'{"a":[' + b"{}," * 100 + b"{}]}"),
        (f"array<array<{WIDE}>>", b'{"a":[[{"f1":1}]]}', b'{"a":[[' + b"{}," * 100 + b"{}]]}"),
    ],
)
def test_empty_objects_for_wide_structs_do_not_take_all_memory(monkeypatch, kind, one, most):
    """Three bytes of a record ask for many nulls. What is too much for one record fails alone."""
    monkeypatch.setattr("apps.delivery.formats.columns.CELLS_MAX", 10_000)
    packed, failed = convert([("a", kind)], one, most, *[one * 70] * 4, most, one)
    assert [(bad.record.ordinal, "too many values" in bad.message) for bad in failed] == [(1, True), (6, True)]
    assert len(read_parquet(packed)) == 282


@pytest.mark.parametrize("compression", ["SNAPPY", "GZIP", "UNCOMPRESSED"])
@pytest.mark.parametrize("version", ["V1", "V2"])
def test_options_of_parquet(compression, version):
    options = {
        "Compression": compression, "WriterVersion": version, "EnableDictionaryCompression": version == "V2",
        "PageSizeBytes": 65_536, "BlockSizeBytes": 64 << 20,
    }  # fmt: skip
    packed, _ = convert(THREE, *LINES, description=converting(parquet=options))
    file = pq.ParquetFile(io.BytesIO(packed))
    column = file.metadata.row_group(0).column(1)
    assert column.compression == compression
    assert ("RLE_DICTIONARY" in column.encodings or "PLAIN_DICTIONARY" in column.encodings) is (version == "V2")
    assert file.metadata.format_version == ("2.6" if version == "V2" else "1.0")
    assert file.metadata.metadata is None
    assert len(read_parquet(packed)) == 2_999


def test_the_defaults_of_parquet():
    packed, _ = convert([("a", "timestamp"), ("b", "array<int>")], b"{}")
    metadata = pq.ParquetFile(io.BytesIO(packed)).metadata
    assert metadata.row_group(0).column(0).compression == "SNAPPY"
    assert metadata.schema.column(0).physical_type == "INT96"
    assert metadata.schema.column(1).path == "b.list.element"


@pytest.mark.parametrize(
    ("options", "compression", "version"),
    [
        ({}, "SNAPPY", "0.12"), ({"Compression": "ZLIB", "FormatVersion": "V0_11"}, "ZLIB", "0.11"),
        ({"Compression": "NONE", "FormatVersion": "V0_12"}, "UNCOMPRESSED", "0.12"),
    ],
)  # fmt: skip
def test_options_of_orc(options, compression, version):
    description = converting(orc={"StripeSizeBytes": 8 << 20, "RowIndexStride": 1_000, **options})
    packed, _ = convert(THREE, *LINES, description=description)
    file = orc.ORCFile(io.BytesIO(packed))
    assert (file.compression, file.file_version, file.row_index_stride) == (compression, version, 1_000)
    assert file.nrows == 2_999


def test_bloom_filters_are_of_the_columns_that_are_named():
    columns = [("s", "struct<x:int,y:array<int>>"), ("name", "string")]
    lines = [json.dumps({"s": {"x": 1, "y": [1]}, "name": f"n{i}"}).encode() for i in range(2_000)]
    sizes = {
        wanted: len(convert(columns, *lines, description=converting(orc={"BloomFilterColumns": list(wanted)}))[0])
        for wanted in [(), ("NAME",), ("name", "s")]
    }
    # A filter of two thousand different names takes more than a kilobyte; one of nothing at all some bytes.
    assert sizes["NAME",] > sizes[()] + 1_000
    assert sizes["NAME",] < sizes["name", "s"] < sizes["NAME",] + 1_000


def test_no_rows_at_all_is_a_file_without_rows():
    for description, read in BOTH:
        packed, failed = convert(THREE, b"x", description=description)
        assert len(failed) == 1
        assert read(packed) == []


def test_a_huge_text():
    text = "x" * 9_000_000
    packed, failed = convert([("a", "string"), ("b", "varchar(10)")], json.dumps({"a": text, "b": text}).encode())
    assert failed == []
    assert read_parquet(packed) == [{"a": text, "b": text[:10]}]


def test_keys_that_are_new_in_every_row_are_not_remembered_for_ever(monkeypatch):
    monkeypatch.setattr("apps.delivery.formats.columns.SPELLINGS_MAX", 10)
    packed, failed = convert([("a", "int")], *(json.dumps({f"k{i}": 1, "A": i}).encode() for i in range(100)))
    assert failed == []
    assert [row["a"] for row in read_parquet(packed)] == list(range(100))


def test_extensions():
    from apps.delivery.formats import writer_for

    plan = {"columns": [["a", "int"]]}
    for description, extension in [(converting(), ".parquet"), (converting(orc={}), ".orc")]:
        writer = writer_for(io.BytesIO(), description, plan, 0)
        assert (writer.extension, writer.content_encoding) == (extension, "")
        named = writer_for(io.BytesIO(), {**description, "FileExtension": ".x"}, plan, 0)
        assert named.extension == ".x"


def test_an_object_that_is_given_up_says_nothing(capfd):
    import gc

    from apps.delivery.formats import writer_for
    from tests.support.conversion import records

    for description in (converting(), converting(orc={})):
        file = io.BytesIO()
        writer = writer_for(file, description, {"columns": [list(one) for one in THREE]}, 0)
        writer.write(records(*LINES))
        file.close()
        del writer
        gc.collect()
    assert capfd.readouterr().err == ""


def test_errors_that_differ_in_values_are_one_cause():
    values = ["x", "”y", "z" * 1_000, 1.5, True, [1], {"b": "c"}]
    _, failed = convert([("a", "int")], *(json.dumps({"a": value}).encode() for value in values))
    assert {cause_of(one.message) for one in failed} == {"Data does not match the schema. a: # is not a valid int."}
    assert len(failed) == len(values)
