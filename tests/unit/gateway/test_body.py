"""Bodies: limits, room for all of them together, senders that stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from apps.base.errors import ServiceUnavailable
from apps.gateway import body
from apps.gateway.body import Bodies, ClientGone, Reading, RequestEntityTooLarge, RequestTimeout
from tests.support.waiting import let_others_run


async def pieces(*given: bytes, then_wait: bool = False) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece
    if then_wait:
        await asyncio.Event().wait()


def reading() -> Reading:
    task = asyncio.current_task()
    assert task is not None
    return Reading(task, asyncio.get_running_loop().time())


def reading_task(bodies: Bodies, given: AsyncIterator[bytes]) -> "asyncio.Task[bytes]":
    """A task that reads given, and holds what it got until it is done."""

    async def run() -> bytes:
        own = reading()
        try:
            return await bodies.read(own, given, None, to_end=True)
        finally:
            bodies.release(own)

    return asyncio.create_task(run())


@pytest.fixture
async def pass_s(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Awaitable[None]]:
    """Lets time pass on the event loop's clock, which stands still otherwise."""
    loop = asyncio.get_running_loop()
    now_s = [loop.time()]
    monkeypatch.setattr(loop, "time", lambda: now_s[0])

    async def passes(seconds: float) -> None:
        now_s[0] += seconds
        await let_others_run()

    return passes


async def test_pieces_are_joined_and_released() -> None:
    bodies, own = Bodies(), reading()
    assert await bodies.read(own, pieces(b"ab", b"", b"cd"), None, to_end=True) == b"abcd"
    assert own.whole
    assert bodies.held == 4
    bodies.release(own)
    assert bodies.held == 0


async def test_reading_stops_at_content_length_unless_told_to_read_to_the_end() -> None:
    assert await Bodies().read(reading(), pieces(b"abcd", then_wait=True), 4, to_end=False) == b"abcd"
    to_end = asyncio.create_task(Bodies().read(reading(), pieces(b"abcd", then_wait=True), 4, to_end=True))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(to_end, 0.05)


async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    touched = []

    async def watched() -> AsyncIterator[bytes]:
        touched.append(1)
        yield b""

    with pytest.raises(RequestEntityTooLarge):
        await Bodies().read(reading(), watched(), body.BODY_BYTES_MAX + 1, to_end=False)
    assert not touched


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    piece = bytes(1 << 20)
    whole = [piece] * 15
    assert len(await Bodies().read(reading(), pieces(*whole), None, to_end=True)) == body.BODY_BYTES_MAX
    bodies, own = Bodies(), reading()
    with pytest.raises(RequestEntityTooLarge):
        await bodies.read(own, pieces(*whole, b"x"), None, to_end=True)
    bodies.release(own)
    assert bodies.held == 0
    assert not own.whole


async def test_a_connection_that_ends_early_is_noticed() -> None:
    with pytest.raises(ClientGone):
        await Bodies().read(reading(), pieces(b"ab"), 4, to_end=False)


async def test_a_full_room_refuses_while_the_others_move() -> None:
    bodies = Bodies(held_bytes_max=10)
    first = reading_task(bodies, pieces(b"12345678", then_wait=True))
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await bodies.read(reading(), pieces(b"123"), None, to_end=True)
    assert bodies.held == 8
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert bodies.held == 0


async def test_a_stalled_body_gives_way_to_one_that_moves(pass_s: Callable[[float], Awaitable[None]]) -> None:
    bodies = Bodies(held_bytes_max=10)
    stalled = reading_task(bodies, pieces(b"12345678", then_wait=True))
    await pass_s(0)
    await pass_s(body.GIVES_WAY_S + 0.001)
    own = reading()
    assert await bodies.read(own, pieces(b"12", b"3"), None, to_end=True) == b"123"
    with pytest.raises(ServiceUnavailable):
        await stalled
    assert bodies.held == 3


async def test_a_sender_without_progress_is_given_up(pass_s: Callable[[float], Awaitable[None]]) -> None:
    bodies = Bodies()
    sweeper = asyncio.create_task(bodies.sweep())
    stopped = reading_task(bodies, pieces(b"1", then_wait=True))
    await pass_s(0)
    for _ in range(int(body.STALLED_S)):
        await pass_s(1)
    assert not stopped.done()
    await pass_s(1)
    await pass_s(1)
    with pytest.raises(RequestTimeout):
        await stopped
    assert bodies.held == 0
    sweeper.cancel()


async def test_a_sender_with_progress_is_not(pass_s: Callable[[float], Awaitable[None]]) -> None:
    bodies = Bodies()
    sweeper = asyncio.create_task(bodies.sweep())

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(8):
            await asyncio.sleep(body.STALLED_S * 0.9)
            yield b"x"

    whole = reading_task(bodies, slow())
    await pass_s(0)
    for _ in range(int(8 * body.STALLED_S)):
        await pass_s(1)
    assert await whole == b"x" * 8
    sweeper.cancel()


async def test_somebody_elses_cancellation_stays_one() -> None:
    bodies = Bodies()
    task = reading_task(bodies, pieces(b"1", then_wait=True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bodies.held == 0
