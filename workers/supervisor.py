"""Start, watch, restart and stop the child processes of `up`.

One thread, one loop. Each child is the head of a process group of its own inside this session, and is killed by the
kernel when this process ends. When a head dies, what is left of its group is killed and waited for before the child
starts anew: a web worker whose master died would otherwise go on sharing the port with its successor.

A child that dies is restarted at once, then after 0.2 … 5 seconds. Only a child that fails FAILURES_MAX times in a row
to become healthy after a start ends the whole.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from apps.base.processes import adopt_orphans, die_with
from workers import copies
from workers.output import Output

FAILURES_MAX = 5
HEALTHY_WITHIN_S = 120.0
"""A quiet machine needs two. To kill what is merely slow would only make a busy one busier."""
PAUSES_S = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
HUNG_S = 120.0
"""A child that does nothing for so long is killed: longer than the slowest slices keep all of a worker busy."""
HUNG_LOOK_EVERY_S = 10.0
STEADY_S = 10.0
"""A child that was healthy this long has its pauses forgotten."""
PROBE_EVERY_S = 0.05
GROUP_GONE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. healthy: a quick look, true once it serves. prepare: runs before each start. stop_s: how long it
    may take to end after SIGTERM. needs: names of programs that must be healthy before it starts. noise: lines of its
    output that contain one of these are dropped. hangs: a look now and then, true if it does nothing any more although
    what it needs is there. run: the same as the command, for a copy of this process (copies.py), which is listed as title."""

    name: str
    command: list[str]
    healthy: Callable[[], bool]
    stop_s: float
    needs: tuple[str, ...] = ()
    prepare: Callable[[], None] = lambda: None
    noise: tuple[bytes, ...] = ()
    hangs: Callable[[], bool] = lambda: False
    run: Callable[[], object] | None = None
    title: str = ""


class State(Enum):
    """WAITING for its turn, STARTING until healthy, HEALTHY, CLEARING what is left of its group, GONE for good."""

    WAITING = auto()
    STARTING = auto()
    HEALTHY = auto()
    CLEARING = auto()
    GONE = auto()


@dataclass(slots=True)
class Child:
    """One program's life."""

    program: Program
    state: State = State.WAITING
    pid: int = 0
    since_s: float = 0.0
    start_at_s: float = 0.0
    failures: int = 0
    pauses: int = 0
    hung_since_s: float | None = None
    pipes: list[int] = field(default_factory=list)


class GaveUp(Exception):
    """A child does not become healthy. The text is one sentence."""


