"""Queues: the list with what is in each, and deleting one."""

import pytest

from apps.queues.models import Queue
from tests.console.conftest import make_stream, other_team, signed_in, text_of
from tests.support.metrics import process, valkey, valkey_server
from tests.support.runtimes import call, run_due

__all__ = ["process", "valkey", "valkey_server"]


@pytest.fixture
def queue(served, team):
    make_stream(served, team, "orders", 0, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    arn = f"arn:aws:kinesis:us-east-1:{team.principal.account_id}:stream/orders"
    call(served, team.principal, "CreateQueue", QueueName="work", StreamConfigurationList=[
        {"StreamARN": arn, "StartingPosition": {"Type": "LATEST"}}])  # fmt: skip
    run_due(served, "queues")
    return Queue.objects.get()


def test_without_queues_there_is_a_command(client):
    assert "create-queue" in text_of(client.get("/t/first/queues"))


def test_what_is_in_each(client, team, clock, valkey, queue, process):
    for metric, value in (
        ("VisibleQueueRecords", 1_234),
        ("InFlightQueueRecords", 7),
        ("VisibleDeadLetterQueueRecords", 2),
    ):
        process.counters.add_labelled(team.team.id, queue.stream_id, metric, f"{queue.queue_id}/work", value)
    process.second()
    process.flush(final=True)
    page = text_of(client.get("/t/first/queues"))
    for words in ("work", "Active", "1,234", ">7<", "tag-warn", "30 s"):
        assert words in page
    assert "No queue matches" in text_of(client.get("/t/first/queues?q=zz", headers={"HX-Request": "true"}))


def test_deleting_asks_for_the_name(client, queue):
    address = f"/t/first/queues/{queue.queue_id}/delete"
    assert "unknown" in text_of(client.get("/t/first/queues"))  # without Redis
    assert client.post(address, {"name": "wrong"}).status_code == 422
    assert client.post(address, {"name": "work"})["Location"] == "/t/first/queues"
    assert Queue.objects.get().status == "DELETING"
    stranger = signed_in(other_team())
    assert stranger.get(address.replace("first", "second")).status_code == 404
