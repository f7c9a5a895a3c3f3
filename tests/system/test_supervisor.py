"""workers/supervisor.py over small programs: deaths, groups, order, giving up, and its own death."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, STOPPED_WITHIN_S, eventually, in_session

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

LIVES = """
import signal, sys, time, pathlib
def end(*_):
    print("ended", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path({mark!r}).touch()
print("started", flush=True)
while True: time.sleep(60)
"""

EITHER_WAY = pytest.mark.parametrize("copied", [False, True], ids=["executed", "copied"])


class Running:
    def __init__(self, tmp_path: Path, *programs: dict) -> None:
        self.log = tmp_path / "log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.supervised", json.dumps(programs)],
                cwd=ROOT, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    def output(self) -> str:
        return self.log.read_text()

    def count(self, text: str) -> int:
        return len(re.findall(text, self.output()))

    def until(self, text: str, times: int = 1) -> None:
        eventually(lambda: self.count(text) >= times, what=f"{times} times {text} in {self.output()}")

    def children(self) -> list:
        return [seen for seen in in_session(self.process.pid) if seen.pid != self.process.pid]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPPED_WITHIN_S)


@pytest.fixture
def start(tmp_path, request):
    started = []
    copied = "copied" in request.fixturenames and request.getfixturevalue("copied")

    def begin(*programs: dict) -> Running:
        for number, program in enumerate(programs):
            program.setdefault("healthy", str(tmp_path / f"healthy-{number}"))
            program["code"] = program["code"].replace("{mark!r}", repr(program["healthy"]))
            program["copy"] = copied
        started.append(Running(tmp_path, *programs))
        return started[-1]

    yield begin
    for running in started:
        for seen in in_session(running.process.pid):
            os.kill(seen.pid, signal.SIGKILL)
        running.process.wait()


@EITHER_WAY
def test_each_child_heads_a_group_inside_the_session(start, copied):
    running = start({"name": "a", "code": LIVES}, {"name": "b", "code": LIVES})
    running.until("all healthy")
    children = running.children()
    assert len(children) == 2
    assert all(child.group == child.pid and child.parent == running.process.pid for child in children)
    assert ({child.command for child in children} == {"a", "b"}) is copied
    assert running.end() == 0


@EITHER_WAY
def test_a_dead_child_comes_back(start, copied):
    running = start({"name": "a", "code": LIVES})
    running.until("all healthy")
    for times in (2, 3):
        os.kill(running.children()[0].pid, signal.SIGKILL)
        running.until("a +\\| started", times)
    assert running.count("a ended \\(signal 9\\); starting it again") == 2
    assert running.end() == 0
    assert running.children() == []


def test_a_child_that_hangs_is_started_again(start, tmp_path):
    hangs = tmp_path / "hangs"
    code = f"import pathlib; pathlib.Path({str(hangs)!r}).unlink(missing_ok=True)\n" + LIVES
    running = start({"name": "one", "code": code, "hangs": str(hangs)}, {"name": "two", "code": LIVES})
    running.until("all healthy")
    hangs.touch()
    running.until("one does nothing any more; killing it")
    running.until(r"one \| started", 2)
    assert running.count(r"two \| started") == 1
    assert running.end() == 0


@EITHER_WAY
def test_it_starts_in_order_and_stops_in_reverse(start, copied):
    running = start(
        {"name": "first", "code": LIVES},
        {"name": "second", "code": LIVES, "needs": ["first"]},
        {"name": "third", "code": LIVES, "needs": ["second"]},
    )
    running.until("all healthy")
    assert running.end() == 0
    order = re.findall(r"(\w+) +\| (started|ended)", running.output())
    assert order == [
        ("first", "started"), ("second", "started"), ("third", "started"),
        ("third", "ended"), ("second", "ended"), ("first", "ended"),
    ]  # fmt: skip


def test_the_rest_of_a_dead_heads_group_is_gone_before_it_starts_anew(start, tmp_path):
    head = f"""
import fcntl, os, sys, time, pathlib
lock = open({str(tmp_path / "lock")!r}, "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("OVERLAP", flush=True)
os.set_inheritable(lock.fileno(), True)
if os.fork() == 0:
    while True: time.sleep(60)   # the grandchild holds the lock as a web worker holds the port
pathlib.Path({{mark!r}}).touch()
print("started", flush=True)
while True: time.sleep(60)
"""
    running = start({"name": "a", "code": head})
    running.until("all healthy")
    for times in (2, 3):
        [head_pid] = [child.pid for child in running.children() if child.group == child.pid]
        os.kill(head_pid, signal.SIGKILL)
        running.until("a +\\| started", times)
    assert running.count("OVERLAP") == 0
    assert len(running.children()) == 2


def test_it_gives_up_on_a_child_that_never_becomes_healthy(start):
    running = start({"name": "good", "code": LIVES}, {"name": "bad", "code": "print('no'); raise SystemExit(3)"})
    assert running.process.wait(STOPPED_WITHIN_S) == 1
    assert running.count("bad +\\| no") == 5
    assert "bad failed 5 times in a row to start" in running.output()
    assert "Traceback" not in running.output()
    assert running.count("good +\\| ended") == 1
    assert running.children() == []


def test_mere_deaths_never_stop_it(start):
    dies = """
import pathlib, time, os
pathlib.Path({mark!r}).touch()
print("started", flush=True)
while not pathlib.Path({mark!r} + "-noticed").exists(): time.sleep(0.01)
os._exit(1)
"""
    running = start({"name": "a", "code": dies})
    running.until("a +\\| started", 6)
    assert running.process.poll() is None
    assert running.end() == 0


def test_a_child_that_ignores_the_signal_is_killed(start):
    deaf = LIVES.replace("signal.signal(signal.SIGTERM, end)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    running = start({"name": "a", "code": deaf, "stop_s": 0.5})
    running.until("all healthy")
    assert running.end() == 0
    assert running.children() == []


def test_a_second_signal_hurries(start):
    deaf = LIVES.replace('    print("ended", flush=True); sys.exit(0)', "    print('asked', flush=True)")
    running = start({"name": "a", "code": deaf, "stop_s": 600})
    running.until("all healthy")
    running.process.send_signal(signal.SIGINT)
    running.until("a +\\| asked")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(STOPPED_WITHIN_S) == 0
    assert running.children() == []


@EITHER_WAY
def test_its_own_death_takes_everybody_along(start, copied):
    running = start({"name": "a", "code": LIVES}, {"name": "b", "code": LIVES})
    running.until("all healthy")
    running.process.kill()
    running.process.wait()
    eventually(lambda: not running.children(), what="all are gone")


def test_a_reader_that_does_not_read_stops_nobody(start, tmp_path):
    chatty = """
import pathlib
for _ in range(40_000): print("x" * 100)
pathlib.Path({mark!r}).touch()
import time; time.sleep(600)
"""
    mark = tmp_path / "healthy-chatty"
    code = chatty.replace("{mark!r}", repr(str(mark)))
    program = json.dumps([{"name": "a", "code": code, "healthy": str(mark)}])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.system.supervised", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        eventually(mark.exists, what="the child got rid of 4 MB")
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=STOPPED_WITHIN_S)[0]
        assert process.returncode == 0
        assert rest.startswith(b"a | x")
    finally:
        process.kill()
        process.wait()
