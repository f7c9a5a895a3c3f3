"""A record log that is replaced by an older copy of itself is recognised, whatever it has counted since."""

import shutil

import pytest

from apps.base.units import HOUR_MS, MIB, MINUTE_MS
from apps.billing.models import BillingFlag, UsageHour
from apps.recordlog.interface import LogFull
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.memory import MemoryLog
from apps.streams import log_marks
from apps.streams.log_marks import MARKS_KEY
from apps.streams.models import LogMark
from tests.domain.streams.control.test_meters import read

pytestmark = pytest.mark.django_db(transaction=True)


class Log:
    """The record log of a control, as a folder that can be copied and put back."""

    def __init__(self, control, folder):
        self.control, self.folder = control, folder
        self.copies = 0
        control.runtime.wait_for(control.runtime.record_log.close())
        self._open()

    def _open(self):
        self.control.runtime.record_log = LmdbLog(str(self.folder / "log"), self.control.clock)
        self.control.runtime.wait_for(self.control.runtime.record_log.open())

    def copy(self):
        """What a backup has that is made now; nothing is written meanwhile."""
        self.copies += 1
        kept = self.folder / f"copy-{self.copies}"
        kept.mkdir()
        shutil.copyfile(self.folder / "log" / "data.mdb", kept / "data.mdb")
        return kept

    def restore(self, kept):
        """All processes end, and begin anew with the copy."""
        self.control.runtime.wait_for(self.control.runtime.record_log.close())
        shutil.rmtree(self.folder / "log")
        shutil.copytree(kept, self.folder / "log")
        self._open()


