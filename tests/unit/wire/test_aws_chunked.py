"""aws-chunked bodies: AWS's documented example, botocore's, our own, and broken ones."""

import base64
import hashlib
import io
import random
import zlib
from datetime import UTC, datetime

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum

from apps.base.errors import ServiceError
from apps.wire import aws_chunked, sigv4
from apps.wire.errors import IncompleteSignature, InvalidSignature
from tests.unit.wire.requests import answered
from tests.unit.wire.signed import KEY_ID, MISMATCH, NOW_MS, SCOPE, SECRET, message, parse

DATA = bytes(range(256)) * 100


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def request(kind, data=DATA, chunk_bytes=8192, trailers=None, announced=None):
    """A signed request with a chunked body."""
    headers = {
        "host": "localhost",
        "x-amz-content-sha256": kind,
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(data)),
    }
    if trailers or announced:
        headers["x-amz-trailer"] = announced or ",".join(trailers)
    headers |= sigv4.sign("POST", "/", headers, b"", key_id=KEY_ID, secret=SECRET, now_ms=NOW_MS, **SCOPE)
    signature = parse(headers)
    key = sigv4.signing_key(SECRET, signature.claim.date, signature.claim.region, signature.claim.service)
    seal = aws_chunked.Seal(key, signature.timestamp, signature.claim.scope, signature.value)
    return signature, aws_chunked.encode(data, kind, seal, chunk_bytes, trailers)


KINDS = [
    (aws_chunked.SIGNED, None),
    (aws_chunked.SIGNED_WITH_TRAILER, {"x-amz-checksum-crc32": crc32(DATA)}),
    (aws_chunked.UNSIGNED_WITH_TRAILER, {"x-amz-checksum-crc32": crc32(DATA)}),
    (
        aws_chunked.UNSIGNED_WITH_TRAILER,
        {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(DATA).digest()).decode()},
    ),
    (
        aws_chunked.UNSIGNED_WITH_TRAILER,
        {"x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(DATA).digest()).decode()},
    ),
    (aws_chunked.UNSIGNED_WITH_TRAILER, None),
]


@pytest.mark.parametrize(("kind", "trailers"), KINDS)
@pytest.mark.parametrize("chunk_bytes", [1000, 8192, 100_000])
def test_there_and_back(kind, trailers, chunk_bytes):
    signature, body = request(kind, chunk_bytes=chunk_bytes, trailers=trailers)
    assert body != DATA
    assert sigv4.verify(signature, SECRET, body) == DATA
    assert message(InvalidSignature, sigv4.verify, signature, "x", body) == MISMATCH


def test_an_empty_body():
    signature, body = request(aws_chunked.SIGNED, data=b"")
    assert sigv4.verify(signature, SECRET, body) == b""


def test_awss_documented_example():
    """The example of the S3 guide, with its published signatures."""
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "content-length": "66824",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=content-encoding;content-length;"
        "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"
        "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    }
    chunks = [
        (b"a" * 65536, b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1024, b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ]
    body = b"".join(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), signature, data) for data, signature in chunks)
    now_ms = int(datetime(2013, 5, 24, tzinfo=UTC).timestamp()) * 1000
    signature = sigv4.parse(headers, "", now_ms=now_ms, region="us-east-1", service="s3")
    assert sigv4.verify(signature, secret, body, method="PUT", path="/examplebucket/chunkObject.txt") == b"a" * 66560


def test_botocores_unsigned_chunks():
    wrapper = AwsChunkedWrapper(
        io.BytesIO(DATA), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=4096
    )
    body = wrapper.read()
    signature, _ = request(aws_chunked.UNSIGNED_WITH_TRAILER, announced="x-amz-checksum-crc32")
    assert sigv4.verify(signature, SECRET, body) == DATA


def test_every_changed_byte_of_signed_chunks_is_seen():
    signature, body = request(
        aws_chunked.SIGNED_WITH_TRAILER,
        data=b"abc" * 40,
        chunk_bytes=50,
        trailers={"x-amz-checksum-crc32": crc32(b"abc" * 40)},
    )
    for place in range(len(body)):
        broken = bytearray(body)
        broken[place] ^= 1
        found = answered(sigv4.verify, signature, SECRET, bytes(broken))
        assert isinstance(found, ServiceError), place


