"""Tidegate's own KMS: keys, aliases, rotation, ciphers, and what is refused."""

import pytest

from apps.base.errors import AccessDeniedException, ValidationException
from apps.base.units import DAY_MS
from apps.encryption.errors import (
    AlreadyExistsException,
    DisabledException,
    DryRunOperationException,
    IncorrectKeyException,
    InvalidAliasNameException,
    InvalidArnException,
    InvalidCiphertextException,
    InvalidGrantTokenException,
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
    TagException,
)
from apps.encryption.errors import UnsupportedOperationException as Refused
from apps.encryption.models import Key, KeyMaterial
from apps.encryption.operations.kms import NOT_IMPLEMENTED, OPERATIONS
from apps.encryption.operations.resources import KMS_RESOURCES
from apps.gateway.invoke import invoke_sync
from apps.gateway.services import UnsupportedOperationException
from apps.wire.model import load
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other(team):
    return make_team("210987654321", "other", "AKIDOTHER").principal


def described(kms, key):
    return kms("DescribeKey", KeyId=key)["KeyMetadata"]


# Keys


def test_a_key_as_it_is_made_and_described(kms, team, runtime):
    made = kms("CreateKey", Description="mine", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{team.principal.account_id}:key/{made['KeyId']}"
    assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert (made["Description"], made["CreationDate"]) == ("mine", runtime.clock.now_ms())
    assert "DeletionDate" not in made
    for form in (made["KeyId"], made["Arn"]):
        assert described(kms, form) == made
    assert kms("ListResourceTags", KeyId=made["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


@pytest.mark.parametrize(
    "params",
    [
        {"KeySpec": "RSA_2048"}, {"KeyUsage": "SIGN_VERIFY"}, {"Origin": "EXTERNAL"}, {"MultiRegion": True},
        {"Policy": "{}"}, {"CustomKeyStoreId": "cks-1"}, {"CustomerMasterKeySpec": "HMAC_256"},
    ],
)  # fmt: skip
def test_other_kinds_of_keys_are_refused(kms, params):
    with pytest.raises(Refused, match=next(iter(params))):
        kms("CreateKey", **params)
    assert not Key.objects.exists()


def test_what_a_key_is_not_named_by(kms, key):
    for wrong, error in (
        ("nonsense", NotFoundException), ("alias/unknown", NotFoundException),
        ("12345678-1234-1234-1234-123456789012", NotFoundException), ("arn:aws:s3:::bucket", InvalidArnException),
        (key.replace("us-east-1", "eu-west-1"), NotFoundException),
    ):  # fmt: skip
        with pytest.raises(error):
            kms("DescribeKey", KeyId=wrong)


def test_the_default_key_is_there_when_it_is_asked_for_and_cannot_be_changed(kms):
    assert kms("ListAliases")["Aliases"] == []
    default = described(kms, "alias/aws/kinesis")
    assert (default["KeyManager"], default["Enabled"]) == ("AWS", True)
    assert described(kms, "alias/aws/kinesis") == default
    assert [alias["AliasName"] for alias in kms("ListAliases")["Aliases"]] == ["alias/aws/kinesis"]
    for operation, more in (
        ("DisableKey", {}), ("ScheduleKeyDeletion", {}), ("RotateKeyOnDemand", {}), ("DisableKeyRotation", {}),
        ("UpdateKeyDescription", {"Description": "x"}), ("TagResource", {"Tags": []}),
    ):  # fmt: skip
        with pytest.raises(AccessDeniedException, match="is managed by"):
            kms(operation, KeyId=default["Arn"], **more)
    with pytest.raises(InvalidAliasNameException):
        kms("DeleteAlias", AliasName="alias/aws/kinesis")
    assert kms("GetKeyRotationStatus", KeyId="alias/aws/kinesis")["KeyRotationEnabled"]


def test_pages_of_keys(kms):
    made = {kms("CreateKey")["KeyMetadata"]["KeyId"] for _ in range(5)}
    seen, marker = [], {}
    while True:
        page = kms("ListKeys", Limit=2, **marker)
        seen += [item["KeyId"] for item in page["Keys"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert (set(seen), len(seen)) == (made, 5)


def test_disable_and_enable(kms, key):
    for _ in range(2):
        kms("DisableKey", KeyId=key)
    assert described(kms, key)["KeyState"] == "Disabled"
    for operation, more in (
        ("Encrypt", {"Plaintext": b"x"}), ("GenerateDataKey", {"KeySpec": "AES_256"}), ("RotateKeyOnDemand", {}),
        ("EnableKeyRotation", {}),
    ):  # fmt: skip
        with pytest.raises(DisabledException, match="is disabled"):
            kms(operation, KeyId=key, **more)
    kms("EnableKey", KeyId=key)
    kms("Encrypt", KeyId=key, Plaintext=b"x")


def test_a_key_goes_after_its_waiting_time_and_not_before(kms, key, runtime):
    blob = kms("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms("CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    answer = kms("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyState"], answer["DeletionDate"]) == ("PendingDeletion", runtime.clock.now_ms() + 7 * DAY_MS)
    for operation in ("ScheduleKeyDeletion", "DisableKey", "EnableKey"):
        with pytest.raises(KMSInvalidStateException, match="pending deletion"):
            kms(operation, KeyId=key)
    with pytest.raises(KMSInvalidStateException):
        kms("Decrypt", CiphertextBlob=blob)
    kms("CancelKeyDeletion", KeyId=key)
    assert described(kms, key)["KeyState"] == "Disabled"
    with pytest.raises(KMSInvalidStateException, match="is not pending"):
        kms("CancelKeyDeletion", KeyId=key)
    kms("EnableKey", KeyId=key)
    kms("ScheduleKeyDeletion", KeyId=key)
    runtime.clock.advance(30 * DAY_MS - 1)
    assert described(kms, "alias/mine")["KeyState"] == "PendingDeletion"
    runtime.clock.advance(1)
    assert kms("ListKeys")["Keys"] == []
    assert not KeyMaterial.objects.exists()
    with pytest.raises(AccessDeniedException, match="does not exist"):
        kms("Decrypt", CiphertextBlob=blob)
    with pytest.raises(NotFoundException):
        kms("DescribeKey", KeyId="alias/mine")


def test_the_waiting_time_has_bounds(kms, key):
    for days in (1, 6, 31):
        with pytest.raises(Refused, match="between 7 and 30"):
            kms("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=days)


def test_tags_descriptions_and_the_policy(kms, key):
    kms("TagResource", KeyId=key, Tags=[{"TagKey": f"k{number}", "TagValue": ""} for number in range(50)])
    with pytest.raises(TagException, match="Too many"):
        kms("TagResource", KeyId=key, Tags=[{"TagKey": "more", "TagValue": ""}])
    for bad in (
        [{"TagKey": "aws:x", "TagValue": ""}],
        [{"TagKey": "x", "TagValue": "1"}, {"TagKey": "x", "TagValue": "2"}],
    ):
        with pytest.raises(TagException):
            kms("TagResource", KeyId=key, Tags=bad)
    kms("UntagResource", KeyId=key, TagKeys=["k0", "unknown"])
    assert len(kms("ListResourceTags", KeyId=key)["Tags"]) == 49
    kms("UpdateKeyDescription", KeyId=key, Description="new")
    assert described(kms, key)["Description"] == "new"
    assert "kms:*" in kms("GetKeyPolicy", KeyId=key)["Policy"]
    with pytest.raises(UnsupportedOperationException, match="identity policies"):
        kms("PutKeyPolicy", KeyId=key, Policy="{}")


# Aliases


def test_aliases(kms, key):
    second = kms("CreateKey")["KeyMetadata"]["Arn"]
    kms("CreateAlias", AliasName="alias/b", TargetKeyId=key)
    kms("CreateAlias", AliasName="alias/a/1", TargetKeyId=second)
    with pytest.raises(AlreadyExistsException, match=r"alias/b already exists"):
        kms("CreateAlias", AliasName="alias/b", TargetKeyId=second)
    assert [item["AliasName"] for item in kms("ListAliases")["Aliases"]] == ["alias/a/1", "alias/b"]
    assert [item["AliasName"] for item in kms("ListAliases", KeyId=key)["Aliases"]] == ["alias/b"]
    assert kms("ListAliases", Limit=1)["Truncated"]
    kms("UpdateAlias", AliasName="alias/b", TargetKeyId=second)
    assert described(kms, "alias/b")["Arn"] == second
    kms("DeleteAlias", AliasName="alias/b")
    for operation, more in (("DeleteAlias", {}), ("UpdateAlias", {"TargetKeyId": key})):
        with pytest.raises(NotFoundException):
            kms(operation, AliasName="alias/b", **more)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("mine", ValidationException), ("alias/", ValidationException), ("alias/aws/x", InvalidAliasNameException),
        ("alias/a:b", InvalidAliasNameException), ("alias/ä", ValidationException),
    ],
)  # fmt: skip
def test_names_that_aliases_may_not_have(kms, key, name, error):
    with pytest.raises(error):
        kms("CreateAlias", AliasName=name, TargetKeyId=key)


def test_an_alias_of_an_alias_is_refused(kms, key):
    kms("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    with pytest.raises(ValidationException, match="Not aliases"):
        kms("CreateAlias", AliasName="alias/b", TargetKeyId="alias/a")


# Ciphers


def test_encrypt_and_decrypt(kms, key):
    context = {"purpose": "test", "ключ": "значение"}
    sealed = kms("Encrypt", KeyId=key, Plaintext=b"secret", EncryptionContext=context)
    assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    opened = kms("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=dict(reversed(context.items())))
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", key)
    for wrong in ({}, {"purpose": "test"}, {**context, "more": ""}):
        with pytest.raises(InvalidCiphertextException):
            kms("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=wrong)
    second = kms("CreateKey")["KeyMetadata"]["Arn"]
    with pytest.raises(IncorrectKeyException):
        kms("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context, KeyId=second)
    with pytest.raises(InvalidCiphertextException):
        kms("Decrypt", CiphertextBlob=b"x" * 100)
    with pytest.raises(InvalidCiphertextException):
        kms("Decrypt")


def test_re_encrypt(kms, key):
    second = kms("CreateKey")["KeyMetadata"]["Arn"]
    blob = kms("Encrypt", KeyId=key, Plaintext=b"secret", EncryptionContext={"a": "1"})["CiphertextBlob"]
    moved = kms(
        "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=second, SourceEncryptionContext={"a": "1"},
        DestinationEncryptionContext={"b": "2"},
    )  # fmt: skip
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, second)
    opened = kms("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"b": "2"}, KeyId=second)
    assert opened["Plaintext"] == b"secret"


def test_data_keys(kms, key):
    for params, size in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)):
        made = kms("GenerateDataKey", KeyId=key, **params)
        assert len(made["Plaintext"]) == size
        assert kms("Decrypt", CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    hidden = kms("GenerateDataKeyWithoutPlaintext", KeyId=key)
    assert "Plaintext" not in hidden
    assert len(kms("Decrypt", CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 32
    for params in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}):
        with pytest.raises(ValidationException):
            kms("GenerateDataKey", KeyId=key, **params)


def test_dry_runs_and_what_is_not_taken(kms, key):
    blob = kms("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for operation, params in (
        ("Encrypt", {"KeyId": key, "Plaintext": b"x"}), ("Decrypt", {"CiphertextBlob": blob}),
        ("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}),
    ):  # fmt: skip
        with pytest.raises(DryRunOperationException):
            kms(operation, DryRun=True, **params)
        with pytest.raises(InvalidGrantTokenException):
            kms(operation, GrantTokens=["x"], **params)
    with pytest.raises(Refused, match="EncryptionAlgorithm"):
        kms("Encrypt", KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_1")


# Rotation


def test_rotation_on_demand(kms, key):
    before = kms("Encrypt", KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    for _ in range(25):
        kms("RotateKeyOnDemand", KeyId=key)
    with pytest.raises(LimitExceededException):
        kms("RotateKeyOnDemand", KeyId=key)
    after = kms("Encrypt", KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert before[17:21] != after[17:21]
    assert [kms("Decrypt", CiphertextBlob=blob)["Plaintext"] for blob in (before, after)] == [b"old", b"new"]


def test_rotation_by_time(kms, key, runtime):
    assert kms("GetKeyRotationStatus", KeyId=key) == {"KeyId": key, "KeyRotationEnabled": False}
    kms("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    due = runtime.clock.now_ms() + 90 * DAY_MS
    assert kms("GetKeyRotationStatus", KeyId=key)["NextRotationDate"] == due
    kms("Encrypt", KeyId=key, Plaintext=b"x")
    assert KeyMaterial.objects.count() == 1
    runtime.clock.set(due)
    for _ in range(2):
        kms("Encrypt", KeyId=key, Plaintext=b"x")
    assert KeyMaterial.objects.count() == 2
    kms("DisableKeyRotation", KeyId=key)
    assert not kms("GetKeyRotationStatus", KeyId=key)["KeyRotationEnabled"]
    for days in (90 - 1, 2_560 + 1):
        with pytest.raises(ValidationException):
            kms("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days)


# Others


def test_another_team_sees_and_uses_nothing(kms, key, other):
    blob = kms("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms("CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    assert kms("ListKeys", by=other)["Keys"] == kms("ListAliases", by=other)["Aliases"] == []
    with pytest.raises(AccessDeniedException):
        kms("Decrypt", by=other, CiphertextBlob=blob)
    for form in (key, key.rpartition("/")[2], "alias/mine", key.rpartition(":")[0] + ":alias/mine"):
        with pytest.raises((NotFoundException, AccessDeniedException)):
            kms("Encrypt", by=other, KeyId=form, Plaintext=b"x")
        with pytest.raises((NotFoundException, AccessDeniedException)):
            kms("DisableKey", by=other, KeyId=form)
    assert described(kms, key)["Enabled"]


def test_material_is_never_plain_in_the_database(kms, key):
    from django.db import connection

    made = kms("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    with connection.cursor() as cursor:
        for table in ("encryption_keymaterial", "encryption_key", "encryption_streamdatakey"):
            cursor.execute(f"SELECT * FROM {table}")
            assert made["Plaintext"] not in b"".join(v for row in cursor for v in row if isinstance(v, bytes))


def test_every_operation_is_built_or_refused_with_a_reason(kms):
    assert set(OPERATIONS) | set(NOT_IMPLEMENTED) <= set(load("kms").operations)
    assert set(KMS_RESOURCES) == set(OPERATIONS)
    with pytest.raises(UnsupportedOperationException, match="symmetric keys"):
        kms("Sign", KeyId="x", Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    for operation in OPERATIONS.values():
        assert "Kept from AWS" in operation.__doc__
        assert "Not kept" in operation.__doc__


def test_where_keys_are_kept_elsewhere_none_is_made_here(team):
    runtime = memory_runtime(
        kms_endpoint="http://127.0.0.1:9", kms_access_key_id="AK", kms_secret_access_key="secret"
    )  # fmt: skip
    with pytest.raises(Refused, match="; ask there"):
        invoke_sync(runtime, team.principal, "kms", "CreateKey", {})
