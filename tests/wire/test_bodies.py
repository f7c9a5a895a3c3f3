"""Bodies that are too large, too slow, or never end."""

import base64
import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.wire.conftest import Endpoint
from tests.wire.raw import JSON, call, chunk, connect, head, headers_for, receive, sign

MIB = 1 << 20
AGAIN_S, REFUSALS_MAX = 0.02, 50
"""A client that was told to come again does so, and is served within a second of his own waiting."""
LIMIT = 15 * MIB
UNKNOWN = "AKIDNOBODY"


def unsigned_payload(endpoint: Endpoint, **options: str) -> dict[str, str]:
    """Headers of a caller who has a key, for a body that need not be known beforehand."""
    headers = {**headers_for("ListStreams"), "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    return sign(endpoint, headers, b"", **options)


def test_a_body_of_the_limit_is_taken(endpoint: Endpoint) -> None:
    body = b"{}" + b" " * (LIMIT - 2)
    assert call(endpoint, "ListStreams", body).status == 200


def test_a_record_of_10_mib_fits_in_json(endpoint: Endpoint, make_stream: Callable[..., str]) -> None:
    name = make_stream("large-records", MaxRecordSizeInKiB=10_240)
    data = base64.b64encode(b"x" * (10 * MIB - 1))
    body = b'{"StreamName":"%s","Data":"%s","PartitionKey":"k"}' % (name.encode(), data)
    assert call(endpoint, "PutRecord", body).status == 200
    [record] = records(endpoint, name)
    assert record["Data"] == data.decode()


def test_10_mib_with_keys_full_of_escapes_fit_too(endpoint: Endpoint, make_stream: Callable[..., str]) -> None:
    """As clients write them that escape all that is not ASCII: twelve bytes for a character that counts four."""
    name = make_stream("escaped-keys", shards=10, MaxRecordSizeInKiB=10_240)
    keys = [f"{number:03d}" + "\U0001f600" * 253 for number in range(500)]
    data = base64.b64encode(bytes(10 * MIB // 500 - len(keys[0].encode()))).decode()
    entries = [{"PartitionKey": key, "Data": data} for key in keys]
    answer = call(endpoint, "PutRecords", json.dumps({"StreamName": name, "Records": entries}).encode())
    assert (answer.status, answer.json["FailedRecordCount"]) == (200, 0)


def test_one_byte_more_is_refused_and_the_sender_can_read_why(endpoint: Endpoint) -> None:
    body = b"{}" + b" " * (LIMIT - 1)
    answer = call(endpoint, "ListStreams", body)
    assert answer.status == 413
    assert answer.headers["content-type"] == JSON
    assert answer.json["__type"] == "RequestEntityTooLargeException"


def test_a_declared_length_is_refused_before_the_body_comes(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, unsigned_payload(endpoint), 20 * MIB))
        assert receive(connection).status == 413


def test_chunks_are_refused_at_the_limit(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, unsigned_payload(endpoint), None))
        connection.sendall(chunk(b"{}" + b" " * (LIMIT - 2)))
        connection.sendall(chunk(b" "))
        assert receive(connection).status == 413


def test_chunks_make_a_body(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, sign(endpoint, headers_for("ListStreams"), b'{"Limit":1}'), None))
        for part in (b'{"Lim', b'it":', b"1}", b""):
            connection.sendall(chunk(part))
        assert receive(connection).status == 200


def test_a_stranger_is_answered_before_the_body_comes(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, unsigned_payload(endpoint, key_id=UNKNOWN), 5 * MIB))
        answer = receive(connection)
    assert (answer.status, answer.json["__type"]) == (400, "UnrecognizedClientException")


def test_a_strangers_chunks_are_read_only_a_little(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, unsigned_payload(endpoint, key_id=UNKNOWN), None))
        connection.sendall(chunk(b" " * 65_537))
        assert receive(connection).json["__type"] == "UnrecognizedClientException"


def test_expect_100_continue(endpoint: Endpoint) -> None:
    headers = {**sign(endpoint, headers_for("ListStreams"), b"{}"), "Expect": "100-continue"}
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, headers, 2))
        assert connection.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert receive(connection).status == 200


