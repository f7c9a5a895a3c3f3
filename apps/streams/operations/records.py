"""PutRecord, PutRecords, GetShardIterator, GetRecords: the data plane. No ORM, no per-record logging or locks."""

from __future__ import annotations

from apps.runtime import Call
from apps.streams.shapes import (
    GetRecordsAnswer,
    GetRecordsRequest,
    GetShardIteratorAnswer,
    GetShardIteratorRequest,
    PutRecordAnswer,
    PutRecordRequest,
    PutRecordsAnswer,
    PutRecordsRequest,
)


async def put_record(call: Call, request: PutRecordRequest) -> PutRecordAnswer: ...
async def put_records(call: Call, request: PutRecordsRequest) -> PutRecordsAnswer: ...
async def get_shard_iterator(call: Call, request: GetShardIteratorRequest) -> GetShardIteratorAnswer: ...
async def get_records(call: Call, request: GetRecordsRequest) -> GetRecordsAnswer: ...
