"""Three times a shard's limit for a minute: what is accepted is the limit within 2 %, with one web process and with two.

Partial failures are exact: what was answered with a number is stored, once, and nothing else is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.server import tidegate
from tests.torture.throttled import LARGE, SMALL, Load, offer, stored_ids
from tests.torture.traffic import client

SECONDS = int(os.environ.get("TORTURE_THROTTLE_SECONDS", "60"))
TOLERANCE = 0.02

pytestmark = [
    pytest.mark.torture,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("load", [SMALL, LARGE], ids=["records", "bytes"])
def test_the_limit_holds(tmp_path: Path, load: Load, processes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with tidegate(tmp_path / "data", TIDEGATE_THROTTLE="on", TIDEGATE_WEB_PROCESSES=processes) as server:
        kinesis = client(server.endpoint, server.access_key, server.secret_key)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName="s", WaiterConfig={"Delay": 1})
        taken = offer(server, "s", load, SECONDS)
        stored = stored_ids(server, "s")
    share = taken.share(SECONDS, of_bytes=load is LARGE)
    with capsys.disabled():
        print(
            f"\n{load.name}, {processes} web process(es): {taken.offered:,} offered in {SECONDS} s, {len(taken.acknowledged):,} "
            f"accepted, {taken.throttled:,} throttled; from the third second {100 * share:.2f} % of the limit"
        )
    assert not taken.wrong, taken.wrong[:10]
    assert taken.offered == len(taken.acknowledged) + taken.throttled
    assert sorted(stored) == sorted(taken.acknowledged)
    assert abs(share - 1) <= TOLERANCE