def test_expect_100_continue_of_a_body_nobody_wants(endpoint: Endpoint) -> None:
    headers = {**unsigned_payload(endpoint), "Expect": "100-continue"}
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, headers, 20 * MIB))
        assert receive(connection).status == 413


def test_a_client_that_goes_in_the_middle_leaves_nothing(endpoint: Endpoint, make_stream) -> None:
    name = make_stream("gone-client")
    body = b'{"StreamName":"%s","Data":"YQ==","PartitionKey":"k"}' % name.encode()
    headers = sign(endpoint, headers_for("PutRecord"), body)
    for length, part in ((len(body) + 1, body), (len(body), body[:-1]), (None, chunk(body[:-1]))):
        with connect(endpoint) as connection:
            connection.sendall(head(endpoint, headers, length) + part)
    assert records(endpoint, name) == []


def records(endpoint: Endpoint, stream: str) -> list[dict[str, str]]:
    asked = b'{"StreamName":"%s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}' % stream.encode()
    iterator = call(endpoint, "GetShardIterator", asked).json["ShardIterator"]
    return call(endpoint, "GetRecords", b'{"ShardIterator":"%s"}' % iterator.encode()).json["Records"]


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_a_truncated_body_is_not_answered_as_a_whole_one(endpoint: Endpoint, size: int) -> None:
    with connect(endpoint) as connection:
        connection.sendall(head(endpoint, unsigned_payload(endpoint), 4 * MIB) + b" " * size)
        connection.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b" 200 " not in data[:20]


def test_two_hundred_unfinished_requests(endpoint: Endpoint) -> None:
    """They raise memory by less than 150 MiB, and a good client is served all the while."""
    if endpoint.pid is None:
        pytest.skip("needs this suite's own server")
    worker = worker_of(endpoint.pid)
    before = anonymous_bytes(worker)
    refused = 0
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(connect(endpoint))
            declared = 10 * MIB if number % 2 else None
            connection.sendall(head(endpoint, unsigned_payload(endpoint), declared))
            connection.setblocking(False)
            push(connection, b" " * (2 * MIB) if declared else chunk(b" " * (2 * MIB)))
            if number % 10 == 0:
                refused = max(refused, refusals_until_served(endpoint))
        for _ in range(20):
            refused = max(refused, refusals_until_served(endpoint))
        grown = anonymous_bytes(worker) - before
    assert refused < REFUSALS_MAX
    assert grown < 150 * MIB, f"{grown / MIB:.0f} MiB"


def test_small_unfinished_requests_hold_no_more_than_they_sent(endpoint: Endpoint) -> None:
    """Small bodies are asked for at once, and nobody sees their progress: they too must give way, and go."""
    if endpoint.pid is None:
        pytest.skip("needs this suite's own server")
    worker = worker_of(endpoint.pid)
    before = anonymous_bytes(worker)
    with ExitStack() as stack:
        for number in range(400):
            connection = stack.enter_context(connect(endpoint))
            connection.sendall(head(endpoint, unsigned_payload(endpoint), 256 * 1024))
            connection.setblocking(False)
            push(connection, b" " * (250 * 1024))
            if number % 40 == 0:
                refusals_until_served(endpoint)
        refusals_until_served(endpoint)
        grown = anonymous_bytes(worker) - before
    assert grown < 150 * MIB, f"{grown / MIB:.0f} MiB"
    refusals_until_served(endpoint)


def refusals_until_served(endpoint: Endpoint) -> int:
    """A good client with a body of 1 MiB, who comes again when he is asked to; how often he is."""
    for refusals in range(10 * REFUSALS_MAX):
        if call(endpoint, "ListStreams", b"{}" + b" " * MIB).status != 503:
            return refusals
        time.sleep(AGAIN_S)
    raise AssertionError("never served")


def push(connection: socket.socket, data: bytes) -> None:
    """As much as goes within a moment: the server reads only what it has room for."""
    deadline = time.monotonic() + 0.05
    view = memoryview(data)
    while view and time.monotonic() < deadline:
        try:
            view = view[connection.send(view) :]
        except BlockingIOError:
            time.sleep(0.001)
        except ConnectionError:
            return


def worker_of(head_pid: int) -> int:
    children = Path(f"/proc/{head_pid}/task/{head_pid}/children").read_text().split()
    return int(children[0])


def anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise AssertionError(pid)
