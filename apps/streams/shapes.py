"""Typed requests and answers of the hot operations. msgspec reads and writes them without a Python object in between.

The encoded names are AWS's, the limits are the model's and stand in the types: a body that does not fit is refused
here and explained by wire/validate.py. Blobs are bytes (base64 in JSON is msgspec's own rule for bytes). Timestamps
in these structs are float **seconds**, as AWS's JSON has them, so that no pass over the records converts them;
CBOR's integer milliseconds are wire/cbor.py's business. gc=False: these objects can form no cycle.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from apps.wire.blobs import decode_all
from apps.wire.timestamps import EpochSeconds

StreamName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+\Z")]
StreamArn = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        pattern=r"^arn:aws[^\r\n]*:kinesis:[^\r\n]*:[0-9]{12}:stream/[^ \t\n\x0b\f\r]+\Z",  # Java's \d and \S are ASCII
    ),
]
StreamId = Annotated[str, Meta(min_length=1, max_length=24, pattern=r"^[a-z0-9]{20}-[a-z0-9]{3}\Z")]
ShardId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+\Z")]
PartitionKey = Annotated[str, Meta(min_length=1, max_length=256)]
HashKey = Annotated[str, Meta(pattern=r"^(0|([1-9][0-9]{0,38}))\Z")]
SequenceNumber = Annotated[str, Meta(pattern=r"^(0|([1-9][0-9]{0,128}))\Z")]
DATA_BYTES_MAX = 10_485_760
Data = Annotated[bytes, Meta(max_length=DATA_BYTES_MAX)]
DataText = Annotated[str, Meta(max_length=-(-DATA_BYTES_MAX // 3) * 4)]
ShardIteratorType = Literal["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class PutRecordRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecord's input. The key may be absent where the stream distributes records itself."""

    data: Data = field(name="Data")
    partition_key: PartitionKey | None = field(name="PartitionKey", default=None)
    stream_name: StreamName | None = field(name="StreamName", default=None)
    stream_arn: StreamArn | None = field(name="StreamARN", default=None)
    explicit_hash_key: HashKey | None = field(name="ExplicitHashKey", default=None)
    sequence_number_for_ordering: SequenceNumber | None = field(name="SequenceNumberForOrdering", default=None)
    stream_id: StreamId | None = field(name="StreamId", default=None)
    dry_run: bool | None = field(name="DryRun", default=None)


class PutRecordAnswer(msgspec.Struct, gc=False, frozen=True):
    """PutRecord's output. An unencrypted stream answers without EncryptionType."""

    shard_id: str = field(name="ShardId")
    sequence_number: str = field(name="SequenceNumber")


class EncryptedPutRecordAnswer(PutRecordAnswer, gc=False, frozen=True):
    """The same of an encrypted stream."""

    encryption_type: str = field(name="EncryptionType", default="KMS")


class PutRecordsEntry(msgspec.Struct, gc=False):
    """One record of PutRecords. The key may be absent where the stream distributes records itself."""

    data: Data = field(name="Data")
    partition_key: PartitionKey | None = field(name="PartitionKey", default=None)
    explicit_hash_key: HashKey | None = field(name="ExplicitHashKey", default=None)


class TextEntry(msgspec.Struct, gc=False):
    """One record of PutRecords, its data still in base64."""

    data: DataText = field(name="Data")
    partition_key: PartitionKey | None = field(name="PartitionKey", default=None)
    explicit_hash_key: HashKey | None = field(name="ExplicitHashKey", default=None)


class PutRecordsTextRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecords's input as JSON has it. Large records are read quicker in two steps than by msgspec's own base64."""

    records: Annotated[list[TextEntry], Meta(min_length=1, max_length=500)] = field(name="Records")
    stream_name: StreamName | None = field(name="StreamName", default=None)
    stream_arn: StreamArn | None = field(name="StreamARN", default=None)
    stream_id: StreamId | None = field(name="StreamId", default=None)
    dry_run: bool | None = field(name="DryRun", default=None)

    def request(self) -> PutRecordsRequest:
        """The same with bytes. Raises ValueError for what is not base64, or longer than the model allows."""
        blobs = decode_all([entry.data for entry in self.records])
        if max(map(len, blobs)) > DATA_BYTES_MAX:
            raise ValueError("too long")
        entries = [
            PutRecordsEntry(data, entry.partition_key, entry.explicit_hash_key)
            for data, entry in zip(blobs, self.records, strict=True)
        ]
        return PutRecordsRequest(entries, self.stream_name, self.stream_arn, self.stream_id, self.dry_run)


class PutRecordsRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecords's input."""

    in_text: ClassVar = PutRecordsTextRequest
    """See wire/json11.py."""

    records: Annotated[list[PutRecordsEntry], Meta(min_length=1, max_length=500)] = field(name="Records")
    stream_name: StreamName | None = field(name="StreamName", default=None)
    stream_arn: StreamArn | None = field(name="StreamARN", default=None)
    stream_id: StreamId | None = field(name="StreamId", default=None)
    dry_run: bool | None = field(name="DryRun", default=None)


