"""Delivery streams: the list, one, and what changes it as a whole."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.delivery import connections, pausing
from apps.delivery.configuration.secrets import taken_out
from apps.delivery.connections import Given
from apps.delivery.encryption import shown as encryption_shown
from apps.delivery.models import Connection, DeliveryStream, DeliveryStreamStatus, DestinationType, SourceType
from apps.delivery.operations.stream import DESTINATION_ID
from apps.streams.models import Stream
from console import calls
from console.api.aws_members import checked, shape_of
from console.api.etags import tagged
from console.api.fields import TagsField
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.problems import Conflict
from console.api.request import ApiRequest
from console.api.resources import delivery_configuration as written
from console.api.resources.streams import plain
from console.api.view import ApiView
from console.pages.delivery import described
from console.pages.delivery.figures import with_figures
from console.pages.delivery.listing import STATES, in_state

TAG: Final = "Delivery streams"
KIND_OF: Final = {value: key for key, value in described.KEYS.items()}

Json = dict[str, Any]


class DeliveryStreamSerializer(serializers.Serializer[Any]):
    """A delivery stream in the list, with how its deliveries fare."""

    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(DeliveryStreamStatus.choices)
    state = serializers.ChoiceField(list(STATES), help_text="The status, and what AWS does not tell: paused, failing.")
    source = serializers.ChoiceField(["direct", "stream"])  # type: ignore[assignment]  # the metaclass takes it away
    stream = serializers.CharField(allow_null=True, help_text="The data stream that is its source.")
    kind = serializers.ChoiceField(list(described.KEYS))
    address = serializers.CharField(help_text="Where records go, in one line.")
    created_at_ms = serializers.IntegerField()
    paused_at_ms = serializers.IntegerField(allow_null=True)
    delivered_records = serializers.IntegerField()
    delivered_at_ms = serializers.IntegerField(allow_null=True, help_text="The last time.")
    waiting_since_ms = serializers.IntegerField(
        allow_null=True, help_text="Arrival of the oldest record that is not delivered yet; null: all are."
    )
    failing_since_ms = serializers.IntegerField(allow_null=True)


class KeptConnectionSerializer(serializers.Serializer[Any]):
    """A connection as it is told: without its secret."""

    part = serializers.ChoiceField(list(connections.PARTS))
    endpoint_url = serializers.CharField(allow_blank=True)
    region = serializers.CharField(allow_blank=True)
    access_key_id = serializers.CharField(allow_blank=True)
    has_secret = serializers.BooleanField()


class FailureSerializer(serializers.Serializer[Any]):
    """Why it could not be made or deleted."""

    type = serializers.CharField()
    details = serializers.CharField(allow_blank=True)


class KeptEncryptionSerializer(serializers.Serializer[Any]):
    """Of what waits in it."""

    status = serializers.CharField(help_text="ENABLED, ENABLING, DISABLED, …")
    key_type = serializers.CharField(allow_null=True)
    key_arn = serializers.CharField(allow_null=True)


class WholeDeliveryStreamSerializer(serializers.Serializer[Any]):
    """A delivery stream as it is configured. How it fares: the list, its lanes and its errors."""

    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(DeliveryStreamStatus.choices)
    failure = FailureSerializer(allow_null=True)
    source = serializers.ChoiceField(["direct", "stream"])  # type: ignore[assignment]  # the metaclass takes it away
    stream = serializers.CharField(allow_null=True, help_text="The data stream; null for one that is gone, too.")
    stream_arn = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(list(described.KEYS))
    address = serializers.CharField()
    configuration = serializers.DictField(help_text="AWS's description of the destination, without its secrets.")
    has_secret = serializers.BooleanField(help_text="The destination has an access key, a token or a password.")
    version = serializers.IntegerField(help_text="Rises with each change of the destination.")
    encryption = KeptEncryptionSerializer()
    connections = KeptConnectionSerializer(many=True)
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    created_at_ms = serializers.IntegerField()
    updated_at_ms = serializers.IntegerField(allow_null=True)
    paused_at_ms = serializers.IntegerField(allow_null=True)


class DeliveryStreamQuery(PageQuery):
    """Filters of the list."""

    state = serializers.ChoiceField(list(STATES), required=False, help_text="In this state.")
    kind = serializers.ChoiceField(list(described.KEYS), required=False, help_text="Of this destination.")
    stream = serializers.CharField(max_length=128, required=False, help_text="Name of the data stream they read.")
    q = serializers.CharField(max_length=128, required=False, help_text="Part of the name.")


class ChangedDestinationSerializer(serializers.Serializer[Any]):
    """What is to change of the destination: s3 in plain members, or update in AWS's."""

    s3 = written.ChangedS3Serializer(required=False)
    update = serializers.DictField(  # type: ignore[assignment]  # the metaclass takes it away
        required=False, help_text="The members of AWS's `<kind>DestinationUpdate` of UpdateDestination."
    )

    def validate(self, attrs: Json) -> Json:
        """Exactly one of the two."""
        if ("s3" in attrs) == ("update" in attrs):
            raise ValidationError("Exactly one of s3 and update is needed.")
        return attrs


