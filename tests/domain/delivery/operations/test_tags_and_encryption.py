"""Tags of delivery streams, and the KMS key that covers what is put."""

import pytest

from apps.base.errors import ServiceError
from apps.capacity.models import QuotaOverride
from apps.delivery.encryption import data_key_owner
from apps.encryption.models import StreamDataKey
from apps.gateway.invoke import invoke_sync
from tests.support.firehose import S3, configured

pytestmark = pytest.mark.django_db(transaction=True)


def put(firehose):
    return firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"hidden"})


def encryption(firehose):
    return firehose.describe()["DeliveryStreamEncryptionConfiguration"]


def code_of(call, *arguments, **named) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **named)
    return caught.value.code, str(caught.value.message)


def test_tags(firehose):
    firehose.create(Tags=[{"Key": "b", "Value": "1"}, {"Key": "a"}])
    assert (
        firehose(
            "TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]
        )
        == {}
    )
    listed = firehose("ListTagsForDeliveryStream", DeliveryStreamName="d")
    assert listed == {
        "Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}],
        "HasMoreTags": False,
    }
    firehose("UntagDeliveryStream", DeliveryStreamName="d", TagKeys=["b", "never there"])
    listed = firehose("ListTagsForDeliveryStream", DeliveryStreamName="d", Limit=1)
    assert listed == {"Tags": [{"Key": "a", "Value": ""}], "HasMoreTags": True}
    listed = firehose("ListTagsForDeliveryStream", DeliveryStreamName="d", ExclusiveStartTagKey="a")
    assert listed == {"Tags": [{"Key": "c", "Value": ""}], "HasMoreTags": False}


def test_fifty_tags_and_no_more(firehose):
    firehose.create(Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    code, said = code_of(firehose, "TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "x", "Value": ""}])
    assert (code, "50" in said) == ("LimitExceededException", True)
    firehose("TagDeliveryStream", DeliveryStreamName="d", Tags=[{"Key": "k7", "Value": "new"}])
    assert len(firehose("ListTagsForDeliveryStream", DeliveryStreamName="d")["Tags"]) == 50


def test_encryption_begins_and_ends(firehose):
    firehose.create()
    assert put(firehose)["Encrypted"] is False
    assert firehose("StartDeliveryStreamEncryption", DeliveryStreamName="d") == {}
    assert encryption(firehose) == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLING"}
    assert code_of(firehose, "StopDeliveryStreamEncryption", DeliveryStreamName="d")[0] == "ResourceInUseException"
    firehose.settle()
    firehose.runtime.clock.advance(1_100)
    assert encryption(firehose) == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}
    assert put(firehose)["Encrypted"] is True
    batch = firehose("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": b"hidden"}])
    assert batch["Encrypted"] is True
    log = firehose.row().logs.get()
    read = firehose.runtime.wait_for(firehose.runtime.record_log.read(log.log_key, 1, 10, 10_000))
    assert [(part.encrypted, part.records) for part in read.slices] == [
        (False, [None, b"hidden"]), (True, [None, b"hidden"]), (True, [None, b"hidden"]),
    ]  # fmt: skip
    assert {row.stream_key for row in StreamDataKey.objects.all()} == {data_key_owner(firehose.row().pk)}
    firehose("StopDeliveryStreamEncryption", DeliveryStreamName="d")
    assert encryption(firehose)["Status"] == "DISABLING"
    firehose.settle()
    firehose.runtime.clock.advance(1_100)
    assert encryption(firehose) == {"Status": "DISABLED"}
    assert put(firehose)["Encrypted"] is False


