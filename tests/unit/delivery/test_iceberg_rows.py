"""JSON as values of Iceberg's types."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from apps.delivery.destinations.iceberg_rows import BadRow, Rows, table_of

AT = dt.datetime.fromisoformat("2026-07-13T14:31:07.331")
MAP = MapType(2, LongType(), 3, StringType(), value_required=True)
STRUCT = StructType(NestedField(2, "x", IntegerType(), required=True), NestedField(3, "y", StringType()))

GOOD: list[tuple[Any, str, Any]] = [
    (BooleanType(), "true", True),
    (IntegerType(), "2147483647", 2_147_483_647),
    (IntegerType(), "2.0", 2),
    (LongType(), "-9223372036854775808", -(1 << 63)),
    (LongType(), "1e3", 1_000),
    (FloatType(), "1", 1.0),
    (DoubleType(), "-1.5e300", -1.5e300),
    (DecimalType(5, 2), "123.45", Decimal("123.45")),
    (DecimalType(5, 2), '"123.4"', Decimal("123.4")),
    (DecimalType(30, 10), "12345678901234567890.0123456789", Decimal("12345678901234567890.0123456789")),
    (DateType(), '"2026-07-13"', dt.date(2026, 7, 13)),
    (DateType(), "20647", dt.date(2026, 7, 13)),
    (TimeType(), '"14:31:07.331"', dt.time(14, 31, 7, 331_000)),
    (TimeType(), "1000000", dt.time(0, 0, 1)),
    (TimestampType(), "1783953067331000", AT),
    (TimestampType(), '"2026-07-13T16:31:07.331+02:00"', AT),
    (TimestamptzType(), '"2026-07-13T14:31:07.331Z"', AT.replace(tzinfo=dt.UTC)),
    (TimestamptzType(), '"2026-07-13 14:31:07.331"', AT.replace(tzinfo=dt.UTC)),
    (StringType(), '"\\u00e9"', "é"),
    (BinaryType(), '"aGk="', b"hi"),
    (BinaryType(), '"aGk"', b"hi"),
    (BinaryType(), '"-_8="', b"\xfb\xff"),
    (BinaryType(), '"aG\\nk="', b"hi"),
    (BinaryType(), '"616263646566"', b"\xeb^\xb6\xeb~\xb8\xeb\x9e\xba"),  # what could be both is Base64
    (BinaryType(), '"61626"', None),
    (FixedType(2), '"aGk="', b"hi"),
    (MAP, '{"1": "a", "-2": "b"}', [(1, "a"), (-2, "b")]),
    (ListType(2, IntegerType(), element_required=True), "[1, 2]", [1, 2]),
    (STRUCT, '{"x": 1, "z": 2}', {"x": 1, "y": None}),
]

BAD: list[tuple[Any, str]] = [
    (BooleanType(), "1"), (BooleanType(), '"true"'), (IntegerType(), "2147483648"), (IntegerType(), "1.5"),
    (IntegerType(), "true"), (IntegerType(), '"1"'), (IntegerType(), "1e400"), (LongType(), "9223372036854775808"),
    (DoubleType(), '"1"'), (FloatType(), "1e39"), (StringType(), '"\\ud800"'), (DoubleType(), "false"),
    (DecimalType(5, 2), "1234"), (DecimalType(5, 2), "1.234"),
    (DecimalType(5, 2), '"x"'), (DecimalType(5, 2), '"NaN"'), (DecimalType(5, 2), '"1e999999"'), (DateType(), '"13.7.2026"'),
    (DateType(), "99999999"), (TimeType(), "86400000000"), (TimeType(), '"14:31:07+02:00"'), (TimestampType(), '"soon"'),
    (TimestampType(), "9223372036854775807"), (StringType(), "1"), (StringType(), "{}"), (UUIDType(), '"x"'),
    (BinaryType(), '"\\u00e9"'), (FixedType(3), '"aGk="'), (MAP, '{"a": "b"}'), (MAP, '{"1": null}'), (MAP, "[]"),
    (ListType(2, IntegerType(), element_required=True), "[null]"), (ListType(2, IntegerType()), "{}"), (STRUCT, '{"y": "a"}'),
    (STRUCT, "1"),
]  # fmt: skip


def rows(kind: Any) -> Rows:
    return Rows(Schema(NestedField(1, "v", kind)))


@pytest.mark.parametrize(("kind", "said", "value"), GOOD, ids=str)
def test_values(kind: Any, said: str, value: Any) -> None:
    if value is None:
        with pytest.raises(BadRow):
            rows(kind).row(b'{"v": %s}' % said.encode())
        return
    assert rows(kind).row(b'{"v": %s}' % said.encode()) == [value]


@pytest.mark.parametrize(("kind", "said"), BAD, ids=str)
def test_values_that_do_not_fit(kind: Any, said: str) -> None:
    with pytest.raises(BadRow) as caught:
        rows(kind).row(b'{"v": %s}' % said.encode())
    assert caught.value.code == "ICEBERG_BAD_DATA"
    assert len(caught.value.message) < 400


def test_missing_columns() -> None:
    schema = Schema(NestedField(1, "a", StringType(), required=True), NestedField(2, "b", StringType()))
    assert Rows(schema).row(b'{"b": null, "a": "x", "c": 1}') == ["x", None]
    for data in (b'{"a": "x"}', b'{"b": "x"}', b'{"A": "x", "b": "y"}'):
        with pytest.raises(BadRow) as caught:
            Rows(schema).row(data)
        assert caught.value.code == "Iceberg.MissingColumnWithinRecord"
    assert Rows(schema, sparse=True).row(b'{"a": "x"}') == ["x", None]
    with pytest.raises(BadRow):
        Rows(schema, sparse=True).row(b'{"b": "x"}')


KINDS = [kind for kind, _, value in GOOD if value is not None]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.sampled_from("xy1"), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(KINDS), JSON)
def test_what_is_a_row_can_be_written(kind: Any, value: Any) -> None:
    """Whatever the value: either it is refused, or Arrow takes it."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    schema = Schema(NestedField(1, "v", kind))
    try:
        row = Rows(schema).row(json.dumps({"v": value}).encode())
    except BadRow:
        return
    assert table_of([row], schema_to_pyarrow(schema)).num_rows == 1
