"""How many hints may still be sent to a queue. Hints are repeated for as long as a key is due; if all threads wait for
endpoints, nobody takes them, and they would fill Redis, which has room for some hundred thousand."""

from __future__ import annotations

import redis

HINTS_MAX = 5_000
"""Waiting in one queue. Who finds it full sends nothing: the key is still due at the next look."""

PATIENCE_S = 2.0


def room(url: str, queue: str) -> int:
    """Hints that the queue may still take. A Redis that does not answer takes none, which costs a look."""
    try:
        with redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S) as client:
            return max(0, HINTS_MAX - int(client.llen(queue)))  # type: ignore[arg-type]  # of the synchronous client
    except redis.RedisError:
        return 0
