"""Delivery to Splunk's HTTP event collector (HEC), Raw or Event, with indexer acknowledgement.

Sending is not delivering: Splunk answers with an ackId, and says later, when asked, that the data is indexed. What was sent
is remembered and `NotYet` raised, so no worker waits. What is not acknowledged within HECAcknowledgmentTimeoutInSeconds has
failed (Splunk.AckTimeout) and is sent again while the retry duration lasts.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final

import msgspec

from apps.base.outgoing import Answer, OutgoingFailed, OutgoingRefused, OutgoingTooLarge
from apps.base.units import MIB, SECOND_MS
from apps.delivery.destinations.endpoints import call, data_id, endpoint_of, failed, said
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, NotYet, Remaining, Target
from apps.delivery.record import Failed, Json, Record

if TYPE_CHECKING:
    from apps.runtime import Runtime

REQUEST_BYTES_MAX: Final = 5 * MIB
"""AWS's largest buffer for Splunk; a larger record goes alone."""

ACK_S_DEFAULT: Final = 180
"""HECAcknowledgmentTimeoutInSeconds where the description does not say; AWS's smallest."""

ANSWER_S = 60.0
ANSWER_BYTES_MAX: Final = 1 * MIB
LOOK_AGAIN_MS: Final = (SECOND_MS // 2, 10 * SECOND_MS)
"""Shortest and longest time between two questions for an acknowledgement: half of what was waited already, between these.
Splunk's guide has its clients ask every ten seconds."""

COOKIE_CHARACTERS_MAX: Final = 4_096
COLLECTOR: Final = "/services/collector"
CHANNELS = uuid.UUID("5d4b4a0c-70a1-5f4e-8f7e-0f5a7d9f3c21")
"""The namespace of channels."""

TEXTS: Final = {
    "Splunk.ProxyWithoutStickySessions": (
        "If you have a proxy (ELB or other) between Firehose and the HEC node, you must enable sticky sessions to support"
        " HEC ACKs."
    ),
    "Splunk.DisabledToken": "The HEC token is disabled. Enable the token to allow data delivery to Splunk.",
    "Splunk.InvalidToken": "The HEC token is invalid. Update Firehose with a valid HEC token.",
    "Splunk.InvalidDataFormat": (
        "The data is not formatted correctly. To see how to properly format data for Raw or Event HEC endpoints, see Splunk"
        " Event Data."
    ),
    "Splunk.InvalidIndex": (
        "The HEC token or input is configured with an invalid index. Check your index configuration and try again."
    ),
    "Splunk.ServerError": "Data delivery to Splunk failed due to a server error from the HEC node.",
    "Splunk.IndexerBusy": "The HEC node is too busy to take data.",
    "Splunk.DisabledAck": (
        "Indexer acknowledgement is disabled for the HEC token. Enable indexer acknowledgement and try again."
    ),
    "Splunk.AckTimeout": (
        "Did not receive an acknowledgement from HEC before the HEC acknowledgement timeout expired. Despite the"
        " acknowledgement timeout, it's possible the data was indexed successfully in Splunk. Firehose backs up in Amazon S3"
        " data for which the acknowledgement timeout expired."
    ),
    "Splunk.ConnectionTimeout": (
        "The connection to Splunk timed out. This might be a transient error and the request will be retried."
    ),
    "Splunk.InvalidEndpoint": (
        "Could not connect to the HEC endpoint. Make sure that the HEC endpoint URL is valid and reachable from Firehose."
    ),
    "Splunk.ConnectionClosed": (
        "Unable to send data to Splunk due to a connection failure. This might be a transient error."
    ),
    "Splunk.SSLUnverified": (
        "Could not connect to the HEC endpoint. The host does not match the certificate provided by the peer. Make sure that"
        " the certificate and the host are valid."
    ),
    "Splunk.SSLHandshake": (
        "Could not connect to the HEC endpoint. Make sure that the certificate and the host are valid."
    ),
}
"""AWS's (developer guide, "Splunk data delivery errors")."""

CONNECTION_CODES: Final = {
    "resolve": "Splunk.InvalidEndpoint",
    "connect": "Splunk.InvalidEndpoint",
    "connect-timeout": "Splunk.ConnectionTimeout",
    "certificate": "Splunk.SSLUnverified",
    "tls": "Splunk.SSLHandshake",
    "timeout": "Splunk.ConnectionTimeout",
    "closed": "Splunk.ConnectionClosed",
    "protocol": "Splunk.InvalidEndpoint",
}

HEC_CODES: Final = {
    1: "Splunk.DisabledToken",
    2: "Splunk.InvalidToken",
    3: "Splunk.InvalidToken",
    4: "Splunk.InvalidToken",
    5: "Splunk.InvalidDataFormat",
    6: "Splunk.InvalidDataFormat",
    7: "Splunk.InvalidIndex",
    8: "Splunk.ServerError",
    9: "Splunk.IndexerBusy",
    11: "Splunk.ProxyWithoutStickySessions",
    12: "Splunk.InvalidDataFormat",
    13: "Splunk.InvalidDataFormat",
    14: "Splunk.DisabledAck",
    15: "Splunk.InvalidDataFormat",
}
"""By the member `code` of HEC's answers (Splunk's "Possible error codes")."""

STATUS_CODES: Final = {401: "Splunk.InvalidToken", 403: "Splunk.InvalidToken", 404: "Splunk.InvalidEndpoint"}
"""Where the answer has no such member. 5xx: ServerError."""


class _Sent(msgspec.Struct):
    """A request that Splunk took. first, last: ids of its records; at_ms: when it was sent."""

    first: str
    last: str
    ack: int
    at_ms: int
    records: int
    size_bytes: int


class _State(msgspec.Struct):
    """What is remembered. wrong: some records are no events. cookie: what a proxy wants to see again."""

    waiting: list[_Sent] = msgspec.field(default_factory=list)
    acked: list[_Sent] = msgspec.field(default_factory=list)
    cookie: str = ""
    wrong: bool = False

    def has(self, record: Record) -> bool:
        """Was it acknowledged?"""
        return any(one.first <= record.record_id <= one.last for one in self.acked)

    @property
    def delivered(self) -> tuple[int, int]:
        """Records and bytes that were acknowledged."""
        return sum(one.records for one in self.acked), sum(one.size_bytes for one in self.acked)


@dataclass(slots=True)
class _Events:
    """Records that are sent together."""

    first: str
    last: str = ""
    records: int = 0
    body: bytearray = field(default_factory=bytearray)

    def add(self, record: Record) -> None:
        self.body += record.data
        self.records += 1
        self.last = record.record_id


class SplunkDestination:
    """Splunk.

    Kept from AWS: the two endpoints, the bytes of the records without anything between, a channel of its own per delivery
    stream, acknowledgements and their timeout, the error codes.
    Other than AWS: for the Event endpoint, a record that is no event (JSON objects with a member `event`) fails alone,
    before it is sent, and does not spoil those beside it. Where acknowledgement is disabled (Splunk.DisabledAck) nothing is
    sent a second time, as each time would be indexed.
    """

    error_type = "splunk-failed"

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._target = target
        self._endpoint = endpoint_of(runtime, target, target.description.get("HECEndpoint", ""))
        self._is_event = target.description.get("HECEndpointType") == "Event"
        self._channel = str(uuid.uuid5(CHANNELS, target.arn))
        timeout_s = target.description.get("HECAcknowledgmentTimeoutInSeconds") or ACK_S_DEFAULT
        self._ack_timeout_ms = timeout_s * SECOND_MS
        self._acknowledged: list[tuple[str, float]] = []

    def plan(self, batch: Batch) -> Json:  # noqa: ARG002 - the interface's
        """Where the batch is cut into requests."""
        return {"request_bytes_max": REQUEST_BYTES_MAX}

    def deliver(self, batch: Batch) -> Delivered:
        """Send what is not sent, ask for what is not acknowledged."""
        state = msgspec.convert(batch.state, _State)
        try:
            self._send_rest(batch, state)
            self._ask(batch, state)
            self._give_up_waiting(batch, state)
        except DeliveryFailed as error:
            self._remember(batch, state)
            raise self._failed(batch, state, error) from error
        self._remember(batch, state)
        if state.waiting:
            raise NotYet(self._look_again_ms(batch, state))
        records, size_bytes = state.delivered
        wrong: Iterable[Failed] = self._wrong(batch) if state.wrong else ()
        return Delivered(records, size_bytes, failed=wrong, metrics=self._acknowledged)

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002 - the interface's
        """As in AWS's example of a line."""
        return {"EventId": data_id(record)}

    def _send_rest(self, batch: Batch, state: _State) -> None:
        sent = {one.first for one in (*state.waiting, *state.acked)}
        for events in self._requests(batch, state):
            if events.first in sent:
                continue
            ack = self._post(events, state)
            state.waiting.append(_Sent(events.first, events.last, ack, batch.now_ms, events.records, len(events.body)))
            self._remember(batch, state)

    def _requests(self, batch: Batch, state: _State) -> Iterator[_Events]:
        """What is sent together depends on the records and the plan alone."""
        events: _Events | None = None
        for piece in batch.pieces():
            for record in piece:
                if self._is_event and not are_events(record.data):
                    state.wrong = True
                    continue
                if not record.data:
                    continue  # HEC: "No data"
                if events is not None and len(events.body) + len(record.data) > batch.plan["request_bytes_max"]:
                    yield events
                    events = None
                if events is None:
                    events = _Events(record.record_id)
                events.add(record)
        if events is not None:
            yield events

    def _post(self, events: _Events, state: _State) -> int:
        """Send; the ackId. Raises DeliveryFailed with code and message alone."""
        answer = self._call("event" if self._is_event else "raw", bytes(events.body), state)
        state.cookie = _cookies(answer) or state.cookie
        members = _members(answer)
        if answer.status != 200 or members.get("code") != 0:
            raise _refusal(answer, members)
        ack = members.get("ackId")
        if not isinstance(ack, int) or isinstance(ack, bool):
            raise _failure("Splunk.DisabledAck", permanent=True)
        return ack

    def _ask(self, batch: Batch, state: _State) -> None:
        """Move what is acknowledged. An answer that cannot be had is like "not yet"; what says that these will never be
        acknowledged raises DeliveryFailed."""
        if not state.waiting:
            return
        question = json.dumps({"acks": [one.ack for one in state.waiting]}).encode()
        try:
            answer = self._call(f"ack?channel={self._channel}", question, state)
        except DeliveryFailed:
            return
        members = _members(answer)
        if answer.status != 200:
            refusal = _refusal(answer, members)
            if refusal.code in {"Splunk.ServerError", "Splunk.IndexerBusy"}:
                return
            if refusal.code in {"Splunk.DisabledAck", "Splunk.ProxyWithoutStickySessions"}:
                state.waiting.clear()
            raise refusal
        acks = members.get("acks")
        indexed = acks if isinstance(acks, dict) else {}
        for one in [one for one in state.waiting if indexed.get(str(one.ack)) is True]:
            state.waiting.remove(one)
            state.acked.append(one)
            latency_s = (batch.now_ms - one.at_ms) / SECOND_MS
            self._acknowledged.append(("DeliveryToSplunk.DataAckLatency", latency_s))

    def _give_up_waiting(self, batch: Batch, state: _State) -> None:
        """What was not acknowledged in time is sent again at the next attempt."""
        late = [one for one in state.waiting if batch.now_ms - one.at_ms >= self._ack_timeout_ms]
        if late:
            state.waiting = [one for one in state.waiting if one not in late]
            raise _failure("Splunk.AckTimeout", waited_ms=max(batch.now_ms - one.at_ms for one in late))

    def _look_again_ms(self, batch: Batch, state: _State) -> int:
        oldest_ms = min(one.at_ms for one in state.waiting)
        shortest, longest = LOOK_AGAIN_MS
        half = (batch.now_ms - oldest_ms) // 2
        return min(max(shortest, min(longest, half)), max(1, oldest_ms + self._ack_timeout_ms - batch.now_ms))

    def _call(self, what: str, body: bytes, state: _State) -> Answer:
        headers = {
            "Authorization": f"Splunk {self._target.secrets.get('HECToken', '')}",
            "X-Splunk-Request-Channel": self._channel,
            "Content-Type": "text/plain" if what == "raw" else "application/json",
            "User-Agent": "Tidegate Data Firehose",
        }
        if state.cookie:
            headers["Cookie"] = state.cookie
        base = self._endpoint.url.partition("?")[0].partition(COLLECTOR)[0].rstrip("/")
        try:
            return call(
                self._endpoint, f"{base}{COLLECTOR}/{what}", body, headers,
                deadline_s=ANSWER_S, answer_bytes_max=ANSWER_BYTES_MAX,
            )  # fmt: skip
        except OutgoingRefused as error:
            raise _failure("Splunk.InvalidEndpoint", str(error), permanent=True) from error
        except OutgoingTooLarge as error:
            raise _failure("Splunk.InvalidEndpoint", str(error)) from error
        except OutgoingFailed as error:
            raise _failure(CONNECTION_CODES[error.kind], str(error)) from error

    def _remember(self, batch: Batch, state: _State) -> None:
        kept = msgspec.to_builtins(state)
        if kept != msgspec.to_builtins(msgspec.convert(batch.state, _State)):
            batch.remember(kept)
            batch.state = kept

    def _wrong(self, batch: Batch) -> Remaining:
        failure = _failure("Splunk.InvalidDataFormat")

        def one(record: Record, _place: int) -> Failed | None:
            if are_events(record.data):
                return None
            return failed(batch, record, self.error_type, failure, self.failed_extra(batch, record))

        return Remaining(batch, one)

    def _failed(self, batch: Batch, state: _State, error: DeliveryFailed) -> DeliveryFailed:
        wrong = _failure("Splunk.InvalidDataFormat")

        def one(record: Record, _place: int) -> Failed | None:
            if self._is_event and not are_events(record.data):
                return failed(batch, record, self.error_type, wrong, self.failed_extra(batch, record))
            if state.has(record):
                return None
            return failed(batch, record, self.error_type, error, self.failed_extra(batch, record))

        return DeliveryFailed(
            error.code, error.message, permanent=error.permanent, remaining=Remaining(batch, one),
            waited_ms=error.waited_ms, metrics=self._acknowledged, delivered=state.delivered,
        )  # fmt: skip


def are_events(data: bytes) -> bool:
    """Is it one JSON object, or several one after the other, each with a member `event` that HEC takes?"""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return _several_are_events(data)
    return _is_event(found)


def _several_are_events(data: bytes) -> bool:
    decoder = json.JSONDecoder()
    try:
        text = data.decode().strip()
        at = 0
        while at < len(text):
            found, at = decoder.raw_decode(text, at)
            if not _is_event(found):
                return False
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError):
        return False
    return bool(text)


