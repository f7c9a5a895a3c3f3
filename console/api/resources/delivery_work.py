"""What is done with a delivery stream: records are put, failed ones delivered once more, demo data sent, a dry run made."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import MIB
from apps.delivery import demo, dry_run
from apps.delivery.models import DeliveryJob, DestinationType, JobKind, JobStatus
from apps.delivery.shapes import RECORDS_MAX
from apps.teams import jobs as team_jobs
from console import calls
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.problems import Conflict
from console.api.request import ApiRequest
from console.api.resources import delivery_configuration as written
from console.api.resources import record_data
from console.api.resources.delivery import TAG, one, source_of
from console.api.resources.delivery_looks import NUMBER_MAX, SeenSerializer, seen_shown
from console.api.view import ApiView, require
from console.pages.delivery import rehearsal
from console.pages.delivery.described import KEYS

BODY_BYTES_MAX = 8 * MIB
"""PutRecordBatch's 4 MiB in base64, and what stands around them."""

Json = dict[str, Any]


class DeliveryJobSerializer(serializers.Serializer[Any]):
    """A job of a delivery stream."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(JobKind.choices)
    status = serializers.ChoiceField(JobStatus.choices)
    error = serializers.CharField(allow_blank=True, help_text="What it waits for, or why it failed.")
    done = serializers.IntegerField(help_text="Objects of a redrive, records of demo data.")
    total = serializers.IntegerField(help_text="As far as it is known; 0: not yet.")
    records = serializers.IntegerField(help_text="Put by it.")
    error_type = serializers.CharField(allow_null=True, help_text="Of a redrive: which failed records; null: all.")
    from_ms = serializers.IntegerField(allow_null=True, help_text="Of a redrive: written since then.")
    to_ms = serializers.IntegerField(allow_null=True)
    created_at_ms = serializers.IntegerField()
    finished_at_ms = serializers.IntegerField(allow_null=True)


class DeliveryJobQuery(PageQuery):
    """Filters of the jobs."""

    kind = serializers.ChoiceField(JobKind.choices, required=False, help_text="Of this kind.")
    status = serializers.ChoiceField(JobStatus.choices, required=False, help_text="In this status.")


class RedriveSerializer(serializers.Serializer[Any]):
    """Which failed records are to be delivered once more."""

    error_type = serializers.CharField(
        max_length=100, required=False, help_text="AWS's error-output-type, as processing-failed. Without it: all."
    )
    from_ms = serializers.IntegerField(min_value=0, max_value=NUMBER_MAX, default=0)
    to_ms = serializers.IntegerField(min_value=0, max_value=NUMBER_MAX, required=False, help_text="Without it: now.")


class DemoSerializer(serializers.Serializer[Any]):
    """How fast, and how many."""

    rate = serializers.IntegerField(min_value=1, max_value=demo.RATE_MAX, default=50, help_text="Records a second.")
    total = serializers.IntegerField(min_value=1, max_value=demo.RECORDS_MAX, default=3_000)


class StageSerializer(serializers.Serializer[Any]):
    """What one stage made of a record."""

    name = serializers.CharField()
    outputs = serializers.ListField(child=serializers.CharField(allow_blank=True))
    more = serializers.IntegerField(help_text="Outputs beyond these.")
    failed = serializers.CharField(allow_blank=True, help_text="Why it failed.")
    is_dropped = serializers.BooleanField()


class TriedRecordSerializer(serializers.Serializer[Any]):
    """One record on its way."""

    text = serializers.CharField(allow_blank=True, help_text="Its data as people can read them, cut.")
    arrived_at_ms = serializers.IntegerField()
    stages = StageSerializer(many=True)
    partition_keys = serializers.DictField(child=serializers.CharField(allow_blank=True))


class TriedObjectSerializer(serializers.Serializer[Any]):
    """An object that would be written."""

    bucket = serializers.CharField(allow_blank=True)
    key = serializers.CharField()
    records = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    error_type = serializers.CharField(allow_null=True, help_text="It would hold failed records of this kind.")
    content = SeenSerializer()


class DryRunSerializer(serializers.Serializer[Any]):
    """What would become of ten records."""

    records = TriedRecordSerializer(many=True)
    objects = TriedObjectSerializer(many=True)
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="Of the whole: the bucket, the role, a schema that is not there."
    )


class NewDeliveryRecordSerializer(serializers.Serializer[Any]):
    """A record to be put."""

    data = record_data.DataField(help_text="A text, base64, or any JSON value.")  # type: ignore[assignment]  # the metaclass
    encoding = serializers.ChoiceField(
        record_data.ENCODINGS, required=False, help_text="Else `text` for a text, and `json` for any other value."
    )

    def validate(self, attrs: Json) -> Json:
        """Makes bytes of the data."""
        try:
            return attrs | {"data": record_data.encoded(attrs["data"], attrs.get("encoding"))}
        except ValidationError as error:
            raise ValidationError({"data": error.detail}) from error


class NewDeliveryRecordsSerializer(serializers.Serializer[Any]):
    """Records to be put."""

    records = serializers.ListField(
        child=NewDeliveryRecordSerializer(), min_length=1, max_length=RECORDS_MAX, help_text="In order."
    )


class PutDeliveryRecordSerializer(serializers.Serializer[Any]):
    """What became of one."""

    record_id = serializers.CharField(required=False, help_text="There if it is stored.")
    code = serializers.CharField(required=False, help_text="AWS's error code, if it is not: put it again.")
    detail = serializers.CharField(required=False, help_text="AWS's text.")


class PutDeliveryRecordsSerializer(serializers.Serializer[Any]):
    """What became of them."""

    items = PutDeliveryRecordSerializer(many=True, help_text="In the order of the request.")
    failed = serializers.IntegerField(help_text="How many are not stored.")


class DeliveryRecords(ApiView):
    """What is put into a Direct PUT delivery stream."""

    tag = TAG
    needs: ClassVar = {"POST": "record:write"}
    names: ClassVar = {"POST": "putDeliveryRecords"}
    examples: ClassVar = {"POST": {"records": [{"data": {"order": 1042, "total": 12.5}}, {"data": "plain text\n"}]}}
    body_bytes_max = BODY_BYTES_MAX

    @extend_schema(request=NewDeliveryRecordsSerializer, responses={200: PutDeliveryRecordsSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Put records. Up to 500 in one call, 4 MiB in all (PutRecordBatch).

        The first ones may be stored while those after them are refused: look at `failed`, and put those with a `code` again.
        """
        row = one(request, name)
        entries = [{"Data": record["data"]} for record in self.read(request, NewDeliveryRecordsSerializer)["records"]]
        answer = calls.firehose(request, "PutRecordBatch", DeliveryStreamName=row.name, Records=entries)
        items = [_put(record) for record in answer["RequestResponses"]]
        return Response({"items": items, "failed": answer["FailedPutCount"]})