@pytest.fixture
def s(control, tmp_path):
    """A stream made 20 minutes after the full hour, and its log in a folder."""
    control.clock.set(control.clock.now_ms() - control.clock.now_ms() % HOUR_MS + HOUR_MS // 3)
    control.log = Log(control, tmp_path)
    control.create("s")
    return control


def put(s, records):
    """So many, of two bytes each; a minute goes by."""
    s.append(s.shard(), *[b"x"] * records)
    s.clock.advance(MINUTE_MS)


def booked(s):
    read(s)
    return sum(UsageHour.objects.filter(meter="records-in").values_list("quantity", flat=True))


def flag():
    [found] = BillingFlag.objects.filter(team=None)
    return found


def marks(s):
    bounds = s.bounds(MARKS_KEY)
    return bounds.next_offset - 1


def test_a_copy_that_has_outgrown_the_last_reading_is_flagged_with_its_times(s):
    put(s, 3)
    assert booked(s) == 3
    copy = s.log.copy()
    put(s, 10)
    assert booked(s) == 13
    s.log.restore(copy)
    put(s, 20)
    assert booked(s) == 23  # of 33: nothing tells the ten that were lost from those that came
    assert (flag().kind, flag().resource, flag().seen) == ("shrunk", "", 1)
    for part in (
        "had been metered up to 2026-11-20 08:22:00 UTC; found at 2026-11-20 08:23:00 UTC",
        "The copy had been metered up to 2026-11-20 08:21:00 UTC",
        "as much may be missing",
    ):
        assert part in flag().text, flag().text
    assert flag().text.endswith("Please add corrections.")
    put(s, 5)
    assert booked(s) == 28
    assert flag().seen == 1


def test_what_is_put_on_the_copy_after_it_was_found_is_billed_at_once_and_whole(s):
    put(s, 3)
    read(s)
    copy = s.log.copy()
    put(s, 10)
    read(s)
    s.log.restore(copy)
    put(s, 2)
    assert booked(s) == 13
    put(s, 4)
    assert booked(s) == 17
    put(s, 100)
    assert booked(s) == 117
    assert {one.seen for one in BillingFlag.objects.exclude(team=None)} == {3}  # a meter each: records, bytes, units


def test_a_copy_made_between_a_reading_and_its_mark_is_older_too(s, monkeypatch):
    put(s, 3)
    read(s)
    put(s, 10)
    copies = []
    leave = log_marks.leave
    monkeypatch.setattr(log_marks, "leave", lambda *given: (copies.append(s.log.copy()), leave(*given)))
    assert booked(s) == 13
    monkeypatch.undo()
    s.log.restore(copies[0])
    put(s, 20)
    assert booked(s) == 33
    assert flag().seen == 1


def test_a_copy_that_has_all_that_was_metered_is_as_good_as_the_log(s):
    put(s, 3)
    read(s)
    copy = s.log.copy()
    put(s, 10)  # of which nobody knows
    s.log.restore(copy)
    put(s, 20)
    assert booked(s) == 23
    assert not BillingFlag.objects.exists()


def test_a_copy_of_before_the_first_metering(s):
    copy = s.log.copy()
    put(s, 3)
    read(s)
    s.log.restore(copy)
    put(s, 20)
    assert booked(s) == 20
    assert "The copy had never been metered" in flag().text


def test_a_log_is_recognised_once_more_when_it_is_restored_once_more(s):
    put(s, 3)
    read(s)
    copy = s.log.copy()
    for times in (1, 2):
        put(s, 10 * times)
        read(s)
        s.log.restore(copy)
        put(s, 40 * times)
        read(s)
        assert flag().seen == times


def test_a_database_that_is_older_than_the_log_books_what_it_missed_and_flags_nothing(s):
    put(s, 3)
    read(s)
    before = list(LogMark.objects.values())
    put(s, 10)
    read(s)
    s.clock.advance(MINUTE_MS)
    s.runtime.wait_for(s.runtime.record_log.trim(MARKS_KEY, s.clock.now_ms(), 1))
    LogMark.objects.all().delete()
    LogMark.objects.bulk_create(LogMark(**one) for one in before)
    put(s, 1)
    assert booked(s) == 14
    assert not BillingFlag.objects.exists()


def test_another_log_is_no_older_copy(s):
    put(s, 3)
    read(s)
    s.runtime.wait_for(s.runtime.record_log.close())
    s.runtime.record_log = MemoryLog(s.clock)
    s.runtime.wait_for(s.runtime.record_log.open())
    s.runtime.wait_for(s.runtime.record_log.create(s.shard().pk))
    put(s, 2)
    assert booked(s) == 5
    assert not BillingFlag.objects.exists()


def test_an_idle_log_gets_no_marks_and_old_ones_are_removed(s, monkeypatch):
    put(s, 3)
    for _ in range(3):
        read(s)
    assert marks(s) == LogMark.objects.count() == 1
    monkeypatch.setattr(log_marks, "TRIM_EVERY", 4)
    for _ in range(9):
        put(s, 1)
        read(s)
    read(s)
    assert marks(s) == 10
    assert LogMark.objects.count() == 1
    assert s.bounds(MARKS_KEY).first_offset == 8
    assert not BillingFlag.objects.exists()


def test_a_full_log_does_not_keep_what_frees_it_from_being_booked(s, monkeypatch):
    async def full(*_given):
        raise LogFull("full")

    put(s, 3)
    monkeypatch.setattr(s.runtime.record_log, "append", full)
    assert booked(s) == 3
    assert not LogMark.objects.exists()


def test_a_copy_is_recognised_although_the_log_was_full_when_it_was_metered_last(s):
    free = [10_000 * MIB]
    s.runtime.record_log._room._free_bytes = lambda _: (free[0], 100_000 * MIB)
    put(s, 3)
    assert booked(s) == 3
    put(s, 10)
    copy = s.log.copy()
    put(s, 10)
    free[0] = 0
    s.runtime.record_log._room._surely_free = 0
    with pytest.raises(LogFull):
        put(s, 1)
    assert booked(s) == 23
    assert marks(s) == 2
    s.log.restore(copy)
    put(s, 20)
    assert booked(s) == 33
    assert (flag().kind, flag().seen) == ("shrunk", 1)
