"""Signatures that are accepted: botocore's, AWS's published ones and our own, which are botocore's too."""

import hashlib
import random
import string
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.wire import sigv4
from apps.wire.errors import InvalidSignature
from tests.unit.wire.signed import BODY, DATE, KEY_ID, MISMATCH, NOW, NOW_MS, SCOPE, SECRET, message, parse, signed

# Accepted: the signatures of others


@pytest.fixture
def their_clock(monkeypatch):
    """botocore's signers sign at NOW."""
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda remove_tzinfo=True: NOW.replace(tzinfo=None), raising=False
    )


CHARACTERS = string.ascii_letters + string.digits + "-_.~ /+=&%äß😀"


def their_request(draw):
    """A request as botocore's signer takes it, with odd but legal parts."""

    def text(size):
        return "".join(draw.choices(CHARACTERS, k=draw.randrange(size)))

    path = "/" + quote(text(12), safe="/~") if draw.random() < 0.5 else "/"
    query = "&".join(f"{quote(text(6), safe='~')}={quote(text(8), safe='~')}" for _ in range(draw.randrange(4)))
    headers = {
        "Content-Type": draw.choice(["application/x-amz-json-1.1", "application/x-amz-cbor-1.1"]),
        "X-Amz-Target": f"Kinesis_20131202.{draw.choice(['PutRecords', 'ListStreams'])}",
    }
    for _ in range(draw.randrange(3)):
        name = "X-Amz-" + "".join(draw.choices(string.ascii_letters, k=5))
        headers[name] = draw.choice(["a", "  a   b  ", "a\tb", "", "a,b", "ümlaut", "=;,"])
    body = draw.choice([b"", b"{}", draw.randbytes(draw.randrange(300))])
    url = f"http://{draw.choice(['localhost:4567', '127.0.0.1:4567', 'kinesis.local'])}{path}" + (
        f"?{query}" if query else ""
    )
    return AWSRequest(method=draw.choice(["POST", "POST", "GET", "PUT"]), url=url, headers=headers, data=body)


def as_received(request):
    """Headers as a server hands them on: lower-case names, UTF-8 bytes as Latin-1 characters, stripped."""
    parts = urlsplit(request.url)
    headers = {name.lower(): value.encode().decode("latin-1").strip(" ") for name, value in request.headers.items()}
    return {"host": parts.netloc, **headers}, parts.query, parts.path


def body_of(request):
    return request.data if isinstance(request.data, bytes) else (request.data or "").encode()


def test_the_clock_of_botocore_is_ours(their_clock):
    request = AWSRequest(method="POST", url="http://localhost/", headers={}, data=b"")
    SigV4Auth(Credentials(KEY_ID, SECRET), "kinesis", "us-east-1").add_auth(request)
    assert request.headers["X-Amz-Date"] == DATE


def test_botocores_header_signatures(their_clock):
    draw = random.Random(1)
    for _ in range(400):
        request = their_request(draw)
        token = draw.choice([None, None, "a token"])
        SigV4Auth(Credentials(KEY_ID, SECRET, token), "kinesis", "us-east-1").add_auth(request)
        headers, query, path = as_received(request)
        signature = parse(headers, query)
        assert (signature.key_id, signature.session_token) == (KEY_ID, token)
        assert sigv4.verify(signature, SECRET, body_of(request), method=request.method, path=path) == body_of(request)
        assert (
            message(
                InvalidSignature,
                sigv4.verify,
                signature,
                SECRET + "x",
                body_of(request),
                method=request.method,
                path=path,
            )
            == MISMATCH
        )
        assert (
            message(
                InvalidSignature,
                sigv4.verify,
                signature,
                SECRET,
                body_of(request) + b" ",
                method=request.method,
                path=path,
            )
            == MISMATCH
        )


def test_botocores_presigned_requests(their_clock):
    draw = random.Random(2)
    for _ in range(200):
        request = their_request(draw)
        request.headers.replace_header("Content-Type", "application/x-amz-json-1.1")
        request.data = b""
        SigV4QueryAuth(
            Credentials(KEY_ID, SECRET, draw.choice([None, "to/ken="])), "kinesis", "us-east-1", expires=600
        ).add_auth(request)
        headers, query, path = as_received(request)
        signature = parse(headers, query, NOW_MS + 599_000)
        assert sigv4.verify(signature, SECRET, b"", method=request.method, path=path) == b""
        message(InvalidSignature, sigv4.verify, signature, "x", b"", method=request.method, path=path)
        expired = message(InvalidSignature, parse, headers, query, NOW_MS + 601_000)
        assert (
            expired
            == "Signature expired: 20261120T103107Z is now earlier than 20261120T103108Z (20261120T104108Z - 10 min.)"
        )


