"""What the kernel is asked about processes: to die with a parent, to be given a dead child's orphans, to be let finish."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from apps.base.units import MIB

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGE_BLOCKS = ((M_MMAP_THRESHOLD, 64 * MIB), (M_TRIM_THRESHOLD, 256 * MIB), (M_TOP_PAD, 16 * MIB))
WATCH_S = 1.0
ARGUMENTS = (45, 46)
"""Where the command line begins and ends in memory: fields 48 and 49 of /proc/<pid>/stat, counted from after the name."""

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_make() -> None:
    """Be asked to end (SIGTERM) when the `make` that started this process is killed; started otherwise: nothing."""
    parent = Path(f"/proc/{os.getppid()}/comm")
    if sys.platform == "linux" and parent.exists() and parent.read_text().strip() in {"make", "gmake"}:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def die_with(parent: int) -> None:
    """Be killed when the process `parent`, which must be this one's parent, ends in whatever way.

    Linux: by the kernel, at once. Elsewhere: by a thread that looks once a second.
    """
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        threading.Event().wait(WATCH_S)
    os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be waited for (Linux only)."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def keep_large_blocks() -> bool:
    """Let glibc reuse the memory of large bodies: by default it maps, clears and unmaps new pages for each.

    False where the C library is not glibc, or refuses.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if sys.platform != "linux" or mallopt is None:
        return False
    answers = [mallopt(option, value) for option, value in LARGE_BLOCKS]
    return all(answers)


def finish_before_others() -> None:
    """Tell the scheduler that a thread of this process which wakes up need not interrupt the one that runs (Linux's
    SCHED_BATCH; started otherwise or refused: nothing). Threads begun later inherit it.

    The threads of a web process hand each request to one another; to finish what is begun first saves most of the
    switches between them: 15 to 20 % of a PutRecord.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def show_as(title: str) -> None:
    """What lists of processes show for this one (Linux; elsewhere: nothing), written over its command line, so never longer."""
    if sys.platform == "linux":
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = (int(fields[at]) for at in ARGUMENTS)
        if 0 < start < end:  # 0: the kernel does not tell
            ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)
