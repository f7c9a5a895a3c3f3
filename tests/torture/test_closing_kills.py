"""Closing is killed again and again, by SIGKILL, at any moment; in the end there is each bill once, and it is the right one."""

import json
import random
import signal
import subprocess
import sys

import pytest

from tests.support.processes import environment

pytestmark = [pytest.mark.torture, pytest.mark.system]

STREAMS, TEAMS, KILLS = 2_000, 40, 12
STEPS_S = (0.8, 4.0)
"""A start takes about a second and a half; closing all, some seconds."""


def run(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.torture.closing_month", str(STREAMS), str(TEAMS), *words],
        env=environment(TIDEGATE_DATA_DIR=str(folder)),
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process):
    out, _ = process.communicate(timeout=1_800)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


def test_killed_at_any_moment_each_bill_is_made_once(tmp_path):
    told(run(tmp_path, "make"))
    chance = random.Random(7)
    closed = []
    for _ in range(KILLS):
        process = run(tmp_path, "close")
        try:
            process.wait(chance.uniform(*STEPS_S))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        closed.append(process.returncode)
    found = told(run(tmp_path, "close"))
    sys.stdout.write(f"killed {closed.count(-signal.SIGKILL)} times: {found}\n")
    assert closed.count(-signal.SIGKILL) > 0
    assert (found["bills"], found["lines"], found["agree"]) == (TEAMS, TEAMS * 5, TEAMS)
    assert found["cents"] == found["once"] * TEAMS
