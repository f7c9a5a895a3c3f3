"""Users, roles, sessions and policies, as boto3 sets them up and meets them: over a real socket."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.support.processes import HAPPENED_WITHIN_S, SOON
from tests.wire.conftest import REGION, Endpoint

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def make(endpoint: Endpoint) -> Make:
    """A client of a service, for the team's key or for other credentials."""

    def made(service: str, credentials: dict[str, Any] | None = None) -> Any:
        given = credentials or {}
        return boto3.client(
            service,
            endpoint_url=endpoint.url,
            region_name=REGION,
            aws_access_key_id=given.get("AccessKeyId", endpoint.access_key_id),
            aws_secret_access_key=given.get("SecretAccessKey", endpoint.secret),
            aws_session_token=given.get("SessionToken"),
            config=BotoConfig(retries={"total_max_attempts": 1}),
        )

    return made


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal: Any, **more: Any) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"], **more})


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def soon(condition: Callable[[], Any]) -> Any:
    """What holds within a second everywhere: its first true answer."""
    deadline = time.monotonic() + HAPPENED_WITHIN_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not in time: {condition}")


@pytest.fixture
def stream(make: Make) -> Iterator[Any]:
    kinesis, name = make("kinesis"), f"s{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=SOON)
    yield kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    kinesis.delete_stream(StreamName=name)


@pytest.fixture
def user(make: Make) -> Iterator[Any]:
    """A user with a key."""
    iam, name = make("iam"), f"u{uuid.uuid4().hex[:8]}"
    row = iam.create_user(UserName=name, Path="/team/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
    row["Key"] = iam.create_access_key(UserName=name)["AccessKey"]
    yield row
    try:
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_key_of_the_team_is_the_root_user(make: Make, endpoint: Endpoint) -> None:
    identity = make("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{endpoint.account_id}:root"
    assert identity["Account"] == identity["UserId"] == endpoint.account_id
    assert make("iam").get_user()["User"]["Arn"] == identity["Arn"]


def test_a_user_may_what_its_policies_say_and_no_more(make: Make, stream: Any, user: Any, endpoint: Endpoint) -> None:
    kinesis, arn, name = make("kinesis", user["Key"]), stream["StreamARN"], stream["StreamName"]
    me = f"arn:aws:iam::{endpoint.account_id}:user/team/{user['UserName']}"
    assert make("sts", user["Key"]).get_caller_identity()["Arn"] == me == user["Arn"]
    put = {"StreamName": name, "Data": b"x", "PartitionKey": "k"}
    assert refused(kinesis.put_record, **put) == (
        "AccessDeniedException",
        (
            f"User: {me} is not authorized to perform: kinesis:PutRecord on resource: {arn} "
            "because no identity-based policy allows the kinesis:PutRecord action"
        ),
    )
    iam = make("iam")
    iam.put_user_policy(
        UserName=user["UserName"], PolicyName="put", PolicyDocument=document(allow("kinesis:Put*", arn))
    )
    assert soon(lambda: _attempt(kinesis.put_record, put))["ShardId"] == "shardId-000000000000"
    assert refused(kinesis.describe_stream_summary, StreamName=name)[0] == "AccessDeniedException"
    assert refused(kinesis.list_streams)[1].endswith(
        "because no identity-based policy allows the kinesis:ListStreams action"
    )
    iam.put_user_policy(
        UserName=user["UserName"],
        PolicyName="not",
        PolicyDocument=document({"Effect": "Deny", "Action": "kinesis:PutRecord", "Resource": "*"}),
    )
    denied = soon(lambda: not _attempt(kinesis.put_record, put) and refused(kinesis.put_record, **put))
    assert denied[1].endswith(f"on resource: {arn} with an explicit deny in an identity-based policy")


def _attempt(call: Callable[..., Any], params: dict[str, Any]) -> Any:
    try:
        return call(**params)
    except ClientError:
        return None


def test_a_role_is_assumed_and_its_session_ends_with_it(make: Make, stream: Any, user: Any, endpoint: Endpoint) -> None:
    iam, name = make("iam"), f"r{uuid.uuid4().hex[:8]}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting({"AWS": user["Arn"]}))["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": user["Arn"]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(allow("kinesis:*")))
    answer = make("sts", user["Key"]).assume_role(RoleArn=role["Arn"], RoleSessionName="job")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{endpoint.account_id}:assumed-role/{name}/job"
    session = answer["Credentials"]
    kinesis = make("kinesis", session)
    assert make("sts", session).get_caller_identity()["UserId"] == f"{role['RoleId']}:job"
    assert kinesis.put_record(StreamName=stream["StreamName"], Data=b"x", PartitionKey="k")["SequenceNumber"]
    shard = kinesis.get_shard_iterator(
        StreamName=stream["StreamName"], ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    assert [r["Data"] for r in kinesis.get_records(ShardIterator=shard["ShardIterator"])["Records"]] == [b"x"]
    presigned = kinesis.generate_presigned_url("list_streams", ExpiresIn=60)
    assert "X-Amz-Security-Token" in presigned
    iam.delete_role_policy(RoleName=name, PolicyName="all")
    iam.delete_role(RoleName=name)
    code = soon(lambda: not _attempt(kinesis.list_streams, {}) and refused(kinesis.list_streams))
    assert code in {
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("AccessDeniedException", code[1]),
    }
    soon(lambda: refused(kinesis.list_streams)[0] == "UnrecognizedClientException")


def test_what_iam_is_not_says_so(make: Make) -> None:
    code, text = refused(make("iam").create_virtual_mfa_device, VirtualMFADeviceName="x")
    assert code == "UnsupportedOperationException"
    assert "CreateVirtualMFADevice" in text
    code, text = refused(make("iam").get_user, UserName="nobody")
    assert (code, text) == ("NoSuchEntity", "The user with name nobody cannot be found.")
