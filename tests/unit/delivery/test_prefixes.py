"""Prefixes of objects: expressions, what is put behind them, what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.prefixes import (
    Moment,
    check_prefixes,
    checked_key,
    error_prefix,
    error_type_of,
    object_name,
    object_prefix,
    partition_problem,
    steady_error_prefix,
)

AT = Moment(1_531_695_600_123, "", "seed")  # 2018-07-15T23:00:00.123Z
FAILED = Moment(1_531_695_600_123, "", "seed", None, "processing-failed")


@pytest.mark.parametrize(
    ("prefix", "evaluated"),
    [
        ("", "2018/07/15/23/"),
        ("legacy", "legacy2018/07/15/23/"),
        ("logs/", "logs/2018/07/15/23/"),
        ("/x//", "/x//2018/07/15/23/"),
        ("y=!{timestamp:yyyy}/m=!{timestamp:MM}/", "y=2018/m=07/"),
        ("!{timestamp:'year='yyyy'/month='MM}/", "year=2018/month=07/"),
        ("!{timestamp:yyyy-MM-dd}/rest", "2018-07-15/rest"),
        ("not!an{expression}!", "not!an{expression}!2018/07/15/23/"),
    ],
)
def test_prefix(prefix, evaluated):
    assert object_prefix({"Prefix": prefix}, AT) == evaluated


@pytest.mark.parametrize(
    ("given_", "evaluated"),
    [
        ({}, "processing-failed/2018/07/15/23/"),
        ({"Prefix": "p/"}, "p/processing-failed/2018/07/15/23/"),
        ({"Prefix": "p/", "ErrorOutputPrefix": "e-"}, "e-processing-failed/2018/07/15/23/"),
        ({"ErrorOutputPrefix": "e/!{firehose:error-output-type}/"}, "e/processing-failed/"),
        (
            {"ErrorOutputPrefix": "e/!{timestamp:yyyy}/x/!{firehose:error-output-type}/!{timestamp:dd}"},
            "e/2018/x/processing-failed/15",
        ),
    ],
)
def test_error_prefix(given_, evaluated):
    assert error_prefix(given_, FAILED) == evaluated
    assert evaluated.startswith(steady_error_prefix(given_))
    key = evaluated + object_name("a.b", 3, FAILED)
    assert error_type_of(given_, "a.b", key) == error_type_of(given_, "a.b", key + ".gz") == "processing-failed"
    assert error_type_of(given_, "axb", key) is None
    assert error_type_of(given_, "b", key) is None
    assert error_type_of(given_, "a.b", evaluated + "x-" + object_name("a.b", 3, FAILED)) is None
    assert error_type_of(given_, "a.b", f"2018/07/15/23/{object_name('a.b', 3, FAILED)}") is None  # an object of data


def test_the_hour_that_comes_twice():
    zone = {"CustomTimeZone": "Europe/Berlin", "ErrorOutputPrefix": "!{timestamp:HH-X}/!{firehose:error-output-type}/"}
    for at_ms in (1_792_888_200_000, 1_792_891_800_000):  # 2026-10-25 at 02:30, in summer time and after it
        moment = Moment(at_ms, "Europe/Berlin", "seed", None, "splunk-failed")
        key = error_prefix(zone, moment) + object_name("s", 1, moment)
        assert error_type_of(zone, "s", key) == "splunk-failed"


def test_the_same_seed_gives_the_same_chance_and_each_expression_its_own():
    twice = {"Prefix": "!{firehose:random-string}/!{firehose:random-string}/!{timestamp:yyyy}/"}
    first, second, _, _ = object_prefix(twice, AT).split("/")
    assert re.fullmatch("[A-Za-z0-9]{11}", first)
    assert re.fullmatch("[A-Za-z0-9]{11}", second)
    assert first != second
    assert object_prefix(twice, AT) == object_prefix(twice, AT)
    other = Moment(AT.at_ms, "", "another seed")
    assert object_prefix(twice, other) != object_prefix(twice, AT)
    assert object_name("s", 1, AT) == object_name("s", 1, AT)
    assert object_name("s", 1, other) != object_name("s", 1, AT)


def test_names_and_prefixes_are_in_the_custom_time_zone():
    tokyo = Moment(AT.at_ms, "Asia/Tokyo", "seed")
    assert object_prefix({}, tokyo) == "2018/07/16/08/"
    assert object_name("orders", 7, tokyo).startswith("orders-7-2018-07-16-08-00-00-")


def test_partition_keys_are_the_whole_path():
    prefix = {"Prefix": "c=!{partitionKeyFromQuery:c}/d=!{partitionKeyFromLambda:d}/"}
    moment = Moment(AT.at_ms, "", "seed", {"c": "1", "d": "ä b"})
    assert object_prefix(prefix, moment) == "c=1/d=ä b/"
    assert partition_problem(prefix, {"c": "1", "d": "2"}) == ""
    for hostile in ({"c": "1"}, {"c": "1", "d": ""}, {"c": "..", "d": "2"}, {"c": "a/../..", "d": "2"}):
        assert partition_problem({"Prefix": "!{partitionKeyFromQuery:c}/!{partitionKeyFromLambda:d}/"}, hostile)
    assert "control character" in partition_problem(prefix, {"c": "a\nb", "d": "2"})
    assert "512" in partition_problem(prefix, {"c": "k" * 600, "d": "2"})


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ({"Prefix": "!{timestamp:yyyy}/"}, "ErrorOutputPrefix can't be null"),
        ({"Prefix": "!{firehose:error-output-type}/", "ErrorOutputPrefix": "e"}, "can't contain !{firehose:error-output-type}"),
        ({"ErrorOutputPrefix": "!{timestamp:yyyy}/"}, "must contain !{firehose:error-output-type}"),
        ({"Prefix": "!{timestamp:yyyy", "ErrorOutputPrefix": "e"}, "has no end"),
        ({"Prefix": "!{time:yyyy}", "ErrorOutputPrefix": "e"}, "invalid expression: !{time:yyyy}"),
        ({"Prefix": "!{}", "ErrorOutputPrefix": "e"}, "invalid expression"),
        ({"Prefix": "!{firehose:random}", "ErrorOutputPrefix": "e"}, "invalid expression"),
        ({"Prefix": "!{timestamp:}", "ErrorOutputPrefix": "e"}, "needs a pattern"),
        ({"Prefix": "!{timestamp:bbb}", "ErrorOutputPrefix": "e"}, "Unknown pattern letter: b"),
        ({"Prefix": "!{timestamp:yyyy'x}", "ErrorOutputPrefix": "e"}, "incomplete string literal"),
        ({"Prefix": "a/../b/"}, "a part that is . or .."),
        ({"Prefix": "./"}, "a part that is . or .."),
        ({"Prefix": "a\x00"}, "control character"),
        ({"Prefix": "!{timestamp:'../'}", "ErrorOutputPrefix": "e"}, "a part that is . or .."),
        ({"Prefix": "x" * 500}, "512"),
        ({"Prefix": "x" * 480, "ErrorOutputPrefix": ""}, "512"),
        ({"CustomTimeZone": "Mars/Base"}, "no time zone 'Mars/Base'"),
        ({"CustomTimeZone": "../../etc/passwd"}, "no time zone"),
        ({"Prefix": "!{partitionKeyFromQuery:a}", "ErrorOutputPrefix": "e"}, "only when dynamic partitioning"),
        ({"ErrorOutputPrefix": "!{firehose:error-output-type}!{partitionKeyFromQuery:a}"}, "can't contain partition keys"),
    ],
)  # fmt: skip
def test_refused(description, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        check_prefixes(description)


def test_partition_names_must_be_known():
    names = {"query": {"a"}, "lambda": set()}
    check_prefixes({"Prefix": "!{partitionKeyFromQuery:a}/", "ErrorOutputPrefix": "e/"}, partition_names=names)
    check_prefixes({"Prefix": "!{partitionKeyFromLambda:z}/", "ErrorOutputPrefix": "e/"}, partition_names=names)
    with pytest.raises(ValueError, match="no query extracts: b"):
        check_prefixes({"Prefix": "!{partitionKeyFromQuery:b}/", "ErrorOutputPrefix": "e/"}, partition_names=names)
    with pytest.raises(ValueError, match="must contain a partition key"):
        check_prefixes({"Prefix": "p/"}, partition_names=names)


def test_redshift_has_none():
    check_prefixes({"Prefix": "p/"}, expressions_allowed=False)
    for refused in ({"Prefix": "!{timestamp:yyyy}/", "ErrorOutputPrefix": "e"}, {"ErrorOutputPrefix": "e"}):
        with pytest.raises(ValueError, match="Amazon Redshift"):
            check_prefixes(refused, expressions_allowed=False)


def test_a_key_has_1024_bytes_at_most():
    assert checked_key("ä" * 512)
    with pytest.raises(ValueError, match="1024 bytes"):
        checked_key("ä" * 512 + "x")


@given(
    st.text(max_size=600), st.text(max_size=60), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3)
)
def test_whatever_is_given_is_a_key_or_a_sentence(prefix, error, keys):
    description = {"Prefix": prefix, "ErrorOutputPrefix": error}
    try:
        check_prefixes(description)
        key = object_prefix(description, Moment(AT.at_ms, "", "s", keys)) + object_name("o", 1, AT)
    except ValueError:
        return
    else:
        assert not {".", ".."}.intersection(key.split("/"))
        assert not re.search(r"[\x00-\x1f]", key)
