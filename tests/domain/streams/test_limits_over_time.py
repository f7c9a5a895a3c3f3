"""A shard that is offered three times its limit takes the limit: exact over time, on a clock that only the test moves."""

import pytest

from apps.base.units import KIB, MIB
from tests.domain.streams.test_put_records import in_database, opened
from tests.support.stream_rows import make_stream

COUNTED_FROM_MS = 2_000
"""Before, what an idle shard had saved up is spent, too."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("size", "per_call", "step_ms"), [(100, 30, 10), (10 * KIB, 15, 50), (700 * KIB, 1, 230)])
async def test_three_times_the_limit(team, make_plane, size, per_call, step_ms):
    stream = await in_database(lambda: make_stream(team.team, "s", shards=1))
    plane = await opened(make_plane, team, stream)
    records = [("k", bytes(size - 1))] * per_call
    taken, seconds = 0, 10
    for passed_ms in range(0, seconds * 1000, step_ms):
        answer = await plane.put_many("s", records)
        numbers = [getattr(result, "sequence_number", None) for result in answer.records]
        stored = per_call - answer.failed_record_count
        assert None not in numbers[:stored]
        assert numbers[stored:] == [None] * answer.failed_record_count
        if passed_ms >= COUNTED_FROM_MS:
            taken += stored
        plane.clock.advance(step_ms)
    limit = min(1_000, MIB / size) * (seconds - COUNTED_FROM_MS / 1000)
    # A record is taken whole, so up to one flows over each end of the time that is counted.
    assert abs(taken - limit) <= 0.02 * limit + 1