class DeliveryJobs(ApiView):
    """Its jobs."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "listDeliveryJobs"}

    @extend_schema(parameters=[DeliveryJobQuery], responses=page_of(DeliveryJobSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """Redrives and demo data, the newest first."""
        query = self.query(request, DeliveryJobQuery)
        rows = DeliveryJob.objects.filter(delivery_stream=one(request, name))
        rows = filtered(rows, query, {"kind": "kind", "status": "status"})
        return Response(page(request, rows, ("-pk",), query, _job))


class OneDeliveryJob(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "getDeliveryJob"}

    @extend_schema(responses=DeliveryJobSerializer)
    def get(self, request: ApiRequest, name: str, job: int) -> Response:
        """How far a job is."""
        return Response(_job(_one_job(request, name, job)))


class CancelDeliveryJob(ApiView):
    """Its end before its time."""

    tag = TAG
    needs: ClassVar = {"POST": "delivery:write"}
    names: ClassVar = {"POST": "cancelDeliveryJob"}

    @extend_schema(request=None, responses={200: DeliveryJobSerializer})
    def post(self, request: ApiRequest, name: str, job: int) -> Response:
        """Stop a job. What it has done stays."""
        found = _one_job(request, name, job)
        if not team_jobs.cancel_delivery_job(calls.actor(request), found):
            raise Conflict("It has ended already.")
        found.refresh_from_db()
        return Response(_job(found))


class Redrives(ApiView):
    """Failed records once more."""

    tag = TAG
    needs: ClassVar = {"POST": "delivery:write"}
    names: ClassVar = {"POST": "startRedrive"}
    examples: ClassVar = {"POST": {"error_type": "processing-failed"}}
    creates = True

    @extend_schema(request=RedriveSerializer, responses={201: DeliveryJobSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Deliver once more what lies under the error prefix. A job does it."""
        row = one(request, name)
        given = self.read(request, RedriveSerializer)
        asked = (given.get("error_type", ""), given["from_ms"], given.get("to_ms"))
        return Response(_job(team_jobs.start_redrive(calls.actor(request), row, *asked)), 201)


