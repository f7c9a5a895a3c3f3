"""jq queries asked of many records, each query in a process of its own (jq_process.py says why).

A process is kept for the next records of the same team and query; no other query ever runs in it. One that dies of a record
is replaced; the record fails, the others are answered.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from apps.base.frames import frames
from apps.base.units import KIB, MIB

if TYPE_CHECKING:
    from apps.runtime import Runtime

PROGRAM: Final = Path(__file__).with_name("jq_process.py")
PROCESSES_MAX: Final = 4
"""At the same time, of one worker: twice its cores. About 15 MiB each while they wait."""
FRAME_RECORDS: Final = 128
FRAME_BYTES: Final = 512 * KIB
"""Records that are asked about together: a pipe's way there and back costs as much as some ten records."""
RECORD_CPU_S: Final = 1.0
"""One of 1 KiB takes 25 microseconds, one of 10 MiB a quarter of a second."""
FRAME_WALL_S: Final = 300.0
"""For a process that does not get on at all, stopped or swapped out: its CPU time is limited in itself."""
ANSWERS_BYTES_MAX: Final = 16 * MIB
"""Of a frame: what 128 answers of the longest kind have, and room."""
DEATHS_MAX: Final = 3
"""Of processes, in one list of records: then the query is at fault, and the rest fails unasked."""
RUN_CPU_S: Final = 60.0
"""For one list of records (4 MiB): 15 milliseconds for each record of 1 KiB."""

TOO_MUCH: Final = "The query took too much time or memory for this record"
GIVEN_UP: Final = "The query was not asked: it took too much time or memory for other records of the batch"

_object = msgspec.json.Decoder(dict[str, str]).decode
_string = msgspec.json.Decoder(str).decode

Answer = dict[str, str] | str
"""What the query answers for a record, without nulls; or why it answers nothing."""


def problem(query: str) -> str:
    """What is wrong with a query, empty: it can be compiled. Takes a process of its own, some 60 ms."""
    process = _Process(query)
    process.kill()
    return process.problem


@dataclass(slots=True)
class _Run:
    """What one list of records has cost so far."""

    deaths: int = 0
    cpu_s: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.deaths >= DEATHS_MAX or self.cpu_s >= RUN_CPU_S


@dataclass(slots=True)
class Queries:
    """The processes of this worker; one per runtime (`runtime.part(Queries)`). Thread-safe."""

    runtime: Runtime | None = None
    _idle: list[_Process] = field(default_factory=list)
    _begun: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, owner: int, query: str, records: list[bytes]) -> list[Answer]:
        """The answers for records, in their order. owner: whose query it is; no two share a process.

        Raises OSError when no process can be started.
        """
        run, answers = _Run(), list[Answer]()
        for frame in frames(records, FRAME_RECORDS, FRAME_BYTES):
            answers += self._frame(owner, query, frame, run)
        return answers

    def close(self) -> None:
        """End the processes that wait."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._begun -= len(idle)
        for process in idle:
            process.kill()

    def _frame(self, owner: int, query: str, frame: list[bytes], run: _Run) -> list[Answer]:
        """All at once; and if the process dies of that, one by one, to know of which."""
        answers: list[Answer] = []
        if not run.is_over:
            answers += self._asked(owner, query, frame, run, at_once=False)
        while len(answers) < len(frame):
            if run.is_over:
                return answers + [GIVEN_UP] * (len(frame) - len(answers))
            answers += self._asked(owner, query, frame[len(answers) :], run, at_once=True)
            if len(answers) < len(frame):
                run.deaths += 1
                answers.append(TOO_MUCH)
        return answers

    def _asked(self, owner: int, query: str, records: list[bytes], run: _Run, *, at_once: bool) -> list[Answer]:
        """As many answers as the process gave before it died, if it did."""
        process = self._borrowed(owner, query)
        try:
            if process.problem:
                return [process.problem] * len(records)
            answers, cpu_s = process.ask(records, at_once=at_once)
            run.cpu_s += cpu_s
            return answers
        finally:
            self._given_back(process)

    def _borrowed(self, owner: int, query: str) -> _Process:
        with self._changed:
            while True:
                for process in self._idle:
                    if process.owner == owner and process.query == query:
                        self._idle.remove(process)
                        return process
                if self._begun < PROCESSES_MAX:
                    break
                if self._idle:
                    self._idle.pop(0).kill()
                    self._begun -= 1
                    break
                self._changed.wait()
            self._begun += 1
        try:
            return _Process(query, owner)
        except BaseException:
            with self._changed:
                self._begun -= 1
                self._changed.notify()
            raise

    def _given_back(self, process: _Process) -> None:
        if not process.is_well:
            process.kill()
        with self._changed:
            if process.is_well:
                self._idle.append(process)
            else:
                self._begun -= 1
            self._changed.notify()


class _Process:
    """One process with one query, until it dies. is_well: it may be asked again. problem: the query cannot be compiled."""

    def __init__(self, query: str, owner: int = 0) -> None:
        self.query, self.owner = query, owner
        self._process = subprocess.Popen(  # noqa: S603 - a command of our own
            [sys.executable, "-I", str(PROGRAM), str(RECORD_CPU_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"TZ": "UTC0"},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        lines = self._exchanged(_framed(query.encode("utf-8", "replace")))
        self.is_well = lines[-1:] == [b".0"]
        self.problem = _problem(lines)

    def ask(self, records: list[bytes], *, at_once: bool) -> tuple[list[Answer], float]:
        """Answers and CPU seconds. Fewer answers than records: the process has died of the next one."""
        body = bytes([at_once]) + b"".join(_framed(record) for record in records)
        lines = self._exchanged(_framed(body))
        self.is_well = len(lines) == len(records) + 1 and lines[-1].startswith(b".")
        cpu_s = float(lines.pop()[1:]) if self.is_well else 0.0
        return [_answer(line) for line in lines[: len(records)]], cpu_s

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.communicate()

    def _exchanged(self, question: bytes) -> list[bytes]:
        """The lines of the answer; those that came, if the process dies or does not get on."""
        left, read = memoryview(question), bytearray()
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        poll.register(self._in, select.POLLOUT)
        ends_s = time.monotonic() + FRAME_WALL_S
        while not _is_whole(read) and len(read) <= ANSWERS_BYTES_MAX:
            ready = [fd for fd, _ in poll.poll(max(0.0, ends_s - time.monotonic()) * 1_000)]
            if not ready:
                break
            if self._in in ready:
                left = self._written(left)
                if not left:
                    poll.unregister(self._in)
            if self._out in ready:
                piece = os.read(self._out, MIB)
                if not piece:
                    break
                read += piece
        return bytes(read).split(b"\n")[:-1]

    def _written(self, left: memoryview) -> memoryview:
        try:
            return left[os.write(self._in, left[:MIB]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:  # it has died; the answer ends as well
            return left[:0]


def _problem(lines: list[bytes]) -> str:
    if lines[-1:] != [b".0"]:
        return "The query takes too much time or memory to be compiled"
    return _string(lines[0][1:]) if len(lines) > 1 else ""


def _answer(line: bytes) -> Answer:
    return _object(line[1:]) if line.startswith(b"=") else _string(line[1:])


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _is_whole(read: bytearray) -> bool:
    """The last line is whole, and the one that ends an answer."""
    if not read.endswith(b"\n"):
        return False
    return read.startswith(b".", read.rfind(b"\n", 0, len(read) - 1) + 1)
