"""Python clients, unmodified, each in an environment of its own (`make interop`): KPL aggregation, async-kinesis, quixstreams,
and declarative creation by boto3's waiters."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.interop.test_clients import ROOT, running

SCRIPTS = ROOT / "tests" / "interop" / "python"

pytestmark = pytest.mark.interop


def run(environment: str, script: str, tmp_path: Path, scheme: str = "http", **settings: str) -> dict[str, int]:
    """The script's line of JSON."""
    python = ROOT / ".interop" / environment / "bin" / "python"
    with running(tmp_path, scheme, **settings) as (endpoint, variables):
        done = subprocess.run(
            [str(python), str(SCRIPTS / script)], env=variables | {"AWS_ENDPOINT_URL": endpoint}, cwd=tmp_path,
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("throttle", ["off", "on"])
def test_kpl_aggregation(tmp_path: Path, throttle: str) -> None:
    counts = run("aggregation", "aggregation.py", tmp_path, TIDEGATE_THROTTLE=throttle)
    assert counts["user_records"] == 1_000
    assert 5 < counts["kinesis_records"] < 50


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_declarative_creation(tmp_path: Path, scheme: str) -> None:
    assert run("aggregation", "declarative.py", tmp_path, scheme) == {"first": 4, "second": 4}


def test_async_kinesis(tmp_path: Path) -> None:
    assert run("async", "asynchronous.py", tmp_path, TIDEGATE_THROTTLE="on") == {"put": 2_000, "read": 2_000}


def test_quixstreams(tmp_path: Path) -> None:
    assert run("quix", "quix.py", tmp_path) == {"put": 1_700, "read": 1_700}
