"""Small bodies of known length, which are asked for at once: they count in full, and end as the others do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from apps.base.errors import ServiceUnavailable
from apps.gateway import body
from apps.gateway.body import AT_ONCE_BYTES_MAX, Bodies, ClientGone, RequestTimeout
from tests.unit.gateway.test_body import reading

AtOnce = Callable[[], Awaitable[bytes]]


async def no_pieces() -> AsyncIterator[bytes]:
    raise AssertionError("asked for in pieces")
    yield b""


def whole(data: bytes) -> AtOnce:
    async def ask() -> bytes:
        return data

    return ask


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


def reading_task(bodies: Bodies, ask: AtOnce, length: int) -> "asyncio.Task[bytes]":
    async def run() -> bytes:
        own = reading()
        try:
            return await bodies.read(own, no_pieces(), length, to_end=False, at_once=ask)
        finally:
            bodies.release(own)

    return asyncio.create_task(run())


async def test_it_is_whole_and_counts_with_its_length() -> None:
    bodies, own = Bodies(), reading()
    assert await bodies.read(own, no_pieces(), 4, to_end=False, at_once=whole(b"abcd")) == b"abcd"
    assert own.whole
    assert bodies.held == 4
    bodies.release(own)
    assert bodies.held == 0


async def test_a_larger_one_comes_in_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(AT_ONCE_BYTES_MAX + 1)

    got = await Bodies().read(reading(), pieces(), AT_ONCE_BYTES_MAX + 1, to_end=False, at_once=never)
    assert len(got) == AT_ONCE_BYTES_MAX + 1


async def test_a_connection_that_ends_early_is_noticed() -> None:
    async def closed() -> bytes:
        raise RuntimeError("transport is closed")

    for ask in (whole(b"ab"), closed):
        with pytest.raises(ClientGone):
            await Bodies().read(reading(), no_pieces(), 4, to_end=False, at_once=ask)


async def test_one_that_does_not_come_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GIVES_WAY_S", 0.0)
    bodies = Bodies(held_bytes_max=10)
    stalled = reading_task(bodies, never, 8)
    await asyncio.sleep(0.01)
    assert bodies.held == 8
    assert await reading_task(bodies, whole(b"123"), 3) == b"123"
    with pytest.raises(ServiceUnavailable):
        await stalled
    assert bodies.held == 0


async def test_it_has_longer_to_come_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "STALLED_S", 0.05)
    monkeypatch.setattr(body, "SLOWEST_BYTES_PER_S", 100_000)
    monkeypatch.setattr(body, "SWEEP_S", 0.01)
    bodies = Bodies()
    sweeper = asyncio.create_task(bodies.sweep())
    long, short = reading_task(bodies, never, 200_000), reading_task(bodies, never, 1)
    with pytest.raises(RequestTimeout):
        await short
    assert not long.done()
    with pytest.raises(RequestTimeout):
        await long
    sweeper.cancel()
