"""Waiting in async tests: for a condition with a deadline, never for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(condition: Callable[[], Awaitable[Any]], timeout_s: float = 60.0) -> Any:
    """The condition's first true answer. Fails after timeout_s."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (answer := await condition()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s"
        await asyncio.sleep(0.005)
    return answer


async def let_others_run() -> None:
    """Every task that can go on does, up to where it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)
