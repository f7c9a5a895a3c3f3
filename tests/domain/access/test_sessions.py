"""Temporary credentials through the gateway: who gets them, what they may, and when they end."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.access import sessions
from apps.access.models import Identity, InlinePolicy
from apps.access.rights import changed
from apps.accounts.models import AccessKey
from apps.base.errors import ServiceError
from apps.gateway.request import Request, Response
from tests.domain.access.conftest import HERS, House
from tests.support.callers import Keys, document, in_database, make_identity, make_key, says, trusting

pytestmark = pytest.mark.django_db(transaction=True)

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
EXPIRED = ("ExpiredTokenException", "The security token included in the request is expired")
HOUR_MS = 3_600_000


async def role(house: House, name: str, *policies: str, trust: Any = None, **fields: Any) -> Identity:
    text = trusting(trust or {"AWS": HERS}, "sts:AssumeRole", "sts:TagSession")
    return await in_database(make_identity)(house.hers.team, "role", name, *policies, trust_policy=text, **fields)


async def assume(house: House, name: str, principal: Any = None, **params: Any) -> Keys:
    wanted = {"RoleArn": f"arn:aws:iam::{HERS}:role/{name}", "RoleSessionName": "job", **params}
    return Keys.of((await house.call("sts", "AssumeRole", principal, **wanted))["Credentials"])


async def refusal(house: House, name: str, principal: Any = None, **params: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        await assume(house, name, principal, **params)
    return f"{caught.value.code}: {caught.value.message}"


async def test_a_session_may_what_its_role_may(house: House) -> None:
    await role(house, "reader", document(says(action="kinesis:List*")))
    job = await assume(house, "reader")
    assert (await house.wire(job, "ListStreams"))["StreamNames"] == ["orders"]
    code, text = await house.wire(job, "DescribeLimits")
    assert code == "AccessDeniedException"
    assert text == (
        f"User: arn:aws:sts::{HERS}:assumed-role/reader/job is not authorized to perform: kinesis:DescribeLimits "
        "on resource: * because no identity-based policy allows the kinesis:DescribeLimits action"
    )


async def test_it_ends_in_time(house: House) -> None:
    await role(house, "reader", document(says()))
    job = await assume(house, "reader", DurationSeconds=900)
    house.clock.advance(899_999)
    assert "StreamNames" in await house.wire(job, "ListStreams")
    house.clock.advance(1)
    assert await house.wire(job, "ListStreams") == EXPIRED
    house.look_again()
    assert await house.wire(job, "ListStreams") == EXPIRED


async def test_it_ends_with_its_role_also_if_one_of_that_name_is_made_again(house: House) -> None:
    row = await role(house, "reader", document(says()))
    job = await assume(house, "reader")
    await in_database(row.delete)()
    house.look_again()
    assert await house.wire(job, "ListStreams") == INVALID
    await role(house, "reader", document(says()))
    house.look_again()
    assert await house.wire(job, "ListStreams") == INVALID


async def test_sessions_before_a_time_are_revoked_by_a_policy(house: House) -> None:
    row = await role(house, "reader", document(says()))
    before = await assume(house, "reader")
    house.clock.advance(60_000)
    issued_s = (house.clock.now_ms() - 30_000) // 1000
    text = document(says("Deny", Condition={"DateLessThan": {"aws:TokenIssueTime": str(issued_s)}}))
    await in_database(InlinePolicy.objects.create)(identity=row, name="AWSRevokeOlderSessions", document=text)
    await in_database(changed)(house.hers.team.pk)
    after = await assume(house, "reader")
    house.look_again()
    assert (await house.wire(before, "ListStreams"))[0] == "AccessDeniedException"
    assert "StreamNames" in await house.wire(after, "ListStreams")


@pytest.mark.parametrize("change", ["key of another", "one character", "no token", "token with a key", "another house"])
async def test_tokens_that_are_not_the_caller_s(house: House, change: str, tmp_path: Any) -> None:
    await role(house, "reader", document(says()))
    one, two = await assume(house, "reader"), await assume(house, "reader")
    assert one.token is not None
    forged = {
        "key of another": Keys(one.key_id, one.secret, two.token),
        "one character": Keys(
            one.key_id, one.secret, one.token[:-10] + ("A" if one.token[-10] != "A" else "B") + one.token[-9:]
        ),
        "no token": Keys(one.key_id, one.secret),
        "token with a key": Keys(house.her_key.key_id, house.her_key.secret, one.token),
        "another house": Keys(
            "ASIAX",
            "s",
            sessions.seal(
                tmp_path / "master.key", sessions.Session("ASIAX", "s", 0, 2**60, issuer=house.her_key.key_id)
            ),
        ),
    }[change]
    assert "StreamNames" in await house.wire(one, "ListStreams")
    assert await house.wire(forged, "ListStreams") == INVALID
    assert "StreamNames" in await house.wire(one, "ListStreams")


async def test_a_right_token_with_a_wrong_secret(house: House) -> None:
    await role(house, "reader", document(says()))
    job = await assume(house, "reader")
    code, _ = await house.wire(Keys(job.key_id, "wrong", job.token), "ListStreams")
    assert code == "InvalidSignatureException"


async def test_session_policies_only_limit(house: House) -> None:
    await role(house, "reader", document(says(action="kinesis:*")))
    only = document(says(action=["kinesis:ListStreams", "iam:*"]))
    job = await assume(house, "reader", Policy=only)
    assert "StreamNames" in await house.wire(job, "ListStreams")
    assert (await house.wire(job, "DescribeLimits"))[1].endswith(
        "because no session policy allows the kinesis:DescribeLimits action"
    )
    by_arn = await assume(house, "reader", PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"}])
    assert "StreamNames" in await house.wire(by_arn, "ListStreams")
    assert (await house.wire(by_arn, "CreateStream", StreamName="x"))[0] == "AccessDeniedException"


async def test_what_a_session_policy_denied_stays_denied_when_it_is_deleted(house: House) -> None:
    await role(house, "reader", document(says(action="kinesis:*")))
    but_limits = document(says("Deny", action="kinesis:DescribeLimits"))
    made = await house.call("iam", "CreatePolicy", PolicyName="but-limits", PolicyDocument=but_limits)
    arn = made["Policy"]["Arn"]
    job = await assume(house, "reader", Policy=document(says()), PolicyArns=[{"arn": arn}])
    assert "StreamNames" in await house.wire(job, "ListStreams")
    await house.call("iam", "DeletePolicy", PolicyArn=arn)
    house.wire.forget()
    assert (await house.wire(job, "DescribeLimits"))[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"Policy": "{"}, "MalformedPolicyDocumentException: Syntax errors in policy."),
        ({"Policy": document(says(Sid="s" * 2_000))}, "PackedPolicyTooLargeException: Packed policy consumes 100%"),
        (
            {"DurationSeconds": 3_601},
            "ValidationException: The requested DurationSeconds exceeds the MaxSessionDuration",
        ),
        ({"DurationSeconds": 899}, "ValidationException: 1 validation error detected"),
        ({"RoleSessionName": "no spaces"}, "ValidationException: 1 validation error detected"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::210987654321:policy/x"}]}, "ValidationException: PolicyArns"),
        ({"PolicyArns": [{"arn": f"arn:aws:iam::{HERS}:policy/none"}]}, "ValidationException: Policy arn"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}, "ValidationException: Duplicate tag keys"),
        ({"TransitiveTagKeys": ["a"]}, "ValidationException: Transitive"),
        ({"TokenCode": "123456"}, "AccessDeniedException: MultiFactorAuthentication failed"),
        (
            {"RoleArn": f"arn:aws:iam::{HERS}:role/none"},
            f"AccessDeniedException: User: arn:aws:iam::{HERS}:root is not",
        ),
    ],
)
async def test_what_assume_role_refuses(house: House, params: dict[str, Any], said: str) -> None:
    await role(house, "reader", document(says()))
    assert (await refusal(house, "reader", **params)).startswith(said)


async def test_an_external_id_must_be_the_one_that_trust_asks_for(house: House) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    text = trusting({"AWS": HERS}, Condition=condition)
    await in_database(make_identity)(house.hers.team, "role", "partner", document(says()), trust_policy=text)
    assert (await refusal(house, "partner")).startswith("AccessDenied")
    assert (await refusal(house, "partner", ExternalId="other")).startswith("AccessDenied")
    assert (await assume(house, "partner", ExternalId="secret")).token


async def test_users_need_their_own_policy_unless_trust_names_them(house: House) -> None:
    await role(house, "reader", document(says()))
    plain = await in_database(make_identity)(house.hers.team, "user", "plain")
    able = await in_database(make_identity)(house.hers.team, "user", "able", document(says(action="sts:AssumeRole")))
    by_plain = await house.principal_of(await in_database(make_key)(house.hers.team, plain))
    by_able = await house.principal_of(await in_database(make_key)(house.hers.team, able))
    assert (await refusal(house, "reader", by_plain)) == (
        f"AccessDeniedException: User: arn:aws:iam::{HERS}:user/plain is not authorized to perform: sts:AssumeRole "
        f"on resource: arn:aws:iam::{HERS}:role/reader"
    )
    assert (await assume(house, "reader", by_able)).token
    await role(house, "for-plain", document(says()), trust={"AWS": f"arn:aws:iam::{HERS}:user/plain"})
    assert (await assume(house, "for-plain", by_plain)).token
    assert (await refusal(house, "for-plain", by_able)).startswith("AccessDenied")


async def test_another_account_must_be_trusted_and_must_allow(house: House) -> None:
    his_user = await in_database(make_identity)(house.his.team, "user", "he")
    by_him = await house.principal_of(await in_database(make_key)(house.his.team, his_user))
    await role(house, "closed", document(says()))
    await role(house, "open", document(says()), trust={"AWS": house.his.team.account_id})
    assert (await refusal(house, "closed", house.his.principal)).startswith("AccessDenied")
    assert (await refusal(house, "open", by_him)).startswith("AccessDenied")
    job = await assume(house, "open", house.his.principal)
    assert (await house.wire(job, "DescribeStreamSummary", StreamName="orders"))["StreamDescriptionSummary"][
        "StreamARN"
    ] == house.arn


async def test_roles_that_trust_each_other_in_a_circle_do_no_harm(house: House) -> None:
    every = document(says())
    await role(house, "a", every, trust={"AWS": [HERS, f"arn:aws:iam::{HERS}:role/b"]}, max_session_s=43_200)
    await role(house, "b", every, trust={"AWS": f"arn:aws:iam::{HERS}:role/a"}, max_session_s=43_200)
    await role(house, "self", every, trust={"AWS": [HERS, f"arn:aws:iam::{HERS}:role/self"]})
    by: Any = None
    job = await assume(house, "a", DurationSeconds=43_200)
    for name in ("b", "a", "b", "a"):
        by = await house.principal_of(job)
        job = await assume(house, name, by)
    code, text = await house.wire(job, "ListStreams"), await refusal(house, "b", by, DurationSeconds=3_601)
    assert "StreamNames" in code
    assert (text.startswith("AccessDenied")) or "role chaining" in text
    house.clock.advance(HOUR_MS)
    assert await house.wire(job, "ListStreams") == EXPIRED
    again = await assume(house, "self")
    assert (await assume(house, "self", await house.principal_of(again))).token


async def test_session_tags_are_principal_tags_and_transitive_ones_go_on(house: House) -> None:
    by_tag = says(action="kinesis:ListStreams", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}})
    await role(house, "tagged", document(by_tag, says(action="sts:*")))
    await role(house, "next", document(by_tag))
    blue = {"Tags": [{"Key": "Team", "Value": "blue"}], "TransitiveTagKeys": ["Team"]}
    plain, tagged = await assume(house, "tagged"), await assume(house, "tagged", **blue)
    assert (await house.wire(plain, "ListStreams"))[0] == "AccessDeniedException"
    assert "StreamNames" in await house.wire(tagged, "ListStreams")
    onward = await assume(house, "next", await house.principal_of(tagged))
    assert "StreamNames" in await house.wire(onward, "ListStreams")
    changed_tag = {"Tags": [{"Key": "team", "Value": "red"}]}
    assert "conflicts" in await refusal(house, "next", await house.principal_of(tagged), **changed_tag)


async def test_session_tokens_of_keys_end_with_the_key(house: House) -> None:
    principal = await house.principal_of(house.her_key)
    answer = await house.call("sts", "GetSessionToken", principal)
    session = Keys.of(answer["Credentials"])
    assert answer["Credentials"]["Expiration"] == house.clock.now_ms() + HOUR_MS
    assert "StreamNames" in await house.wire(session, "ListStreams")
    with pytest.raises(ServiceError, match="Cannot call GetSessionToken with session credentials"):
        await house.call("sts", "GetSessionToken", await house.principal_of(session))
    await in_database(AccessKey.objects.filter(key_id=house.her_key.key_id).update)(is_active=False)
    house.look_again()
    assert await house.wire(session, "ListStreams") == INVALID


async def test_a_user_s_key_ends_with_the_user_and_rights_change_at_once(house: House) -> None:
    user = await in_database(make_identity)(house.hers.team, "user", "ann", document(says(action="kinesis:List*")))
    key = await in_database(make_key)(house.hers.team, user)
    assert "StreamNames" in await house.wire(key, "ListStreams")
    await house.call("iam", "DeleteUserPolicy", UserName="ann", PolicyName="p0")
    house.look_again()
    assert (await house.wire(key, "ListStreams"))[0] == "AccessDeniedException"
    await house.call("iam", "CreateGroup", GroupName="readers")
    await house.call("iam", "PutGroupPolicy", GroupName="readers", PolicyName="p", PolicyDocument=document(says()))
    await house.call("iam", "AddUserToGroup", GroupName="readers", UserName="ann")
    house.look_again()
    assert "StreamNames" in await house.wire(key, "ListStreams")
    boundary = "arn:aws:iam::aws:policy/CloudWatchFullAccess"
    await house.call("iam", "PutUserPermissionsBoundary", UserName="ann", PermissionsBoundary=boundary)
    house.look_again()
    assert (await house.wire(key, "ListStreams"))[1].endswith(
        "no permissions boundary allows the kinesis:ListStreams action"
    )
    await in_database(user.delete)()
    house.look_again()
    assert await house.wire(key, "ListStreams") == INVALID


async def test_presigned_requests_carry_their_token_in_the_query(house: House) -> None:
    await role(house, "reader", document(says(action="kinesis:List*")))
    job = await assume(house, "reader")
    assert job.token is not None
    assert "StreamNames" in (await presigned(house, job, job.token))[1]
    assert INVALID[0] in (await presigned(house, job, job.token[:-4] + "AAA="))[1]
    assert INVALID[0] in (await presigned(house, job, None))[1]
    house.clock.advance(HOUR_MS)
    assert EXPIRED[0] in (await presigned(house, job, job.token))[1]


async def presigned(house: House, keys: Keys, token: str | None) -> tuple[int, str]:
    """Status and body of a request that botocore presigned."""
    headers = {
        "host": "localhost:4567", "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "Kinesis_20131202.ListStreams", "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }  # fmt: skip
    request = AWSRequest("POST", "http://localhost:4567/", data=b"{}", headers=headers)
    now = datetime.fromtimestamp(house.clock.now_ms() // 1000, UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda **_: now):
        SigV4QueryAuth(Credentials(keys.key_id, keys.secret, token), "kinesis", "us-east-1").add_auth(request)
    query = urlsplit(request.url).query
    assert ("X-Amz-Security-Token" in query) is (token is not None)

    async def body() -> Any:
        yield b"{}"

    answer = await house.wire.gateway.answer(
        Request("POST", "/", query, {**headers, "content-length": "2"}, body(), to_end=False)
    )
    assert isinstance(answer, Response)
    return answer.status, answer.body.decode()
