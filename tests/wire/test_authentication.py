"""Who may call: AWS's errors for every way a signature can be wrong, over a real socket."""

import pytest

from tests.wire.conftest import Endpoint
from tests.wire.raw import CBOR, JSON, call, headers_for, presign, send, sign
from tests.wire.server import DISABLED_KEY_ID, SECRET

LIST = headers_for("ListStreams")
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
UNRECOGNIZED = "The security token included in the request is invalid."


def refused(endpoint: Endpoint, headers: dict[str, str], path: str = "/") -> tuple[int, str, str]:
    answer = send(endpoint, headers, b"{}", path=path)
    assert answer.headers["content-type"] == JSON
    return answer.status, answer.json["__type"], answer.json["message"]


def test_nothing(endpoint: Endpoint) -> None:
    expected = (400, "MissingAuthenticationTokenException", "Missing Authentication Token")
    assert refused(endpoint, LIST) == expected
    almost = "/?X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d"
    assert refused(endpoint, LIST, almost) == expected


def test_both_ways_at_once(endpoint: Endpoint) -> None:
    text = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
    found = refused(endpoint, {**LIST, "Authorization": "X"}, "/?X-Amz-Algorithm")
    assert found == (400, "InvalidSignatureException", text)


@pytest.mark.parametrize("path", ["/", "/?X-Amz-Algorith"])
def test_an_incomplete_header(endpoint: Endpoint, path: str) -> None:
    text = (
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either "
        "a 'X-Amz-Date' or a 'Date' header. Authorization=X"
    )
    found = refused(endpoint, {**LIST, "Authorization": "X"}, path)
    assert found == (400, "IncompleteSignatureException", text)


@pytest.mark.parametrize("separator", [" ", ",", ", "])
def test_a_header_without_signed_headers(endpoint: Endpoint, separator: str) -> None:
    given = f"AWS4- Signature=b{separator}Credential=a"
    text = f"Authorization header requires 'SignedHeaders' parameter. Authorization={given}"
    found = refused(endpoint, {**LIST, "Authorization": given, "Date": "a"})
    assert found == (400, "IncompleteSignatureException", text)


def test_an_incomplete_query(endpoint: Endpoint) -> None:
    names = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
    sentences = " ".join(f"AWS query-string parameters must include '{name}'." for name in names)
    text = f"{sentences} Re-examine the query-string parameters."
    assert refused(endpoint, LIST, "/?X-Amz-Algorithm") == (400, "IncompleteSignatureException", text)
    found = refused(endpoint, LIST, "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d")
    assert found[2] == (
        "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters."
    )


def test_a_wrong_secret(endpoint: Endpoint) -> None:
    found = refused(endpoint, sign(endpoint, LIST, b"{}", secret="wrong"))
    assert found == (400, "InvalidSignatureException", MISMATCH)


def test_a_changed_body(endpoint: Endpoint) -> None:
    found = refused(endpoint, sign(endpoint, LIST, b'{"Limit":1}'))
    assert found == (400, "InvalidSignatureException", MISMATCH)


def test_an_unknown_key(endpoint: Endpoint) -> None:
    found = refused(endpoint, sign(endpoint, LIST, b"{}", key_id="AKIDNOBODY"))
    assert found == (400, "UnrecognizedClientException", UNRECOGNIZED)


@pytest.mark.parametrize("key_id", ["%00", "x" * 129, "ключ", "'; DROP TABLE--"])
def test_key_ids_that_no_key_can_have(endpoint: Endpoint, key_id: str) -> None:
    path = (
        f"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key_id.replace(' ', '%20')}/DATE/us-east-1/kinesis/"
        "aws4_request&X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Date=TIME"
    )
    time = sign(endpoint, LIST, b"{}")["X-Amz-Date"]
    path = path.replace("DATE", time[:8]).replace("TIME", time).encode().decode("latin-1")
    if not path.isascii():
        path = "".join(c if c.isascii() else f"%{ord(c):02X}" for c in path)
    assert refused(endpoint, LIST, path) == (400, "UnrecognizedClientException", UNRECOGNIZED)


def test_a_disabled_key(endpoint: Endpoint) -> None:
    if endpoint.pid is None:
        pytest.skip("needs the key that this suite's server has")
    found = refused(endpoint, sign(endpoint, LIST, b"{}", key_id=DISABLED_KEY_ID, secret=SECRET))
    assert found == (400, "UnrecognizedClientException", UNRECOGNIZED)


def test_a_session_token_nobody_issued(endpoint: Endpoint) -> None:
    headers = sign(endpoint, {**LIST, "X-Amz-Security-Token": "token"}, b"{}")
    assert refused(endpoint, headers)[1:] == ("UnrecognizedClientException", UNRECOGNIZED)


def test_another_service(endpoint: Endpoint) -> None:
    code, text = refused(endpoint, sign(endpoint, LIST, b"{}", service="dynamodb"))[1:]
    assert code == "InvalidSignatureException"
    assert "Credential should be scoped to correct service: 'kinesis'." in text


def test_an_old_signature(endpoint: Endpoint) -> None:
    headers = sign(endpoint, LIST, b"{}")
    headers["X-Amz-Date"] = "20200101T000000Z"
    code, text = refused(endpoint, headers)[1:]
    assert code == "InvalidSignatureException"
    assert text.startswith("Signature expired: 20200101T000000Z is now earlier than ")


def test_errors_of_signatures_in_cbor(endpoint: Endpoint) -> None:
    answer = send(endpoint, headers_for("ListStreams", CBOR), b"\xa0")
    assert answer.headers["content-type"] == CBOR
    assert answer.cbor == {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"}


def test_a_presigned_request(endpoint: Endpoint) -> None:
    path = presign(endpoint, LIST, b"{}")
    assert send(endpoint, LIST, b"{}", path=path).status == 200
    assert refused(endpoint, LIST, path[:-1] + ("0" if path[-1] != "0" else "1"))[2] == MISMATCH


@pytest.mark.parametrize("path", ["/whatever", "/some/where/", "/with%20space"])
def test_the_path_does_not_matter_but_is_signed(endpoint: Endpoint, path: str) -> None:
    right = sign(endpoint, LIST, b"{}", path=path)
    assert send(endpoint, right, b"{}", path=path).status == 200
    assert refused(endpoint, right, "/another")[2] == MISMATCH


def test_a_right_signature_after_all_that(endpoint: Endpoint) -> None:
    assert call(endpoint, "ListStreams").status == 200
