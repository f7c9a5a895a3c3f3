"""workers/copies.py: a copy of a process is as a program that began anew, and nothing of it reaches what it is a copy of."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

SCRIPT = """
import atexit, os, selectors, signal, sys, threading
from pathlib import Path
from workers import copies

def ran(run):
    reading, writing = os.pipe()
    pid = copies.start(run, "a title that is much longer than any command line may be " * 9, writing, selector.close)
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = os.fdopen(reading).read()
    return code, said

def looks():
    owned = sorted(os.listdir("/proc/self/fd"), key=int)
    print("files", *owned[:3], "and the one that looks", len(owned))
    print("title", Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode()[:7])
    print("group", os.getpgid(0) == os.getpid(), "input", sys.stdin.read() == "")
    names = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    print("signals", all(signal.getsignal(name) is signal.SIG_DFL for name in names), signal.pthread_sigmask(signal.SIG_BLOCK, ()))

def ends_late():
    atexit.register(print, "last word")
    threading.Thread(target=lambda: (threading.Event().wait(0.05), print("the thread is done"))).start()

def dies():
    os.kill(os.getpid(), signal.SIGTERM)

selector = selectors.DefaultSelector()
signal.signal(signal.SIGTERM, lambda *_: print("the handler of the first process"))
sys.stdin, held = open(0, closefd=False), open("/dev/null")
print("not said twice", end="")
for run in (looks, ends_late, dies, lambda: sys.exit("a reason"), lambda: sys.exit(7), lambda: 1 / 0):
    code, said = ran(run)
    print("", code, *said.splitlines()[:8] if "Traceback" not in said else [said.splitlines()[-1]], sep="\\n")
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), copies.possible())
resting = threading.Event()
threading.Thread(target=resting.wait).start()
print(copies.possible())
resting.set()
"""

SAID = """not said twice
0
files 0 1 2 and the one that looks 4
title a title
group True input True
signals True set()

0
the thread is done
last word

-15

1
a reason

7

1
ZeroDivisionError: division by zero
set() True
False
"""


@pytest.mark.parametrize("errors", ["", " 2>&-"], ids=["", "the first process's errors are closed"])
def test_a_copy_is_as_a_program_that_began_anew(errors):
    command = ["sh", "-c", f'exec "$0" -c "$1"{errors}', sys.executable, SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == SAID, done.stderr
    assert done.returncode == 0
