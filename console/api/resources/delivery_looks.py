"""How a delivery stream fares: its lanes, its errors by cause, the objects that it wrote."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.delivery import looking
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.models import DeliveredObject, DeliveryError, Lane, LaneRole
from console import calls
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.problems import problem
from console.api.request import ApiRequest
from console.api.resources.delivery import TAG, one
from console.api.view import ApiView
from console.pages.delivery.advice import PARTS, advice
from console.pages.delivery.lanes import Reader, readers
from console.pages.delivery.objects import attachment

OBJECT_PARTS = ("destination", "backup", "errors")
LANES_MAX = 100
"""Of one page: each lane's log is looked into."""

NUMBER_MAX = 2**63 - 1

Json = dict[str, Any]


class CauseSerializer(serializers.Serializer[Any]):
    """Errors of one cause."""

    part = serializers.ChoiceField(list(PARTS))
    code = serializers.CharField(help_text="AWS's error code.")
    cause = serializers.CharField(allow_blank=True, help_text="The message without what differs from case to case.")
    message = serializers.CharField(allow_blank=True, help_text="Of the last case.")
    advice = serializers.CharField(help_text="What to do.")
    count = serializers.IntegerField()
    first_at_ms = serializers.IntegerField()
    last_at_ms = serializers.IntegerField()


class CauseQuery(PageQuery):
    """Filters of the errors."""

    part = serializers.ChoiceField(list(PARTS), required=False, help_text="Where it happened.")
    since_ms = serializers.IntegerField(min_value=0, max_value=NUMBER_MAX, required=False, help_text="Seen since then.")


class ObjectSerializer(serializers.Serializer[Any]):
    """An object that was written."""

    id = serializers.CharField()
    part = serializers.ChoiceField(OBJECT_PARTS)
    bucket = serializers.CharField()
    key = serializers.CharField()
    size_bytes = serializers.IntegerField()
    records = serializers.IntegerField()
    written_at_ms = serializers.IntegerField()


class SeenSerializer(serializers.Serializer[Any]):
    """What stands in an object."""

    kind = serializers.ChoiceField(["text", "rows", "binary", "unreadable"])
    text = serializers.CharField(allow_blank=True, help_text="Of binary: a hex dump.")
    columns = serializers.ListField(child=serializers.CharField(allow_blank=True))
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField(allow_blank=True)))
    packing = serializers.CharField(allow_blank=True, help_text="How it was packed: gzip, Parquet, …")
    size_bytes = serializers.IntegerField()
    is_cut = serializers.BooleanField(help_text="There is more in it than this.")
    problem = serializers.CharField(allow_blank=True, help_text="Why nothing can be seen.")


class ObjectWithContentSerializer(ObjectSerializer):
    """An object with its beginning."""

    content = SeenSerializer()


class ObjectQuery(PageQuery):
    """Filters of the objects."""

    part = serializers.ChoiceField(OBJECT_PARTS, required=False, help_text="What they hold.")


class LaneSerializer(serializers.Serializer[Any]):
    """One reader of one log: how far it is."""

    id = serializers.CharField()
    role = serializers.ChoiceField(LaneRole.choices)
    reads = serializers.CharField(help_text="A shard, a partition, a kind of error, or what was put.")
    position = serializers.CharField(help_text="Offset of the next record in its log.")
    waiting_records = serializers.IntegerField(allow_null=True, help_text="null: its log does not answer.")
    waiting_bytes = serializers.IntegerField(allow_null=True)
    waiting_since_ms = serializers.IntegerField(allow_null=True)
    buffer_bytes = serializers.IntegerField(help_text="It delivers when so much waits,")
    buffer_ms = serializers.IntegerField(help_text="or when a record has waited so long.")
    attempt = serializers.IntegerField(help_text="Attempts at what it is delivering now.")
    failing_since_ms = serializers.IntegerField(allow_null=True)
    due_at_ms = serializers.IntegerField(allow_null=True)
    delivered_records = serializers.IntegerField()
    delivered_bytes = serializers.CharField(help_text="Digits: it may be larger than 2^53.")
    delivered_at_ms = serializers.IntegerField(allow_null=True)
    ended_at_ms = serializers.IntegerField(allow_null=True)


class LaneQuery(PageQuery):
    """Filters of the lanes."""

    limit = serializers.IntegerField(min_value=1, max_value=LANES_MAX, default=50, help_text="Rows at most.")
    role = serializers.ChoiceField(LaneRole.choices, required=False, help_text="Of this role.")
    is_ended = serializers.BooleanField(required=False, help_text="Those whose log is closed and done, or the others.")


