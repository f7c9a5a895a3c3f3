"""Delivery to Elasticsearch, OpenSearch and OpenSearch Serverless, by the bulk API.

One index action for each record. What is refused for now (429, 5xx, missing rights or indexes) is sent again, alone; what is
refused for good (400: the mapping does not take it) goes to the error prefix with its cause, and so does what is no JSON
object on one line. Ids of documents derive from the records, so a repeat overwrites the document with itself.

Requests are signed (SigV4) if the address is AWS's or the connection names a region; else the connection's key and secret are
user and password; without them nothing is said about who asks.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from apps.base.outgoing import Answer, OutgoingFailed, OutgoingRefused
from apps.base.units import MIB
from apps.delivery.destinations.endpoints import call, endpoint_of, failed, said
from apps.delivery.destinations.fates import LEFT, Fates
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, Remaining, Target
from apps.delivery.destinations.search_index import document_id, index_name
from apps.delivery.models import DestinationType
from apps.delivery.record import Failed, Json, Record

if TYPE_CHECKING:
    from apps.runtime import Runtime

REQUEST_BYTES_MAX: Final = 5 * MIB
"""The smallest nodes of AWS take 10 MiB; 5 to 15 MiB is what the makers recommend. A larger document goes alone."""

ACTION_BYTES: Final = 512
"""What is reckoned for the line before each document: names of indexes and types have 80 and 100 characters."""

DOCUMENTS_MAX: Final = 5_000
"""In a request: its answer has an entry for each."""

ANSWER_S = 120.0
ANSWER_BYTES_MAX: Final = 16 * MIB
EXPLAINED_BYTES_MAX: Final = 64 * 1024
"""Of what is said of one document; the words about it are cut shorter still."""
FOR_NOW: Final = frozenset({401, 403, 404, 408, 409, 429})
"""Statuses of a document that may be another one later, besides 5xx: rights, an index that somebody still makes, load."""

MALFORMED: Final = (
    "One or more records are malformed. Please ensure that each record is single valid JSON object and that it does not"
    " contain newlines."
)
NO_ADDRESS: Final = (
    "The ARN of a domain does not tell its address. Give the delivery stream a ClusterEndpoint, or a connection for its"
    " destination."
)
AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".on.aws")

CODES: Final = {
    "resolve": "ConnectionFailed",
    "connect": "ConnectionFailed",
    "connect-timeout": "ConnectionFailed",
    "certificate": "SSLHandshakeFailure",
    "tls": "SSLHandshakeFailure",
    "timeout": "RequestTimeout",
    "closed": "ConnectionReset",
    "protocol": "InvalidResponse",
}


class _Item(msgspec.Struct, gc=False):
    status: int
    error: msgspec.Raw = msgspec.Raw()


class _Result(msgspec.Struct, gc=False):
    index: _Item


class _BulkAnswer(msgspec.Struct):
    """What is not looked at is not made objects of: 16 MiB of empty lists would be a gigabyte."""

    items: list[_Result]


@dataclass(slots=True)
class _Documents:
    """What one request sends."""

    places: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    sources: list[bytes] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, place: int, record: Record, source: bytes) -> None:
        self.places.append(place)
        self.records.append(record)
        self.sources.append(source)
        self.size_bytes += len(source) + ACTION_BYTES

    def takes(self, source: bytes) -> bool:
        if not self.places:
            return True
        enough = self.size_bytes + len(source) + ACTION_BYTES <= REQUEST_BYTES_MAX
        return enough and len(self.places) < DOCUMENTS_MAX

    def halves(self) -> Iterator[_Documents]:
        middle = len(self.places) // 2
        for part in (slice(None, middle), slice(middle, None)):
            yield _Documents(self.places[part], self.records[part], self.sources[part])


class SearchDestination:
    """The three kinds of search service.

    Kept from AWS: the bulk request, names of indexes and their rotation by arrival, both document id options, TypeName,
    retries of what failed alone, the lines under the error prefix.
    Other than AWS: the version of the cluster is not asked for. Where it does not know types any more, TypeName is left out
    after the first refusal; where Serverless wants no ids (time series), so are they.
    """

    error_type = "AmazonOpenSearchService-failed"

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._target = target
        description = target.description
        self._serverless = target.destination_type == DestinationType.OPENSEARCH_SERVERLESS
        self._prefix = "ES" if target.destination_type == DestinationType.ELASTICSEARCH else "OS"
        described = description.get("CollectionEndpoint" if self._serverless else "ClusterEndpoint", "")
        self._endpoint = endpoint_of(runtime, target, described)
        self._type = description.get("TypeName") or ""
        options = description.get("DocumentIdOptions") or {}
        self._with_ids = options.get("DefaultDocumentIdFormat", "FIREHOSE_DEFAULT") == "FIREHOSE_DEFAULT"
        self._fates = Fates()
        self._without: set[str] = set()
        self._refusal: DeliveryFailed | None = None

    def plan(self, batch: Batch) -> Json:  # noqa: ARG002 - the interface's
        """Nothing: names of indexes and documents derive from the records."""
        return {}

    def deliver(self, batch: Batch) -> Delivered:
        """Send what was neither taken nor refused for good."""
        self._fates = Fates.of(batch.state.get("fates"))
        self._without = set(batch.state.get("without", ()))
        self._refusal = None
        try:
            if not self._endpoint.url:
                raise self._failure("ConnectionFailed", NO_ADDRESS)
            for documents in self._requests(batch):
                rejected = self._send(batch, documents)
                if 2 * rejected > len(documents.places):
                    break  # it is overloaded: the rest waits for the next attempt
        except DeliveryFailed as error:
            self._refusal = error
        if self._refusal is not None:
            self._remember(batch)
            raise self._failed(batch, self._refusal) from self._refusal
        refused: Iterable[Failed] = ()
        if self._fates.any_refused:
            self._remember(batch)
            refused = Remaining(batch, self._refused_one(batch))
        return Delivered(self._fates.taken, self._fates.taken_bytes, failed=refused)

    def failed_extra(self, batch: Batch, record: Record) -> Json:
        """What AWS tells of a document: its intended id, index and type."""
        index = self._index(record)
        if self._serverless:
            return {"osDocumentId": document_id(batch.lane_id, record), "osIndexName": index}
        return {
            "esDocumentId": document_id(batch.lane_id, record) if self._with_ids else "",
            "esIndexName": index,
            "esTypeName": self._type,
        }

    def _index(self, record: Record) -> str:
        described = self._target.description
        return index_name(described["IndexName"], described.get("IndexRotationPeriod", "NoRotation"), record.arrival_ms)

    def _requests(self, batch: Batch) -> Iterator[_Documents]:
        documents, place = _Documents(), -1
        for piece in batch.pieces():
            for record in piece:
                place += 1
                if place == 0:
                    self._fates.begin_at(record.record_id)
                if self._fates[place] != LEFT:
                    continue
                source = one_line(record.data)
                if source is None:
                    self._fates.refuse(place, f"{self._prefix}.MalformedData", MALFORMED, MALFORMED)
                    continue
                if not documents.takes(source):
                    yield documents
                    documents = _Documents()
                documents.add(place, record, source)
        if documents.places:
            yield documents

    def _body(self, batch: Batch, documents: _Documents) -> bytes:
        """Made when it is sent: what the server does not know is left out from then on."""
        pairs = zip(documents.records, documents.sources, strict=True)
        return b"".join(b"%s\n%s\n" % (self._action(batch, record), source) for record, source in pairs)

    def _action(self, batch: Batch, record: Record) -> bytes:
        action = {"_index": self._index(record)}
        if self._type and "_type" not in self._without:
            action["_type"] = self._type
        if self._with_ids and "_id" not in self._without:
            action["_id"] = document_id(batch.lane_id, record)
        return msgspec.json.encode({"index": action})

    def _send(self, batch: Batch, documents: _Documents) -> int:
        """One request; how many of its documents were rejected for now. Raises DeliveryFailed if the whole was."""
        answer = self._call(self._body(batch, documents))
        if answer.status == 413:
            return self._too_large(batch, documents, answer)
        if answer.status == 400 and self._type and "_type" not in self._without and b"_type" in answer.body:
            return self._again(batch, documents, "_type")
        if answer.status != 200:
            raise DeliveryFailed(str(answer.status), said(answer))
        try:
            items = msgspec.json.decode(answer.body, type=_BulkAnswer).items
            results = [item.index for item in items]
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._failure("InvalidResponse", said(answer)) from error
        if len(results) != len(documents.places):
            text = f"The answer tells of {len(results)} documents; {len(documents.places)} were sent."
            raise self._failure("InvalidResponse", text)
        if self._wants_no_ids(results):
            return self._again(batch, documents, "_id")
        return sum(
            self._settle(place, record, result)
            for place, record, result in zip(documents.places, documents.records, results, strict=True)
        )

    def _again(self, batch: Batch, documents: _Documents, without: str) -> int:
        """The same documents without a member of their actions that this server does not know."""
        self._without.add(without)
        return self._send(batch, documents)

    def _wants_no_ids(self, results: list[_Item]) -> bool:
        return (
            self._serverless
            and "_id" not in self._without
            and any(
                result.status == 400 and b"Document ID is not supported" in bytes(result.error) for result in results
            )
        )

    def _too_large(self, batch: Batch, documents: _Documents, answer: Answer) -> int:
        if len(documents.places) > 1:
            return sum(self._send(batch, half) for half in documents.halves())
        self._fates.refuse(documents.places[0], "413", "The document is too large.", said(answer))
        return 0

    def _settle(self, place: int, record: Record, result: _Item) -> bool:
        """Write down what became of a document; True if it was rejected for now."""
        if 200 <= result.status < 300:
            self._fates.take(place, len(record.data))
            return False
        kind, message = _explained(result.error)
        if result.status in FOR_NOW or result.status >= 500 or result.status < 200:
            self._refusal = DeliveryFailed(str(result.status), message)
            return True
        self._fates.refuse(place, str(result.status), kind, message)
        return False

    def _call(self, body: bytes) -> Answer:
        url = self._endpoint.at("/_bulk")
        headers = {"Content-Type": "application/x-ndjson", "User-Agent": "Tidegate Data Firehose"}
        try:
            return call(
                self._endpoint, url, body, self._authorized(url, body, headers),
                deadline_s=ANSWER_S, answer_bytes_max=ANSWER_BYTES_MAX,
            )  # fmt: skip
        except OutgoingRefused as error:
            raise self._failure("ConnectionFailed", str(error), permanent=True) from error
        except OutgoingFailed as error:
            raise self._failure(CODES[error.kind], str(error)) from error

    def _authorized(self, url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        given = self._target.connections.get("destination", {})
        user, secret = given.get("access_key_id"), given.get("secret_access_key")
        if not (user and secret):
            return headers
        host = urlsplit(url).hostname or ""
        if not (given.get("region") or host.endswith(AWS_HOSTS)):
            basic = binascii.b2a_base64(f"{user}:{secret}".encode(), newline=False).decode()
            return headers | {"Authorization": f"Basic {basic}"}
        from apps.delivery.signing import Keys, signed  # late: botocore is not needed otherwise

        headers = headers | {"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()}
        service = "aoss" if self._serverless else "es"
        region = given.get("region") or self._target.region
        return signed("POST", url, body, headers, service=service, region=region, keys=Keys(user, secret))

    def _remember(self, batch: Batch) -> None:
        batch.remember({"fates": self._fates.kept(), "without": sorted(self._without)})

    def _refused_one(self, batch: Batch) -> Any:
        def one(record: Record, place: int) -> Failed | None:
            cause = self._fates.cause(place)
            if cause is None:
                return None
            return failed(batch, record, self.error_type, DeliveryFailed(*cause), self.failed_extra(batch, record))

        return one

    def _failed(self, batch: Batch, error: DeliveryFailed) -> DeliveryFailed:
        refused = self._refused_one(batch)

        def one(record: Record, place: int) -> Failed | None:
            if self._fates[place] != LEFT:
                return refused(record, place)  # type: ignore[no-any-return]
            return failed(batch, record, self.error_type, error, self.failed_extra(batch, record))

        return DeliveryFailed(
            error.code, error.message, permanent=error.permanent, remaining=Remaining(batch, one),
            delivered=(self._fates.taken, self._fates.taken_bytes),
        )  # fmt: skip

    def _failure(self, what: str, message: str, *, permanent: bool = False) -> DeliveryFailed:
        return DeliveryFailed(f"{self._prefix}.{what}", message, permanent=permanent)


def one_line(data: bytes) -> bytes | None:
    """The record as a line of a bulk request: a JSON object in UTF-8 without newlines but around it; None if it is none."""
    document = data.strip(b" \t\r\n")
    if b"\n" in document or not document.startswith(b"{"):
        return None
    try:
        document.decode()
        msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document


def _explained(said: msgspec.Raw) -> tuple[str, str]:
    """Kind and message of what a server says of a document, which old ones do in plain text."""
    try:
        error = msgspec.json.decode(said) if len(said) <= EXPLAINED_BYTES_MAX else None
    except (msgspec.DecodeError, RecursionError):
        error = None
    if isinstance(error, str):
        return "refused", error
    if not isinstance(error, dict):
        return "refused", bytes(said)[:EXPLAINED_BYTES_MAX].decode(errors="replace")
    shown = {name: error[name] for name in ("type", "reason", "caused_by") if name in error}
    return str(error.get("type", "refused")), msgspec.json.encode(shown).decode()
