"""Signatures that are refused: every error has AWS's text, and its place in the order."""

import random
from urllib.parse import quote

import pytest

from apps.wire import sigv4
from apps.wire.errors import IncompleteSignature, InvalidSignature, MissingAuthenticationToken, UnrecognizedClient
from tests.unit.wire.requests import answered
from tests.unit.wire.signed import BODY, DATE, KEY_ID, MISMATCH, NOW_MS, SECRET, message, parse, signed


@pytest.mark.parametrize("changed", ["x-amz-target", "content-type", "host", "x-amz-date"])
def test_a_signed_header_that_changed(changed):
    headers = signed()
    signature = parse(headers)
    headers[changed] = headers[changed] + "x"
    if changed == "x-amz-date":
        signature.timestamp = DATE.replace("07Z", "08Z")
    assert message(InvalidSignature, sigv4.verify, signature, SECRET, BODY) == MISMATCH


def test_a_signed_header_that_is_gone():
    headers = signed()
    del headers["x-amz-target"]
    assert message(InvalidSignature, sigv4.verify, parse(headers), SECRET, BODY) == MISMATCH


def test_a_header_that_is_not_signed_may_change():
    headers = signed()
    headers["user-agent"] = "somebody else"
    assert sigv4.verify(parse(headers), SECRET, BODY) == BODY


@pytest.mark.parametrize("value", ["0" * 64, "", "x", "ü" * 64, "A" * 10_000])
def test_a_signature_that_is_none(value):
    signature = parse(signed())
    signature.value = value
    assert message(InvalidSignature, sigv4.verify, signature, SECRET, BODY) == MISMATCH


def test_every_changed_character_of_a_signature_is_seen():
    good = parse(signed()).value
    for place in range(64):
        signature = parse(signed())
        signature.value = good[:place] + ("0" if good[place] != "0" else "1") + good[place + 1 :]
        message(InvalidSignature, sigv4.verify, signature, SECRET, BODY)


def test_nothing_at_all():
    assert message(MissingAuthenticationToken, parse, {}) == "Missing Authentication Token"
    assert message(MissingAuthenticationToken, parse, {"authorization": ""}) == "Missing Authentication Token"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d",
        "X-Amz-Algorith",
        "a=X-Amz-Algorithm",
        "x-amz-algorithm=b",
    ],
)
def test_a_query_without_the_algorithm_is_nothing(query):
    assert message(MissingAuthenticationToken, parse, {}, query) == "Missing Authentication Token"


@pytest.mark.parametrize("query", ["X-Amz-Algorithm", "X-Amz-Algorithm=", "a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256"])
def test_both_ways_at_once(query):
    assert message(InvalidSignature, parse, {"authorization": "X"}, query) == (
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
    )


PARTS = {
    "Credential": "Authorization header requires 'Credential' parameter.",
    "Signature": "Authorization header requires 'Signature' parameter.",
    "SignedHeaders": "Authorization header requires 'SignedHeaders' parameter.",
}
NO_DATE = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."


@pytest.mark.parametrize(
    ("authorization", "missing"),
    [
        ("X", list(PARTS)),
        ("Bearer abc", list(PARTS)),
        ("AWS4- Signature=b Credential=a", ["SignedHeaders"]),
        ("AWS4- Signature=b,Credential=a", ["SignedHeaders"]),
        ("AWS4- Signature=b, Credential=a", ["SignedHeaders"]),
        ("AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=a", ["Credential"]),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=, Signature=a", ["SignedHeaders"]),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=", ["Signature"]),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host", ["Signature"]),
        ("AWS4-HMAC-SHA256", list(PARTS)),
        ("Credential=a SignedHeaders=host Signature=b", ["Credential"]),
    ],
)
@pytest.mark.parametrize("dated", [True, False])
def test_an_incomplete_header(authorization, missing, dated):
    headers = {"authorization": authorization, **({"x-amz-date": "a"} if dated else {})}
    texts = [PARTS[name] for name in missing] + ([] if dated else [NO_DATE])
    assert message(IncompleteSignature, parse, headers) == " ".join([*texts, f"Authorization={authorization}"])


def test_only_the_date_is_missing():
    headers = signed()
    del headers["x-amz-date"]
    assert message(IncompleteSignature, parse, headers) == f"{NO_DATE} Authorization={headers['authorization']}"


QUERY = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{KEY_ID}/20261120/us-east-1/kinesis/aws4_request",
    "X-Amz-Signature": "0" * 64,
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Date": DATE,
}


def query(**changed):
    parts = QUERY | {f"X-Amz-{name}": value for name, value in changed.items()}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parts.items())


