"""A month of 10,000 streams is closed in 60 seconds on two cores, and memory does not grow with it."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import environment

pytestmark = [pytest.mark.torture, pytest.mark.system]

STREAMS = 10_000
SECONDS_MAX = 60
GROWTH_MB_MAX = 150


@pytest.mark.parametrize("teams", [1, 200])
def test_a_month_of_ten_thousand_streams_closes_within_a_minute(tmp_path, teams):
    ran = subprocess.run(
        [sys.executable, "-m", "tests.torture.closing_month", str(STREAMS), str(teams)],
        env=environment(TIDEGATE_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
        timeout=1_800,
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    sys.stdout.write(f"{teams} teams: {found}\n")
    assert (found["rows"], found["bills"], found["agree"]) == (STREAMS * 8 * 31, teams, teams)
    assert found["seconds"] <= SECONDS_MAX
    assert found["rss_mb"] - found["rss_before_mb"] <= GROWTH_MB_MAX