class PutRecordsResult(msgspec.Struct, gc=False):
    """One stored record of PutRecords's output."""

    sequence_number: str = field(name="SequenceNumber")
    shard_id: str = field(name="ShardId")


class PutRecordsFailure(msgspec.Struct, gc=False):
    """One refused record of PutRecords's output: throttled, or an internal failure."""

    error_code: str = field(name="ErrorCode")
    error_message: str = field(name="ErrorMessage")


class PutRecordsAnswer(msgspec.Struct, gc=False):
    """PutRecords's output: a result per record, in the request's order."""

    failed_record_count: int = field(name="FailedRecordCount")
    records: list[PutRecordsResult | PutRecordsFailure] = field(name="Records")


class EncryptedPutRecordsAnswer(PutRecordsAnswer, gc=False):
    """The same of an encrypted stream."""

    encryption_type: str = field(name="EncryptionType", default="KMS")


class GetShardIteratorRequest(msgspec.Struct, gc=False, frozen=True):
    """GetShardIterator's input."""

    shard_id: ShardId = field(name="ShardId")
    shard_iterator_type: ShardIteratorType = field(name="ShardIteratorType")
    stream_name: StreamName | None = field(name="StreamName", default=None)
    stream_arn: StreamArn | None = field(name="StreamARN", default=None)
    starting_sequence_number: SequenceNumber | None = field(name="StartingSequenceNumber", default=None)
    timestamp: EpochSeconds | None = field(name="Timestamp", default=None)
    """Epoch seconds."""
    stream_id: StreamId | None = field(name="StreamId", default=None)
    dry_run: bool | None = field(name="DryRun", default=None)


class GetShardIteratorAnswer(msgspec.Struct, gc=False, frozen=True):
    """GetShardIterator's output."""

    shard_iterator: str = field(name="ShardIterator")


class GetRecordsRequest(msgspec.Struct, gc=False, frozen=True):
    """GetRecords's input."""

    shard_iterator: Annotated[str, Meta(min_length=1, max_length=512)] = field(name="ShardIterator")
    limit: Annotated[int, Meta(ge=1, le=10_000)] | None = field(name="Limit", default=None)
    stream_arn: StreamArn | None = field(name="StreamARN", default=None)
    stream_id: StreamId | None = field(name="StreamId", default=None)
    dry_run: bool | None = field(name="DryRun", default=None)


class Record(msgspec.Struct, gc=False, omit_defaults=True):
    """One record as readers get it."""

    sequence_number: str = field(name="SequenceNumber")
    approximate_arrival_timestamp: float = field(name="ApproximateArrivalTimestamp")
    """Epoch seconds."""
    data: bytes = field(name="Data")
    partition_key: str | None = field(name="PartitionKey", default=None)


class EncryptedRecord(Record, gc=False, omit_defaults=True):
    """One record that is encrypted where it is stored. The type is given each time: defaults are not written."""

    encryption_type: str | UnsetType = field(name="EncryptionType", default=UNSET)


class HashKeyRange(msgspec.Struct, gc=False, frozen=True):
    """Decimal numbers, both ends inclusive."""

    starting_hash_key: str = field(name="StartingHashKey")
    ending_hash_key: str = field(name="EndingHashKey")


class ChildShard(msgspec.Struct, gc=False, frozen=True):
    """A child of a closed shard, told at the shard's end."""

    shard_id: str = field(name="ShardId")
    parent_shards: list[str] = field(name="ParentShards")
    hash_key_range: HashKeyRange = field(name="HashKeyRange")


class GetRecordsAnswer(msgspec.Struct, gc=False):
    """GetRecords's output. At the end of a closed shard NextShardIterator is absent and ChildShards present."""

    records: list[Record] = field(name="Records")
    millis_behind_latest: int = field(name="MillisBehindLatest")
    next_shard_iterator: str | UnsetType = field(name="NextShardIterator", default=UNSET)
    child_shards: list[ChildShard] | UnsetType = field(name="ChildShards", default=UNSET)


class SubscribeToShardEvent(msgspec.Struct, dict=True):
    """One event of a subscription. ContinuationSequenceNumber is null only in the last event of a closed shard.

    One that many subscribers get is shared (and never changed again): whoever encodes it first keeps the bytes in
    frames, by content type.
    """

    records: list[Record] = field(name="Records")
    continuation_sequence_number: str | None = field(name="ContinuationSequenceNumber")
    millis_behind_latest: int = field(name="MillisBehindLatest")
    child_shards: list[ChildShard] | UnsetType = field(name="ChildShards", default=UNSET)

    @property
    def frames(self) -> dict[str, bytes] | None:
        """The encoded frames so far; None if the event is one subscriber's own."""
        return self.__dict__.get("_frames")

    def share(self) -> None:
        """Many will send it."""
        self.__dict__["_frames"] = {}