def test_an_incomplete_query():
    assert message(IncompleteSignature, parse, {}, "X-Amz-Algorithm") == " ".join(
        [
            *(f"AWS query-string parameters must include '{name}'." for name in QUERY),
            "Re-examine the query-string parameters.",
        ]
    )
    for name in list(QUERY)[1:]:
        assert message(IncompleteSignature, parse, {}, query(**{name.removeprefix("X-Amz-"): ""})) == (
            f"AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
        )


BAD_DATES = [
    "201",
    "a",
    "2026-11-20T10:31:07Z",
    "20261320T103107Z",
    "20261120T103107",
    "20261120 103107Z",
    "1795163467",
    "2" * 100,
    "\uff12\uff10261120T103107Z",
]


@pytest.mark.parametrize("date", BAD_DATES)
def test_a_bad_date(date):
    text = f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
    assert message(IncompleteSignature, parse, {**signed(), "x-amz-date": date}) == text
    assert message(IncompleteSignature, parse, {}, query(Date=date)) == text


def test_clock_skew():
    headers = signed()
    for minutes in (-15, 0, 15):
        assert parse(headers, now_ms=NOW_MS + minutes * 60_000).key_id == KEY_ID
    assert message(InvalidSignature, parse, headers, now_ms=NOW_MS + 15 * 60_000 + 1000) == (
        "Signature expired: 20261120T103107Z is now earlier than 20261120T103108Z (20261120T104608Z - 15 min.)"
    )
    assert message(InvalidSignature, parse, headers, now_ms=NOW_MS - 15 * 60_000 - 1000) == (
        "Signature not yet current: 20261120T103107Z is still later than 20261120T103106Z (20261120T101606Z + 15 min.)"
    )


