"""Threads of the delivery worker: a delivery stream whose endpoint hangs does not take them all."""

from contextlib import ExitStack

from apps.delivery.shares import EACH, SLOW_ALL, SLOW_EACH, SLOW_FOR_S, SLOW_S, THREADS, Shares


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def taken(shares: Shares, stack: ExitStack, stream: int, wanted: int = THREADS) -> int:
    return sum(stack.enter_context(shares.of(stream)) for _ in range(wanted))


def test_no_delivery_stream_takes_all() -> None:
    shares = Shares()
    with ExitStack() as stack:
        assert taken(shares, stack, 1) == EACH < THREADS
        assert taken(shares, stack, 2) == EACH
    with ExitStack() as stack:
        assert taken(shares, stack, 1) == EACH


def test_one_that_was_slow_gets_few_for_a_while() -> None:
    clock = Clock()
    shares = Shares(now_s=clock)
    with shares.of(1):
        clock.now_s += SLOW_S + 1
    with ExitStack() as stack:
        assert taken(shares, stack, 1) == SLOW_EACH
        assert taken(shares, stack, 2) == EACH
    clock.now_s += SLOW_FOR_S + 1
    with ExitStack() as stack:
        assert taken(shares, stack, 1) == EACH


def test_one_that_hangs_now_gets_no_more() -> None:
    clock = Clock()
    shares = Shares(now_s=clock)
    with ExitStack() as stack:
        assert taken(shares, stack, 1, SLOW_EACH) == SLOW_EACH
        clock.now_s += SLOW_S + 1
        assert taken(shares, stack, 1) == 0


def test_all_slow_ones_together_get_half() -> None:
    clock = Clock()
    shares = Shares(now_s=clock)
    for stream in range(5):
        with shares.of(stream):
            clock.now_s += SLOW_S + 1
    with ExitStack() as stack:
        assert sum(taken(shares, stack, stream) for stream in range(5)) == SLOW_ALL == THREADS // 2
        assert taken(shares, stack, 9) == EACH