class DemoData(ApiView):
    """Made-up records."""

    tag = TAG
    needs: ClassVar = {"POST": "record:write"}
    names: ClassVar = {"POST": "startDemoData"}
    examples: ClassVar = {"POST": {"rate": 50, "total": 3_000}}
    creates = True

    @extend_schema(request=DemoSerializer, responses={201: DeliveryJobSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Send demo data to a Direct PUT delivery stream, for ten minutes at most. A job does it."""
        row = one(request, name)
        given = self.read(request, DemoSerializer)
        job = team_jobs.start_demo_data(calls.actor(request), row, given["rate"], given["total"])
        return Response(_job(job), 201)


class DryRuns(ApiView):
    """Trials of what is not there yet."""

    tag = TAG
    needs: ClassVar = {"POST": "delivery:create"}
    names: ClassVar = {"POST": "tryDeliveryStream"}
    examples: ClassVar = {"POST": written.EXAMPLE}

    @extend_schema(request=written.NewDeliveryStreamSerializer, responses={200: DryRunSerializer})
    def post(self, request: ApiRequest) -> Response:
        """What would become of ten records. The newest of the data stream (which needs record:read, too), else made-up
        ones; transforms are really called, nothing is made and nothing is written."""
        given = self.read(request, written.NewDeliveryStreamSerializer)
        source = source_of(request, given)
        if source is not None:
            require(request, "record:read")  # what is told are records of the stream
        params = written.creation(request, given, source)
        kind = DestinationType(KEYS["s3" if "s3" in given else given["destination"]["kind"]])
        wanted = written.connections_of(given)
        description = rehearsal.described(request, kind, params)
        return Response(_tried(rehearsal.tried_out(request, kind, params, description, wanted, source)))


def _one_job(request: ApiRequest, name: str, number: int) -> DeliveryJob:
    found = DeliveryJob.objects.filter(delivery_stream=one(request, name), pk=number).first()
    if found is None:
        raise Http404
    return found


def _put(answer: Json) -> Json:
    if answer.get("ErrorCode"):
        return {"code": answer["ErrorCode"], "detail": answer.get("ErrorMessage") or answer["ErrorCode"]}
    return {"record_id": answer["RecordId"]}


def _job(row: DeliveryJob) -> Json:
    names = ("kind", "status", "error", "done", "total", "records", "created_at_ms", "finished_at_ms")
    asked = row.parameters
    return {
        "id": row.pk,
        **{name: getattr(row, name) for name in names},
        "error_type": asked.get("error_type") or None,
        "from_ms": asked.get("from_ms"),
        "to_ms": asked.get("to_ms"),
    }


def _tried(found: dry_run.DryRun) -> Json:
    return {
        "records": [
            {
                "text": record.data,
                "arrived_at_ms": record.arrival_ms,
                "stages": [_stage(stage) for stage in record.stages],
                "partition_keys": record.partition_keys,
            }
            for record in found.records
        ],
        "objects": [
            {
                "bucket": written_one.bucket,
                "key": written_one.key,
                "records": written_one.records,
                "size_bytes": written_one.size_bytes,
                "error_type": written_one.error_type or None,
                "content": seen_shown(written_one.seen),
            }
            for written_one in found.objects
        ],
        "problems": found.problems,
    }


def _stage(stage: dry_run.Stage) -> Json:
    names = ("name", "outputs", "more", "failed")
    return {**{name: getattr(stage, name) for name in names}, "is_dropped": stage.dropped}
