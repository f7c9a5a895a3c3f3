"""Clients of the Redis that keeps live metrics. They give up quickly: nothing here is worth a long wait."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

TIMEOUT_S = 2.0
CONNECTIONS_MAX = 16

AWAY = (RedisError, OSError, TimeoutError)
"""What a call raises when Redis is away, starting, full or broken."""


@lru_cache(maxsize=4)
def shared(url: str) -> Any:
    """The process's client for synchronous readers; safe for threads."""
    return synchronous(url)


def synchronous(url: str) -> Any:
    """A client of one's own."""
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=CONNECTIONS_MAX,
    )


def asynchronous(url: str) -> Any:
    """A client for the running event loop. Callers bound their own exchanges by asyncio.timeout(TIMEOUT_S).

    With a socket_timeout the client would send by asyncio.wait_for, and on Python 3.11 that swallows a cancellation
    which arrives together with the end of the sending: the task then never ends.
    """
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=TIMEOUT_S,
        retry=AsyncRetry(NoBackoff(), 0),
        max_connections=CONNECTIONS_MAX,
    )
