"""Data streams."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Count, Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.streams.models import Stream, StreamMode, StreamStatus
from console import calls
from console.api.etags import tagged
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView

OPEN = Q(shards__opened_at_ms__isnull=False, shards__closed_at_ms__isnull=True, shards__expired_at_ms__isnull=True)


class StreamSerializer(serializers.Serializer[Any]):
    """A data stream as it is told."""

    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(StreamStatus.choices)
    mode = serializers.ChoiceField(StreamMode.choices)
    open_shards = serializers.IntegerField()
    retention_hours = serializers.IntegerField()
    created_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")


class StreamQuery(PageQuery):
    """Filters of the list."""

    status = serializers.ChoiceField(StreamStatus.choices, required=False, help_text="AWS's word.")
    mode = serializers.ChoiceField(StreamMode.choices, required=False, help_text="AWS's word.")
    q = serializers.CharField(max_length=128, required=False, help_text="Part of the name.")


class NewStreamSerializer(serializers.Serializer[Any]):
    """A stream to be made."""

    name = serializers.RegexField(r"^[a-zA-Z0-9_.-]+\Z", max_length=128)
    mode = serializers.ChoiceField(StreamMode.choices, default=StreamMode.PROVISIONED)
    shards = serializers.IntegerField(min_value=1, max_value=100_000, required=False, help_text="Of PROVISIONED.")


class Streams(ApiView):
    """All of the team's, and one more."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "POST": "stream:create"}
    names: ClassVar = {"GET": "listStreams", "POST": "createStream"}
    creates = True
    examples: ClassVar = {"POST": {"name": "orders", "mode": "PROVISIONED", "shards": 2}}

    @extend_schema(parameters=[StreamQuery], responses=page_of(StreamSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's data streams, by name."""
        query = self.query(request, StreamQuery)
        rows = rows_of(request)
        for name in ("status", "mode"):
            rows = rows.filter(**{name: query[name]}) if query.get(name) else rows
        rows = rows.filter(name__icontains=query["q"]) if query.get("q") else rows
        return Response(page(request, rows, ("name",), query, shown))

    @extend_schema(request=NewStreamSerializer, responses={201: StreamSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a stream (CreateStream). It is CREATING for a moment."""
        given = self.read(request, NewStreamSerializer)
        size = {"ShardCount": given["shards"]} if "shards" in given else {}
        mode = {"StreamMode": given["mode"]}
        calls.call(request, "CreateStream", StreamName=given["name"], StreamModeDetails=mode, **size)
        return tagged(request, shown(one(request, given["name"])), 201)


class OneStream(ApiView):
    """One of them."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "DELETE": "stream:delete"}
    names: ClassVar = {"GET": "getStream", "DELETE": "deleteStream"}

    @extend_schema(responses=StreamSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """The stream."""
        return Response(shown(one(request, name)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str) -> Response:
        """Delete it, with its consumers (DeleteStream)."""
        one(request, name)
        calls.call(request, "DeleteStream", StreamName=name, EnforceConsumerDeletion=True)
        return Response(status=204)


def rows_of(request: ApiRequest) -> QuerySet[Stream]:
    """The streams of the token's team, with how many shards are open."""
    mine = Stream.objects.filter(team=request.team).select_related("team")
    return mine.annotate(open_shards=Count("shards", filter=OPEN))


def one(request: ApiRequest, name: str) -> Stream:
    """The team's stream of this name. Raises Http404."""
    found = rows_of(request).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def shown(row: Stream) -> dict[str, Any]:
    """A stream as the API tells it."""
    return {
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "mode": row.mode,
        "open_shards": row.open_shards,  # type: ignore[attr-defined]
        "retention_hours": row.retention_hours,
        "created_at_ms": row.created_at_ms,
    }
