"""The key service elsewhere: what is sent, what is believed, and what is not."""

import base64
import json

import httpx
import pytest

from apps.encryption.errors import KeyServiceSilent, Refused, as_kinesis_says
from apps.encryption.remote import ANSWER_BYTES_MAX, KmsAddress, RemoteKeys

ARN = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
ADDRESS = KmsAddress("https://kms.example", "eu-west-1", "AKID", "secret", "alias/ours")


def service(answer, seen=None):
    """RemoteKeys over a service that answers each request by a function, or with the same each time."""

    async def handle(request):
        if seen is not None:
            seen.append(request)
        return answer(request) if callable(answer) else answer

    return RemoteKeys(ADDRESS, httpx.MockTransport(handle))


def says(status=200, **body):
    return httpx.Response(status, json=body)


async def test_what_is_asked():
    seen = []
    plain = base64.b64encode(bytes(range(32))).decode()
    keys = service(says(Plaintext=plain, CiphertextBlob=base64.b64encode(b"wrapped").decode(), KeyId=ARN), seen)
    assert await keys.generate_data_key("1", ARN, {"a": "b"}) == (bytes(range(32)), b"wrapped")
    assert await keys.decrypt_data_key("1", ARN, b"wrapped", {"a": "b"}) == bytes(range(32))
    await keys.close()
    first, second = seen
    assert str(first.url) == "https://kms.example"
    assert first.headers["x-amz-target"] == "TrentService.GenerateDataKey"
    assert first.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "/eu-west-1/kms/aws4_request" in first.headers["authorization"]
    assert json.loads(first.content) == {"KeyId": ARN, "KeySpec": "AES_256", "EncryptionContext": {"a": "b"}}
    assert json.loads(second.content)["CiphertextBlob"] == base64.b64encode(b"wrapped").decode()


async def test_the_default_key_is_another_name_there():
    seen = []
    keys = service(says(KeyMetadata={"Arn": ARN, "KeyState": "Enabled"}), seen)
    assert (await keys.describe("1", "alias/aws/kinesis")).arn == ARN
    await keys.describe("1", "alias/other")
    assert [json.loads(request.content)["KeyId"] for request in seen] == ["alias/ours", "alias/other"]
    await keys.close()


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"KeyState": "Disabled"}, "KMSDisabledException"), ({"KeyState": "PendingDeletion"}, "KMSInvalidStateException"),
        ({"KeyState": "PendingImport"}, "KMSInvalidStateException"), ({"KeyState": "Unavailable"}, "KMSInvalidStateException"),
        ({"KeyState": "Enabled", "KeySpec": "RSA_2048"}, "KMSInvalidStateException"),
        ({"KeyState": "Enabled", "KeyUsage": "SIGN_VERIFY"}, "KMSInvalidStateException"),
    ],
)  # fmt: skip
async def test_states_in_which_a_key_may_not_be_used(metadata, code):
    keys = service(says(KeyMetadata={"Arn": ARN, **metadata}))
    with pytest.raises(Exception, match=ARN) as refused:
        (await keys.describe("1", ARN)).check()
    assert as_kinesis_says(refused.value).code == code
    await keys.close()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("NotFoundException", "KMSNotFoundException"), ("DisabledException", "KMSDisabledException"),
        ("com.amazonaws.kms#DisabledException", "KMSDisabledException"),
        ("KMSInvalidStateException", "KMSInvalidStateException"), ("AccessDeniedException", "KMSAccessDeniedException"),
        ("UnrecognizedClientException", "KMSAccessDeniedException"), ("ThrottlingException", "KMSThrottlingException"),
        ("OptInRequired", "KMSOptInRequired"), ("SomethingNew", "InternalFailure"),
    ],
)  # fmt: skip
async def test_its_errors_are_told_by_kinesis_names(code, told):
    keys = service(says(400, __type=code, message="why"))
    with pytest.raises(Refused) as refused:
        await keys.describe("1", ARN)
    error = as_kinesis_says(refused.value)
    assert (error.code, error.message) == (told, None if told == "InternalFailure" else "why")
    await keys.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"), httpx.Response(200, json=[1]), httpx.Response(200, json={}),
        httpx.Response(200, json={"KeyMetadata": "x"}), httpx.Response(200, json={"KeyMetadata": {"Arn": ARN}}),
        httpx.Response(302, headers={"location": "http://169.254.169.254/"}), httpx.Response(400, json={}),
        httpx.Response(503, json={"__type": "KMSInternalException"}),
        httpx.Response(200, content=b" " * (ANSWER_BYTES_MAX + 1)),
    ],
)  # fmt: skip
async def test_what_is_no_answer(answer):
    seen = []
    keys = service(answer, seen)
    with pytest.raises(KeyServiceSilent):
        await keys.describe("1", ARN)
    assert {request.url.host for request in seen} == {"kms.example"}
    assert as_kinesis_says(KeyServiceSilent("x")).code == "InternalFailure"
    await keys.close()


@pytest.mark.parametrize("size", [0, 16, 31, 33])
async def test_a_data_key_of_another_size_is_not_taken(size):
    keys = service(says(Plaintext=base64.b64encode(bytes(size)).decode(), CiphertextBlob="eA=="))
    with pytest.raises(KeyServiceSilent):
        await keys.generate_data_key("1", ARN, {})
    await keys.close()


async def test_one_failure_is_asked_again():
    answers = [httpx.ConnectError("no"), says(KeyMetadata={"Arn": ARN, "KeyState": "Enabled"})]

    def answer(_request):
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    keys = service(answer)
    assert (await keys.describe("1", ARN)).arn == ARN
    answers += [httpx.ReadTimeout("slow"), httpx.ReadTimeout("slow")]
    with pytest.raises(KeyServiceSilent, match="does not answer"):
        await keys.describe("1", ARN)
    await keys.close()
