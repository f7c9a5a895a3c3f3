"""The tab Configuration: each part saves alone, says what it did, and keeps what was typed where AWS refuses it."""

import json

import pytest

from apps.accounts.roles import Role
from apps.cloudwatch.models import Alarm
from apps.streams.models import Stream
from tests.console.conftest import settle, signed_in_as, text_of
from tests.support.runtimes import call

PAGE = "/t/first/streams/orders/configuration"

pytestmark = pytest.mark.usefixtures("stream")


def send(client, part, **values):
    return client.post(PAGE, {"part": part, **values})


def now():
    return Stream.objects.get(name="orders")


def test_the_mode_is_switched_and_what_on_demand_has_is_there(client, served):
    assert "Who places records" not in text_of(client.get(PAGE))
    assert send(client, "mode", mode="ON_DEMAND").status_code == 302
    settle(served)
    assert now().mode == "ON_DEMAND"
    page = text_of(client.get(PAGE))
    assert "Who places records" in page
    assert "Warm throughput needs the account" in page
    assert send(client, "on_demand", strategy="AUTO", warm="").status_code == 302
    assert now().distribution_strategy == "AUTO"
    refused = send(client, "mode", mode="PROVISIONED")
    assert refused.status_code == 422
    assert "while its RecordDistributionStrategy is AUTO" in text_of(refused)


@pytest.mark.parametrize(("size", "status"), [("2048", 302), ("10240", 302), ("1023", 422), ("10241", 422), ("", 422)])
def test_the_largest_record(client, size, status):
    answer = send(client, "size", size=size)
    assert answer.status_code == status
    assert now().max_record_size_kib == (int(size) if status == 302 else 1024)


@pytest.mark.django_db(transaction=True)
def test_encryption_goes_on_and_off_and_an_unknown_key_is_told_at_the_key(client, served):
    refused = send(client, "encryption", encryption="KMS", key="alias/nobody")
    page = text_of(refused)
    assert refused.status_code == 422
    assert 'value="alias/nobody"' in page
    assert 'aria-invalid="true"' in page
    assert 'id="part-encryption" open' in page
    assert send(client, "encryption", encryption="KMS", key="").status_code == 302
    settle(served)
    assert now().encryption_key_id == "alias/aws/kinesis"
    assert "KMS, alias/aws/kinesis" in text_of(client.get(PAGE))
    assert send(client, "encryption", encryption="NONE").status_code == 302
    settle(served)
    assert not now().encryption_key_arn


def policy(action="kinesis:GetRecords"):
    arn = str(Stream.objects.select_related("team").get(name="orders").arn)
    allowed = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        "Action": action,
        "Resource": arn,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def test_a_policy_is_validated_saved_and_deleted(client):
    looked = send(client, "policy", policy=policy(), validate="1")
    assert looked.status_code == 200
    assert "well-formed" in text_of(looked)
    assert not now().resource_policy
    assert send(client, "policy", policy=policy()).status_code == 302
    assert now().resource_policy == policy()
    assert send(client, "policy", policy=policy(), remove="1").status_code == 302
    assert not now().resource_policy


@pytest.mark.parametrize("button", ["validate", "save"])
@pytest.mark.parametrize(("document", "why"), [("{", "Syntax errors"), (None, "no action of Kinesis")])
def test_a_policy_that_is_none_is_kept_in_the_field(client, button, document, why):
    answer = send(client, "policy", policy=document or policy("s3:GetObject"), **{button: "1"})
    assert answer.status_code == 422
    assert why in text_of(answer)
    assert not now().resource_policy


def test_shard_level_metrics_are_switched_by_name(client):
    assert send(client, "monitoring", metrics=["IncomingBytes", "OutgoingBytes"]).status_code == 302
    assert now().shard_level_metrics == ["IncomingBytes", "OutgoingBytes"]
    assert send(client, "monitoring", metrics=["OutgoingBytes"]).status_code == 302
    assert now().shard_level_metrics == ["OutgoingBytes"]
    assert "1 of 7 on" in text_of(client.get(PAGE))


def test_a_part_that_there_is_none_of_changes_nothing(client):
    before = Stream.objects.filter(name="orders").values().get()
    assert send(client, "colour", colour="blue").status_code == 422
    assert Stream.objects.filter(name="orders").values().get() == before


def test_who_may_only_look_is_told_why(team, served):
    page = text_of(signed_in_as(team, Role.VIEWER).get(PAGE))
    assert page.count("Needs stream:write: Owner, Admin, Developer") >= 7
    assert "Needs stream:delete" in page
    assert '<form class="form panel-b"' not in page


def test_deleting_lists_what_depends_on_it(client, team, served):
    call(served, team.principal, "RegisterStreamConsumer", StreamARN=str(now_arn()), ConsumerName="billing")
    dimensions = [{"Name": "StreamName", "Value": "orders"}]
    for name, settings in (
        ("too late", {"Namespace": "AWS/Kinesis", "Dimensions": dimensions}),
        ("by a formula", {"Metrics": [{"MetricStat": {"Metric": {"Dimensions": dimensions}}}]}),
        ("another stream's", {"Dimensions": [{"Name": "StreamName", "Value": "orders-2"}]}),
    ):
        Alarm.objects.create(
            team=team.team,
            name=name,
            settings=settings,
            reason="",
            configured_at_ms=1,
            evaluated_at_ms=1,
            changed_at_ms=1,
            due_at_ms=1,
        )
    page = text_of(client.get("/t/first/streams/orders/delete"))
    assert "by a formula, too late" in page
    assert "another stream&#x27;s" not in page
    assert "billing" in page
    assert "Delivery streams" not in page.partition("What depends on it")[2]


def now_arn():
    return Stream.objects.select_related("team").get(name="orders").arn
