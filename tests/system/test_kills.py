"""kill -9 of each process of the tree in turn, heads included; then processes and listeners are counted."""

import os
import signal
import sys
from collections import Counter

import pytest

from tests.support.processes import Seen, eventually, listeners, up

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

WEB_PROCESSES = 2


def kind(seen: Seen, by_pid: dict[int, Seen]) -> str:
    """What a process of the tree is."""
    for word in (
        "manage.py up",
        "manage.py serve",
        "workers.delivery_worker",
        "celery",
        "workers.beat",
        "valkey-server",
        "redis-server",
    ):
        if word in seen.command:
            is_head = seen.group == seen.pid
            return word if is_head else f"child of {word}"
    return seen.command


def census(tree: list[Seen]) -> Counter:
    by_pid = {seen.pid: seen for seen in tree}
    return Counter(kind(seen, by_pid) for seen in tree)


WHOLE = Counter(
    {
        "manage.py up": 1,
        "manage.py serve": 1,
        "child of manage.py serve": WEB_PROCESSES,
        "celery": 1,
        "child of celery": 2,
        "workers.delivery_worker": 1,
        "workers.beat": 1,
        "valkey-server": 1,
    }
)

WITHOUT_COPIES = """
import runpy, sys
from workers import copies
copies.possible = lambda: False
sys.argv = ["manage.py", "up"]
runpy.run_path("manage.py", run_name="__main__")
"""
"""`up` as it is where a process cannot be copied: its children are begun by their commands."""


def test_whoever_dies_comes_back_and_nothing_is_doubled(tmp_path):
    with up(tmp_path / "data", TIDEGATE_WEB_PROCESSES=str(WEB_PROCESSES)) as started:

        def whole() -> bool:
            return (
                census(started.tree()) == WHOLE and listeners(started.port) == WEB_PROCESSES and started.health() == 200
            )

        assert eventually(whole, what="all are there"), census(started.tree())
        victims = [seen for seen in started.tree() if seen.pid != started.process.pid]
        assert len(victims) == 9
        assert sum(victim.command == kind(victim, {}).removeprefix("child of ") for victim in victims) == 5, (
            "copies of `up`"
        )
        for victim in victims:
            if victim.pid not in {seen.pid for seen in started.tree()}:
                continue  # it went with its head
            os.kill(victim.pid, signal.SIGKILL)
            eventually(lambda victim=victim: victim not in started.tree(), what="it is gone")
            if "valkey-server" in victim.command or "redis-server" in victim.command:
                # Healthy again means: a heartbeat from beat through the new Redis to a pool process.
                eventually(lambda: "redis ended" in started.output(), what="it was seen")
                forget_heartbeat(f"unix://{started.data_dir / 'redis.sock'}")
            try:
                eventually(whole, what=f"{victim.command} is back")
            except AssertionError as error:
                raise AssertionError(
                    f"{error}: {census(started.tree())}, {started.health()}\n{started.output()}"
                ) from None
        assert started.process.poll() is None
        started.process.kill()
        started.process.wait()
        eventually(lambda: not started.tree() and not listeners(started.port), what="everybody died with `up`")
    with up(tmp_path / "data", command=(sys.executable, "-c", WITHOUT_COPIES)) as again:
        commands = " ".join(seen.command for seen in again.tree())
        assert all(words in commands for words in ("-m celery ", "-m workers.beat ", "manage.py serve "))
        assert again.health() == 200
        assert again.stop(signal.SIGINT) == 0
        assert again.tree() == []
        assert listeners(again.port) == 0


def forget_heartbeat(url: str) -> None:
    from workers import heartbeat

    def forgotten() -> bool:
        import redis

        try:
            heartbeat.forget(url)
            return not heartbeat.heard(url)
        except redis.RedisError:
            return False

    eventually(forgotten, what="the new Redis answers")
