"""The process in which records are decoded with a schema that somebody pasted: `python -I process.py FOLDER`.

A schema is a program by a stranger in all but name: it can nest without end, ask for arrays of a billion nothings, or meet a
bug of a parser written in C. So it runs here, with memory and CPU time limited by the kernel, no network, no file but the
one schema. Whatever goes wrong ends this process alone. It imports nothing of Tidegate's.

On stdin: a line of JSON {kind: avro | protobuf, schema, message}, then each record, with four bytes of length before it.
On stdout a line of JSON for each record: {"json": text, "note": text} or {"problem": text}; or, if the schema itself is
wrong, the single line {"schema": text}.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
import json
import math
import os
import re
import resource
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import protoxy
from fastavro.schema import UnknownType
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

MEMORY_BYTES_MAX = 256 * 1024 * 1024
CPU_S_MAX = 4
FILES_MAX = 12
JSON_BYTES_MAX = 256 * 1024
"""Of one record."""
CONTAINER_RECORDS_MAX = 100
"""Shown of one Avro object container."""
DEPTH_MAX = 100
REASON_CHARACTERS_MAX = 300

REPR = re.compile(r": [\[{].*", re.DOTALL)
"""A piece of the schema as Python writes it, behind what fastavro has to say."""

CONTAINER = b"Obj\x01"
SINGLE_OBJECT = b"\xc3\x01"
SINGLE_OBJECT_HEADER = 10
CONFLUENT_HEADER = 5


def main() -> None:
    """Decode all that comes on stdin."""
    _renounce()
    wanted = json.loads(sys.stdin.buffer.readline())
    try:
        decoder: Any = Avro(wanted["schema"]) if wanted["kind"] == "avro" else Protobuf(wanted, Path(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - a parser's own errors are of many kinds
        _say({"schema": _reason(error, wanted["kind"] == "avro")})
        return
    for record in _records():
        try:
            text, note = decoder.decode(record)
            answer = {"json": text, "note": note} if len(text) <= JSON_BYTES_MAX else {"problem": "It is too long."}
        except Exception as error:  # noqa: BLE001 - as above
            answer = {"problem": _reason(error)}
        _say(answer)


def _renounce() -> None:
    """Give up what could be done by mistake or by malice, for ever."""
    for limit, most in (
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_S_MAX),
    ):
        resource.setrlimit(limit, (most, most))


class Avro:
    """Binary Avro under one schema; framing of registries before it is left out, a container brings its own schema."""

    def __init__(self, text: str) -> None:
        self._schema = fastavro.parse_schema(json.loads(text)) if text else None

    def decode(self, data: bytes) -> tuple[str, str]:
        """JSON, and what else is to be said."""
        if data.startswith(CONTAINER):
            return self._container(data)
        if data.startswith(SINGLE_OBJECT):
            data = data[SINGLE_OBJECT_HEADER:]
        try:
            return _json(self._whole(data)), ""
        except Exception:
            if data[:1] != b"\0":
                raise
            return _json(self._whole(data[CONFLUENT_HEADER:])), "Confluent's header is left out."

    def _whole(self, data: bytes) -> Any:
        """The value that takes up all of the data: else it is another schema's."""
        assert self._schema is not None
        stream = io.BytesIO(data)
        found = fastavro.schemaless_reader(stream, self._schema)
        left = len(data) - stream.tell()
        if left:
            raise ValueError(f"{left} bytes are left over: the schema does not fit this record.")
        return found

    @staticmethod
    def _container(data: bytes) -> tuple[str, str]:
        found: list[Any] = []
        for record in fastavro.reader(io.BytesIO(data)):
            if len(found) == CONTAINER_RECORDS_MAX:
                return _json(found), f"The first {CONTAINER_RECORDS_MAX} records of an Avro object container."
            found.append(record)
        return _json(found), f"An Avro object container of {len(found)} records."


class Protobuf:
    """A message of a .proto file; the first one if none is named."""

    def __init__(self, wanted: dict[str, str], folder: Path) -> None:
        files = descriptor_pb2.FileDescriptorSet.FromString(
            protoxy.compile_bin([folder / "schema.proto"], [folder], include_source_info=False)
        )
        own = files.file[-1]
        names = list(_messages(own.message_type, f"{own.package}." if own.package else ""))
        if not names:
            raise ValueError("The file defines no message.")
        name = wanted.get("message") or names[0]
        matching = [known for known in names if known == name or known.endswith(f".{name}")]
        if not matching:
            raise ValueError(f"There is no message {name}. There are: {', '.join(names[:10])}")
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        self._message = message_factory.GetMessageClass(pool.FindMessageTypeByName(matching[0]))

    def decode(self, data: bytes) -> tuple[str, str]:
        """JSON, and how many fields the schema does not know."""
        if data[:1] == b"\0":  # field 0 exists in no message: it is Confluent's header
            data = data[CONFLUENT_HEADER:].removeprefix(b"\0")
        message = self._message.FromString(data)
        unknown = len(UnknownFieldSet(message))
        text = json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=False, indent=None)
        return text, f"Left out: {unknown} that the schema does not know." if unknown else ""


def _messages(types: Any, prefix: str) -> Iterator[str]:
    for one in types:
        if not one.options.map_entry:
            yield prefix + one.name
            yield from _messages(one.nested_type, f"{prefix}{one.name}.")


def _json(value: Any) -> str:
    return json.dumps(_plain(value, 0), ensure_ascii=False)


def _plain(value: Any, depth: int) -> Any:
    """What JSON can say. Bytes are base64, as protobuf's JSON has them; integers keep all their digits."""
    if depth > DEPTH_MAX:
        raise ValueError("It is nested too deep.")
    if isinstance(value, dict):
        return {str(name): _plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal | uuid.UUID | dt.timedelta) else value


def _reason(error: Exception, of_avro: bool = False) -> str:
    """One line, without the place in the file: that would show what is in it. of_avro: an Avro schema is to blame."""
    said = _of_avro(error) if of_avro else str(error) or type(error).__name__
    if isinstance(error, MemoryError | RecursionError):
        said = "Decoding took too much memory."
    text = " ".join(said.split())
    return text[:REASON_CHARACTERS_MAX]


def _of_avro(error: Exception) -> str:
    """What fastavro says of a schema, in JSON's words where it speaks Python's."""
    if isinstance(error, UnknownType):
        named = error.name.get("type") if isinstance(error.name, dict) else error.name
        return f"Unknown type: {named if isinstance(named, str) else json.dumps(named)}"
    if isinstance(error, json.JSONDecodeError):
        return f"This is no JSON: {error}"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing." if error.args else "A part is missing."
    if isinstance(error, TypeError):
        return "This is no Avro schema: it is the name of a type, an object, or a list of them."
    return REPR.sub("", str(error)).replace(" a dict", " an object") or type(error).__name__


def _records() -> Iterator[bytes]:
    while len(length := sys.stdin.buffer.read(4)) == 4:
        yield sys.stdin.buffer.read(int.from_bytes(length, "big"))


def _say(answer: dict[str, str]) -> None:
    left = memoryview(json.dumps(answer).encode() + b"\n")
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.setrecursionlimit(2_000)
    main()
