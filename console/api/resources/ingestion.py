"""Imports of files and replays of a stream's past: jobs that run by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.response import Response

from apps.base.errors import ServiceError
from apps.encryption.sealed_file import size_of
from apps.streams import ingestion
from apps.streams.models import Ingestion, IngestionKind, IngestionStatus
from apps.teams import jobs as asked
from console import calls
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.problems import Conflict, Unavailable
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.view import ApiView, require

FILE_TYPE = "application/octet-stream"
MS_MAX = 2**53 - 1
KEY_CHARS_MAX = 256
FIELDS_MAX = 1_000
NAME_CHARS_MAX = 200


class JobSerializer(serializers.Serializer[Any]):
    """An import or a replay."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(IngestionKind.choices)
    status = serializers.ChoiceField(IngestionStatus.choices)
    source = serializers.CharField(help_text="The file's or the stream's name.")  # type: ignore[assignment]  # not DRF's own
    target = serializers.CharField(help_text="The name of the stream that records are put into.")
    percent = serializers.IntegerField(help_text="Of the source that is done.")
    records = serializers.IntegerField(help_text="Put so far.")
    size_bytes = serializers.IntegerField(help_text="Put so far, keys and data.")
    error = serializers.CharField(help_text="Why it failed or waits; else empty.")
    created_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")
    finished_at_ms = serializers.IntegerField(allow_null=True, help_text="Null until it has ended.")


class JobQuery(PageQuery):
    """Filters of the list."""

    kind = serializers.ChoiceField(IngestionKind.choices, required=False, help_text="Only imports, or only replays.")
    status = serializers.ChoiceField(IngestionStatus.choices, required=False, help_text="Only those in this state.")


class NewReplaySerializer(serializers.Serializer[Any]):
    """A replay to be started."""

    source = serializers.CharField(max_length=128, help_text="The name of the stream to read.")  # type: ignore[assignment]  # likewise
    target = serializers.CharField(max_length=128, help_text="The name of the stream to put into.")
    from_ms = serializers.IntegerField(
        min_value=0, max_value=MS_MAX, help_text="What arrived from here on; UTC, milliseconds."
    )
    to_ms = serializers.IntegerField(
        min_value=0, max_value=MS_MAX, required=False, help_text="Up to here, inclusive; else until now."
    )


class ImportQuery(serializers.Serializer[Any]):
    """Of a file's import."""

    target = serializers.CharField(max_length=128, help_text="The name of the stream to put into.")
    name = serializers.CharField(
        max_length=NAME_CHARS_MAX, required=False, default="upload", help_text="What the file is called."
    )
    partition_key = serializers.CharField(
        max_length=KEY_CHARS_MAX, required=False, help_text="One for all lines; else each has its number."
    )
    key_field = serializers.IntegerField(
        min_value=1, max_value=FIELDS_MAX, required=False, help_text="The field of a line that is its partition key."
    )


class Jobs(ApiView):
    """All of the team's."""

    tag = "Ingestion"
    needs: ClassVar = {"GET": "stream:read"}
    names: ClassVar = {"GET": "listIngestionJobs"}

    @extend_schema(parameters=[JobQuery], responses=page_of(JobSerializer))
    def get(self, request: ApiRequest) -> Response:
        """List imports and replays. The newest come first."""
        query = self.query(request, JobQuery)
        rows = filtered(_rows(request), query, {"kind": "kind", "status": "status"})
        return Response(page(request, rows, ("-created_at_ms", "-id"), query, shown))


class Replays(ApiView):
    """One more."""

    tag = "Ingestion"
    needs: ClassVar = {"POST": "record:write"}
    names: ClassVar = {"POST": "startReplay"}
    examples: ClassVar = {"POST": {"source": "orders", "target": "orders-again", "from_ms": 1_795_163_467_000}}
    creates = True

    @extend_schema(request=NewReplaySerializer, responses={201: JobSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Replay a stream's past into another one. Keys and their order are kept; needs record:read, too."""
        require(request, "record:read")
        given = self.read(request, NewReplaySerializer)
        span = given["from_ms"], given.get("to_ms")
        job = asked.start_replay(calls.actor(request), request.team, given["source"], given["target"], *span)
        return Response(shown(job), 201)


class Imports(ApiView):
    """One more."""

    tag = "Ingestion"
    needs: ClassVar = {"POST": "record:write"}
    names: ClassVar = {"POST": "startImport"}
    parameters: ClassVar = ("POST",)
    body_bytes_max = None

    @extend_schema(request={FILE_TYPE: bytes}, parameters=[ImportQuery], responses={201: JobSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Import a file. Each of its lines becomes a record; the body is the file, as it is."""
        query = self.query(request, ImportQuery)
        streams.one(request, query["target"])
        path = _kept(request)
        try:
            job = asked.start_import(
                calls.actor(request),
                request.team,
                query["target"],
                path,
                query["name"],
                key=query.get("partition_key", ""),
                key_field=query.get("key_field", 0),
            )
        except ServiceError:
            path.unlink(missing_ok=True)
            raise
        return Response(shown(job), 201)


def _kept(request: ApiRequest) -> Path:
    """The body as a file of ours. Raises UnsupportedMediaType, ValidationError, Unavailable, ServiceError."""
    if (request.content_type or "").partition(";")[0].strip().lower() != FILE_TYPE:
        raise UnsupportedMediaType(request.content_type or "", f"Send the file as {FILE_TYPE}.")
    try:
        path = ingestion.upload(calls.runtime().config, cast("BinaryIO", request._request))  # noqa: SLF001 - read as it comes
        if size_of(path) == 0:
            path.unlink()
            raise ValidationError({"": "The file is empty."})
    except OSError as error:
        raise Unavailable(f"The file could not be kept: {error.strerror}.") from error
    return path


class OneJob(ApiView):
    """One of them."""

    tag = "Ingestion"
    needs: ClassVar = {"GET": "stream:read"}
    names: ClassVar = {"GET": "getIngestionJob"}

    @extend_schema(responses=JobSerializer)
    def get(self, request: ApiRequest, job: int) -> Response:
        """Look at an import or a replay."""
        return Response(shown(_one(request, job)))


class Cancellation(ApiView):
    """The end of one."""

    tag = "Ingestion"
    needs: ClassVar = {"POST": "record:write"}
    names: ClassVar = {"POST": "cancelIngestionJob"}

    @extend_schema(request=None, responses=JobSerializer)
    def post(self, request: ApiRequest, job: int) -> Response:
        """Cancel an import or a replay. What it has put stays."""
        if not asked.cancel_ingestion(calls.actor(request), _one(request, job)):
            raise Conflict("The job had ended already.")
        return Response(shown(_one(request, job)))


def _rows(request: ApiRequest) -> QuerySet[Ingestion]:
    return Ingestion.objects.filter(team=request.team)


def _one(request: ApiRequest, job: int) -> Ingestion:
    found = _rows(request).filter(pk=job).first()
    if found is None:
        raise Http404
    return found


def shown(row: Ingestion) -> dict[str, Any]:
    """A job as the API tells it."""
    percent = min(99, 100 * row.done // row.total) if row.total else 0
    return {
        "id": row.pk,
        "kind": row.kind,
        "status": row.status,
        "source": str(row.source["name"]),
        "target": row.target_name,
        "percent": 100 if row.status == IngestionStatus.COMPLETE else percent,
        "records": row.records,
        "size_bytes": row.size_bytes,
        "error": row.error,
        "created_at_ms": row.created_at_ms,
        "finished_at_ms": row.finished_at_ms,
    }
