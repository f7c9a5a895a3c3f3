"""Records decoded with a schema, in a process of its own (process.py says why): Avro and Protocol Buffers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apps.base.frames import frames
from apps.base.units import MIB

PROGRAM: Final = Path(__file__).with_name("process.py")
PROCESSES_MAX: Final = 2
"""At the same time, of one web process."""
WAIT_S: Final = 10.0
"""For the turn, and then for the process: its CPU time is limited in itself, but the machine may be busy."""
SCHEMA_BYTES_MAX: Final = 64 * 1024
DEATHS_MAX: Final = 3
"""Of processes, in one frame: the rest is given up."""
FRAME_BYTES: Final = 4 * MIB
FRAME_RECORDS: Final = 2_000
AVRO, PROTOBUF = "avro", "protobuf"

TOO_MUCH: Final = "Decoding took too much time or memory."

_PARTS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[A-Za-z_]\w*|\S', re.DOTALL)
_WELL_KNOWN = re.compile(r"""["']google/protobuf/[a-z_]+\.proto["']""")

_turns = threading.BoundedSemaphore(PROCESSES_MAX)


class SchemaError(Exception):
    """The schema cannot be used. Says why, for the person who gave it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What to decode with. kind: AVRO or PROTOBUF. message: of a .proto file, the one to take; empty: its first."""

    kind: str
    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record as JSON, with a note about it; or why it could not be decoded."""

    json: str = ""
    note: str = ""
    problem: str = ""


def check(schema: Schema) -> None:
    """Raise SchemaError for a schema that cannot be used."""
    decode(schema, [])


def decode(schema: Schema, records: Sequence[bytes]) -> list[Decoded]:
    """Each record, in order. Raises SchemaError."""
    if len(schema.text.encode()) > SCHEMA_BYTES_MAX:
        raise SchemaError(f"A schema has at most {SCHEMA_BYTES_MAX // 1024} KiB.")
    if schema.kind == PROTOBUF:
        _check_imports(schema.text)
    answers: list[Decoded] = []
    for frame in frames(records, FRAME_RECORDS, FRAME_BYTES) if records else [[]]:  # a schema is looked at in any case
        answers += _decoded(schema, frame)
    return answers


def _check_imports(text: str) -> None:
    """Only the well-known files, which the compiler brings along: nothing is read from this machine."""
    parts = [part for part in _PARTS.findall(text) if not part.startswith(("//", "/*"))]
    for at, part in enumerate(parts):
        if part != "import":
            continue
        follows = [one for one in parts[at + 1 : at + 4] if one not in {"public", "weak"}][:2]
        if follows[:1] in ([";"], ["="]):  # a field of that name
            continue
        if len(follows) < 2 or not _WELL_KNOWN.fullmatch(follows[0]) or follows[1] != ";":
            raise SchemaError("Only google/protobuf/… can be imported. Paste what else is needed into the same file.")


def _decoded(schema: Schema, records: list[bytes]) -> list[Decoded]:
    """The answers of one process; of another for what follows a record that ended the first."""
    found: list[Decoded] = []
    for _ in range(DEATHS_MAX):
        answers = _answers(schema, records[len(found) :])
        found += answers
        if len(found) == len(records):
            return found
        found.append(Decoded(problem=TOO_MUCH))
    return found + [Decoded(problem=TOO_MUCH)] * (len(records) - len(found))


def _answers(schema: Schema, records: list[bytes]) -> list[Decoded]:
    """As many as the process gave before it died, if it did. Raises SchemaError."""
    wanted = {"kind": schema.kind, "schema": schema.text if schema.kind == AVRO else "", "message": schema.message}
    framed = b"".join(len(record).to_bytes(4, "big") + record for record in records)
    with tempfile.TemporaryDirectory(prefix="tidegate-schema-") as folder:
        if schema.kind == PROTOBUF:
            (Path(folder) / "schema.proto").write_text(schema.text)
        lines = _asked(folder, json.dumps(wanted).encode() + b"\n" + framed)
    if lines is None and not records:
        raise SchemaError(TOO_MUCH)
    answers = [json.loads(line) for line in lines or ()]
    if answers and "schema" in answers[0]:
        raise SchemaError(answers[0]["schema"])
    return [Decoded(**answer) for answer in answers[: len(records)]]


def _asked(folder: str, question: bytes) -> list[bytes] | None:
    """The lines of the answer: fewer than records if the process died of one; None: nothing came."""
    if not _turns.acquire(timeout=WAIT_S):
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a command of our own
            [sys.executable, "-I", str(PROGRAM), folder],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"TZ": "UTC0"},
            timeout=WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    finally:
        _turns.release()
    lines = done.stdout.split(b"\n")[:-1]
    return lines if lines or done.returncode == 0 else None