class DeliveryStreams(ApiView):
    """All of the team's, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read", "POST": "delivery:create"}
    names: ClassVar = {"GET": "listDeliveryStreams", "POST": "createDeliveryStream"}
    creates = True
    examples: ClassVar = {"POST": written.EXAMPLE}

    @extend_schema(parameters=[DeliveryStreamQuery], responses=page_of(DeliveryStreamSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's delivery streams, by name."""
        query = self.query(request, DeliveryStreamQuery)
        rows = with_figures(rows_of(request))
        rows = rows.filter(in_state(query["state"])) if "state" in query else rows
        rows = rows.filter(destination_type=described.KEYS[query["kind"]]) if "kind" in query else rows
        rows = filtered(rows, query, {"stream": "source_stream__name", "q": "name__icontains"})
        return Response(page(request, rows, ("name",), query, listed))

    @extend_schema(request=written.NewDeliveryStreamSerializer, responses={201: WholeDeliveryStreamSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a delivery stream (CreateDeliveryStream). It is CREATING for a moment."""
        given = self.read(request, written.NewDeliveryStreamSerializer)
        params = written.creation(request, given, source_of(request, given))
        wanted = written.connections_of(given)

        def complete() -> None:
            row = one(request, given["name"])
            for part, connection in wanted.items():
                written.keep_connection(request, row, part, connection)

        calls.firehose(request, "CreateDeliveryStream", complete, **params)
        return tagged(request, shown(one(request, given["name"])), 201)


class OneDeliveryStream(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read", "PATCH": "delivery:write", "DELETE": "delivery:delete"}
    names: ClassVar = {"GET": "getDeliveryStream", "PATCH": "updateDestination", "DELETE": "deleteDeliveryStream"}
    examples: ClassVar = {"PATCH": {"s3": {"compression": "GZIP", "interval_s": 60}}}

    @extend_schema(responses=WholeDeliveryStreamSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """The delivery stream."""
        return Response(shown(one(request, name)))

    @extend_schema(request=ChangedDestinationSerializer, responses=WholeDeliveryStreamSerializer)
    def patch(self, request: ApiRequest, name: str) -> Response:
        """Change its destination (UpdateDestination). What is not said stays."""
        row = one(request, name)
        given = self.read(request, ChangedDestinationSerializer)
        member = f"{row.destination_type}DestinationUpdate"
        if "s3" in given and row.destination_type != DestinationType.S3:
            raise ValidationError({"s3": f"Its destination is {KIND_OF[row.destination_type]}: say update."})
        if "s3" in given:
            update = written.s3_members(given["s3"])
        else:
            update = checked(given["update"], shape_of("firehose", "UpdateDestination", member), "update")
        params: Json = {"DeliveryStreamName": row.name, "DestinationId": DESTINATION_ID, member: update}
        calls.firehose(request, "UpdateDestination", CurrentDeliveryStreamVersionId=str(row.version_id), **params)
        return Response(shown(one(request, name)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str) -> Response:
        """Delete a delivery stream, with what waits in it (DeleteDeliveryStream)."""
        row = one(request, name)
        calls.firehose(request, "DeleteDeliveryStream", DeliveryStreamName=row.name)
        return Response(status=204)


class Pause(ApiView):
    """Its pause."""

    tag = TAG
    needs: ClassVar = {"POST": "delivery:write"}
    names: ClassVar = {"POST": "pauseDeliveryStream"}

    @extend_schema(request=None, responses={200: WholeDeliveryStreamSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Deliver nothing until it is resumed. Records are taken and kept."""
        if not pausing.pause(one(request, name), calls.now_ms(), calls.actor(request)):
            raise Conflict("It is paused already, or not active.")
        return Response(shown(one(request, name)))


class Resume(ApiView):
    """The end of its pause."""

    tag = TAG
    needs: ClassVar = {"POST": "delivery:write"}
    names: ClassVar = {"POST": "resumeDeliveryStream"}

    @extend_schema(request=None, responses={200: WholeDeliveryStreamSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Go on where it stopped."""
        if not pausing.resume(one(request, name), calls.now_ms(), calls.actor(request)):
            raise Conflict("It is not paused.")
        return Response(shown(one(request, name)))


class DeliveryTagsSerializer(serializers.Serializer[Any]):
    """All tags."""

    tags = TagsField()


class Tags(ApiView):
    """Its tags."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read", "PUT": "delivery:write"}
    names: ClassVar = {"GET": "getDeliveryStreamTags", "PUT": "putDeliveryStreamTags"}
    examples: ClassVar = {"PUT": {"tags": {"team": "core"}}}

    @extend_schema(responses=DeliveryTagsSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """All of them."""
        return Response({"tags": _tags(one(request, name))})

    @extend_schema(request=DeliveryTagsSerializer, responses=DeliveryTagsSerializer)
    def put(self, request: ApiRequest, name: str) -> Response:
        """These tags in place of those that it has."""
        row = one(request, name)
        wanted, now = self.read(request, DeliveryTagsSerializer)["tags"], _tags(row)
        added = {key: value for key, value in wanted.items() if now.get(key) != value}
        removed = [key for key in now if key not in wanted]
        if added:  # first, so that a refusal leaves the tags as they were
            calls.firehose(request, "TagDeliveryStream", DeliveryStreamName=row.name, Tags=written.tags_of(added))
        if removed:
            calls.firehose(request, "UntagDeliveryStream", DeliveryStreamName=row.name, TagKeys=removed)
        return Response({"tags": _tags(row)})


class Encryption(ApiView):
    """The encryption of what waits in it."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read", "PUT": "delivery:write", "DELETE": "delivery:write"}
    names: ClassVar = {
        "GET": "getDeliveryStreamEncryption",
        "PUT": "startDeliveryStreamEncryption",
        "DELETE": "stopDeliveryStreamEncryption",
    }
    examples: ClassVar = {"PUT": {"key_type": "AWS_OWNED_CMK"}}

    @extend_schema(responses=KeptEncryptionSerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """Whether what waits in it is encrypted, and with which key."""
        return Response(_encryption(one(request, name)))

    @extend_schema(request=written.DeliveryEncryptionSerializer, responses=KeptEncryptionSerializer)
    def put(self, request: ApiRequest, name: str) -> Response:
        """Encrypt it (StartDeliveryStreamEncryption), or with another key."""
        row = one(request, name)
        told = written.encryption_of(self.read(request, written.DeliveryEncryptionSerializer))
        calls.firehose(
            request,
            "StartDeliveryStreamEncryption",
            DeliveryStreamName=row.name,
            DeliveryStreamEncryptionConfigurationInput=told,
        )
        return Response(_encryption(one(request, name)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str) -> Response:
        """Stop encrypting what waits (StopDeliveryStreamEncryption)."""
        row = one(request, name)
        calls.firehose(request, "StopDeliveryStreamEncryption", DeliveryStreamName=row.name)
        return Response(status=204)


class OneConnection(ApiView):
    """Where one part of it really is."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read", "PUT": "delivery:write", "DELETE": "delivery:write"}
    names: ClassVar = {
        "GET": "getDeliveryConnection",
        "PUT": "putDeliveryConnection",
        "DELETE": "deleteDeliveryConnection",
    }
    examples: ClassVar = {
        "PUT": {"endpoint_url": "https://s3.example.com", "access_key_id": "AKIDEXAMPLE", "secret": "…"}
    }

    @extend_schema(responses=KeptConnectionSerializer)
    def get(self, request: ApiRequest, name: str, part: str) -> Response:
        """The connection of a part: s3, backup, lambda or destination. Without its secret."""
        return Response(_connection(self._kept(one(request, name), part)))

    @extend_schema(request=written.ConnectionSerializer, responses=KeptConnectionSerializer)
    def put(self, request: ApiRequest, name: str, part: str) -> Response:
        """Set it. Without a secret the one that is kept stays, as long as address and key do."""
        row = one(request, name)
        if part not in connections.PARTS:
            raise Http404
        said = self.read(request, written.ConnectionSerializer)
        given = Given(said["endpoint_url"], said["region"], said["access_key_id"], said.get("secret"))
        if given.is_empty:
            raise ValidationError("There is nothing in it. Delete it to use what the operator's environment says.")
        written.keep_connection(request, row, part, given)
        return Response(_connection(self._kept(row, part)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str, part: str) -> Response:
        """Take a connection away: the operator's environment says where the part is."""
        row = one(request, name)
        self._kept(row, part)
        written.keep_connection(request, row, part, Given())
        return Response(status=204)

    def _kept(self, row: DeliveryStream, part: str) -> Connection:
        found = Connection.objects.filter(delivery_stream=row, part=part).first()
        if found is None:
            raise Http404
        return found


def rows_of(request: ApiRequest) -> QuerySet[DeliveryStream]:
    """The delivery streams of the token's team."""
    mine = DeliveryStream.objects.filter(team=request.team, channel_id="")
    return mine.select_related("team", "source_stream")


def one(request: ApiRequest, name: str) -> DeliveryStream:
    """The team's delivery stream of this name. Raises Http404."""
    found = rows_of(request).filter(name=plain(name)).first()
    if found is None:
        raise Http404
    return found


def source_of(request: ApiRequest, given: Json) -> Stream | None:
    """The data stream that a new one is to read. Raises ValidationError if the team has none of that name."""
    if "stream" not in given:
        return None
    found = Stream.objects.filter(team=request.team, name=given["stream"]).select_related("team").first()
    if found is None:
        raise ValidationError({"stream": "There is no data stream of that name."})
    return found


def listed(row: Any) -> Json:
    """A delivery stream with_figures, as the list tells it."""
    return {
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "state": _state(row),
        "source": "direct" if row.source_type == SourceType.DIRECT_PUT else "stream",
        "stream": row.source_stream.name if row.source_stream is not None else None,
        "kind": KIND_OF[row.destination_type],
        "address": described.address(row.destination_type, row.destination),
        "created_at_ms": row.created_at_ms,
        "paused_at_ms": row.paused_at_ms,
        "delivered_records": row.delivered,
        "delivered_at_ms": row.delivered_ms,
        "waiting_since_ms": row.waiting_ms,
        "failing_since_ms": row.failing_ms,
    }


def _state(row: Any) -> str:
    match row.status:
        case DeliveryStreamStatus.CREATING:
            return "creating"
        case DeliveryStreamStatus.CREATING_FAILED:
            return "failed"
        case DeliveryStreamStatus.DELETING | DeliveryStreamStatus.DELETING_FAILED:
            return "deleting"
    if row.paused_at_ms is not None:
        return "paused"
    return "active" if row.failing_ms is None else "failing"


def shown(row: DeliveryStream) -> Json:
    """A delivery stream as the API tells it alone. Nothing in it changes by itself, but for its status."""
    is_direct = row.source_type == SourceType.DIRECT_PUT
    kept = Connection.objects.filter(delivery_stream=row).order_by("part")
    return {
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "failure": {"type": row.failure.get("Type", ""), "details": row.failure.get("Details", "")}
        if row.failure
        else None,
        "source": "direct" if is_direct else "stream",
        "stream": row.source_stream.name if row.source_stream is not None else None,
        "stream_arn": row.source.get("KinesisStreamARN"),
        "kind": KIND_OF[row.destination_type],
        "address": described.address(row.destination_type, row.destination),
        "configuration": taken_out(DestinationType(row.destination_type), row.destination)[0],
        "has_secret": bool(row.sealed_secrets),
        "version": row.version_id,
        "encryption": _encryption(row),
        "connections": [_connection(connection) for connection in kept],
        "tags": _tags(row),
        "created_at_ms": row.created_at_ms,
        "updated_at_ms": row.updated_at_ms,
        "paused_at_ms": row.paused_at_ms,
    }


def _tags(row: DeliveryStream) -> dict[str, str]:
    return dict(row.tags.order_by("key").values_list("key", "value"))


def _encryption(row: DeliveryStream) -> Json:
    said = encryption_shown(row) if row.source_type == SourceType.DIRECT_PUT else {"Status": "DISABLED"}
    return {"status": said["Status"], "key_type": said.get("KeyType"), "key_arn": said.get("KeyARN")}


def _connection(row: Connection) -> Json:
    return {
        "part": row.part,
        "endpoint_url": row.endpoint_url,
        "region": row.region,
        "access_key_id": row.access_key_id,
        "has_secret": bool(row.sealed_secret),
    }
