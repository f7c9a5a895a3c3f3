"""The process in which one jq query runs: a program of its own, started as `python -I jq_process.py 1.0` by jq_queries.py,
with the CPU seconds that a record may take.

A query is a program by a stranger in a language with recursion, ranges and imports, run by a C library that aborts when it
gets no memory. So it runs here, where nothing is to be had and nothing to be broken: an empty environment, no file may be
opened, no process started, memory and CPU time are limited by the kernel. Whatever goes wrong ends this process alone.

It imports nothing of Tidegate's, so that it starts quickly and stays small.

Frames come on stdin: four bytes of length, then the frame. The first is the query. Each further one is a byte (1: answer
each record at once; 0: all together), then records, each with four bytes of length before it. Answers go to stdout as
lines: `=` and a JSON object of strings, or `!` and a JSON string that says what is wrong; after the last of a frame `.`
and the CPU time that it took, in seconds.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from typing import Any

import jq

MEMORY_BYTES_MAX = 256 * 1024 * 1024
"""Address space. jq takes about 20 bytes for each byte of JSON; a record of a data stream has 10 MiB at most."""
ENVIRONMENT = ("TZ", "LC_CTYPE")
"""All that it is started with, and what Python adds."""
COMPILE_CPU_S = 5.0
FRAME_CPU_S = 10.0
"""For at most 128 records."""
ANSWER_BYTES_MAX = 64 * 1024
"""Of one record. An object's key has 1,024 bytes at most."""
REASON_CHARACTERS_MAX = 300

LENGTH_BYTES = 4
NOT_ONE = "The query must answer one object for each record"


def main() -> None:
    """Answer frames until there are no more."""
    _renounce()
    query = _frame()
    if query is None:
        return
    signal.setitimer(signal.ITIMER_PROF, COMPILE_CPU_S)
    try:
        program = jq.compile(query.decode())
    except ValueError as error:
        _write(_reason(str(error)) + b".0\n")
        return
    _write(b".0\n")
    while (frame := _frame()) is not None:
        _answer(program, memoryview(frame), float(sys.argv[1]))


def _renounce() -> None:
    """Give up what the process could do by mistake or by malice, for ever."""
    for name in ENVIRONMENT:
        os.unsetenv(name)
    for limit, most in (
        (resource.RLIMIT_NOFILE, 3),  # the three that are open: nothing else can be
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
    ):
        resource.setrlimit(limit, (most, most))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


def _answer(program: Any, frame: memoryview, record_cpu_s: float) -> None:
    at_once, at = frame[0] == 1, 1
    began_s = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, FRAME_CPU_S)
    lines: list[bytes] = []
    while at < len(frame):
        begins = at + LENGTH_BYTES
        at = begins + int.from_bytes(frame[at:begins], "big")
        signal.setitimer(signal.ITIMER_PROF, record_cpu_s)
        lines.append(_line(program, frame[begins:at]))
        if at_once:
            _write(lines.pop())
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    lines.append(b".%f\n" % (time.process_time() - began_s))
    _write(b"".join(lines))


def _line(program: Any, record: memoryview) -> bytes:
    try:
        answers = iter(program.input_text(str(record, "utf-8")))
        found = next(answers, None)
        if type(found) is not dict or next(answers, answers) is not answers:
            return _reason(NOT_ONE)
        said = {name: _text(name, value) for name, value in found.items() if value is not None}
        line = b"=%s\n" % json.dumps(said).encode()
    except (ValueError, RecursionError, MemoryError) as error:
        return _reason(str(error) or type(error).__name__)
    if len(line) > ANSWER_BYTES_MAX:
        return _reason(f"The query's answer has more than {ANSWER_BYTES_MAX} bytes")
    return line


def _text(name: str, value: Any) -> str:
    """A value as it stands in a path: what jq's tostring makes of strings, numbers and booleans."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return str(value)
    raise ValueError(f"The value of {name[:50]!r} is no string, number or boolean")


def _reason(text: str) -> bytes:
    return b"!%s\n" % json.dumps(" ".join(text.split())[:REASON_CHARACTERS_MAX]).encode()


def _frame() -> bytes | None:
    """None at the end, also in the middle of a frame."""
    length = _read(LENGTH_BYTES)
    return None if length is None else _read(int.from_bytes(length, "big"))


def _read(size: int) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < size:
        piece = os.read(0, min(size - len(pieces), 1 << 20))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)


def _write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.setrecursionlimit(500)
    main()
