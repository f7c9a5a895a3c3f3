"""The resource policy of a data stream: who else may use it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from console import calls
from console.api.request import ApiRequest
from console.api.resources import streams
from console.api.view import ApiView

EXAMPLE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": ["kinesis:DescribeStreamSummary", "kinesis:GetShardIterator", "kinesis:GetRecords"],
            "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
        }
    ],
}


@extend_schema_field({"type": "object", "additionalProperties": True})
class PolicyField(serializers.JSONField):
    """A policy document; what is in it, the operation says."""

    def to_internal_value(self, data: Any) -> Any:
        """Raises ValidationError for what is no object."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("It must be an object.")
        return data


class NewPolicySerializer(serializers.Serializer[Any]):
    """A policy to be set."""

    policy = PolicyField(help_text="In IAM's words.")


@extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
class MaybePolicyField(serializers.JSONField):
    """A document, or none."""


class PolicySerializer(serializers.Serializer[Any]):
    """The policy."""

    policy = MaybePolicyField(help_text="As it was put; null: there is none.")


class StreamPolicy(ApiView):
    """A stream's."""

    tag = "Streams"
    needs: ClassVar = {"GET": "stream:read", "PUT": "stream:write", "DELETE": "stream:write"}
    names: ClassVar = {"GET": "getStreamPolicy", "PUT": "setStreamPolicy", "DELETE": "deleteStreamPolicy"}
    examples: ClassVar = {"PUT": {"policy": EXAMPLE}}

    @extend_schema(responses=PolicySerializer)
    def get(self, request: ApiRequest, name: str) -> Response:
        """Look at a stream's resource policy. It says who of other accounts may use the stream."""
        return Response(_shown(streams.one(request, name)))

    @extend_schema(request=NewPolicySerializer, responses=PolicySerializer)
    def put(self, request: ApiRequest, name: str) -> Response:
        """Set a stream's resource policy (PutResourcePolicy)."""
        stream = streams.one(request, name)
        policy = json.dumps(self.read(request, NewPolicySerializer)["policy"], ensure_ascii=False)
        calls.call(request, "PutResourcePolicy", ResourceARN=str(stream.arn), Policy=policy)
        return Response(_shown(streams.one(request, name)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, name: str) -> Response:
        """Take a stream's resource policy away (DeleteResourcePolicy)."""
        calls.call(request, "DeleteResourcePolicy", ResourceARN=str(streams.one(request, name).arn))
        return Response(status=204)


def _shown(stream: Any) -> dict[str, Any]:
    return {"policy": json.loads(stream.resource_policy) if stream.resource_policy else None}
