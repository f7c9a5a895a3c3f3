"""Encrypted streams: what is answered, what a disabled key closes, how keys change."""

import pytest

from apps.base.errors import InternalFailure, ValidationException
from apps.base.units import DAY_MS
from apps.encryption import data_keys
from apps.encryption.data_keys import CONFIRM_AFTER_MS, TRUSTED_MS
from apps.encryption.errors import (
    KMSAccessDeniedException,
    KMSDisabledException,
    KMSInvalidStateException,
    KMSNotFoundException,
)
from apps.encryption.models import Key, StreamDataKey
from apps.recordlog.interface import KeyUnavailable
from apps.streams.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from apps.streams.models import Stream
from apps.streams.operations import encryption
from tests.support.runtimes import call, run_due, until
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)
DEFAULT = "alias/aws/kinesis"


@pytest.fixture
def stream(runtime, team):
    call(runtime, team.principal, "CreateStream", StreamName="s", ShardCount=1)
    run_due(runtime, "lifecycle")
    return "s"


@pytest.fixture
def do(runtime, team, stream):
    """do("PutRecord", …) on the stream."""

    def one(operation, **params):
        return call(runtime, team.principal, operation, StreamName=stream, **params)

    return one


@pytest.fixture
def start(runtime, do):
    def begin(key_id, **more):
        do("StartStreamEncryption", EncryptionType="KMS", KeyId=key_id, **more)
        run_due(runtime, "lifecycle")
        runtime.clock.advance(1_001)  # the data plane looks anew

    return begin


@pytest.fixture
def stop(runtime, do):
    def end(key_id):
        do("StopStreamEncryption", EncryptionType="KMS", KeyId=key_id)
        run_due(runtime, "lifecycle")
        runtime.clock.advance(1_001)

    return end


@pytest.fixture
def put(do):
    return lambda data=b"x": do("PutRecord", Data=data, PartitionKey="k")


@pytest.fixture
def read(runtime, team, do):
    def all_of_it(start="TRIM_HORIZON"):
        iterator = do("GetShardIterator", ShardId="shardId-0", ShardIteratorType=start)["ShardIterator"]
        return call(runtime, team.principal, "GetRecords", ShardIterator=iterator)["Records"]

    return all_of_it


def later(runtime):
    """So much later that nothing heard of a key before is trusted."""
    runtime.clock.advance(TRUSTED_MS + 1)


def test_a_plain_stream_says_nothing_of_encryption(do, put, read):
    assert "EncryptionType" not in put()
    records = [{"Data": b"y", "PartitionKey": "k"}]
    assert "EncryptionType" not in do("PutRecords", Records=records)
    assert all("EncryptionType" not in record for record in read())
    assert do("DescribeStream")["StreamDescription"]["EncryptionType"] == "NONE"
    assert "KeyId" not in do("DescribeStreamSummary")["StreamDescriptionSummary"]


def test_an_encrypted_stream_says_so_everywhere(do, start, put, read):
    put(b"before")
    start(DEFAULT)
    assert put(b"after")["EncryptionType"] == "KMS"
    assert do("PutRecords", Records=[{"Data": b"too", "PartitionKey": "k"}])["EncryptionType"] == "KMS"
    assert [(record["Data"], record.get("EncryptionType")) for record in read()] == [
        (b"before", None), (b"after", "KMS"), (b"too", "KMS"),
    ]  # fmt: skip
    for operation, member in (
        ("DescribeStream", "StreamDescription"),
        ("DescribeStreamSummary", "StreamDescriptionSummary"),
    ):
        described = do(operation)[member]
        assert (described["EncryptionType"], described["KeyId"]) == ("KMS", DEFAULT)


