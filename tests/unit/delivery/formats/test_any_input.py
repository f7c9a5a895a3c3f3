"""Whatever comes, a record is either in the object, row by row, or failed with a reason: nothing raises, nothing is lost."""

import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import orc

from apps.delivery.formats.hive_types import PLAIN
from tests.support.conversion import convert, converting

SCALARS = st.sampled_from([*sorted(PLAIN), "char(2)", "varchar(5)", "decimal(5,2)", "decimal(38,38)", "decimal(1,0)"])
KINDS = st.recursive(
    SCALARS,
    lambda inner: (
        inner.map("array<{}>".format)
        | st.tuples(SCALARS, inner).map(lambda parts: "map<{},{}>".format(*parts))
        | st.lists(inner, min_size=1, max_size=2).map(
            lambda parts: f"struct<{','.join(f'f{i}:{part}' for i, part in enumerate(parts))}>"
        )
    ),
    max_leaves=3,
)
TEXTS = st.sampled_from(
    ["1", "1.5", "-1e3", "true", "2024-01-02", "2024-01-02 03:04:05", "0x1F", "aGk=", "NaN", "", "\u0000"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.text(max_size=4)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["f0", "F1", "1", "x", ""]) | TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "A", "b", "c.d"]), VALUES, max_size=3), max_size=3)
DATA = ROWS.map(lambda rows: "".join(map(json.dumps, rows)).encode()) | st.binary(max_size=12)
READERS = st.sampled_from([
    {}, {"openx": {"CaseInsensitive": False, "ConvertDotsInJsonKeysToUnderscores": True}}, {"hive": {}},
    {"hive": {"TimestampFormats": ["millis", "yyyy-MM-dd"]}},
])  # fmt: skip


def count(data):
    """How many objects there are, one after the other; None if there is anything else, or nothing."""
    text, rows, at = data.decode(errors="replace"), 0, 0
    while text[at:].strip(" \t\r\n"):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        rows += 1
    return rows or None


@settings(max_examples=150, deadline=None)
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=2),
    data=st.lists(DATA, min_size=1, max_size=5),
    reader=READERS,
    in_orc=st.booleans(),
)
def test_every_record_is_in_the_object_or_failed(kinds, data, reader, in_orc):
    description = converting(**reader, **({"orc": {}} if in_orc else {}))
    packed, failed = convert(list(zip("ab", kinds, strict=False)), *data, description=description)
    lost = [one.record.ordinal for one in failed]
    assert lost == sorted(set(lost))
    assert all(one.message and one.code.startswith("DataFormatConversion.") for one in failed)
    assert all(json.loads(one.line())["errorCode"] == one.code for one in failed)
    rows = orc.ORCFile(io.BytesIO(packed)).nrows if in_orc else pq.ParquetFile(io.BytesIO(packed)).metadata.num_rows
    assert rows == sum(count(one) or 0 for place, one in enumerate(data) if place not in lost)
    assert all(place in lost for place, one in enumerate(data) if count(one) is None)


@pytest.mark.torture
@settings(settings.get_profile("long"), max_examples=3_000)
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=2),
    data=st.lists(DATA, min_size=1, max_size=5),
    reader=READERS,
    in_orc=st.booleans(),
)
def test_the_same_for_longer(kinds, data, reader, in_orc):
    test_every_record_is_in_the_object_or_failed.hypothesis.inner_test(kinds, data, reader, in_orc)
