"""Channels: what delivers a data stream by itself. They are made and changed with the AWS API (CreateChannel …)."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.delivery.configuration.channels import MEMBERS, S3, TABLES
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView
from console.pages.delivery.figures import with_figures

TAG: Final = "Channels"
KINDS: Final = {S3: "s3", TABLES: "s3-tables"}

Json = dict[str, Any]


class ChannelSerializer(serializers.Serializer[Any]):
    """A channel, with how its deliveries fare."""

    id = serializers.CharField()
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(DeliveryStreamStatus.choices)
    stream = serializers.CharField(allow_null=True, help_text="The data stream; null: it is gone.")
    kind = serializers.ChoiceField(list(KINDS.values()))
    created_at_ms = serializers.IntegerField()
    delivered_records = serializers.IntegerField()
    delivered_at_ms = serializers.IntegerField(allow_null=True, help_text="The last time.")
    waiting_since_ms = serializers.IntegerField(
        allow_null=True, help_text="Arrival of the oldest record that is not delivered yet; null: all are."
    )
    failing_since_ms = serializers.IntegerField(allow_null=True)


class WholeChannelSerializer(ChannelSerializer):
    """A channel with its configuration."""

    version = serializers.IntegerField(help_text="Rises with each change of the destination.")
    failure = serializers.CharField(allow_blank=True, help_text="Why it could not be made or deleted.")
    configuration = serializers.DictField(help_text="AWS's description of the destination.")
    record_configuration = serializers.DictField(help_text="AWS's RecordConfiguration.")
    logging = serializers.DictField(help_text="AWS's LoggingConfiguration.")
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    updated_at_ms = serializers.IntegerField(allow_null=True)


class ChannelQuery(PageQuery):
    """Filters of the list."""

    stream = serializers.CharField(max_length=128, required=False, help_text="Name of the data stream.")
    kind = serializers.ChoiceField(list(KINDS.values()), required=False, help_text="Of this destination.")
    q = serializers.CharField(max_length=128, required=False, help_text="Part of the name.")


class Channels(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "listChannels"}

    @extend_schema(parameters=[ChannelQuery], responses=page_of(ChannelSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's channels, by name."""
        query = self.query(request, ChannelQuery)
        rows = filtered(_rows(request), query, {"stream": "source_stream__name", "q": "name__icontains"})
        if "kind" in query:
            rows = rows.filter(destination_type=S3 if query["kind"] == KINDS[S3] else TABLES)
        return Response(page(request, rows, ("name",), query, _listed))


class OneChannel(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "delivery:read"}
    names: ClassVar = {"GET": "getChannel"}

    @extend_schema(responses=WholeChannelSerializer)
    def get(self, request: ApiRequest, channel: str) -> Response:
        """A channel by its id, the end of its ARN."""
        found = _rows(request).filter(channel_id=channel).first()
        if found is None:
            raise Http404
        return Response(_shown(found))


def _rows(request: ApiRequest) -> QuerySet[DeliveryStream]:
    mine = DeliveryStream.objects.filter(team=request.team).exclude(channel_id="")
    return with_figures(mine.select_related("team", "source_stream"))


def _listed(row: Any) -> Json:
    return {
        "id": row.channel_id,
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "stream": row.source_stream.name if row.source_stream is not None else None,
        "kind": KINDS[row.destination_type],
        "created_at_ms": row.created_at_ms,
        "delivered_records": row.delivered,
        "delivered_at_ms": row.delivered_ms,
        "waiting_since_ms": row.waiting_ms,
        "failing_since_ms": row.failing_ms,
    }


def _shown(row: DeliveryStream) -> Json:
    return _listed(row) | {
        "version": row.version_id,
        "failure": row.failure.get("Details", ""),
        "configuration": row.extra.get(MEMBERS[row.destination_type], {}),
        "record_configuration": row.extra.get("RecordConfiguration", {}),
        "logging": row.extra.get("LoggingConfiguration", {}),
        "tags": dict(row.tags.order_by("key").values_list("key", "value")),
        "updated_at_ms": row.updated_at_ms,
    }
