"""A key in Redis that lives a little longer than the last sign of a worker: /healthz and `up` look for it."""

from __future__ import annotations

import contextlib

import redis

HEARTBEAT_KEY = "tidegate:worker-heartbeat"
DELIVERY = "tidegate:delivery-heartbeat"
"""Of the worker that deliveries are made by."""

HEARTBEAT_EVERY_S = 2.0
HEARTBEAT_TTL_S = 30
"""Seconds after the last heartbeat until no worker is said to live: more than two slices take that keep the pool busy."""
PATIENCE_S = 2.0


def send(url: str, who: str, key: str = HEARTBEAT_KEY) -> None:
    """Say that the worker `who` lives. A Redis that does not answer will be told next time."""
    with contextlib.suppress(redis.RedisError), _client(url) as client:
        client.set(key, who, ex=HEARTBEAT_TTL_S)


def heard(url: str, key: str = HEARTBEAT_KEY) -> bool:
    """True if some worker's last heartbeat is younger than HEARTBEAT_TTL_S. Raises redis.RedisError."""
    with _client(url) as client:
        return bool(client.exists(key))


def forget(url: str, key: str = HEARTBEAT_KEY) -> None:
    """Before a worker starts: what an earlier one said counts no more."""
    with contextlib.suppress(redis.RedisError), _client(url) as client:
        client.delete(key)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