def test_it_is_updating_and_then_active(runtime, do, start, put):
    do("StartStreamEncryption", EncryptionType="KMS", KeyId=DEFAULT)
    assert do("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamStatus"] == "UPDATING"
    put()
    with pytest.raises(ResourceInUseException, match="not ACTIVE, instead in state UPDATING"):
        do("StartStreamEncryption", EncryptionType="KMS", KeyId=DEFAULT)
    run_due(runtime, "lifecycle")
    assert do("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"


def test_every_form_of_a_key_is_taken(do, kms, key, start, stop):
    kms("CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    prefix, _, bare = key.rpartition(":key/")
    for form in (key, bare, "alias/mine", f"{prefix}:alias/mine"):
        start(form)
        assert do("DescribeStreamSummary")["StreamDescriptionSummary"]["KeyId"] == form
        assert Stream.objects.get().encryption_key_arn == key
    stop(bare)
    assert do("DescribeStreamSummary")["StreamDescriptionSummary"]["EncryptionType"] == "NONE"


def test_what_was_written_before_stop_stays_encrypted_and_readable(start, stop, put, read):
    start(DEFAULT)
    put(b"secret")
    stop(DEFAULT)
    assert "EncryptionType" not in put(b"open")
    assert [record.get("EncryptionType") for record in read()] == ["KMS", None]


def test_another_key_covers_what_is_written_from_then_on(runtime, kms, key, start, put, read):
    start(DEFAULT)
    put(b"one")
    start(key)
    put(b"two")
    assert [record["Data"] for record in read()] == [b"one", b"two"]
    kms("DisableKey", KeyId=key)
    later(runtime)
    assert [record["Data"] for record in read()] == [b"one"]
    with pytest.raises(KMSDisabledException):
        put()


def test_a_disabled_key_closes_reads_and_writes_and_an_enabled_one_opens_them(runtime, kms, key, start, put, read):
    start(key)
    put(b"a")
    assert len(read()) == 1
    kms("DisableKey", KeyId=key)
    later(runtime)
    for closed in (put, read):
        with pytest.raises(KMSDisabledException) as refused:
            closed()
        assert refused.value.message == f"{key} is disabled."
    kms("EnableKey", KeyId=key)
    runtime.clock.advance(CONFIRM_AFTER_MS + 1)
    put(b"b")
    assert [record["Data"] for record in read()] == [b"a", b"b"]


def test_a_key_in_use_all_the_time_is_asked_anew_behind_the_requests(runtime, kms, key, start, put):
    start(key)
    put()
    kms("DisableKey", KeyId=key)
    runtime.clock.advance(CONFIRM_AFTER_MS + 1)
    put()  # trusted for once, but the question is under way

    def closed():
        try:
            put()
        except KMSDisabledException:
            return True

    assert until(closed)


def test_a_key_to_be_deleted_closes_and_a_deleted_one_closes_for_ever(runtime, do, kms, key, start, put, read):
    do("IncreaseStreamRetentionPeriod", RetentionPeriodHours=240)
    start(key)
    put()
    kms("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    later(runtime)
    with pytest.raises(KMSInvalidStateException, match="is pending deletion"):
        put()
    runtime.clock.advance(7 * DAY_MS)
    for closed in (put, read):
        with pytest.raises(KMSNotFoundException, match="does not exist"):
            closed()
    assert not Key.objects.exists()


def test_writing_goes_on_under_another_key_when_one_is_gone(runtime, kms, key, start, put, read):
    start(key)
    put(b"lost")
    kms("DisableKey", KeyId=key)
    start(DEFAULT)
    later(runtime)
    put(b"new")
    with pytest.raises(KMSDisabledException):
        read()
    assert read("LATEST") == []


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda kms, key: kms("DisableKey", KeyId=key), KMSDisabledException),
        (lambda kms, key: kms("ScheduleKeyDeletion", KeyId=key), KMSInvalidStateException),
    ],
)
def test_a_key_that_may_not_be_used_cannot_be_started_with(do, kms, key, prepare, error):
    prepare(kms, key)
    with pytest.raises(error):
        do("StartStreamEncryption", EncryptionType="KMS", KeyId=key)
    assert Stream.objects.get().encryption_key_arn == ""
    assert not StreamDataKey.objects.exists()