def test_chunks_out_of_order_or_left_out():
    signature, body = request(aws_chunked.SIGNED, data=b"a" * 50 + b"b" * 50 + b"c" * 50, chunk_bytes=50)
    size = body.index(b"\r\n") + 2 + 52
    first, second, rest = body[:size], body[size : 2 * size], body[2 * size :]
    assert sigv4.verify(signature, SECRET, first + second + rest) == b"a" * 50 + b"b" * 50 + b"c" * 50
    for broken in (second + first + rest, first + rest, second + rest, first + first + rest):
        message(InvalidSignature, sigv4.verify, signature, SECRET, broken)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "a line does not end"),
        (b"5", "a line does not end"),
        (b"5\r\nabc", "a chunk is cut short"),
        (b"3\r\nabcd\r\n", "a chunk is longer than it says"),
        (b"\r\n", "a chunk has no size"),
        (b"x\r\n", "a chunk has no size"),
        (b"-1\r\n", "a chunk has no size"),
        (b"ffffffffff\r\n", "a chunk has no size"),
        (b"3;x=y\r\nabc\r\n", "a chunk has an unknown extension"),
        (b"3\r\nabc\r\n", "a line does not end"),
        (b"3\r\nabc\r\n0\r\n", "a line does not end"),
        (b"3\r\nabc\r\n0\r\n\r\nx", "it goes on after its last chunk"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:a\r\n\r\n", "its trailers are not those of x-amz-trailer"),
        (b"3\r\nabc\r\n0\r\n" + b"a:b\r\n" * 20 + b"\r\n", "it has too many trailers"),
        (b"2\r\nab\r\n0\r\n\r\n", "its length is not that of x-amz-decoded-content-length"),
        (b"1" * 2000 + b"\r\n", "a line does not end"),
        (b"1\r\na\r\n" * 70_000, "it has too many chunks"),
    ],
)
def test_malformed(body, why):
    signature, _ = request(aws_chunked.UNSIGNED_WITH_TRAILER, data=b"abc")
    assert (
        message(IncompleteSignature, sigv4.verify, signature, SECRET, body)
        == f"The aws-chunked body is malformed: {why}."
    )


def test_a_checksum_that_is_wrong_or_unknown():
    body = b"3\r\nabc\r\n0\r\nx-amz-checksum-%s:AAAA\r\n\r\n"
    signature, _ = request(aws_chunked.UNSIGNED_WITH_TRAILER, data=b"abc", announced="x-amz-checksum-crc32")
    assert (
        message(InvalidSignature, sigv4.verify, signature, SECRET, body % b"crc32")
        == "The value of x-amz-checksum-crc32 is not that of the body."
    )
    signature, _ = request(aws_chunked.UNSIGNED_WITH_TRAILER, data=b"abc", announced="x-amz-checksum-crc32c")
    assert message(IncompleteSignature, sigv4.verify, signature, SECRET, body % b"crc32c").startswith(
        "The trailer 'x-amz-checksum-crc32c' is not supported"
    )


def test_an_unknown_kind():
    signature, body = request(aws_chunked.UNSIGNED_WITH_TRAILER)
    signature.headers["x-amz-content-sha256"] = "STREAMING-X"
    assert message(InvalidSignature, sigv4.verify, signature, SECRET, body) == MISMATCH
    assert message(IncompleteSignature, aws_chunked.decode, body, "STREAMING-X", {}, None) == (
        "The value 'STREAMING-X' of x-amz-content-sha256 is not supported."
    )


def test_garbage_never_breaks_it():
    draw = random.Random(3)
    signature, good = request(aws_chunked.UNSIGNED_WITH_TRAILER, data=b"abc" * 30, chunk_bytes=20)
    for _ in range(3_000):
        body = bytearray(good)
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(body))
            body[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        answered(sigv4.verify, signature, SECRET, bytes(body))