class Supervisor:
    """Runs programs in the given order, and stops them in the reverse one."""

    def __init__(self, programs: list[Program], environment: Mapping[str, str]) -> None:
        self._children = [Child(program) for program in programs]
        self._environment = dict(environment)
        self._selector = selectors.DefaultSelector()
        noise = {program.name: program.noise for program in programs if program.noise}
        self._output = Output(sys.stdout.fileno(), max(len(program.name) for program in programs), noise)
        self._stop_asked = 0
        self._probed_s = 0.0
        self._looked_s = 0.0

    def say(self, text: str) -> None:
        """Lines of our own, in order with the children's."""
        self._output.say(text)

    def run(self, when_healthy: Callable[[], bool]) -> None:
        """Until SIGTERM, SIGINT or SIGHUP. when_healthy is called until it answers True, once all children are healthy.
        Raises GaveUp, after everything is stopped."""
        adopt_orphans()
        wake, restore = self._catch_signals()
        announced = False
        try:
            while not self._stop_asked:
                self._step(0.05 if not announced or self._restless() else 1.0)
                self._start_what_is_due()
                self._probe()
                self._look_for_hanging()
                if not announced and self._all_healthy():
                    announced = when_healthy()
        finally:
            self._stop_all()
            restore()
            os.close(wake)
            self._output.flush()

    def _catch_signals(self) -> tuple[int, Callable[[], None]]:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._selector.register(reading, selectors.EVENT_READ, None)
        before_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        before = {name: signal.signal(name, self._on_signal) for name in names}

        def restore() -> None:
            signal.set_wakeup_fd(before_fd)
            for name, handler in before.items():
                signal.signal(name, handler)
            self._selector.unregister(reading)
            os.close(reading)

        return writing, restore

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._stop_asked += 1

    def _step(self, wait_s: float) -> None:
        """Wait for output, signals or deaths, and take note of them."""
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                _drain(key.fd)
            else:
                self._read(key.data, key.fd)
        self._reap()
        self._clear()
        self._output.write_some()

    def _read(self, child: Child, pipe: int) -> None:
        try:
            data = os.read(pipe, 65_536)
        except BlockingIOError:
            return
        if data:
            self._output.add(child.program.name, pipe, data)
        else:
            self._close_pipe(child, pipe)

    def _close_pipe(self, child: Child, pipe: int) -> None:
        self._output.end(child.program.name, pipe)
        self._selector.unregister(pipe)
        os.close(pipe)
        child.pipes.remove(pipe)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children:
                if child.pid == pid and child.state in {State.STARTING, State.HEALTHY}:
                    self._head_died(child, os.waitstatus_to_exitcode(status))

    def _head_died(self, child: Child, code: int) -> None:
        now_s = time.monotonic()
        if child.state is State.HEALTHY and now_s - child.since_s >= STEADY_S:
            child.pauses = 0
        if child.state is State.STARTING:
            child.failures += 1
        if not self._stop_asked:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.say(f"{child.program.name} ended ({how}); starting it again")
        self._pause(child)
        child.state, child.since_s = State.CLEARING, now_s

    def _clear(self) -> None:
        """Kill what is left of dead heads' groups; a group is gone when there is nobody to signal."""
        for child in self._children:
            if child.state is not State.CLEARING:
                continue
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # PermissionError: macOS says so of zombies
                for pipe in list(child.pipes):
                    self._read_rest(child, pipe)
                child.state, child.pid = State.WAITING, 0
                self._give_up_on(child)

    def _give_up_on(self, child: Child) -> None:
        if child.failures >= FAILURES_MAX and not self._stop_asked:
            raise GaveUp(
                f"{child.program.name} failed {FAILURES_MAX} times in a row to start; its messages stand above."
            )

    def _read_rest(self, child: Child, pipe: int) -> None:
        """What a dead group left in its pipe; nobody of it will write any more."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(pipe, 65_536):
                self._output.add(child.program.name, pipe, data)
        self._close_pipe(child, pipe)

    def _start_what_is_due(self) -> None:
        healthy = {child.program.name for child in self._children if child.state is State.HEALTHY}
        now_s = time.monotonic()
        for child in self._children:
            if child.state is State.WAITING and now_s >= child.start_at_s and healthy.issuperset(child.program.needs):
                try:
                    self._start(child)
                except OSError as error:  # no memory, no room on the disk, a file that went away
                    self.say(f"{child.program.name} cannot be started: {error}")
                    child.failures += 1
                    self._pause(child)
                    self._give_up_on(child)

    def _pause(self, child: Child) -> None:
        child.start_at_s = time.monotonic() + PAUSES_S[min(child.pauses, len(PAUSES_S) - 1)]
        child.pauses += 1

    def _start(self, child: Child) -> None:
        child.program.prepare()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            child.pid = self._copied(child.program, writing) or self._executed(child.program, writing)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        child.state, child.since_s = State.STARTING, time.monotonic()
        child.hung_since_s = None
        child.pipes.append(reading)
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _copied(self, program: Program, output: int) -> int:
        """The id of a copy of this process that does the program's work; 0 where none can be made."""
        if program.run is None or not copies.possible():
            return 0
        return copies.start(program.run, program.title, output, self._selector.close)

    def _executed(self, program: Program, output: int) -> int:
        """The id of a process that executes the program's command."""
        parent = os.getpid()
        process = subprocess.Popen(  # noqa: S603 - commands of our own
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=self._environment,
            process_group=0,
            preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - this process has one thread
        )
        process.returncode = 0  # _reap waits for it, not Popen
        return process.pid

    def _probe(self) -> None:
        """Look whether the starting ones are healthy; kill those that had time enough."""
        now_s = time.monotonic()
        if now_s - self._probed_s < PROBE_EVERY_S:
            return
        for child in self._children:
            if child.state is not State.STARTING:
                continue
            if child.program.healthy():
                child.state, child.since_s, child.failures = State.HEALTHY, time.monotonic(), 0
            elif now_s - child.since_s > HEALTHY_WITHIN_S:
                self.say(f"{child.program.name} is not healthy after {HEALTHY_WITHIN_S:.0f} s; killing it")
                _signal_group(child.pid, signal.SIGKILL)
        self._probed_s = time.monotonic()

    def _look_for_hanging(self) -> None:
        """Kill those that live and do nothing: their connection to Redis may have died in a way that they do not notice."""
        now_s = time.monotonic()
        if now_s - self._looked_s < HUNG_LOOK_EVERY_S:
            return
        for child in self._children:
            if child.state is not State.HEALTHY or not child.program.hangs():
                child.hung_since_s = None
            elif child.hung_since_s is None:
                child.hung_since_s = now_s
            elif now_s - child.hung_since_s > HUNG_S:
                self.say(f"{child.program.name} does nothing any more; killing it")
                child.hung_since_s = None
                _signal_group(child.pid, signal.SIGKILL)
        self._looked_s = time.monotonic()

    def _all_healthy(self) -> bool:
        return all(child.state is State.HEALTHY for child in self._children)

    def _restless(self) -> bool:
        return not self._all_healthy()

    def _stop_all(self) -> None:
        """In reverse order: SIGTERM to the head, then SIGKILL to whatever of its group is left. A second signal hurries."""
        asked = self._stop_asked = max(self._stop_asked, 1)
        for child in reversed(self._children):
            if child.state in {State.STARTING, State.HEALTHY}:
                os.kill(child.pid, signal.SIGTERM)
            deadline_s = time.monotonic() + child.program.stop_s
            while child.state in {State.STARTING, State.HEALTHY}:
                if time.monotonic() > deadline_s or self._stop_asked > asked:
                    _signal_group(child.pid, signal.SIGKILL)
                self._step(0.02)
            gone_by_s = time.monotonic() + GROUP_GONE_WITHIN_S
            while child.state is State.CLEARING and time.monotonic() < gone_by_s:
                self._step(0.02)
            child.state = State.GONE


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4_096):
            pass
