"""Data streams: the list, one stream, making, changing and deleting it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.metrics.names import SHARD_LEVEL
from apps.streams.limits import RECORD_KIB_DEFAULT, RECORD_KIB_MAX
from apps.streams.models import Consumer, RecordDistributionStrategy, Shard, Stream, StreamMode, StreamStatus
from apps.streams.operations.stream import RETENTION_HOURS_MAX, RETENTION_HOURS_MIN
from console import calls
from console.api.etags import tagged
from console.api.fields import TagsField
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.resources import stream_settings
from console.api.view import ApiView, require
from console.pages.filter_text import named_and_tagged
from console.pages.streams import OPEN

SHARDS_MAX = 10_000
WARM_MIBPS_MAX = 10_000
TAGS_ASKED_MAX = 10
KEY_CHARS_MAX = 2_048

EXAMPLE = {
    "name": "orders",
    "mode": "PROVISIONED",
    "open_shards": 2,
    "retention_hours": 48,
    "encryption": {"type": "KMS", "key_id": "alias/aws/kinesis"},
    "tags": {"team": "shop"},
}


class StreamEncryptionSerializer(serializers.Serializer[Any]):
    """How new records are kept."""

    type = serializers.ChoiceField(["NONE", "KMS"], help_text="KMS: under a key of the key service.")
    key_id = serializers.CharField(
        max_length=KEY_CHARS_MAX,
        required=False,
        help_text="Of KMS: a key's id, ARN or alias; else `alias/aws/kinesis`.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """A key belongs to KMS."""
        if given["type"] == "NONE" and "key_id" in given:
            raise serializers.ValidationError({"key_id": "Without encryption there is no key."})
        return given


class StreamSerializer(serializers.Serializer[Any]):
    """A data stream as it is told."""

    name = serializers.CharField(help_text="Within the team.")
    arn = serializers.CharField(help_text="What policies and AWS clients call it.")
    stream_id = serializers.CharField(help_text="Stays while the stream does; a new stream of the name has another.")
    status = serializers.ChoiceField(StreamStatus.choices, help_text="AWS's word.")
    mode = serializers.ChoiceField(StreamMode.choices, help_text="Who sees to the number of shards: you, or Tidegate.")
    open_shards = serializers.IntegerField(help_text="Those that take records.")
    consumers = serializers.IntegerField(help_text="Registered consumers.")
    retention_hours = serializers.IntegerField(help_text="How long records are kept.")
    max_record_size_kib = serializers.IntegerField(help_text="Of key and data.")
    encryption = StreamEncryptionSerializer()
    distribution_strategy = serializers.ChoiceField(
        RecordDistributionStrategy.choices, help_text="Who places records: their keys, or (AUTO, on-demand) Tidegate."
    )
    warm_throughput_mibps = serializers.IntegerField(allow_null=True, help_text="MiB/s; null: none was asked for.")
    shard_level_metrics = serializers.ListField(child=serializers.CharField(), help_text="Kept for each shard.")
    has_policy = serializers.BooleanField(help_text="There is a resource policy: `/policy`.")
    tags = serializers.DictField(child=serializers.CharField(), help_text="By key.")
    created_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")


class StreamQuery(PageQuery):
    """Filters of the list."""

    status = serializers.ChoiceField(StreamStatus.choices, required=False, help_text="Only those in this state.")
    mode = serializers.ChoiceField(StreamMode.choices, required=False, help_text="Only those in this mode.")
    tag = serializers.ListField(
        child=serializers.CharField(max_length=400),
        max_length=TAGS_ASKED_MAX,
        required=False,
        help_text="`key` or `key=value`; given several times, all must be there.",
    )
    q = serializers.CharField(max_length=128, required=False, help_text="Part of the name.")


class ChangedStreamSerializer(serializers.Serializer[Any]):
    """Settings to change; what is not there stays."""

    mode = serializers.ChoiceField(StreamMode.choices, required=False, help_text="Two changes a day.")
    open_shards = serializers.IntegerField(
        min_value=1,
        max_value=SHARDS_MAX,
        required=False,
        help_text="Of PROVISIONED: half to double of what there is. Needs stream:reshard, too.",
    )
    retention_hours = serializers.IntegerField(
        min_value=RETENTION_HOURS_MIN, max_value=RETENTION_HOURS_MAX, required=False, help_text="24 hours to 365 days."
    )
    max_record_size_kib = serializers.IntegerField(
        min_value=RECORD_KIB_DEFAULT, max_value=RECORD_KIB_MAX, required=False, help_text="Of key and data."
    )
    encryption = StreamEncryptionSerializer(required=False, help_text="Of what is put from now on.")
    distribution_strategy = serializers.ChoiceField(
        RecordDistributionStrategy.choices, required=False, help_text="AUTO: of ON_DEMAND only."
    )
    warm_throughput_mibps = serializers.IntegerField(
        min_value=0, max_value=WARM_MIBPS_MAX, required=False, help_text="Of ON_DEMAND, with the billing commitment."
    )
    shard_level_metrics = serializers.ListField(
        child=serializers.ChoiceField(sorted(SHARD_LEVEL)),
        max_length=len(SHARD_LEVEL),
        required=False,
        help_text="All that are to be kept for each shard.",
    )
    tags = TagsField(required=False, help_text="All that the stream is to have.")


class NewStreamSerializer(ChangedStreamSerializer):
    """A stream to be made."""

    name = serializers.RegexField(r"^[a-zA-Z0-9_.-]+\Z", max_length=128, help_text="Letters, digits, `_`, `.`, `-`.")
    mode = serializers.ChoiceField(
        StreamMode.choices, required=False, help_text="Else PROVISIONED with `open_shards`, ON_DEMAND without."
    )
    open_shards = serializers.IntegerField(
        min_value=1, max_value=SHARDS_MAX, required=False, help_text="Of PROVISIONED, which needs it."
    )


class DeletionQuery(serializers.Serializer[Any]):
    """How to delete."""

    with_consumers = serializers.BooleanField(
        default=False, help_text="Deregister its consumers, too; without it a stream that has some is not deleted."
    )


class Streams(ApiView):
    """All of the team's, and one more."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "POST": "stream:create"}
    names: ClassVar = {"GET": "listStreams", "POST": "createStream"}
    examples: ClassVar = {"POST": EXAMPLE}
    creates = True

    @extend_schema(parameters=[StreamQuery], responses=page_of(StreamSerializer))
    def get(self, request: ApiRequest) -> Response:
        """List data streams. They come by name."""
        query = self.query(request, StreamQuery)
        rows = rows_of(request).prefetch_related("tags")
        for name in ("status", "mode"):
            rows = rows.filter(**{name: query[name]}) if query.get(name) else rows
        rows = named_and_tagged(rows, [query["q"]] if query.get("q") else [], query.get("tag", []))
        return Response(page(request, rows, ("name",), query, shown))

    @extend_schema(request=NewStreamSerializer, responses={201: StreamSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Create a data stream. It is CREATING for a moment (CreateStream).

        Retention, encryption and shard-level metrics are set when it is ACTIVE, which takes a second. If one of them is
        refused, the stream is there all the same: the problem's `done` names the operations that were carried out.
        """
        given = self.read(request, NewStreamSerializer)
        stream_settings.create(request, given)
        made = shown(one(request, given["name"]))
        return tagged(request, made, 201)


class OneStream(ApiView):
    """One of them."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "PATCH": "stream:write", "DELETE": "stream:delete"}
    parameters: ClassVar = ("GET", "DELETE")
    names: ClassVar = {"GET": "getStream", "PATCH": "changeStream", "DELETE": "deleteStream"}
    examples: ClassVar = {"PATCH": {"retention_hours": 168, "tags": {"team": "shop", "stage": "live"}}}

    @extend_schema(responses=StreamSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """Look at a data stream. Its shards, consumers and records have addresses of their own."""
        return Response(shown(one(request, name)))

    @extend_schema(request=ChangedStreamSerializer, responses=StreamSerializer)
    def patch(self, request: ApiRequest, name: str) -> Response:
        """Change settings of a data stream. What is not in the body stays, and what is so already is left alone.

        Each setting is one operation of AWS's; those after which the stream is UPDATING come last, each when the one before
        is through. If one is refused, those before it hold: the problem's `done` names them.
        """
        stream = one(request, name)
        given = self.read(request, ChangedStreamSerializer)
        if "open_shards" in given:
            require(request, "stream:reshard")
        stream_settings.change(request, stream, given)
        return Response(shown(one(request, name)))

    @extend_schema(request=None, parameters=[DeletionQuery], responses={204: None})
    def delete(self, request: ApiRequest, name: str) -> Response:
        """Delete a data stream with its records. It is DELETING for a while (DeleteStream).

        Queues on it, and channels of delivery streams that read it, must go before.
        """
        enforced = self.query(request, DeletionQuery)["with_consumers"]
        calls.call(request, "DeleteStream", StreamName=one(request, name).name, EnforceConsumerDeletion=enforced)
        return Response(status=204)


def rows_of(request: ApiRequest) -> QuerySet[Stream]:
    """The streams of the token's team, with how many shards are open and how many consumers there are."""
    mine = Stream.objects.filter(team=request.team).select_related("team")
    return mine.annotate(open_shards=_count(Shard.objects.filter(OPEN)), consumer_count=_count(Consumer.objects.all()))


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.filter(stream=OuterRef("pk")).order_by().values("stream").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def one(request: ApiRequest, name: str) -> Stream:
    """The team's stream of this name, as it stands in an address. Raises Http404."""
    found = rows_of(request).filter(name=plain(name)).first()
    if found is None:
        raise Http404
    return found


def plain(name: str) -> str:
    """`~.` and `~..` are `.` and `..`, which are names to AWS and steps to those who read addresses."""
    return name[1:] if name in {"~.", "~.."} else name


def placed(name: str) -> str:
    """The counterpart of plain: how a name stands in an address."""
    return f"~{name}" if name in {".", ".."} else name


def shown(row: Stream) -> dict[str, Any]:
    """A stream as the API tells it."""
    return {
        "name": row.name,
        "arn": str(row.arn),
        "stream_id": row.stream_id,
        "status": row.status,
        "mode": row.mode,
        "open_shards": row.open_shards,  # type: ignore[attr-defined]
        "consumers": row.consumer_count,  # type: ignore[attr-defined]
        "retention_hours": row.retention_hours,
        "max_record_size_kib": row.max_record_size_kib,
        "encryption": {"type": "KMS", "key_id": row.encryption_key_id} if row.encryption_key_arn else {"type": "NONE"},
        "distribution_strategy": row.distribution_strategy,
        "warm_throughput_mibps": row.warm_throughput_mibps,
        "shard_level_metrics": row.shard_level_metrics,
        "has_policy": bool(row.resource_policy),
        "tags": tags_of(row),
        "created_at_ms": row.created_at_ms,
    }


def tags_of(row: Any) -> dict[str, str]:
    """By key."""
    return {tag.key: tag.value for tag in sorted(row.tags.all(), key=lambda tag: tag.key)}
