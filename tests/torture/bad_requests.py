"""Requests that must be refused, generated from botocore's model: every operation, JSON and CBOR.

Each is bad for certain: a member of the wrong type, a broken constraint, a broken signature, a body cut short, garbage,
or something too deep or too large. `generate` yields (why, wire bytes).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import cbor2
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

JSON, CBOR = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"
MIB = 1 << 20
HUGE = 10**400
PATTERNED = {"StreamName": "fuzz", "ShardId": "shardId-000000000000", "StreamId": "abcdefghij0123456789-abc"}


@dataclass(frozen=True)
class Target:
    """Where the requests go and whose key signs them."""

    netloc: str
    access_key: str
    secret_key: str
    account_id: str
    region: str = "us-east-1"


def wire(target: Target, operation: str, body: bytes, content_type: str, *, spoil: str = "") -> bytes:
    """One signed HTTP/1.1 request; spoil names what of the signature is made wrong."""
    date = dt.datetime.now(dt.UTC)
    if spoil == "old":
        date -= dt.timedelta(hours=2)
    stamp = date.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{target.region}/kinesis/aws4_request"
    name = f"Kinesis_20131202.{operation}"
    headers = f"content-type:{content_type}\nhost:{target.netloc}\nx-amz-date:{stamp}\nx-amz-target:{name}\n"
    signed = "content-type;host;x-amz-date;x-amz-target"
    canonical = f"POST\n/\n\n{headers}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    key = ("AWS4" + target.secret_key).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    access_key = target.access_key
    if spoil == "signature":
        signature = signature[::-1] if signature != signature[::-1] else "0" * 64
    if spoil == "key":
        access_key = "AKIANOBODY"
    authorization = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    if spoil == "scheme":
        authorization = authorization.replace("AWS4-HMAC-SHA256", "AWS5")
    if spoil == "incomplete":
        authorization = authorization.rsplit(",", 1)[0]
    head = (
        f"POST / HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: {content_type}\r\nX-Amz-Date: {stamp}\r\n"
        f"X-Amz-Target: {name}\r\nAuthorization: {authorization}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def sample(shape: Shape, name: str, target: Target) -> Any:
    """A value that satisfies the shape."""
    if isinstance(shape, StructureShape):
        return {member: sample(inner, member, target) for member, inner in shape.members.items()}
    if isinstance(shape, ListShape):
        return [sample(shape.member, name, target)]
    if isinstance(shape, MapShape):
        return {"k": "v"}
    match shape.type_name:
        case "string":
            return _text(shape, name, target)
        case "blob":
            return b"data"
        case "boolean":
            return False
        case "timestamp":
            return 1_700_000_000
        case _:
            return shape.metadata.get("min", 1)


def _text(shape: Shape, name: str, target: Target) -> str:
    if getattr(shape, "enum", None):
        return shape.enum[0]
    arn = f"arn:aws:kinesis:{target.region}:{target.account_id}:stream/fuzz"
    if name.endswith(("ARN", "Arn")):
        return f"{arn}/consumer/c:1700000000" if "Consumer" in name else arn
    if name in PATTERNED:
        return PATTERNED[name]
    return "1" if "pattern" in shape.metadata else "x" * max(1, shape.metadata.get("min", 1))


def places(value: Any, shape: Shape) -> Iterator[tuple[dict | list, Any, Shape]]:
    """Every (container, key, shape) inside a sample that may be spoiled."""
    if isinstance(shape, StructureShape):
        for member, inner in shape.members.items():
            yield value, member, inner
            yield from places(value[member], inner)
    elif isinstance(shape, ListShape):
        yield value, 0, shape.member
        yield from places(value[0], shape.member)


def wrong_type(shape: Shape, rng: random.Random) -> Any:
    """A value that the shape's type can never take."""
    if isinstance(shape, (StructureShape, MapShape)):
        return rng.choice([True, 7, "text", [1]])
    if isinstance(shape, ListShape):
        return rng.choice([True, 7, "text", {"a": 1}])
    match shape.type_name:
        case "string":
            return rng.choice([True, 7, -1.5, HUGE, ["a"], {"a": 1}])
        case "blob":
            return rng.choice([True, 7, HUGE, [b"a"], {"a": 1}])
        case "boolean":
            return rng.choice(["23", [True], {"a": 1}])
        case "timestamp":
            return rng.choice(["yesterday", True, [1], {"a": 1}])
        case _:
            return rng.choice(["7", True, [1], {"a": 1}])


def broken_constraint(shape: Shape, rng: random.Random) -> Any:
    """A value of the right type outside the shape's limits, or None if it has none."""
    limits = shape.metadata
    options: list[Callable[[], Any]] = []
    if shape.type_name == "string":
        if "max" in limits:
            options.append(lambda: "a" * (limits["max"] + rng.randrange(1, 1000)))
        if limits.get("min", 0) > 0:
            options.append(lambda: "")
        if "pattern" in limits or getattr(shape, "enum", None):
            options.append(lambda: rng.choice(["no good!", "\u0000", "\U0001f30a" * 5, "-" * 60 + "?"]))
    if shape.type_name in {"integer", "long"}:
        if "min" in limits:
            options.append(lambda: rng.choice([limits["min"] - 1, -HUGE, -(2**63)]))
        if "max" in limits:
            options.append(lambda: rng.choice([limits["max"] + 1, HUGE, 2**63]))
    return rng.choice(options)() if options else None


