"""Records of a data stream in plain JSON: reading a page, reading one, putting."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import MIB
from apps.streams import sequence
from console import calls
from console.api.paging import LIMIT_DEFAULT, LIMIT_MAX
from console.api.request import ApiRequest
from console.api.resources import record_data, record_reading, shards, streams
from console.api.view import ApiView
from console.pages import reading, record_filter
from console.pages.reading import Found

PUT_MAX = 500
"""One PutRecords call."""

BODY_BYTES_MAX = 16 * MIB
"""PutRecords' 10 MiB in base64, and what stands around them."""

CURSOR_CHARS_MAX = 8_000
MS_MAX = 2**53 - 1
SEQUENCE = r"^(0|[1-9][0-9]{0,128})\Z"


class RecordSerializer(serializers.Serializer[Any]):
    """A record."""

    shard_id = serializers.CharField()
    sequence_number = serializers.CharField()
    partition_key = serializers.CharField(allow_null=True, help_text="Null: the stream placed it by itself.")
    arrived_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")
    encoding = serializers.ChoiceField(record_data.ENCODINGS, help_text="How `data` is told.")
    data = record_data.DataField(help_text="The data itself.")  # type: ignore[assignment]  # not DRF's own
    size_bytes = serializers.IntegerField(help_text="Key and data.")
    link = serializers.CharField(help_text="Its page in the console, as long as it is kept.")


class RecordPageSerializer(serializers.Serializer[Any]):
    """A page of records, by arrival."""

    items = RecordSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null: there is nothing left, and nothing comes.")
    more = serializers.BooleanField(help_text="There is something to read now; false: ask again later for what comes.")
    scanned = serializers.IntegerField(help_text="Records that the filter looked at.")
    shards_left_out = serializers.IntegerField(
        help_text="Shards that were read by others just now; the next page has them."
    )


ENCODING = serializers.ChoiceField(
    record_data.ENCODINGS,
    default=record_data.TEXT,
    help_text="How data is told; what is not JSON comes as text, and what is no text in base64.",
)


class OneRecordQuery(serializers.Serializer[Any]):
    """How to tell it."""

    encoding = ENCODING


