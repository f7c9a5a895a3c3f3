"""Leases that are kept while a slice waits for somebody else: one thread renews them all.

A lease that cannot be renewed is lost, and the slice's own next statement says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import close_old_connections

from apps.leases import hold
from apps.leases.hold import Held, LeaseLost

log = structlog.get_logger(__name__)

RENEWALS_PER_TTL = 4
IDLE_TTL_MS = 20_000
"""While nothing is kept: as if a lease like a delivery's were, since one may be added before the next look."""
LONGEST_S = 1_800.0
"""A slice that takes longer hangs: its lease is let go. The longest legal one is a few transforms of five minutes each."""


class _Keeper:
    """The thread, and what it renews."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[Held, int, float]] = {}
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, held: Held, ttl_ms: int) -> None:
        """Renew from now on."""
        with self._lock:
            self._kept[id(held)] = (held, ttl_ms, LONGEST_S)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()

    def remove(self, held: Held) -> None:
        """No longer."""
        with self._lock:
            self._kept.pop(id(held), None)

    def _run(self) -> None:
        while True:
            with self._lock:
                every_s = (
                    min((ttl_ms for _, ttl_ms, _ in self._kept.values()), default=IDLE_TTL_MS) / 1000 / RENEWALS_PER_TTL
                )
            self._changed.wait(every_s)
            with self._lock:
                kept = list(self._kept.items())
            for key, (held, ttl_ms, left_s) in kept:
                self._renew(key, held, ttl_ms, left_s - every_s)

    def _renew(self, key: int, held: Held, ttl_ms: int, left_s: float) -> None:
        try:
            close_old_connections()
            if left_s > 0:
                hold.renew(held, ttl_ms)
        except LeaseLost:
            left_s = 0
        except Exception as error:  # noqa: BLE001 - without this thread every slice loses its lease
            log.warning("lease_not_renewed", kind=held.kind, key=held.key, error=repr(error))
        with self._lock:
            if key in self._kept:
                self._kept[key] = (held, ttl_ms, left_s)
            if left_s <= 0:
                self._kept.pop(key, None)


_keeper = _Keeper()


@contextmanager
def kept(held: Held, ttl_ms: int) -> Iterator[None]:
    """Keep the lease for as long as the block runs, renewed in time."""
    _keeper.add(held, ttl_ms)
    try:
        yield
    finally:
        _keeper.remove(held)
