"""A Runtime on the memory engine and a clock that stands still; calls through the one door."""

from collections.abc import Callable
from typing import Any

from apps.base.clock import FakeClock
from apps.base.config import Config
from apps.leases.models import Lease
from apps.runtime import Runtime, build

ROUNDS_MAX = 200


def memory_runtime(clock: FakeClock | None = None, **settings: Any) -> Runtime:
    """Not yet open: `await runtime.open()` in async tests, `runtime.open_in_thread()` in others.

    settings are fields of Config (throttle=False …).
    """
    base = Config.from_environment()
    values = {name: getattr(base, name) for name in Config.__dataclass_fields__}
    values.update(record_log_url="memory:", **settings)
    return build(Config(**values), clock or FakeClock())


def call(runtime: Runtime, principal: Any, operation: str, **params: Any) -> Any:
    """One operation by its AWS name, from a synchronous test, through gateway.invoke."""
    from apps.gateway.invoke import invoke_sync

    return invoke_sync(runtime, principal, "kinesis", operation, params)


def run_due(runtime: Runtime, kind: str, module: str = "") -> int:
    """Run the slices of a kind whose due time has come by the runtime's clock, until none is due; how many ran.

    module: the one of workers that has them, if it is not called like the kind."""
    import importlib

    from workers import slices

    importlib.import_module(f"workers.{module or kind}")
    ran = 0
    for _ in range(ROUNDS_MAX):
        due = Lease.objects.filter(kind=kind, due_at_ms__lte=runtime.clock.now_ms()).order_by("id")
        keys = list(due.values_list("key", flat=True))
        if not keys:
            return ran
        for key in keys:
            slices.run(runtime, kind, key)
            ran += 1
    raise AssertionError(f"{kind} is still due after {ROUNDS_MAX} rounds: {keys}")


def until(condition: Callable[[], Any], timeout_s: float = 60.0, every_s: float = 0.02) -> Any:
    """Wait for a condition of another thread or process: its first true answer. Fails after timeout_s."""
    import threading
    import time

    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        threading.Event().wait(every_s)
    raise AssertionError(f"not within {timeout_s} s: {condition}")