def test_our_header_signatures_are_botocores(their_clock):
    draw = random.Random(3)
    for _ in range(200):
        request = their_request(draw)
        ours, query, path = as_received(request)
        added = sigv4.sign(
            request.method,
            path,
            ours,
            body_of(request),
            key_id=KEY_ID,
            secret=SECRET,
            now_ms=NOW_MS,
            query=query,
            **SCOPE,
        )
        SigV4Auth(Credentials(KEY_ID, SECRET), "kinesis", "us-east-1").add_auth(request)
        assert added["authorization"] == request.headers["Authorization"]
        assert added["x-amz-date"] == request.headers["X-Amz-Date"]


def test_a_vector_of_awss_own_suite():
    """get-vanilla of the public test suite."""
    headers = {"host": "example.amazonaws.com"}
    added = sigv4.sign(
        "GET",
        "/",
        headers,
        b"",
        key_id=KEY_ID,
        secret=SECRET,
        region="us-east-1",
        service="service",
        now_ms=int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()) * 1000,
    )
    assert added["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


# Accepted: our own, in every form


@pytest.mark.parametrize("separator", [", ", ",", " ", " , "])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
def test_parameters_in_any_order_and_separation(order, separator):
    headers = signed()
    algorithm, _, rest = headers["authorization"].partition(" ")
    parts = rest.split(", ")
    headers["authorization"] = f"{algorithm} " + separator.join(parts[place] for place in order)
    assert sigv4.verify(parse(headers), SECRET, BODY) == BODY


@pytest.mark.parametrize(
    "key_id",
    ["test", "a/b/c", "my key", "k=v", "ключ", "a+b", "x" * 900, "Signature=x", "a,b", "a, SignedHeaders=x;y"],
)
def test_key_ids_may_be_any_text(key_id):
    headers = signed(key_id=key_id)
    signature = parse(headers)
    assert signature.key_id == key_id
    assert sigv4.verify(signature, SECRET, BODY) == BODY


def test_a_date_header_instead():
    for date in (format_datetime(NOW, usegmt=True), DATE):
        headers = {"host": "localhost", "date": date}
        request = AWSRequest(method="POST", url="http://localhost/", headers={"Date": date}, data=BODY)
        request.context["timestamp"] = DATE
        auth = SigV4Auth(Credentials(KEY_ID, SECRET), "kinesis", "us-east-1")
        canonical = auth.canonical_request(request)
        value = auth.signature(auth.string_to_sign(request, canonical), request)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20261120/us-east-1/kinesis/aws4_request, SignedHeaders=date;host, Signature={value}"
        )
        assert sigv4.verify(parse(headers), SECRET, BODY) == BODY


def test_an_unsigned_payload_may_be_anything():
    headers = signed(body=b"", **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    assert sigv4.verify(parse(headers), SECRET, b"whatever") == b"whatever"


def test_a_declared_hash_must_be_right():
    good = signed(**{"x-amz-content-sha256": hashlib.sha256(BODY).hexdigest()})
    assert sigv4.verify(parse(good), SECRET, BODY) == BODY
    wrong = signed(**{"x-amz-content-sha256": hashlib.sha256(b"x").hexdigest()})
    assert message(InvalidSignature, sigv4.verify, parse(wrong), SECRET, BODY) == MISMATCH
    lies = signed()
    lies["x-amz-content-sha256"] = hashlib.sha256(b"x").hexdigest()
    assert message(InvalidSignature, sigv4.verify, parse(lies), SECRET, BODY) == MISMATCH


def presigned(expires_s=60, payload_hash=sigv4.UNSIGNED, **headers):
    headers = {"host": "localhost:4567", "x-amz-content-sha256": payload_hash, **headers}
    query = sigv4.presign(
        "POST",
        "/",
        headers,
        key_id=KEY_ID,
        secret=SECRET,
        now_ms=NOW_MS,
        expires_s=expires_s,
        query="b=2&a=1+%2F",
        payload_hash=payload_hash,
        **SCOPE,
    )
    return headers, query


def test_presigned_by_ourselves():
    headers, query = presigned()
    assert sigv4.verify(parse(headers, query), SECRET, BODY) == BODY
    headers, query = presigned(payload_hash=hashlib.sha256(BODY).hexdigest())
    assert sigv4.verify(parse(headers, query), SECRET, BODY) == BODY
    message(InvalidSignature, sigv4.verify, parse(headers, query), SECRET, b"x")
    message(InvalidSignature, sigv4.verify, parse(headers, query + "&c=3"), SECRET, BODY)
    message(InvalidSignature, sigv4.verify, parse(headers, query), SECRET, BODY, method="GET")
    message(InvalidSignature, sigv4.verify, parse(headers, query), SECRET, BODY, path="/x")
