"""What a client may have on the way, and when it counts as late."""

from console.live.pace import IN_FLIGHT_BYTES_MAX, Pace


def test_on_time_late_later_dead():
    pace = Pace()
    pace.sent(1, 100, 0)
    levels = []
    for now_ms in (4_999, 5_000, 9_999, 10_000, 29_999, 30_000):
        pace.changed(now_ms)
        levels.append((pace.interval_ms, pace.is_dead(now_ms)))
    assert levels == [(250, False), (1_000, False), (1_000, False), (5_000, False), (5_000, False), (5_000, True)]


def test_a_change_is_told_once():
    pace = Pace()
    pace.sent(1, 100, 0)
    assert [pace.changed(ms) for ms in (0, 5_000, 6_000, 10_000, 11_000)] == [False, True, False, True, False]
    pace.acked(1)
    assert pace.changed(11_000)
    assert pace.interval_ms == 250


def test_an_acknowledgement_covers_what_was_sent_before_it():
    pace = Pace()
    for seq in range(1, 6):
        pace.sent(seq, 100, seq * 1_000)
    pace.acked(3)
    assert pace.late_ms(10_000) == 6_000
    pace.acked(99)
    assert pace.late_ms(10_000) == 0
    assert not pace._unacked
    assert pace._bytes == 0


def test_full_until_it_is_acknowledged():
    pace = Pace()
    pace.sent(1, IN_FLIGHT_BYTES_MAX, 0)
    assert pace.is_full
    pace.acked(1)
    assert not pace.is_full


def test_silence_without_anything_to_acknowledge_is_not_late():
    pace = Pace()
    assert pace.late_ms(10**9) == 0
    assert not pace.is_dead(10**9)
