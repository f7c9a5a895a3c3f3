"""Splits, merges and new counts at random while eight producers write and three consumers read: `make torture`.

200 seeded runs in this process on both engines, and ten against `make up`. TORTURE_SEED moves the first seed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.bench.server import tidegate
from tests.torture.reshard_in_process import log_url, run_in_process
from tests.torture.reshard_over_http import run_over_http
from tests.torture.resharding import Plan, Result

RUNS = int(os.environ.get("TORTURE_RESHARD_RUNS", "200"))
RUNS_OVER_HTTP = int(os.environ.get("TORTURE_RESHARD_HTTP_RUNS", "10"))
SEED = int(os.environ.get("TORTURE_SEED", "1"))

pytestmark = [
    pytest.mark.torture,
    # boto3 leaves sockets to the collector when a subscription is closed under it.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Sum:
    """What all runs came to."""

    def __init__(self) -> None:
        self.runs = self.acknowledged = self.refused = self.reshards = self.shards = 0

    def add(self, seed: int, kind: str, result: Result) -> None:
        assert not result.problems, f"seed {seed}, {kind}: {result.problems[:10]}"
        self.runs += 1
        self.acknowledged += result.acknowledged
        self.refused += result.refused
        self.reshards += len(result.reshards)
        self.shards += result.shards

    def __str__(self) -> str:
        return (
            f"{self.runs} runs: {self.acknowledged:,} attempts acknowledged, {self.refused:,} refused, "
            f"{self.reshards:,} reshards, {self.shards:,} shards; each consumer saw each acknowledged attempt once, in order"
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["memory", "lmdb"])
async def test_in_process(team, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = Sum()
    for seed in range(SEED, SEED + RUNS):
        folder = tmp_path / str(seed)
        plan, throttle = Plan.of(seed), seed % 2 == 0
        total.add(seed, kind, await run_in_process(team.principal, plan, log_url(kind, folder), throttle=throttle))
        shutil.rmtree(folder, ignore_errors=True)
    with capsys.disabled():
        print(f"\n{kind}, {total}")


@pytest.mark.parametrize("throttle", ["off", "on"])
def test_against_a_server(tmp_path: Path, throttle: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = Sum()
    with tidegate(tmp_path / "data", TIDEGATE_THROTTLE=throttle) as server:
        for seed in range(SEED, SEED + RUNS_OVER_HTTP // 2):
            total.add(seed, "up", asyncio.run(run_over_http(server, Plan.of(seed))))
    with capsys.disabled():
        print(f"\nup with throttle {throttle}, {total}")