def encoded(value: Any, content_type: str) -> bytes:
    """The body in its format."""
    if content_type == CBOR:
        return cbor2.dumps(value)
    return json.dumps(value, default=lambda data: base64.b64encode(data).decode()).encode()


class Generator:
    """Endless bad requests; one seed, one sequence."""

    def __init__(self, target: Target, seed: int) -> None:
        self.target, self.rng = target, random.Random(seed)
        model = botocore.session.get_session().get_service_model("kinesis")
        self.operations: list[OperationModel] = [model.operation_model(name) for name in model.operation_names]
        self.kinds = [
            (30, self.typed),
            (30, self.constrained),
            (12, self.signed_wrong),
            (10, self.cut),
            (6, self.garbage),
            (5, self.deep),
            (4, self.unknown),
            (2, self.many),
            (0.02, self.large),
        ]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        weights, makers = zip(*self.kinds, strict=True)
        while True:
            made = self.rng.choices(makers, weights)[0]()
            if made is not None:
                yield made

    def _sample(self) -> tuple[OperationModel, Any, str]:
        operation = self.rng.choice(self.operations)
        shape = operation.input_shape
        value = sample(shape, "", self.target) if shape else {}
        return operation, value, self.rng.choice([JSON, CBOR])

    def _place(self, value: Any, operation: OperationModel) -> tuple[Any, Any, Shape] | None:
        shape = operation.input_shape
        found = list(places(value, shape)) if shape else []
        return self.rng.choice(found) if found else None

    def typed(self) -> tuple[str, bytes] | None:
        operation, value, content_type = self._sample()
        place = self._place(value, operation)
        if place is None:
            return None
        container, key, shape = place
        container[key] = wrong_type(shape, self.rng)
        return f"{operation.name}.{key} of the wrong type", self._wire(operation, value, content_type)

    def constrained(self) -> tuple[str, bytes] | None:
        operation, value, content_type = self._sample()
        place = self._place(value, operation)
        bad = broken_constraint(place[2], self.rng) if place else None
        if place is None or bad is None:
            return None
        place[0][place[1]] = bad
        return f"{operation.name}.{place[1]} outside its limits", self._wire(operation, value, content_type)

    def signed_wrong(self) -> tuple[str, bytes]:
        operation, value, content_type = self._sample()
        spoil = self.rng.choice(["signature", "key", "scheme", "incomplete", "old"])
        return f"{operation.name} with a wrong {spoil}", wire(
            self.target, operation.name, encoded(value, content_type), content_type, spoil=spoil
        )

    def cut(self) -> tuple[str, bytes] | None:
        operation, value, content_type = self._sample()
        body = encoded(value, content_type)
        if len(body) < 3:
            return None
        short = body[: self.rng.randrange(1, len(body) - 1)]
        return f"{operation.name} cut short", wire(self.target, operation.name, short, content_type)

    def garbage(self) -> tuple[str, bytes]:
        operation = self.rng.choice(self.operations)
        body = self.rng.choice(
            [b"\xff" * 40, b"[" * 50, b'"text"', b"null", b"{]", b"\x9f\x9f\x9f", self.rng.randbytes(200) + b"\xff"]
        )
        return f"{operation.name} with garbage", wire(self.target, operation.name, body, JSON)

    def deep(self) -> tuple[str, bytes]:
        depth = self.rng.choice([200, 5_000, 100_000])
        if self.rng.random() < 0.5:
            return "JSON too deep", wire(self.target, "PutRecord", b'{"a":' * depth, JSON)
        return "CBOR too deep", wire(self.target, "PutRecord", b"\x81" * depth + b"\x00", CBOR)

    def unknown(self) -> tuple[str, bytes]:
        name = self.rng.choice(["PutRecordz", "", "putrecord", "Put Record", "DescribeEverything", "../PutRecord"])
        return f"unknown operation {name!r}", wire(self.target, name, b"{}", self.rng.choice([JSON, CBOR]))

    def many(self) -> tuple[str, bytes]:
        records = [{"PartitionKey": "k", "Data": "eA=="}] * self.rng.choice([501, 5_000])
        return "too many records", wire(
            self.target, "PutRecords", encoded({"StreamName": "fuzz", "Records": records}, JSON), JSON
        )

    def large(self) -> tuple[str, bytes]:
        data = base64.b64encode(bytes(self.rng.choice([11, 15]) * MIB * 3 // 4)).decode()
        body = json.dumps({"StreamName": "fuzz", "PartitionKey": "k", "Data": data}).encode()
        return "many MiB", wire(self.target, "PutRecord", body, JSON)

    def _wire(self, operation: OperationModel, value: Any, content_type: str) -> bytes:
        return wire(self.target, operation.name, encoded(value, content_type), content_type)
