"""Definitions in the schema registry."""

import json

import pytest

from apps.catalogue.definitions import digest, problem

TREE = {
    "type": "record", "name": "Tree", "namespace": "a.b",
    "fields": [
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "again", "type": ["null", "Kind", "a.b.Kind"]},
        {"name": "below", "type": {"type": "array", "items": "Tree"}},
        {"name": "by_name", "type": {"type": "map", "values": {"type": "fixed", "name": "Id", "size": 16}}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("definition", ["string", {"type": "int"}, ["null", "long"], TREE])
def test_what_is_avro(definition):
    assert problem("AVRO", json.dumps(definition)) == ""


@pytest.mark.parametrize(
    "definition",
    [
        "text", 1, None, {}, {"type": "record"}, {"type": "record", "name": "R"}, {"type": "record", "name": "1", "fields": []},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "x"}]},
        {"type": "record", "name": "R", "fields": [{"type": "int"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}, {"type": "array"},
        {"type": "enum", "name": "E", "symbols": ["a", "a"]}, {"type": "fixed", "name": "F", "size": -1}, [["int"]],
        [{"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 1}],
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_avro(definition):
    assert problem("AVRO", json.dumps(definition))


def test_no_depth_is_too_much():
    for depth in (100, 100_000):
        assert problem("AVRO", '{"type":"array","items":' * depth + '"int"' + "}" * depth)
    assert problem("JSON", '{"items":' * 100 + "{}" + "}" * 100) == ""
    assert problem("JSON", '{"items":' * 100_000 + "{}" + "}" * 100_000)


@pytest.mark.parametrize(
    "definition", [True, {}, {"type": ["null", "string"]}, {"properties": {"a": {}}, "required": ["a"]}]
)
def test_what_is_a_json_schema(definition):
    assert problem("JSON", json.dumps(definition)) == ""


@pytest.mark.parametrize(
    "definition", [1, "a", [], {"type": "text"}, {"properties": []}, {"required": "a"}, {"required": [1]}]
)
def test_what_is_no_json_schema(definition):
    assert problem("JSON", json.dumps(definition))


def test_white_space_does_not_count():
    assert digest('{"a": [1, "b c"]}') == digest('{ "a":[1,\n"b c"] }')
    assert digest('{"a": "b c"}') != digest('{"a": "bc"}')
