"""Hive's types of columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.formats.hive_types import DEPTH_MAX, PLAIN, BadType, HiveType, holds_decimals, parse

PRIMITIVES = st.sampled_from(sorted(PLAIN - {"integer"})).map(HiveType) | st.builds(
    lambda precision, scale: HiveType("decimal", (precision, min(scale, precision))),
    st.integers(1, 38),
    st.integers(0, 38),
)
NAMES = st.text("abcxyz_09 -$", min_size=1, max_size=5).filter(lambda name: name.strip() == name)


def struct(fields):
    return HiveType("struct", parts=tuple(fields.values()), names=tuple(fields))


TYPES = st.recursive(
    PRIMITIVES,
    lambda inner: (
        inner.map(lambda part: HiveType("array", parts=(part,)))
        | st.tuples(PRIMITIVES, inner).map(lambda parts: HiveType("map", parts=parts))
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(struct)
    ),
    max_leaves=6,
)


def said(kind):
    match kind.name:
        case "array" | "map":
            return f"{kind.name}<{','.join(map(said, kind.parts))}>"
        case "struct":
            fields = (f"{name}:{said(part)}" for name, part in zip(kind.names, kind.parts, strict=True))
            return f"struct<{','.join(fields)}>"
    return kind.name + (f"({','.join(map(str, kind.numbers))})" if kind.numbers else "")


@given(kind=TYPES)
def test_what_is_said_is_read(kind):
    assert parse(said(kind)) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" BIGINT ", HiveType("bigint")), ("integer", HiveType("int")), ("decimal", HiveType("decimal", (10, 0))),
        ("Decimal( 5 )", HiveType("decimal", (5, 0))), ("numeric(5, 2)", HiveType("decimal", (5, 2))),
        ("varchar(65535)", HiveType("varchar", (65_535,))), ("ARRAY < int >", HiveType("array", parts=(HiveType("int"),))),
        ("struct<`a:b`:int, c : string>", HiveType("struct", (), (HiveType("int"), HiveType("string")), ("a:b", "c"))),
    ],
)  # fmt: skip
def test_other_ways_to_say_it(text, kind):
    assert parse(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "text", "int)", "int int", "array", "array<>", "array<int", "array<int>>", "map<int>", "map<array<int>,int>",
        "map<int,int,int>", "struct<>", "struct<a>", "struct<a:int,>", "struct<a:int,A:int>", "struct<:int>", "decimal(0)", "decimal(39)",
        "decimal(5,6)", "decimal(5,2", "decimal(x)", "decimal(9999999999)", "char", "char(0)", "char(256)", "varchar(65536)", "char(-1)",
        "uniontype<int,string>", "interval", "void", "timestamp with local time zone", "int;", "\0", "struct<a:int" * 50,
    ],
)  # fmt: skip
def test_what_is_no_type(text):
    with pytest.raises(BadType):
        parse(text)


def test_types_within_types_end_somewhere():
    parse("array<" * DEPTH_MAX + "int" + ">" * DEPTH_MAX)
    with pytest.raises(BadType, match="nested"):
        parse("array<" * 5_000 + "int" + ">" * 5_000)
    with pytest.raises(BadType, match="characters"):
        parse("struct<" + ",".join(f"f{i}:int" for i in range(20_000)) + ">")


def test_decimals_are_found_at_any_depth():
    assert holds_decimals(parse("map<string,array<struct<a:int,b:decimal(3,1)>>>"))
    assert not holds_decimals(parse("map<string,array<struct<a:int,b:double>>>"))
