"""Frames: botocore reads ours, we read botocore's encoder's, and broken ones are seen."""

import json
import random
import zlib

import cbor2
import pytest
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser

from apps.base.errors import InternalFailure, ServiceError
from apps.streams.shapes import Record, SubscribeToShardEvent
from apps.wire import cbor, eventstream
from apps.wire.model import load

SUBSCRIBE = load("kinesis").operations["SubscribeToShard"]
THEIRS = ServiceModel(Loader().load_service_model("kinesis", "service-2")).operation_model("SubscribeToShard")
NOW_MS = 1_795_163_467_123
EVENT = {
    "Records": [{"SequenceNumber": "5", "Data": b"\0\xff", "PartitionKey": "k", "ApproximateArrivalTimestamp": NOW_MS}],
    "ContinuationSequenceNumber": "5",
    "MillisBehindLatest": 0,
}
STRUCT = SubscribeToShardEvent([Record("5", NOW_MS / 1000, b"\0\xff", "k")], "5", 0)


class InUse(ServiceError):
    code = "ResourceInUseException"


class Raw:
    """A response body as botocore's EventStream reads it."""

    def __init__(self, data):
        self.data = data

    def stream(self):
        yield from (self.data[start : start + 7] for start in range(0, len(self.data), 7))

    def close(self):
        pass


def their_events(data):
    shape = THEIRS.output_shape.members["EventStream"]
    return EventStream(Raw(data), shape, EventStreamJSONParser(), "SubscribeToShard")


@pytest.mark.parametrize("event", [EVENT, STRUCT], ids=["dict", "struct"])
def test_botocore_reads_a_stream(event):
    data = eventstream.initial_response() + eventstream.encode_event(SUBSCRIBE, "SubscribeToShardEvent", event)
    stream = their_events(data)
    assert stream.get_initial_response().payload == b"{}"
    [read] = list(stream)
    record = read["SubscribeToShardEvent"]["Records"][0]
    assert (record["Data"], record["PartitionKey"], record["SequenceNumber"]) == (b"\0\xff", "k", "5")
    assert record["ApproximateArrivalTimestamp"].timestamp() == NOW_MS / 1000
    assert read["SubscribeToShardEvent"]["MillisBehindLatest"] == 0


def test_botocore_raises_our_exceptions():
    stream = their_events(
        eventstream.initial_response() + eventstream.encode_exception(InUse("Another subscription took over."))
    )
    stream.get_initial_response()
    with pytest.raises(EventStreamError) as refusal:
        list(stream)
    assert refusal.value.response["Error"] == {
        "Code": "ResourceInUseException",
        "Message": "Another subscription took over.",
    }


def frames(data):
    decoder = eventstream.Decoder()
    found = list(decoder.feed(data))
    assert decoder.is_empty
    return found


def test_headers_and_payloads():
    [first] = frames(eventstream.initial_response())
    assert first.headers == {
        ":message-type": "event",
        ":event-type": "initial-response",
        ":content-type": "application/x-amz-json-1.1",
    }
    assert first.payload == b"{}"
    [event] = frames(eventstream.encode_event(SUBSCRIBE, "SubscribeToShardEvent", EVENT))
    assert event.headers == {
        ":message-type": "event",
        ":event-type": "SubscribeToShardEvent",
        ":content-type": "application/x-amz-json-1.1",
    }
    assert json.loads(event.payload)["Records"][0]["ApproximateArrivalTimestamp"] == 1795163467.123
    [failure] = frames(eventstream.encode_exception(InUse("text")))
    assert failure.headers == {
        ":message-type": "exception",
        ":exception-type": "ResourceInUseException",
        ":content-type": "application/x-amz-json-1.1",
    }
    assert json.loads(failure.payload) == {"message": "text"}


def test_failures_within_have_the_models_name_and_no_text():
    [failure] = frames(eventstream.encode_exception(InternalFailure("a secret")))
    assert failure.headers[":exception-type"] == "InternalFailureException"
    assert failure.headers[":exception-type"] in SUBSCRIBE.events.members
    assert failure.payload == b"{}"


