"""Operations that are more than one action on one resource: each part must be allowed."""

from typing import Any

import pytest

from apps.base.errors import AccessDeniedException, ServiceError
from tests.domain.access.conftest import HERS, House
from tests.support.callers import document, in_database, make_identity, make_key, says

pytestmark = pytest.mark.django_db(transaction=True)


async def who(house: House, *statements: dict[str, Any], name: str = "some") -> Any:
    user = await in_database(make_identity)(house.hers.team, "user", name, document(*statements))
    return await house.principal_of(await in_database(make_key)(house.hers.team, user))


async def test_tags_given_on_creation_need_the_right_to_tag(house: House) -> None:
    caller = await who(house, says(action=["kinesis:CreateStream", "kinesis:TagResource"]))
    with pytest.raises(AccessDeniedException, match=r"kinesis:AddTagsToStream on resource: .*:stream/new because"):
        await house.call("kinesis", "CreateStream", caller, StreamName="new", ShardCount=1, Tags={"a": "b"})
    await house.call("kinesis", "CreateStream", caller, StreamName="new", ShardCount=1)
    both = await who(house, says(action=["kinesis:CreateStream", "kinesis:AddTagsToStream"]), name="both")
    await house.call("kinesis", "CreateStream", both, StreamName="newer", ShardCount=1, Tags={"a": "b"})


async def test_so_do_those_of_a_consumer(house: House) -> None:
    caller = await who(house, says(action="kinesis:RegisterStreamConsumer"))
    wanted: dict[str, Any] = {"StreamARN": house.arn, "ConsumerName": "new"}
    with pytest.raises(AccessDeniedException, match=r"kinesis:TagResource on resource: .*/consumer/new:\d+ because"):
        await house.call("kinesis", "RegisterStreamConsumer", caller, **wanted, Tags={"a": "b"})
    may = says(action="kinesis:TagResource", resource=f"{house.arn}/consumer/new:*")
    both = await who(house, says(action="kinesis:RegisterStreamConsumer"), may, name="both")
    await house.call("kinesis", "RegisterStreamConsumer", both, **wanted, Tags={"a": "b"})


@pytest.mark.parametrize(
    ("service", "operation", "tagging", "params"),
    [
        ("iam", "CreateUser", "iam:TagUser", {"UserName": "x", "Tags": [{"Key": "a", "Value": "b"}]}),
        (
            "iam",
            "CreatePolicy",
            "iam:TagPolicy",
            {"PolicyName": "x", "PolicyDocument": document(says()), "Tags": [{"Key": "a", "Value": "b"}]},
        ),
        ("kms", "CreateKey", "kms:TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ],
)
async def test_so_do_those_of_other_services(
    house: House, service: str, operation: str, tagging: str, params: dict[str, Any]
) -> None:
    caller = await who(house, says(action=f"{service}:{operation}"))
    with pytest.raises(AccessDeniedException, match=f"perform: {tagging}"):
        await house.call(service, operation, caller, **params)


async def test_conditions_on_tags_know_kms_s_spelling(house: House) -> None:
    only = {"StringEquals": {"aws:RequestTag/team": "a"}, "ForAllValues:StringEquals": {"aws:TagKeys": "team"}}
    caller = await who(house, says(action="kms:*", Condition=only))
    await house.call("kms", "CreateKey", caller, Tags=[{"TagKey": "team", "TagValue": "a"}])
    for tags in ([{"TagKey": "team", "TagValue": "b"}], [{"TagKey": t, "TagValue": "a"} for t in ("team", "x")], []):
        with pytest.raises(AccessDeniedException):
            await house.call("kms", "CreateKey", caller, Tags=tags)


async def test_conditions_on_tags_of_what_is_no_stream(house: House) -> None:
    only = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    caller = await who(
        house, says(), says("Deny", ["iam:Delete*", "kms:Disable*", "cloudwatch:Delete*"], Condition=only)
    )
    for team, refused in (("a", True), ("b", False)):
        tags = [{"Key": "team", "Value": team}]
        await house.call("iam", "CreateUser", UserName=f"u{team}", Tags=tags)
        trust = document({"Effect": "Allow", "Principal": {"AWS": HERS}, "Action": "sts:AssumeRole"})
        await house.call("iam", "CreateRole", RoleName=f"r{team}", AssumeRolePolicyDocument=trust, Tags=tags)
        made = await house.call(
            "iam", "CreatePolicy", PolicyName=f"p{team}", PolicyDocument=document(says()), Tags=tags
        )
        key = await house.call("kms", "CreateKey", Tags=[{"TagKey": "team", "TagValue": team}])
        await house.call(
            "cloudwatch", "PutMetricAlarm", AlarmName=f"a{team}", Namespace="n", MetricName="m", Statistic="Sum",
            Period=60, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold", Tags=tags,
        )  # fmt: skip
        for service, operation, params in (
            ("iam", "DeleteUser", {"UserName": f"u{team}"}),
            ("iam", "DeleteRole", {"RoleName": f"r{team}"}),
            ("iam", "DeletePolicy", {"PolicyArn": made["Policy"]["Arn"]}),
            ("kms", "DisableKey", {"KeyId": key["KeyMetadata"]["KeyId"]}),
            ("cloudwatch", "DeleteAlarms", {"AlarmNames": [f"a{team}"]}),
        ):
            if refused:
                with pytest.raises(AccessDeniedException, match=f"{service}:{operation}.* explicit deny"):
                    await house.call(service, operation, caller, **params)
            else:
                await house.call(service, operation, caller, **params)


async def test_whoever_rules_users_within_limits_stays_within_them(house: House) -> None:
    admin, limit = (
        f"arn:aws:iam::aws:policy/{name}" for name in ("AdministratorAccess", "AmazonKinesisReadOnlyAccess")
    )
    caller = await who(
        house,
        says(action=["iam:CreateUser", "iam:PutUserPolicy"], Condition={"StringEquals": {"iam:PermissionsBoundary": limit}}),
        says(action="iam:AttachUserPolicy"),
        says("Deny", "iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": admin}}),
    )  # fmt: skip
    with pytest.raises(AccessDeniedException, match="iam:CreateUser"):
        await house.call("iam", "CreateUser", caller, UserName="free")
    await house.call("iam", "CreateUser", UserName="free")
    await house.call("iam", "CreateUser", caller, UserName="bound", PermissionsBoundary=limit)
    wanted = {"PolicyName": "p", "PolicyDocument": document(says())}
    await house.call("iam", "PutUserPolicy", caller, UserName="bound", **wanted)
    with pytest.raises(AccessDeniedException, match="iam:PutUserPolicy"):
        await house.call("iam", "PutUserPolicy", caller, UserName="free", **wanted)
    await house.call("iam", "AttachUserPolicy", caller, UserName="free", PolicyArn=limit)
    with pytest.raises(AccessDeniedException, match="explicit deny"):
        await house.call("iam", "AttachUserPolicy", caller, UserName="free", PolicyArn=admin)