def test_a_delivery_stream_that_is_encrypted_from_the_beginning(firehose, runtime, team):
    key = invoke_sync(runtime, team.principal, "kms", "CreateKey", {})["KeyMetadata"]["Arn"]
    given = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key}
    firehose("CreateDeliveryStream", DeliveryStreamName="d", DeliveryStreamEncryptionConfigurationInput=given,
             **configured("S3", S3))  # fmt: skip
    assert encryption(firehose) == {**given, "Status": "ENABLING"}
    firehose.settle()
    assert encryption(firehose) == {**given, "Status": "ENABLED"}
    assert put(firehose)["Encrypted"] is True
    invoke_sync(runtime, team.principal, "kms", "DisableKey", {"KeyId": key})
    firehose.runtime.clock.advance(5_000)
    with pytest.raises(ServiceError) as caught:
        put(firehose)
    assert caught.value.code == "InvalidKMSResourceException"
    assert caught.value.members == {"code": "KMSDisabledException"}
    counted = firehose.runtime.counters.drain()
    assert [sample.total for (_, _, name), sample in counted.items() if name == "KMSKeyDisabled"] == [1]
    invoke_sync(runtime, team.principal, "kms", "EnableKey", {"KeyId": key})
    firehose.runtime.clock.advance(5_000)
    assert put(firehose)["Encrypted"] is True


def test_keys_that_cannot_be_used(firehose, runtime, team):
    firehose.create()
    for given, code in (
        ({"KeyType": "CUSTOMER_MANAGED_CMK"}, "InvalidArgumentException"),
        ({"KeyType": "AWS_OWNED_CMK", "KeyARN": "arn:aws:kms:us-east-1:123456789012:key/x"}, "InvalidArgumentException"),
        ({"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "arn:aws:kms:us-east-1:123456789012:key/x"},
         "InvalidKMSResourceException"),
    ):  # fmt: skip
        params = {"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": given}
        assert code_of(firehose, "StartDeliveryStreamEncryption", **params)[0] == code
    assert encryption(firehose) == {"Status": "DISABLED"}
    assert not StreamDataKey.objects.exists()


def test_starts_and_stops_are_counted_together(firehose, team):
    firehose.create()
    QuotaOverride.objects.create(team=team.team, name="delivery-encryption-changes-per-day", value=3)
    for operation in ("Start", "Stop", "Start"):
        firehose(f"{operation}DeliveryStreamEncryption", DeliveryStreamName="d")
        firehose.settle()
    code, said = code_of(firehose, "StopDeliveryStreamEncryption", DeliveryStreamName="d")
    assert (code, "3 times within 24 hours" in said) == ("LimitExceededException", True)
    firehose.runtime.clock.advance(24 * 3_600_000)
    firehose("StopDeliveryStreamEncryption", DeliveryStreamName="d")


def test_the_quota_of_delivery_streams(firehose, team):
    QuotaOverride.objects.create(team=team.team, name="delivery-streams", value=1)
    firehose.create()
    code, said = code_of(firehose, "CreateDeliveryStream", DeliveryStreamName="e", **configured("S3", S3))
    assert (code, "1 firehoses" in said) == ("LimitExceededException", True)


def test_data_keys_go_with_the_delivery_stream(firehose):
    firehose.create()
    firehose("StartDeliveryStreamEncryption", DeliveryStreamName="d")
    firehose.settle()
    assert StreamDataKey.objects.exists()
    firehose("DeleteDeliveryStream", DeliveryStreamName="d")
    firehose.settle()
    assert not StreamDataKey.objects.exists()


def test_a_key_covers_so_many_delivery_streams(firehose, runtime, team):
    QuotaOverride.objects.create(team=team.team, name="delivery-streams-per-key", value=1)
    key = invoke_sync(runtime, team.principal, "kms", "CreateKey", {})["KeyMetadata"]["Arn"]
    given = {"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key}}
    firehose.create(name="a", **given)
    firehose("StartDeliveryStreamEncryption", DeliveryStreamName="a", **given)
    code, said = code_of(firehose, "CreateDeliveryStream", DeliveryStreamName="b", **given, **configured("S3", S3))
    assert (code, key in said) == ("LimitExceededException", True)
    firehose.create(name="b")
    assert code_of(firehose, "StartDeliveryStreamEncryption", DeliveryStreamName="b", **given)[0] == code
