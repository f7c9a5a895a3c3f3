"""Runtime: what one process needs to serve, built once, handed down; and the one bridge between sync and async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from apps.base.clock import Clock, SystemClock
from apps.base.config import Config
from apps.metrics.counters import Counters
from apps.recordlog.interface import Keyring, RecordLog
from apps.throttle.interface import Throttle

if TYPE_CHECKING:
    from apps.accounts.principal import Principal
    from apps.encryption.data_keys import DataKeys

T = TypeVar("T")


@dataclass(slots=True)
class Runtime:
    """One per process. loop: where the engine lives; in a worker it runs on a thread of its own."""

    config: Config
    clock: Clock
    record_log: RecordLog
    throttle: Throttle
    counters: Counters
    data_keys: DataKeys
    loop: asyncio.AbstractEventLoop | None = None
    _parts: dict[Any, Any] = field(default_factory=dict)
    _thread: threading.Thread | None = None

    def part(self, kind: Callable[[Runtime], T]) -> T:
        """What higher floors keep one of per process (the catalogue, the live subscriptions), made at the first
        call. One with a finish() is given the time to save what it has before the engine is closed, one with a close() is
        closed with the runtime."""
        try:
            return self._parts[kind]  # type: ignore[no-any-return]
        except KeyError:
            made = self._parts[kind] = kind(self)
            return made

    def made(self, kind: Callable[[Runtime], T]) -> T | None:
        """The same if it has been made already, else None."""
        return self._parts.get(kind)

    def wait_for(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = 60.0) -> T:
        """Run an engine's coroutine from synchronous code (workers, control plane) and wait for it.

        Raises TimeoutError; the coroutine then goes on, as a commit cannot be taken back.
        """
        if self.loop is None:
            raise RuntimeError("the runtime is not open")
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    async def open(self) -> None:
        """Open the engine on the running loop: the web server's way."""
        self.loop = asyncio.get_running_loop()
        await self.record_log.open()

    async def close(self) -> None:
        """Close the engine and every part that can be closed. Idempotent."""
        for part in list(self._parts.values()):
            if hasattr(part, "finish"):
                await part.finish()
        await self.record_log.close()
        await self.throttle.close()
        await self.data_keys.close()
        parts, self._parts = self._parts, {}
        for part in parts.values():
            if hasattr(part, "close"):
                part.close()
        self.loop = None

    def open_in_thread(self) -> None:
        """Open the engine on a loop of its own in a daemon thread: the workers' way, after fork."""
        loop = asyncio.new_event_loop()

        def run() -> None:
            loop.run_forever()
            loop.close()

        self._thread = threading.Thread(target=run, name="runtime-loop", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.open(), loop).result(60)

    def close_in_thread(self) -> None:
        """The counterpart of open_in_thread."""
        loop = self.loop
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self.close(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(60)


class Call(msgspec.Struct, frozen=True):
    """One call of an operation: who, when, with what. Operations take (call, request). (One is made per request, and a
    frozen dataclass takes ten times as long to make.)

    source: the request that it came with (apps/gateway/request.py), None from inside. admitted: policies were asked.
    actor: the person behind a call of console or REST API, and from where (apps/access/changes.py)."""

    runtime: Runtime
    principal: Principal
    request_id: str
    now_ms: int
    source: Any = None
    admitted: bool = False
    actor: Any = None


def build(config: Config, clock: Clock | None = None) -> Runtime:
    """Choose the classes for the URLs in config. The only place that does."""
    clock = clock or SystemClock()
    data_keys = _data_keys(config, clock)
    record_log = _record_log(config.record_log, clock, data_keys)
    return Runtime(config, clock, record_log, _throttle(config), Counters(), data_keys)


def _data_keys(config: Config, clock: Clock) -> DataKeys:
    from apps.encryption.data_keys import DataKeys

    if not config.kms_endpoint:
        from apps.encryption.keystore import KeyStore
        from apps.encryption.local import LocalKeys

        return DataKeys(LocalKeys(KeyStore(config.master_key_path, config.region), clock), clock)
    from apps.encryption.remote import KmsAddress, RemoteKeys

    address = KmsAddress(
        config.kms_endpoint.rstrip("/"), config.kms_region or config.region, config.kms_access_key_id,
        config.kms_secret_access_key, config.kms_default_key,
    )  # fmt: skip
    return DataKeys(RemoteKeys(address), clock)


def _throttle(config: Config) -> Throttle:
    from apps.throttle.local import LocalThrottle, NoThrottle

    if not config.throttle:
        return NoThrottle()
    if config.web_processes == 1:
        return LocalThrottle()
    from apps.throttle.leased import LeasedThrottle

    return LeasedThrottle(config.redis, config.web_processes)


def _record_log(url: str, clock: Clock, keyring: Keyring) -> RecordLog:
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        from apps.recordlog.memory import MemoryLog

        return MemoryLog(clock, keyring)
    from apps.recordlog.lmdb import LmdbLog

    return LmdbLog(rest, clock, keyring)