async def test_several_alarms_are_each_asked_about(house: House) -> None:
    for name in ("dev", "prod"):
        await house.call(
            "cloudwatch", "PutMetricAlarm", AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    prod = f"arn:aws:cloudwatch:us-east-1:{HERS}:alarm:prod"
    caller = await who(house, says(), says("Deny", resource=prod))
    for operation in ("DisableAlarmActions", "DeleteAlarms"):
        for names in (["dev", "prod"], ["prod", "dev"], ["prod"]):
            with pytest.raises(AccessDeniedException, match="alarm:prod with an explicit deny"):
                await house.call("cloudwatch", operation, caller, AlarmNames=names)
    allowed = await who(house, says(resource=f"arn:aws:cloudwatch:*:{HERS}:alarm:*"), name="all")
    await house.call("cloudwatch", "DeleteAlarms", allowed, AlarmNames=["dev", "prod"])


async def test_another_key_does_not_open_what_the_first_one_closes(house: House) -> None:
    first, second = [(await house.call("kms", "CreateKey"))["KeyMetadata"]["Arn"] for _ in range(2)]
    sealed = (await house.call("kms", "Encrypt", KeyId=first, Plaintext=b"secret"))["CiphertextBlob"]
    caller = await who(house, says(action="kms:*", resource=second))
    for more in ({}, {"SourceKeyId": first}):
        with pytest.raises(AccessDeniedException, match=f"kms:ReEncryptFrom on resource: {first}"):
            await house.call("kms", "ReEncrypt", caller, CiphertextBlob=sealed, DestinationKeyId=second, **more)
    parts = [says(action="kms:ReEncryptFrom", resource=first), says(action="kms:ReEncryptTo", resource=second)]
    both = await who(house, *parts, name="both")
    await house.call("kms", "ReEncrypt", both, CiphertextBlob=sealed, DestinationKeyId=second)


async def test_whoever_renames_a_user_needs_the_right_to_both_names(house: House) -> None:
    await in_database(make_identity)(house.hers.team, "user", "bob")
    caller = await who(house, says(), says("Deny", resource=f"arn:aws:iam::{HERS}:user/admin"))
    with pytest.raises(AccessDeniedException, match="user/admin with an explicit deny"):
        await house.call("iam", "UpdateUser", caller, UserName="bob", NewUserName="admin")
    await house.call("iam", "UpdateUser", caller, UserName="bob", NewUserName="robert", NewPath="/ops/")
    with pytest.raises(ServiceError, match="bob cannot be found"):
        await house.call("iam", "GetUser", UserName="bob")


async def test_a_table_stands_in_a_database_of_a_catalogue(house: House) -> None:
    await house.call("glue", "CreateDatabase", DatabaseInput={"Name": "d"})
    for name in ("a", "b"):
        await house.call("glue", "CreateTable", DatabaseName="d", TableInput={"Name": name})
    around = f"arn:aws:glue:us-east-1:{HERS}"
    one = [says(action="glue:*", resource=f"{around}:table/d/a")]
    outside = await who(house, *one)
    with pytest.raises(AccessDeniedException, match=f"glue:GetTable on resource: {around}:catalog"):
        await house.call("glue", "GetTable", outside, DatabaseName="D", Name="A")
    inside = await who(
        house, *one, says(action="glue:*", resource=[f"{around}:catalog", f"{around}:database/d"]), name="inside"
    )
    assert (await house.call("glue", "GetTable", inside, DatabaseName="D", Name="A"))["Table"]["Name"] == "a"
    with pytest.raises(AccessDeniedException, match=f"glue:BatchDeleteTable on resource: {around}:table/d/b"):
        await house.call("glue", "BatchDeleteTable", inside, DatabaseName="d", TablesToDelete=["a", "b"])
    with pytest.raises(AccessDeniedException, match=f"glue:UpdateTable on resource: {around}:table/d/b"):
        await house.call("glue", "UpdateTable", inside, DatabaseName="d", TableInput={"Name": "b"})