class RecordQuery(serializers.Serializer[Any]):
    """Where to begin, or a cursor."""

    shard = serializers.CharField(max_length=128, required=False, help_text="A shard's id or number; else all.")
    start = serializers.ChoiceField(
        record_reading.STARTS,
        required=False,
        help_text="`newest` (the default) looks back from now, page by page; `latest` begins with what comes.",
    )
    at_ms = serializers.IntegerField(
        min_value=0, max_value=MS_MAX, required=False, help_text="Of `at-time`: UTC, milliseconds."
    )
    sequence_number = serializers.RegexField(
        SEQUENCE, max_length=129, required=False, help_text="Of `at-sequence-number` and `after-sequence-number`."
    )
    filter = serializers.CharField(
        max_length=record_filter.TEXT_MAX,
        required=False,
        help_text="As in the data viewer: `total > 100`-like conditions (`data.total > 100 and key = a`), or words.",
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT, help_text="Records at most."
    )
    encoding = ENCODING
    cursor = serializers.CharField(
        max_length=CURSOR_CHARS_MAX,
        required=False,
        help_text="`next_cursor` of the page before. It knows where it is: send no shard and no start with it.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Raises ValidationError for a cursor with something that it knows."""
        beside = sorted({"shard", "start", "at_ms", "sequence_number"} & given.keys())
        if "cursor" in given and beside:
            raise ValidationError(dict.fromkeys(beside, "Not with a cursor, which knows where it is."))
        return given


class NewRecordSerializer(serializers.Serializer[Any]):
    """A record to be put."""

    data = record_data.DataField(help_text="A text, base64, or any JSON value.")  # type: ignore[assignment]  # likewise
    encoding = serializers.ChoiceField(
        record_data.ENCODINGS, required=False, help_text="Else `text` for a text, and `json` for any other value."
    )
    partition_key = serializers.CharField(
        max_length=256,
        required=False,
        trim_whitespace=False,
        help_text="Says which shard it goes to; only streams that distribute records themselves do without.",
    )
    explicit_hash_key = serializers.RegexField(
        shards.HASH_KEY, max_length=39, required=False, help_text="In the place of the key's hash."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Makes bytes of the data."""
        try:
            given["data"] = record_data.encoded(given["data"], given.get("encoding"))
        except ValidationError as error:
            raise ValidationError({"data": error.detail}) from error
        return given


class NewRecordsSerializer(serializers.Serializer[Any]):
    """Records to be put."""

    records = serializers.ListField(
        child=NewRecordSerializer(), min_length=1, max_length=PUT_MAX, help_text="In order."
    )


class PutRecordSerializer(serializers.Serializer[Any]):
    """What became of one."""

    shard_id = serializers.CharField(required=False)
    sequence_number = serializers.CharField(required=False, help_text="There if it is stored.")
    code = serializers.CharField(required=False, help_text="AWS's error code, if it is not: put it again.")
    detail = serializers.CharField(required=False, help_text="AWS's text.")


class PutRecordsSerializer(serializers.Serializer[Any]):
    """What became of them."""

    items = PutRecordSerializer(many=True, help_text="In the order of the request.")
    failed = serializers.IntegerField(help_text="How many are not stored.")


class Records(ApiView):
    """A stream's."""

    tag = "Records"
    needs: ClassVar = {"GET": "record:read", "POST": "record:write"}
    names: ClassVar = {"GET": "readRecords", "POST": "putRecords"}
    examples: ClassVar = {
        "POST": {
            "records": [
                {"partition_key": "customer-7", "data": {"order": 1042, "total": 12.5}},
                {"partition_key": "customer-8", "data": "plain text"},
            ]
        }
    }
    body_bytes_max = BODY_BYTES_MAX

    @extend_schema(parameters=[RecordQuery], responses=RecordPageSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """Read records. From any place, of one shard or of all.

        Each shard is read at most once a second, as the data viewer does: these reads share the shards' limits with your
        consumers. Going forward, the cursor never ends while shards are open: ask again with it for what came since. A page
        may hold fewer records than there are, or none, and have a cursor all the same.
        """
        stream = streams.one(request, name)
        query = self.query(request, RecordQuery)
        wanted = _filter(query.get("filter", ""))
        if "cursor" in query:
            course = record_reading.resume(request, stream, query["cursor"])
        else:
            course = record_reading.begin(stream, {"start": record_reading.NEWEST, **query})
        page, following = record_reading.read(request, stream, course, wanted, query["limit"])
        body = {
            "items": [shown(request, name, found, query["encoding"]) for found in page.records],
            "next_cursor": record_reading.save(request, stream, following) if following else None,
            "more": page.more,
            "scanned": page.scanned,
            "shards_left_out": page.left_out,
        }
        return Response(body)

    @extend_schema(request=NewRecordsSerializer, responses=PutRecordsSerializer)
    def post(self, request: ApiRequest, name: str) -> Response:
        """Put records. Up to 500 in one call, 10 MiB in all (PutRecords).

        Some may be refused while others are stored, most of all by a shard's limit: look at `failed`, and put those with a
        `code` again.
        """
        stream = streams.one(request, name)
        entries = [_entry(record) for record in self.read(request, NewRecordsSerializer)["records"]]
        answer = calls.call(request, "PutRecords", StreamName=stream.name, Records=entries)
        return Response({"items": [_result(one) for one in answer["Records"]], "failed": answer["FailedRecordCount"]})


class OneRecord(ApiView):
    """One of them."""

    tag = "Records"
    needs: ClassVar = {"GET": "record:read"}
    names: ClassVar = {"GET": "getRecord"}

    @extend_schema(parameters=[OneRecordQuery], responses=RecordSerializer)
    def get(self, request: ApiRequest, name: str, shard: str, sequence: str) -> Response:
        """Read one record. The address holds as long as the record is kept."""
        stream, encoding = streams.one(request, name), self.query(request, OneRecordQuery)["encoding"]
        found = None
        if _is_number(sequence):
            found = reading.one(request, stream, shards.one(stream, shard), sequence)
        if found is None:
            raise Http404
        return Response(shown(request, name, found, encoding))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and sequence.decode(text) is not None


def _filter(text: str) -> record_filter.RecordFilter:
    """Raises ValidationError."""
    try:
        return record_filter.read(text)
    except record_filter.FilterError as error:
        raise ValidationError({"filter": str(error)}) from error


def _entry(given: dict[str, Any]) -> dict[str, Any]:
    """PutRecords' entry."""
    entry = {"Data": given["data"]}
    if "partition_key" in given:
        entry["PartitionKey"] = given["partition_key"]
    if "explicit_hash_key" in given:
        entry["ExplicitHashKey"] = given["explicit_hash_key"]
    return entry


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("ErrorCode"):
        return {"code": answer["ErrorCode"], "detail": answer.get("ErrorMessage") or answer["ErrorCode"]}
    return {"shard_id": answer["ShardId"], "sequence_number": answer["SequenceNumber"]}


def shown(request: ApiRequest, stream: str, found: Found, encoding: str) -> dict[str, Any]:
    """A record as the API tells it."""
    data, encoding = record_data.told(found.data, encoding)
    path = reverse("record", args=[request.team.slug, streams.plain(stream), found.shard.index, found.number])
    return {
        "shard_id": found.shard.shard_id,
        "sequence_number": found.number,
        "partition_key": found.key,
        "arrived_at_ms": found.arrival_ms,
        "encoding": encoding,
        "data": data,
        "size_bytes": found.size_bytes,
        "link": settings.CONFIG.public_address + path,
    }
