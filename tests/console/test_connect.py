"""The tab Connect: code in six languages, what a key may do, a call to try."""

import json

import pytest

from apps.accounts.models import AccessKey
from apps.accounts.roles import Role
from apps.gateway.invoke import invoke_sync
from console.pages import client_code
from tests.console.conftest import signed_in_as, text_of

PAGE = "/t/first/streams/orders/connect"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("stream")]


def test_code_in_six_languages_holds_what_is_real(client):
    page = text_of(client.get(PAGE))
    for label in ("Python", "CLI", "Node", "Java", "Java, KCL", "Go", "curl"):
        assert f"<span>{label}</span>" in page
    for sample in (*client_code.put_in_all("orders"), *client_code.read_in_all("orders")):
        assert "http://localhost:4567" in sample.text
        assert "us-east-1" in sample.text
        assert "orders" in sample.text


def test_what_a_users_key_may_do_is_said(client, team, served):
    def iam(operation, **params):
        return invoke_sync(served, team.principal, "iam", operation, params)

    iam("CreateUser", UserName="producer")
    allowed = {"Effect": "Allow", "Action": ["kinesis:PutRecord*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam("PutUserPolicy", UserName="producer", PolicyName="put", PolicyDocument=document)
    key_id = iam("CreateAccessKey", UserName="producer")["AccessKey"]["AccessKeyId"]
    page = text_of(client.get(f"{PAGE}?key={key_id}"))
    assert "Speaks for the user producer" in page
    assert f"export AWS_ACCESS_KEY_ID={key_id}" in page
    lines = page.partition('class="rights"')[2].partition("</ul>")[0].split("<li")[1:]
    may = {line.partition('mono">')[2].partition("<")[0]: 'class="no"' not in line for line in lines}
    assert may == {
        "kinesis:PutRecord": True, "kinesis:PutRecords": True, "kinesis:DescribeStreamSummary": False,
        "kinesis:ListShards": False, "kinesis:GetShardIterator": False, "kinesis:GetRecords": False,
    }  # fmt: skip
    assert "with all of its rights" in text_of(client.get(f"{PAGE}?key={team.access_key_id}"))


def test_a_key_of_another_team_is_not_shown(client, team):
    AccessKey.objects.filter(key_id=team.access_key_id).update(is_active=False)
    assert "No active key" in text_of(client.get(f"{PAGE}?key={team.access_key_id}"))


def test_a_call_is_made_as_the_person_and_its_answer_shown(client):
    page = text_of(client.post(f"{PAGE}/test", {"call": "describe"}))
    assert "DescribeStreamSummary was answered" in page
    assert "&quot;OpenShardCount&quot;" in page
    part = text_of(client.post(f"{PAGE}/test", {"call": "put"}, headers={"HX-Request": "true"}))
    assert "<html" not in part
    assert "PutRecord was answered" in part
    assert "&quot;SequenceNumber&quot;" in part


def test_who_may_not_put_is_told_why(team, served):
    browser = signed_in_as(team, Role.VIEWER)
    page = text_of(browser.get(PAGE))
    assert "Needs record:write" in page
    assert "Your role may not see keys" in page
    assert "Create one, and set it" not in page
    refused = browser.post(f"{PAGE}/test", {"call": "put"})
    assert refused.status_code == 403
    assert refused.context["request_id"] in text_of(refused)
    assert browser.post(f"{PAGE}/test", {"call": "describe"}).status_code == 200
