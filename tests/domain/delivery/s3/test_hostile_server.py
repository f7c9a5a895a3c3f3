"""A server that answers anything: every request ends in an answer or in a DeliveryFailed, soon, and with little memory."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.s3_client import S3, Place
from tests.support.s3 import KEY, REGION, SECRET

LISTED = b"<ListBucketResult><Contents><Key>%s</Key><Size>%s</Size><LastModified>%s</LastModified></Contents></ListBucketResult>"
LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(12))
    + b"]><ListBucketResult><Name>&m;</Name></ListBucketResult>"
)

BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([
        b"", b"<", b"<Error/>", b"<Error><Code>\x00</Code></Error>", b"<Error><Code>" + b"x" * 500 + b"</Code></Error>",
        b"<Error><Code>AccessDenied</Code><Message>secret of the inside</Message></Error>", LAUGHS,
        b'<!DOCTYPE l SYSTEM "file:///etc/passwd"><ListBucketResult/>', b"<html>hello</html>", b"{}",
        LISTED % (b"k", b"many", b"2026-11-20T00:00:00Z"), LISTED % (b"k", b"1", b"yesterday"), LISTED % (b"", b"", b""),
        b"<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>", b"<ListBucketResult><Contents/></ListBucketResult>",
    ]),
)  # fmt: skip
HEADERS = st.sampled_from([
    b"", b"Content-Range: bytes x/y\r\n",
    b"Content-Range: bytes 0-1/\xb2\r\n", b"Content-Encoding: gzip\r\n", b"Last-Modified: never\r\n", b'ETag: ""\r\n',
    b"x-amz-bucket-region: ../../evil\r\n", b"Content-Type: text/html\r\n", b"x-amz-missing-meta: -1\r\n",
])  # fmt: skip
STATUSES = st.sampled_from(
    [
        b"200 OK",
        b"204 No Content",
        b"206 Partial",
        b"301 Moved",
        b"400 Bad",
        b"403 No",
        b"404 No",
        b"416 Range",
        b"500 Bad",
        b"503 No",
        b"999 What",
    ]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(status=STATUSES, headers=HEADERS, body=BODIES)
def test_any_answer(s3_faults, status, headers, body):
    s3_faults.fault = lambda *_: ("says", (status, headers, body))
    place = Place(s3_faults.endpoint, REGION, KEY, SECRET, "", trusted=False, operators_keys=False)
    client = test_any_answer.__dict__.setdefault(s3_faults.endpoint, S3(place, allow_private=True))
    asked = (lambda: client.list("b", "p"), lambda: client.read("b", "k"), lambda: client.copy("b", "k", "l"))
    for failure in filter(None, map(outcome, asked)):
        assert failure.code.startswith("S3.")
        assert "secret of the inside" not in failure.message
        assert len(failure.message) < 400


def outcome(ask):
    """The failure, if it was one; anything else that is raised is a bug."""
    try:
        ask()
    except DeliveryFailed as failure:
        return failure
    return None


def test_a_key_that_the_server_cannot_store_is_given_up(s3_faults):
    place = Place(s3_faults.endpoint, REGION, KEY, SECRET, "", trusted=False, operators_keys=False)
    for code in (b"KeyTooLongError", b"XMinioInvalidObjectName"):
        said = b"<Error><Code>" + code + b"</Code></Error>"
        s3_faults.fault = lambda *_, said=said: ("says", (b"400 Bad Request", b"", said))
        with pytest.raises(DeliveryFailed) as failure:
            S3(place, allow_private=True).copy("b", "k", "l")
        assert (failure.value.code, failure.value.permanent) == ("S3.InvalidObjectKey", True)


def client_of(endpoint):
    return S3(Place(endpoint, REGION, KEY, SECRET, "", trusted=False, operators_keys=False), allow_private=True)


@pytest.mark.parametrize(
    "said", ["bytes 0-0/1000", "bytes 0-9/9", "bytes 0-9/\xb2", "bytes 0-9/" + "9" * 5_000, "bytes 0-9/*"]
)
def test_a_range_that_brings_another_number_of_bytes_is_no_answer(s3_faults, said):
    """Who reads on where the last range ended would read for ever."""
    headers = b"Content-Range: " + said.encode("latin-1") + b"\r\n"
    s3_faults.fault = lambda *_: ("says", (b"206 Partial Content", headers, b"x" * 10))
    with pytest.raises(DeliveryFailed) as failure:
        client_of(s3_faults.endpoint).read("b", "k", 0, 100)
    assert failure.value.code == "S3.InvalidAnswer"


def test_the_whole_instead_of_its_end_is_no_answer(s3_faults):
    s3_faults.fault = lambda *_: ("says", (b"200 OK", b"", b"x" * 10))
    assert client_of(s3_faults.endpoint).read("b", "k").size_bytes == 10
    with pytest.raises(DeliveryFailed) as failure:
        client_of(s3_faults.endpoint).read("b", "k", 10)
    assert failure.value.code == "S3.InvalidAnswer"


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("..", "other/k"), (".", "k"), ("granted", "../other/k"), ("granted", "a/../../other/k"), ("granted", "a/."),
     ("arn:aws:s3:us-west-2:123456789012:accesspoint:mine", "k"), ("user@granted", "k"), ("granted:80", "k"), ("", "k")],
)  # fmt: skip
def test_no_name_leads_out_of_the_bucket(s3_faults, bucket, key):
    before = len(s3_faults.requests)
    with pytest.raises(DeliveryFailed) as failure:
        client_of(s3_faults.endpoint).read(bucket, key)
    assert failure.value.code in {"S3.NoSuchBucket", "S3.InvalidObjectKey"}
    assert len(s3_faults.requests) == before


@pytest.mark.parametrize(("endpoint", "region"), [("", "x@169.254.169.254/"), ("", "-"), ("http://a_b", REGION)])
def test_what_can_be_no_place_of_s3_is_said(endpoint, region):
    with pytest.raises(DeliveryFailed) as failure:
        S3(Place(endpoint, region, KEY, SECRET, "", trusted=False, operators_keys=False), allow_private=True)
    assert failure.value.code == "S3.EndpointRefused"
