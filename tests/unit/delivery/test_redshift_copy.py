"""The COPY statement: what people write down becomes one statement, or is refused; nothing slips through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.destinations import redshift_copy
from apps.delivery.destinations.redshift_copy import CopyRefused, address, columns, options, statement, table

ROLE = "arn:aws:iam::123456789012:role/firehose"


def description(**command: str) -> dict:
    return {"RoleARN": ROLE, "CopyCommand": {"DataTableName": "events", **command}}


def test_the_whole_statement() -> None:
    said = description(
        DataTableName="Shop.Events", DataTableColumns='id, At ,"Odd one"', CopyOptions="json 'auto' timeformat as 'auto';"
    )  # fmt: skip
    assert statement(said, "s3://b/manifests/m", compressed=True) == (
        'COPY "shop"."events" ("id", "at", "Odd one") FROM \'s3://b/manifests/m\' CREDENTIALS '
        f"'aws_iam_role={ROLE}' MANIFEST JSON 'auto' TIMEFORMAT 'auto' GZIP"
    )


def test_gzip_is_said_once() -> None:
    said = statement(description(CopyOptions="gzip delimiter '|'"), "s3://b/m", compressed=True)
    assert said.endswith("MANIFEST GZIP DELIMITER '|'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("delimiter '\\t' lzop;", ["DELIMITER '\\t'", "LZOP"]),
        ("delimiter ';'", ["DELIMITER ';'"]),
        ("delimiter '--' escape", ["DELIMITER '--'", "ESCAPE"]),
        (
            "fixedwidth 'venueid:3,venuename:25,venuecity:12,venuestate:2,venueseats:6'",
            ["FIXEDWIDTH 'venueid:3,venuename:25,venuecity:12,venuestate:2,venueseats:6'"],
        ),
        ("JSON 's3://mybucket/jsonpaths.txt'", ["JSON 's3://mybucket/jsonpaths.txt'"]),
        ("format as csv quote as '%' ignoreheader 1", ["FORMAT AS CSV", "QUOTE AS '%'", "IGNOREHEADER 1"]),
        ("null as '\\N' compupdate off statupdate maxerror as 10", ["NULL AS '\\N'", "COMPUPDATE OFF", "STATUPDATE", "MAXERROR 10"]),
        ("acceptinvchars as '^' acceptanydate encoding utf8", ["ACCEPTINVCHARS '^'", "ACCEPTANYDATE", "ENCODING UTF8"]),
        ("timeformat 'YYYY-MM-DD''T''HH:MI:SS' ", ["TIMEFORMAT 'YYYY-MM-DD''T''HH:MI:SS'"]),
        ("", []),
    ],
)  # fmt: skip
def test_options_of_the_guide(text: str, told: list[str]) -> None:
    assert options(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "gzip; drop table events",
        "gzip -- comment",
        "gzip /* comment */",
        "credentials 'aws_access_key_id=x'",
        "iam_role 'arn:aws:iam::123456789012:role/other'",
        "access_key_id 'x' secret_access_key 'y'",
        "from 's3://other/'",
        "manifest",
        "noload",
        "delimiter",
        "delimiter '\\' gzip; drop table events; --'",
        "delimiter '\\\\\\''",
        "delimiter 'open",
        "delimiter $$x$$",
        "delimiter E'x'",
        "json auto",
        "encoding latin1",
        "compupdate maybe",
        "format as avro",
        "format",
        "1",
        "'text'",
        "gzip)",
        "ignoreheader -1",
        "gzip;;",
    ],
)
def test_options_that_are_refused(text: str) -> None:
    with pytest.raises(CopyRefused):
        options(text)


@pytest.mark.parametrize(
    "text", ["", "a b", "a;b", "a.b.c.d", "a.", ".a", '"a', '""', "a--", "a'b", "1a", "x" * 128, '"a\nb"', 'a"; drop table b']
)  # fmt: skip
def test_tables_that_are_refused(text: str) -> None:
    with pytest.raises(CopyRefused):
        table(text)


@pytest.mark.parametrize("text", ["a,", ",a", "a b", "a) from 's3://x", "a,,b"])
def test_columns_that_are_refused(text: str) -> None:
    with pytest.raises(CopyRefused):
        columns(text)


def test_names_are_folded_unless_quoted() -> None:
    assert table('Public."Odd ""Name"""') == '"public"."Odd ""Name"""'
    assert columns(" ") == ""


@given(st.text(max_size=60))
def test_nothing_leaves_its_place(text: str) -> None:
    """Whatever the three texts are: outside of literals and quoted names there are only words that we wrote."""
    try:
        said = statement(
            description(DataTableName=text, DataTableColumns=text, CopyOptions=text), "s3://b/m", compressed=False
        )
    except CopyRefused:
        return
    bare, quote = "", ""
    for character in said:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            bare += character
    assert not quote
    assert not set(bare) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.,() ")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/dev", ("c.abc.us-east-1.redshift.amazonaws.com", 5439, "dev")),
        ("jdbc:postgresql://c.redshift.x:1/a_b-c$", ("c.redshift.x", 1, "a_b-c$")),
    ],
)  # fmt: skip
def test_addresses(url: str, found: tuple) -> None:
    assert address(url) == found


@pytest.mark.parametrize(
    "rest", ["redshift://c:70000/dev", "mysql://c:1/dev", "redshift://c:1/d?ssl=false", "redshift://a@c:1/d"]
)
def test_addresses_that_are_refused(rest: str) -> None:
    with pytest.raises(CopyRefused):
        address(f"jdbc:{rest}")


def test_roles_and_keys_that_would_end_their_literal_are_refused() -> None:
    with pytest.raises(CopyRefused):
        statement({**description(), "RoleARN": "arn:aws:iam::123456789012:role/x' gzip"}, "s3://b/m", compressed=False)
    for url in ("s3://b/it's", "s3://b/back\\slash", "s3://b/line\nbreak"):
        with pytest.raises(CopyRefused):
            redshift_copy.literal(url)
