"""A few runs of the resharding torture (tests/torture), every day: writes and reads go on while shards come and go."""

import pytest

from tests.torture.reshard_in_process import log_url, run_in_process
from tests.torture.resharding import Plan

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("seed", "kind", "throttle"), [(1, "memory", False), (2, "lmdb", True)])
async def test_every_reader_sees_every_record_once_in_order(team, tmp_path, seed, kind, throttle):
    plan = Plan(seed, reshards=4, puts=15)
    result = await run_in_process(team.principal, plan, log_url(kind, tmp_path / "log"), throttle=throttle)
    assert not result.problems, result.problems[:10]
    assert result.acknowledged > 300
    assert result.shards > plan.shards
