"""How much work something is, on whatever machine: CPU time of this thread, against a piece of work that is known."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

KNOWN_S = 0.025
"""What known_work() takes where the bounds in the tests were chosen."""
LEEWAY = 2.0


def known_work() -> float:
    """CPU seconds of a loop of Python's own."""
    began, total = time.thread_time(), 0
    for number in range(300_000):
        total += number & 7
    return time.thread_time() - began


@contextmanager
def cpu_under(seconds: float) -> Iterator[None]:
    """The block is less work than this thread does in so many seconds where nothing else runs.

    Waiting for the CPU does not count, and a slower CPU, or one whose caches others use, gets more time."""
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    if took >= seconds:
        slowness = max(1.0, known_work() / KNOWN_S)
        assert took < seconds * slowness * LEEWAY, f"{took:.2f} s of CPU, on a machine {slowness:.1f} times slower"