@pytest.mark.parametrize(
    ("expires", "text"),
    [
        ("x", "X-Amz-Expires should be a number"),
        ("", "X-Amz-Expires should be a number"),
        ("1.5", "X-Amz-Expires should be a number"),
        ("٣", "X-Amz-Expires should be a number"),
        ("9" * 5000, "X-Amz-Expires should be a number"),
        ("-1", "X-Amz-Expires must be non-negative"),
        (
            "604801",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
    ],
)
def test_bad_expiry(expires, text):
    assert message(InvalidSignature, parse, {}, query(Expires=expires)) == text


def test_expiry():
    parse({}, query(Expires="604800"), NOW_MS + 604_800_000)
    assert message(InvalidSignature, parse, {}, query(Expires="90"), NOW_MS + 91_000) == (
        "Signature expired: 20261120T103107Z is now earlier than 20261120T103108Z (20261120T103238Z - 90 sec.)"
    )
    assert message(InvalidSignature, parse, {}, query(Expires="604800"), NOW_MS - 901_000).startswith(
        "Signature not yet current"
    )
    assert message(InvalidSignature, parse, {}, query(), NOW_MS + 901_000).endswith("- 15 min.)")


def authorization(credential=None, algorithm="AWS4-HMAC-SHA256", names="host;x-amz-date"):
    credential = credential or f"{KEY_ID}/20261120/us-east-1/kinesis/aws4_request"
    return {
        "authorization": f"{algorithm} Credential={credential}, SignedHeaders={names}, Signature={'0' * 64}",
        "x-amz-date": DATE,
    }


FIVE = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'"
REGION = "Credential should be scoped to a valid region. "
SERVICE = "Credential should be scoped to correct service: 'kinesis'. "
TERM = "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'. "
DAY = (
    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
    "'{}' != '20261120', from '20261120T103107Z'."
)


@pytest.mark.parametrize(
    ("headers", "error", "text"),
    [
        (
            authorization(names="x-amz-date"),
            InvalidSignature,
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            authorization(names="x-amz-date", algorithm="X", credential="a"),
            InvalidSignature,
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            authorization(algorithm="AWS4-HMAC-SHA25"),
            IncompleteSignature,
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            authorization(algorithm="AWS4-", credential="a"),
            IncompleteSignature,
            "Unsupported AWS 'algorithm': 'AWS4-' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (authorization("a/b/c/d"), IncompleteSignature, FIVE.format("a/b/c/d")),
        (authorization("a"), IncompleteSignature, FIVE.format("a")),
        (authorization("a/b/c/d/"), IncompleteSignature, FIVE.format("a/b/c/d/")),
        (authorization("a/20261120/eu-west-1/kinesis/aws4_request"), InvalidSignature, REGION),
        (authorization("a/20261120/us-east-1/s3/aws4_request"), InvalidSignature, SERVICE),
        (authorization("a/20261120/us-east-1/kinesis/aws4"), InvalidSignature, TERM.format("aws4")),
        (authorization("a/20261119/us-east-1/kinesis/aws4_request"), InvalidSignature, DAY.format("20261119")),
        (authorization("a/b/c/d/e"), InvalidSignature, REGION + SERVICE + TERM.format("e") + DAY.format("b")),
        (authorization("a/20261120/US-EAST-1/kinesis/aws4_request"), InvalidSignature, REGION),
    ],
)
def test_scope(headers, error, text):
    assert message(error, parse, headers) == text


def test_host_in_any_case_and_slashes_at_the_end():
    assert parse(authorization(names="Host;X-Amz-Date")).claim.signed_headers == ("host", "x-amz-date")
    assert parse(authorization(f"{KEY_ID}/20261120/us-east-1/kinesis/aws4_request//")).key_id == KEY_ID


def test_the_order_of_the_errors():
    """Each request has all the faults that come later, too."""
    worst = {"authorization": f"X Credential=a, SignedHeaders=b, Signature={'0' * 64}"}
    assert message(IncompleteSignature, parse, worst).startswith(NO_DATE)
    assert message(IncompleteSignature, parse, {**worst, "x-amz-date": "a"}).startswith("Date must be")
    assert message(InvalidSignature, parse, {**worst, "x-amz-date": "20130301T000000Z"}).startswith("Signature expired")
    assert message(InvalidSignature, parse, {**worst, "x-amz-date": DATE}).startswith("'Host' must be")
    assert message(IncompleteSignature, parse, authorization("a/b", "X")).startswith("Unsupported")
    assert message(IncompleteSignature, parse, authorization("a/b")).startswith("Credential must have")


def test_unknown_clients_have_a_text():
    assert UnrecognizedClient().message == "The security token included in the request is invalid."


def test_garbage_never_breaks_it():
    draw = random.Random(7)
    pieces = [
        "AWS4-HMAC-SHA256",
        " ",
        ",",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "host",
        ";",
        "/",
        "a",
        "\x00",
        "ü",
        "=",
        KEY_ID,
        "20261120",
        "us-east-1",
        "kinesis",
        "aws4_request",
        "X-Amz-Algorithm",
        "&",
        "%",
        "%zz",
        "+",
        "X-Amz-Date=",
        "X-Amz-Expires=",
        DATE,
        "\udcff",
    ]
    for _ in range(5_000):
        headers = {
            "authorization": "".join(draw.choices(pieces, k=draw.randrange(12))),
            "x-amz-date": draw.choice([DATE, "x", ""]),
        }
        sent = headers if draw.random() < 0.6 else {}
        signature = answered(parse, sent, "".join(draw.choices(pieces, k=draw.randrange(14))))
        if isinstance(signature, sigv4.Signature):
            answered(sigv4.verify, signature, SECRET, BODY)


def test_caches_are_bounded():
    for number in range(sigv4.CACHED + 100):
        parse(authorization(f"{number}/20261120/us-east-1/kinesis/aws4_request"))
    assert sigv4._claim.cache_info().currsize == sigv4.CACHED
    before = sigv4._claim.cache_info().misses
    parse(authorization(f"{'x' * 5000}/20261120/us-east-1/kinesis/aws4_request"))
    assert sigv4._claim.cache_info().misses == before


@pytest.mark.parametrize(
    ("path", "double", "single"),
    [
        ("", "/", "/"),
        ("/", "/", "/"),
        ("/a", "/a", "/a"),
        ("/a/", "/a/", "/a/"),
        ("/a//b", "/a/b", "/a//b"),
        ("/a/./b/../c", "/a/c", "/a/./b/../c"),
        ("/a%20b", "/a%2520b", "/a%20b"),
        ("/a%2Fb", "/a%252Fb", "/a/b"),
        ("/..", "/", "/.."),
        ("/~x-_.", "/~x-_.", "/~x-_."),
        ("/a/..", "/", "/a/.."),
    ],
)
def test_paths(path, double, single):
    assert sigv4.canonical_path(path) == double
    assert sigv4.canonical_path(path, double=False) == single


def test_queries():
    assert sigv4.canonical_query("b=2&a=1&a=0&c") == "a=0&a=1&b=2&c="
    assert sigv4.canonical_query("a=%2f+%7E ~") == "a=%2F%2B~%20~"
    assert sigv4.canonical_query("a=1&X-Amz-Signature=2", without="X-Amz-Signature") == "a=1"
    assert sigv4.canonical_query("") == ""
