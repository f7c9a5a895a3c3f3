"""Live metrics across several web processes: whichever takes the put, every socket is told; a role that changes reaches all
of them at once; and what was put while a killed process's clients were away is there when they come back."""

import json
import os
import signal
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest
from botocore.config import Config

from console.live.protocol import RECHECK_S
from tests.browser.demo_data import SETTINGS, shell
from tests.support.live_sockets import LiveSocket, holder, ports_to, web_processes
from tests.support.processes import HAPPENED_WITHIN_S, SOON, Up, eventually, up

pytestmark = [pytest.mark.system, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

PROCESSES = 2
SOCKETS_EACH = 2
TRIES_MAX = 400
"""Of new connections, until each process has taken enough: which one takes it is the kernel's choice."""

TOLD_WITHIN_S = RECHECK_S / 2
TOPIC = "stream/orders/records"

WATCHER = """
import json
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from apps.accounts import tokens
from apps.accounts.models import Membership, Team, TeamRole, User
team = Team.objects.get()
user = User.objects.create_user("watcher@acme.example", "correct-horse-battery")
member = Membership.objects.create(team=team, user=user, role="viewer")
blind = TeamRole.objects.create(team=team, name="Blind", actions=["member:read"], created_at_ms=1)
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session.save()
owner = Membership.objects.get(team=team, role="owner")
_, token = tokens.create(owner, "roles", sorted(owner.actions), None, 1)
print(json.dumps({"session": session.session_key, "member": member.pk, "blind": f"own:{blind.pk}", "token": token, "team": team.slug}))
"""


class Watched:
    """A running Tidegate with a stream, somebody who looks at it, and what was put so far."""

    def __init__(self, running: Up) -> None:
        self.running = running
        self.facts = json.loads(shell(running, WATCHER).splitlines()[-1])
        self.put_so_far = 0
        client = self.client()
        client.create_stream(StreamName="orders", ShardCount=1)
        client.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig=SOON)
        client.close()

    def client(self):
        return boto3.client(
            "kinesis", endpoint_url=f"http://127.0.0.1:{self.running.port}", region_name="us-east-1",
            aws_access_key_id=SETTINGS["TIDEGATE_ACCESS_KEY_ID"],
            aws_secret_access_key=SETTINGS["TIDEGATE_SECRET_ACCESS_KEY"], config=Config(read_timeout=60),
        )  # fmt: skip

    def socket(self, since: float = 0) -> LiveSocket:
        """With all seconds from since on that are kept."""
        return LiveSocket(self.running, self.facts["session"], self.facts["team"], TOPIC, since)

    def put(self, records: int) -> int:
        """By a connection of its own. The web process that took it."""
        client, before = self.client(), ports_to(self.running.port)
        client.list_streams()  # opens the connection, which stays; the put takes it as well
        (mine,) = ports_to(self.running.port) - before
        took = holder(self.running, mine)
        client.put_records(StreamName="orders", Records=[{"PartitionKey": "a", "Data": b"x"}] * records)
        assert ports_to(self.running.port) - before == {mine}, "the connection is the one that was looked at"
        client.close()
        self.put_so_far += records
        return took

    def put_by_each(self) -> None:
        took = set()
        for records in range(1, TRIES_MAX):
            took.add(self.put(records % 7 + 1))
            if len(took) == PROCESSES:
                return
        raise AssertionError(f"only {took} took puts")

    def give_role(self, role: str) -> None:
        request = urllib.request.Request(
            f"{self.running.endpoint}/api/v1/members/{self.facts['member']}", json.dumps({"role": role}).encode(),
            {"Authorization": f"Bearer {self.facts['token']}", "Content-Type": "application/json"}, method="PATCH",
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["role"] == role


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    data = tmp_path_factory.mktemp("several") / "data"
    with up(data, **SETTINGS, TIDEGATE_WEB_PROCESSES=str(PROCESSES), TIDEGATE_THROTTLE="off") as running:
        yield Watched(running)


@pytest.fixture
def sockets(watched) -> Iterator[dict[int, list[LiveSocket]]]:
    """By web process: as many for each."""
    held: dict[int, list[LiveSocket]] = defaultdict(list)
    with ExitStack() as stack:
        eventually(lambda: len(web_processes(watched.running)) == PROCESSES, what="all web processes are there")
        for _ in range(TRIES_MAX):
            made = watched.socket()
            pid = holder(watched.running, made.port)
            if len(held[pid]) == SOCKETS_EACH:
                made.close()
            else:
                held[pid].append(stack.enter_context(made))
            if sum(map(len, held.values())) == PROCESSES * SOCKETS_EACH:
                break
        assert sorted(map(len, held.values())) == [SOCKETS_EACH] * PROCESSES
        for one in every(held):
            eventually(lambda one=one: one.heard("snap"), what="the snapshot")
        yield held


def every(held: dict[int, list[LiveSocket]]) -> list[LiveSocket]:
    return [one for sockets in held.values() for one in sockets]


def until_told_of_all(watched: Watched, one: LiveSocket) -> None:
    """Exactly what was put: nothing is missing, and nothing counts twice."""
    try:
        eventually(lambda: one.total() == watched.put_so_far)
    except AssertionError:
        pytest.fail(f"{one.total()} of {watched.put_so_far} records; {one.said}")


def test_every_socket_is_told_whichever_process_took_the_put(watched, sockets):
    for _ in range(2):
        watched.put_by_each()
        for one in every(sockets):
            until_told_of_all(watched, one)


def test_a_role_that_changes_reaches_the_sockets_of_all_processes_at_once(watched, sockets):
    try:
        watched.give_role(watched.facts["blind"])
        for one in every(sockets):
            eventually(lambda one=one: one.heard("err"), TOLD_WITHIN_S, "the topic is taken away")
            assert one.heard("err") == [{"op": "err", "id": "t", "code": "forbidden", "need": "stream:read"}]
        watched.put_by_each()
        with watched.socket() as late:
            eventually(lambda: late.heard("err"), what="it is refused")
        assert not any(one.total() == watched.put_so_far for one in every(sockets))
    finally:
        watched.give_role("viewer")


def test_who_comes_back_after_a_kill_finds_what_was_put_meanwhile(watched, sockets):
    watched.put_by_each()
    for one in every(sockets):
        until_told_of_all(watched, one)
    victim = next(iter(sockets))
    os.kill(victim, signal.SIGKILL)
    for one in sockets[victim]:
        assert one.ended.wait(HAPPENED_WITHIN_S), "its connection ends"
    eventually(lambda: victim not in web_processes(watched.running), what="it is gone")
    watched.put(5)
    survivors = [one for pid, held in sockets.items() if pid != victim for one in held]
    for one in survivors:
        until_told_of_all(watched, one)
        assert not one.ended.is_set()
    for gone in sockets[victim]:
        with watched.socket(since=gone.last_t) as back:
            back.points |= {t: row for t, row in gone.points.items() if t < gone.last_t}
            until_told_of_all(watched, back)
            assert back.heard("gap") == []
            assert [t for t in sorted(back.points) if back.points[t][0] is None and t >= gone.last_t] == []
            assert max(back.points) - gone.last_t < len(back.points)