def test_in_cbor():
    data = (
        eventstream.initial_response(cbor)
        + eventstream.encode_event(SUBSCRIBE, "SubscribeToShardEvent", STRUCT, cbor)
        + eventstream.encode_exception(InUse("text"), cbor)
    )
    first, event, failure = frames(data)
    assert {frame.headers[":content-type"] for frame in (first, event, failure)} == {"application/x-amz-cbor-1.1"}
    assert cbor2.loads(first.payload) == {}
    record = cbor2.loads(event.payload, semantic_decoders={1: lambda value, _: ("tag 1", value)})["Records"][0]
    assert record == {
        "SequenceNumber": "5",
        "Data": b"\0\xff",
        "PartitionKey": "k",
        "ApproximateArrivalTimestamp": ("tag 1", NOW_MS),
    }
    assert cbor2.loads(failure.payload) == {"message": "text"}


def test_an_event_that_the_model_does_not_know_is_a_bug():
    with pytest.raises(KeyError):
        eventstream.encode_event(SUBSCRIBE, "Nope", EVENT)
    with pytest.raises(AssertionError):
        eventstream.encode_event(load("kinesis").operations["PutRecord"], "SubscribeToShardEvent", EVENT)


def many(count, draw):
    return [
        (
            {":message-type": "event", ":event-type": f"e{number}", "ü": "ä" * draw.randrange(40)},
            draw.randbytes(draw.randrange(300)),
        )
        for number in range(count)
    ]


def test_botocores_parser_agrees_on_any_frame_in_any_pieces():
    draw = random.Random(11)
    sent = many(200, draw)
    data = b"".join(
        eventstream.encode_frame(eventstream.encode_headers(list(headers.items())), payload)
        for headers, payload in sent
    )
    ours, theirs, decoder, buffer = [], [], eventstream.Decoder(), EventStreamBuffer()
    while data:
        size = draw.choice((1, 3, 11, 12, 200, 1000))
        piece, data = data[:size], data[size:]
        ours += [(dict(frame.headers), frame.payload) for frame in decoder.feed(piece)]
        buffer.add_data(piece)
        theirs += [(message.headers, message.payload) for message in buffer]
    assert ours == sent == theirs
    assert decoder.is_empty


def test_broken_frames_are_seen():
    good = eventstream.encode_event(SUBSCRIBE, "SubscribeToShardEvent", EVENT)
    for place in range(len(good)):
        broken = bytearray(good)
        broken[place] ^= 0x10
        decoder = eventstream.Decoder()
        with pytest.raises(eventstream.FrameError):
            list(decoder.feed(bytes(broken)))
            assert not decoder.is_empty, "a frame that is longer than what came"
            raise eventstream.FrameError


def sealed(lengths, rest):
    head = lengths + zlib.crc32(lengths).to_bytes(4, "big")
    return head + rest + zlib.crc32(head + rest).to_bytes(4, "big")


@pytest.mark.parametrize(
    "frame",
    [
        sealed(b"\0\0\0\x0f\0\0\0\0", b""),
        sealed(b"\xff\xff\xff\xff\0\0\0\0", b""),
        sealed(b"\0\0\0\x10\0\0\0\x01", b""),
        sealed(b"\0\0\0\x11\0\0\0\x01", b"\x05"),
        sealed(b"\0\0\0\x13\0\0\0\x03", b"\x01a\x07"),
        sealed(b"\0\0\0\x15\0\0\0\x05", b"\x01a\x07\0\x09"),
        sealed(b"\0\0\0\x15\0\0\0\x05", b"\x01a\x04\0\0"),
        sealed(b"\0\0\0\x15\0\0\0\x05", b"\x01\xff\x07\0\0"),
    ],
)
def test_impossible_frames(frame):
    with pytest.raises(eventstream.FrameError):
        list(eventstream.Decoder().feed(frame))


def test_unfinished_frames_wait():
    data = eventstream.initial_response()
    decoder = eventstream.Decoder()
    for byte in data[:-1]:
        assert list(decoder.feed(bytes([byte]))) == []
    assert not decoder.is_empty
    [frame] = decoder.feed(data[-1:])
    assert frame.payload == b"{}"