def _is_event(found: Any) -> bool:
    return isinstance(found, dict) and found.get("event") not in (None, "")


def _members(answer: Answer) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(answer: Answer, members: dict[str, Any]) -> DeliveryFailed:
    """An answer other than success, in AWS's codes."""
    code = members.get("code")
    named = HEC_CODES.get(code) if isinstance(code, int) and not isinstance(code, bool) else None
    if named is None and answer.status >= 500:
        named = "Splunk.IndexerBusy" if answer.status == 503 else "Splunk.ServerError"
    if named is None:
        named = STATUS_CODES.get(answer.status, "Splunk.InvalidEndpoint")
    return _failure(named, said(answer))


def _cookies(answer: Answer) -> str:
    """What a proxy set, to be sent back: without sticky sessions, another indexer knows nothing of our ackIds."""
    found = []
    for line in answer.headers.get("set-cookie", "").split("\n"):
        try:
            found += [f"{name}={morsel.coded_value}" for name, morsel in SimpleCookie(line).items()]
        except CookieError:
            continue
    text = "; ".join(found)
    return text if len(text) <= COOKIE_CHARACTERS_MAX and text.isascii() else ""


def _failure(code: str, detail: str = "", *, permanent: bool = False, waited_ms: int = 0) -> DeliveryFailed:
    return DeliveryFailed(code, f"{TEXTS[code]} {detail}".strip(), permanent=permanent, waited_ms=waited_ms)