class Errors(ApiView):
    """Its errors."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "listDeliveryErrors"}

    @extend_schema(parameters=[CauseQuery], responses=page_of(CauseSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """What went wrong, by cause, the latest first."""
        query = self.query(request, CauseQuery)
        rows = DeliveryError.objects.filter(delivery_stream=one(request, name))
        rows = filtered(rows, query, {"part": "part", "since_ms": "last_at_ms__gte"})
        return Response(page(request, rows, ("-last_at_ms", "-pk"), query, _cause))


class Objects(ApiView):
    """The objects that it wrote."""

    tag = TAG
    needs: ClassVar = {"GET": "record:read"}
    names: ClassVar = {"GET": "listDeliveredObjects"}

    @extend_schema(parameters=[ObjectQuery], responses=page_of(ObjectSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """The newest objects that were written to S3, the newest first."""
        query = self.query(request, ObjectQuery)
        rows = DeliveredObject.objects.filter(delivery_stream=one(request, name))
        rows = filtered(rows, query, {"part": "part"})
        return Response(page(request, rows, ("-at_ms", "-pk"), query, _object))


class OneObject(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "record:read"}
    names: ClassVar = {"GET": "getDeliveredObject"}

    @extend_schema(responses=ObjectWithContentSerializer)
    def get(self, request: ApiRequest, name: str, number: int) -> Response:
        """An object with the beginning of what stands in it, unpacked."""
        found = _one_object(request, name, number)
        return Response(_object(found) | {"content": seen_shown(looking.look(calls.runtime(), found))})


class ObjectData(ApiView):
    """All that stands in one."""

    tag = TAG
    needs: ClassVar = {"GET": "record:read"}
    names: ClassVar = {"GET": "downloadDeliveredObject"}

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: ApiRequest, name: str, number: int) -> Any:
        """The whole object, as it lies in the bucket. 503 if it cannot be read there, with the reason."""
        found = _one_object(request, name, number)
        try:
            return attachment(looking.opened(calls.runtime(), found), found.key)
        except DeliveryFailed as error:
            return problem(503, error.message, request.request_id, code=error.code)


class Lanes(ApiView):
    """Its lanes: what waits, and why."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "listDeliveryLanes"}

    @extend_schema(parameters=[LaneQuery], responses=page_of(LaneSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """How far each reader of each log is, and what waits in it."""
        query = self.query(request, LaneQuery)
        row = one(request, name)
        rows = Lane.objects.filter(delivery_stream=row)
        rows = filtered(rows, query, {"role": "role"})
        rows = rows.filter(ended_at_ms__isnull=not query["is_ended"]) if "is_ended" in query else rows
        told = page(request, rows, ("pk",), query, lambda lane: lane)
        told["items"] = [_lane(reader) for reader in readers(row, told["items"])]
        return Response(told)


def _one_object(request: ApiRequest, name: str, number: int) -> DeliveredObject:
    rows = DeliveredObject.objects.filter(delivery_stream=one(request, name), pk=number)
    found = rows.select_related("delivery_stream__team").first()
    if found is None:
        raise Http404
    return found


def _cause(row: DeliveryError) -> Json:
    names = ("part", "code", "cause", "message", "count", "first_at_ms", "last_at_ms")
    return {name: getattr(row, name) for name in names} | {"advice": advice(row.code)}


def _object(row: DeliveredObject) -> Json:
    names = ("part", "bucket", "key", "size_bytes", "records")
    return {"id": str(row.pk), **{name: getattr(row, name) for name in names}, "written_at_ms": row.at_ms}


def seen_shown(seen: looking.Seen) -> Json:
    """What stands in an object."""
    return {
        "kind": seen.kind or "unreadable",
        "text": seen.text,
        "columns": seen.columns,
        "rows": seen.rows,
        "packing": seen.packing,
        "size_bytes": seen.size_bytes,
        "is_cut": seen.cut,
        "problem": seen.problem,
    }


def _lane(reader: Reader) -> Json:
    lane = reader.lane
    return {
        "id": str(lane.pk),
        "role": lane.role,
        "reads": reader.what,
        "position": str(reader.position),
        "waiting_records": reader.records,
        "waiting_bytes": reader.size_bytes,
        "waiting_since_ms": lane.oldest_waiting_ms if reader.records else None,
        "buffer_bytes": reader.hint_bytes,
        "buffer_ms": reader.hint_ms,
        "attempt": reader.attempt,
        "failing_since_ms": lane.failing_since_ms,
        "due_at_ms": reader.due_ms,
        "delivered_records": lane.delivered_records,
        "delivered_bytes": str(lane.delivered_bytes),
        "delivered_at_ms": lane.delivered_at_ms,
        "ended_at_ms": lane.ended_at_ms,
    }
