"""The one way from the event loop into Django's ORM: a call in a small pool of threads.

The data plane crosses it only at a cache miss; control-plane operations cross it once each. A thread keeps its database
connection between calls, and gives it up when it is too old or broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from django.db import close_old_connections

T = TypeVar("T")

THREADS = 8
"""So many database connections a process needs for this at most. SQLite has one writer anyway."""

_pool = ThreadPoolExecutor(THREADS, "orm")


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function that uses the ORM, and wait for it without holding the loop.

    It goes on when the caller is cancelled: a transaction commits or not, as if the caller had waited.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool, copy_context().run, _with_connection, function, arguments)


def _with_connection(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()
