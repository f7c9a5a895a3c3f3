"""Queues on on-demand data streams."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.queues.models import Queue, QueueStatus, StartingPosition
from console import calls
from console.api.etags import tagged
from console.api.fields import TagsField
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.view import ApiView

VISIBILITY_S_MAX = 43_200
RECEIVES_MAX = 1_000
MS_MAX = 2**53 - 1


class StartSerializer(serializers.Serializer[Any]):
    """Where a queue begins to deliver."""

    type = serializers.ChoiceField(StartingPosition.choices, help_text="AWS's word.")
    at_ms = serializers.IntegerField(
        min_value=0, max_value=MS_MAX, required=False, help_text="Of AT_TIMESTAMP: UTC, milliseconds."
    )


class QueueSerializer(serializers.Serializer[Any]):
    """A queue."""

    name = serializers.CharField()
    arn = serializers.CharField()
    stream = serializers.CharField(help_text="The name of the stream whose records it hands out.")
    status = serializers.ChoiceField(QueueStatus.choices)
    starting_position = StartSerializer()
    visibility_timeout_s = serializers.IntegerField(help_text="How long a record that was received is nobody else's.")
    max_receive_count = serializers.IntegerField(
        allow_null=True, help_text="After so many receives a record is a dead letter; null: never."
    )
    tags = serializers.DictField(child=serializers.CharField())
    created_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")


class ChangedQueueSerializer(serializers.Serializer[Any]):
    """Settings to change; what is not there stays."""

    visibility_timeout_s = serializers.IntegerField(
        min_value=0, max_value=VISIBILITY_S_MAX, required=False, help_text="Seconds."
    )
    max_receive_count = serializers.IntegerField(
        min_value=1, max_value=RECEIVES_MAX, required=False, allow_null=True, help_text="Null: no dead letters."
    )


class NewQueueSerializer(ChangedQueueSerializer):
    """A queue to be made."""

    name = serializers.RegexField(r"^[a-zA-Z0-9_.-]+\Z", max_length=128, help_text="Letters, digits, `_`, `.`, `-`.")
    stream = serializers.CharField(max_length=128, help_text="The name of an on-demand stream.")
    starting_position = StartSerializer(required=False, help_text="Else LATEST.")
    tags = TagsField(required=False, help_text="By key.")


class QueueQuery(PageQuery):
    """Filters of the list."""

    stream = serializers.CharField(max_length=128, required=False, help_text="Only those on the stream of this name.")


class Queues(ApiView):
    """All of the team's, and one more."""

    tag = "Queues"
    needs: ClassVar = {"GET": "stream:read", "POST": "stream:write"}
    names: ClassVar = {"GET": "listQueues", "POST": "createQueue"}
    examples: ClassVar = {"POST": {"name": "work", "stream": "orders", "visibility_timeout_s": 60}}
    creates = True

    @extend_schema(parameters=[QueueQuery], responses=page_of(QueueSerializer))
    def get(self, request: ApiRequest) -> Response:
        """List queues. They come by name."""
        query = self.query(request, QueueQuery)
        rows = _rows(request).prefetch_related("tags")
        rows = filtered(rows, query, {"stream": "stream__name"})
        return Response(page(request, rows, ("name",), query, shown))

    @extend_schema(request=NewQueueSerializer, responses={201: QueueSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Create a queue on an on-demand stream. It is CREATING for a moment (CreateQueue)."""
        given = self.read(request, NewQueueSerializer)
        only: dict[str, Any] = {"StreamARN": str(streams.one(request, given["stream"]).arn)}
        if "starting_position" in given:
            only["StartingPosition"] = _start(given["starting_position"])
        params: dict[str, Any] = {"QueueName": given["name"], "StreamConfigurationList": [only]}
        params |= {"QueueAttributes": attributes} if (attributes := _attributes(given)) else {}
        params |= {"Tags": given["tags"]} if given.get("tags") else {}
        calls.call(request, "CreateQueue", **params)
        return tagged(request, shown(_one(request, given["name"])), 201)


class OneQueue(ApiView):
    """One of them."""

    tag = "Queues"
    needs: ClassVar = {"GET": "stream:read", "PATCH": "stream:write", "DELETE": "stream:write"}
    names: ClassVar = {"GET": "getQueue", "PATCH": "changeQueue", "DELETE": "deleteQueue"}
    examples: ClassVar = {"PATCH": {"visibility_timeout_s": 120}}

    @extend_schema(responses=QueueSerializer)
    def get(self, request: ApiRequest, queue: str) -> Response:
        """Look at a queue."""
        return Response(shown(_one(request, streams.plain(queue))))

    @extend_schema(request=ChangedQueueSerializer, responses=QueueSerializer)
    def patch(self, request: ApiRequest, queue: str) -> Response:
        """Change a queue. It is UPDATING for a moment (UpdateQueue)."""
        found, given = _one(request, streams.plain(queue)), self.read(request, ChangedQueueSerializer)
        calls.call(request, "UpdateQueue", QueueARN=str(found.arn), QueueAttributes=_attributes(given))
        return Response(shown(_one(request, found.name)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, queue: str) -> Response:
        """Delete a queue. It delivers nothing more; stream and records stay (DeleteQueue)."""
        calls.call(request, "DeleteQueue", QueueARN=str(_one(request, streams.plain(queue)).arn))
        return Response(status=204)


def _start(given: dict[str, Any]) -> dict[str, Any]:
    at = {"Timestamp": given["at_ms"]} if "at_ms" in given else {}
    return {"Type": given["type"], **at}


def _attributes(given: dict[str, Any]) -> dict[str, Any]:
    """QueueAttributes."""
    made: dict[str, Any] = {}
    if "visibility_timeout_s" in given:
        made["VisibilityTimeoutSeconds"] = given["visibility_timeout_s"]
    if "max_receive_count" in given:
        count = given["max_receive_count"]
        built_in = {"TargetType": "BUILT_IN", "MaxReceiveCount": count}
        made["DeadLetterConfiguration"] = {"TargetType": "NONE"} if count is None else built_in
    return made


def _rows(request: ApiRequest) -> QuerySet[Queue]:
    return Queue.objects.filter(team=request.team).select_related("team", "stream__team")


def _one(request: ApiRequest, name: str) -> Queue:
    found = _rows(request).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def shown(row: Queue) -> dict[str, Any]:
    """A queue as the API tells it."""
    at_ms = row.start_given_ms if row.start_effective_ms is None else row.start_effective_ms
    return {
        "name": row.name,
        "arn": str(row.arn),
        "stream": row.stream.name,
        "status": row.status,
        "starting_position": {"type": row.start_type} | ({} if at_ms is None else {"at_ms": at_ms}),
        "visibility_timeout_s": row.visibility_timeout_s,
        "max_receive_count": row.max_receive_count,
        "tags": streams.tags_of(row),
        "created_at_ms": row.created_at_ms,
    }
