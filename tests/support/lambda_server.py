"""A strict server of Lambda's Invoke operation, and of plain HTTP transforms, on a thread: checks each request against AWS's
contract, and answers as told, each time differently if wanted.

    with LambdaServer() as server:
        server.answers.append(Answer(status=500))      # the next one; then again as `function` says
        server.function = lambda record: {"result": "Dropped"}
        ... server.url, server.invocations, server.faults
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Json = dict[str, Any]

PATH = re.compile(r"/2015-03-31/functions/(?P<name>[^/?]+)/invocations(?:\?Qualifier=(?P<qualifier>[^&]+))?")
REQUEST_MEMBERS = {"invocationId", "deliveryStreamArn", "region", "records"}
RECORD_MEMBERS = {"recordId", "approximateArrivalTimestamp", "data"}
ORIGIN_MEMBERS = {"sequenceNumber", "subsequenceNumber", "partitionKey", "shardId", "approximateArrivalTimestamp"}
PAYLOAD_BYTES_MAX = 6 * 1024 * 1024


@dataclass
class Answer:
    """One answer instead of the function's. body: as it is (str or bytes) or JSON. hang: no answer until the server ends.
    reset: the connection is closed without one."""

    status: int = 200
    body: Any = b""
    headers: Json = field(default_factory=dict)
    hang: bool = False
    reset: bool = False


@dataclass
class Invocation:
    """What was asked. name: of the function; empty for a plain endpoint."""

    path: str
    name: str
    qualifier: str
    headers: Json
    request: Json


def echo(record: Json) -> Json:
    """The record as it came."""
    return {"result": "Ok", "data": record["data"]}


def upper(record: Json) -> Json:
    """The record's letters in upper case."""
    return {"result": "Ok", "data": base64.b64encode(base64.b64decode(record["data"]).upper()).decode()}


class LambdaServer:
    """See the module. keys: (access key id, secret) that requests must be signed with; None: they must not be signed."""

    def __init__(self, keys: tuple[str, str] | None = None) -> None:
        self.keys = keys
        self.function: Callable[[Json], Json] = echo
        self.respond: Callable[[Json], Any] | None = None
        """The whole answer to a request; overrides function."""
        self.answers: deque[Answer] = deque()
        self.invocations: list[Invocation] = []
        self.faults: list[str] = []
        """What was wrong with requests. Tests end with `assert server.faults == []`."""
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, headers: Json, body: bytes) -> Answer:
        """Check a request and find its answer."""
        found = PATH.fullmatch(path)
        request = json.loads(body)
        with self._lock:
            self.faults += [*_faults(headers, request, body), *self._signature_faults(path, headers, body)]
            self.invocations.append(
                Invocation(
                    path,
                    found["name"] if found else "",
                    (found["qualifier"] or "").replace("%24", "$") if found else "",
                    headers,
                    request,
                )
            )
            if self.answers:
                return self.answers.popleft()
        if self.respond is not None:
            return Answer(body=self.respond(request))
        return Answer(
            body={"records": [{"recordId": one["recordId"], **self.function(one)} for one in request["records"]]}
        )

    def wait_for_end(self) -> None:
        """Hang until the server is told to end."""
        self._ended.wait(60)

    def _signature_faults(self, path: str, headers: Json, body: bytes) -> list[str]:
        given = headers.get("authorization", "")
        if self.keys is None:
            return ["the request is signed"] if given else []
        names = re.search(r"SignedHeaders=([^,]+)", given)
        scope = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request", given)
        if not names or not scope or scope[1] != self.keys[0] or scope[3] != "lambda":
            return [f"Authorization is {given!r}"]
        signed = {name: headers[name] for name in names[1].split(";") if name in headers}
        request = AWSRequest("POST", self.url + path, data=body, headers=signed)
        request.context["timestamp"] = headers.get("x-amz-date", "")
        signer = botocore.auth.SigV4Auth(Credentials(*self.keys), "lambda", scope[2])
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return [] if given.endswith(f"Signature={expected}") else ["the signature is wrong"]


def _faults(headers: Json, request: Json, body: bytes) -> list[str]:
    faults = []
    if headers.get("content-type") != "application/json":
        faults.append("Content-Type is not application/json")
    if len(body) > PAYLOAD_BYTES_MAX:
        faults.append(f"the payload has {len(body)} bytes")
    if request.keys() - {"sourceKinesisStreamArn"} != REQUEST_MEMBERS:
        faults.append(f"members of the request: {sorted(request)}")
    ids = [record["recordId"] for record in request["records"]]
    if len(set(ids)) != len(ids) or not ids:
        faults.append("record ids are not unique, or there are none")
    for record in request["records"]:
        if record.keys() - {"kinesisRecordMetadata"} != RECORD_MEMBERS:
            faults.append(f"members of a record: {sorted(record)}")
        if ("kinesisRecordMetadata" in record) != ("sourceKinesisStreamArn" in request):
            faults.append("kinesisRecordMetadata without a stream, or the other way round")
        if record.get("kinesisRecordMetadata", dict.fromkeys(ORIGIN_MEMBERS)).keys() != ORIGIN_MEMBERS:
            faults.append("members of kinesisRecordMetadata")
        if not isinstance(record["data"], str) or not isinstance(record["approximateArrivalTimestamp"], int):
            faults.append("types of a record's members")
    return faults


def _handler(server: LambdaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            answer = server.take(self.path, headers, body)
            if answer.hang or answer.reset:
                if answer.hang:
                    server.wait_for_end()
                self.close_connection = True
                return
            said = answer.body if isinstance(answer.body, str | bytes) else json.dumps(answer.body)
            said = said.encode() if isinstance(said, str) else said
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            try:
                self.wfile.write(said)
            except OSError:  # the caller has read enough
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
