"""A child of `up` that is a copy of it, instead of a program that begins anew.

All of Tidegate is imported once, by `up`: its children have it from their first moment, and share its memory. Only a process of
one thread may be copied, since a lock that another thread holds would stay locked in the copy; and only on Linux, since systems'
libraries elsewhere do not allow for it. Where it is not possible, a child is begun by its command.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from apps.base.processes import die_with, show_as

STDIN, STDOUT, STDERR = 0, 1, 2
THREADS = Path("/proc/self/task")
OWN_FILES = Path("/proc/self/fd")


def possible() -> bool:
    """May this process be copied?"""
    return sys.platform == "linux" and len(list(THREADS.iterdir())) == 1


def start(run: Callable[[], object], title: str, output: int, forget: Callable[[], None]) -> int:
    """Copy this process; answers the copy's id. The copy heads a group of its own, dies with this process, writes to the
    descriptor `output`, is listed under the title, calls `run` and ends. forget: lets go, in the copy, of the objects that own
    descriptors; all descriptors are closed there. Raises OSError."""
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: whoever started this process has closed it
            stream.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _live(run, lambda: _begin(parent, title, output, forget, before))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with contextlib.suppress(OSError):  # whoever comes first of the two; it may have ended, too
        os.setpgid(pid, pid)
    return pid


def _begin(parent: int, title: str, output: int, forget: Callable[[], None], mask: Iterable[int]) -> None:
    """Be as a program that was begun anew. A signal that came meanwhile is taken as such a one takes it."""
    os.setpgid(0, 0)
    die_with(parent)
    forget()
    _own_files(output)
    show_as(title)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _own_files(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.dup2(output, STDOUT)
    os.dup2(output, STDERR)
    os.closerange(STDERR + 1, max(int(path.name) for path in OWN_FILES.iterdir()) + 1)
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w", errors="backslashreplace", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _live(run: Callable[[], object], begin: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        begin()
        run()
        code = 0
    except SystemExit as ended:
        code = _exit_code(ended)
    except BaseException:  # noqa: BLE001 - nothing of it may reach the code of the process that was copied
        traceback.print_exc()
    finally:
        _end(code)


def _exit_code(ended: SystemExit) -> int:
    """As the interpreter takes it: a text is said."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1


def _end(code: int) -> NoReturn:
    """As the interpreter ends, without going back through the frames of the process that was copied (multiprocessing does the
    same)."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
