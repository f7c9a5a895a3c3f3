"""Encryption over the wire: boto3 for keys and streams, and one Tidegate as the key service of another."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.support.files import found
from tests.support.processes import eventually, free_port
from tests.wire.conftest import REGION, Endpoint, start, stop, until_active
from tests.wire.server import ACCESS_KEY_ID, SECRET

SECRET_WORD = b"word-that-nobody-may-find"


def client(endpoint: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET,
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def kms(endpoint: Endpoint) -> Any:
    return client(endpoint.url, "kms")


@pytest.fixture(scope="module")
def second(endpoint: Endpoint) -> Iterator[tuple[str, Path]]:
    """A Tidegate whose keys the first one keeps."""
    with tempfile.TemporaryDirectory(prefix="tidegate-wire-") as folder:
        port = free_port()
        process = start(
            port,
            folder,
            Path(folder) / "output",
            TIDEGATE_KMS_ENDPOINT=endpoint.url,
            TIDEGATE_KMS_ACCESS_KEY_ID=endpoint.access_key_id,
            TIDEGATE_KMS_SECRET_ACCESS_KEY=endpoint.secret,
        )
        try:
            yield f"http://127.0.0.1:{port}", Path(folder)
        finally:
            stop(process)


def told(ask: Callable[[], Any]) -> str:
    """The code of the error that is answered; empty if there is none."""
    try:
        ask()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_keys_by_boto3(kms: Any) -> None:
    made = kms.create_key(Description="wire", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    kms.create_alias(AliasName="alias/wire", TargetKeyId=made["KeyId"])
    assert kms.describe_key(KeyId="alias/wire")["KeyMetadata"] == made
    sealed = kms.encrypt(KeyId="alias/wire", Plaintext=SECRET_WORD, EncryptionContext={"a": "b"})
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (SECRET_WORD, made["Arn"])
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.describe_key(KeyId="alias/unknown")
    assert made["KeyId"] in {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}
    assert kms.schedule_key_deletion(KeyId=made["KeyId"])["DeletionDate"] > made["CreationDate"]
    with pytest.raises(kms.exceptions.KMSInvalidStateException):
        kms.encrypt(KeyId=made["KeyId"], Plaintext=b"x")
    with pytest.raises(ClientError, match="symmetric keys for encryption alone"):
        kms.generate_random(NumberOfBytes=16)


def test_the_keys_of_one_tidegate_cover_the_streams_of_another(kms: Any, second: tuple[str, Path]) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    url, folder = second
    kinesis = client(url, "kinesis")
    kinesis.create_stream(StreamName="far", ShardCount=1)
    until_active(kinesis, "far")
    with pytest.raises(kinesis.exceptions.KMSNotFoundException, match="does not exist"):
        kinesis.start_stream_encryption(StreamName="far", EncryptionType="KMS", KeyId=key[:-4] + "0000")
    kinesis.start_stream_encryption(StreamName="far", EncryptionType="KMS", KeyId=key)
    summary = until_active(kinesis, "far")
    assert (summary["EncryptionType"], summary["KeyId"]) == ("KMS", key)

    def put(data: bytes = SECRET_WORD) -> Any:
        return kinesis.put_record(StreamName="far", Data=data, PartitionKey="k")

    first = eventually(
        lambda: (stored := put(b"probe")).get("EncryptionType") == "KMS" and stored, what="records are encrypted"
    )

    def get() -> list[Any]:
        iterator = kinesis.get_shard_iterator(
            StreamName="far",
            ShardId=first["ShardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=first["SequenceNumber"],
        )
        return kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]

    put()
    assert [(record["Data"], record["EncryptionType"]) for record in get()] == [(b"probe", "KMS"), (SECRET_WORD, "KMS")]
    assert found(folder, SECRET_WORD) == set()
    assert {name for name, _ in found(folder, key.encode())} != set()  # the search reaches the database

    kms.disable_key(KeyId=key)
    eventually(lambda: told(put) == "KMSDisabledException", what="writes are closed")
    eventually(lambda: told(get) == "KMSDisabledException", what="reads are closed")
    kms.enable_key(KeyId=key)
    eventually(lambda: told(put) == "", what="writes are open")
    assert get()[-1]["Data"] == SECRET_WORD


def test_no_key_is_made_where_keys_are_kept_elsewhere(second: tuple[str, Path]) -> None:
    with pytest.raises(ClientError, match="ask there"):
        client(second[0], "kms").create_key()
