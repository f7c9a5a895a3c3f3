"""Who uses an encrypted stream needs the right to use its key, as with AWS."""

from dataclasses import replace

import pytest

from apps.access.policy.evaluation import Grants
from apps.access.rights import parsed
from apps.base.errors import AccessDeniedException
from apps.encryption.errors import KMSAccessDeniedException
from apps.streams.models import Stream
from tests.support.callers import document, says
from tests.support.runtimes import call, run_due

pytestmark = pytest.mark.django_db(transaction=True)

STREAMS = says(action="kinesis:*")
VIA = {"StringEquals": {"kms:ViaService": "kinesis.us-east-1.amazonaws.com"}}


@pytest.fixture
def encrypted(runtime, team, key):
    """A stream under the team's key; a record is in it."""

    def by(key_id=key):
        call(runtime, team.principal, "CreateStream", StreamName="s", ShardCount=1)
        run_due(runtime, "lifecycle")
        call(runtime, team.principal, "StartStreamEncryption", StreamName="s", EncryptionType="KMS", KeyId=key_id)
        run_due(runtime, "lifecycle")
        put(runtime, team.principal)

    return by


@pytest.fixture
def user(team):
    """user(statements…): a principal with these rights only."""

    def make(*statements):
        account_id = team.principal.account_id
        arn = f"arn:aws:iam::{account_id}:user/u"
        policies = (parsed(document(*statements)),)
        return replace(team.principal, grants=Grants(account_id, arn, arn, {}, policies), watched=True)

    return make


def put(runtime, principal):
    return call(runtime, principal, "PutRecord", StreamName="s", Data=b"x", PartitionKey="k")


def read(runtime, principal):
    iterator = call(
        runtime, principal, "GetShardIterator", StreamName="s", ShardId="shardId-0", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    return call(runtime, principal, "GetRecords", ShardIterator=iterator)["Records"]


def test_rights_on_the_stream_alone_are_not_enough(runtime, encrypted, user, key):
    encrypted()
    someone = user(STREAMS)
    for use, action in ((put, "kms:GenerateDataKey"), (read, "kms:Decrypt")):
        with pytest.raises(KMSAccessDeniedException) as refused:
            use(runtime, someone)
        assert refused.value.message == (
            f"User: {someone.arn} is not authorized to perform: {action} on resource: {key} because no identity-based "
            f"policy allows the {action} action"
        )


def test_writers_and_readers_have_rights_of_their_own(runtime, encrypted, user, key):
    encrypted()
    writer = user(STREAMS, says(action="kms:GenerateDataKey", resource=key))
    reader = user(STREAMS, says(action="kms:Decrypt", resource=key, Condition=VIA))
    put(runtime, writer)
    assert len(read(runtime, reader)) == 2
    with pytest.raises(KMSAccessDeniedException):
        read(runtime, writer)
    with pytest.raises(KMSAccessDeniedException):
        put(runtime, reader)
    denied = user(STREAMS, says(action="kms:*"), says("Deny", action="kms:Decrypt", resource=key))
    with pytest.raises(KMSAccessDeniedException, match="explicit deny"):
        read(runtime, denied)


def test_a_subscriber_needs_the_right_to_decrypt(runtime, team, encrypted, user):
    encrypted()
    arn = str(Stream.objects.get().arn)
    made = call(runtime, team.principal, "RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    run_due(runtime, "lifecycle")
    with pytest.raises(KMSAccessDeniedException, match="kms:Decrypt"):
        call(
            runtime,
            user(STREAMS),
            "SubscribeToShard",
            ConsumerARN=made["Consumer"]["ConsumerARN"],
            ShardId="shardId-0",
            StartingPosition={"Type": "LATEST"},
        )


def test_the_default_key_asks_nobody(runtime, encrypted, user):
    encrypted("alias/aws/kinesis")
    put(runtime, user(STREAMS))
    assert len(read(runtime, user(STREAMS))) == 2


def test_the_kms_api_itself_asks_policies_by_the_keys_arn(kms, user, key):
    kms("CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    someone = user(says(action="kms:Encrypt", resource=key))
    for form in (key, key.rpartition("/")[2], "alias/mine"):
        kms("Encrypt", by=someone, KeyId=form, Plaintext=b"x")
    blob = kms("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for operation, params in (
        ("Decrypt", {"CiphertextBlob": blob}),
        ("DisableKey", {"KeyId": "alias/mine"}),
        ("CreateKey", {}),
    ):
        with pytest.raises(AccessDeniedException, match=f"is not authorized to perform: kms:{operation}"):
            kms(operation, by=someone, **params)