@pytest.mark.parametrize(
    "key_id", ["nothing", "alias/unknown", "12345678-1234-1234-1234-123456789012", "arn:aws:s3:::x"]
)
def test_a_key_that_is_not_there(do, key_id):
    with pytest.raises(KMSNotFoundException):
        do("StartStreamEncryption", EncryptionType="KMS", KeyId=key_id)
    assert do("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"


def test_a_key_of_another_team_is_not_there(do, kms):
    other = make_team("210987654321", "other", "AKIDOTHER")
    theirs = kms("CreateKey", by=other.principal)["KeyMetadata"]["Arn"]
    kms("CreateAlias", by=other.principal, AliasName="alias/theirs", TargetKeyId=theirs)
    for form in (
        theirs,
        theirs.rpartition("/")[2],
        "alias/theirs",
        theirs.replace(theirs.rpartition(":")[2], "alias/theirs"),
    ):
        with pytest.raises(KMSNotFoundException):
            do("StartStreamEncryption", EncryptionType="KMS", KeyId=form)


def test_type_and_stream_are_checked(runtime, team, do, start, key, stop):
    for operation in ("StartStreamEncryption", "StopStreamEncryption"):
        with pytest.raises(InvalidArgumentException, match="must be KMS"):
            do(operation, EncryptionType="NONE", KeyId=DEFAULT)
        with pytest.raises(ValidationException, match="enum value set"):
            do(operation, EncryptionType="AES", KeyId=DEFAULT)
        with pytest.raises(ResourceNotFoundException):
            call(runtime, team.principal, operation, StreamName="t", EncryptionType="KMS", KeyId=DEFAULT)
    with pytest.raises(InvalidArgumentException, match="is not encrypted"):
        do("StopStreamEncryption", EncryptionType="KMS", KeyId=DEFAULT)
    start(key)
    with pytest.raises(InvalidArgumentException, match="is not encrypted with key"):
        do("StopStreamEncryption", EncryptionType="KMS", KeyId=DEFAULT)
    stop(key)


def test_so_many_of_each_in_a_day(runtime, do, start, stop, monkeypatch):
    assert encryption.CHANGES_PER_DAY == 25
    monkeypatch.setattr(encryption, "CHANGES_PER_DAY", 3)
    for _ in range(3):
        start(DEFAULT)
        stop(DEFAULT)
    with pytest.raises(LimitExceededException, match="3 times within 24 hours"):
        do("StartStreamEncryption", EncryptionType="KMS", KeyId=DEFAULT)
    runtime.clock.advance(DAY_MS)
    start(DEFAULT)


def test_a_data_key_is_changed_after_its_time_and_after_its_share(runtime, start, put, read, monkeypatch):
    start(DEFAULT)
    monkeypatch.setattr(data_keys, "DATA_KEY_APPENDS", 3)
    for number in range(7):
        put(b"%d" % number)
    assert StreamDataKey.objects.count() == 3
    runtime.clock.advance(DAY_MS)
    put(b"7")
    assert StreamDataKey.objects.count() == 4
    monkeypatch.setattr(data_keys, "DATA_KEY_BYTES", 4)
    runtime.clock.advance(1)
    for number in range(8, 12):
        put(b"%d" % number)
    assert StreamDataKey.objects.count() > 5


def test_another_process_writes_with_the_same_data_key_and_reads_all(runtime, team, start, put, read):
    from apps.encryption.data_keys import DataKeys

    start(DEFAULT)
    put()
    other = DataKeys(runtime.data_keys.management, runtime.clock)
    covered = data_keys.EncryptedStream(
        Stream.objects.get().pk, str(Stream.objects.get().arn), team.principal.account_id,
        Stream.objects.get().encryption_key_arn,
    )  # fmt: skip
    taken = runtime.wait_for(other.for_append(covered, 1))
    assert taken.number == StreamDataKey.objects.get().pk
    assert other.ready(taken.number) is not None
    runtime.wait_for(other.close())
    assert other.ready(taken.number) is None


def test_a_deleted_streams_data_keys_are_destroyed(runtime, do, start, put):
    start(DEFAULT)
    put()
    assert StreamDataKey.objects.exists()
    do("DeleteStream")
    run_due(runtime, "lifecycle")
    assert not StreamDataKey.objects.exists()


def test_a_data_key_moved_to_another_stream_does_not_open(runtime, start, put, read):
    start(DEFAULT)
    StreamDataKey.objects.update(stream_arn="arn:aws:kinesis:us-east-1:000000000000:stream/other")
    with pytest.raises(KMSAccessDeniedException):
        put()


def test_a_data_key_that_is_missing_is_our_fault(runtime, start, put, read):
    start(DEFAULT)
    put()
    StreamDataKey.objects.all().delete()
    runtime.wait_for(runtime.data_keys.close())
    with pytest.raises(InternalFailure):
        read()


def test_the_whole_of_put_records_fails(runtime, do, kms, key, start):
    start(key)
    kms("DisableKey", KeyId=key)
    later(runtime)
    with pytest.raises(KMSDisabledException):
        do("PutRecords", Records=[{"Data": b"y", "PartitionKey": "k"}])


def test_an_import_into_an_encrypted_stream(runtime, team, start, kms, key, read):
    import io

    from apps.streams import ingestion
    from apps.streams.models import Ingestion

    start(key)
    content = b"".join(b"secret line %d\n" % number for number in range(100))
    path = ingestion.upload(runtime.config, io.BytesIO(content))
    assert b"secret" not in path.read_bytes()
    kms("DisableKey", KeyId=key)
    later(runtime)
    row = team.team
    job = ingestion.start_import(row, "s", path, "lines", runtime.clock.now_ms(), key="secret-key")
    run_due(runtime, "ingestion")
    job.refresh_from_db()
    assert (job.status, job.records) == ("RUNNING", 0)
    assert "is disabled" in job.error
    assert "secret-key" not in str(Ingestion.objects.values().get())
    kms("EnableKey", KeyId=key)
    runtime.clock.advance(ingestion.LOG_RETRY_MS)
    run_due(runtime, "ingestion")
    records = read()
    assert b"\n".join(record["Data"] for record in records) + b"\n" == content
    assert {(record["PartitionKey"], record["EncryptionType"]) for record in records} == {("secret-key", "KMS")}


def test_what_is_past_the_retention_needs_no_key(runtime, team, kms, key, start, put):
    from apps.streams import reading
    from apps.streams.catalog import Catalog

    start(key)
    put(b"old")
    start(DEFAULT)
    kms("DisableKey", KeyId=key)
    runtime.clock.advance(DAY_MS + 1)
    put(b"new")
    stream = runtime.wait_for(runtime.part(Catalog).read(team.principal.account_id, "s"))
    shard = stream.open_shards[0]

    def read_from_the_first(now_ms):
        return runtime.wait_for(reading.read(runtime.record_log, stream, shard, 1, now_ms, (10, 1_000))).slices

    assert [part.records for part in read_from_the_first(runtime.clock.now_ms())] == [["k", b"new"]]
    with pytest.raises(KeyUnavailable):
        read_from_the_first(runtime.clock.now_ms() - DAY_MS)
