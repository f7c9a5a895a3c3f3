"""Waits between attempts: AWS's rule, the same for the same batch, different for others."""

from apps.delivery.backoff import backoff_ms


def test_it_doubles_from_one_second_to_two_minutes_within_fifteen_percent() -> None:
    for attempt, seconds in enumerate([1, 2, 4, 8, 16, 32, 64, 120, 120, 120], start=1):
        waits = [backoff_ms(attempt, f"7/{first}/9") for first in range(200)]
        assert all(850 * seconds <= wait <= 1_150 * seconds for wait in waits)
        assert min(waits) < 900 * seconds < 1_100 * seconds < max(waits)


def test_it_derives_from_the_batch_and_the_attempt() -> None:
    assert backoff_ms(3, "1/2/3") == backoff_ms(3, "1/2/3") != backoff_ms(3, "1/2/4")
    assert backoff_ms(9, "1/2/3") != backoff_ms(10, "1/2/3")


def test_a_million_attempts_are_no_bother() -> None:
    assert backoff_ms(1_000_000, "1/2/3") <= 138_000
    assert backoff_ms(0, "1/2/3") <= 1_150
