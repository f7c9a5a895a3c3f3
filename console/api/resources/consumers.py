"""Registered consumers of a data stream."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.streams.models import Consumer, ConsumerStatus
from console import calls
from console.api.etags import tagged
from console.api.fields import TagsField
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.view import ApiView


class ConsumerSerializer(serializers.Serializer[Any]):
    """A registered consumer."""

    name = serializers.CharField()
    arn = serializers.CharField(help_text="What SubscribeToShard takes.")
    status = serializers.ChoiceField(ConsumerStatus.choices)
    has_policy = serializers.BooleanField(help_text="There is a resource policy.")
    tags = serializers.DictField(child=serializers.CharField())
    created_at_ms = serializers.IntegerField(help_text="UTC, milliseconds.")


class NewConsumerSerializer(serializers.Serializer[Any]):
    """A consumer to be registered."""

    name = serializers.RegexField(r"^[a-zA-Z0-9_.-]+\Z", max_length=128, help_text="Letters, digits, `_`, `.`, `-`.")
    tags = TagsField(required=False, help_text="By key.")


class Consumers(ApiView):
    """All of a stream's, and one more."""

    tag = "Consumers"
    needs: ClassVar = {"GET": "stream:read", "POST": "stream:write"}
    names: ClassVar = {"GET": "listConsumers", "POST": "registerConsumer"}
    examples: ClassVar = {"POST": {"name": "billing"}}
    creates = True

    @extend_schema(parameters=[PageQuery], responses=page_of(ConsumerSerializer))
    def get(self, request: ApiRequest, name: str) -> Response:
        """List a stream's registered consumers. They come by name."""
        query = self.query(request, PageQuery)
        return Response(page(request, _rows(request, name).prefetch_related("tags"), ("name",), query, shown))

    @extend_schema(request=NewConsumerSerializer, responses={201: ConsumerSerializer})
    def post(self, request: ApiRequest, name: str) -> Response:
        """Register a consumer. It is CREATING for a moment (RegisterStreamConsumer)."""
        arn, given = str(streams.one(request, name).arn), self.read(request, NewConsumerSerializer)
        tags = {"Tags": given["tags"]} if given.get("tags") else {}
        calls.call(request, "RegisterStreamConsumer", StreamARN=arn, ConsumerName=given["name"], **tags)
        return tagged(request, shown(_one(request, name, given["name"])), 201)


class OneConsumer(ApiView):
    """One of them."""

    tag = "Consumers"
    needs: ClassVar = {"GET": "stream:read", "DELETE": "stream:write"}
    names: ClassVar = {"GET": "getConsumer", "DELETE": "deregisterConsumer"}

    @extend_schema(responses=ConsumerSerializer)
    def get(self, request: ApiRequest, name: str, consumer: str) -> Response:
        """Look at a registered consumer."""
        return Response(shown(_one(request, name, streams.plain(consumer))))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str, consumer: str) -> Response:
        """Deregister a consumer. Its subscriptions end (DeregisterStreamConsumer)."""
        found = _one(request, name, streams.plain(consumer))
        calls.call(request, "DeregisterStreamConsumer", ConsumerARN=str(found.arn))
        return Response(status=204)


def _rows(request: ApiRequest, stream: str) -> QuerySet[Consumer]:
    """Raises Http404."""
    return Consumer.objects.filter(stream=streams.one(request, stream)).select_related("stream__team")


def _one(request: ApiRequest, stream: str, name: str) -> Consumer:
    found = _rows(request, stream).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def shown(row: Consumer) -> dict[str, Any]:
    """A consumer as the API tells it."""
    return {
        "name": row.name,
        "arn": str(row.arn),
        "status": row.status,
        "has_policy": bool(row.resource_policy),
        "tags": streams.tags_of(row),
        "created_at_ms": row.created_at_ms,
    }
